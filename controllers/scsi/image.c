/* Heads of images: docs/interop/qcow2.txt of QEMU, and Microsoft's descriptions of VHD and VHDX. */
#include "scsi/image.h"

#include <errno.h>
#include <endian.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scsi/disk.h"

static uint64_t be(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

static uint64_t le(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return le64toh(value);
}

static bool read_at(int fd, void *ret, size_t size, uint64_t offset)
{
    return offset <= INT64_MAX && pread(fd, ret, size, (off_t)offset) == (ssize_t)size;
}

static bool is_none(const char *path, const char *what, struct sf_error **err)
{
    return sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s' is not a %s image", path, what);
}

static bool needs_another(const char *path, struct sf_error **err)
{
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "disk '%s' has its data, or some of them, in another file; convert it into one "
                   "image",
                   path);
}

static bool raw_size(int fd, const char *path, uint64_t *ret, struct sf_error **err)
{
    struct stat at;

    if (fstat(fd, &at) < 0 || (S_ISBLK(at.st_mode) && ioctl(fd, BLKGETSIZE64, ret) < 0))
        return sf_fail(err, SF_UNAVAILABLE, "disk '%s': %s", path, strerror(errno));
    if (!S_ISBLK(at.st_mode))
        *ret = (uint64_t)at.st_size;
    return true;
}

/* Magic at 0, version at 4, name of the backing file at 8, size at 24, incompatible features at 72
 * with bit 2 for data in another file. */
static bool qcow2_size(int fd, const char *path, uint64_t *ret, struct sf_error **err)
{
    uint8_t head[80] = {0};

    if (pread(fd, head, sizeof(head), 0) < 72 || memcmp(head, "QFI\xfb", 4) != 0)
        return is_none(path, "qcow2", err);
    if (be(head + 8) != 0 || (head[7] >= 3 && (head[79] & 4) != 0))
        return needs_another(path, err);
    *ret = be(head + 24);
    return true;
}

/* The last 512 bytes, which an image that grows has at its beginning, too: size at 48, kind at 60.
 */
static bool vpc_size(int fd, const char *path, uint64_t *ret, struct sf_error **err)
{
    uint8_t foot[512];
    uint64_t size;

    if (!raw_size(fd, path, &size, err))
        return false;
    if (size < sizeof(foot) || !read_at(fd, foot, sizeof(foot), 0) ||
        (memcmp(foot, "conectix", 8) != 0 &&
         (!read_at(fd, foot, sizeof(foot), size - sizeof(foot)) ||
          memcmp(foot, "conectix", 8) != 0)))
        return is_none(path, "vhd", err);
    if (foot[63] == 4)
        return needs_another(path, err);
    *ret = be(foot + 48);
    return true;
}

/* Finds @guid in a table of entries of 32 bytes. NULL: it is not there. */
static const uint8_t *entry_of(const uint8_t *entries, uint64_t n, uint64_t most,
                               const char guid[16])
{
    for (uint64_t i = 0; i < n && i < most; i++)
        if (memcmp(entries + 32 * i, guid, 16) == 0)
            return entries + 32 * i;
    return NULL;
}

/* The table of regions at 192 KiB says where the metadata are, and they where the size is. */
static bool vhdx_size(int fd, const char *path, uint64_t *ret, struct sf_error **err)
{
    static const char metadata[] =
        "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
    static const char virtual_size[] =
        "\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8";
    uint8_t table[4096], size[8];
    const uint8_t *entry;

    if (!read_at(fd, table, 8, 0) || memcmp(table, "vhdxfile", 8) != 0 ||
        !read_at(fd, table, sizeof(table), 192 * 1024) || memcmp(table, "regi", 4) != 0)
        return is_none(path, "vhdx", err);
    entry = entry_of(table + 16, le(table + 8, 4), 127, metadata);
    uint64_t region = entry != NULL ? le(entry + 16, 8) : 0;
    if (entry == NULL || !read_at(fd, table, sizeof(table), region) ||
        memcmp(table, "metadata", 8) != 0)
        return is_none(path, "vhdx", err);
    entry = entry_of(table + 32, le(table + 10, 2), 127, virtual_size);
    if (entry == NULL || !read_at(fd, size, sizeof(size), region + le(entry + 16, 4)))
        return is_none(path, "vhdx", err);
    *ret = le(size, 8);
    return true;
}

bool image_size(int fd, unsigned format, const char *path, uint64_t *ret, struct sf_error **err)
{
    *ret = 0;
    switch (format) {
    case DISK_FORMAT_QCOW2:
        return qcow2_size(fd, path, ret, err);
    case DISK_FORMAT_VPC:
        return vpc_size(fd, path, ret, err);
    case DISK_FORMAT_VHDX:
        return vhdx_size(fd, path, ret, err);
    default:
        return raw_size(fd, path, ret, err);
    }
}
