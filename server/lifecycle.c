#include "lifecycle.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "modules.h"
#include "sandbox.h"

/* ---- around each call ---- */

struct visit {
    const struct sf_controller *controller;
    const char *function;
    int64_t begin;
};

static bool enter(struct visit *v, const struct sf_controller *c, const char *function,
                  struct sf_error **err)
{
    char point[128];

    *v = (struct visit){.controller = c, .function = function, .begin = sf_clock_monotonic_ns()};
    snprintf(point, sizeof(point), "%s: %s", c->cls->name, function);
    sf_debug("sandbox '%s': %s", sf_sandbox_id(c->sandbox), point);
    return err == NULL || sf_fault(point, err);
}

static bool leave(const struct visit *v, bool ok, struct sf_error **err)
{
    const struct sf_controller *c = v->controller;

    sf_debug("sandbox '%s': %s: %s %s us=%lld", sf_sandbox_id(c->sandbox), c->cls->name,
             v->function, ok ? "done" : "refused",
             (long long)(sf_clock_monotonic_ns() - v->begin) / 1000);
    return ok || sf_fail_in(err, "%s", c->cls->name);
}

typedef bool (*phase_fn)(struct sf_controller *c, struct sf_error **err);
typedef void (*undo_fn)(struct sf_controller *c);

static bool call(struct sf_controller *c, phase_fn fn, const char *function, struct sf_error **err)
{
    struct visit visit;
    bool ok = enter(&visit, c, function, err) && (fn == NULL || fn(c, err));
    return leave(&visit, ok, err);
}

static void call_undo(struct sf_controller *c, undo_fn fn, const char *function)
{
    struct visit visit;
    enter(&visit, c, function, NULL);
    if (fn != NULL)
        fn(c);
    leave(&visit, true, NULL);
}

/* "Down" is the order of the array: after those that a controller depends on. */
static struct instance *next_down(const struct sf_sandbox *s, const struct instance *last)
{
    size_t i = last == NULL ? 0 : (size_t)(last - s->instances) + 1;
    return i < s->n_instances ? &s->instances[i] : NULL;
}

static struct instance *next_up(const struct sf_sandbox *s, const struct instance *last)
{
    size_t i = last == NULL ? s->n_instances : (size_t)(last - s->instances);
    return i > 0 ? &s->instances[i - 1] : NULL;
}

#define FOR_EACH_DOWN(s, instance)                                                                 \
    for (struct instance *instance = next_down(s, NULL); instance != NULL;                         \
         instance = next_down(s, instance))
#define FOR_EACH_UP(s, instance)                                                                   \
    for (struct instance *instance = next_up(s, NULL); instance != NULL;                           \
         instance = next_up(s, instance))

/* ---- making and ending ---- */

