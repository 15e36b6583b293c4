/* Processes beside the init process of a container. */
#include "process/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static bool container_runs(const struct processes *p, const char *container_id,
                           struct sf_error **err)
{
    const struct process *init = process_find(p, container_id, "");

    if (init == NULL)
        return sf_fail(err, SF_NOT_FOUND, "sandbox '%s' has no container '%s'",
                       sf_sandbox_id(p->base.sandbox), container_id);
    if (init->state == PROCESS_RUNNING)
        return true;
    return sf_fail(err, SF_FAILED_PRECONDITION,
                   "container '%s' does not run: its init process is %s", container_id,
                   process_machine.states[init->state]);
}

static const char *container_spec(const struct processes *p, const char *container_id,
                                  struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_containers_offer *containers =
        sf_sandbox_offer(p->base.sandbox, SF_CONTAINERS_OFFER, &owner);
    const char *spec = containers != NULL ? containers->spec(owner, container_id) : NULL;

    if (spec == NULL)
        sf_fail(err, SF_INTERNAL, "no controller knows the spec of container '%s'", container_id);
    return spec;
}

/* The books must fit into a section whatever happens. */
static bool there_is_room(const struct processes *p, const char *spec, bool waits,
                          struct sf_error **err)
{
    size_t specs = strlen(spec), waiting = 0;

    for (size_t i = 0; i < p->n; i++) {
        specs += p->list[i]->spec != NULL ? strlen(p->list[i]->spec) : 0;
        waiting += p->list[i]->waits;
    }
    if (specs > SPECS_IN_ALL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "the specs of all processes have %zu bytes, at most %d; delete some that "
                       "have ended",
                       specs, SPECS_IN_ALL);
    if (waits && waiting >= WAITING_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "%zu processes wait for readers, at most %d; delete some that have ended",
                       waiting, WAITING_MAX);
    return true;
}

static void make_id(const struct processes *p, const char *container_id, char ret[SF_ID_SIZE])
{
    uint64_t number = p->last_serial;

    do
        snprintf(ret, SF_ID_SIZE, "exec-%" PRIu64, ++number);
    while (process_find(p, container_id, ret) != NULL);
}

static bool check_ids(const struct wanted_process *wanted, struct sf_error **err)
{
    if (wanted->exec_id[0] == '\0' || sf_id_valid(wanted->exec_id))
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT, "'%.80s' is no exec id", wanted->exec_id);
    return sf_fail_detail(err, SF_DETAIL_FIELD, "exec_id",
                          "must be 1 to 64 letters, digits, '-', '_' and '.'");
}

bool process_record(struct processes *p, const struct wanted_process *wanted, struct process **ret,
                    struct sf_error **err)
{
    char exec_id[SF_ID_SIZE];
    bool terminal = false;

    if (!check_ids(wanted, err) || !container_runs(p, wanted->container_id, err))
        return false;
    const char *base = container_spec(p, wanted->container_id, err);
    SF_CLEANUP(sf_freep)
    char *spec = base != NULL ? spec_make(wanted, base, &terminal, err) : NULL;
    if (spec == NULL || !there_is_room(p, spec, wanted->waits, err))
        return false;
    snprintf(exec_id, sizeof(exec_id), "%s", wanted->exec_id);
    if (exec_id[0] == '\0')
        make_id(p, wanted->container_id, exec_id);
    struct process *new = process_add(p, wanted->container_id, exec_id, err);
    if (new == NULL)
        return false;
    memcpy(new->guest_container_id, process_find(p, wanted->container_id, "")->guest_container_id,
           SF_ID_SIZE);
    new->terminal = terminal;
    new->out[1].closed = terminal; /* one stream */
    new->stdin_closed = !wanted->input;
    new->waits = wanted->waits;
    new->spec = SF_STEAL(spec);
    *ret = new;
    return true;
}

/* The answer may have been lost, and the process may run: nobody would ever know of it. Or it is
 * there from such a call. */
static void take_back(struct processes *p, const struct process *process, enum sf_code why)
{
    if (why == SF_FAILED_PRECONDITION || why == SF_INVALID_ARGUMENT || why == SF_NOT_FOUND ||
        why == SF_RESOURCE_EXHAUSTED || why == SF_UNIMPLEMENTED)
        return; /* the agent has said so */

    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (!guest_delete(p, process, true, &err))
        sf_warning("process '%s/%s' may be left in the guest: %s, continuing",
                   process->container_id, process->exec_id, sf_error_message(err));
}

bool process_start(struct processes *p, struct process *process, struct sf_error **err)
{
    const char *id = process->exec_id;
    int32_t pid;

    if (process->state != PROCESS_NOT_CREATED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the process '%s' of container '%s' is %s; only a recorded one can be "
                       "started",
                       id, process->container_id, process_machine.states[process->state]);
    if (!container_runs(p, process->container_id, err))
        return false;
    if (!guest_exec(p, process, &pid, err)) {
        sf_fail_in(err, "process '%s'", id);
        take_back(p, process, sf_error_code(*err));
        return false;
    }
    process->pid = pid;
    if (!sf_machine_move(&process_machine, &process->state, PROCESS_MADE, id, err) ||
        !sf_machine_move(&process_machine, &process->state, PROCESS_STARTED, id, err))
        return false;
    sf_sandbox_event(p->base.sandbox, "process.started",
                     "the process '%s' of container '%s' runs, with pid %d", id,
                     process->container_id, pid);
    sf_sandbox_changed(p->base.sandbox);
    return true;
}

bool process_delete(struct processes *p, struct process *process, struct sf_error **err)
{
    if (process->state != PROCESS_NOT_CREATED && !guest_delete(p, process, false, err))
        return sf_fail_in(err, "process '%s'", process->exec_id);
    sf_sandbox_event(p->base.sandbox, "process.deleted",
                     "the process '%s' of container '%s' is deleted", process->exec_id,
                     process->container_id);
    process_remove(p, process);
    sf_sandbox_changed(p->base.sandbox);
    return true;
}

void processes_end_with(struct processes *p, const char *container_id)
{
    for (size_t i = 0; i < p->n; i++) {
        struct process *it = p->list[i];
        if (strcmp(it->container_id, container_id) != 0 || it->state == PROCESS_NOT_CREATED ||
            !sf_machine_next(&process_machine, it->state, PROCESS_EXITED, &it->state))
            continue;
        sf_warning("process '%s/%s': the guest has not told how it ended, continuing",
                   it->container_id, it->exec_id);
        it->exit_code = EXIT_UNKNOWN;
    }
}
