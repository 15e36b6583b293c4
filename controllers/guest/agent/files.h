#ifndef AGENT_FILES_H
#define AGENT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Where the agent keeps things, in the guest. */
#define RUN_DIR    "/run/sandferry"
#define MOUNTS_DIR RUN_DIR "/mounts"
#define PODS_DIR   RUN_DIR "/pods"

#define NETWORK_DIR RUN_DIR "/network"

#define NAME_ROOM 161 /* an id, with the NUL */

bool make_directories(const char *path); /* like mkdir -p; errno on failure */
bool write_file(const char *path, const void *data, size_t size);
/* At most room - 1 bytes, NUL-terminated. -1: errno. */
ssize_t read_file(const char *path, char *ret, size_t room);
/* Like rm -rf --one-file-system: goes into no mount and through no link. One that is not there is
 * no error. */
bool remove_tree(const char *path);
bool is_mount_point(const char *path);

/* An id of the host's that becomes a file name here: 1 to 160 letters, digits, '-', '_', '.', '+';
 * the first a letter or digit. */
bool name_valid(const char *name);
/* Absolute, beneath the root, not the root itself; no "..", ".", "//" or trailing '/'; nothing that
 * means something in mount options. */
bool path_beneath(const char *path, const char *root);

#endif
