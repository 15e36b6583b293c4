/* A disk's file on the host, and the disk in the VM. */
#include "scsi/scsi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "sandferry/v1/snapshot.pb-c.h"

#define REMOVE_MS 10000

/* QEMU's names of what a file or a device is, and of how it is laid out. */
static const char *const protocols[] = {
    [SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_VIRTUAL_DISK] = "file",
    [SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_PASS_THRU] = "host_device",
};
static const char *const formats[] = {
    [SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_RAW] = "raw",
    [SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_QCOW2] = "qcow2",
    [SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_VPC] = "vpc",
    [SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_VHDX] = "vhdx",
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int open_disk(const struct disk *d, struct sf_error **err)
{
    return sf_path_open(d->config.path, d->config.read_only ? O_RDONLY : O_RDWR, err);
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
        type = SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_VIRTUAL_DISK;
    else if (S_ISBLK(at.st_mode))
        type = SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_PASS_THRU;
    else
        return sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s' is neither a file nor a block device",
                       d->config.path);
    if (d->config.type != 0 && d->config.type != type)
        return sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s' is a %s; ask for it as one",
                       d->config.path, S_ISREG(at.st_mode) ? "file" : "block device");
    d->config.type = type;
    d->device = S_ISBLK(at.st_mode) ? at.st_rdev : at.st_dev;
    d->inode = S_ISBLK(at.st_mode) ? 0 : at.st_ino;
    return true;
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
    *ret_size = S_ISREG(at.st_mode) ? (uint64_t)at.st_size : 0;
    *ret_modified_ns = S_ISREG(at.st_mode)
                           ? (int64_t)at.st_mtim.tv_sec * 1000000000 + at.st_mtim.tv_nsec
                           : 0;
    return true;
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
    bool ok = machine != NULL &&
              (text != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for '%s'", command)) &&
              machine->execute(owner, command, text, NULL, err);

    json_decref(arguments);
    free(text);
    return ok;
}

static bool add_block(struct scsi *s, const struct disk *d, const char *id, struct sf_error **err)
{
    char file[32];

    snprintf(file, sizeof(file), "/dev/fdset/%u", d->fd_set);
    return execute(s, "blockdev-add",
                   json_pack("{s:s, s:s, s:b, s:{s:s, s:s}}", "driver", formats[d->config.format],
                             "node-name", id, "read-only", d->config.read_only, "file", "driver",
                             protocols[d->config.type], "filename", file),
                   err);
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

static bool remove_block(struct scsi *s, const char *id, struct sf_error **err)
{
    return execute(s, "blockdev-del", json_pack("{s:s}", "node-name", id), err);
}

/* What has been done is taken back; errors on that way add nothing. */
static void forget(struct sf_error *err)
{
    sf_error_free(err);
}

bool attach_disk(struct scsi *s, struct disk *d, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int fd = open_disk(d, err);
    struct sf_controller *owner;
    const struct sf_machine_offer *machine = machine_of(s, &owner, err);
    struct sf_error *ignored = NULL;
    char id[32], name[16];

    if (fd < 0 || machine == NULL)
        return false;
    snprintf(id, sizeof(id), "disk-%u", d->slot);
    disk_name(d, name);
    if (!machine->add_fd(owner, fd, &d->fd_set, err))
        return sf_fail_in(err, "disk '%s' ('%s')", name, d->config.path);
    bool block = add_block(s, d, id, err);
    if (block && add_device(s, d, id, err))
        return true;
    sf_fail_in(err, "disk '%s' ('%s')", name, d->config.path);
    if (block && !remove_block(s, id, &ignored))
        forget(ignored);
    ignored = NULL;
    if (!machine->remove_fd(owner, d->fd_set, &ignored))
        forget(ignored);
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
    if (!remove_block(s, id, err)) {
        bool gone = sf_error_code(*err) == SF_FAILED_PRECONDITION &&
                    strstr(sf_error_message(*err), "Failed to find node") != NULL;
        if (!gone)
            return sf_fail_in(err, "disk '%s' ('%s')", name, d->config.path);
        sf_error_free(*err);
        *err = NULL;
    }
    struct sf_error *ignored = NULL; /* the set goes with the last block node that uses it */
    if (!machine->remove_fd(owner, d->fd_set, &ignored))
        forget(ignored);
    return true;
}
