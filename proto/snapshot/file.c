#include "snapshot/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/text.h"

static enum sf_code code_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return SF_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return SF_PERMISSION_DENIED;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return SF_RESOURCE_EXHAUSTED;
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return SF_INVALID_ARGUMENT;
    default:
        return SF_UNAVAILABLE;
    }
}

static bool fail(struct sf_error **err, const char *what, const char *path)
{
    int error = errno;

    return sf_fail(err, code_of(error), "cannot %s '%s': %s", what, path, strerror(error));
}

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static bool sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    SF_CLEANUP(sf_freep) char *name = size > 0 ? strndup(path, size) : strdup(".");
    if (name == NULL) {
        errno = ENOMEM;
        return false;
    }
    SF_CLEANUP(closep) int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0;
}

/* Each step can be made to fail by its name. */
static bool replace(int fd, const char *beside, const char *path, const struct sf_bytes *content,
                    struct sf_error **err)
{
    if (!sf_fault("file: write", err))
        return false;
    if (!write_all(fd, content->data, content->size))
        return fail(err, "write", path);
    if (!sf_fault("file: sync", err))
        return false;
    if (fsync(fd) != 0)
        return fail(err, "sync", path);
    if (!sf_fault("file: rename", err))
        return false;
    return rename(beside, path) == 0 || fail(err, "replace", path);
}

bool sf_file_write(const char *path, const void *data, size_t size, mode_t mode,
                   struct sf_error **err)
{
    const struct sf_bytes content = {.data = (uint8_t *)(uintptr_t)data, .size = size};
    SF_CLEANUP(sf_freep) char *beside = sf_format("%s.XXXXXX", path);
    if (beside == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    SF_CLEANUP(closep) int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return fail(err, "make a file beside", path);

    bool done = fchmod(fd, mode) == 0 ? replace(fd, beside, path, &content, err)
                                      : fail(err, "set the mode of", path);
    if (!done) {
        unlink(beside);
        return false;
    }
    if (!sf_fault("file: sync directory", err))
        return false;
    return sync_directory_of(path) || fail(err, "sync the directory of", path);
}

static bool read_all(int fd, uint8_t *data, size_t size, size_t *ret_size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_size = done;
    return true;
}

bool sf_file_read(const char *path, size_t size_max, struct sf_bytes *ret, struct sf_error **err)
{
    /* Not to wait for a writer if the name is a FIFO. */
    SF_CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return fail(err, "open", path);
    if (fstat(fd, &st) != 0)
        return fail(err, "read", path);
    if (!S_ISREG(st.st_mode))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is not a regular file", path);

    /* One byte more than its size, to notice that it grows. */
    size_t room = st.st_size < (off_t)size_max ? (size_t)st.st_size + 1 : size_max + 1;
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = {.data = malloc(room)};
    if (bytes.data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    if (!read_all(fd, bytes.data, room, &bytes.size))
        return fail(err, "read", path);
    if (bytes.size > size_max)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "'%s' has more than %zu bytes", path, size_max);
    if (bytes.size == room)
        return sf_fail(err, SF_ABORTED, "'%s' grew while it was read; try again", path);
    *ret = bytes;
    bytes = (struct sf_bytes){0};
    return true;
}
