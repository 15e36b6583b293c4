#include "guest/agent/shutdown.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/job.h"
#include "guest/agent/process.h"
#include "guest/agent/share.h"

#define SHARES_MS    2000 /* for what the host is still asked for */
#define TRIES        200
#define TRY_EVERY_MS 10

/* The mount beneath RUN_DIR that was made last; of this type, or of any. */
static bool last_mount(const char *wanted, char ret[PATH_MAX])
{
    char line[2 * PATH_MAX], target[PATH_MAX], type[64];
    bool found = false;
    FILE *mounts = fopen("/proc/self/mounts", "re");

    if (mounts == NULL)
        return false;
    while (fgets(line, sizeof(line), mounts) != NULL)
        if (sscanf(line, "%*s %4000s %63s", target, type) == 2 &&
            (wanted == NULL || strcmp(type, wanted) == 0) &&
            strncmp(target, RUN_DIR "/", strlen(RUN_DIR "/")) == 0) {
            snprintf(ret, PATH_MAX, "%s", target);
            found = true;
        }
    fclose(mounts);
    return found;
}

/* What is busy gets a moment to end; then the disk is at least as it is written back. */
static bool unmount_all(const void *request, struct outcome *o)
{
    const struct timespec pause = {.tv_nsec = TRY_EVERY_MS * 1000000L};
    char path[PATH_MAX];
    (void)request;
    (void)o;

    /* The host may be gone: then the shares hang up in time. Their files need no writing back. */
    while (last_mount("9p", path) && umount2(path, UMOUNT_NOFOLLOW) == 0)
        continue;
    sync();
    for (int tries = 0; tries < TRIES && last_mount(NULL, path);) {
        if (umount2(path, UMOUNT_NOFOLLOW) == 0)
            continue;
        if (errno != EBUSY)
            break;
        tries++;
        nanosleep(&pause, NULL);
    }
    sync();
    return true;
}

void shutdown_guest(uint64_t id)
{
    process_kill_all();
    share_end_within(SHARES_MS);
    job_start(id, unmount_all, NULL, NULL, NULL);
}
