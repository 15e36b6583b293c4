/* The life of one call: it comes, its message comes, a worker runs its handler, its status goes. */
#include "rpc/engine.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>

#include "base/clock.h"
#include "snapshot/wire.h"

#define FROM_OP(op, member)                                                                        \
    ((struct rpc_call *)(void *)((char *)(op)-offsetof(struct rpc_call, member)))

/* The caller's deadline is a little before ours, by the time that its request was on its way; what
 * we see then is that it cancels. */
#define DEADLINE_NEAR_NS (50 * SF_NS_PER_MS)

static void call_unref(struct rpc_call *call)
{
    if (atomic_fetch_sub(&call->refs, 1) != 1)
        return;
    if (call->incoming != NULL)
        grpc_byte_buffer_destroy(call->incoming);
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    if (call->core != NULL)
        grpc_call_unref(call->core);
    pthread_cond_destroy(&call->changed);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static bool start(struct rpc_call *call, const grpc_op *ops, size_t n, struct rpc_op *op)
{
    atomic_fetch_add(&call->refs, 1);
    rpc_op_begins(op);
    if (grpc_call_start_batch(call->core, ops, n, op, NULL) == GRPC_CALL_OK)
        return true;
    atomic_fetch_sub(&call->refs, 1);
    return false;
}

/* ---- Cancellation ---- */

void rpc_call_cancel(struct rpc_call *call, bool draining)
{
    pthread_mutex_lock(&call->lock);
    bool first = !call->cancelled;
    call->cancelled = true;
    call->draining |= first && draining;
    void (*fn)(void *) = first ? call->cancel_fn : NULL;
    void *context = call->cancel_context;
    if (fn != NULL) /* else another thread may be in it still */
        call->cancel_running = true;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
    if (fn == NULL)
        return;
    fn(context);
    pthread_mutex_lock(&call->lock);
    call->cancel_running = false;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
}

void rpc_call_end_wait(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    call->ending = true;
    bool waits = call->cancel_fn != NULL;
    pthread_mutex_unlock(&call->lock);
    if (waits)
        rpc_call_cancel(call, true);
}

void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(void *context), void *context)
{
    pthread_mutex_lock(&call->lock);
    while (call->cancel_running)
        pthread_cond_wait(&call->changed, &call->lock);
    if (fn != NULL && call->ending && !call->cancelled)
        call->cancelled = call->draining = true;
    bool now = fn != NULL && call->cancelled;
    call->cancel_fn = now ? NULL : fn;
    call->cancel_context = context;
    pthread_mutex_unlock(&call->lock);
    if (now)
        fn(context);
}

bool rpc_call_cancelled(const struct rpc_call *call)
{
    struct rpc_call *c = (struct rpc_call *)(uintptr_t)call;

    pthread_mutex_lock(&c->lock);
    bool cancelled = c->cancelled;
    pthread_mutex_unlock(&c->lock);
    return cancelled || sf_clock_monotonic_ns() >= call->deadline_ns;
}

int64_t rpc_call_deadline_ns(const struct rpc_call *call)
{
    return call->deadline_ns;
}

const char *rpc_call_method(const struct rpc_call *call)
{
    return call->method->path;
}

bool rpc_call_fail_cancelled(const struct rpc_call *call, struct sf_error **err)
{
    struct rpc_call *c = (struct rpc_call *)(uintptr_t)call;

    pthread_mutex_lock(&c->lock);
    bool draining = c->draining;
    pthread_mutex_unlock(&c->lock);
    if (draining)
        return sf_fail(err, SF_UNAVAILABLE, "the daemon is stopping; try again when it is back");
    if (sf_clock_monotonic_ns() >= call->deadline_ns - DEADLINE_NEAR_NS)
        return sf_fail(err, SF_DEADLINE_EXCEEDED, "the caller's deadline has passed");
    return sf_fail(err, SF_CANCELLED, "the caller has cancelled the call");
}

/* ---- Messages ---- */

static grpc_byte_buffer *pack(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    grpc_slice slice = grpc_slice_malloc(size);

    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static bool unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
                   ProtobufCMessage **ret, struct sf_error **err)
{
    grpc_byte_buffer_reader reader;

    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return sf_fail(err, SF_INVALID_ARGUMENT, "the message cannot be read");
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);

    const uint8_t *data = GRPC_SLICE_START_PTR(slice);
    size_t size = GRPC_SLICE_LENGTH(slice);
    bool ok = sf_wire_check(type, data, size, &sf_wire_request, err);
    *ret = ok ? protobuf_c_message_unpack(type, NULL, size, data) : NULL;
    grpc_slice_unref(slice);
    if (ok && *ret == NULL)
        ok = sf_fail(err, SF_INVALID_ARGUMENT, "the message is not a %s", type->name);
    return ok;
}

/* False: it did not work, or could not be begun. */
static bool start_and_wait(struct rpc_call *call, const grpc_op *ops, size_t n, struct rpc_op *op)
{
    pthread_mutex_lock(&call->lock);
    call->waiting = true;
    pthread_mutex_unlock(&call->lock);
    bool begun = start(call, ops, n, op);

    pthread_mutex_lock(&call->lock);
    while (begun && call->waiting)
        pthread_cond_wait(&call->changed, &call->lock);
    bool ok = begun && call->wait_ok;
    pthread_mutex_unlock(&call->lock);
    return ok;
}

