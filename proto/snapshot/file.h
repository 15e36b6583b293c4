#ifndef SF_FILE_H
#define SF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sf_file_write() - replace a file's content, whatever happens meanwhile
 * @path: absolute, or beneath the working directory
 * @mode: of the new file
 *
 * Writes beside the name, syncs, renames and syncs the directory: a crash at any time leaves the
 * old content or the new, and perhaps a file NAME.XXXXXX that nobody reads. When it has returned
 * true, the new content survives a loss of power. May be repeated. Fault points, in order: "file:
 * write", "file: sync", "file: rename", "file: sync directory".
 *
 * Return: false with an error that names the path; the old content is still there, unless the last
 * step, syncing the directory, is what failed.
 */
bool sf_file_write(const char *path, const void *data, size_t size, mode_t mode,
                   struct sf_error **err);

/**
 * sf_file_read() - a whole file
 * @size_max: refuse more than this (RESOURCE_EXHAUSTED)
 * @ret:      the caller's, to be emptied with sf_bytes_done()
 *
 * Return: false with NOT_FOUND, PERMISSION_DENIED or another error that names the path.
 */
bool sf_file_read(const char *path, size_t size_max, struct sf_bytes *ret, struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
