#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

static bool add_root(struct paths *p, const char *prefix, const char *directory,
                     struct sf_error **err)
{
    struct path_root root = {.prefix = strdup(prefix), .directory = strdup(directory)};
    if (root.prefix == NULL || root.directory == NULL) {
        free(root.prefix);
        free(root.directory);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }
    size_t size = strlen(root.prefix);
    while (size > 0 && root.prefix[size - 1] == '/')
        root.prefix[--size] = '\0';
    p->roots[p->n++] = root;
    return true;
}

static bool add_allowed(struct paths *p, const char *given, struct sf_error **err)
{
    struct stat info;

    if (given[0] != '/')
        return sf_fail(err, SF_INVALID_ARGUMENT, "--allow '%s': not an absolute path", given);
    SF_CLEANUP(sf_freep) char *resolved = realpath(given, NULL);
    if (resolved == NULL || stat(resolved, &info) != 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "--allow '%s': %s", given, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return sf_fail(err, SF_FAILED_PRECONDITION, "--allow '%s': not a directory", given);

    /* Requests may name it as the flag did, or as it is called without links. */
    return add_root(p, given, resolved, err) &&
           (strcmp(given, resolved) == 0 || add_root(p, resolved, resolved, err));
}

bool paths_init(struct paths *ret, const char *const *roots, size_t n, struct sf_error **err)
{
    *ret = (struct paths){.roots = calloc(2 * n + 1, sizeof(struct path_root))};
    if (ret->roots == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (size_t i = 0; i < n; i++)
        if (!add_allowed(ret, roots[i], err))
            return false;
    return true;
}

void paths_done(struct paths *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->roots[i].prefix);
        free(p->roots[i].directory);
    }
    free(p->roots);
    *p = (struct paths){0};
}

/* What is left of the path beneath the root; NULL: it does not lie there, as far as its text goes.
 * Whether it really does is for the kernel to say. */
static const char *beneath(const char *root, const char *path)
{
    size_t size = strlen(root);
    if (strncmp(path, root, size) != 0 || (path[size] != '/' && path[size] != '\0'))
        return NULL;
    path += size;
    path += strspn(path, "/");
    return *path == '\0' ? "." : path;
}

static int open_beneath(const char *root, const char *rest, int flags, mode_t mode)
{
    int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -1;

    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC | (flags & O_PATH ? 0u : (unsigned)O_NOCTTY),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, directory, rest, &how, sizeof(how));
    int reason = errno;
    close(directory);
    errno = reason;
    return fd;
}

static bool opens_at_once(int fd, const char *path, struct sf_error **err)
{
    struct stat info;
    if (fstat(fd, &info) == 0 &&
        (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) || S_ISBLK(info.st_mode)))
        return true;
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "'%s' is neither a file nor a directory nor a block device", path);
}

/* What O_PATH found is opened itself: it cannot be replaced in between. */
static int open_found(int found, const char *path, int flags, struct sf_error **err)
{
    char link[32];
    if (!opens_at_once(found, path, err))
        return -1;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
    int fd = open(link, (flags & ~O_NOFOLLOW) | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        sf_fail(err, errno == EACCES || errno == EPERM ? SF_PERMISSION_DENIED : SF_UNAVAILABLE,
                "'%s' cannot be opened: %s", path, strerror(errno));
    return fd;
}

static void fail_open(int reason, const char *path, struct sf_error **err)
{
    switch (reason) {
    case ENOENT:
    case ENOTDIR:
        sf_fail(err, SF_NOT_FOUND, "'%s' is not there", path);
        break;
    case EXDEV:
        sf_fail(err, SF_PERMISSION_DENIED,
                "'%s' leads out of the directory that --allow gives: a link in it is absolute, or "
                "goes up too far",
                path);
        break;
    case ELOOP:
        sf_fail(err, SF_INVALID_ARGUMENT, "'%s': its links go round in a circle", path);
        break;
    case EACCES:
    case EPERM:
        sf_fail(err, SF_PERMISSION_DENIED, "'%s': %s", path, strerror(reason));
        break;
    case ENAMETOOLONG:
        sf_fail(err, SF_INVALID_ARGUMENT, "'%.64s...' is too long for a path", path);
        break;
    default:
        sf_fail(err, SF_UNAVAILABLE, "'%s' cannot be opened: %s", path, strerror(reason));
    }
}

static void fail_outside(const struct paths *p, const char *path, struct sf_error **err)
{
    struct sf_text text = {0};
    for (size_t i = 0; i < p->n; i++)
        sf_text_add(&text, "%s'%s'", i == 0 ? "" : ", ",
                    p->roots[i].prefix[0] ? p->roots[i].prefix : "/");
    SF_CLEANUP(sf_freep) char *roots = sf_text_take(&text);
    sf_fail(err, SF_PERMISSION_DENIED,
            "'%s' is not beneath a directory that this daemon allows (%s): move it there, or start "
            "the daemon with --allow",
            path, roots == NULL || *roots == '\0' ? "none" : roots);
}

int paths_open(const struct paths *p, const char *path, int flags, struct sf_error **err)
{
    if (path == NULL || path[0] != '/') {
        sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is not an absolute path", path ? path : "");
        return -1;
    }

    int reason = 0;
    bool as_it_is = (flags & (O_CREAT | O_PATH)) != 0;
    for (size_t i = 0; i < p->n; i++) {
        const char *rest = beneath(p->roots[i].prefix, path);
        if (rest == NULL)
            continue;
        int fd = open_beneath(p->roots[i].directory, rest,
                              as_it_is ? flags | (flags & O_CREAT ? O_NONBLOCK : 0)
                                       : O_PATH | (flags & (O_NOFOLLOW | O_DIRECTORY)),
                              0600);
        if (fd < 0) {
            reason = errno;
            continue; /* another root may hold it */
        }
        if (as_it_is)
            return fd;
        int opened = open_found(fd, path, flags, err);
        close(fd);
        return opened;
    }
    if (reason == 0)
        fail_outside(p, path, err);
    else
        fail_open(reason, path, err);
    return -1;
}
