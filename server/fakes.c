#include "fakes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "host.h"
#include "operations.h"
#include "rpc/rpc.h"

/* ---- an RPC ---- */

bool rpc_call_cancelled(const struct rpc_call *call)
{
    struct rpc_call *c = (struct rpc_call *)(uintptr_t)call;
    pthread_mutex_lock(&c->mutex);
    bool cancelled = c->cancelled;
    pthread_mutex_unlock(&c->mutex);
    return cancelled;
}

void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(void *context), void *context)
{
    pthread_mutex_lock(&call->mutex);
    call->on_cancel = fn;
    call->context = context;
    bool now = call->cancelled && fn != NULL;
    pthread_mutex_unlock(&call->mutex);
    if (now)
        fn(context);
}

bool rpc_call_fail_cancelled(const struct rpc_call *call, struct sf_error **err)
{
    (void)call;
    return sf_fail(err, SF_CANCELLED, "the caller is gone");
}

bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, struct sf_error **err)
{
    (void)message;
    (void)err;
    call->sent++;
    return true;
}

void fake_call_cancel(struct rpc_call *call)
{
    pthread_mutex_lock(&call->mutex);
    call->cancelled = true;
    if (call->on_cancel != NULL)
        call->on_cancel(call->context);
    pthread_mutex_unlock(&call->mutex);
}

/* ---- controllers ---- */

char fake_trace[4096];
const char *fake_refuse, *fake_reason;
const char *fake_lose;
bool fake_quiet;

void fake_trace_clear(void)
{
    fake_trace[0] = '\0';
}

static bool noted(struct sf_controller *c, const char *function, struct sf_error **err)
{
    char point[64];
    snprintf(point, sizeof(point), "%s.%s", c->cls->name, function);
    if (!fake_quiet)
        strcat(strcat(fake_trace, point), " ");
    if (fake_lose != NULL && strcmp(fake_lose, point) == 0)
        sf_sandbox_invalid(c->sandbox, "its memory is taken by another");
    if (fake_refuse == NULL || strcmp(fake_refuse, point) != 0)
        return true;
    return sf_fail(err, SF_UNAVAILABLE, "'%s' was asked to fail", point);
}

static void give_reason(struct sf_controller *c, const char *function, struct sf_reasons *why)
{
    char point[64];
    snprintf(point, sizeof(point), "%s.%s", c->cls->name, function);
    if (fake_reason != NULL && strcmp(fake_reason, point) == 0)
        sf_reasons_add(why, "'%s' speaks against it", point);
}

