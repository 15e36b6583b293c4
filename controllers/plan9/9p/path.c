/* From names to descriptors and back, never out of the root. */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

int name_take(struct span name, char ret[P9_NAME_MAX + 1])
{
    if (name.size == 0)
        return EINVAL;
    if (name.size > P9_NAME_MAX)
        return ENAMETOOLONG;
    if (memchr(name.data, '/', name.size) != NULL || memchr(name.data, '\0', name.size) != NULL)
        return EINVAL;
    memcpy(ret, name.data, name.size);
    ret[name.size] = '\0';
    return strcmp(ret, ".") == 0 || strcmp(ret, "..") == 0 ? EINVAL : 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool name_allowed(const struct ninep *s, const char *name)
{
    return !s->restricted || (s->n_names > 0 && bsearch(&name, s->names, s->n_names,
                                                        sizeof(s->names[0]), by_text) != NULL);
}

bool name_visible(const struct ninep *s, int directory, const char *name)
{
    struct stat st;

    if (!s->restricted)
        return true;
    return fstat(directory, &st) == 0 && (!is_root(s, &st) || name_allowed(s, name));
}

int fd_keep(const struct ninep *s, int *fd)
{
    if (*fd < 0)
        return errno;
    if (*fd < s->fd_limit)
        return 0;
    fd_close(fd);
    return ENFILE;
}

int lookup(int directory, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(O_PATH | O_NOFOLLOW | O_CLOEXEC | flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    long fd;

    /* EAGAIN: something was renamed meanwhile, and the kernel would rather look again. */
    for (unsigned i = 0; i < 32; i++) {
        fd = syscall(SYS_openat2, directory, path[0] != '\0' ? path : ".", &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    if (fd < 0 && errno == EXDEV) /* it would have led out */
        errno = ENOENT;
    return (int)fd;
}

struct fd_path fd_path(int fd)
{
    struct fd_path path;

    snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
    return path;
}

/* O_NONBLOCK: neither a lease nor, should the type not be what it was, a FIFO holds us up. */
int reopen(int fd, int flags)
{
    return open(fd_path(fd).text, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

int fd_copy(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int host_path(int fd, char ret[PATH_MAX])
{
    ssize_t size = readlink(fd_path(fd).text, ret, PATH_MAX);

    if (size < 0)
        return errno;
    if (size >= PATH_MAX)
        return ENAMETOOLONG;
    ret[size] = '\0';
    return 0;
}

int path_of(const struct ninep *s, int fd, char ret[PATH_MAX])
{
    char root[PATH_MAX];
    int problem = host_path(s->root, root);

    if (problem == 0)
        problem = host_path(fd, ret);
    if (problem != 0) {
        ret[0] = '\0';
        return problem;
    }
    size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(ret, root, size) != 0 || (ret[size] != '/' && ret[size] != '\0'))
        return ENOENT;
    if (ret[size] == '/')
        size++;
    memmove(ret, ret + size, strlen(ret + size) + 1);
    return 0;
}

/* Restriction included: what lies behind a name that the guest may not see is not there. */
static int open_directory_at(const struct ninep *s, char *path, int *ret)
{
    char *slash = strchr(path, '/');

    if (slash != NULL)
        *slash = '\0';
    bool allowed = path[0] == '\0' || name_allowed(s, path);
    if (slash != NULL)
        *slash = '/';
    if (!allowed)
        return ENOENT;
    *ret = lookup(s->root, path, O_DIRECTORY);
    return fd_keep(s, ret);
}

int parent_of(const struct ninep *s, const struct fid *f, int *ret_parent,
              char ret_name[P9_NAME_MAX + 1])
{
    char path[PATH_MAX];
    struct stat here, there;
    int problem = path_of(s, f->fd, path);

    if (problem != 0)
        return problem;
    if (path[0] == '\0')
        return EBUSY; /* the root */
    char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    struct span span = {name, strlen(name)};
    problem = name_take(span, ret_name);
    if (problem != 0)
        return problem;
    if (slash == NULL && !name_allowed(s, ret_name))
        return ENOENT;
    *(slash != NULL ? slash : path) = '\0';
    problem = open_directory_at(s, path, ret_parent);
    if (problem != 0)
        return problem;

    if (fstat(f->fd, &here) == 0 &&
        fstatat(*ret_parent, ret_name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        same_file(&here, &there))
        return 0;
    fd_close(ret_parent);
    return ENOENT; /* it has lost that name */
}

int parent_directory(const struct ninep *s, int fd, int *ret)
{
    char path[PATH_MAX];
    int problem = path_of(s, fd, path);

    if (problem != 0)
        return problem;
    char *slash = strrchr(path, '/');
    *(slash != NULL ? slash : path) = '\0';
    return open_directory_at(s, path, ret);
}
