#include "service.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "method_call.h"
#include "daemon.h"
#include "lifecycle.h"
#include "message.h"
#include "operations.h"
#include "rpc/rpc.h"
#include "sandbox.h"

extern const uint8_t sandbox_files[];
extern const size_t sandbox_files_size;

/* ---- answers that are given once ---- */

typedef bool (*operation_fn)(struct daemon *d, struct rpc_call *call,
                             const ProtobufCMessage *request, ProtobufCMessage *reply,
                             struct sf_error **err);

/* Moves the packed answer into a reply that was initialised by the engine. */
static bool unpack_into(ProtobufCMessage *reply, const struct sf_bytes *packed,
                        struct sf_error **err)
{
    ProtobufCMessage *answer =
        protobuf_c_message_unpack(reply->descriptor, NULL, packed->size, packed->data);
    if (answer == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    memcpy(reply, answer, reply->descriptor->sizeof_message);
    free(answer);
    return true;
}

static bool answer_once(struct daemon *d, struct rpc_call *call, const char *request_id,
                        const ProtobufCMessage *request, ProtobufCMessage *reply, operation_fn run,
                        struct sf_error **err)
{
    enum requests_turn turn;
    struct request *ticket;
    struct sf_bytes answer = {0};

    if (!requests_begin(&d->requests, request_id, rpc_call_method(call), request, call, &turn,
                        &ticket, &answer, err))
        return false;
    if (turn == REQUESTS_REPEAT) {
        bool ok = unpack_into(reply, &answer, err);
        sf_bytes_done(&answer);
        return ok;
    }
    bool ok = run(d, call, request, reply, err);
    requests_end(&d->requests, ticket, ok ? reply : NULL);
    return ok;
}

/* ---- the sandbox service ---- */

static bool run_create(struct daemon *d, struct rpc_call *call, const ProtobufCMessage *request,
                       ProtobufCMessage *reply, struct sf_error **err)
{
    return create_sandbox(d, call, (const Sandferry__V1__CreateSandboxRequest *)request,
                          (Sandferry__V1__CreateSandboxResponse *)reply, err);
}

static bool run_save(struct daemon *d, struct rpc_call *call, const ProtobufCMessage *request,
                     ProtobufCMessage *reply, struct sf_error **err)
{
    return save_sandbox(d, call, (const Sandferry__V1__SaveSandboxRequest *)request,
                        (Sandferry__V1__SaveSandboxResponse *)reply, err);
}

static bool run_restore(struct daemon *d, struct rpc_call *call, const ProtobufCMessage *request,
                        ProtobufCMessage *reply, struct sf_error **err)
{
    return restore_sandbox(d, call, (const Sandferry__V1__RestoreSandboxRequest *)request,
                           (Sandferry__V1__RestoreSandboxResponse *)reply, err);
}

static bool do_create(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                      ProtobufCMessage *reply, struct sf_error **err)
{
    const char *id = ((const Sandferry__V1__CreateSandboxRequest *)request)->request_id;
    return answer_once(context, call, id, request, reply, run_create, err);
}

static bool do_save(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                    ProtobufCMessage *reply, struct sf_error **err)
{
    const char *id = ((const Sandferry__V1__SaveSandboxRequest *)request)->request_id;
    return answer_once(context, call, id, request, reply, run_save, err);
}

static bool do_restore(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                       ProtobufCMessage *reply, struct sf_error **err)
{
    const char *id = ((const Sandferry__V1__RestoreSandboxRequest *)request)->request_id;
    return answer_once(context, call, id, request, reply, run_restore, err);
}

static bool do_get(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                   ProtobufCMessage *reply, struct sf_error **err)
{
    struct daemon *d = context;
    (void)call;
    SF_CLEANUP(sandbox_unrefp)
    struct sf_sandbox *s = registry_find(&d->registry, message_sandbox_id(request), err);
    if (s == NULL)
        return false;
    Sandferry__V1__Sandbox *sandbox = sandbox_describe(s, err);
    ((Sandferry__V1__GetSandboxResponse *)reply)->sandbox = sandbox;
    return sandbox != NULL;
}

static bool do_list(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                    ProtobufCMessage *reply, struct sf_error **err)
{
    struct daemon *d = context;
    Sandferry__V1__ListSandboxesResponse *response = (Sandferry__V1__ListSandboxesResponse *)reply;
    SF_CLEANUP(registry_list_freep) struct sf_sandbox **list = registry_list(&d->registry);
    (void)call;
    (void)request;

    size_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    response->sandboxes = calloc(n + 1, sizeof(Sandferry__V1__Sandbox *));
    if (list == NULL || response->sandboxes == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (size_t i = 0; i < n; i++) {
        response->sandboxes[i] = sandbox_describe(list[i], err);
        if (response->sandboxes[i] == NULL)
            return false;
        response->n_sandboxes++;
    }
    return true;
}

static bool do_stop(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                    ProtobufCMessage *reply, struct sf_error **err)
{
    return stop_sandbox(context, call, (const Sandferry__V1__StopSandboxRequest *)request,
                        (Sandferry__V1__StopSandboxResponse *)reply, err);
}

static bool do_delete(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                      ProtobufCMessage *reply, struct sf_error **err)
{
    (void)reply;
    return delete_sandbox(context, call, (const Sandferry__V1__DeleteSandboxRequest *)request, err);
}

static bool do_resume(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                      ProtobufCMessage *reply, struct sf_error **err)
{
    return resume_sandbox(context, call, (const Sandferry__V1__ResumeSandboxRequest *)request,
                          (Sandferry__V1__ResumeSandboxResponse *)reply, err);
}

static bool do_check(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                     ProtobufCMessage *reply, struct sf_error **err)
{
    (void)call;
    return check_restore(context, (const Sandferry__V1__CheckRestoreRequest *)request,
                         (Sandferry__V1__CheckRestoreResponse *)reply, err);
}

static bool send_event(struct rpc_call *call, struct event *event, uint64_t lost,
                       struct sf_error **err)
{
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Sandferry__V1__Event wire = SANDFERRY__V1__EVENT__INIT;
    Sandferry__V1__WatchEventsResponse response = SANDFERRY__V1__WATCH_EVENTS_RESPONSE__INIT;

    time.seconds = event->time_ns / SF_NS_PER_S;
    time.nanos = (int32_t)(event->time_ns % SF_NS_PER_S);
    wire.number = event->number;
    wire.time = &time;
    wire.sandbox_id = event->sandbox_id;
    wire.type = event->type;
    wire.message = event->message;
    wire.lost = lost;
    response.event = &wire;
    return rpc_call_send(call, &response.base, err);
}

static bool do_watch(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                     ProtobufCMessage *reply, struct sf_error **err)
{
    const Sandferry__V1__WatchEventsRequest *want =
        (const Sandferry__V1__WatchEventsRequest *)request;
    struct daemon *d = context;
    struct events_cursor cursor;
    struct event event;
    uint64_t lost;
    (void)reply;

    if (want->sandbox_id[0] != '\0' && !registry_check_id(want->sandbox_id, err))
        return false;
    if (!events_begin(&d->events, &cursor, want->sandbox_id, want->from_start, want->after, err))
        return false;
    cursor.ends = want->until_now;
    while (events_next(&d->events, &cursor, call, &event, &lost, err))
        if (!send_event(call, &event, lost, err))
            return false;
    return *err == NULL; /* it has seen what it wanted to */
}

/* Whatever takes a sandbox's lock may have to wait for a save, and so is for the long pool. */
/* clang-format off */
static const struct rpc_method sandbox_methods[] = {
    /* method            does it                who may              how              */
    { "CreateSandbox",   do_create,   NULL,     RPC_OPERATOR,        RPC_WAITS              },
    { "GetSandbox",      do_get,      NULL,     RPC_READER,          0                      },
    { "ListSandboxes",   do_list,     NULL,     RPC_READER,          0                      },
    { "StopSandbox",     do_stop,     NULL,     RPC_OPERATOR,        RPC_WAITS              },
    { "DeleteSandbox",   do_delete,   NULL,     RPC_OPERATOR,        RPC_WAITS              },
    { "SaveSandbox",     do_save,     NULL,     RPC_OPERATOR,        RPC_WAITS              },
    { "RestoreSandbox",  do_restore,  NULL,     RPC_OPERATOR,        RPC_WAITS              },
    { "ResumeSandbox",   do_resume,   NULL,     RPC_OPERATOR,        RPC_WAITS              },
    { "CheckRestore",    do_check,    NULL,     RPC_OPERATOR,        RPC_WAITS              },
    { "WatchEvents",     do_watch,    NULL,     RPC_READER,          RPC_WAITS | RPC_STREAM },
    { 0 },
};
/* clang-format on */

static bool add_sandbox_service(struct daemon *d, struct rpc_server *server, struct sf_error **err)
{
    struct rpc_method methods[sizeof(sandbox_methods) / sizeof(*sandbox_methods)];

    memcpy(methods, sandbox_methods, sizeof(methods));
    for (size_t i = 0; methods[i].name != NULL; i++)
        methods[i].context = d;
    return rpc_server_add_service(server, &sandferry__v1__sandbox_service__descriptor, methods,
                                  sandbox_files, sandbox_files_size, err);
}

/* ---- the controllers' services ---- */

struct binding {
    struct daemon *daemon;
    size_t index; /* of the controller, in the daemon's modules */
    const struct sf_method *method;
};

struct service_bindings {
    struct service_bindings *next;
    struct binding *all; /* one for each method of one service */
};

static bool run_method(void *context, struct rpc_call *rpc, const ProtobufCMessage *request,
                       ProtobufCMessage *reply, struct sf_error **err)
{
    const struct binding *b = context;
    const char *id = message_sandbox_id(request);

    SF_CLEANUP(operation_leavep) struct sf_sandbox *s = operation_enter(b->daemon, rpc, id, err);
    if (s == NULL)
        return false;
    if (!(b->method->flags & SF_METHOD_READS) && !sandbox_require_running(s, err))
        return false;
    struct sf_call call = {.rpc = rpc, .sandbox = s, .seen = sandbox_changes(s)};
    return lifecycle_call(s, b->index, b->method, &call, request, reply, err) ||
           sf_fail_in(err, "sandbox '%s'", id);
}

static bool check_requests(const ProtobufCServiceDescriptor *service, struct sf_error **err)
{
    for (unsigned i = 0; i < service->n_methods; i++) {
        const ProtobufCMessageDescriptor *input = service->methods[i].input;
        if (input->n_fields == 0 || input->fields[0].id != 1 ||
            input->fields[0].type != PROTOBUF_C_TYPE_STRING ||
            input->fields[0].label == PROTOBUF_C_LABEL_REPEATED ||
            strcmp(input->fields[0].name, "sandbox_id") != 0)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "%s does not begin with `string sandbox_id = 1`", input->name);
    }
    return true;
}

static void bind_row(struct rpc_method *row, struct binding *b, const struct sf_method *method)
{
    b->method = method;
    *row = (struct rpc_method){
        .name = method->name,
        .run = run_method,
        .context = b,
        .access = method->access == SF_READER ? RPC_READER : RPC_OPERATOR,
        .flags = RPC_WAITS | (method->flags & SF_METHOD_STREAM ? RPC_STREAM : 0u),
    };
}

static bool add_service(struct daemon *d, size_t index, const struct sf_service *service,
                        struct rpc_server *server, struct service_bindings **list,
                        struct sf_error **err)
{
    size_t n = 0;
    while (service->methods[n].name != NULL)
        n++;
    struct service_bindings *bindings = calloc(1, sizeof(*bindings));
    struct rpc_method *rows = calloc(n + 1, sizeof(*rows));
    if (bindings != NULL)
        bindings->all = calloc(n + 1, sizeof(*bindings->all));
    if (bindings == NULL || rows == NULL || bindings->all == NULL) {
        service_free(bindings);
        free(rows);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }
    bindings->next = *list;
    *list = bindings;
    for (size_t i = 0; i < n; i++) {
        bindings->all[i] = (struct binding){.daemon = d, .index = index};
        bind_row(&rows[i], &bindings->all[i], &service->methods[i]);
    }
    bool ok = check_requests(service->descriptor, err) &&
              rpc_server_add_service(server, service->descriptor, rows, service->files,
                                     service->files_size, err);
    free(rows);
    return ok;
}

bool service_add_all(struct daemon *d, struct rpc_server *server, struct service_bindings **ret,
                     struct sf_error **err)
{
    *ret = NULL;
    if (!add_sandbox_service(d, server, err))
        return false;
    for (size_t i = 0; i < d->modules.n; i++) {
        const struct sf_service *service = d->modules.all[i].cls.services;
        for (; service != NULL && service->descriptor != NULL; service++)
            if (!add_service(d, i, service, server, ret, err))
                return sf_fail_in(err, "controller '%s'", d->modules.all[i].cls.name);
    }
    return true;
}

void service_free(struct service_bindings *b)
{
    while (b != NULL) {
        struct service_bindings *next = b->next;
        free(b->all);
        free(b);
        b = next;
    }
}

/* ---- the log ---- */

void service_log(const char *method, const ProtobufCMessage *request, const struct sf_error *err,
                 int64_t duration_ns)
{
    const char *id = request == NULL ? NULL : message_sandbox_id(request);
    long long ms = (long long)(duration_ns / SF_NS_PER_MS);

    if (err == NULL)
        sf_info("call: %s sandbox='%s' code=OK ms=%lld", method, id == NULL ? "" : id, ms);
    else
        sf_info("call: %s sandbox='%s' code=%s ms=%lld: %s", method, id == NULL ? "" : id,
                sf_code_name(sf_error_code(err)), ms, sf_error_message(err));
}
