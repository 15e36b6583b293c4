#ifndef CLI_SNAPSHOT_FILE_H
#define CLI_SNAPSHOT_FILE_H

#include "cli.h"

/* A snapshot in a file; "-" is standard input or output. */
bool snapshot_file_read(const char *file, struct sandferry_snapshot **ret, struct sf_error **err);
bool snapshot_file_write(struct cli *cli, const struct sandferry_snapshot *snapshot,
                         const char *file, struct sf_error **err);

/* Whether the file could be written: asked before a save, since after it the sandbox is gone. */
bool snapshot_file_check(const char *file, struct sf_error **err);

#endif
