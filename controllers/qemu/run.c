#include "run.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

struct run {
    pid_t pid;
    int pidfd;
    int log; /* appends */
};

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- the child: after fork of a process with threads, so only plain system calls ---- */

static void child_descriptors(const struct run_options *o, int null, int log)
{
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    for (size_t i = 0; i < o->n_fds; i++)
        fcntl(o->fds[i], F_SETFD, 0);
}

static bool child_drop(const struct run_user *user)
{
    if (!user->drop)
        return true;
    /* Not glibc's: they signal threads that this process does not have. */
    return syscall(SYS_setgroups, user->n_groups, user->groups) == 0 &&
           syscall(SYS_setresgid, user->gid, user->gid, user->gid) == 0 &&
           syscall(SYS_setresuid, user->uid, user->uid, user->uid) == 0;
}

static void child(const struct run_options *o, int null, int log, int failure)
{
    sigset_t none;
    int why;

    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    child_descriptors(o, null, log);
    if (child_drop(&o->user) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        execv(o->arguments[0], (char *const *)o->arguments);
    why = errno;
    ssize_t n = write(failure, &why, sizeof(why));
    (void)n;
    _exit(127);
}

/* ---- starting ---- */

static bool start_failed(const char *program, int why, struct sf_error **err)
{
    if (why == ENOENT || why == EACCES)
        return sf_fail(err, SF_NOT_FOUND,
                       "there is no program '%s' that can be run (%s): install the package "
                       "qemu-system-x86, or name another with --qemu",
                       program, strerror(why));
    return sf_fail(err, SF_UNAVAILABLE, "'%s' cannot be started: %s", program, strerror(why));
}

static bool open_parts(const struct run_options *o, int *ret_null, int *ret_log, int ret_pipe[2],
                       struct sf_error **err)
{
    *ret_null = open("/dev/null", O_RDWR | O_CLOEXEC);
    *ret_log = openat(o->directory_fd, "qemu.log",
                      O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*ret_null >= 0 && *ret_log >= 0 && pipe2(ret_pipe, O_CLOEXEC) == 0)
        return true;
    return sf_fail(err, SF_UNAVAILABLE, "what QEMU needs to start cannot be opened: %s",
                   strerror(errno));
}

static struct run *adopt_child(pid_t pid, int log, struct sf_error **err)
{
    struct run *r = calloc(1, sizeof(*r));
    int pidfd = pidfd_open(pid, 0);

    if (r == NULL || pidfd < 0) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory or descriptor for QEMU");
        kill(pid, SIGKILL); /* our child, not waited for yet: the id is still its own */
        waitpid(pid, NULL, 0);
        free(r);
        close(log);
        return NULL;
    }
    *r = (struct run){.pid = pid, .pidfd = pidfd, .log = log};
    return r;
}

struct run *run_start(const struct run_options *o, struct sf_error **err)
{
    SF_CLEANUP(closep) int null = -1;
    int log = -1, failure[2] = {-1, -1}, why = 0;

