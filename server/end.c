/* How a hold ends, and how a sandbox does. */

#include "base/log.h"
#include "daemon.h"
#include "lifecycle.h"
#include "operations.h"
#include "sandbox.h"

/* ---- resume ---- */

/* What the journal keeps for a hold goes before the guest runs: should the daemon be killed then,
 * the next one must not end what runs and take up the hold instead. */
static bool resume_loaded(struct daemon *d, struct sf_sandbox *s, struct sf_error **err)
{
    struct sf_bytes packed = {0};
    if (!journal_get_snapshot(&d->journal, s->id, &packed, err))
        return sf_fail_in(err, "sandbox '%s': resume", s->id);
    journal_drop_snapshot(&d->journal, s->id);

    bool ok = lifecycle_resume(s, err);
    SF_CLEANUP(sf_error_freep) struct sf_error *why = NULL;
    if (!ok && !journal_put_snapshot(&d->journal, s->id, &packed, &why))
        sf_warning("sandbox '%s': %s, continuing", s->id, sf_error_message(why));
    sf_bytes_done(&packed);
    if (!ok)
        return sf_fail_in(err, "sandbox '%s': resume", s->id);
    lifecycle_settle(s);
    return true;
}

static bool resume_held(struct daemon *d, struct sf_sandbox *s, struct sf_error **err)
{
    switch (sandbox_state(s)) {
    case SANDBOX_FROZEN:
        if (!lifecycle_awaken(s, err))
            return sf_fail_in(err, "sandbox '%s': resume", s->id);
        journal_drop_snapshot(&d->journal, s->id);
        /* A thaw that finds the memory taken by a restore says so with sf_sandbox_invalid(). */
        lifecycle_thaw(s);
        break;
    case SANDBOX_LOADED:
        if (!resume_loaded(d, s, err))
            return false;
        break;
    default:
        return sandbox_require_running(s, err); /* a repeat does nothing */
    }
    if (!sandbox_move(s, SANDBOX_RESUMED, err))
        return sf_fail_in(err, "sandbox '%s'", s->id);

    SF_CLEANUP(sf_error_freep) struct sf_error *why = NULL;
    if (!journal_record(&d->journal, s->id, JOURNAL_RUNNING, &s->face, &why))
        sf_warning("sandbox '%s': %s, continuing", s->id, sf_error_message(why));
    events_add(&d->events, s->id, "sandbox.resumed", "sandbox '%s' runs", s->id);
    return true;
}

bool resume_sandbox(struct daemon *d, struct rpc_call *call,
                    const Sandferry__V1__ResumeSandboxRequest *request,
                    Sandferry__V1__ResumeSandboxResponse *reply, struct sf_error **err)
{
    SF_CLEANUP(operation_leavep)
    struct sf_sandbox *s = operation_enter(d, call, request->sandbox_id, err);
    if (s == NULL || !resume_held(d, s, err))
        return false;
    reply->sandbox = sandbox_describe(s, err);
    return reply->sandbox != NULL;
}

/* ---- stop and delete ---- */

static bool stop(struct daemon *d, struct sf_sandbox *s, struct sf_error **err)
{
    if (sandbox_state(s) == SANDBOX_STOPPED)
        return true;

    /* First what a snapshot needs is let go of, so that it can be restored again; also when the VM
     * was lost while it was held. */
    if (lifecycle_is_imported(s))
        lifecycle_abandon(s);
    if (lifecycle_is_frozen(s))
        lifecycle_discard(s);
    lifecycle_destroy(s);
    if (!sandbox_move(s, SANDBOX_STOP, err))
        return false;
    events_add(&d->events, s->id, "sandbox.stopped", "sandbox '%s' is stopped", s->id);
    return true;
}

bool stop_sandbox(struct daemon *d, struct rpc_call *call,
                  const Sandferry__V1__StopSandboxRequest *request,
                  Sandferry__V1__StopSandboxResponse *reply, struct sf_error **err)
{
    SF_CLEANUP(operation_leavep)
    struct sf_sandbox *s = operation_enter(d, call, request->sandbox_id, err);
    if (s == NULL || !stop(d, s, err))
        return false;
    if (!journal_record(&d->journal, s->id, JOURNAL_STOPPED, &s->face, err))
        return sf_fail_in(err,
                          "sandbox '%s' is stopped, but a restart of the daemon shows it as "
                          "lost",
                          s->id);
    journal_drop_snapshot(&d->journal, s->id);
    reply->sandbox = sandbox_describe(s, err);
    return reply->sandbox != NULL;
}

bool delete_sandbox(struct daemon *d, struct rpc_call *call,
                    const Sandferry__V1__DeleteSandboxRequest *request, struct sf_error **err)
{
    SF_CLEANUP(operation_leavep)
    struct sf_sandbox *s = operation_enter(d, call, request->sandbox_id, err);
    if (s == NULL)
        return false;

    enum sandbox_state state = sandbox_state(s);
    if (state != SANDBOX_STOPPED && state != SANDBOX_INVALID && !request->force)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "sandbox '%s' is %s: stop it first, or force the delete", s->id,
                       sandbox_machine.states[state]);
    if (!stop(d, s, err))
        return false;
    operation_remove_directory(s->directory);
    journal_forget(&d->journal, s->id);
    events_add(&d->events, s->id, "sandbox.deleted", "sandbox '%s' is deleted", s->id);
    sandbox_leave(s);
    registry_remove(&d->registry, s);
    return true;
}
