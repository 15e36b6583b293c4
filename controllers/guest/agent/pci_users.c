/* Who uses a PCI device: open files, mappings and mounts of all processes. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/pci.h"
#include "guest/agent/users.h"

struct search {
    const char *proc, *device;
    const struct pci_handles *handles;
    const struct pci_node *busy; /* a block device that somebody holds exclusively; NULL: none */
    struct users users;
};

static void add_user(struct search *s, const char *pid, const char *what, const char *how)
{
    char who[256], words[512];

    process_words(s->proc, pid, who, sizeof(who));
    snprintf(words, sizeof(words), "%s has '%.64s'%s", who, what, how);
    users_add(&s->users, words);
}

/* By number, not by name: a container may have its own name for a node. */
static const char *node_of(const struct search *s, const struct statx *at)
{
    bool block = S_ISBLK(at->stx_mode);
    dev_t number = makedev(at->stx_rdev_major, at->stx_rdev_minor);

    for (size_t i = 0; (block || S_ISCHR(at->stx_mode)) && i < s->handles->n_nodes; i++)
        if (s->handles->nodes[i].block == block && s->handles->nodes[i].number == number)
            return s->handles->nodes[i].name;
    return NULL;
}

/* sysfs is the same whoever mounts it, but another file system may have the same inode number: the
 * path tells. */
static const char *resource_of(const struct search *s, const struct statx *at, const char *link,
                               char target[PATH_MAX])
{
    bool maybe = false;

    for (size_t i = 0; S_ISREG(at->stx_mode) && i < s->handles->n_files; i++)
        maybe = maybe || s->handles->files[i] == at->stx_ino;
    if (!maybe)
        return NULL;
    ssize_t size = readlink(link, target, PATH_MAX - 1);
    target[size > 0 ? size : 0] = '\0';
    const char *file = strrchr(target, '/');
    size_t n = strlen(s->device);
    bool ours = file != NULL && strncmp(file, "/resource", 9) == 0 &&
                (size_t)(file - target) >= n && strncmp(file - n, s->device, n) == 0;
    return ours ? file + 1 : NULL;
}

/* @list: "fd" or "map_files". True: it is a user, and has been added. */
static bool look_at(struct search *s, const char *pid, const char *list, const char *how)
{
    char path[PATH_MAX], target[PATH_MAX];
    bool found = false;

    snprintf(path, sizeof(path), "%s/%s/%s", s->proc, pid, list);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
        struct statx at;
        snprintf(path, sizeof(path), "%s/%s/%s/%s", s->proc, pid, list, entry->d_name);
        if (entry->d_name[0] == '.' ||
            statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &at) < 0)
            continue;
        const char *name = node_of(s, &at);
        if (name == NULL)
            name = resource_of(s, &at, path, target);
        found = name != NULL;
        if (found)
            add_user(s, pid, name, how);
    }
    closedir(dir);
    return found;
}

/* A line of mountinfo: "36 35 8:1 / /mnt rw ..."; the third word is the device. */
static bool has_mount(struct search *s, const char *pid)
{
    char path[PATH_MAX], line[2 * PATH_MAX];
    unsigned major, minor;
    bool found = false;

    snprintf(path, sizeof(path), "%s/%s/mountinfo", s->proc, pid);
    FILE *mounts = fopen(path, "re");
    if (mounts == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), mounts) != NULL)
        found = sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2 &&
                makedev(major, minor) == s->busy->number;
    fclose(mounts);
    if (found)
        add_user(s, pid, s->busy->name, " mounted");
    return found;
}

/* A file system, a mapped device and the like hold a block device for themselves alone. */
static const struct pci_node *find_busy(const struct pci_handles *handles)
{
    for (size_t i = 0; i < handles->n_nodes; i++) {
        char path[PCI_NAME_ROOM + 8];
        if (!handles->nodes[i].block)
            continue;
        snprintf(path, sizeof(path), "/dev/%s", handles->nodes[i].name);
        int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
        if (fd < 0)
            return &handles->nodes[i];
        close(fd);
    }
    return NULL;
}

unsigned pci_users(const char *proc, const char *device, const struct pci_handles *handles,
                   char *ret, size_t room)
{
    struct search s = {
        .proc = proc, .device = device, .handles = handles, .users = {.text = ret, .room = room}};
    DIR *dir = opendir(proc);

    s.busy = find_busy(handles);
    ret[0] = '\0';
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
            continue;
        if (!look_at(&s, entry->d_name, "fd", " open") &&
            !look_at(&s, entry->d_name, "map_files", " mapped") && s.busy != NULL)
            has_mount(&s, entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    if (s.users.found == 0 && s.busy != NULL)
        users_add(&s.users, "a file system or another device of the guest");
    users_end(&s.users);
    return s.users.found;
}