    if (!open_parts(o, &null, &log, failure, err)) {
        closep(&log);
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(o, null, log, failure[1]);
    why = pid < 0 ? errno : 0;
    close(failure[1]);
    if (pid > 0 && read(failure[0], &why, sizeof(why)) == (ssize_t)sizeof(why)) {
        waitpid(pid, NULL, 0);
        pid = -1;
    }
    close(failure[0]);
    if (pid < 0) {
        close(log);
        start_failed(o->arguments[0], why, err);
        return NULL;
    }
    return adopt_child(pid, log, err);
}

void run_free(struct run *r)
{
    siginfo_t info;

    if (r == NULL)
        return;
    pidfd_send_signal(r->pidfd, SIGKILL, NULL, 0);
    while (waitid(P_PIDFD, (id_t)r->pidfd, &info, WEXITED) < 0 && errno == EINTR)
        ;
    close(r->pidfd);
    close(r->log);
    free(r);
}

pid_t run_pid(const struct run *r)
{
    return r->pid;
}

bool run_has_ended(const struct run *r)
{
    struct pollfd fd = {.fd = r->pidfd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* ---- what it said ---- */

static void clean_line(char *line)
{
    for (char *p = line; *p != '\0'; p++)
        if (!isprint((unsigned char)*p))
            *p = '?';
}

char *run_last_words(struct run *r)
{
    char tail[2049];
    struct stat st;

    if (fstat(r->log, &st) != 0)
        return strdup("");
    off_t from = st.st_size > 2048 ? st.st_size - 2048 : 0;
    ssize_t n = pread(r->log, tail, sizeof(tail) - 1, from);
    if (st.st_size > RUN_LOG_MAX && ftruncate(r->log, 0) != 0)
        return strdup("");
    n = n < 0 ? 0 : n;
    while (n > 0 && isspace((unsigned char)tail[n - 1]))
        n--;
    tail[n] = '\0';
    char *line = strrchr(tail, '\n');
    line = line == NULL ? tail : line + 1;
    clean_line(line);
    return strdup(line);
}

/* ---- the rest of the host ---- */

bool run_user_find(const char *name, struct run_user *ret, struct sf_error **err)
{
    char room[4096];
    struct passwd entry, *found = NULL;

    *ret = (struct run_user){.drop = false, .uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0 || strcmp(name, "root") == 0)
        return true;
    if (getpwnam_r(name, &entry, room, sizeof(room), &found) != 0 || found == NULL)
        return sf_fail(err, SF_NOT_FOUND,
                       "there is no user '%s' on this host for QEMU to run as: name another with "
                       "--qemu-user",
                       name);
    *ret = (struct run_user){.drop = true, .uid = found->pw_uid, .gid = found->pw_gid};
    ret->n_groups = RUN_GROUPS_MAX;
    if (getgrouplist(name, found->pw_gid, ret->groups, &ret->n_groups) < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "user '%s' is in more than %d groups: name another with --qemu-user", name,
                       RUN_GROUPS_MAX);
    return true;
}

static char *find_in_path(const char *name)
{
    const char *path = getenv("PATH");
    SF_CLEANUP(sf_freep) char *copy = strdup(path == NULL ? "/usr/bin:/bin" : path);
    char *save = NULL;

    for (char *dir = copy == NULL ? NULL : strtok_r(copy, ":", &save); dir != NULL;
         dir = strtok_r(NULL, ":", &save)) {
        SF_CLEANUP(sf_freep) char *candidate = sf_format("%s/%s", dir, name);
        if (candidate != NULL && access(candidate, X_OK) == 0)
            return SF_STEAL(candidate);
    }
    return NULL;
}

char *run_find_program(const char *name, struct sf_error **err)
{
    char *found = NULL;

    if (strchr(name, '/') == NULL)
        found = find_in_path(name);
    else if (access(name, X_OK) == 0)
        found = strdup(name);
    if (found == NULL)
        sf_fail(err, SF_FAILED_PRECONDITION,
                "there is no QEMU at '%s'%s: install the package qemu-system-x86, or name the "
                "program with --qemu",
                name, strchr(name, '/') == NULL ? " in PATH" : "");
    return found;
}

/* By way of /proc, so that the length of the directory's path does not matter. */
static bool socket_address(struct sockaddr_un *ret, int directory_fd, const char *name)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n =
        snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", directory_fd, name);
    return n > 0 && (size_t)n < sizeof(ret->sun_path);
}

int run_listen(int directory_fd, const char *name, struct sf_error **err)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlinkat(directory_fd, name, 0);
    if (fd >= 0 && socket_address(&address, directory_fd, name) &&
        bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0)
        return fd;
    sf_fail(err, SF_UNAVAILABLE, "socket '%s' cannot be made: %s", name, strerror(errno));
    closep(&fd);
    return -1;
}

int run_connect(int directory_fd, const char *name, struct sf_error **err)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && socket_address(&address, directory_fd, name) &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    sf_fail(err, SF_UNAVAILABLE, "socket '%s' cannot be reached: %s", name, strerror(errno));
    closep(&fd);
    return -1;
}
