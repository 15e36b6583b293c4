#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reasons.h"
#include "daemon.h"
#include "lifecycle.h"
#include "message.h"
#include "operations.h"
#include "rpc/rpc.h"
#include "sandbox.h"
#include "snapshot_work.h"

struct restore_job {
    struct daemon *daemon;
    struct rpc_call *call; /* NULL: nobody can end it */
    const Sandferry__V1__SandboxSnapshot *snapshot;
    Sandferry__V1__Patch *const *patches;
    size_t n_patches;
    bool hold;
    enum journal_word from_journal; /* how the journal had it; JOURNAL_RUNNING: it had not */
    struct sf_sandbox *sandbox;     /* with its lock held */
    struct step_times times;
};

/* ---- the steps ---- */

static bool validate(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    return snapshot_work_check(job->snapshot, &job->daemon->modules, err);
}

/* What is the daemon's own: labels, options, and the extensions that nobody here knows. */
static bool take_head(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    struct sf_sandbox *s = job->sandbox;
    return snapshot_work_keep_unknown(s, job->snapshot, &job->daemon->modules, err) &&
           snapshot_work_set_face(s, job->snapshot, err);
}

static bool enlist(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    return registry_add(&job->daemon->registry, job->sandbox, err);
}

static void delist(void *arg)
{
    struct restore_job *job = arg;
    sandbox_leave(job->sandbox);
    registry_remove(&job->daemon->registry, job->sandbox);
}

static bool make_directory(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    return operation_make_directory(job->sandbox->directory, err);
}

static void remove_directory(void *arg)
{
    struct restore_job *job = arg;
    operation_remove_directory(job->sandbox->directory);
}

static bool put_journal_snapshot(struct restore_job *job, struct sf_error **err)
{
    struct sf_bytes packed = {0};
    bool ok = snapshot_work_encode(job->snapshot, &packed, err) &&
              journal_put_snapshot(&job->daemon->journal, job->sandbox->id, &packed, err);
    sf_bytes_done(&packed);
    return ok;
}

/* Before anything begins to run: should the daemon be killed, the next one knows of it. */
static bool record(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    struct sf_sandbox *s = job->sandbox;

    if (!journal_record(&job->daemon->journal, s->id, JOURNAL_RUNNING, &s->face, err))
        return false;
    if (!job->hold || job->from_journal != JOURNAL_RUNNING || put_journal_snapshot(job, err))
        return true;
    journal_forget(&job->daemon->journal, s->id);
    return false;
}

static void strike(void *arg)
{
    struct restore_job *job = arg;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sf_sandbox *s = job->sandbox;

    if (job->from_journal == JOURNAL_RUNNING)
        journal_forget(&job->daemon->journal, s->id);
    else if (!journal_record(&job->daemon->journal, s->id, job->from_journal, &s->face, &err))
        sf_warning("sandbox '%s': %s, continuing", s->id, sf_error_message(err));
}

static bool make_controllers(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    return lifecycle_init(job->sandbox, &job->daemon->modules, err);
}

static bool get_section(void *arg, const struct sf_controller_class *cls, struct sf_bytes *ret,
                        uint32_t *ret_version, bool *ret_there, struct sf_error **err)
{
    struct restore_job *job = arg;
    return snapshot_work_get(job->snapshot, cls, ret, ret_version, ret_there, err);
}

static bool import(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    return lifecycle_import(job->sandbox, get_section, job, NULL, err);
}

static void abandon(void *arg)
{
    struct restore_job *job = arg;
    lifecycle_abandon(job->sandbox);
}

static bool apply_patch(struct restore_job *job, size_t i, struct sf_error **err)
{
    const Sandferry__V1__Patch *p = job->patches[i];
    if (lifecycle_patch(job->sandbox, p->controller, p->object, p->value, err))
        return true;
    SF_CLEANUP(sf_freep) char *field = sf_format("patches[%zu]", i);
    sf_fail_in(err, "patches[%zu]", i);
    return sf_fail_detail(err, SF_DETAIL_FIELD, field == NULL ? "patches" : field, "%s: %s",
                          p->controller, p->object);
}

static bool patch(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    for (size_t i = 0; i < job->n_patches; i++)
        if (!apply_patch(job, i, err))
            return false;
    return true;
}

