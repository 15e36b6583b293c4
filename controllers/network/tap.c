/*
 * The host's side of a NIC: an open tap. None has a virtio header (IFF_VNET_HDR), so that a NIC
 * looks the same to the guest on every host and with every kind of endpoint.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>

#include "network/network.h"

#define SOCKET_MS 5000

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- In the namespace ---- */

struct job {
    const struct endpoint *e;
    int ns; /* -1: the daemon's own */
    bool only_check;
    int tap;
    struct sf_error *err;
};

/* Names are checked where they come in: none is too long. */
static void ask_about(struct ifreq *r, const char *name)
{
    *r = (struct ifreq){0};
    memcpy(r->ifr_name, name, strnlen(name, sizeof(r->ifr_name) - 1));
}

static bool read_flags(int sock, struct ifreq *r, const char *name, struct sf_error **err)
{
    ask_about(r, name);
    return ioctl(sock, SIOCGIFFLAGS, r) == 0 ||
           sf_fail(err, SF_NOT_FOUND, "there is no network device '%s' in that namespace: %s", name,
                   strerror(errno));
}

static bool is_driver(int sock, const char *name, const char *driver)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq r;

    ask_about(&r, name);
    r.ifr_data = (void *)&info;
    return ioctl(sock, SIOCETHTOOL, &r) == 0 && strcmp(info.driver, driver) == 0;
}

/* @name: "sf%d" lets the kernel count. */
static int attach(const char *name, char ret_name[IFNAMSIZ], struct sf_error **err)
{
    struct ifreq r;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        sf_fail(err, SF_FAILED_PRECONDITION, "/dev/net/tun: %s; load the module 'tun'",
                strerror(errno));
        return -1;
    }
    ask_about(&r, name);
    r.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(fd, TUNSETIFF, &r) < 0) {
        int why = errno;
        close(fd);
        if (why == EBUSY)
            sf_fail(err, SF_FAILED_PRECONDITION, "tap '%s' is in use; stop who has it open", name);
        else if (why == EPERM)
            sf_fail(err, SF_PERMISSION_DENIED,
                    "tap '%s': not permitted; the daemon needs CAP_NET_ADMIN", name);
        else
            sf_fail(err, SF_FAILED_PRECONDITION, "tap '%s' cannot be attached: %s", name,
                    strerror(why));
        return -1;
    }
    snprintf(ret_name, IFNAMSIZ, "%s", r.ifr_name);
    return fd;
}

static bool set_up(int sock, const char *name, struct sf_error **err)
{
    struct ifreq r;

    if (!read_flags(sock, &r, name, err))
        return false;
    r.ifr_flags |= IFF_UP;
    return ioctl(sock, SIOCSIFFLAGS, &r) == 0 ||
           sf_fail(err, SF_FAILED_PRECONDITION, "network device '%s' cannot be set up: %s", name,
                   strerror(errno));
}

static int open_tap(int sock, const struct job *j, struct sf_error **err)
{
    const char *name = j->e->host_device;
    char got[IFNAMSIZ];
    struct ifreq r;

    if (!read_flags(sock, &r, name, err)) /* else one would be made */
        return -1;
    if (!is_driver(sock, name, "tun")) {
        sf_fail(err, SF_FAILED_PRECONDITION, "network device '%s' is no tap", name);
        return -1;
    }
    int tap = attach(name, got, err);
    if (tap < 0 || j->only_check || set_up(sock, got, err))
        return tap;
    close(tap);
    return -1;
}

static bool join(int sock, const char *bridge, const char *tap, struct sf_error **err)
{
    struct ifreq r;

    ask_about(&r, tap);
    bool ok = ioctl(sock, SIOCGIFINDEX, &r) == 0;
    int index = r.ifr_ifindex;
    ask_about(&r, bridge);
    r.ifr_ifindex = index;
    return (ok && ioctl(sock, SIOCBRADDIF, &r) == 0) ||
           sf_fail(err, SF_FAILED_PRECONDITION, "bridge '%s' does not take a tap: %s", bridge,
                   strerror(errno));
}

static int open_bridge(int sock, const struct job *j, struct sf_error **err)
{
    const char *name = j->e->host_device;
    char got[IFNAMSIZ];
    struct ifreq r;

    if (!read_flags(sock, &r, name, err))
        return -1;
    if (!is_driver(sock, name, "bridge")) {
        sf_fail(err, SF_FAILED_PRECONDITION, "network device '%s' is no bridge", name);
        return -1;
    }
    int tap = attach("sf%d", got, err);
    if (tap < 0 || j->only_check || (join(sock, name, got, err) && set_up(sock, got, err)))
        return tap;
    close(tap); /* and it is gone */
    return -1;
}

