#ifndef AGENT_USERS_H
#define AGENT_USERS_H

#include <stdbool.h>
#include <stddef.h>

#include "guest/agent/files.h"

/* Who uses what, in words. @proc: "/proc". */

/* "process 12 ('sh') of container 'c1'". */
void process_words(const char *proc, const char *pid, char *ret, size_t room);

/* A list of words that takes the first few. */
struct users {
    char *text;
    size_t size, room;
    unsigned found;
};
void users_add(struct users *u, const char *words);
void users_end(struct users *u); /* says how many more there are */

/**
 * mount_users() - who uses a file system that is mounted on @path
 * Processes that have it mounted in a namespace of their own, and those that have a file or a
 * directory of it. Asks the file system nothing.
 *
 * Return: how many; @ret names the first of them.
 */
unsigned mount_users(const char *proc, const char *path, char *ret, size_t room);

#endif
