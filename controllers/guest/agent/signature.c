#include "guest/agent/signature.h"

#include <string.h>

/* clang-format off */
static const struct {
    size_t offset;
    const char *magic;
    size_t size;
    enum signature_kind kind;
    const char *name;
} known[] = {
    /*  at     bytes                   size  what it is            its name              */
    {      0, "hsqs",                     4, SIGNATURE_FILESYSTEM, "squashfs"             },
    {      0, "XFSB",                     4, SIGNATURE_FILESYSTEM, "xfs"                  },
    {   1024, "\xe2\xe1\xf5\xe0",         4, SIGNATURE_FILESYSTEM, "erofs"                },
    {   1080, "\x53\xef",                 2, SIGNATURE_FILESYSTEM, "ext4"                 },
    {      0, "LUKS\xba\xbe",             6, SIGNATURE_OTHER,      "a LUKS volume"        },
    {    512, "EFI PART",                 8, SIGNATURE_OTHER,      "a partition table"    },
    {    512, "LABELONE",                 8, SIGNATURE_OTHER,      "an LVM volume"        },
    {   4086, "SWAPSPACE2",              10, SIGNATURE_OTHER,      "swap space"           },
    {   4096, "\xfc\x4e\x2b\xa9",         4, SIGNATURE_OTHER,      "a RAID member"        },
    {  32769, "CD001",                    5, SIGNATURE_OTHER,      "an ISO 9660 image"    },
    {  65600, "_BHRfS_M",                 8, SIGNATURE_OTHER,      "a btrfs file system"  },
    {      3, "NTFS    ",                 8, SIGNATURE_OTHER,      "an NTFS file system"  },
    {    510, "\x55\xaa",                 2, SIGNATURE_OTHER,      "a partition table or a FAT file system" },
};
/* clang-format on */

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

struct signature signature_of(const uint8_t *head, size_t size)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].offset + known[i].size <= size &&
            memcmp(head + known[i].offset, known[i].magic, known[i].size) == 0)
            return (struct signature){.kind = known[i].kind, .name = known[i].name};
    if (all_zero(head, size))
        return (struct signature){.kind = SIGNATURE_NONE, .name = "nothing but zeros"};
    return (struct signature){.kind = SIGNATURE_UNKNOWN, .name = "data of an unknown kind"};
}
