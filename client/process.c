/* The process service. */

#include "result.h"

#include <stdlib.h>

#define METHOD(name) "/sandferry.v1.ProcessService/" name

/* ---- answers ---- */

static void process_from(struct sandferry_process *p, const Sandferry__V1__Process *wire)
{
    *p = (struct sandferry_process){
        .container_id = wire->container_id,
        .exec_id = wire->exec_id,
        .stage = (enum sandferry_process_stage)wire->stage,
        .pid = wire->pid,
        .terminal = wire->terminal,
        .exit_code = wire->exit_code,
        .exited_at_ns = time_ns(wire->exited_at),
        .spec = wire->spec,
        .stdin_offset = wire->stdin_offset,
        .stdout_offset = wire->stdout != NULL ? wire->stdout->offset : 0,
        .stderr_offset = wire->stderr != NULL ? wire->stderr->offset : 0,
        .stdin_closed = wire->stdin_closed,
        .waits_for_readers = wire->waits_for_readers,
    };
}

/* Each answer with one process in it begins with that. */
static bool give_process(ProtobufCMessage *reply, struct sandferry_process **ret,
                         struct sf_error **err)
{
    const Sandferry__V1__Process *wire = ((Sandferry__V1__WaitProcessResponse *)reply)->process;
    if (wire == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no process in it");
    }
    struct sandferry_process *p = result_new(sizeof(*p), reply, &wire->base, err);
    if (p == NULL)
        return false;
    process_from(p, wire);
    return RESULT_GIVE(p, ret, err);
}

/* The same for a caller who may not want it. */
static bool give_if_wanted(ProtobufCMessage *reply, struct sandferry_process **ret,
                           struct sf_error **err)
{
    if (ret != NULL)
        return give_process(reply, ret, err);
    protobuf_c_message_free_unpacked(reply, NULL);
    return true;
}

static bool give_processes(ProtobufCMessage *reply, struct sandferry_processes **ret,
                           struct sf_error **err)
{
    const Sandferry__V1__ListProcessesResponse *wire =
        (const Sandferry__V1__ListProcessesResponse *)reply;
    struct sandferry_processes *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_process **all = result_array(list, wire->n_processes, sizeof(*all));
    for (size_t i = 0; all != NULL && i < wire->n_processes; i++) {
        struct sandferry_process *p = result_within(list, sizeof(*p), &wire->processes[i]->base);
        if (p == NULL)
            break;
        process_from(p, wire->processes[i]);
        all[i] = p;
    }
    list->n = wire->n_processes;
    list->all = all;
    return RESULT_GIVE(list, ret, err);
}

/* ---- calls ---- */

PUBLIC bool sandferry_process_exec(struct sandferry *client, const char *sandbox,
                                   const char *container,
                                   const struct sandferry_exec_options *options,
                                   struct sandferry_process **ret, struct sf_error **err)
{
    struct sandferry_exec_options o;
    Sandferry__V1__ExecProcessRequest request = SANDFERRY__V1__EXEC_PROCESS_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    request.spec = wire_text(o.spec);
    request.n_args = o.n_args;
    request.args = wire_texts(o.args);
    request.n_env = o.n_env;
    request.env = wire_texts(o.env);
    request.working_directory = wire_text(o.working_directory);
    request.user = wire_text(o.user);
    request.terminal = o.terminal;
    request.columns = o.columns;
    request.rows = o.rows;
    request.input = o.input;
    request.wait_for_readers = o.wait_for_readers;
    request.record_only = o.record_only;
    return invoke(client, METHOD("ExecProcess"), &request.base,
                  &sandferry__v1__exec_process_response__descriptor, o.timeout_ms, &reply, err) &&
           give_if_wanted(reply, ret, err);
}

PUBLIC bool sandferry_process_start(struct sandferry *client, const char *sandbox,
                                    const char *container,
                                    const struct sandferry_process_options *options,
                                    struct sandferry_process **ret, struct sf_error **err)
{
    struct sandferry_process_options o;
    Sandferry__V1__StartProcessRequest request = SANDFERRY__V1__START_PROCESS_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    return invoke(client, METHOD("StartProcess"), &request.base,
                  &sandferry__v1__start_process_response__descriptor, o.timeout_ms, &reply, err) &&
           give_if_wanted(reply, ret, err);
}

