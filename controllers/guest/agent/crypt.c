/* The device mapper is asked by its ioctls (linux/dm-ioctl.h): the image needs no program for it.
 */
#include "guest/agent/crypt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/modules.h"

#define KEY_SIZE   64 /* two keys of AES-256, as XTS wants */
#define CONTROL    "/dev/mapper/control"
#define NODE_MS    5000
#define NODE_EVERY 5

/* A request with room for what follows its head. */
struct request {
    struct dm_ioctl head;
    char data[1024];
};

static struct request *request_for(struct request *r, const char *name)
{
    *r = (struct request){.head = {.version = {DM_VERSION_MAJOR, 0, 0},
                                   .data_size = sizeof(*r),
                                   .data_start = offsetof(struct request, data)}};
    snprintf(r->head.name, sizeof(r->head.name), "%s", name);
    return r;
}

static int ask(unsigned long command, struct request *r)
{
    int fd = open(CONTROL, O_RDWR | O_CLOEXEC);
    int result = fd < 0 ? -1 : ioctl(fd, command, r);
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    return result;
}

void crypt_name(uint32_t controller, uint32_t lun, uint64_t partition, char ret[CRYPT_NAME_ROOM])
{
    snprintf(ret, CRYPT_NAME_ROOM, "sf-%u_%u_%" PRIu64, controller % 100, lun % 1000,
             partition % 1000000);
}

bool crypt_name_of_path(const char *guest_path, char ret[CRYPT_NAME_ROOM])
{
    static const char folder[] = "/scsi/";
    const char *last = strrchr(guest_path, '/');
    unsigned controller, lun;
    uint64_t partition;
    int end = -1;

    if (last == NULL || last - guest_path < (ptrdiff_t)sizeof(folder) - 2 ||
        strncmp(last + 2 - sizeof(folder), folder, sizeof(folder) - 1) != 0 ||
        sscanf(last + 1, "%3u_%3u_%6" SCNu64 "%n", &controller, &lun, &partition, &end) != 3 ||
        end < 0 || last[1 + end] != '\0')
        return false;
    crypt_name(controller, lun, partition, ret);
    return true;
}

bool crypt_parameters(const uint8_t key[KEY_SIZE], const char *device, char *ret, size_t room)
{
    char hex[2 * KEY_SIZE + 1];

    for (size_t i = 0; i < KEY_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    /* Blanks that are never written need not stay hidden: nobody else has the key, or a use for it.
     */
    int size = snprintf(ret, room, "aes-xts-plain64 %s 0 %s 0 1 allow_discards", hex, device);
    explicit_bzero(hex, sizeof(hex));
    return size > 0 && (size_t)size < room;
}

/* ---- Opening ---- */

/* devtmpfs makes the node a moment after the kernel has the device. */
static bool wait_for_node(uint64_t dev, char ret[CRYPT_DEVICE_ROOM], struct outcome *o)
{
    const struct timespec pause = {.tv_nsec = NODE_EVERY * 1000000L};
    struct stat at;

    snprintf(ret, CRYPT_DEVICE_ROOM, "/dev/dm-%u", minor(dev));
    for (unsigned ms = 0; ms < NODE_MS; ms += NODE_EVERY) {
        if (stat(ret, &at) == 0 && S_ISBLK(at.st_mode))
            return true;
        nanosleep(&pause, NULL);
    }
    return outcome_fail(o, SF_UNAVAILABLE, "the encrypted device '%s' does not appear", ret);
}

static bool sectors_of(const char *device, uint64_t *ret, struct outcome *o)
{
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    uint64_t bytes = 0;
    bool ok = fd >= 0 && ioctl(fd, BLKGETSIZE64, &bytes) == 0;

    if (!ok)
        outcome_fail(o, SF_UNAVAILABLE, "'%s' cannot be measured: %s", device, strerror(errno));
    if (fd >= 0)
        close(fd);
    *ret = bytes / 512;
    return ok;
}

static bool load_table(const char *name, const char *device, uint64_t sectors, struct outcome *o)
{
    uint8_t key[KEY_SIZE];
    struct request r;
    struct dm_target_spec *spec = (struct dm_target_spec *)(void *)r.data;

    request_for(&r, name)->head.target_count = 1;
    r.head.flags = DM_SECURE_DATA_FLAG; /* the kernel wipes its copy */
    spec->length = sectors;
    snprintf(spec->target_type, sizeof(spec->target_type), "crypt");
    bool ok =
        getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key) &&
        crypt_parameters(key, device, r.data + sizeof(*spec), sizeof(r.data) - sizeof(*spec)) &&
        ask(DM_TABLE_LOAD, &r) == 0;
    if (!ok)
        outcome_fail(o, SF_UNAVAILABLE, "'%s' cannot be encrypted: %s", device, strerror(errno));
    explicit_bzero(key, sizeof(key));
    explicit_bzero(&r, sizeof(r));
    return ok;
}

