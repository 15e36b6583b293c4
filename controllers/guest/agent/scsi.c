#include "guest/agent/scsi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/modules.h"

#define HOSTS_MAX     32
#define APPEAR_MS     10000
#define PARTITION_MS  1000 /* after its disk, which the kernel has read by then */
#define RESCAN_MS     500  /* if the kernel has not said by itself that there is a new disk */
#define LOOK_EVERY_MS 2

struct host {
    int number;
    char pci[PATH_MAX]; /* path of its PCI device */
};

static int by_pci(const void *a, const void *b)
{
    return strcmp(((const struct host *)a)->pci, ((const struct host *)b)->pci);
}

int scsi_host_of(const char *sys, uint32_t controller)
{
    static struct host hosts[HOSTS_MAX];
    char path[PATH_MAX];
    size_t n = 0;

    snprintf(path, sizeof(path), "%s/class/scsi_host", sys);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -1;
    for (struct dirent *entry; n < HOSTS_MAX && (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof(path), "%s/class/scsi_host/%s", sys, entry->d_name);
        if (sscanf(entry->d_name, "host%d", &hosts[n].number) != 1 ||
            realpath(path, hosts[n].pci) == NULL)
            continue;
        char *virtio = strstr(hosts[n].pci, "/virtio");
        if (virtio == NULL)
            continue; /* not one of ours */
        *virtio = '\0';
        n++;
    }
    closedir(dir);
    qsort(hosts, n, sizeof(hosts[0]), by_pci);
    return controller < n ? hosts[controller].number : -1;
}

bool scsi_disk_of(const char *sys, int host, uint32_t lun, char ret[SCSI_NAME_ROOM])
{
    char path[PATH_MAX];
    bool found = false;

    snprintf(path, sizeof(path), "%s/class/scsi_device/%d:0:0:%" PRIu32 "/device/block", sys, host,
             lun);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, "sd", 2) == 0 && strlen(entry->d_name) < SCSI_NAME_ROOM)
            found = snprintf(ret, SCSI_NAME_ROOM, "%s", entry->d_name) > 0;
    closedir(dir);
    return found;
}

static void rescan(int host, uint32_t lun)
{
    char path[64], address[32];

    snprintf(path, sizeof(path), "/sys/class/scsi_host/host%d/scan", host);
    int size = snprintf(address, sizeof(address), "0 0 %" PRIu32, lun);
    write_file(path, address, (size_t)size);
}

static void wait_a_little(void)
{
    struct timespec t = {.tv_nsec = LOOK_EVERY_MS * 1000000L};

    nanosleep(&t, NULL);
}

/* *@ret: "/dev/sda" or "/dev/sda1". */
static bool device_of(const char *disk, uint64_t partition, char ret[SCSI_NAME_ROOM])
{
    int n = partition == 0 ? snprintf(ret, SCSI_NAME_ROOM, "/dev/%s", disk)
                           : snprintf(ret, SCSI_NAME_ROOM, "/dev/%s%" PRIu64, disk, partition);
    if (n >= SCSI_NAME_ROOM)
        return false;
    /* A node that is there opens with ENXIO while the kernel still sets its disk up. */
    int fd = open(ret, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || (errno != ENXIO && errno != ENOENT);
}

bool scsi_wait(uint32_t controller, uint32_t lun, uint64_t partition, char ret[SCSI_NAME_ROOM],
               struct outcome *o)
{
    char disk[SCSI_NAME_ROOM];
    long with_disk_ms = 0;
    int host = -1;

    modules_load("disk");
    for (long waited = 0; waited < APPEAR_MS; waited += LOOK_EVERY_MS) {
        host = scsi_host_of("/sys", controller);
        if (host >= 0 && scsi_disk_of("/sys", host, lun, disk)) {
            if (device_of(disk, partition, ret))
                return true;
            with_disk_ms += LOOK_EVERY_MS;
            if (partition > 0 && with_disk_ms > PARTITION_MS)
                return outcome_fail(o, SF_NOT_FOUND,
                                    "disk %u:%u has no partition %" PRIu64
                                    "; 0 means the whole disk",
                                    controller, lun, partition);
        } else if (host >= 0 && waited % RESCAN_MS == RESCAN_MS - LOOK_EVERY_MS) {
            rescan(host, lun);
        }
        wait_a_little();
    }
    if (host < 0)
        return outcome_fail(o, SF_NOT_FOUND, "the guest has no SCSI controller %u", controller);
    return outcome_fail(
        o, SF_NOT_FOUND,
        "disk %u:%u did not appear in the guest within %d s; see whether it is plugged in",
        controller, lun, APPEAR_MS / 1000);
}

static void write_back(const char *disk)
{
    char device[SCSI_NAME_ROOM];

    if (!device_of(disk, 0, device))
        return;
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

bool scsi_delete(uint32_t controller, uint32_t lun, struct outcome *o)
{
    char path[PATH_MAX], disk[SCSI_NAME_ROOM];
    int host = scsi_host_of("/sys", controller);

    if (host < 0)
        return true;
    if (scsi_disk_of("/sys", host, lun, disk))
        write_back(disk);
    snprintf(path, sizeof(path), "/sys/class/scsi_device/%d:0:0:%" PRIu32 "/device/delete", host,
             lun);
    if (access(path, F_OK) < 0 || write_file(path, "1", 1) || errno == ENODEV)
        return true;
    return outcome_fail(o, SF_UNAVAILABLE, "disk %u:%u could not be let go: %s; try again",
                        controller, lun, strerror(errno));
}
