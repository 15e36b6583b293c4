#include "plan9/share.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const share_states[] = {
    [SHARE_RESERVED] = "reserved",
    [SHARE_ADDED] = "added",
    [SHARE_INVALID] = "invalid",
    [SHARE_REMOVED] = "removed",
};
static_assert(COUNT(share_states) == SHARE_N_STATES, "every state has a name");

static const char *const share_events[] = {
    [SHARE_ADD_DONE] = "add done",
    [SHARE_ADD_FAILED] = "add failed",
    [SHARE_LOST] = "lost",
    [SHARE_REMOVE_DONE] = "remove done",
};
static_assert(COUNT(share_events) == SHARE_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step share_steps[] = {
    /* a share that is    when                  becomes          */
    { SHARE_RESERVED,     SHARE_ADD_DONE,       SHARE_ADDED     },
    { SHARE_RESERVED,     SHARE_ADD_FAILED,     SHARE_INVALID   },
    { SHARE_RESERVED,     SHARE_REMOVE_DONE,    SHARE_REMOVED   },

    { SHARE_ADDED,        SHARE_LOST,           SHARE_INVALID   },
    { SHARE_ADDED,        SHARE_REMOVE_DONE,    SHARE_REMOVED   },

    { SHARE_INVALID,      SHARE_REMOVE_DONE,    SHARE_REMOVED   },
};

const struct sf_machine share_machine = {
    .noun = "plan9 share",
    .states = share_states, .n_states = COUNT(share_states),
    .events = share_events, .n_events = COUNT(share_events),
    .steps  = share_steps,  .n_steps  = COUNT(share_steps),
};
/* clang-format on */

static const char *const mount_states[] = {
    [MOUNT_RESERVED] = "reserved",
    [MOUNT_MOUNTED] = "mounted",
    [MOUNT_INVALID] = "invalid",
    [MOUNT_UNMOUNTED] = "unmounted",
};
static_assert(COUNT(mount_states) == MOUNT_N_STATES, "every state has a name");

static const char *const mount_events[] = {
    [MOUNT_MOUNT_DONE] = "mount done",
    [MOUNT_MOUNT_FAILED] = "mount failed",
    [MOUNT_UNMOUNT_DONE] = "unmount done",
    [MOUNT_UNMOUNT_LOST] = "unmount lost",
};
static_assert(COUNT(mount_events) == MOUNT_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step mount_steps[] = {
    /* a mount that is    when                  becomes          */
    { MOUNT_RESERVED,     MOUNT_MOUNT_DONE,     MOUNT_MOUNTED   },
    { MOUNT_RESERVED,     MOUNT_MOUNT_FAILED,   MOUNT_INVALID   },
    { MOUNT_RESERVED,     MOUNT_UNMOUNT_DONE,   MOUNT_UNMOUNTED },

    { MOUNT_MOUNTED,      MOUNT_UNMOUNT_DONE,   MOUNT_UNMOUNTED },
    { MOUNT_MOUNTED,      MOUNT_UNMOUNT_LOST,   MOUNT_INVALID   },

    { MOUNT_INVALID,      MOUNT_UNMOUNT_DONE,   MOUNT_UNMOUNTED },
    { MOUNT_INVALID,      MOUNT_UNMOUNT_LOST,   MOUNT_INVALID   },
};

const struct sf_machine mount_machine = {
    .noun = "plan9 mount",
    .states = mount_states, .n_states = COUNT(mount_states),
    .events = mount_events, .n_events = COUNT(mount_events),
    .steps  = mount_steps,  .n_steps  = COUNT(mount_steps),
};
/* clang-format on */

/* ---- What is shared ---- */

void share_config_done(struct share_config *config)
{
    free(config->names);
    config->names = NULL;
    config->n_names = 0;
}

bool share_config_copy(struct share_config *ret, const struct share_config *config)
{
    *ret = *config;
    ret->names = NULL;
    if (config->n_names == 0)
        return true;
    ret->names = malloc(config->n_names * sizeof(*ret->names));
    if (ret->names == NULL)
        return false;
    memcpy(ret->names, config->names, config->n_names * sizeof(*ret->names));
    return true;
}

bool share_config_equal(const struct share_config *a, const struct share_config *b)
{
    bool same = strcmp(a->path, b->path) == 0 && a->read_only == b->read_only &&
                a->restricted == b->restricted && a->n_names == b->n_names;

    for (unsigned i = 0; same && i < a->n_names; i++)
        same = strcmp(a->names[i], b->names[i]) == 0;
    return same;
}

static bool is_file_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 && strlen(name) < PLAN9_NAME_SIZE &&
           sf_utf8_valid(name, strlen(name));
}

bool share_config_add_name(struct share_config *config, const char *name, struct sf_error **err)
{
    unsigned at = 0;

    if (!is_file_name(name)) {
        sf_fail(err, SF_INVALID_ARGUMENT, "'%.300s' is no name of a file in a directory",
                sf_utf8_valid(name, strlen(name)) ? name : "?");
        return sf_fail_detail(err, SF_DETAIL_FIELD, "allowed_names", "must be names of files");
    }
    while (at < config->n_names && strcmp(config->names[at], name) < 0)
        at++;
    if (at < config->n_names && strcmp(config->names[at], name) == 0)
        return true;
    if (config->n_names == PLAN9_NAMES_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "a share shows at most %d names", PLAN9_NAMES_MAX);
    void *grown = realloc(config->names, (config->n_names + 1) * sizeof(*config->names));
    if (grown == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a name");

    config->names = grown;
    memmove(config->names[at + 1], config->names[at],
            (config->n_names - at) * sizeof(*config->names));
    memset(config->names[at], 0, sizeof(config->names[at]));
    snprintf(config->names[at], sizeof(config->names[at]), "%s", name);
    config->n_names++;
    return true;
}

bool share_path_normalise(const char *path, char ret[PATH_MAX], struct sf_error **err)
{
    size_t size = 0;

    if (path[0] != '/' || strlen(path) >= PATH_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s' is not an absolute path", path);
    for (const char *at = path; *at != '\0';) {
        size_t n = strcspn(at += strspn(at, "/"), "/");
        if (n == 2 && strncmp(at, "..", 2) == 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s': give the path without '..'", path);
        if (n > 0 && !(n == 1 && at[0] == '.')) {
            ret[size++] = '/';
            memcpy(ret + size, at, n);
            size += n;
        }
        at += n;
    }
    if (size == 0)
        ret[size++] = '/';
    ret[size] = '\0';
    return true;
}

bool share_config_set_path(struct share_config *config, const char *path, struct sf_error **err)
{
    if (path == NULL)
        path = "";
    if (share_path_normalise(path, config->path, err))
        return true;
    return sf_fail_detail(err, SF_DETAIL_FIELD, "host_path",
                          "must be an absolute path without '..'");
}

/* ---- A share ---- */

struct share *share_new(uint64_t number, const struct share_config *config)
{
    struct share *sh = calloc(1, sizeof(*sh));
    if (sh == NULL || !share_config_copy(&sh->config, config)) {
        free(sh);
        return NULL;
    }
    sh->number = number;
    snprintf(sh->name, sizeof(sh->name), "%" PRIu64, number);
    snprintf(sh->guest_path, sizeof(sh->guest_path), "/run/sandferry/mounts/plan9/%" PRIu64,
             number);
    return sh;
}

void share_free(struct share *sh)
{
    if (sh == NULL)
        return;
    share_config_done(&sh->config);
    ninep_state_done(&sh->open);
    free(sh);
}

bool share_number(const char *name, uint64_t *ret)
{
    size_t size = strlen(name);

    if (size == 0 || size > 18 || strspn(name, "0123456789") != size ||
        (name[0] == '0' && size > 1))
        return false;
    *ret = strtoull(name, NULL, 10);
    return true;
}

bool share_is_good(const struct share *sh)
{
    return (sh->state == SHARE_RESERVED || sh->state == SHARE_ADDED) &&
           (sh->mount == MOUNT_RESERVED || sh->mount == MOUNT_MOUNTED);
}