static bool make(const char *name, const char *device, uint64_t *ret_dev, struct outcome *o)
{
    struct request r;
    uint64_t sectors;

    if (!sectors_of(device, &sectors, o))
        return false;
    if (ask(DM_DEV_CREATE, request_for(&r, name)) != 0)
        return outcome_fail(o, SF_UNAVAILABLE, "the guest's kernel makes no encrypted device: %s",
                            strerror(errno));
    if (load_table(name, device, sectors, o)) {
        request_for(&r, name);
        if (ask(DM_DEV_SUSPEND, &r) == 0) { /* without its flag: resume */
            *ret_dev = r.head.dev;
            return true;
        }
        outcome_fail(o, SF_UNAVAILABLE, "the encrypted device on '%s' does not run: %s", device,
                     strerror(errno));
    }
    ask(DM_DEV_REMOVE, request_for(&r, name));
    return false;
}

bool crypt_find(const char *name, char ret_device[CRYPT_DEVICE_ROOM])
{
    struct request r;

    if (access(CONTROL, F_OK) != 0 || ask(DM_DEV_STATUS, request_for(&r, name)) != 0)
        return false;
    snprintf(ret_device, CRYPT_DEVICE_ROOM, "/dev/dm-%u", minor(r.head.dev));
    return true;
}

bool crypt_open(const char *name, const char *device, char ret_device[CRYPT_DEVICE_ROOM],
                struct outcome *o)
{
    uint64_t dev;

    modules_load("crypt");
    return make(name, device, &dev, o) && wait_for_node(dev, ret_device, o);
}

/* ---- Closing ---- */

bool crypt_close(const char *name, struct outcome *o)
{
    struct request r;

    if (access(CONTROL, F_OK) != 0 || ask(DM_DEV_REMOVE, request_for(&r, name)) == 0 ||
        errno == ENXIO)
        return true;
    return outcome_fail(o, SF_FAILED_PRECONDITION,
                        "the encrypted disk '%s' cannot be closed: %s; delete the containers that "
                        "use it first",
                        name, strerror(errno));
}

/* "/sys/block/dm-0/dm/name" */
static bool name_of(const char *block, char ret[CRYPT_NAME_ROOM])
{
    char path[300];

    snprintf(path, sizeof(path), "/sys/block/%s/dm/name", block);
    FILE *file = fopen(path, "re");
    bool ok = file != NULL && fgets(ret, CRYPT_NAME_ROOM, file) != NULL;
    if (file != NULL)
        fclose(file);
    if (ok)
        ret[strcspn(ret, "\n")] = '\0';
    return ok;
}

bool crypt_close_disk(uint32_t controller, uint32_t lun, struct outcome *o)
{
    char prefix[CRYPT_NAME_ROOM], name[CRYPT_NAME_ROOM];
    DIR *blocks = opendir("/sys/block");
    bool ok = true;

    crypt_name(controller, lun, 0, prefix);
    prefix[strlen(prefix) - 1] = '\0'; /* of whatever partition */
    for (struct dirent *e; ok && blocks != NULL && (e = readdir(blocks)) != NULL;)
        if (strncmp(e->d_name, "dm-", 3) == 0 && name_of(e->d_name, name) &&
            strncmp(name, prefix, strlen(prefix)) == 0)
            ok = crypt_close(name, o);
    if (blocks != NULL)
        closedir(blocks);
    return ok;
}
