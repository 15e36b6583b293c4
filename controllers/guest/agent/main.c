/* Process 1 of the guest: sets the guest up, then serves the host. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/agent.h"

#define FDS_MAX      1024
#define AWAY_TICK_MS 5 /* while the host is away: how often to look for it */

/* clang-format off */
static const struct {
    const char *source, *target, *type, *options;
    unsigned long flags;
} mounts[] = {
    { "proc",     "/proc",          "proc",     NULL,                        MS_NOSUID | MS_NODEV | MS_NOEXEC },
    { "sysfs",    "/sys",           "sysfs",    NULL,                        MS_NOSUID | MS_NODEV | MS_NOEXEC },
    { "devtmpfs", "/dev",           "devtmpfs", "mode=0755",                 MS_NOSUID                        },
    { "devpts",   "/dev/pts",       "devpts",   "ptmxmode=0666,mode=0620",   MS_NOSUID | MS_NOEXEC            },
    { "tmpfs",    "/dev/shm",       "tmpfs",    "mode=1777",                 MS_NOSUID | MS_NODEV             },
    { "tmpfs",    "/run",           "tmpfs",    "mode=0755",                 MS_NOSUID | MS_NODEV             },
    { "tmpfs",    "/tmp",           "tmpfs",    "mode=1777",                 MS_NOSUID | MS_NODEV             },
    { "cgroup2",  "/sys/fs/cgroup", "cgroup2",  NULL,                        MS_NOSUID | MS_NODEV | MS_NOEXEC },
};
/* clang-format on */

static void mount_all(void)
{
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        mkdir(mounts[i].target, 0755);
        if (mount(mounts[i].source, mounts[i].target, mounts[i].type, mounts[i].flags,
                  mounts[i].options) < 0)
            agent_log("mount of %s: %s, continuing", mounts[i].target, strerror(errno));
    }
    make_directories(MOUNTS_DIR);
    make_directories(RUN_DIR "/containers");
}

/*
 * pivot_root, which crun needs, refuses to leave the kernel's first file system. So everything
 * moves to a tmpfs, once, before anything else: by running itself again from there.
 */
static void leave_first_root(char *argv[])
{
    if (getenv("SANDFERRY_MOVED") != NULL)
        return;
    mkdir("/newroot", 0755);
    if (mount("tmpfs", "/newroot", "tmpfs", 0, "mode=0755") < 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/busybox", "sh", "-c",
              "cd / && for f in *; do case $f in newroot|proc|sys|dev|run|tmp) ;; "
              "*) busybox mv \"$f\" /newroot/ ;; esac; done",
              (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    if (chdir("/newroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        agent_log("the root could not be moved: %s, continuing", strerror(errno));
    setenv("SANDFERRY_MOVED", "1", 1);
    execv("/init", argv);
}

static void reap(int signals)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        continue;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!job_child_ended(pid))
            process_child_ended(pid, status);
}

static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static _Noreturn void serve(int signals)
{
    static struct pollfd fds[FDS_MAX];

    for (;;) {
        int n = 0;
        fds[n++] = (struct pollfd){.fd = port_fd(), .events = port_wants()};
        fds[n++] = (struct pollfd){.fd = signals, .events = POLLIN};
        int jobs = n;
        n += job_poll_fds(fds + n, FDS_MAX - n);
        int streams = n;
        n += process_poll_fds(fds + n, FDS_MAX - n);
        if (poll(fds, (nfds_t)n, port_host_away() ? AWAY_TICK_MS : -1) < 0 && errno != EINTR)
            agent_log("poll: %s, continuing", strerror(errno));

        if (port_host_away())
            port_tick();
        else if (fds[0].revents != 0)
            port_ready(fds[0].revents);
        for (int i = jobs; i < streams; i++)
            if (fds[i].revents != 0)
                job_ready(&fds[i]);
        for (int i = streams; i < n; i++)
            if (fds[i].revents != 0)
                process_ready(&fds[i]);
        if (fds[1].revents != 0)
            reap(signals);
        process_pump();
    }
}

int main(int argc, char *argv[])
{
    (void)argc;
    leave_first_root(argv);
    mount_all();
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    umask(022);
    int signals = open_signals();
    modules_load("boot");
    for (int tries = 0; !port_open(); tries++) {
        if (tries == 1000)
            agent_log("the port does not appear, still looking");
        usleep(5000);
    }
    serve(signals);
}