static void waited(struct rpc_call *call, bool ok)
{
    pthread_mutex_lock(&call->lock);
    call->waiting = false;
    call->wait_ok = ok;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
    call_unref(call);
}

static void on_sent(struct rpc_op *op, bool ok)
{
    waited(FROM_OP(op, on_sent), ok);
}

bool rpc_call_send_last(struct rpc_call *call, const ProtobufCMessage *message,
                        struct sf_error **err)
{
    grpc_op ops[2] = {{0}};
    size_t n = 0;

    if (!call->headers_sent)
        ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    grpc_byte_buffer *buffer = pack(message);
    ops[n].op = GRPC_OP_SEND_MESSAGE;
    ops[n++].data.send_message.send_message = buffer;
    bool ok = start_and_wait(call, ops, n, &call->on_sent);
    grpc_byte_buffer_destroy(buffer);
    call->headers_sent = true;
    if (ok)
        return true;
    return rpc_call_cancelled(call) ? rpc_call_fail_cancelled(call, err)
                                    : sf_fail(err, SF_CANCELLED, "the caller is gone");
}

bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, struct sf_error **err)
{
    if (rpc_call_cancelled(call))
        return rpc_call_fail_cancelled(call, err);
    return rpc_call_send_last(call, message, err);
}

static void on_more(struct rpc_op *op, bool ok)
{
    waited(FROM_OP(op, on_message), ok);
}

bool rpc_call_receive(struct rpc_call *call, ProtobufCMessage **ret, struct sf_error **err)
{
    grpc_op ops[1] = {{.op = GRPC_OP_RECV_MESSAGE}};

    *ret = NULL;
    if (call->incoming == NULL) {
        ops[0].data.recv_message.recv_message = &call->incoming;
        call->on_message.done = on_more;
        if (!start_and_wait(call, ops, 1, &call->on_message))
            return rpc_call_fail_cancelled(call, err);
    }
    if (call->incoming == NULL)
        return true; /* the caller has said all */
    bool ok = unpack(call->method->input, call->incoming, ret, err);
    grpc_byte_buffer_destroy(call->incoming);
    call->incoming = NULL;
    return ok;
}

/* ---- The end ---- */

/* A drain that saw no call too early would cancel what is on its way out. */
static void part_over(struct rpc_call *call)
{
    if (atomic_fetch_sub(&call->under_way, 1) == 1)
        rpc_server_leave(call->server, call);
}

static void on_done(struct rpc_op *op, bool ok)
{
    struct rpc_call *call = FROM_OP(op, on_done);

    (void)ok;
    part_over(call);
    call_unref(call);
}

/* How much metadata the caller takes, if it says so. */
static size_t details_room(const struct rpc_call *call)
{
    for (size_t i = 0; i < call->metadata.count; i++) {
        const grpc_metadata *m = &call->metadata.metadata[i];
        size_t room = 0;
        if (grpc_slice_str_cmp(m->key, RPC_ROOM_KEY) != 0)
            continue;
        const uint8_t *digits = GRPC_SLICE_START_PTR(m->value);
        for (size_t k = 0; k < GRPC_SLICE_LENGTH(m->value) && k < 8; k++)
            room = digits[k] >= '0' && digits[k] <= '9' ? room * 10 + digits[k] - '0' : 0;
        return room < RPC_DETAILS_ROOM_MAX ? room : RPC_DETAILS_ROOM_MAX;
    }
    return RPC_DETAILS_ROOM;
}

/* Sends what is left to send. @reply may be NULL. */
static void finish(struct rpc_call *call, const ProtobufCMessage *reply, const struct sf_error *err)
{
    grpc_op ops[3] = {{0}};
    size_t n = 0;
    grpc_metadata details = {0};
    grpc_slice message = grpc_empty_slice();
    grpc_byte_buffer *buffer = err == NULL && reply != NULL ? pack(reply) : NULL;
    bool has_details =
        err != NULL && rpc_status_make(err, details_room(call), &message, &details.value);

    if (!call->headers_sent)
        ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (buffer != NULL) {
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n++].data.send_message.send_message = buffer;
    }
    details.key = grpc_slice_from_static_string("grpc-status-details-bin");
    ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[n].data.send_status_from_server.status =
        err != NULL ? (grpc_status_code)sf_error_code(err) : GRPC_STATUS_OK;
    ops[n].data.send_status_from_server.status_details = &message;
    ops[n].data.send_status_from_server.trailing_metadata = &details;
    ops[n++].data.send_status_from_server.trailing_metadata_count = has_details ? 1 : 0;
    call->on_done.done = on_done;
    atomic_fetch_add(&call->under_way, 1);
    if (!start(call, ops, n, &call->on_done))
        part_over(call);
    if (buffer != NULL)
        grpc_byte_buffer_destroy(buffer);
    if (has_details)
        grpc_slice_unref(details.value);
    grpc_slice_unref(message);
}

