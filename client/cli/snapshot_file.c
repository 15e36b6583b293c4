#include "snapshot_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/text.h"
#include "snapshot/limits.h"

static bool is_standard(const char *file)
{
    return strcmp(file, "-") == 0;
}

static bool read_stdin(struct sf_bytes *ret, struct sf_error **err)
{
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), stdin)) > 0) {
        if (ret->size + n > SF_SNAPSHOT_SIZE_MAX)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                           "standard input has more than the %d bytes of a snapshot",
                           SF_SNAPSHOT_SIZE_MAX);
        if (!sf_bytes_append(ret, buffer, n))
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    }
    return !ferror(stdin) ||
           sf_fail(err, SF_UNKNOWN, "standard input cannot be read: %s", strerror(errno));
}

bool snapshot_file_read(const char *file, struct sandferry_snapshot **ret, struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = {0};

    if (!is_standard(file))
        return sandferry_snapshot_read(file, ret, err);
    return read_stdin(&bytes, err) &&
           (sandferry_snapshot_from_bytes(bytes.data, bytes.size, ret, err) ||
            sf_fail_in(err, "standard input"));
}

bool snapshot_file_write(struct cli *cli, const struct sandferry_snapshot *snapshot,
                         const char *file, struct sf_error **err)
{
    void *data;
    size_t size;

    if (!is_standard(file))
        return sandferry_snapshot_write(snapshot, file, err);
    if (!sandferry_snapshot_to_bytes(snapshot, &data, &size, err))
        return false;
    bool ok = fwrite(data, 1, size, cli->out) == size && fflush(cli->out) == 0;
    free(data);
    return ok || sf_fail(err, SF_UNKNOWN, "standard output cannot be written: %s", strerror(errno));
}

/* The directory part of a path, as a text of its own. */
static char *directory_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        return strdup(".");
    return slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
}

bool snapshot_file_check(const char *file, struct sf_error **err)
{
    struct stat st;
    if (is_standard(file))
        return !isatty(STDOUT_FILENO) ||
               sf_fail(err, SF_INVALID_ARGUMENT,
                       "a snapshot is no text for a terminal: name a file, or redirect the output");

    SF_CLEANUP(sf_freep) char *directory = directory_of(file);
    SF_CLEANUP(sf_freep) char *beside = sf_format("%s.XXXXXX", file);
    if (directory == NULL || beside == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    if (stat(directory, &st) != 0)
        return sf_fail(err, SF_NOT_FOUND, "'%s' cannot be written: '%s': %s; nothing was saved",
                       file, directory, strerror(errno));
    if (stat(file, &st) == 0 && S_ISDIR(st.st_mode))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is a directory; nothing was saved", file);
    int fd = mkstemp(beside);
    if (fd < 0)
        return sf_fail(err, errno == EACCES ? SF_PERMISSION_DENIED : SF_UNKNOWN,
                       "'%s' cannot be written: %s; nothing was saved", file, strerror(errno));
    close(fd);
    unlink(beside);
    return true;
}
