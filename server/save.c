#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/reasons.h"
#include "daemon.h"
#include "lifecycle.h"
#include "message.h"
#include "operations.h"
#include "rpc/rpc.h"
#include "sandbox.h"
#include "snapshot_work.h"

struct save_job {
    struct daemon *daemon;
    struct rpc_call *call;      /* NULL: nobody can end it */
    struct sf_sandbox *sandbox; /* with its lock held */
    Sandferry__V1__AfterSave after;
    bool to_journal; /* the daemon ends: the journal is who restores it */
    Sandferry__V1__SandboxSnapshot *snapshot;
    struct step_times times;
};

/* ---- the steps ---- */

static bool check(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    if (why == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return lifecycle_check(job->sandbox, why, err) &&
           sf_reasons_fail(why, SF_FAILED_PRECONDITION, "it cannot be saved now", err);
}

static bool freeze(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    return lifecycle_freeze(job->sandbox, err);
}

static void thaw(void *arg)
{
    struct save_job *job = arg;
    lifecycle_thaw(job->sandbox);
}

static bool quiesce(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    return lifecycle_quiesce(job->sandbox, err);
}

static bool stop(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    return lifecycle_stop(job->sandbox, err);
}

static bool keep(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    return job->after != SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_RESUME ||
           lifecycle_keep(job->sandbox, err);
}

static void unkeep(void *arg)
{
    struct save_job *job = arg;
    if (job->after == SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_RESUME)
        lifecycle_unkeep(job->sandbox);
}

static bool put_section(void *arg, const struct sf_controller_class *cls,
                        const struct sf_bytes *section, struct sf_error **err)
{
    struct save_job *job = arg;
    return snapshot_work_put(job->snapshot, cls, section, err);
}

static bool sections(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    job->snapshot = snapshot_work_new(job->sandbox, err);
    return job->snapshot != NULL && lifecycle_save(job->sandbox, put_section, job, err) &&
           snapshot_work_add_kept(job->snapshot, job->sandbox, err);
}

static void drop_snapshot(void *arg)
{
    struct save_job *job = arg;
    sandferry__v1__sandbox_snapshot__free_unpacked(job->snapshot, NULL);
    job->snapshot = NULL;
}

static bool validate(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    return snapshot_work_validate(job->snapshot, err);
}

static bool digest(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    return snapshot_work_seal(job->snapshot, err);
}

static bool write_journal(struct save_job *job, const struct sf_bytes *packed,
                          struct sf_error **err)
{
    const struct journal *journal = &job->daemon->journal;
    struct sf_sandbox *s = job->sandbox;

    switch (job->after) {
    case SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_RESUME:
        return true; /* it runs on: the journal says so already */
    case SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_HOLD:
        return journal_put_snapshot(journal, s->id, packed, err);
    default:
        if (!job->to_journal)
            return journal_give(journal, s->id, packed, err);
        return journal_put_snapshot(journal, s->id, packed, err) &&
               journal_record(journal, s->id, JOURNAL_SAVED, &s->face, err);
    }
}

static bool record(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    struct sf_bytes packed = {0};

    bool ok = snapshot_work_encode(job->snapshot, &packed, err) && write_journal(job, &packed, err);
    sf_bytes_done(&packed);
    return ok;
}

static void strike(void *arg)
{
    struct save_job *job = arg;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sf_sandbox *s = job->sandbox;

    if (job->to_journal &&
        !journal_record(&job->daemon->journal, s->id, JOURNAL_RUNNING, &s->face, &err))
        sf_warning("sandbox '%s': %s, continuing", s->id, sf_error_message(err));
    journal_drop_snapshot(&job->daemon->journal, s->id);
    journal_drop_given(&job->daemon->journal, s->id);
}

/* From here on there is no way back: the caller must still be there, and the VM too. */
static bool decide(void *arg, struct sf_error **err)
{
    struct save_job *job = arg;
    if (job->call != NULL && rpc_call_cancelled(job->call))
        return rpc_call_fail_cancelled(job->call, err);
    if (job->after == SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_HOLD)
        return sandbox_move(job->sandbox, SANDBOX_HELD, err);
    return sandbox_require_running(job->sandbox, err);
}

/* clang-format off */
const struct step save_steps[] = {
    /* step          do it      take it back   */
    { "check",       check,     NULL           },
    { "freeze",      freeze,    thaw           }, /* thaw takes back quiesce and stop too */
    { "quiesce",     quiesce,   NULL           },
    { "stop",        stop,      NULL           },
    { "keep",        keep,      unkeep         },
    { "sections",    sections,  drop_snapshot  },
    { "validate",    validate,  NULL           },
    { "digest",      digest,    NULL           },
    { "journal",     record,    strike         },
    { "decide",      decide,    NULL           },
    { 0 },
};
/* clang-format on */

/* ---- what comes after, and cannot fail ---- */

/* The source goes; what the snapshot needs stays. */
static void leave(struct save_job *job)
{
    struct sf_sandbox *s = job->sandbox;

    lifecycle_discard(s);
    lifecycle_destroy(s);
    operation_remove_directory(s->directory);
    if (!job->to_journal)
        journal_forget(&job->daemon->journal, s->id);
    sandbox_leave(s);
    registry_remove(&job->daemon->registry, s);
}

static void finish(struct save_job *job)
{
    const char *id = job->sandbox->id;
    struct events *events = &job->daemon->events;

    switch (job->after) {
    case SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_RESUME:
        lifecycle_thaw(job->sandbox);
        events_add(events, id, "sandbox.saved", "sandbox '%s' is saved, and runs on", id);
        break;
    case SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_HOLD:
        events_add(events, id, "sandbox.saved", "sandbox '%s' is saved, and held", id);
        break;
    default:
        leave(job);
        events_add(events, id, "sandbox.saved", "sandbox '%s' is saved, and has left", id);
    }
}

static bool run(struct save_job *job, struct sf_error **err)
{
    struct sf_sandbox *s = job->sandbox;

    if (!sandbox_require_running(s, err))
        return false;
    if (!steps_run("save", save_steps, job, &job->times, err)) {
        if (job->snapshot != NULL)
            drop_snapshot(job);
        return sf_fail_in(err, "sandbox '%s'", s->id);
    }
    finish(job);
    return true;
}

/* ---- SaveSandbox ---- */

bool save_sandbox(struct daemon *d, struct rpc_call *call,
                  const Sandferry__V1__SaveSandboxRequest *request,
                  Sandferry__V1__SaveSandboxResponse *reply, struct sf_error **err)
{
    struct save_job job = {.daemon = d, .call = call, .after = request->after};

    if (job.after == SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_UNSPECIFIED)
        job.after = SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_STOP;
    if ((unsigned)job.after > SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_RESUME) {
        sf_fail(err, SF_INVALID_ARGUMENT, "after: there is no AfterSave %d", (int)job.after);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "after", "not a value of AfterSave");
    }
    SF_CLEANUP(operation_leavep)
    struct sf_sandbox *s = operation_enter(d, call, request->sandbox_id, err);
    job.sandbox = s;
    if (s == NULL || !run(&job, err))
        return false;

    reply->snapshot = job.snapshot;
    reply->steps = message_step_times(&job.times, &reply->n_steps);
    reply->stopped_at = message_time(s->stopped_ns);
    return true;
}

/* ---- for restart.c ---- */

bool save_to_journal(struct daemon *d, struct sf_sandbox *s, struct sf_error **err)
{
    struct save_job job = {
        .daemon = d,
        .sandbox = s,
        .after = SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_STOP,
        .to_journal = true,
    };
    if (!run(&job, err))
        return false;
    drop_snapshot(&job);
    return true;
}
