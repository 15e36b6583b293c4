#ifndef SERVER_PATHS_H
#define SERVER_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The directories beneath which host paths in requests and snapshots must lie. Read-only. */
struct paths {
    struct path_root {
        char *prefix;    /* owned; absolute, no "/" at the end ("" is the root itself) */
        char *directory; /* owned; what it leads to, links resolved */
    } * roots;
    size_t n;
};

/* Every root must be a directory that is there. paths_done() it, after a failure too. */
bool paths_init(struct paths *ret, const char *const *roots, size_t n, struct sf_error **err);
void paths_done(struct paths *p);

/**
 * paths_open() - open what a request or a snapshot names
 * @flags: of open(2); O_CLOEXEC is added
 *
 * A link that leads out of the root is not followed, and neither is an absolute one. Files,
 * directories and block devices only: whatever could make an open hang is refused.
 *
 * Return: the descriptor, the caller's; -1 with INVALID_ARGUMENT (not absolute), PERMISSION_DENIED
 * (not beneath a root; the file mode), NOT_FOUND, or another error that names the path.
 */
int paths_open(const struct paths *p, const char *path, int flags, struct sf_error **err);

#endif
