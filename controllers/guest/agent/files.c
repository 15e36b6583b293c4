#include "guest/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool fail(struct outcome *o, enum agent_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(o->message, sizeof(o->message), fmt, args);
    va_end(args);
    o->code = (uint32_t)code;
    return false;
}

void agent_log(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fputs("sandferry-agent: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

bool make_directories(const char *path)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return mkdir(copy, 0755) == 0 || errno == EEXIST;
}

bool write_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;

    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        at += n;
        size -= (size_t)n;
    }
    int saved = errno;
    bool closed = close(fd) == 0;
    if (size > 0)
        errno = saved;
    return size == 0 && closed;
}

ssize_t read_file(const char *path, char *ret, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;

    ssize_t n = read(fd, ret, room - 1);
    int saved = errno;
    close(fd);
    errno = saved;
    ret[n > 0 ? n : 0] = '\0';
    return n;
}

bool name_valid(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size <= 64 && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == size;
}

bool path_beneath(const char *path, const char *root)
{
    size_t n = strlen(root);

    return strncmp(path, root, n) == 0 && path[n] == '/' && strlen(path) < PATH_MAX &&
           strstr(path, "//") == NULL && strstr(path, "/../") == NULL &&
           (strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/..") != 0);
}
