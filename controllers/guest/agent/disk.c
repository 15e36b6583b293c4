#include "guest/agent/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/crypt.h"
#include "guest/agent/files.h"
#include "guest/agent/kernel_log.h"
#include "guest/agent/modules.h"
#include "guest/agent/options.h"
#include "guest/agent/program.h"
#include "guest/agent/scsi.h"
#include "guest/agent/signature.h"
#include "sandferry/v1/agent.pb-c.h"

typedef Sandferry__V1__AgentMountDisk MountDisk;

static bool read_signature(const MountDisk *r, const char *device, struct signature *ret,
                           struct outcome *o)
{
    static uint8_t head[SIGNATURE_HEAD];
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head), 0) : -1;

    if (n < 0)
        outcome_fail(o, SF_UNAVAILABLE, "disk %u:%u cannot be read: %s: %s", r->controller, r->lun,
                     device, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    *ret = signature_of(head, (size_t)n);
    return true;
}

static const char *wanted_filesystem(const MountDisk *r)
{
    return r->filesystem[0] != '\0' ? r->filesystem : "ext4";
}

static bool can_make(const char *filesystem)
{
    return strcmp(filesystem, "ext4") == 0 || strcmp(filesystem, "xfs") == 0;
}

/* The file system that is on the device, or that may be made there. */
static bool judge(const MountDisk *r, const struct signature *found, struct outcome *o)
{
    bool makes = found->kind == SIGNATURE_NONE && r->ensure_filesystem;

    if (!makes && found->kind != SIGNATURE_FILESYSTEM)
        return outcome_fail(o, SF_FAILED_PRECONDITION,
                            "disk %u:%u, partition %" PRIu64
                            ", holds %s and no file system that the guest "
                            "knows (ext4, xfs, squashfs, erofs): %s",
                            r->controller, r->lun, r->partition, found->name,
                            !r->ensure_filesystem ? "make one, or ask for ensure_filesystem"
                            : found->kind == SIGNATURE_UNKNOWN ? "wipe it if nobody needs it"
                                                               : "use a blank disk");
    if (makes && r->read_only)
        return outcome_fail(
            o, SF_INVALID_ARGUMENT,
            "disk %u:%u is blank and read-only: ensure_filesystem needs a writable disk",
            r->controller, r->lun);
    if (makes && !can_make(wanted_filesystem(r)))
        return outcome_fail(o, SF_UNIMPLEMENTED,
                            "the guest can make ext4 and xfs, not '%.64s', on disk %u:%u",
                            r->filesystem, r->controller, r->lun);
    if (!makes && r->filesystem[0] != '\0' && strcmp(r->filesystem, found->name) != 0)
        return outcome_fail(o, SF_FAILED_PRECONDITION, "disk %u:%u has %s, not '%.64s'",
                            r->controller, r->lun, found->name, r->filesystem);
    return true;
}

static bool make_filesystem(const MountDisk *r, const char *device, struct outcome *o)
{
    char words[512];
    /* What is not written now the kernel writes later, while the disk is in use. */
    char *ext4[] = {(char *)"/usr/bin/mkfs.ext4",
                    (char *)"-q",
                    (char *)"-F",
                    (char *)"-E",
                    (char *)"lazy_itable_init=1,lazy_journal_init=1",
                    (char *)(uintptr_t)device,
                    NULL};
    char *xfs[] = {(char *)"/usr/bin/mkfs.xfs", (char *)"-q", (char *)"-f",
                   (char *)(uintptr_t)device, NULL};
    const char *wanted = wanted_filesystem(r);

    if (program_run(strcmp(wanted, "xfs") == 0 ? xfs : ext4, NULL, words, sizeof(words)))
        return true;
    return outcome_fail(o, SF_FAILED_PRECONDITION, "mkfs.%s on disk %u:%u: %s", wanted,
                        r->controller, r->lun, words);
}

/* Something that can be told to be somebody's is not overwritten; what cannot may have been
 * encrypted with a key that is gone. */
static bool judge_encrypted(const MountDisk *r, const char *device, struct outcome *o)
{
    struct signature found;

    if (!read_signature(r, device, &found, o))
        return false;
    if (found.kind == SIGNATURE_FILESYSTEM || found.kind == SIGNATURE_OTHER)
        return outcome_fail(o, SF_FAILED_PRECONDITION,
                            "disk %u:%u, partition %" PRIu64
                            ", holds %s, which encrypting it would "
                            "destroy: wipe it if nobody needs it",
                            r->controller, r->lun, r->partition, found.name);
    if (!can_make(wanted_filesystem(r)))
        return outcome_fail(o, SF_UNIMPLEMENTED,
                            "the guest can make ext4 and xfs, not '%.64s', on disk %u:%u",
                            r->filesystem, r->controller, r->lun);
    return true;
}

