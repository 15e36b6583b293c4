#include "guest/agent/init.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/container.h"
#include "guest/agent/outcome.h"

#define ROOT "/newroot"

/* clang-format off */
static const struct {
    const char *type, *target, *options;
    unsigned long flags;
} mounts[] = {
    { "proc",     "/proc",          NULL,                      MS_NOSUID | MS_NODEV | MS_NOEXEC },
    { "sysfs",    "/sys",           NULL,                      MS_NOSUID | MS_NODEV | MS_NOEXEC },
    { "devtmpfs", "/dev",           "mode=0755",               MS_NOSUID                        },
    { "devpts",   "/dev/pts",       "ptmxmode=0666,mode=0620", MS_NOSUID | MS_NOEXEC            },
    { "tmpfs",    "/dev/shm",       "mode=1777",               MS_NOSUID | MS_NODEV             },
    { "tmpfs",    "/run",           "mode=0755",               MS_NOSUID | MS_NODEV             },
    { "tmpfs",    "/tmp",           "mode=1777",               MS_NOSUID | MS_NODEV             },
    { "cgroup2",  "/sys/fs/cgroup", NULL,                      MS_NOSUID | MS_NODEV | MS_NOEXEC },
};

static const char *const links[][2] = {
    { "usr/bin",   ROOT "/bin"   },
    { "usr/bin",   ROOT "/sbin"  },
    { "usr/lib",   ROOT "/lib"   },
    { "usr/lib64", ROOT "/lib64" },
};
/* clang-format on */

static bool bind_to(const char *source, const char *target)
{
    return mkdir(target, 0755) == 0 && mount(source, target, NULL, MS_BIND, NULL) == 0;
}

/*
 * pivot_root, which crun needs, cannot leave the kernel's first file system. So an empty one
 * becomes the root, once, and sees what is in the first through bind mounts: nothing is copied.
 */
static bool leave_first_root(void)
{
    if (mkdir(ROOT, 0755) < 0 || mount("tmpfs", ROOT, "tmpfs", 0, "mode=0755,size=1m") < 0)
        return false;
    if (!bind_to("/usr", ROOT "/usr") || !bind_to("/etc", ROOT "/etc"))
        return false;
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        if (symlink(links[i][0], links[i][1]) < 0)
            return false;
    return chdir(ROOT) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 &&
           chdir("/") == 0;
}

static void mount_all(void)
{
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        mkdir(mounts[i].target, 0755);
        if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
                  mounts[i].options) < 0)
            agent_log("'%s' could not be mounted: %s, continuing", mounts[i].target,
                      strerror(errno));
    }
}

/* For containers that have no network of their own. */
static void loopback_up(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        agent_log("the loopback device is down: %s, continuing", strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* Around a save the whole sandbox waits for the agent's answers, however busy containers keep the
 * processors. Children are ordinary again. */
static void go_first(void)
{
    const struct sched_param none = {0};

    if (sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none) < 0 ||
        setpriority(PRIO_PROCESS, 0, -20) < 0)
        agent_log("the agent has no priority: %s, continuing", strerror(errno));
}

void init_guest(void)
{
    const struct rlimit files = {.rlim_cur = 65536, .rlim_max = 1048576};

    umask(022);
    setenv("PATH", "/usr/bin:/bin", 1);
    setrlimit(RLIMIT_NOFILE, &files);
    if (!leave_first_root())
        agent_log("the first root could not be left: %s; containers will not start, continuing",
                  strerror(errno));
    mount_all();
    loopback_up();
    go_first();
    make_directories(MOUNTS_DIR);
    make_directories(PODS_DIR);
    make_directories(CONTAINERS_DIR);
}
