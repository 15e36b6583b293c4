#include "guest/agent/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/link.h"
#include "guest/agent/netlink.h"

#define NAME_MAX_SIZE 64
#define LO_INDEX      1 /* always */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

bool netns_name_valid(const char *name)
{
    size_t size = strlen(name);

    return size >= 1 && size <= NAME_MAX_SIZE && strspn(name, letters) == size &&
           strchr("-_.", name[0]) == NULL;
}

static void path_of(const char *root, const char *name, const char *file, char ret[PATH_MAX])
{
    snprintf(ret, PATH_MAX, "%s/%s%s", root, name, file);
}

/* The file is there before the namespace is mounted on it. -1: it is not. */
int netns_open(const char *root, const char *name)
{
    char path[PATH_MAX];
    struct statfs system;

    path_of(root, name, "/netns", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && (fstatfs(fd, &system) < 0 || system.f_type != NSFS_MAGIC)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool exists(const char *root, const char *name)
{
    int fd = netns_open(root, name);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool netns_enter(const char *root, const char *name, struct outcome *o)
{
    int fd = netns_open(root, name);

    if (fd < 0)
        return outcome_fail(o, SF_NOT_FOUND, "the guest has no network namespace '%s'", name);
    bool ok = setns(fd, CLONE_NEWNET) == 0 ||
              outcome_fail(o, SF_INTERNAL, "network namespace '%s' cannot be entered: %s", name,
                           strerror(errno));
    close(fd);
    return ok;
}

static bool make_new(const char *root, const char *name, struct outcome *o)
{
    char path[PATH_MAX];

    path_of(root, name, "", path);
    bool ok = make_directories(path);
    path_of(root, name, "/netns", path);
    int fd = ok ? open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444) : -1;
    if (fd >= 0)
        close(fd);
    /* Of this thread: /proc/self is the process, whose first thread this need not be. */
    if (fd < 0 || unshare(CLONE_NEWNET) < 0 ||
        mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL) < 0)
        return outcome_fail(o, SF_INTERNAL, "network namespace '%s' cannot be made: %s", name,
                            strerror(errno));
    return true;
}

static bool loopback_up(const char *name, struct outcome *o)
{
    int fd = netlink_open();
    int error = fd < 0 ? errno : link_change(fd, LO_INDEX, &(struct link_change){.state = LINK_UP});

    if (fd >= 0)
        close(fd);
    return error == 0 || outcome_fail(o, SF_INTERNAL, "lo of namespace '%s' does not come up: %s",
                                      name, strerror(error));
}

bool netns_make(const char *root, const char *name, struct outcome *o)
{
    bool ok = exists(root, name) ? netns_enter(root, name, o) : make_new(root, name, o);

    return ok && loopback_up(name, o);
}

bool netns_remove(const char *root, const char *name, struct outcome *o)
{
    char path[PATH_MAX];

    path_of(root, name, "/netns", path);
    while (umount2(path, MNT_DETACH) == 0)
        continue; /* however often it was mounted */
    path_of(root, name, "", path);
    return remove_tree(path) ||
           outcome_fail(o, SF_INTERNAL, "network namespace '%s' cannot be taken away: %s", name,
                        strerror(errno));
}

void netns_each(const char *root, netns_each_fn each, void *context)
{
    DIR *dir = opendir(root);
    if (dir == NULL)
        return;

    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (netns_name_valid(entry->d_name) && exists(root, entry->d_name))
            each(context, entry->d_name);
    closedir(dir);
}
