/* What the agent says of processes, and what it is asked. Nothing that it says is believed. */
#include "process/process.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "sandferry/v1/agent.pb-c.h"

#define SIGNAL_MS 10000
#define INPUT_MS  10000 /* the agent answers at once, read or not */
#define EXEC_MS   60000 /* emulated processors take their time */

static void reply_free(Sandferry__V1__AgentReply *reply)
{
    if (reply != NULL)
        sandferry__v1__agent_reply__free_unpacked(reply, NULL);
}
SF_DEFINE_CLEANUP(Sandferry__V1__AgentReply, reply_free)

static bool ask(struct processes *p, Sandferry__V1__AgentRequest *request, uint32_t timeout_ms,
                Sandferry__V1__AgentReply **ret, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_guest_offer *guest = sf_sandbox_offer(p->base.sandbox, SF_GUEST_OFFER, &owner);
    void *reply = NULL;

    if (guest == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_GUEST_OFFER);
    bool ok = guest->call(owner, request, timeout_ms, ret != NULL ? &reply : NULL, err);
    if (ok && ret != NULL)
        *ret = reply;
    return ok;
}

bool guest_signal(struct processes *p, const struct process *process, uint32_t signal,
                  struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentSignal body = SANDFERRY__V1__AGENT_SIGNAL__INIT;

    body.container_id = (char *)(uintptr_t)process->guest_container_id;
    body.exec_id = (char *)(uintptr_t)process->exec_id;
    body.signal = signal;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_SIGNAL;
    request.signal = &body;
    return ask(p, &request, SIGNAL_MS, NULL, err);
}

bool guest_input(struct processes *p, struct process *process, const struct input *input,
                 struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentInput body = SANDFERRY__V1__AGENT_INPUT__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;

    body.container_id = process->guest_container_id;
    body.exec_id = process->exec_id;
    body.data =
        (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)input->data, .len = input->size};
    body.close = input->close;
    body.at_offset = input->at_offset;
    body.offset = input->offset;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_INPUT;
    request.input = &body;
    if (!ask(p, &request, INPUT_MS, &reply, err))
        return false;
    /* It may be more than we know of: an earlier answer was lost, the bytes were not. */
    uint64_t end = (input->at_offset ? input->offset : process->stdin_offset) + input->size;
    if (reply->body_case == SANDFERRY__V1__AGENT_REPLY__BODY_INPUT && reply->input->offset > end &&
        reply->input->offset <= OFFSET_MAX)
        end = reply->input->offset;
    if (end > process->stdin_offset)
        process->stdin_offset = end;
    process->stdin_closed |= input->close;
    return true;
}

bool guest_exec(struct processes *p, const struct process *process, int32_t *ret_pid,
                struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentExec body = SANDFERRY__V1__AGENT_EXEC__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;

    body.container_id = (char *)(uintptr_t)process->guest_container_id;
    body.exec_id = (char *)(uintptr_t)process->exec_id;
    body.spec = process->spec;
    body.terminal = process->terminal;
    body.no_input = process->stdin_closed;
    body.window = process->waits ? WAITING_WINDOW : 0;
    spec_console_size(process->spec, &body.columns, &body.rows);
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_EXEC;
    request.exec = &body;
    if (!ask(p, &request, EXEC_MS, &reply, err))
        return false;
    if (reply->body_case != SANDFERRY__V1__AGENT_REPLY__BODY_EXEC || reply->exec->pid <= 0)
        return sf_fail(err, SF_INTERNAL, "the agent has given no pid");
    *ret_pid = reply->exec->pid;
    return true;
}

bool guest_delete(struct processes *p, const struct process *process, bool force,
                  struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentDeleteProcess body = SANDFERRY__V1__AGENT_DELETE_PROCESS__INIT;

    body.container_id = (char *)(uintptr_t)process->guest_container_id;
    body.exec_id = (char *)(uintptr_t)process->exec_id;
    body.force = force;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_DELETE_PROCESS;
    request.delete_process = &body;
    return ask(p, &request, SIGNAL_MS, NULL, err);
}

bool guest_resize(struct processes *p, const struct process *process, uint32_t columns,
                  uint32_t rows, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentResize body = SANDFERRY__V1__AGENT_RESIZE__INIT;

    body.container_id = (char *)(uintptr_t)process->guest_container_id;
    body.exec_id = (char *)(uintptr_t)process->exec_id;
    body.columns = columns;
    body.rows = rows;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_RESIZE;
    request.resize = &body;
    return ask(p, &request, SIGNAL_MS, NULL, err);
}

