#include "call.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>

#include "base/text.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "snapshot/wire.h"

#define MESSAGE_MAX  (16 * 1024 * 1024)
#define METADATA_MAX 65536

/* Says to the server how much of that it may fill with details: server/rpc/engine.h. */
#define ROOM_KEY "sandferry-details-room"
#define ROOM     "61440"

/* One call. */
struct call {
    struct call_channel *channel;
    grpc_completion_queue *queue;
    grpc_call *core;
    grpc_metadata room;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice words;
    LIST_ENTRY(call) listed;
};

LIST_HEAD(call_list, call);

struct call_channel {
    grpc_channel *core;
    char *address;
    pthread_mutex_t lock;
    struct call_list under_way; /* what call_channel_cancel() ends */
    bool cancelled;             /* it came before there was anything to end */
};

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define ACQUIRE(tag) __tsan_acquire(tag)
#define RELEASE(tag) __tsan_release(tag)
#else
#define ACQUIRE(tag) ((void)(tag))
#define RELEASE(tag) ((void)(tag))
#endif

static grpc_channel_credentials *make_credentials(const struct call_tls *tls)
{
    if (tls == NULL)
        return grpc_insecure_credentials_create();

    grpc_ssl_pem_key_cert_pair pair = {.private_key = tls->key_pem,
                                       .cert_chain = tls->certificate_pem};
    return grpc_ssl_credentials_create_ex(tls->server_ca_pem, tls->key_pem != NULL ? &pair : NULL,
                                          NULL, NULL);
}

bool call_channel_new(const char *address, const struct call_tls *tls, struct call_channel **ret,
                      struct sf_error **err)
{
    if (strncmp(address, "unix:", 5) != 0 && strrchr(address, ':') == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is no address; use unix:/path or host:port",
                       address);
    struct call_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL || (channel->address = strdup(address)) == NULL) {
        free(channel);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }

    pthread_mutex_init(&channel->lock, NULL);
    LIST_INIT(&channel->under_way);
    grpc_init();
    grpc_channel_credentials *credentials = make_credentials(tls);
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.max_receive_message_length",
         .value.integer = MESSAGE_MAX},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.max_metadata_size",
         .value.integer = METADATA_MAX},
        {.type = GRPC_ARG_INTEGER, .key = (char *)"grpc.enable_http_proxy", .value.integer = 0},
        /* A host that is gone without a word must not keep a call waiting for ever. */
        {.type = GRPC_ARG_INTEGER, .key = (char *)"grpc.keepalive_time_ms", .value.integer = 30000},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.keepalive_timeout_ms",
         .value.integer = 20000},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.http2.max_pings_without_data",
         .value.integer = 0},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.use_local_subchannel_pool",
         .value.integer = 1},
        {.type = GRPC_ARG_INTEGER, .key = (char *)"grpc.enable_retries", .value.integer = 0},
        {.type = GRPC_ARG_STRING,
         .key = (char *)"grpc.ssl_target_name_override",
         .value.string =
             (char *)(uintptr_t)(tls != NULL && tls->server_name != NULL ? tls->server_name : "")},
    };
    size_t n = sizeof(args) / sizeof(args[0]);
    grpc_channel_args list = {.num_args = tls != NULL && tls->server_name != NULL ? n : n - 1,
                              .args = args};
    channel->core = grpc_channel_create(address, credentials, &list);
    grpc_channel_credentials_release(credentials);
    *ret = channel;
    return true;
}

void call_channel_free(struct call_channel *channel)
{
    if (channel == NULL)
        return;
    grpc_channel_destroy(channel->core);
    grpc_shutdown();
    pthread_mutex_destroy(&channel->lock);
    free(channel->address);
    free(channel);
}

void call_channel_cancel(struct call_channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    struct call *call;
    channel->cancelled = LIST_EMPTY(&channel->under_way);
    LIST_FOREACH(call, &channel->under_way, listed)
    {
        grpc_call_cancel(call->core, NULL);
    }
    pthread_mutex_unlock(&channel->lock);
}

/* ---- What the server says of an error ---- */

static void add_fields(struct sf_error **err, const ProtobufCBinaryData *value)
{
    Google__Rpc__BadRequest *request =
        google__rpc__bad_request__unpack(NULL, value->len, value->data);
    for (size_t i = 0; request != NULL && i < request->n_field_violations; i++)
        sf_fail_detail(err, SF_DETAIL_FIELD, request->field_violations[i]->field, "%s",
                       request->field_violations[i]->description);
    if (request != NULL)
        google__rpc__bad_request__free_unpacked(request, NULL);
}

