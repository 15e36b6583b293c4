/* The process service. */

#include "result.h"

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
    };
}

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
