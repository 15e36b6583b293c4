#ifndef AGENT_SCRATCH_DIR_H
#define AGENT_SCRATCH_DIR_H

/* For the tests: a directory of its own for each, as fixtures. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest/agent/files.h"

static char scratch_dir[64];

static void scratch_dir_make(void)
{
    snprintf(scratch_dir, sizeof(scratch_dir), "/tmp/sandferry-agent-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch_dir));
}

static void scratch_dir_remove(void)
{
    ck_assert(remove_tree(scratch_dir));
}

/* A path in it; valid until the next but three. */
static inline char *scratch_path(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", scratch_dir, name);
    return path;
}

#endif