#define PHASE(name)                                                                                \
    static bool fake_##name(struct sf_controller *c, struct sf_error **err)                        \
    {                                                                                              \
        return noted(c, #name, err);                                                               \
    }
#define UNDO(name)                                                                                 \
    static void fake_##name(struct sf_controller *c)                                               \
    {                                                                                              \
        noted(c, #name, NULL);                                                                     \
    }
PHASE(init)
UNDO(fini)
UNDO(destroy)
PHASE(freeze)
PHASE(quiesce)
PHASE(stop)
PHASE(keep)
UNDO(unkeep)
UNDO(thaw)
UNDO(discard)
PHASE(prepare)
PHASE(load)
PHASE(resume)
UNDO(abandon)

static bool fake_create(struct sf_controller *c, const struct sf_bytes *options,
                        struct sf_error **err)
{
    struct fake *f = (struct fake *)c;
    (void)options;
    snprintf(f->text, sizeof(f->text), "%s of %s", c->cls->name, sf_sandbox_id(c->sandbox));
    return noted(c, "create", err);
}

static bool fake_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    give_reason(c, "check", why);
    return noted(c, "check", err);
}

static bool fake_admit(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    give_reason(c, "admit", why);
    return noted(c, "admit", err);
}

static bool fake_save(struct sf_controller *c, struct sf_bytes *ret, struct sf_error **err)
{
    const struct fake *f = (const struct fake *)c;
    return noted(c, "save", err) && sf_bytes_copy(ret, f->text, strlen(f->text));
}

static bool fake_import(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                        struct sf_error **err)
{
    struct fake *f = (struct fake *)c;
    (void)version;
    snprintf(f->text, sizeof(f->text), "%.*s", (int)section->size, (const char *)section->data);
    return noted(c, "import", err);
}

static bool fake_patch(struct sf_controller *c, const char *object, const char *value,
                       struct sf_error **err)
{
    struct fake *f = (struct fake *)c;
    if (strcmp(object, "text") != 0)
        return sf_fail(err, SF_NOT_FOUND, "there is no '%s'", object);
    snprintf(f->text, sizeof(f->text), "%s", value);
    return noted(c, "patch", err);
}

#define FAKE(who, needs, is_critical)                                                              \
    const struct sf_controller_class fake_##who = {                                                \
        .abi = SF_CONTROLLER_ABI,                                                                  \
        .struct_size = sizeof(struct sf_controller_class),                                         \
        .name = #who,                                                                              \
        .instance_size = sizeof(struct fake),                                                      \
        .section_version = 2,                                                                      \
        .section_oldest = 1,                                                                       \
        .critical = is_critical,                                                                   \
        .depends = needs,                                                                          \
        .init = fake_init,                                                                         \
        .fini = fake_fini,                                                                         \
        .create = fake_create,                                                                     \
        .destroy = fake_destroy,                                                                   \
        .check = fake_check,                                                                       \
        .freeze = fake_freeze,                                                                     \
        .quiesce = fake_quiesce,                                                                   \
        .stop = fake_stop,                                                                         \
        .save = fake_save,                                                                         \
        .thaw = fake_thaw,                                                                         \
        .discard = fake_discard,                                                                   \
        .import = fake_import,                                                                     \
        .patch = fake_patch,                                                                       \
        .admit = fake_admit,                                                                       \
        .prepare = fake_prepare,                                                                   \
        .load = fake_load,                                                                         \
        .resume = fake_resume,                                                                     \
        .abandon = fake_abandon,                                                                   \
        .keep = fake_keep,                                                                         \
        .unkeep = fake_unkeep,                                                                     \
    }
static const char *const middle_needs[] = {"top", NULL}, *const leaf_needs[] = {"middle", NULL};
FAKE(top, NULL, true);
FAKE(middle, middle_needs, true);
FAKE(leaf, leaf_needs, false);

/* ---- a daemon ---- */

static char directory[64];

static void open_in_directory(struct daemon *d)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    char run_dir[80], state_dir[80], sandboxes[96];
    enum config_action action;

    snprintf(run_dir, sizeof(run_dir), "--run-dir=%s/run", directory);
    snprintf(state_dir, sizeof(state_dir), "--state-dir=%s/state", directory);
    snprintf(sandboxes, sizeof(sandboxes), "mkdir -p %s/run/sb", directory);
    ck_assert_int_eq(system(sandboxes), 0);
    char *argv[] = {(char *)(uintptr_t) "sandferryd", run_dir, state_dir, NULL};
    *d = (struct daemon){0};
    ck_assert(config_parse(&d->config, 3, argv, &action, &err));
    ck_assert(events_init(&d->events, &err));
    ck_assert(journal_open(&d->journal, config_get(&d->config, "state-dir"), &err));
    registry_init(&d->registry);
    requests_init(&d->requests);
    host_use(&d->config, &d->paths);
    ck_assert(modules_adopt(&d->modules, &fake_leaf, "leaf.so", NULL, &err));
    ck_assert(modules_adopt(&d->modules, &fake_top, "top.so", NULL, &err));
    ck_assert(modules_adopt(&d->modules, &fake_middle, "middle.so", NULL, &err));
    ck_assert(modules_sort(&d->modules, &err));
}

static void close_what_is_open(struct daemon *d)
{
    registry_done(&d->registry);
    requests_done(&d->requests);
    events_done(&d->events);
    modules_done(&d->modules);
    journal_close(&d->journal);
    config_done(&d->config);
    host_use(NULL, NULL);
}

void fake_daemon_open(struct daemon *d)
{
    fake_refuse = NULL;
    fake_reason = NULL;
    fake_lose = NULL;
    fake_quiet = false;
    strcpy(directory, "/tmp/sandferry-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    open_in_directory(d);
    fake_trace_clear();
}

void fake_daemon_reopen(struct daemon *d)
{
    close_what_is_open(d);
    open_in_directory(d);
    fake_trace_clear();
}

void fake_daemon_close(struct daemon *d)
{
    close_what_is_open(d);
    operation_remove_directory(directory);
}
