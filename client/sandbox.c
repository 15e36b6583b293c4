/* The sandbox service: sandboxes as wholes. */

#include "result.h"

#define METHOD(name) "/sandferry.v1.SandboxService/" name

/* An answer with a sandbox in it, as that sandbox. Takes @reply. */
static bool give_sandbox(ProtobufCMessage *reply, const Sandferry__V1__Sandbox *wire,
                         struct sandferry_sandbox **ret, struct sf_error **err)
{
    if (wire == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no sandbox in it");
    }
    struct sandferry_sandbox *s = result_new(sizeof(*s), reply, &wire->base, err);
    if (s == NULL)
        return false;
    sandbox_from(s, s, wire);
    return RESULT_GIVE(s, ret, err);
}

PUBLIC bool sandferry_create(struct sandferry *client, const char *id,
                             const struct sandferry_create_options *options,
                             struct sandferry_sandbox **ret, struct sf_error **err)
{
    struct sandferry_create_options o;
    SF_CLEANUP(wire_labels_done) struct wire_labels labels = {0};
    if (!OPTIONS_TAKE(&o, options, err) || !wire_labels_make(&labels, o.n_labels, o.labels, err))
        return false;

    Sandferry__V1__VmOptions vm = SANDFERRY__V1__VM_OPTIONS__INIT;
    vm.memory_bytes = o.memory_bytes;
    vm.processors = o.processors;
    vm.image = wire_text(o.image);
    vm.cpu_model = wire_text(o.cpu_model);
    vm.kernel_arguments = wire_text(o.kernel_arguments);
    vm.no_writable_file_shares = o.no_writable_file_shares;
    vm.enable_scratch_encryption = o.enable_scratch_encryption;
    vm.policy_based_routing = o.policy_based_routing;

    Sandferry__V1__CreateSandboxRequest request = SANDFERRY__V1__CREATE_SANDBOX_REQUEST__INIT;
    request.sandbox_id = wire_text(id);
    request.vm = &vm;
    request.n_labels = o.n_labels;
    request.labels = labels.all;
    request.request_id = wire_text(o.request_id);

    ProtobufCMessage *reply;
    return invoke(client, METHOD("CreateSandbox"), &request.base,
                  &sandferry__v1__create_sandbox_response__descriptor, o.timeout_ms, &reply, err) &&
           give_sandbox(reply, ((Sandferry__V1__CreateSandboxResponse *)reply)->sandbox, ret, err);
}

PUBLIC bool sandferry_get(struct sandferry *client, const char *id,
                          const struct sandferry_call_options *options,
                          struct sandferry_sandbox **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__GetSandboxRequest request = SANDFERRY__V1__GET_SANDBOX_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(id);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("GetSandbox"), &request.base,
                  &sandferry__v1__get_sandbox_response__descriptor, o.timeout_ms, &reply, err) &&
           give_sandbox(reply, ((Sandferry__V1__GetSandboxResponse *)reply)->sandbox, ret, err);
}

static bool give_sandboxes(ProtobufCMessage *reply, struct sandferry_sandboxes **ret,
                           struct sf_error **err)
{
    const Sandferry__V1__ListSandboxesResponse *wire =
        (const Sandferry__V1__ListSandboxesResponse *)reply;
    struct sandferry_sandboxes *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_sandbox **all = result_array(list, wire->n_sandboxes, sizeof(*all));
    for (size_t i = 0; all != NULL && i < wire->n_sandboxes; i++) {
        struct sandferry_sandbox *s = result_within(list, sizeof(*s), &wire->sandboxes[i]->base);
        if (s == NULL)
            break;
        sandbox_from(list, s, wire->sandboxes[i]);
        all[i] = s;
    }
    list->n = wire->n_sandboxes;
    list->all = all;
    return RESULT_GIVE(list, ret, err);
}

