/* Calls a fuzz target once for every file of the directories and files that are named. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "snapshot/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned done;

static bool replay_file(const char *path)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (!sf_file_read(path, 64 * 1024 * 1024, &bytes, &err)) {
        fprintf(stderr, "%s\n", sf_error_message(err));
        return false;
    }
    LLVMFuzzerTestOneInput(bytes.data, bytes.size);
    done++;
    return true;
}

static bool replay(const char *path)
{
    DIR *directory = opendir(path);
    bool ok = true;
    if (directory == NULL)
        return replay_file(path);

    for (struct dirent *entry; ok && (entry = readdir(directory)) != NULL;) {
        SF_CLEANUP(sf_freep) char *name = sf_format("%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            ok = name != NULL && replay_file(name);
    }
    closedir(directory);
    return ok;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!replay(argv[i]))
            return 1;
    printf("%u inputs\n", done);
    return done > 0 ? 0 : 1;
}
