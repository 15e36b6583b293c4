/* The server: services, ports, pools; start and drain. */
#include "rpc/engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/log.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define EXPECTED_CALLS 32 /* how many the core may hand over before it waits for us */
#define MAX_MESSAGE    (16 * 1024 * 1024)

struct rpc_server {
    struct rpc_options options;
    grpc_server *core;
    struct rpc_queue *queue;
    struct rpc_pool *short_pool, *long_pool;
    struct rpc_acceptor *acceptor;
    struct rpc_relay *relay; /* NULL: no TLS */
    struct rpc_service_entry *services;
    size_t n_services;
    struct rpc_method_entry *methods;
    size_t n_methods;
    struct rpc_op on_shutdown;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rpc_call_list calls; /* under way */
    size_t n_calls;
    bool started, draining, drained, shut_down;
};

grpc_server *rpc_server_core(struct rpc_server *server)
{
    return server->core;
}

struct rpc_queue *rpc_server_queue(struct rpc_server *server)
{
    return server->queue;
}

const struct rpc_options *rpc_server_options(const struct rpc_server *server)
{
    return &server->options;
}

size_t rpc_server_n_services(const struct rpc_server *server)
{
    return server->n_services;
}

const struct rpc_service_entry *rpc_server_service(const struct rpc_server *server, size_t i)
{
    return &server->services[i];
}

bool rpc_server_serving(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool serving = !server->draining;
    pthread_mutex_unlock(&server->lock);
    return serving;
}

/* ---- The process ---- */

static void core_log(gpr_log_func_args *args)
{
    sf_log(args->severity == GPR_LOG_SEVERITY_ERROR ? SF_LOG_WARNING : SF_LOG_DEBUG,
           "grpc: %s, continuing", args->message);
}

void rpc_init(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    gpr_set_log_function(core_log);
    grpc_init();
}

void rpc_shutdown(void)
{
    grpc_shutdown();
}

/* ---- Services ---- */

static const struct rpc_method *find_row(const struct rpc_method *methods, const char *name)
{
    for (; methods->name != NULL; methods++)
        if (strcmp(methods->name, name) == 0)
            return methods;
    return NULL;
}

bool rpc_methods_check(const ProtobufCServiceDescriptor *descriptor,
                       const struct rpc_method *methods, struct sf_error **err)
{
    size_t rows = 0;

    for (unsigned i = 0; i < descriptor->n_methods; i++)
        if (find_row(methods, descriptor->methods[i].name) == NULL)
            return sf_fail(err, SF_INTERNAL, "service '%s': nobody serves its method '%s'",
                           descriptor->name, descriptor->methods[i].name);
    while (methods[rows].name != NULL)
        rows++;
    if (rows != descriptor->n_methods)
        return sf_fail(err, SF_INTERNAL, "service '%s' has %u methods, its table %zu rows",
                       descriptor->name, descriptor->n_methods, rows);
    return true;
}

const struct rpc_method_entry *rpc_server_find(struct rpc_server *server, grpc_slice path)
{
    for (size_t i = 0; i < server->n_methods; i++)
        if (grpc_slice_str_cmp(path, server->methods[i].path) == 0)
            return &server->methods[i];
    return NULL;
}

static bool add_method(struct rpc_server *server, const ProtobufCServiceDescriptor *descriptor,
                       const ProtobufCMethodDescriptor *type, const struct rpc_method *row)
{
    struct rpc_method_entry *grown =
        realloc(server->methods, (server->n_methods + 1) * sizeof(*grown));
    if (grown == NULL)
        return false;
    server->methods = grown;
    grown[server->n_methods] = (struct rpc_method_entry){
        .path = sf_format("/%s/%s", descriptor->name, type->name),
        .method = *row,
        .input = type->input,
        .output = type->output,
    };
    return grown[server->n_methods++].path != NULL;
}