/* Gives up the reference that carried the call from its arrival to its answer. */
static void leave(struct rpc_call *call)
{
    part_over(call);
    call_unref(call);
}

static void refuse(struct rpc_call *call, enum sf_code code, const char *text)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    sf_fail(&err, code, "%s", text);
    finish(call, NULL, err);
    leave(call);
}

static bool run_handler(struct rpc_call *call, const ProtobufCMessage *request,
                        ProtobufCMessage *reply, struct sf_error **err)
{
    const struct rpc_method *method = &call->method->method;

    if (rpc_call_cancelled(call))
        return rpc_call_fail_cancelled(call, err);
    bool ok = method->run(method->context, call, request, reply, err);
    rpc_call_on_cancel(call, NULL, NULL);
    return ok;
}

void rpc_call_run(struct rpc_call *call)
{
    const struct rpc_method_entry *method = call->method;
    const struct rpc_options *options = rpc_server_options(call->server);
    bool streams = (method->method.flags & (RPC_STREAM | RPC_BIDI)) != 0;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    ProtobufCMessage *request = NULL, *reply = NULL;
    int64_t begin = sf_clock_monotonic_ns();

    bool ok = (method->method.flags & RPC_BIDI) != 0 || rpc_call_receive(call, &request, &err);
    if (ok && !streams) {
        reply = calloc(1, method->output->sizeof_message);
        if (reply != NULL)
            protobuf_c_message_init(method->output, reply);
        else
            ok = sf_fail(&err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
    }
    ok = ok && run_handler(call, request, reply, &err);
    finish(call, reply, ok ? NULL : err);
    if (options->done != NULL && request != NULL)
        options->done(method->path, request, err, sf_clock_monotonic_ns() - begin);
    if (request != NULL)
        protobuf_c_message_free_unpacked(request, NULL);
    if (reply != NULL)
        protobuf_c_message_free_unpacked(reply, NULL);
    leave(call);
}

/* ---- The beginning ---- */

static void on_close(struct rpc_op *op, bool ok)
{
    struct rpc_call *call = FROM_OP(op, on_close);

    (void)ok;
    if (call->core_cancelled)
        rpc_call_cancel(call, false);
    call_unref(call);
}

static void on_message(struct rpc_op *op, bool ok)
{
    struct rpc_call *call = FROM_OP(op, on_message);

    if (!ok)
        refuse(call, SF_CANCELLED, "the caller is gone");
    else if (call->incoming == NULL)
        refuse(call, SF_INVALID_ARGUMENT, "the call has no message");
    else if (!rpc_server_dispatch(call->server, call))
        refuse(call, SF_RESOURCE_EXHAUSTED,
               "the daemon has as many calls under way as it takes; try again later");
    call_unref(call);
}

static void accept_call(struct rpc_call *call)
{
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    grpc_op message = {.op = GRPC_OP_RECV_MESSAGE};

    gpr_timespec deadline = gpr_convert_clock_type(call->details.deadline, GPR_CLOCK_MONOTONIC);
    call->deadline_ns = deadline.tv_sec > INT64_MAX / SF_NS_PER_S - 1
                            ? INT64_MAX
                            : deadline.tv_sec * SF_NS_PER_S + deadline.tv_nsec;
    close.data.recv_close_on_server.cancelled = &call->core_cancelled;
    call->on_close.done = on_close;
    start(call, &close, 1, &call->on_close);

    call->method = rpc_server_find(call->server, call->details.method);
    bool serving = rpc_server_enter(call->server, call);
    if (call->method == NULL) {
        refuse(call, SF_UNIMPLEMENTED, "this daemon has no such method");
    } else if (!serving) {
        refuse(call, SF_UNAVAILABLE, "the daemon is stopping; try again when it is back");
    } else {
        message.data.recv_message.recv_message = &call->incoming;
        call->on_message.done = on_message;
        if (!start(call, &message, 1, &call->on_message))
            refuse(call, SF_INTERNAL, "the message cannot be read");
    }
}

static void on_new(struct rpc_op *op, bool ok)
{
    struct rpc_call *call = FROM_OP(op, on_new);

    if (!ok) { /* the server is shutting down */
        call_unref(call);
        return;
    }
    rpc_call_expect(call->server);
    accept_call(call);
}

void rpc_call_expect(struct rpc_server *server)
{
    struct rpc_call *call = calloc(1, sizeof(*call));
    if (call == NULL)
        return; /* one fewer is expected: the others still are */

    call->server = server;
    atomic_init(&call->refs, 1);
    atomic_init(&call->under_way, 1);
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->changed, NULL);
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    call->on_new.done = on_new;
    call->on_sent.done = on_sent;
    rpc_op_begins(&call->on_new);
    grpc_completion_queue *queue = rpc_queue_core(rpc_server_queue(server));
    if (grpc_server_request_call(rpc_server_core(server), &call->core, &call->details,
                                 &call->metadata, queue, queue, &call->on_new) != GRPC_CALL_OK)
        call_unref(call);
}