static bool make_instance(struct sf_sandbox *s, const struct sf_controller_class *cls,
                          struct sf_error **err)
{
    struct instance *instance = &s->instances[s->n_instances];
    struct sf_controller *c = calloc(1, cls->instance_size);
    if (c == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");

    c->cls = cls;
    c->sandbox = s;
    instance->controller = c;
    s->n_instances++; /* fini copes with an instance whose init has failed */
    return call(c, cls->init, "init", err);
}

bool lifecycle_init(struct sf_sandbox *s, const struct modules *modules, struct sf_error **err)
{
    s->instances = calloc(modules->n + 1, sizeof(*s->instances));
    if (s->instances == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (size_t i = 0; i < modules->n; i++)
        if (!make_instance(s, &modules->all[i].cls, err)) {
            lifecycle_fini(s);
            return false;
        }
    return true;
}

void lifecycle_fini(struct sf_sandbox *s)
{
    FOR_EACH_UP(s, instance)
    {
        call_undo(instance->controller, instance->controller->cls->fini, "fini");
        free(instance->controller);
    }
    free(s->instances);
    s->instances = NULL;
    s->n_instances = 0;
}

static bool create_one(struct sf_controller *c, lifecycle_options_fn options, void *context,
                       struct sf_error **err)
{
    struct sf_bytes packed = {0};
    struct visit visit;

    bool ok = enter(&visit, c, "create", err) && options(context, c->cls, &packed, err) &&
              (c->cls->create == NULL || c->cls->create(c, &packed, err));
    sf_bytes_done(&packed);
    return leave(&visit, ok, err);
}

bool lifecycle_create(struct sf_sandbox *s, lifecycle_options_fn options, void *context,
                      struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    {
        if (create_one(instance->controller, options, context, err))
            continue;
        while ((instance = next_up(s, instance)) != NULL)
            call_undo(instance->controller, instance->controller->cls->destroy, "destroy");
        return false;
    }
    return true;
}

void lifecycle_destroy(struct sf_sandbox *s)
{
    FOR_EACH_UP(s, instance)
    {
        call_undo(instance->controller, instance->controller->cls->destroy, "destroy");
        instance->froze = false;
        instance->imported = false;
    }
}

/* ---- source ---- */

bool lifecycle_check(struct sf_sandbox *s, struct sf_reasons *why, struct sf_error **err)
{
    FOR_EACH_UP(s, instance)
    {
        struct sf_controller *c = instance->controller;
        struct visit visit;
        sf_reasons_source(why, c->cls->name);
        bool ok =
            enter(&visit, c, "check", err) && (c->cls->check == NULL || c->cls->check(c, why, err));
        if (!leave(&visit, ok, err))
            return false;
    }
    return true;
}

bool lifecycle_freeze(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_UP(s, instance)
    {
        instance->froze = true;
        if (!call(instance->controller, instance->controller->cls->freeze, "freeze", err)) {
            lifecycle_thaw(s);
            return false;
        }
    }
    return true;
}

bool lifecycle_quiesce(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_UP(s, instance)
    if (!call(instance->controller, instance->controller->cls->quiesce, "quiesce", err))
        return false;
    return true;
}

bool lifecycle_stop(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_UP(s, instance)
    {
        s->stopped_ns = sf_clock_realtime_ns();
        if (!call(instance->controller, instance->controller->cls->stop, "stop", err))
            return false;
    }
    return true;
}

bool lifecycle_keep(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    if (!call(instance->controller, instance->controller->cls->keep, "keep", err)) {
        lifecycle_unkeep(s);
        return false;
    }
    return true;
}

void lifecycle_unkeep(struct sf_sandbox *s)
{
    FOR_EACH_UP(s, instance)
    call_undo(instance->controller, instance->controller->cls->unkeep, "unkeep");
}

static bool save_one(struct sf_controller *c, lifecycle_put_fn put, void *context,
                     struct sf_error **err)
{
    struct sf_bytes section = {0};
    struct visit visit;

    bool ok = enter(&visit, c, "save", err) &&
              (c->cls->save == NULL ||
               (c->cls->save(c, &section, err) && put(context, c->cls, &section, err)));
    sf_bytes_done(&section);
    return leave(&visit, ok, err);
}

bool lifecycle_save(struct sf_sandbox *s, lifecycle_put_fn put, void *context,
                    struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    if (!save_one(instance->controller, put, context, err))
        return false;
    return true;
}

void lifecycle_thaw(struct sf_sandbox *s)
{
    FOR_EACH_DOWN(s, instance)
    {
        if (instance->froze)
            call_undo(instance->controller, instance->controller->cls->thaw, "thaw");
        instance->froze = false;
    }
}

void lifecycle_discard(struct sf_sandbox *s)
{
    FOR_EACH_UP(s, instance)
    {
        call_undo(instance->controller, instance->controller->cls->discard, "discard");
        instance->froze = false;
    }
}

bool lifecycle_awaken(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    if (!call(instance->controller, instance->controller->cls->awaken, "awaken", err))
        return false;
    return true;
}

bool lifecycle_is_frozen(const struct sf_sandbox *s)
{
    FOR_EACH_DOWN(s, instance)
    if (instance->froze)
        return true;
    return false;
}

/* ---- destination ---- */

static bool check_version(const struct sf_controller_class *cls, uint32_t version,
                          struct sf_error **err)
{
    if (version >= cls->section_oldest && version <= cls->section_version)
        return true;
    return sf_fail(err, SF_UNIMPLEMENTED,
                   "its section has version %u, this build takes %u to %u: restore with a build "
                   "that knows it",
                   version, cls->section_oldest, cls->section_version);
}

static bool import_one(struct instance *instance, lifecycle_get_fn get, void *context,
                       struct sf_error **err)
{
    struct sf_controller *c = instance->controller;
    struct sf_bytes section = {0};
    uint32_t version = 0;
    bool there = false;
    struct visit visit;

    bool ok = enter(&visit, c, "import", err) &&
              get(context, c->cls, &section, &version, &there, err) &&
              (!there || check_version(c->cls, version, err));
    instance->imported = ok; /* what comes after import is done without a section too */
    if (ok && there && c->cls->import != NULL)
        ok = c->cls->import(c, &section, version, err);
    sf_bytes_done(&section);
    return leave(&visit, ok, err);
}

bool lifecycle_import(struct sf_sandbox *s, lifecycle_get_fn get, void *context,
                      struct sf_reasons *why, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    {
        struct sf_error *problem = NULL;
        if (import_one(instance, get, context, &problem))
            continue;
        if (why == NULL) {
            *err = problem;
            lifecycle_abandon(s);
            return false;
        }
        sf_reasons_source(why, instance->controller->cls->name);
        sf_reasons_add_error(why, problem);
        sf_error_free(problem);
    }
    return true;
}

bool lifecycle_patch(struct sf_sandbox *s, const char *controller, const char *object,
                     const char *value, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    {
        struct sf_controller *c = instance->controller;
        struct visit visit;
        if (strcmp(c->cls->name, controller) != 0)
            continue;
        bool ok = enter(&visit, c, "patch", err);
        if (ok && c->cls->patch == NULL)
            ok = sf_fail(err, SF_INVALID_ARGUMENT, "has nothing that a patch could replace");
        ok = ok && (c->cls->patch == NULL || c->cls->patch(c, object, value, err));
        return leave(&visit, ok, err);
    }
    return sf_fail(err, SF_INVALID_ARGUMENT, "there is no controller '%s' here", controller);
}

bool lifecycle_admit(struct sf_sandbox *s, struct sf_reasons *why, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    {
        struct sf_controller *c = instance->controller;
        struct visit visit;
        sf_reasons_source(why, c->cls->name);
        bool ok =
            enter(&visit, c, "admit", err) && (c->cls->admit == NULL || c->cls->admit(c, why, err));
        if (!leave(&visit, ok, err))
            return false;
    }
    return true;
}

bool lifecycle_prepare(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    if (!call(instance->controller, instance->controller->cls->prepare, "prepare", err))
        return false;
    return true;
}

bool lifecycle_load(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    if (!call(instance->controller, instance->controller->cls->load, "load", err))
        return false;
    return true;
}

bool lifecycle_resume(struct sf_sandbox *s, struct sf_error **err)
{
    FOR_EACH_DOWN(s, instance)
    {
        if (!call(instance->controller, instance->controller->cls->resume, "resume", err))
            return false;
        if (instance == s->instances)
            s->resumed_ns = sf_clock_realtime_ns();
    }
    return true;
}

void lifecycle_settle(struct sf_sandbox *s)
{
    FOR_EACH_DOWN(s, instance)
    instance->imported = false;
}

void lifecycle_abandon(struct sf_sandbox *s)
{
    FOR_EACH_UP(s, instance)
    {
        if (instance->imported)
            call_undo(instance->controller, instance->controller->cls->abandon, "abandon");
        instance->imported = false;
    }
}

bool lifecycle_is_imported(const struct sf_sandbox *s)
{
    FOR_EACH_DOWN(s, instance)
    if (instance->imported)
        return true;
    return false;
}

/* ---- between ---- */

bool lifecycle_call(struct sf_sandbox *s, size_t index, const struct sf_method *method,
                    struct sf_call *under_way, const void *request, void *reply,
                    struct sf_error **err)
{
    assert(index < s->n_instances);
    struct sf_controller *c = s->instances[index].controller;
    struct visit visit;

    bool ok = enter(&visit, c, method->name, err) && method->run(c, under_way, request, reply, err);
    return leave(&visit, ok, err);
}