/* @device becomes the encrypted one, with a file system on it. */
static bool encrypt(const MountDisk *r, char device[SCSI_NAME_ROOM], struct outcome *o)
{
    char name[CRYPT_NAME_ROOM], mapped[CRYPT_DEVICE_ROOM];
    struct outcome closing = {0};

    crypt_name(r->controller, r->lun, r->partition, name);
    /* What the last attempt left half done has no file system, and nobody uses it. */
    if (!crypt_close(name, o) || !judge_encrypted(r, device, o) ||
        !crypt_open(name, device, mapped, o))
        return false;
    snprintf(device, SCSI_NAME_ROOM, "%s", mapped);
    if (r->block_device || make_filesystem(r, device, o))
        return true;
    crypt_close(name, &closing);
    return false;
}

static bool collect_options(const MountDisk *r, struct options *ret, struct outcome *o)
{
    if (r->read_only)
        ret->flags |= MS_RDONLY;
    for (size_t i = 0; i < r->n_options; i++)
        if (!options_add(ret, r->options[i]))
            return outcome_fail(o, SF_INVALID_ARGUMENT,
                                "disk %u:%u: mount option '%.64s' is empty, has a "
                                "comma, or is too long",
                                r->controller, r->lun, r->options[i]);
    if (r->read_only && (ret->flags & MS_RDONLY) == 0)
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "disk %u:%u is to be read-only: the option 'rw' cannot "
                            "be",
                            r->controller, r->lun);
    return true;
}

/* errno says why; @log is what the kernel has said since. */
static bool not_mounted(const MountDisk *r, const char *type, const struct options *options,
                        int log, struct outcome *o)
{
    int saved = errno;
    char words[400];

    kernel_log_read(log, words, sizeof(words));
    rmdir(r->guest_path);
    if (saved == EROFS)
        return outcome_fail(o, SF_FAILED_PRECONDITION,
                            "disk %u:%u can only be read: ask for it with read_only", r->controller,
                            r->lun);
    return outcome_fail(o, SF_FAILED_PRECONDITION,
                        "disk %u:%u: its %s could not be mounted on '%s' (options '%s'): %s%s%s",
                        r->controller, r->lun, type, r->guest_path, options->data, strerror(saved),
                        words[0] != '\0' ? "; the kernel says: " : "", words);
}

static bool mount_there(const MountDisk *r, const char *device, const char *type,
                        const struct options *options, struct outcome *o)
{
    if (!make_directories(r->guest_path))
        return outcome_fail(o, SF_UNAVAILABLE, "'%s': %s", r->guest_path, strerror(errno));

    modules_load(type);
    int log = kernel_log_open();
    if (mount(device, r->guest_path, type, options->flags, options->data) < 0)
        return not_mounted(r, type, options, log, o);
    if (log >= 0)
        close(log);
    return true;
}

/* A repeat finds its own mount. */
static bool is_mounted(const MountDisk *r, const char *device, bool *ret, struct outcome *o)
{
    struct stat at, of;

    *ret = is_mount_point(r->guest_path);
    if (!*ret)
        return true;
    if (stat(r->guest_path, &at) == 0 && stat(device, &of) == 0 && at.st_dev == of.st_rdev)
        return true;
    return outcome_fail(o, SF_ALREADY_EXISTS, "another disk is mounted on '%s'", r->guest_path);
}

static bool check_request(const MountDisk *r, struct options *ret, struct outcome *o)
{
    if (r->encrypted && r->read_only)
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "disk %u:%u: nobody could ever write to what is encrypted and "
                            "read-only, and its key is new: unset one of the two",
                            r->controller, r->lun);
    if (!r->block_device && !path_beneath(r->guest_path, RUN_DIR))
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "disk %u:%u: '%s' is no mount point beneath " RUN_DIR, r->controller,
                            r->lun, r->guest_path);
    return collect_options(r, ret, o);
}

/* The device that is to be mounted, or given, and the file system on it. */
static bool open_device(const MountDisk *r, char device[SCSI_NAME_ROOM], const char **ret_type,
                        struct outcome *o)
{
    struct signature found;