bool rpc_server_add_service(struct rpc_server *server, const ProtobufCServiceDescriptor *descriptor,
                            const struct rpc_method *methods, const uint8_t *files,
                            size_t files_size, struct sf_error **err)
{
    if (!rpc_methods_check(descriptor, methods, err))
        return false;
    for (size_t i = 0; i < server->n_services; i++)
        if (strcmp(server->services[i].descriptor->name, descriptor->name) == 0)
            return sf_fail(err, SF_ALREADY_EXISTS, "service '%s' is there already",
                           descriptor->name);

    struct rpc_service_entry *grown =
        realloc(server->services, (server->n_services + 1) * sizeof(*grown));
    bool ok = grown != NULL;
    if (ok) {
        server->services = grown;
        grown[server->n_services++] = (struct rpc_service_entry){
            .descriptor = descriptor, .files = files, .files_size = files_size};
    }
    for (unsigned i = 0; ok && i < descriptor->n_methods; i++)
        ok = add_method(server, descriptor, &descriptor->methods[i],
                        find_row(methods, descriptor->methods[i].name));
    return ok ? true : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

/* ---- Ports ---- */

static void take_connection(void *context, int fd, bool tls)
{
    struct rpc_server *server = context;
    if (tls) { /* it comes back, from the relay, as a plain one */
        rpc_relay_add(server->relay, fd);
        return;
    }

    pthread_mutex_lock(&server->lock);
    if (server->draining) { /* the core would keep it, and nobody would end it */
        close(fd);
    } else {
        grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
        grpc_server_add_channel_from_fd(server->core, fd, plain);
        grpc_server_credentials_release(plain);
    }
    pthread_mutex_unlock(&server->lock);
}

bool rpc_server_listen(struct rpc_server *server, const char *address, const struct rpc_tls *tls,
                       bool insecure, int *ret_port, struct sf_error **err)
{
    if (strncmp(address, "unix:", 5) == 0)
        return rpc_acceptor_listen(server->acceptor, address + 5, err);
    if (tls == NULL && !insecure)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s': TCP needs a certificate, its key and a CA for clients; give all "
                       "three, or use a unix socket",
                       address);
    if (tls != NULL && server->relay == NULL) {
        server->relay = rpc_relay_new(tls, &server->options, take_connection, server, err);
        if (server->relay == NULL)
            return false;
    }
    return rpc_acceptor_listen_tcp(server->acceptor, address, tls != NULL, ret_port, err);
}

/* ---- Begin ---- */

static grpc_arg number(const char *key, size_t value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = (int)value};
}

static grpc_server *new_core(const struct rpc_options *o)
{
    grpc_resource_quota *quota = grpc_resource_quota_create("sandferry");
    grpc_resource_quota_resize(quota, o->max_message_bytes * 8);
    grpc_arg args[] = {
        number("grpc.so_reuseport", 0),
        number("grpc.max_concurrent_streams", 256),
        number("grpc.max_receive_message_length", o->max_message_bytes),
        number("grpc.max_metadata_size", 65536),
        /* Identity only: a compressed message is unpacked before its size is looked at. */
        number("grpc.compression_enabled_algorithms_bitset", 1),
        /* Of idle connections too: who connects and says nothing is not there for long. */
        number("grpc.keepalive_time_ms", o->keepalive_ms),
        number("grpc.keepalive_timeout_ms", o->keepalive_ms < 10000 ? o->keepalive_ms : 10000),
        number("grpc.keepalive_permit_without_calls", 1),
        number("grpc.http2.max_pings_without_data", 0),
        number("grpc.http2.min_ping_interval_without_data_ms", 10000),
        {.type = GRPC_ARG_POINTER,
         .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {.p = quota, .vtable = grpc_resource_quota_arg_vtable()}},
    };
    grpc_channel_args list = {.num_args = sizeof(args) / sizeof(args[0]), .args = args};
    grpc_server *core = grpc_server_create(&list, NULL);
    grpc_resource_quota_unref(quota);
    return core;
}

static void fill_defaults(struct rpc_options *o, const struct rpc_options *given)
{
    if (given != NULL)
        *o = *given;
    o->max_message_bytes = o->max_message_bytes > 0 ? o->max_message_bytes : MAX_MESSAGE;
    o->short_workers = o->short_workers > 0 ? o->short_workers : 4;
    o->long_workers = o->long_workers > 0 ? o->long_workers : 64;
    o->max_queued = o->max_queued > 0 ? o->max_queued : 256;
    o->max_connections = o->max_connections > 0 ? o->max_connections : 1024;
    o->handshake_ms = o->handshake_ms > 0 ? o->handshake_ms : 10000;
    o->keepalive_ms = o->keepalive_ms > 0 ? o->keepalive_ms : 30000;
}

struct rpc_server *rpc_server_new(const struct rpc_options *options, struct sf_error **err)
{
    struct rpc_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }
    fill_defaults(&server->options, options);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    LIST_INIT(&server->calls);
    server->core = new_core(&server->options);
    server->queue = rpc_queue_new();
    server->acceptor = rpc_acceptor_new(server->options.max_connections, take_connection, server);
    if (server->queue == NULL || server->acceptor == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        rpc_server_free(server);
        return NULL;
    }
    grpc_server_register_completion_queue(server->core, rpc_queue_core(server->queue), NULL);
    if (rpc_add_health(server, err) && rpc_add_reflection(server, err))
        return server;
    rpc_server_free(server);
    return NULL;
}