PUBLIC bool sandferry_list(struct sandferry *client, const struct sandferry_call_options *options,
                           struct sandferry_sandboxes **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListSandboxesRequest request = SANDFERRY__V1__LIST_SANDBOXES_REQUEST__INIT;
    ProtobufCMessage *reply;

    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListSandboxes"), &request.base,
                  &sandferry__v1__list_sandboxes_response__descriptor, o.timeout_ms, &reply, err) &&
           give_sandboxes(reply, ret, err);
}

PUBLIC bool sandferry_stop(struct sandferry *client, const char *id,
                           const struct sandferry_call_options *options,
                           struct sandferry_sandbox **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__StopSandboxRequest request = SANDFERRY__V1__STOP_SANDBOX_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(id);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("StopSandbox"), &request.base,
                  &sandferry__v1__stop_sandbox_response__descriptor, o.timeout_ms, &reply, err) &&
           give_sandbox(reply, ((Sandferry__V1__StopSandboxResponse *)reply)->sandbox, ret, err);
}

PUBLIC bool sandferry_delete(struct sandferry *client, const char *id,
                             const struct sandferry_delete_options *options, struct sf_error **err)
{
    struct sandferry_delete_options o;
    Sandferry__V1__DeleteSandboxRequest request = SANDFERRY__V1__DELETE_SANDBOX_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(id);
    request.force = o.force;
    return invoke(client, METHOD("DeleteSandbox"), &request.base,
                  &sandferry__v1__delete_sandbox_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_resume(struct sandferry *client, const char *id,
                             const struct sandferry_call_options *options,
                             struct sandferry_sandbox **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ResumeSandboxRequest request = SANDFERRY__V1__RESUME_SANDBOX_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(id);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ResumeSandbox"), &request.base,
                  &sandferry__v1__resume_sandbox_response__descriptor, o.timeout_ms, &reply, err) &&
           give_sandbox(reply, ((Sandferry__V1__ResumeSandboxResponse *)reply)->sandbox, ret, err);
}

/* ---- events ---- */

struct watch {
    sandferry_event_fn each;
    void *context;
    struct sf_error *err; /* of our own, not of the stream */
};

static bool on_event(void *context, const ProtobufCMessage *message)
{
    struct watch *watch = context;
    const Sandferry__V1__Event *wire = ((const Sandferry__V1__WatchEventsResponse *)message)->event;
    if (wire == NULL)
        return true;
    struct sandferry_event *event = result_new(sizeof(*event), NULL, &wire->base, &watch->err);
    if (event == NULL)
        return false;

    *event = (struct sandferry_event){
        .number = wire->number,
        .time_ns = time_ns(wire->time),
        .sandbox = wire->sandbox_id,
        .type = wire->type,
        .message = wire->message,
        .lost = wire->lost,
    };
    bool more = watch->each(watch->context, event);
    result_free(event);
    return more;
}

PUBLIC bool sandferry_watch(struct sandferry *client, const struct sandferry_watch_options *options,
                            sandferry_event_fn each, void *context, struct sf_error **err)
{
    struct sandferry_watch_options o;
    struct watch watch = {.each = each, .context = context};
    Sandferry__V1__WatchEventsRequest request = SANDFERRY__V1__WATCH_EVENTS_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(o.sandbox);
    request.after = o.after;
    request.from_start = o.from_start;
    request.until_now = o.until_now;
    if (!invoke_stream(client, METHOD("WatchEvents"), &request.base,
                       &sandferry__v1__watch_events_response__descriptor, o.timeout_ms, on_event,
                       &watch, err)) {
        sf_error_free(watch.err);
        return false;
    }
    if (watch.err != NULL)
        *err = watch.err;
    return watch.err == NULL;
}

/* ---- results ---- */

PUBLIC void sandferry_sandbox_free(struct sandferry_sandbox *result)
{
    result_free(result);
}

PUBLIC void sandferry_sandboxes_free(struct sandferry_sandboxes *result)
{
    result_free(result);
}

PUBLIC char *sandferry_sandbox_json(const struct sandferry_sandbox *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_sandboxes_json(const struct sandferry_sandboxes *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_event_json(const struct sandferry_event *result)
{
    return result_json(result, JSON_COMPACT);
}
