#include "base/suite.h"

#include <string.h>

#include "guest/agent/signature.h"

static uint8_t head[SIGNATURE_HEAD];

static struct signature with(size_t offset, const void *bytes, size_t size)
{
    memset(head, 0, sizeof(head));
    memcpy(head + offset, bytes, size);
    return signature_of(head, sizeof(head));
}

/* clang-format off */
static const struct {
    size_t offset;
    const char *bytes;
    size_t size;
    enum signature_kind kind;
    const char *name;
} cases[] = {
    {      0, "hsqs",                 4, SIGNATURE_FILESYSTEM, "squashfs"                },
    {   1080, "\x53\xef",             2, SIGNATURE_FILESYSTEM, "ext4"                    },
    {   1024, "\xe2\xe1\xf5\xe0",     4, SIGNATURE_FILESYSTEM, "erofs"                   },
    {      0, "XFSB",                 4, SIGNATURE_FILESYSTEM, "xfs"                     },
    {      0, "LUKS\xba\xbe",         6, SIGNATURE_OTHER,      "a LUKS volume"           },
    {    512, "EFI PART",             8, SIGNATURE_OTHER,      "a partition table"       },
    {    510, "\x55\xaa",             2, SIGNATURE_OTHER,      "a partition table or a FAT file system" },
    {  65600, "_BHRfS_M",             8, SIGNATURE_OTHER,      "a btrfs file system"     },
    {  32769, "CD001",                5, SIGNATURE_OTHER,      "an ISO 9660 image"       },
    {   4086, "SWAPSPACE2",          10, SIGNATURE_OTHER,      "swap space"              },
    {      0, "x",                    1, SIGNATURE_UNKNOWN,    "data of an unknown kind" },
    { 131071, "x",                    1, SIGNATURE_UNKNOWN,    "data of an unknown kind" },
    {      0, "\0",                   1, SIGNATURE_NONE,       "nothing but zeros"       },
};
/* clang-format on */

START_TEST(what_a_disk_holds_is_known_by_its_magic)
{
    struct signature s = with(cases[_i].offset, cases[_i].bytes, cases[_i].size);

    ck_assert_int_eq(s.kind, cases[_i].kind);
    ck_assert_str_eq(s.name, cases[_i].name);
}
END_TEST

START_TEST(one_bit_anywhere_is_somebodys_data)
{
    for (size_t i = 0; i < SIGNATURE_HEAD; i += 509) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        ck_assert_int_ne(with(i, &bit, 1).kind, SIGNATURE_NONE);
    }
}
END_TEST

START_TEST(a_small_device_is_not_read_beyond_its_end)
{
    uint8_t small[600] = {0};

    ck_assert_int_eq(signature_of(small, sizeof(small)).kind, SIGNATURE_NONE);
    ck_assert_int_eq(signature_of(small, 0).kind, SIGNATURE_NONE);
    memcpy(small, "hsqs", 4);
    ck_assert_int_eq(signature_of(small, 4).kind, SIGNATURE_FILESYSTEM);
    ck_assert_int_eq(signature_of(small, 3).kind, SIGNATURE_UNKNOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_signature");
    TCase *tc = tcase_create("signature");

    tcase_add_loop_test(tc, what_a_disk_holds_is_known_by_its_magic, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tc, one_bit_anywhere_is_somebodys_data);
    tcase_add_test(tc, a_small_device_is_not_read_beyond_its_end);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
