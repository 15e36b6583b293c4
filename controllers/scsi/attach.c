/* A disk's file on the host, and the disk in the VM. */
#include "scsi/scsi.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "scsi/image.h"

#define REMOVE_MS 10000

/* QEMU's names of what a file or a device is, and of how it is laid out. */
static const char *const protocols[] = {
    [DISK_TYPE_FILE] = "file",
    [DISK_TYPE_DEVICE] = "host_device",
};
static const char *const formats[] = {
    [DISK_FORMAT_RAW] = "raw",
    [DISK_FORMAT_QCOW2] = "qcow2",
    [DISK_FORMAT_VPC] = "vpc",
    [DISK_FORMAT_VHDX] = "vhdx",
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static bool is_read_only(const struct disk *d)
{
    return d->config.read_only || d->overlaid;
}

static int open_disk(const struct disk *d, struct sf_error **err)
{
    return sf_path_open(d->config.path, is_read_only(d) ? O_RDONLY : O_RDWR, err);
}

static dev_t device_of(const struct stat *at)
{
    return S_ISBLK(at->st_mode) ? at->st_rdev : at->st_dev;
}

static ino_t inode_of(const struct stat *at)
{
    return S_ISBLK(at->st_mode) ? 0 : at->st_ino;
}

/* The file at the path is still the one that the books, and perhaps the VM, have. */
static bool check_same(const struct disk *d, const struct stat *at, struct sf_error **err)
{
    if (d->device == 0 || (d->device == device_of(at) && d->inode == inode_of(at)))
        return true;
    return sf_fail(err, SF_FAILED_PRECONDITION,
                   "disk '%s' is not the file any more that was there when it was added; put that "
                   "one back",
                   d->config.path);
}

bool identify_disk(struct disk *d, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int fd = open_disk(d, err);
    struct stat at;
    unsigned type;

    if (fd < 0)
        return false;
    if (fstat(fd, &at) < 0)
        return sf_fail(err, SF_UNAVAILABLE, "disk '%s': %s", d->config.path, strerror(errno));
    if (S_ISREG(at.st_mode))
        type = DISK_TYPE_FILE;
    else if (S_ISBLK(at.st_mode))
        type = DISK_TYPE_DEVICE;
    else
        return sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s' is neither a file nor a block device",
                       d->config.path);
    if (d->config.type != 0 && d->config.type != type)
        return sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s' is a %s; ask for it as one",
                       d->config.path, S_ISREG(at.st_mode) ? "file" : "block device");
    d->config.type = type;
    d->device = device_of(&at);
    d->inode = inode_of(&at);
    uint64_t size;
    return image_size(fd, d->config.format, d->config.path, &size, err);
}

/* A block device has no time of its last change, but the kernel numbers all disks that there have
 * been: another one at the same place has another number. 0: the kernel does not say. */
static int64_t changed(int fd, const struct stat *at)
{
    uint64_t number = 0;

    if (!S_ISBLK(at->st_mode))
        return (int64_t)at->st_mtim.tv_sec * 1000000000 + at->st_mtim.tv_nsec;
    return ioctl(fd, BLKGETDISKSEQ, &number) == 0 ? (int64_t)number : 0;
}

bool stat_disk(const struct disk *d, uint64_t *ret_size, int64_t *ret_modified_ns,
               struct sf_error **err)
{
    SF_CLEANUP(close_fd) int fd = open_disk(d, err);
    struct stat at;

    if (fd < 0)
        return false;
    if (fstat(fd, &at) < 0)
        return sf_fail(err, SF_UNAVAILABLE, "disk '%s': %s", d->config.path, strerror(errno));
    if (!check_same(d, &at, err))
        return false;
    *ret_modified_ns = changed(fd, &at);
    return image_size(fd, d->config.format, d->config.path, ret_size, err);
}

/* ---- The VM ---- */

static const struct sf_machine_offer *machine_of(struct scsi *s, struct sf_controller **ret_owner,
                                                 struct sf_error **err)
{
    const struct sf_machine_offer *machine =
        sf_sandbox_offer(s->base.sandbox, SF_MACHINE_OFFER, ret_owner);

    if (machine == NULL)
        sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_MACHINE_OFFER);
    return machine;
}