PUBLIC bool sandferry_process_delete(struct sandferry *client, const char *sandbox,
                                     const char *container,
                                     const struct sandferry_process_delete_options *options,
                                     struct sandferry_process **ret, struct sf_error **err)
{
    struct sandferry_process_delete_options o;
    Sandferry__V1__DeleteProcessRequest request = SANDFERRY__V1__DELETE_PROCESS_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    request.force = o.force;
    return invoke(client, METHOD("DeleteProcess"), &request.base,
                  &sandferry__v1__delete_process_response__descriptor, o.timeout_ms, &reply, err) &&
           give_if_wanted(reply, ret, err);
}

PUBLIC bool sandferry_process_resize(struct sandferry *client, const char *sandbox,
                                     const char *container, uint32_t columns, uint32_t rows,
                                     const struct sandferry_process_options *options,
                                     struct sf_error **err)
{
    struct sandferry_process_options o;
    Sandferry__V1__ResizeTerminalRequest request = SANDFERRY__V1__RESIZE_TERMINAL_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    request.columns = columns;
    request.rows = rows;
    return invoke(client, METHOD("ResizeTerminal"), &request.base,
                  &sandferry__v1__resize_terminal_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_process_list(struct sandferry *client, const char *sandbox,
                                   const char *container,
                                   const struct sandferry_call_options *options,
                                   struct sandferry_processes **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListProcessesRequest request = SANDFERRY__V1__LIST_PROCESSES_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListProcesses"), &request.base,
                  &sandferry__v1__list_processes_response__descriptor, o.timeout_ms, &reply, err) &&
           give_processes(reply, ret, err);
}

PUBLIC bool sandferry_process_signal(struct sandferry *client, const char *sandbox,
                                     const char *container, uint32_t signal,
                                     const struct sandferry_process_options *options,
                                     struct sf_error **err)
{
    struct sandferry_process_options o;
    Sandferry__V1__SignalProcessRequest request = SANDFERRY__V1__SIGNAL_PROCESS_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    request.signal = signal;
    return invoke(client, METHOD("SignalProcess"), &request.base,
                  &sandferry__v1__signal_process_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_process_wait(struct sandferry *client, const char *sandbox,
                                   const char *container,
                                   const struct sandferry_process_options *options,
                                   struct sandferry_process **ret, struct sf_error **err)
{
    struct sandferry_process_options o;
    Sandferry__V1__WaitProcessRequest request = SANDFERRY__V1__WAIT_PROCESS_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    return invoke(client, METHOD("WaitProcess"), &request.base,
                  &sandferry__v1__wait_process_response__descriptor, o.timeout_ms, &reply, err) &&
           give_process(reply, ret, err);
}

struct output {
    sandferry_output_fn each;
    void *context;
};

static bool on_output(void *context, const ProtobufCMessage *message)
{
    const struct output *output = context;
    const Sandferry__V1__ReadOutputResponse *wire =
        (const Sandferry__V1__ReadOutputResponse *)message;
    return output->each(output->context, wire->offset, wire->data.data, wire->data.len, wire->lost);
}

PUBLIC bool sandferry_process_read(struct sandferry *client, const char *sandbox,
                                   const char *container,
                                   const struct sandferry_read_options *options,
                                   sandferry_output_fn each, void *context, struct sf_error **err)
{
    struct sandferry_read_options o;
    struct output output = {each, context};
    Sandferry__V1__ReadOutputRequest request = SANDFERRY__V1__READ_OUTPUT_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    request.stream = (Sandferry__V1__OutputStream)o.stream;
    request.offset = o.offset;
    request.follow = o.follow;
    return invoke_stream(client, METHOD("ReadOutput"), &request.base,
                         &sandferry__v1__read_output_response__descriptor, o.timeout_ms, on_output,
                         &output, err);
}

struct attached {
    sandferry_attached_fn each;
    void *context;
    struct sandferry_process *end; /* owned; NULL: it has not ended yet */
    bool enough;
    struct sf_error *err;
};

/* The message is the call layer's: the result gets one of its own. */
static bool take_end(struct attached *a, const Sandferry__V1__Process *wire)
{
    Sandferry__V1__WaitProcessResponse holder = SANDFERRY__V1__WAIT_PROCESS_RESPONSE__INIT;
    holder.process = (Sandferry__V1__Process *)wire;
    size_t size = protobuf_c_message_get_packed_size(&holder.base);
    uint8_t *packed = malloc(size);
    ProtobufCMessage *copy = NULL;

    if (packed != NULL) {
        protobuf_c_message_pack(&holder.base, packed);
        copy = protobuf_c_message_unpack(holder.base.descriptor, NULL, size, packed);
    }
    free(packed);
    if (copy == NULL)
        return sf_fail(&a->err, SF_RESOURCE_EXHAUSTED, "out of memory");
    return give_process(copy, &a->end, &a->err);
}

static bool on_attached(void *context, const ProtobufCMessage *message)
{
    struct attached *a = context;
    const Sandferry__V1__AttachProcessResponse *wire =
        (const Sandferry__V1__AttachProcessResponse *)message;
    if (wire->event_case == SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_EXITED)
        return take_end(a, wire->exited);
    if (wire->event_case != SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_OUTPUT)
        return true; /* a newer daemon's */
    const Sandferry__V1__AttachedOutput *o = wire->output;
    a->enough = !a->each(a->context, (enum sandferry_stream)o->stream, o->offset, o->data.data,
                         o->data.len, o->lost);
    return !a->enough;
}

PUBLIC bool sandferry_process_attach(struct sandferry *client, const char *sandbox,
                                     const char *container,
                                     const struct sandferry_attach_options *options,
                                     sandferry_attached_fn each, void *context,
                                     struct sandferry_process **ret, struct sf_error **err)
{
    struct sandferry_attach_options o;
    struct attached a = {.each = each, .context = context};
    Sandferry__V1__AttachProcessRequest request = SANDFERRY__V1__ATTACH_PROCESS_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    request.stdout_offset = o.stdout_offset;
    request.stderr_offset = o.stderr_offset;
    bool ok = invoke_stream(client, METHOD("AttachProcess"), &request.base,
                            &sandferry__v1__attach_process_response__descriptor, o.timeout_ms,
                            on_attached, &a, err);
    if (ok && a.err != NULL) {
        *err = a.err;
        return false;
    }
    if (ok && a.end == NULL && !a.enough)
        ok = sf_fail(err, SF_INTERNAL, "the daemon has not told how the process ended");
    if (!ok) {
        sf_error_free(a.err);
        sandferry_process_free(a.end);
        return false;
    }
    *ret = a.end;
    return true;
}

PUBLIC bool sandferry_process_write(struct sandferry *client, const char *sandbox,
                                    const char *container, const void *data, size_t size,
                                    const struct sandferry_write_options *options,
                                    uint64_t *ret_offset, struct sf_error **err)
{
    struct sandferry_write_options o;
    Sandferry__V1__WriteInputRequest request = SANDFERRY__V1__WRITE_INPUT_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(container);
    request.exec_id = wire_text(o.exec_id);
    request.data = (ProtobufCBinaryData){size, (uint8_t *)data};
    request.close = o.close;
    request.at_offset = o.at_offset;
    request.offset = o.offset;
    if (!invoke(client, METHOD("WriteInput"), &request.base,
                &sandferry__v1__write_input_response__descriptor, o.timeout_ms, &reply, err))
        return false;
    if (ret_offset != NULL)
        *ret_offset = ((const Sandferry__V1__WriteInputResponse *)reply)->offset;
    protobuf_c_message_free_unpacked(reply, NULL);
    return true;
}

/* ---- results ---- */

PUBLIC void sandferry_process_free(struct sandferry_process *result)
{
    result_free(result);
}

PUBLIC void sandferry_processes_free(struct sandferry_processes *result)
{
    result_free(result);
}

PUBLIC char *sandferry_process_json(const struct sandferry_process *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_processes_json(const struct sandferry_processes *result)
{
    return result_json(result, JSON_INDENT(2));
}
