#include "operations.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon.h"
#include "sandbox.h"

struct sf_sandbox *operation_new_sandbox(struct daemon *d, const char *id, const char *directory,
                                         struct sf_error **err)
{
    if (!registry_check_id(id, err))
        return NULL;
    SF_CLEANUP(sf_freep)
    char *path = directory == NULL ? operation_directory(d, id) : strdup(directory);
    if (path == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }
    struct sf_sandbox *s = sandbox_new(id, path, d, err);
    if (s != NULL)
        sandbox_lock(s);
    return s;
}

struct sf_sandbox *operation_enter(struct daemon *d, struct rpc_call *call, const char *id,
                                   struct sf_error **err)
{
    struct sf_sandbox *s = registry_find(&d->registry, id, err);
    if (s == NULL || sandbox_enter(s, call, err))
        return s;
    sandbox_unref(s);
    return NULL;
}

void operation_leave(struct sf_sandbox *s)
{
    if (s == NULL)
        return;
    sandbox_unlock(s);
    sandbox_unref(s);
}

char *operation_directory(const struct daemon *d, const char *id)
{
    /* "sb": the paths of unix sockets in it have 107 bytes at most. */
    return sf_format("%s/sb/%s", config_get(&d->config, "run-dir"), id);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    if (remove(path) != 0 && errno != ENOENT)
        sf_warning("'%s' cannot be removed: %s, continuing", path, strerror(errno));
    return 0;
}

void operation_remove_directory(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

bool operation_make_directory(const char *path, struct sf_error **err)
{
    int made = mkdir(path, 0700);
    if (made != 0 && errno == EEXIST) { /* nobody's: the registry knows all that are in use */
        operation_remove_directory(path);
        made = mkdir(path, 0700);
    }
    return made == 0 || sf_fail(err, errno == ENOSPC ? SF_RESOURCE_EXHAUSTED : SF_UNAVAILABLE,
                                "'%s' cannot be made: %s", path, strerror(errno));
}
