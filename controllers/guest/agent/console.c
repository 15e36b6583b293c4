/* Terminals: crun makes one in the container and hands the agent's side of it over a socket. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest/agent/container.h"
#include "guest/agent/process.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void process_directory(const struct process *p, char *ret, size_t room)
{
    snprintf(ret, room, CONTAINERS_DIR "/%s%s%s", p->container_id,
             p->exec_id[0] != '\0' ? "/exec/" : "", p->exec_id);
}

void console_path(const struct process *p, char *ret, size_t room)
{
    process_directory(p, ret, room);
    size_t size = strlen(ret);
    snprintf(ret + size, room - size, "/console");
}

bool console_open(struct process *p)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char path[PATH_MAX], proc[64];

    for (int i = 0; i < 3; i++)
        if ((p->child_fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
            return false;
    console_path(p, path, sizeof(path));
    *strrchr(path, '/') = '\0';
    if (!make_directories(path))
        return false;
    /* A socket's address is short; its directory's path may not be. */
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d/console", dir);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", proc);
    p->console_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(proc);
    bool ok = dir >= 0 && p->console_listener >= 0 &&
              bind(p->console_listener, (struct sockaddr *)&at, sizeof(at)) == 0 &&
              listen(p->console_listener, 1) == 0;
    close_fd(&dir);
    return ok;
}

/* The terminal that crun has sent: it waits in the socket. */
static int receive_console(int listener)
{
    char byte[PATH_MAX];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec data = {.iov_base = byte, .iov_len = sizeof(byte)};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int fd = -1, connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (connection < 0)
        return -1;
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) >= 0) {
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    }
    close(connection);
    return fd;
}

void console_take(struct process *p)
{
    p->out[0].fd = receive_console(p->console_listener);
    if (p->out[0].fd >= 0)
        fcntl(p->out[0].fd, F_SETFL, O_NONBLOCK);
    else
        agent_log("container '%s' has no terminal, continuing", p->container_id);
    p->in.fd = p->out[0].fd >= 0 ? fcntl(p->out[0].fd, F_DUPFD_CLOEXEC, 0) : -1;
    close_fd(&p->console_listener);
}

bool console_resize(const struct process *p, uint32_t columns, uint32_t rows, struct outcome *o)
{
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};

    if (!p->terminal)
        return outcome_fail(o, SF_FAILED_PRECONDITION, "it has no terminal");
    if (columns < 1 || columns > UINT16_MAX || rows < 1 || rows > UINT16_MAX)
        return outcome_fail(o, SF_INVALID_ARGUMENT, "a terminal has 1 to %d columns and rows",
                            UINT16_MAX);
    if (p->in.fd < 0 || ioctl(p->in.fd, TIOCSWINSZ, &size) < 0)
        return outcome_fail(o, SF_FAILED_PRECONDITION, "its terminal is closed");
    return true;
}