static void add_reasons(struct sf_error **err, const ProtobufCBinaryData *value)
{
    Google__Rpc__PreconditionFailure *failure =
        google__rpc__precondition_failure__unpack(NULL, value->len, value->data);
    for (size_t i = 0; failure != NULL && i < failure->n_violations; i++)
        sf_fail_detail(err, SF_DETAIL_REASON, failure->violations[i]->subject, "%s",
                       failure->violations[i]->description);
    if (failure != NULL)
        google__rpc__precondition_failure__free_unpacked(failure, NULL);
}

/* There are more than metadata has room for. */
static void add_left_out(struct sf_error **err, const ProtobufCBinaryData *value)
{
    Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(NULL, value->len, value->data);
    for (size_t i = 0; info != NULL && i < info->n_metadata; i++)
        if (strcmp(info->metadata[i]->key, "details_left_out") == 0)
            sf_fail_detail(err, SF_DETAIL_REASON, "rpc", "%s more are left out",
                           info->metadata[i]->value);
    if (info != NULL)
        google__rpc__error_info__free_unpacked(info, NULL);
}

/* The order is the server's; what is left out is told last. */
static void add_details(struct sf_error **err, const uint8_t *data, size_t size)
{
    const ProtobufCBinaryData *info = NULL;
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, size, data);

    for (size_t i = 0; status != NULL && i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        if (strcmp(any->type_url, "type.googleapis.com/google.rpc.BadRequest") == 0)
            add_fields(err, &any->value);
        else if (strcmp(any->type_url, "type.googleapis.com/google.rpc.PreconditionFailure") == 0)
            add_reasons(err, &any->value);
        else if (strcmp(any->type_url, "type.googleapis.com/google.rpc.ErrorInfo") == 0)
            info = &any->value;
    }
    if (info != NULL)
        add_left_out(err, info);
    if (status != NULL)
        google__rpc__status__free_unpacked(status, NULL);
}

/* ---- One call ---- */

static gpr_timespec deadline_in(uint32_t timeout_ms)
{
    return timeout_ms == 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                           : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                          gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

static void call_begin(struct call *call, struct call_channel *channel, const char *method,
                       uint32_t timeout_ms)
{
    *call = (struct call){.channel = channel, .words = grpc_empty_slice()};
    call->queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    grpc_slice path = grpc_slice_from_copied_string(method);
    call->core = grpc_channel_create_call(channel->core, NULL, GRPC_PROPAGATE_DEFAULTS, call->queue,
                                          path, NULL, deadline_in(timeout_ms), NULL);
    grpc_slice_unref(path);
    pthread_mutex_lock(&channel->lock);
    LIST_INSERT_HEAD(&channel->under_way, call, listed);
    if (channel->cancelled)
        grpc_call_cancel(call->core, NULL);
    channel->cancelled = false;
    pthread_mutex_unlock(&channel->lock);
}

static void call_end(struct call *call)
{
    pthread_mutex_lock(&call->channel->lock);
    LIST_REMOVE(call, listed);
    pthread_mutex_unlock(&call->channel->lock);
    grpc_call_unref(call->core);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_slice_unref(call->words);
    grpc_completion_queue_shutdown(call->queue);
    grpc_completion_queue_destroy(call->queue);
}

/* Starts a batch and waits until it is through. */
static bool do_batch(struct call *call, const grpc_op *ops, size_t n)
{
    void *tag = call;

    RELEASE(tag);
    if (grpc_call_start_batch(call->core, ops, n, tag, NULL) != GRPC_CALL_OK)
        return false;
    grpc_event event =
        grpc_completion_queue_pluck(call->queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    ACQUIRE(tag);
    return event.success != 0;
}

static grpc_byte_buffer *pack(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));

    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
                                struct sf_error **err)
{
    grpc_byte_buffer_reader reader;
    ProtobufCMessage *message = NULL;

    if (!grpc_byte_buffer_reader_init(&reader, buffer)) {
        sf_fail(err, SF_INTERNAL, "the reply cannot be read");
        return NULL;
    }
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    if (sf_wire_check(type, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice), &sf_wire_request,
                      err)) {
        message = protobuf_c_message_unpack(type, NULL, GRPC_SLICE_LENGTH(slice),
                                            GRPC_SLICE_START_PTR(slice));
        if (message == NULL)
            sf_fail(err, SF_INTERNAL, "the reply is not a %s", type->name);
    }
    grpc_slice_unref(slice);
    return message;
}

static char *copy_slice(grpc_slice slice)
{
    return sf_format("%.*s", (int)GRPC_SLICE_LENGTH(slice),
                     (const char *)GRPC_SLICE_START_PTR(slice));
}

