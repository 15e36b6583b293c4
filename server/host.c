/* What controller.h promises to controllers: the functions that they find in this program. */

#include "host.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "method_call.h"
#include "controller.h"
#include "daemon.h"
#include "rpc/rpc.h"
#include "sandbox.h"

static const struct config *settings;
static const struct paths *allowed;

void host_use(const struct config *config, const struct paths *paths)
{
    settings = config;
    allowed = paths;
}

const char *sf_setting(const char *name)
{
    return settings == NULL ? NULL : config_get(settings, name);
}

int sf_path_open(const char *path, int flags, struct sf_error **err)
{
    static const struct paths none;
    return paths_open(allowed == NULL ? &none : allowed, path, flags, err);
}

const char *sf_sandbox_id(const struct sf_sandbox *s)
{
    return s->id;
}

const char *sf_sandbox_directory(const struct sf_sandbox *s)
{
    return s->directory;
}

bool sf_sandbox_is_clone(const struct sf_sandbox *s)
{
    return s->clone;
}

const void *sf_sandbox_offer(struct sf_sandbox *s, const char *name,
                             struct sf_controller **ret_owner)
{
    for (size_t i = 0; i < s->n_instances; i++) {
        struct sf_controller *c = s->instances[i].controller;
        for (const struct sf_offer *o = c->cls->offers; o != NULL && o->name != NULL; o++)
            if (strcmp(o->name, name) == 0) {
                *ret_owner = c;
                return o->ops;
            }
    }
    return NULL;
}

void sf_sandbox_event(struct sf_sandbox *s, const char *type, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    events_addv(&s->daemon->events, s->id, type, fmt, args);
    va_end(args);
    sandbox_changed(s);
}

void sf_sandbox_changed(struct sf_sandbox *s)
{
    sandbox_changed(s);
}

void sf_sandbox_invalid(struct sf_sandbox *s, const char *fmt, ...)
{
    struct sf_text text = {0};
    va_list args;
    va_start(args, fmt);
    sf_text_addv(&text, fmt, args);
    va_end(args);
    SF_CLEANUP(sf_freep) char *problem = sf_text_take(&text);
    const char *why = problem == NULL ? "its VM is lost" : problem;

    if (!sandbox_lose(s, why))
        return;
    sf_warning("sandbox '%s': invalid: %s, it waits to be deleted", s->id, why);
    events_add(&s->daemon->events, s->id, "sandbox.invalid", "%s", why);
}

void sf_sandbox_lock(struct sf_sandbox *s)
{
    sandbox_lock(s);
}

void sf_sandbox_unlock(struct sf_sandbox *s)
{
    sandbox_unlock(s);
}

bool sf_call_wait(struct sf_call *call, struct sf_error **err)
{
    return sandbox_wait_change(call->sandbox, call->rpc, &call->seen, err);
}

bool sf_call_send(struct sf_call *call, const void *message, struct sf_error **err)
{
    sandbox_unlock(call->sandbox);
    bool ok = rpc_call_send(call->rpc, message, err);
    sandbox_lock(call->sandbox);
    return ok;
}