    *ret_type = wanted_filesystem(r);
    if (r->encrypted)
        return encrypt(r, device, o);
    if (r->block_device)
        return true;
    if (!read_signature(r, device, &found, o) || !judge(r, &found, o))
        return false;
    if (found.kind == SIGNATURE_NONE)
        return make_filesystem(r, device, o);
    *ret_type = found.name;
    return true;
}

/* A repeat finds what it has done. */
static bool is_done(const MountDisk *r, char device[SCSI_NAME_ROOM], bool *ret, struct outcome *o)
{
    char name[CRYPT_NAME_ROOM], mapped[CRYPT_DEVICE_ROOM];

    *ret = false;
    crypt_name(r->controller, r->lun, r->partition, name);
    if (r->encrypted && crypt_find(name, mapped)) {
        snprintf(device, SCSI_NAME_ROOM, "%s", mapped);
        *ret = r->block_device;
    }
    return r->block_device || is_mounted(r, device, ret, o);
}

bool disk_mount(const void *request, struct outcome *o)
{
    const MountDisk *r = request;
    struct options options = {0};
    char device[SCSI_NAME_ROOM], beneath[SCSI_NAME_ROOM];
    const char *type;
    bool done;

    if (!check_request(r, &options, o) ||
        !scsi_wait(r->controller, r->lun, r->partition, device, o))
        return false;
    memcpy(beneath, device, sizeof(beneath));
    if (!is_done(r, device, &done, o))
        return false;
    if (!done) {
        memcpy(device, beneath, sizeof(device));
        if (!open_device(r, device, &type, o) ||
            (!r->block_device && !mount_there(r, device, type, &options, o)))
            return false;
    }
    snprintf(o->text, sizeof(o->text), "%s", r->block_device ? device : r->guest_path);
    return true;
}

bool disk_unmount(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentUnmountDisk *r = request;

    if (!path_beneath(r->guest_path, RUN_DIR))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%s' is no mount point beneath " RUN_DIR,
                            r->guest_path);
    if (umount2(r->guest_path, UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return outcome_fail(o, SF_FAILED_PRECONDITION,
                            "'%s' cannot be unmounted: %s; delete the containers that use it first",
                            r->guest_path, strerror(errno));
    rmdir(r->guest_path);
    char name[CRYPT_NAME_ROOM];
    return !crypt_name_of_path(r->guest_path, name) || crypt_close(name, o);
}

/* The mount point that a disk, or a partition of it, is mounted on. */
static bool find_mount(const char *disk, char *ret, size_t room)
{
    char line[2 * PATH_MAX], source[PATH_MAX], target[PATH_MAX];
    size_t size = strlen(disk);
    bool found = false;
    FILE *mounts = fopen("/proc/self/mounts", "re");

    if (mounts == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), mounts) != NULL)
        if (sscanf(line, "/dev/%4000s %4000s", source, target) == 2 &&
            strncmp(source, disk, size) == 0 &&
            strspn(source + size, "0123456789") == strlen(source + size))
            found = snprintf(ret, room, "%s", target) > 0;
    fclose(mounts);
    return found;
}

/* A file system holds its disk exclusively, even one whose mount point is gone, but which is a
 * layer of a container. */
static bool in_use(const char *disk)
{
    char device[SCSI_NAME_ROOM + 8];

    snprintf(device, sizeof(device), "/dev/%s", disk);
    int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
    if (fd < 0)
        return errno == EBUSY;
    close(fd);
    return false;
}

bool disk_eject(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentEjectDisk *r = request;
    char disk[SCSI_NAME_ROOM], path[PATH_MAX];
    int host = scsi_host_of("/sys", r->controller);

    if (host < 0 || !scsi_disk_of("/sys", host, r->lun, disk))
        return true;
    if (find_mount(disk, path, sizeof(path)))
        return outcome_fail(o, SF_FAILED_PRECONDITION,
                            "disk %u:%u is mounted on '%.400s' in the guest: unmount it first",
                            r->controller, r->lun, path);
    if (!crypt_close_disk(r->controller, r->lun, o))
        return false;
    if (in_use(disk))
        return outcome_fail(
            o, SF_FAILED_PRECONDITION,
            "disk %u:%u is a layer of a container in the guest: delete the container first",
            r->controller, r->lun);
    return scsi_delete(r->controller, r->lun, o);
}