/* True if the server's status is OK, else its error. */
static bool check_status(struct call *call, struct sf_error **err)
{
    if (call->status == GRPC_STATUS_OK)
        return true;

    SF_CLEANUP(sf_freep) char *words = copy_slice(call->words);
    bool described = false;
    enum sf_code code = (enum sf_code)call->status;
    for (size_t i = 0; i < call->trailing.count; i++)
        described |=
            grpc_slice_str_cmp(call->trailing.metadata[i].key, "grpc-status-details-bin") == 0;
    /* What has no details was not said by the daemon but by what is between. */
    if (code == SF_UNAVAILABLE && !described)
        sf_fail(err, code, "no daemon answers at '%s' (%s); see whether sandferryd runs there",
                call->channel->address, words != NULL ? words : "");
    else if (code == SF_DEADLINE_EXCEEDED && !described)
        sf_fail(err, code, "'%s' did not answer in time", call->channel->address);
    else
        sf_fail(err, code, "%s", words != NULL ? words : "out of memory");
    for (size_t i = 0; i < call->trailing.count; i++) {
        const grpc_metadata *m = &call->trailing.metadata[i];
        if (grpc_slice_str_cmp(m->key, "grpc-status-details-bin") == 0)
            add_details(err, GRPC_SLICE_START_PTR(m->value), GRPC_SLICE_LENGTH(m->value));
    }
    return false;
}

static grpc_op status_op(struct call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};

    op.data.recv_status_on_client.trailing_metadata = &call->trailing;
    op.data.recv_status_on_client.status = &call->status;
    op.data.recv_status_on_client.status_details = &call->words;
    return op;
}

/* The request, and that no more comes; the reply's metadata. */
static size_t request_ops(struct call *call, grpc_byte_buffer *request, grpc_op *ops)
{
    ops[0] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    call->room = (grpc_metadata){.key = grpc_slice_from_static_string(ROOM_KEY),
                                 .value = grpc_slice_from_static_string(ROOM)};
    ops[0].data.send_initial_metadata.metadata = &call->room;
    ops[0].data.send_initial_metadata.count = 1;
    ops[1] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[1].data.send_message.send_message = request;
    ops[2] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    ops[3] = (grpc_op){.op = GRPC_OP_RECV_INITIAL_METADATA};
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    return 4;
}

bool call_unary(struct call_channel *channel, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms,
                ProtobufCMessage **ret, struct sf_error **err)
{
    struct call call;
    grpc_op ops[6];
    grpc_byte_buffer *out = pack(request), *in = NULL;

    call_begin(&call, channel, method, timeout_ms);
    size_t n = request_ops(&call, out, ops);
    ops[n] = (grpc_op){.op = GRPC_OP_RECV_MESSAGE};
    ops[n++].data.recv_message.recv_message = &in;
    ops[n++] = status_op(&call);
    do_batch(&call, ops, n);

    ProtobufCMessage *reply = NULL;
    bool ok = check_status(&call, err);
    if (ok && in == NULL)
        ok = sf_fail(err, SF_INTERNAL, "'%s' gave no reply", channel->address);
    else if (ok)
        ok = (reply = unpack(reply_type, in, err)) != NULL;
    if (in != NULL)
        grpc_byte_buffer_destroy(in);
    grpc_byte_buffer_destroy(out);
    call_end(&call);
    if (ok)
        *ret = reply;
    return ok;
}

bool call_stream(struct call_channel *channel, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms, call_each each,
                 void *context, struct sf_error **err)
{
    struct call call;
    grpc_op ops[4];
    grpc_byte_buffer *out = pack(request);
    bool ok = true, enough = false;

    call_begin(&call, channel, method, timeout_ms);
    do_batch(&call, ops, request_ops(&call, out, ops));
    grpc_byte_buffer_destroy(out);
    while (ok && !enough) {
        grpc_byte_buffer *in = NULL;
        grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE};
        receive.data.recv_message.recv_message = &in;
        if (!do_batch(&call, &receive, 1) || in == NULL)
            break;
        ProtobufCMessage *message = unpack(reply_type, in, err);
        grpc_byte_buffer_destroy(in);
        ok = message != NULL;
        if (ok) {
            enough = !each(context, message);
            protobuf_c_message_free_unpacked(message, NULL);
        }
    }
    if (!ok || enough)
        grpc_call_cancel(call.core, NULL);
    grpc_op last = status_op(&call);
    do_batch(&call, &last, 1);
    if (ok && !enough)
        ok = check_status(&call, err);
    call_end(&call);
    return ok;
}