static bool admit(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    if (why == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return lifecycle_admit(job->sandbox, why, err) &&
           sf_reasons_fail(why, SF_FAILED_PRECONDITION, "it cannot be restored here", err);
}

static bool prepare(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    return lifecycle_prepare(job->sandbox, err);
}

static bool load(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    return lifecycle_load(job->sandbox, err);
}

static bool resume(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    if (job->call != NULL && rpc_call_cancelled(job->call))
        return rpc_call_fail_cancelled(job->call, err);
    return job->hold || lifecycle_resume(job->sandbox, err);
}

static bool settle(void *arg, struct sf_error **err)
{
    struct restore_job *job = arg;
    if (!sandbox_move(job->sandbox, job->hold ? SANDBOX_LOAD : SANDBOX_STARTED, err))
        return false;
    if (!job->hold)
        lifecycle_settle(job->sandbox);
    return true;
}

/* clang-format off */
const struct step restore_steps[] = {
    /* step           do it             take it back     */
    { "validate",     validate,         NULL             },
    { "head",         take_head,        NULL             },
    { "register",     enlist,           delist           },
    { "directory",    make_directory,   remove_directory },
    { "journal",      record,           strike           },
    { "controllers",  make_controllers, NULL             },
    { "import",       import,           abandon          }, /* takes back all that follows */
    { "patch",        patch,            NULL             },
    { "admit",        admit,            NULL             },
    { "prepare",      prepare,          NULL             },
    { "load",         load,             NULL             },
    { "resume",       resume,           NULL             },
    { "settle",       settle,           NULL             },
    { 0 },
};
/* clang-format on */

static bool run(struct restore_job *job, struct sf_error **err)
{
    struct daemon *d = job->daemon;
    const char *id = job->sandbox->id;

    if (!steps_run("restore", restore_steps, job, &job->times, err))
        return sf_fail_in(err, "sandbox '%s'", id);
    if (!job->hold)
        journal_drop_snapshot(&d->journal, id);
    if (!job->sandbox->clone) /* the snapshot can be restored again */
        journal_drop_given(&d->journal, id);
    events_add(&d->events, id, "sandbox.restored", "sandbox '%s' is restored%s, and %s", id,
               job->sandbox->clone ? " as a clone" : "", job->hold ? "held" : "runs");
    return true;
}

/* ---- RestoreSandbox ---- */

static bool need_snapshot(const Sandferry__V1__SandboxSnapshot *snapshot, struct sf_error **err)
{
    if (snapshot != NULL)
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT, "snapshot: there is none: give what SaveSandbox gave");
    return sf_fail_detail(err, SF_DETAIL_FIELD, "snapshot", "missing");
}

/* Who else uses the memory would have to wait until somebody lets the guest run. */
static bool check_clone(bool clone, bool hold, struct sf_error **err)
{
    if (!clone || !hold)
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT, "hold: a clone runs at once; leave hold or clone away");
    return sf_fail_detail(err, SF_DETAIL_FIELD, "hold", "not with clone");
}

static void fill_reply(const struct restore_job *job, Sandferry__V1__RestoreSandboxResponse *reply)
{
    reply->steps = message_step_times(&job->times, &reply->n_steps);
    if (job->hold)
        return;
    int64_t resumed = job->sandbox->resumed_ns,
            stopped = message_time_ns(job->snapshot->created_at);
    reply->resumed_at = message_time(resumed);
    reply->blackout = message_duration(resumed - stopped);
}

bool restore_sandbox(struct daemon *d, struct rpc_call *call,
                     const Sandferry__V1__RestoreSandboxRequest *request,
                     Sandferry__V1__RestoreSandboxResponse *reply, struct sf_error **err)
{
    if (!need_snapshot(request->snapshot, err) || !check_clone(request->clone, request->hold, err))
        return false;
    const char *id =
        request->sandbox_id[0] != '\0' ? request->sandbox_id : request->snapshot->sandbox_id;
    SF_CLEANUP(operation_leavep) struct sf_sandbox *s = operation_new_sandbox(d, id, NULL, err);
    if (s == NULL)
        return false;
    s->clone = request->clone;

    struct restore_job job = {
        .daemon = d,
        .call = call,
        .snapshot = request->snapshot,
        .patches = request->patches,
        .n_patches = request->n_patches,
        .hold = request->hold,
        .sandbox = s,
    };
    if (!run(&job, err))
        return false;
    fill_reply(&job, reply);
    reply->sandbox = sandbox_describe(s, err);
    return reply->sandbox != NULL;
}

/* ---- CheckRestore: the same steps as far as they change nothing, on a sandbox that nobody sees
 * ---- */

