/*
 * Connections are accepted here and not by the core: its own listener dies for ever when a process
 * runs out of descriptors, takes a live server's socket away, and cannot tell who connects.
 */
#include "rpc/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define LISTENERS_MAX 8
#define REST_MS       100

struct listener {
    char *path, *lock_path; /* of a unix socket; NULL: TCP */
    int fd, lock_fd;        /* lock_fd -1: not locked by us */
    bool bound;             /* the socket at path is ours */
    bool tls;
};

struct rpc_acceptor {
    struct listener listeners[LISTENERS_MAX];
    unsigned n_listeners;
    unsigned max_connections;
    int *watched; /* a second descriptor of each connection, to see when its peer goes */
    unsigned n_watched;
    int wake, spare;
    int64_t warned_ns; /* when last; a flood must not fill the log */
    rpc_take take;
    void *context;
    pthread_t thread;
    bool started;
};

struct rpc_acceptor *rpc_acceptor_new(unsigned max_connections, rpc_take take, void *context)
{
    struct rpc_acceptor *a = calloc(1, sizeof(*a));

    if (a == NULL || (a->watched = calloc(max_connections, sizeof(int))) == NULL) {
        free(a);
        return NULL;
    }
    a->max_connections = max_connections;
    a->take = take;
    a->context = context;
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return a;
}

/* The lock file belongs to whoever has it locked, as long as it still has its name. */
static bool lock_socket(struct listener *l, struct sf_error **err)
{
    for (;;) {
        struct stat held, named;
        l->lock_fd = open(l->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (l->lock_fd < 0)
            return sf_fail(err, SF_FAILED_PRECONDITION,
                           "'%s': %s; make its directory, or choose "
                           "another --listen",
                           l->lock_path, strerror(errno));
        if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0) {
            close(l->lock_fd);
            l->lock_fd = -1; /* so that it is not removed either */
            return sf_fail(err, SF_FAILED_PRECONDITION,
                           "socket '%s' is in use by a running server; stop it, or choose another "
                           "--listen",
                           l->path);
        }
        if (fstat(l->lock_fd, &held) == 0 && stat(l->lock_path, &named) == 0 &&
            held.st_ino == named.st_ino)
            return true;
        close(l->lock_fd); /* its last owner has just removed it */
        l->lock_fd = -1;
    }
}

static bool bind_socket(struct listener *l, struct sf_error **err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat there;

    if (strlen(l->path) >= sizeof(address.sun_path))
        return sf_fail(err, SF_INVALID_ARGUMENT, "socket path '%s' is longer than %zu bytes",
                       l->path, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, l->path);
    if (lstat(l->path, &there) == 0 && !S_ISSOCK(there.st_mode))
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "'%s' is there and is no socket; not removing "
                       "it",
                       l->path);
    unlink(l->path); /* of a server that is dead: we have its lock */
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    l->bound = l->fd >= 0 && fchmod(l->fd, 0600) == 0 &&
               bind(l->fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (!l->bound || chmod(l->path, 0600) < 0 || listen(l->fd, 128) < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "socket '%s': %s", l->path, strerror(errno));
    return true;
}