/* Takes @arguments over. */
static bool execute(struct scsi *s, const char *command, json_t *arguments, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *machine = machine_of(s, &owner, err);
    char *text = arguments != NULL ? json_dumps(arguments, JSON_COMPACT) : NULL;
    bool ok =
        machine != NULL &&
        (text != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for '%s'", command)) &&
        machine->execute(owner, command, text, NULL, err);

    json_decref(arguments);
    free(text);
    return ok;
}

/* What opens the image. */
static json_t *block_of(const struct disk *d, const char *id)
{
    char file[32];

    snprintf(file, sizeof(file), "/dev/fdset/%u", d->fd_set);
    json_t *arguments =
        json_pack("{s:s, s:s, s:b, s:{s:s, s:s}}", "driver", formats[d->config.format], "node-name",
                  id, "read-only", is_read_only(d), "file", "driver", protocols[d->config.type],
                  "filename", file);
    /* The image does not choose what else is opened. */
    if (d->config.format == DISK_FORMAT_QCOW2)
        json_object_set_new(arguments, "backing", json_null());
    return arguments;
}

/* Of a clone: the disk under what the guest writes. */
static void base_of(const struct disk *d, char ret[32])
{
    snprintf(ret, 32, "base-%u", d->slot);
}

static bool add_overlay(struct scsi *s, struct disk *d, const char *id, struct sf_error **err)
{
    char file[32], base[32];

    base_of(d, base);
    if (!overlay_make(s, d, err) || !execute(s, "blockdev-add", block_of(d, base), err))
        return false;
    snprintf(file, sizeof(file), "/dev/fdset/%u", d->overlay_set);
    return execute(s, "blockdev-add",
                   json_pack("{s:s, s:s, s:{s:s, s:s}, s:s}", "driver", "qcow2", "node-name", id,
                             "file", "driver", "file", "filename", file, "backing", base),
                   err);
}

static bool add_block(struct scsi *s, struct disk *d, const char *id, struct sf_error **err)
{
    return d->overlaid ? add_overlay(s, d, id, err)
                       : execute(s, "blockdev-add", block_of(d, id), err);
}

/* QEMU gives no state out of a VM that has such an image open. */
static bool is_in_the_way(const struct disk *d)
{
    return !d->overlaid && /* a clone with such a disk is not saved */
           (d->config.format == DISK_FORMAT_VPC || d->config.format == DISK_FORMAT_VHDX);
}

static bool may_be_put_aside(const struct sf_machine_offer *machine, struct sf_controller *owner,
                             const struct disk *d, const char *id, struct sf_error **err)
{
    if (!is_in_the_way(d) ||
        machine->size < offsetof(struct sf_machine_offer, put_aside) + sizeof(machine->put_aside))
        return true; /* QEMU itself refuses the save then */
    SF_CLEANUP(json_decrefp) json_t *block = block_of(d, id);
    SF_CLEANUP(sf_freep) char *text = block != NULL ? json_dumps(block, JSON_COMPACT) : NULL;
    return text != NULL ? machine->put_aside(owner, id, text, err)
                        : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static void is_gone(const struct sf_machine_offer *machine, struct sf_controller *owner,
                    const struct disk *d, const char *id)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;

    if (is_in_the_way(d) &&
        machine->size >= offsetof(struct sf_machine_offer, put_aside) + sizeof(machine->put_aside))
        machine->put_aside(owner, id, NULL, &ignored);
}

static bool add_device(struct scsi *s, const struct disk *d, const char *id, struct sf_error **err)
{
    char bus[16];

    snprintf(bus, sizeof(bus), "scsi%u.0", d->slot / SCSI_LUNS);
    return execute(s, "device_add",
                   json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:s}", "driver", "scsi-hd", "id", id,
                             "bus", bus, "channel", 0, "scsi-id", 0, "lun",
                             (int)(d->slot % SCSI_LUNS), "drive", id),
                   err);
}

/* One that is not there is no error. */
static bool remove_block(struct scsi *s, const char *id, struct sf_error **err)
{
    if (execute(s, "blockdev-del", json_pack("{s:s}", "node-name", id), err))
        return true;
    if (sf_error_code(*err) != SF_FAILED_PRECONDITION ||
        strstr(sf_error_message(*err), "Failed to find node") == NULL)
        return false;
    sf_error_free(*err);
    *err = NULL;
    return true;
}

static bool remove_blocks(struct scsi *s, const struct disk *d, const char *id,
                          struct sf_error **err)
{
    char base[32];

    base_of(d, base);
    return remove_block(s, id, err) && (!d->overlaid || remove_block(s, base, err));
}

bool attach_disk(struct scsi *s, struct disk *d, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int fd = open_disk(d, err);
    struct sf_controller *owner;
    const struct sf_machine_offer *machine = machine_of(s, &owner, err);
    char id[32], name[16];
    struct stat at;

    if (fd < 0 || machine == NULL)
        return false;
    if (fstat(fd, &at) < 0)
        return sf_fail(err, SF_UNAVAILABLE, "disk '%s': %s", d->config.path, strerror(errno));
    if (!check_same(d, &at, err))
        return false;
    snprintf(id, sizeof(id), "disk-%u", d->slot);
    disk_name(d, name);
    if (!machine->add_fd(owner, fd, &d->fd_set, err))
        return sf_fail_in(err, "disk '%s' ('%s')", name, d->config.path);
    if (add_block(s, d, id, err) && add_device(s, d, id, err) &&
        may_be_put_aside(machine, owner, d, id, err))
        return true;
    sf_fail_in(err, "disk '%s' ('%s')", name, d->config.path);
    /* An answer may have been lost: QEMU is asked for all of it. What stays is taken out by the
     * release, and the slot is not given away before. */
    struct sf_error *left = NULL;
    d->leftover = !detach_disk(s, d, &left);
    sf_error_free(left);
    return false;
}

/* May be repeated: what is gone already is no error. */
bool detach_disk(struct scsi *s, struct disk *d, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *machine = machine_of(s, &owner, err);
    char id[32], name[16];

    if (machine == NULL)
        return false;
    snprintf(id, sizeof(id), "disk-%u", d->slot);
    disk_name(d, name);
    if (!machine->remove_device(owner, id, REMOVE_MS, err))
        return sf_fail_in(err, "disk '%s' ('%s')", name, d->config.path);
    is_gone(machine, owner, d, id);
    if (!remove_blocks(s, d, id, err))
        return sf_fail_in(err, "disk '%s' ('%s')", name, d->config.path);
    struct sf_error *gone = NULL; /* the set goes with the last block node that uses it */
    machine->remove_fd(owner, d->fd_set, &gone);
    sf_error_free(SF_STEAL(gone));
    if (d->overlaid)
        machine->remove_fd(owner, d->overlay_set, &gone);
    sf_error_free(gone);
    d->leftover = false;
    return true;
}