bool rpc_server_start(struct rpc_server *server, struct sf_error **err)
{
    server->short_pool =
        rpc_pool_new(server->options.short_workers, server->options.max_queued, rpc_call_run);
    server->long_pool = rpc_pool_new(server->options.long_workers, 0, rpc_call_run);
    if (server->short_pool == NULL || server->long_pool == NULL || !rpc_queue_start(server->queue))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no threads for the server");
    grpc_server_start(server->core);
    server->started = true;
    for (int i = 0; i < EXPECTED_CALLS; i++)
        rpc_call_expect(server);
    return (server->relay == NULL || rpc_relay_start(server->relay, err)) &&
           rpc_acceptor_start(server->acceptor, err);
}

/* ---- Calls ---- */

bool rpc_server_enter(struct rpc_server *server, struct rpc_call *call)
{
    pthread_mutex_lock(&server->lock);
    LIST_INSERT_HEAD(&server->calls, call, listed);
    server->n_calls++;
    bool serving = !server->draining;
    pthread_mutex_unlock(&server->lock);
    return serving;
}

void rpc_server_leave(struct rpc_server *server, struct rpc_call *call)
{
    pthread_mutex_lock(&server->lock);
    LIST_REMOVE(call, listed);
    server->n_calls--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

bool rpc_server_dispatch(struct rpc_server *server, struct rpc_call *call)
{
    bool takes_long = (call->method->method.flags & (RPC_STREAM | RPC_WAITS | RPC_BIDI)) != 0;

    return rpc_pool_add(takes_long ? server->long_pool : server->short_pool, call);
}

/* ---- End ---- */

static void on_shutdown(struct rpc_op *op, bool ok)
{
    struct rpc_server *server = (void *)((char *)op - offsetof(struct rpc_server, on_shutdown));

    (void)ok;
    pthread_mutex_lock(&server->lock);
    server->shut_down = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* The lock is held: a call that ends waits in rpc_server_leave(), so the list stays as it is. */
static void cancel_calls(struct rpc_server *server)
{
    struct rpc_call *call;

    for (call = LIST_FIRST(&server->calls); call != NULL; call = LIST_NEXT(call, listed))
        rpc_call_cancel(call, true);
}

/* Streams and what waits for something would only use up the grace; what works may finish. */
static void end_waits(struct rpc_server *server)
{
    struct rpc_call *call;

    for (call = LIST_FIRST(&server->calls); call != NULL; call = LIST_NEXT(call, listed)) {
        unsigned flags = call->method != NULL ? call->method->method.flags : 0;
        if ((flags & (RPC_STREAM | RPC_BIDI)) != 0)
            rpc_call_cancel(call, true);
        else if ((flags & RPC_WAITS) != 0)
            rpc_call_end_wait(call);
    }
}

static void wait_calls(struct rpc_server *server, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / SF_NS_PER_S, .tv_nsec = until_ns % SF_NS_PER_S};

    while (server->n_calls > 0 && sf_clock_monotonic_ns() < until_ns)
        pthread_cond_timedwait(&server->changed, &server->lock, &until);
}

void rpc_server_drain(struct rpc_server *server, uint32_t grace_ms)
{
    if (!server->started || server->drained)
        return;
    int64_t until_ns = sf_clock_monotonic_ns() + grace_ms * SF_NS_PER_MS;

    pthread_mutex_lock(&server->lock);
    server->draining = true;
    pthread_mutex_unlock(&server->lock);
    rpc_acceptor_free(server->acceptor);
    server->acceptor = NULL;

    server->on_shutdown.done = on_shutdown;
    rpc_op_begins(&server->on_shutdown);
    grpc_server_shutdown_and_notify(server->core, rpc_queue_core(server->queue),
                                    &server->on_shutdown);
    pthread_mutex_lock(&server->lock);
    end_waits(server);
    wait_calls(server, until_ns);
    cancel_calls(server);
    pthread_mutex_unlock(&server->lock);
    grpc_server_cancel_all_calls(server->core);

    pthread_mutex_lock(&server->lock);
    while (!server->shut_down || server->n_calls > 0)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    server->drained = true;
}

void rpc_server_free(struct rpc_server *server)
{
    if (server == NULL)
        return;
    rpc_server_drain(server, 0);
    rpc_acceptor_free(server->acceptor);
    rpc_relay_free(server->relay);
    rpc_pool_free(server->short_pool);
    rpc_pool_free(server->long_pool);
    if (!server->started) { /* the core wants to be shut down all the same */
        rpc_op_begins(&server->on_shutdown);
        server->on_shutdown.done = on_shutdown;
        grpc_server_shutdown_and_notify(server->core, rpc_queue_core(server->queue),
                                        &server->on_shutdown);
    }
    rpc_queue_free(server->queue);
    grpc_server_destroy(server->core);
    for (size_t i = 0; i < server->n_methods; i++)
        free(server->methods[i].path);
    free(server->methods);
    free(server->services);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