static void add_reason(struct sf_reasons *why, const char *source, struct sf_error *err)
{
    sf_reasons_source(why, source);
    sf_reasons_add_error(why, err);
    sf_error_free(err);
}

static bool scratch_opens(struct restore_job *job, struct sf_reasons *why)
{
    struct sf_error *err = NULL;
    if (make_directory(job, &err) && make_controllers(job, &err))
        return true;
    add_reason(why, "daemon", err);
    return false;
}

static void collect_from_controllers(struct restore_job *job, struct sf_reasons *why)
{
    struct sf_error *err = NULL;

    size_t before = sf_reasons_count(why);
    if (!lifecycle_import(job->sandbox, get_section, job, why, &err)) {
        add_reason(why, "daemon", err);
        return;
    }
    for (size_t i = 0; i < job->n_patches; i++)
        if (!apply_patch(job, i, &err)) {
            add_reason(why, job->patches[i]->controller, err);
            err = NULL;
        }
    /* Books that were not filled would only tell what is known already. */
    if (sf_reasons_count(why) == before && !lifecycle_admit(job->sandbox, why, &err))
        add_reason(why, "daemon", err);
    lifecycle_abandon(job->sandbox);
}

static void collect(struct restore_job *job, struct sf_reasons *why)
{
    struct sf_error *err = NULL;
    const char *id = job->sandbox->id;

    if (registry_has(&job->daemon->registry, id)) {
        sf_reasons_source(why, "daemon");
        sf_reasons_add_field(why, "sandbox_id",
                             "there is a sandbox '%s' here: delete it, or take another id", id);
    }
    if (!validate(job, &err) || !take_head(job, &err)) {
        add_reason(why, "snapshot", err);
        return; /* controllers are only shown what is sound */
    }
    if (scratch_opens(job, why))
        collect_from_controllers(job, why);
    remove_directory(job);
}

static Sandferry__V1__Obstacle *obstacle(const struct sf_reason *reason)
{
    Sandferry__V1__Obstacle *o = malloc(sizeof(*o));
    if (o == NULL)
        return NULL;
    sandferry__v1__obstacle__init(o);
    o->source = strdup(reason->source);
    o->field = strdup(reason->field);
    o->reason = strdup(reason->text);
    if (o->source != NULL && o->field != NULL && o->reason != NULL)
        return o;
    free(o->source);
    free(o->field);
    free(o->reason);
    free(o);
    return NULL;
}

static bool fill_obstacles(const struct sf_reasons *why, Sandferry__V1__CheckRestoreResponse *reply,
                           struct sf_error **err)
{
    reply->obstacles = calloc(sf_reasons_kept(why) + 1, sizeof(Sandferry__V1__Obstacle *));
    for (size_t i = 0; reply->obstacles != NULL && i < sf_reasons_kept(why); i++) {
        Sandferry__V1__Obstacle *one = obstacle(sf_reasons_get(why, i));
        if (one == NULL)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        reply->obstacles[reply->n_obstacles++] = one;
    }
    return reply->obstacles != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

bool check_restore(struct daemon *d, const Sandferry__V1__CheckRestoreRequest *request,
                   Sandferry__V1__CheckRestoreResponse *reply, struct sf_error **err)
{
    if (!need_snapshot(request->snapshot, err))
        return false;
    const char *id =
        request->sandbox_id[0] != '\0' ? request->sandbox_id : request->snapshot->sandbox_id;
    unsigned number = atomic_fetch_add(&d->next_scratch, 1);
    SF_CLEANUP(sf_freep)
    char *directory = sf_format("%s/sb/.check-%u", config_get(&d->config, "run-dir"), number);
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    if (directory == NULL || why == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    SF_CLEANUP(operation_leavep)
    struct sf_sandbox *s = operation_new_sandbox(d, id, directory, err);
    if (s == NULL)
        return false;
    s->clone = request->clone;

    struct restore_job job = {
        .daemon = d,
        .snapshot = request->snapshot,
        .patches = request->patches,
        .n_patches = request->n_patches,
        .sandbox = s,
    };
    collect(&job, why);
    return fill_obstacles(why, reply, err);
}

/* ---- for restart.c ---- */

bool restore_from_journal(struct daemon *d, struct sf_sandbox *s,
                          const Sandferry__V1__SandboxSnapshot *snapshot, enum journal_word word,
                          struct sf_error **err)
{
    struct restore_job job = {
        .daemon = d,
        .snapshot = snapshot,
        .hold = word == JOURNAL_HELD,
        .from_journal = word,
        .sandbox = s,
    };
    return run(&job, err);
}
