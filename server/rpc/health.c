/* grpc.health.v1: the whole server, and each of its services. */
#include "rpc/engine.h"

#include <string.h>

#include "grpc/health/v1/health.pb-c.h"

extern const uint8_t health_files[];
extern const size_t health_files_size;

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

/* What is watched changes once, when the server stops, and then the stream ends too. */
static bool watch(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                  ProtobufCMessage *reply, struct sf_error **err)
{
    const Grpc__Health__V1__HealthCheckRequest *in = (const void *)request;
    Grpc__Health__V1__HealthCheckResponse out = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct ending ending = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    (void)reply;
    out.status = known(context, in->service) ? STATUS(SERVING) : STATUS(SERVICE_UNKNOWN);
    if (!rpc_call_send(call, &out.base, err))
        return false;
    rpc_call_on_cancel(call, end, &ending);
    pthread_mutex_lock(&ending.lock);
    while (!ending.ended)
        pthread_cond_wait(&ending.changed, &ending.lock);
    pthread_mutex_unlock(&ending.lock);
    rpc_call_on_cancel(call, NULL, NULL);
    return rpc_call_fail_cancelled(call, err);
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