bool rpc_acceptor_listen(struct rpc_acceptor *a, const char *path, struct sf_error **err)
{
    if (a->n_listeners == LISTENERS_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "at most %d sockets", LISTENERS_MAX);
    struct listener *l = &a->listeners[a->n_listeners++];
    *l = (struct listener){
        .path = strdup(path), .lock_path = sf_format("%s.lock", path), .fd = -1, .lock_fd = -1};
    if (l->path == NULL || l->lock_path == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return lock_socket(l, err) && bind_socket(l, err);
}

/* ---- TCP ---- */

static int bind_tcp(const struct addrinfo *to)
{
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    int one = 1, zero = 0;

    if (fd < 0)
        return -1;
    /* A port that is left over may be taken, but never one that is in use. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &zero, sizeof(zero));
    if (bind(fd, to->ai_addr, to->ai_addrlen) == 0 && listen(fd, 128) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char port[8] = "0";

    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
    return atoi(port);
}

/* "host:port", "[::1]:port". */
static bool split(const char *address, char *host, size_t room, const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    size_t size = colon != NULL ? (size_t)(colon - address) : 0;

    if (size == 0 || size >= room)
        return false;
    if (address[0] == '[' && address[size - 1] == ']') {
        address++;
        size -= 2;
    }
    memcpy(host, address, size);
    host[size] = '\0';
    *ret_port = colon + 1;
    return true;
}

bool rpc_acceptor_listen_tcp(struct rpc_acceptor *a, const char *address, bool tls, int *ret_port,
                             struct sf_error **err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    const char *port;
    char host[256];

    if (!split(address, host, sizeof(host), &port))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is no address; use unix:/path or host:port",
                       address);
    int wrong = getaddrinfo(host, port, &hints, &found);
    if (wrong != 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s': %s", address, gai_strerror(wrong));
    int fd = a->n_listeners < LISTENERS_MAX ? bind_tcp(found) : -1;
    freeaddrinfo(found);
    if (fd < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "cannot listen on '%s': %s; see whether another server does", address,
                       strerror(errno));
    a->listeners[a->n_listeners++] = (struct listener){.fd = fd, .lock_fd = -1, .tls = tls};
    if (ret_port != NULL)
        *ret_port = port_of(fd);
    return true;
}

/* ---- Connections ---- */

static bool may_warn(struct rpc_acceptor *a)
{
    int64_t now_ns = sf_clock_monotonic_ns();
    bool may = a->warned_ns == 0 || now_ns - a->warned_ns >= SF_NS_PER_S;

    if (may)
        a->warned_ns = now_ns;
    return may;
}

static bool peer_may(struct rpc_acceptor *a, const struct listener *l, int fd)
{
    if (l->path == NULL)
        return true; /* its certificate tells, or nobody asked for one */

    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    if (peer.uid == geteuid() || peer.uid == 0)
        return true;
    if (may_warn(a))
        sf_warning("rpc: turned away a connection of uid=%u pid=%d, continuing", peer.uid,
                   peer.pid);
    return false;
}

/*
 * No descriptor is left: the spare one lets the caller in, to be sent away instead of waiting.
 * False: not even that; somebody else was faster.
 */
static bool turn_away(struct rpc_acceptor *a, int listener)
{
    if (may_warn(a))
        sf_warning("rpc: no descriptor is left, turning away connections, continuing");
    if (a->spare >= 0)
        close(a->spare);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && a->spare >= 0;
}

/* False: it failed, and would at once fail again. */
static bool accept_one(struct rpc_acceptor *a, const struct listener *l)
{
    int one = 1;
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return turn_away(a, l->fd);
    if (fd < 0)
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;

    int watch = a->n_watched < a->max_connections && peer_may(a, l, fd)
                    ? fcntl(fd, F_DUPFD_CLOEXEC, 0)
                    : -1;
    if (watch < 0) {
        close(fd);
        return true;
    }
    if (l->path == NULL) /* the core does so with connections that it accepts */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    a->watched[a->n_watched++] = watch;
    a->take(a->context, fd, l->tls);
    return true;
}

static void forget_gone(struct rpc_acceptor *a, const struct pollfd *fds)
{
    for (unsigned i = a->n_watched; i-- > 0;) {
        if (fds[i].revents == 0)
            continue;
        close(a->watched[i]);
        a->watched[i] = a->watched[--a->n_watched];
    }
}

static void *accept_all(void *argument)
{
    struct rpc_acceptor *a = argument;
    struct pollfd *fds = calloc(1 + LISTENERS_MAX + a->max_connections, sizeof(*fds));
    bool resting = false; /* nobody can be accepted just now, and poll() would never wait */

    while (fds != NULL) {
        unsigned n = 0;
        fds[n++] = (struct pollfd){.fd = a->wake, .events = POLLIN};
        for (unsigned i = 0; i < a->n_listeners; i++)
            fds[n++] = (struct pollfd){.fd = resting ? -1 : a->listeners[i].fd, .events = POLLIN};
        unsigned first = n;
        for (unsigned i = 0; i < a->n_watched; i++)
            fds[n++] = (struct pollfd){.fd = a->watched[i], .events = POLLRDHUP};
        if (poll(fds, n, resting ? REST_MS : -1) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (fds[0].revents != 0)
            break;
        forget_gone(a, fds + first);
        resting = false;
        for (unsigned i = 0; i < a->n_listeners; i++)
            if (fds[1 + i].revents != 0)
                resting |= !accept_one(a, &a->listeners[i]);
    }
    free(fds);
    return NULL;
}

bool rpc_acceptor_start(struct rpc_acceptor *a, struct sf_error **err)
{
    a->started = pthread_create(&a->thread, NULL, accept_all, a) == 0;
    return a->started ? true : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no thread for connections");
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void rpc_acceptor_free(struct rpc_acceptor *a)
{
    if (a == NULL)
        return;
    uint64_t one = 1;
    if (a->started && write(a->wake, &one, sizeof(one)) == (ssize_t)sizeof(one))
        pthread_join(a->thread, NULL);
    for (unsigned i = 0; i < a->n_listeners; i++) {
        struct listener *l = &a->listeners[i];
        if (l->bound)
            unlink(l->path);
        if (l->lock_fd >= 0)
            unlink(l->lock_path); /* while it is locked: see lock_socket() */
        close_fd(l->fd);
        close_fd(l->lock_fd);
        free(l->path);
        free(l->lock_path);
    }
    for (unsigned i = 0; i < a->n_watched; i++)
        close(a->watched[i]);
    close_fd(a->wake);
    close_fd(a->spare);
    free(a->watched);
    free(a);
}
