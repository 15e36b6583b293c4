#include "guest/agent/users.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAMED_MAX 3

/* "0::/c1/more": the first part names the container. */
static void container_of(const char *proc, const char *pid, char ret[NAME_ROOM])
{
    char path[PATH_MAX], text[1024] = "";

    ret[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s/cgroup", proc, pid);
    if (read_file(path, text, sizeof(text)) <= 0)
        return;
    const char *at = strstr(text, "::/");
    if (at != NULL)
        snprintf(ret, NAME_ROOM, "%.*s", (int)strcspn(at + 3, "/\n"), at + 3);
}

void process_words(const char *proc, const char *pid, char *ret, size_t room)
{
    char path[PATH_MAX], name[32] = "", container[NAME_ROOM];

    snprintf(path, sizeof(path), "%s/%s/comm", proc, pid);
    if (read_file(path, name, sizeof(name)) > 0)
        name[strcspn(name, "\n")] = '\0';
    container_of(proc, pid, container);
    snprintf(ret, room, "process %s ('%s')%s%.64s%s", pid, name,
             container[0] != '\0' ? " of container '" : "", container,
             container[0] != '\0' ? "'" : "");
}

static void say(struct users *u, const char *text)
{
    int n = snprintf(u->text + u->size, u->room - u->size, "%s", text);

    u->size = u->size + (size_t)n < u->room ? u->size + (size_t)n : u->room - 1;
}

void users_add(struct users *u, const char *words)
{
    if (u->found++ >= NAMED_MAX)
        return;
    say(u, u->found > 1 ? ", " : "");
    say(u, words);
}

void users_end(struct users *u)
{
    char more[32];

    snprintf(more, sizeof(more), " and %u more", u->found > NAMED_MAX ? u->found - NAMED_MAX : 0);
    if (u->found > NAMED_MAX)
        say(u, more);
}

/* ---- of a mount ---- */

struct search {
    const char *proc, *path;
    char device[32]; /* "0:45", as in mountinfo */
    char own[64];    /* our namespace of mounts */
    struct users users;
};

/* Calls @fn for each mount of a process, until it says true; then true. */
static bool any_mount(const struct search *s, const char *pid,
                      bool (*fn)(struct search *s, const char *device, const char *target),
                      struct search *context)
{
    char path[PATH_MAX], line[2 * PATH_MAX], device[32], target[PATH_MAX];
    bool found = false;

    snprintf(path, sizeof(path), "%s/%s/mountinfo", s->proc, pid);
    FILE *mounts = fopen(path, "re");
    while (mounts != NULL && !found && fgets(line, sizeof(line), mounts) != NULL)
        found = sscanf(line, "%*s %*s %31s %*s %4000s", device, target) == 2 &&
                fn(context, device, target);
    if (mounts != NULL)
        fclose(mounts);
    return found;
}

/* The last one on the path is the one that is seen. */
static bool keep_device(struct search *s, const char *device, const char *target)
{
    if (strcmp(target, s->path) == 0)
        snprintf(s->device, sizeof(s->device), "%s", device);
    return false;
}

static bool is_device(struct search *s, const char *device, const char *target)
{
    (void)target;
    return strcmp(device, s->device) == 0;
}

static bool read_link(const char *proc, const char *pid, const char *name, char *ret, size_t room)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s/%s", proc, pid, name);
    ssize_t n = readlink(path, ret, room - 1);
    ret[n < 0 ? 0 : n] = '\0';
    return n > 0;
}

static bool is_inside(const struct search *s, const char *target)
{
    size_t size = strlen(s->path);

    return strncmp(target, s->path, size) == 0 && (target[size] == '/' || target[size] == '\0');
}

/* A file or directory of it that a process of our namespace has: in *@ret. */
static bool has_file(const struct search *s, const char *pid, char ret[PATH_MAX])
{
    char path[PATH_MAX], name[300];
    bool found = (read_link(s->proc, pid, "cwd", ret, PATH_MAX) && is_inside(s, ret)) ||
                 (read_link(s->proc, pid, "root", ret, PATH_MAX) && is_inside(s, ret)) ||
                 (read_link(s->proc, pid, "exe", ret, PATH_MAX) && is_inside(s, ret));

    snprintf(path, sizeof(path), "%s/%s/fd", s->proc, pid);
    DIR *fds = found ? NULL : opendir(path);
    for (struct dirent *e; fds != NULL && !found && (e = readdir(fds)) != NULL;) {
        snprintf(name, sizeof(name), "fd/%s", e->d_name);
        found = read_link(s->proc, pid, name, ret, PATH_MAX) && is_inside(s, ret);
    }
    if (fds != NULL)
        closedir(fds);
    return found;
}

static void look_at(struct search *s, const char *pid)
{
    char space[64], file[PATH_MAX], who[256], words[512];
    bool elsewhere =
        read_link(s->proc, pid, "ns/mnt", space, sizeof(space)) && strcmp(space, s->own) != 0;

    if (elsewhere ? !any_mount(s, pid, is_device, s) : !has_file(s, pid, file))
        return;
    process_words(s->proc, pid, who, sizeof(who));
    if (elsewhere)
        snprintf(words, sizeof(words), "%s has it mounted", who);
    else
        snprintf(words, sizeof(words), "%s has '%.128s'", who, file);
    users_add(&s->users, words);
}

unsigned mount_users(const char *proc, const char *path, char *ret, size_t room)
{
    struct search s = {.proc = proc, .path = path, .users = {.text = ret, .room = room}};
    DIR *processes = opendir(proc);

    ret[0] = '\0';
    any_mount(&s, "self", keep_device, &s);
    read_link(proc, "self", "ns/mnt", s.own, sizeof(s.own));
    for (struct dirent *e;
         processes != NULL && s.device[0] != '\0' && (e = readdir(processes)) != NULL;)
        if (isdigit((unsigned char)e->d_name[0]))
            look_at(&s, e->d_name);
    if (processes != NULL)
        closedir(processes);
    users_end(&s.users);
    return s.users.found;
}
