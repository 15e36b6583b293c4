#include "guest/agent/overlay.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/kernel_log.h"
#include "guest/agent/modules.h"

static bool add(char *text, size_t *used, size_t room, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static bool add(char *text, size_t *used, size_t room, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text + *used, room - *used, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room - *used)
        return false;
    *used += (size_t)n;
    return true;
}

bool overlay_options(const struct overlay *v, char *ret, size_t room)
{
    size_t used = 0, base = strlen(v->base) + 1;
    bool ok = add(ret, &used, room, "lowerdir=");

    for (size_t i = v->n_layers; ok && i-- > 0;)
        ok = add(ret, &used, room, "%s%s", v->layers[i] + base, i > 0 ? ":" : "");
    return ok &&
           add(ret, &used, room, ",upperdir=%s/upper,workdir=%s/work", v->scratch, v->scratch);
}

/* A container begins with what its layers hold, whatever an earlier one of its name has left. */
static bool make_scratch(const struct overlay *v, struct outcome *o)
{
    static const char *const parts[] = {"upper", "work"};
    char path[PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", v->scratch, parts[i]);
        if (!remove_tree(path) || !make_directories(path))
            return outcome_fail(o, errno == ENOSPC ? SF_RESOURCE_EXHAUSTED : SF_FAILED_PRECONDITION,
                                "container '%s': scratch directory '%s': %s", v->container_id, path,
                                strerror(errno));
    }
    if (!make_directories(v->rootfs))
        return outcome_fail(o, SF_FAILED_PRECONDITION, "container '%s': '%s': %s", v->container_id,
                            v->rootfs, strerror(errno));
    return true;
}

bool overlay_mount(const struct overlay *v, struct outcome *o)
{
    char options[OVERLAY_OPTIONS_MAX + 1], words[400];

    if (!overlay_options(v, options, sizeof(options)))
        return outcome_fail(
            o, SF_INVALID_ARGUMENT,
            "container '%s': the paths of its %zu layers are too long for one mount",
            v->container_id, v->n_layers);
    if (!make_scratch(v, o))
        return false;
    if (chdir(v->base) < 0)
        return outcome_fail(o, SF_FAILED_PRECONDITION, "container '%s': '%s': %s", v->container_id,
                            v->base, strerror(errno));
    modules_load("overlay");
    int log = kernel_log_open();
    if (mount("overlay", v->rootfs, "overlay", 0, options) < 0) {
        int saved = errno;
        kernel_log_read(log, words, sizeof(words));
        return outcome_fail(
            o, SF_FAILED_PRECONDITION,
            "container '%s': its root file system could not be mounted: %s%s%s; see whether "
            "all its layers are mounted",
            v->container_id, strerror(saved), words[0] != '\0' ? "; the kernel says: " : "", words);
    }
    if (log >= 0)
        close(log);
    return true;
}
