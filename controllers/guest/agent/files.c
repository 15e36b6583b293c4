#include "guest/agent/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LETTERS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define TREE_DEEP 200 /* directories within each other that remove_tree() goes into */

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

static bool write_all(int fd, const char *data, size_t size)
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

bool write_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;

    bool ok = write_all(fd, data, size);
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

ssize_t read_file(const char *path, char *ret, size_t room)
{
    ret[0] = '\0';
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

static bool empty_directory(int parent, const char *name, dev_t device, int deep);

static bool remove_entry(int parent, const char *name, dev_t device, int deep)
{
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(parent, name, 0) == 0;
    if (st.st_dev != device) {
        errno = EXDEV;
        return false;
    }
    return empty_directory(parent, name, device, deep) && unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

static bool empty_directory(int parent, const char *name, dev_t device, int deep)
{
    if (deep == 0) {
        errno = ELOOP;
        return false;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = remove_entry(fd, entry->d_name, device, deep - 1);
    int saved = errno;
    closedir(dir);
    errno = saved;
    return ok;
}

bool remove_tree(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT;
    return remove_entry(AT_FDCWD, path, st.st_dev, TREE_DEEP);
}

bool is_mount_point(const char *path)
{
    char parent[PATH_MAX + 4];
    struct stat at, above;

    snprintf(parent, sizeof(parent), "%s/..", path);
    return stat(path, &at) == 0 && stat(parent, &above) == 0 && at.st_dev != above.st_dev;
}

bool name_valid(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size < NAME_ROOM && strchr(LETTERS, name[0]) != NULL &&
           strspn(name, LETTERS "-_.+") == size;
}

bool path_beneath(const char *path, const char *root)
{
    size_t size = strlen(path), root_size = strlen(root);

    if (size >= PATH_MAX - NAME_ROOM || strncmp(path, root, root_size) != 0 ||
        path[root_size] != '/' || strspn(path, LETTERS "-_.+/@ ") != size)
        return false;
    for (const char *part = path + root_size; *part != '\0';) {
        part++; /* its '/' */
        size_t n = strcspn(part, "/");
        if (n == 0 || n > NAME_MAX || strncmp(part, ".", n) == 0 || strncmp(part, "..", n) == 0)
            return false;
        part += n;
    }
    return true;
}
