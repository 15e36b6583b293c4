/* Putting this host's directories in the place of the source's, and whether they fit. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plan9/plan9.h"

/* ---- Patches ---- */

static bool is_single_file(const struct share *sh)
{
    return sh->config.restricted && sh->config.n_names == 1;
}

/* Where the path ends in "/NAME", it is that of a file: its directory is left. */
static bool cut_name(char path[PATH_MAX], const char *name)
{
    char *slash = strrchr(path, '/');

    if (strcmp(slash + 1, name) != 0)
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

/* A share of one file may be given the new file, or the directory that it is in. The guest knows
 * its name, so that has to stay. */
static bool take_file(const struct share *sh, char path[PATH_MAX], struct sf_error **err)
{
    SF_CLEANUP(share_config_done) struct share_config found = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *absent = NULL;
    bool file = false;

    snprintf(found.path, sizeof(found.path), "%s", path);
    bool there = resolve_file(&found, &file, &absent);
    if (there && !file)
        return true;
    if (cut_name(path, sh->config.names[0]) || !there)
        return true; /* what is not there is for the admission to say */
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "share '%s': the guest knows the file as '%s'; '%s' has another name", sh->name,
                   sh->config.names[0], path);
}

static bool set_path(struct share *sh, const char *value, struct sf_error **err)
{
    char path[PATH_MAX];

    if (!share_path_normalise(value, path, err) ||
        (is_single_file(sh) && !take_file(sh, path, err)))
        return false;
    snprintf(sh->config.path, sizeof(sh->config.path), "%s", path);
    sh->patched = true;
    return true;
}

/* "/old/" also is the prefix of "/old". */
static const char *beneath(const char *path, const char *prefix, size_t n)
{
    if (strncmp(path, prefix, n) == 0)
        return path + n;
    return strncmp(path, prefix, n - 1) == 0 && path[n - 1] == '\0' ? "" : NULL;
}

static bool patch_prefix(struct plan9 *p, const char *prefix, const char *value,
                         struct sf_error **err)
{
    size_t n = strlen(prefix), found = 0;

    for (size_t i = 0; i < p->n_shares; i++) {
        struct share *sh = p->shares[i];
        const char *rest = beneath(sh->config.path, prefix, n);
        if (rest == NULL)
            continue;
        SF_CLEANUP(sf_freep) char *path = sf_format("%s/%s", value, rest);
        if (path == NULL)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        char normal[PATH_MAX];
        if (!share_path_normalise(path, normal, err))
            return false;
        snprintf(sh->config.path, sizeof(sh->config.path), "%s", normal);
        sh->patched = true;
        found++;
    }
    return found > 0 ? true
                     : sf_fail(err, SF_NOT_FOUND, "no share has a path beneath '%s'", prefix);
}

static bool is_at(const struct share *sh, const char *path)
{
    size_t n = strlen(sh->config.path);

    if (strcmp(sh->config.path, path) == 0)
        return true;
    if (!is_single_file(sh) || strncmp(sh->config.path, path, n) != 0)
        return false;
    n = n == 1 ? 0 : n; /* of "/" */
    return path[n] == '/' && strcmp(path + n + 1, sh->config.names[0]) == 0;
}

/* Several shares may be of one directory: all of them move. */
static bool patch_path(struct plan9 *p, const char *object, const char *value,
                       struct sf_error **err)
{
    char path[PATH_MAX];
    size_t found = 0;

    if (!share_path_normalise(object, path, err))
        return false;
    for (size_t i = 0; i < p->n_shares; i++) {
        if (!is_at(p->shares[i], path))
            continue;
        if (!set_path(p->shares[i], value, err))
            return false;
        found++;
    }
    return found > 0 ? true : sf_fail(err, SF_NOT_FOUND, "no share has the path '%s'", path);
}

bool plan9_patch(struct plan9 *p, const char *object, const char *value, struct sf_error **err)
{
    size_t n = strlen(object);

    if (value[0] != '/')
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s' is not an absolute path of a share",
                       value);
    if (n > 0 && object[0] == '/' && object[n - 1] == '/')
        return patch_prefix(p, object, value, err);
    if (object[0] == '/')
        return patch_path(p, object, value, err);

    const struct reservation *r = plan9_find(p, object);
    struct share *sh = r != NULL ? r->share : plan9_find_share(p, object);
    if (sh == NULL)
        return sf_fail(err, SF_NOT_FOUND,
                       "no share has the reservation, name or path '%.200s'; see the shares of the "
                       "snapshot",
                       object);
    return set_path(sh, value, err);
}
