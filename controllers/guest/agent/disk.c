/* Disks: found by their SCSI address, mounted, let go. All of it runs in a job's child. */
#include "guest/agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_MAX     16
#define APPEAR_MS     10000
#define RESCAN_AT_MS  500
#define LOOK_EVERY_MS 2

/* A SCSI host with the path of its PCI device, which gives the order of the controllers. */
struct scsi_host {
    int number;
    char path[PATH_MAX];
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct scsi_host *)a)->path, ((const struct scsi_host *)b)->path);
}

/* The number of the SCSI host that is the N-th virtio-scsi controller by PCI address; -1: none. */
static int find_host(uint32_t controller)
{
    static struct scsi_host hosts[HOSTS_MAX];
    size_t n = 0;
    DIR *dir = opendir("/sys/class/scsi_host");
    if (dir == NULL)
        return -1;

    for (struct dirent *entry; n < HOSTS_MAX && (entry = readdir(dir)) != NULL;) {
        char link[300];
        snprintf(link, sizeof(link), "/sys/class/scsi_host/%s", entry->d_name);
        if (sscanf(entry->d_name, "host%d", &hosts[n].number) == 1 &&
            realpath(link, hosts[n].path) != NULL && strstr(hosts[n].path, "/virtio") != NULL) {
            *strstr(hosts[n].path, "/virtio") = '\0';
            n++;
        }
    }
    closedir(dir);
    qsort(hosts, n, sizeof(hosts[0]), by_path);
    return controller < n ? hosts[controller].number : -1;
}

static void wait_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static bool first_entry(const char *path, const char *prefix, char *ret, size_t room)
{
    DIR *dir = opendir(path);
    bool found = false;

    if (dir == NULL)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            found = snprintf(ret, room, "%s", entry->d_name) < (int)room;
    closedir(dir);
    return found;
}

static bool device_there(int host, uint32_t lun, uint64_t partition, char ret[NAME_MAX])
{
    char path[PATH_MAX], disk[64];

    snprintf(path, sizeof(path), "/sys/class/scsi_device/%d:0:0:%u/device/block", host, lun);
    if (!first_entry(path, "sd", disk, sizeof(disk)))
        return false;
    if (partition == 0)
        snprintf(ret, NAME_MAX, "/dev/%s", disk);
    else
        snprintf(ret, NAME_MAX, "/dev/%s%llu", disk, (unsigned long long)partition);
    return access(ret, F_OK) == 0;
}

static bool find_device(uint32_t controller, uint32_t lun, uint64_t partition, char ret[NAME_MAX],
                        struct outcome *o)
{
    modules_load("disk");
    for (long waited = 0; waited < APPEAR_MS; waited += LOOK_EVERY_MS) {
        int host = find_host(controller);
        if (host >= 0 && device_there(host, lun, partition, ret))
            return true;
        if (host >= 0 && waited == RESCAN_AT_MS) {
            char path[64], line[32];
            snprintf(path, sizeof(path), "/sys/class/scsi_host/host%d/scan", host);
            int size = snprintf(line, sizeof(line), "0 0 %u", lun);
            write_file(path, line, (size_t)size);
        }
        wait_ms(LOOK_EVERY_MS);
    }
    return fail(o, AGENT_NOT_FOUND,
                "disk %u:%u partition %llu did not appear in the guest within %d s; see whether "
                "the disk has that partition",
                controller, lun, (unsigned long long)partition, APPEAR_MS / 1000);
}

/* What file system a device holds, by its magic; NULL: none that is known. */
static const char *signature(const char *device)
{
    static uint8_t head[2048];
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head), 0) : -1;

    if (fd >= 0)
        close(fd);
    if (n != (ssize_t)sizeof(head))
        return NULL;
    if (memcmp(head, "hsqs", 4) == 0)
        return "squashfs";
    if (memcmp(head, "XFSB", 4) == 0)
        return "xfs";
    if (memcmp(head + 1024, "\xe2\xe1\xf5\xe0", 4) == 0)
        return "erofs";
    if (head[1080] == 0x53 && head[1081] == 0xef)
        return "ext4";
    return NULL;
}

/* Only a disk whose first 2 KiB are zero is nobody's: anything else might be somebody's data. */
static bool blank(const char *device)
{
    static uint8_t head[2048];
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head), 0) : -1;

    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n; i++)
        if (head[i] != 0)
            return false;
    return n == (ssize_t)sizeof(head);
}