bool guest_taken(struct processes *p, const struct process *process, unsigned number,
                 uint64_t offset)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentOutputTaken body = SANDFERRY__V1__AGENT_OUTPUT_TAKEN__INIT;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    body.container_id = (char *)(uintptr_t)process->guest_container_id;
    body.exec_id = (char *)(uintptr_t)process->exec_id;
    body.stream = number + 1;
    body.offset = offset;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN;
    request.output_taken = &body;
    if (ask(p, &request, 0, NULL, &err))
        return true;
    sf_warning("process '%s/%s': output acknowledgement: %s, continuing", process->container_id,
               process->exec_id, sf_error_message(err));
    return false;
}

/* Into the ring: what is there already is passed over, and what never came is lost. */
static bool place_output(const struct process *process, struct ring *r,
                         const Sandferry__V1__AgentOutput *o)
{
    if (r->closed || o->offset > OFFSET_MAX || o->data.len > OFFSET_MAX - o->offset) {
        sf_warning("process '%s/%s': output at %" PRIu64 " of %s stream of %" PRIu64
                   " bytes, continuing",
                   process->container_id, process->exec_id, o->offset,
                   r->closed ? "a closed" : "an open", r->end);
        return false;
    }
    if (o->offset != r->end)
        sf_warning("process '%s/%s': output at %" PRIu64 ", expected %" PRIu64 ", continuing",
                   process->container_id, process->exec_id, o->offset, r->end);
    if (o->offset > r->end)
        ring_skip(r, o->offset);
    uint64_t repeated = r->end - o->offset;
    if (repeated >= o->data.len ||
        ring_add(r, o->data.data + repeated, o->data.len - (size_t)repeated))
        return true;
    sf_warning("process '%s/%s': no memory for its output, continuing", process->container_id,
               process->exec_id);
    return false;
}

static void take_output(struct processes *p, const Sandferry__V1__AgentOutput *o)
{
    struct process *process = process_find_guest(p, o->container_id, o->exec_id);
    if (process == NULL || process->state == PROCESS_NOT_CREATED || o->stream < 1 ||
        o->stream > 2) {
        sf_warning("sandbox '%s': output of an unknown process '%.64s', continuing",
                   sf_sandbox_id(p->base.sandbox), o->container_id);
        return;
    }
    struct ring *r = &process->out[o->stream - 1];
    if (!place_output(process, r, o))
        return;
    r->closed = o->closed;
    output_settle(p, process, o->stream - 1);
    sf_sandbox_changed(p->base.sandbox);
}

static void take_exit(struct processes *p, const Sandferry__V1__AgentExited *e)
{
    struct process *process = process_find_guest(p, e->container_id, e->exec_id);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (process == NULL || !sf_machine_move(&process_machine, &process->state, PROCESS_EXITED,
                                            e->container_id, &err)) {
        sf_warning("sandbox '%s': exit of process '%.64s': %s, continuing",
                   sf_sandbox_id(p->base.sandbox), e->container_id,
                   err != NULL ? sf_error_message(err) : "there is none");
        return;
    }
    process->exit_code = e->exit_code & 0xff;
    /* A time that no section can hold is none: or a save could not be read again. */
    bool sound = e->exited_at_ns > 0 && e->exited_at_ns < INT64_MAX / 2;
    process->exited_at_ns = sound ? e->exited_at_ns : 0;
    sf_sandbox_event(p->base.sandbox, "process.exited",
                     "the process '%s' of container '%s' has ended with code %u", process->exec_id,
                     process->container_id, process->exit_code);
    if (process->exec_id[0] == '\0')
        processes_end_with(p, process->container_id);
    if (process->exec_id[0] == '\0' && p->on_exit != NULL)
        p->on_exit(p->container, process->container_id, process->exit_code);
    sf_sandbox_changed(p->base.sandbox);
}

void guest_event(struct sf_controller *listener, const void *event)
{
    struct processes *p = (struct processes *)listener; /* base is the first member */
    const Sandferry__V1__AgentEvent *e = event;

    if (e->body_case == SANDFERRY__V1__AGENT_EVENT__BODY_OUTPUT)
        take_output(p, e->output);
    else if (e->body_case == SANDFERRY__V1__AGENT_EVENT__BODY_EXITED)
        take_exit(p, e->exited);
}

bool guest_listen(struct processes *p, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_guest_offer *guest = sf_sandbox_offer(p->base.sandbox, SF_GUEST_OFFER, &owner);

    if (guest == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_GUEST_OFFER);
    return guest->listen(owner, &p->base, guest_event, err);
}

void guest_unlisten(struct processes *p)
{
    struct sf_controller *owner;
    const struct sf_guest_offer *guest = sf_sandbox_offer(p->base.sandbox, SF_GUEST_OFFER, &owner);

    if (guest != NULL)
        guest->unlisten(owner, &p->base);
}
