/*
 * What a clone writes to its disks. Others run from the same files, so a disk that the guest may
 * write to becomes the base of an overlay, a qcow2 image in the clone's own directory, unless a
 * patch has given the clone a disk of its own. The overlay's head names no base: it is said when it
 * is opened, and so nobody who finds the file is led to another.
 */
#include "scsi/scsi.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLUSTER      UINT64_C(65536)
#define HEAD_SIZE    104 /* of version 3 */
#define ENTRY_SIZE   8
#define L2_COVERS    (CLUSTER / ENTRY_SIZE * CLUSTER) /* bytes of the disk by one table */
#define REFCOUNTS_AT CLUSTER                          /* the table of blocks; one cluster */
#define REFBLOCK_AT  (2 * CLUSTER) /* the first block, 32,768 counts of 2 bytes */
#define L1_AT        (3 * CLUSTER)
#define L1_MAX       (UINT64_C(4) << 20) /* 256 TiB of disk */

static void put32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
}

static bool write_at(int fd, const void *data, size_t size, uint64_t offset, struct sf_error **err)
{
    return pwrite(fd, data, size, (off_t)offset) == (ssize_t)size ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "an overlay cannot be written: %s", strerror(errno));
}

static void fill_head(uint8_t head[HEAD_SIZE], uint64_t size_bytes, uint64_t n_l1)
{
    memcpy(head, "QFI\xfb", 4);
    put32(head + 4, 3);
    put32(head + 20, 16); /* bits of a cluster */
    put64(head + 24, size_bytes);
    put32(head + 36, (uint32_t)n_l1);
    put64(head + 40, L1_AT);
    put64(head + 48, REFCOUNTS_AT);
    put32(head + 56, 1); /* clusters of the table */
    put32(head + 96, 4); /* counts have 2^4 bits */
    put32(head + 100, HEAD_SIZE);
}

bool overlay_format(int fd, uint64_t size_bytes, struct sf_error **err)
{
    uint64_t n_l1 = (size_bytes + L2_COVERS - 1) / L2_COVERS;
    uint64_t l1_clusters = (n_l1 * ENTRY_SIZE + CLUSTER - 1) / CLUSTER;
    uint64_t n = 3 + (l1_clusters == 0 ? 1 : l1_clusters);
    uint8_t head[HEAD_SIZE + ENTRY_SIZE] = {0}, entry[ENTRY_SIZE];

    if (n_l1 * ENTRY_SIZE > L1_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "a disk of %llu bytes is too large for a clone",
                       (unsigned long long)size_bytes);
    fill_head(head, size_bytes, n_l1);
    put64(entry, REFBLOCK_AT);
    if (ftruncate(fd, (off_t)(n * CLUSTER)) != 0)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "an overlay cannot be made: %s",
                       strerror(errno));
    if (!write_at(fd, head, sizeof(head), 0, err) ||
        !write_at(fd, entry, sizeof(entry), REFCOUNTS_AT, err))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        static const uint8_t one[2] = {0, 1};
        if (!write_at(fd, one, sizeof(one), REFBLOCK_AT + 2 * i, err))
            return false;
    }
    return true;
}

bool overlay_wanted(const struct scsi *s, const struct disk *d)
{
    return sf_sandbox_is_clone(s->base.sandbox) && !d->config.read_only && !d->patched;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

bool overlay_make(struct scsi *s, struct disk *d, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *machine =
        sf_sandbox_offer(s->base.sandbox, SF_MACHINE_OFFER, &owner);
    char name[32];
    uint64_t size;
    int64_t modified_ns;

    if (machine == NULL ||
        machine->size <
            offsetof(struct sf_machine_offer, clone_file) + sizeof(machine->clone_file) ||
        machine->clone_file == NULL)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the machine has no files for a clone: patch the disk");
    if (!stat_disk(d, &size, &modified_ns, err))
        return false;
    snprintf(name, sizeof(name), "disk-%u.qcow2", d->slot);
    SF_CLEANUP(close_fd) int fd = machine->clone_file(owner, name, err);
    return fd >= 0 && overlay_format(fd, size, err) &&
           machine->add_fd(owner, fd, &d->overlay_set, err);
}