static bool make_filesystem(const char *device, const char *type, struct outcome *o)
{
    if (type[0] != '\0' && strcmp(type, "ext4") != 0)
        return fail(o, AGENT_UNIMPLEMENTED,
                    "no file system '%s' can be made in the guest; use ext4", type);
    if (!blank(device))
        return fail(o, AGENT_FAILED_PRECONDITION,
                    "%s holds something that is no file system the guest knows; not overwriting it",
                    device);

    pid_t pid = fork();
    if (pid == 0) {
        execl("/sbin/mkfs.ext4", "mkfs.ext4", "-q", "-F", "-E",
              "lazy_itable_init=1,lazy_journal_init=1", device, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fail(o, AGENT_UNAVAILABLE, "mkfs.ext4 on %s ended with status %d; is the disk large "
                    "enough?", device, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return true;
}

/* Mount options that are flags of mount(2); the rest goes to the file system. */
static const struct {
    const char *name;
    unsigned long flag;
} option_flags[] = {
    {"ro", MS_RDONLY},       {"rw", 0},           {"nosuid", MS_NOSUID}, {"nodev", MS_NODEV},
    {"noexec", MS_NOEXEC},   {"sync", MS_SYNCHRONOUS}, {"noatime", MS_NOATIME},
    {"nodiratime", MS_NODIRATIME}, {"relatime", MS_RELATIME},
};

static unsigned long mount_flags(const Sandferry__V1__AgentMountDisk *r, char *data, size_t room)
{
    unsigned long flags = r->read_only ? MS_RDONLY : 0;

    data[0] = '\0';
    for (size_t i = 0; i < r->n_options; i++) {
        size_t k = 0, n = sizeof(option_flags) / sizeof(option_flags[0]);
        while (k < n && strcmp(option_flags[k].name, r->options[i]) != 0)
            k++;
        if (k < n)
            flags |= option_flags[k].flag;
        else if (strlen(data) + strlen(r->options[i]) + 2 < room)
            sprintf(data + strlen(data), "%s%s", data[0] != '\0' ? "," : "", r->options[i]);
    }
    return flags;
}

static bool mounted(const char *path)
{
    struct stat at, above;
    char parent[PATH_MAX];

    snprintf(parent, sizeof(parent), "%s/..", path);
    return stat(path, &at) == 0 && stat(parent, &above) == 0 && at.st_dev != above.st_dev;
}

static bool mount_device(const Sandferry__V1__AgentMountDisk *r, const char *device,
                         struct outcome *o)
{
    char data[1024];
    unsigned long flags = mount_flags(r, data, sizeof(data));
    const char *found = signature(device);

    if (found == NULL && r->ensure_filesystem && !r->read_only) {
        if (!make_filesystem(device, r->filesystem, o))
            return false;
        found = "ext4";
    }
    const char *type = r->filesystem[0] != '\0' ? r->filesystem : found;
    if (type == NULL)
        return fail(o, AGENT_FAILED_PRECONDITION,
                    "disk %u:%u holds no file system that the guest knows (squashfs, erofs, ext4, "
                    "xfs); make one, or ask for ensure_filesystem", r->controller, r->lun);
    if (!make_directories(r->guest_path))
        return fail(o, AGENT_UNAVAILABLE, "'%s': %s", r->guest_path, strerror(errno));
    modules_load(type);
    if (mount(device, r->guest_path, type, flags, data) < 0)
        return fail(o, AGENT_FAILED_PRECONDITION,
                    "disk %u:%u: mount of %s (%s) on '%s' with options '%s': %s", r->controller,
                    r->lun, device, type, r->guest_path, data, strerror(errno));
    return true;
}

bool disk_mount(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentMountDisk *r = request;
    char device[NAME_MAX];

    if (r->encrypted)
        return fail(o, AGENT_UNIMPLEMENTED, "this guest image has no disk encryption");
    if (!r->block_device && !path_beneath(r->guest_path, MOUNTS_DIR))
        return fail(o, AGENT_INVALID_ARGUMENT, "'%s' is not beneath " MOUNTS_DIR, r->guest_path);
    if (!r->block_device && mounted(r->guest_path))
        return snprintf(o->message, sizeof(o->message), "%s", r->guest_path) >= 0;
    if (!find_device(r->controller, r->lun, r->partition, device, o))
        return false;
    if (!r->block_device && !mount_device(r, device, o))
        return false;
    /* With code 0 the text is the answer: see request.c. */
    snprintf(o->message, sizeof(o->message), "%s", r->block_device ? device : r->guest_path);
    return true;
}

bool disk_unmount(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentUnmountDisk *r = request;

    if (!path_beneath(r->guest_path, MOUNTS_DIR))
        return fail(o, AGENT_INVALID_ARGUMENT, "'%s' is not beneath " MOUNTS_DIR, r->guest_path);
    if (umount2(r->guest_path, UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return fail(o, AGENT_FAILED_PRECONDITION, "unmount of '%s': %s; see what uses it",
                    r->guest_path, strerror(errno));
    rmdir(r->guest_path);
    return true;
}

bool disk_eject(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentEjectDisk *r = request;
    char path[PATH_MAX];
    int host = find_host(r->controller);

    if (host < 0)
        return true;
    snprintf(path, sizeof(path), "/sys/class/scsi_device/%d:0:0:%u/device/delete", host, r->lun);
    if (!write_file(path, "1", 1) && errno != ENOENT)
        return fail(o, AGENT_UNAVAILABLE, "disk %u:%u: %s", r->controller, r->lun, strerror(errno));
    return true;
}