static void *work(void *argument)
{
    struct job *j = argument;

    if (j->ns >= 0 && setns(j->ns, CLONE_NEWNET) < 0) {
        sf_fail(&j->err, SF_FAILED_PRECONDITION, "cannot enter the network namespace: %s",
                strerror(errno));
        return NULL;
    }
    SF_CLEANUP(close_fd) int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        sf_fail(&j->err, SF_RESOURCE_EXHAUSTED, "no socket: %s", strerror(errno));
    else
        j->tap =
            j->e->kind == ENDPOINT_TAP ? open_tap(sock, j, &j->err) : open_bridge(sock, j, &j->err);
    return NULL;
}

static int open_namespace(const char *path, struct sf_error **err)
{
    struct statfs fs;
    int ns = open(path, O_RDONLY | O_CLOEXEC);

    if (ns < 0) {
        sf_fail(err, SF_NOT_FOUND, "network namespace '%s': %s", path, strerror(errno));
        return -1;
    }
    if (fstatfs(ns, &fs) == 0 && fs.f_type == NSFS_MAGIC &&
        ioctl(ns, NS_GET_NSTYPE) == CLONE_NEWNET)
        return ns;
    close(ns);
    sf_fail(err, SF_FAILED_PRECONDITION, "'%s' is no network namespace", path);
    return -1;
}

static int in_namespace(const struct network *n, const struct endpoint *e, bool only_check,
                        struct sf_error **err)
{
    struct job j = {.e = e, .ns = -1, .only_check = only_check, .tap = -1};
    pthread_t thread;

    if (n->host_namespace[0] != '\0' && (j.ns = open_namespace(n->host_namespace, err)) < 0)
        return -1;
    if (pthread_create(&thread, NULL, work, &j) == 0)
        pthread_join(thread, NULL);
    else
        sf_fail(&j.err, SF_RESOURCE_EXHAUSTED, "no thread for a network namespace");
    close_fd(&j.ns);
    if (j.err != NULL)
        *err = j.err;
    return j.tap;
}

/* ---- Over a socket ---- */

static bool receive(int sock, int *ret, struct sf_error **err)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct pollfd p = {.fd = sock, .events = POLLIN};

    if (poll(&p, 1, SOCKET_MS) != 1 || recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
        return sf_fail(err, SF_UNAVAILABLE, "nothing has come over it within %d ms", SOCKET_MS);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(sizeof(int)))
        return sf_fail(err, SF_FAILED_PRECONDITION, "what came over it is no descriptor");
    memcpy(ret, CMSG_DATA(c), sizeof(int));
    return true;
}

static bool is_plain_tap(int fd, struct sf_error **err)
{
    struct ifreq r = {0};

    if (ioctl(fd, TUNGETIFF, &r) < 0 || (r.ifr_flags & IFF_TAP) == 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "the descriptor that came is no tap");
    return (r.ifr_flags & (IFF_VNET_HDR | IFF_NO_PI)) == IFF_NO_PI ||
           sf_fail(err, SF_FAILED_PRECONDITION,
                   "the tap that came must have IFF_NO_PI and not IFF_VNET_HDR");
}

static int open_path(const char *path, struct sf_error **err)
{
    struct stat st;
    int fd = sf_path_open(path, O_PATH, err);

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)))
        return fd;
    close(fd);
    sf_fail(err, SF_FAILED_PRECONDITION, "'%s' is no socket", path);
    return -1;
}

static int from_socket(const char *path, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int file = open_path(path, err);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int tap = -1;

    if (file < 0)
        return -1;
    SF_CLEANUP(close_fd) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d", file);
    if (sock < 0 || connect(sock, (const struct sockaddr *)&a, sizeof(a)) < 0) {
        sf_fail(err, SF_UNAVAILABLE, "nobody listens at '%s': %s", path, strerror(errno));
        return -1;
    }
    if (receive(sock, &tap, err) && is_plain_tap(tap, err))
        return tap;
    close_fd(&tap);
    sf_fail_in(err, "socket '%s'", path);
    return -1;
}

int tap_open(const struct network *n, const struct endpoint *e, struct sf_error **err)
{
    return e->kind == ENDPOINT_SOCKET ? from_socket(e->host_device, err)
                                      : in_namespace(n, e, false, err);
}

bool tap_check(const struct network *n, const struct endpoint *e, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int fd = -1;

    if (e->kind == ENDPOINT_USER)
        return true;
    fd =
        e->kind == ENDPOINT_SOCKET ? open_path(e->host_device, err) : in_namespace(n, e, true, err);
    return fd >= 0;
}
