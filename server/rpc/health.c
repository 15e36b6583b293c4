/* grpc.health.v1: the whole server, and each of its services. */
#include "rpc/engine.h"

#include <stdatomic.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"

extern const uint8_t health_files[];
extern const size_t health_files_size;

#define WATCHERS_MAX 16

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

static bool known(const struct rpc_server *server, const char *service)
{
    bool found = service[0] == '\0';

    for (size_t i = 0; !found && i < rpc_server_n_services(server); i++)
        found = strcmp(rpc_server_service(server, i)->descriptor->name, service) == 0;
    return found;
}

static bool check(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                  ProtobufCMessage *reply, struct sf_error **err)
{
    const Grpc__Health__V1__HealthCheckRequest *in = (const void *)request;
    Grpc__Health__V1__HealthCheckResponse *out = (void *)reply;

    (void)call;
    if (!known(context, in->service))
        return sf_fail(err, SF_NOT_FOUND, "this daemon has no service '%s'", in->service);
    out->status = rpc_server_serving(context) ? STATUS(SERVING) : STATUS(NOT_SERVING);
    return true;
}

struct ending {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended;
};

static void end(void *context)
{
    struct ending *e = context;

    pthread_mutex_lock(&e->lock);
    e->ended = true;
    pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

static void wait_for_end(struct rpc_call *call)
{
    struct ending ending = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    rpc_call_on_cancel(call, end, &ending);
    pthread_mutex_lock(&ending.lock);
    while (!ending.ended)
        pthread_cond_wait(&ending.changed, &ending.lock);
    pthread_mutex_unlock(&ending.lock);
    rpc_call_on_cancel(call, NULL, NULL);
}

/* What is watched changes once, when the server stops, and then the stream ends too. */
static bool watch_until_end(struct rpc_server *server, struct rpc_call *call, const char *service,
                            struct sf_error **err)
{
    Grpc__Health__V1__HealthCheckResponse out = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    bool is_known = known(server, service);

    out.status = is_known ? STATUS(SERVING) : STATUS(SERVICE_UNKNOWN);
    if (!rpc_call_send(call, &out.base, err))
        return false;
    wait_for_end(call);
    out.status = STATUS(NOT_SERVING);
    if (is_known && !rpc_server_serving(server) && !rpc_call_send_last(call, &out.base, err))
        return false;
    return rpc_call_fail_cancelled(call, err);
}

/* Each watcher has a worker of the long pool to itself: they must not take it all. */
static bool watch(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                  ProtobufCMessage *reply, struct sf_error **err)
{
    static atomic_uint n_watchers;
    const Grpc__Health__V1__HealthCheckRequest *in = (const void *)request;

    (void)reply;
    bool ok = atomic_fetch_add(&n_watchers, 1) < WATCHERS_MAX
                  ? watch_until_end(context, call, in->service, err)
                  : sf_fail(err, SF_RESOURCE_EXHAUSTED,
                            "%d callers watch the health already; use Check", WATCHERS_MAX);
    atomic_fetch_sub(&n_watchers, 1);
    return ok;
}

bool rpc_add_health(struct rpc_server *server, struct sf_error **err)
{
    const struct rpc_method methods[] = {
        {"Check", check, server, RPC_READER, 0},
        {"Watch", watch, server, RPC_READER, RPC_STREAM},
        {0},
    };

    return rpc_server_add_service(server, &grpc__health__v1__health__descriptor, methods,
                                  health_files, health_files_size, err);
}
