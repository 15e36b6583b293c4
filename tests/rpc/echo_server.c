/*
 * echo_server ADDRESS [CERTIFICATE KEY CLIENT-CA]: serves echo.proto until SIGTERM. Prints the port
 * of a TCP address, or "ready", when it does.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "rpc/rpc.h"

#include "echo.pb-c.h"

static const uint8_t files[] = {
#include "echo_files.inc"
};

typedef Sandferry__Test__V1__EchoRequest request_t;
typedef Sandferry__Test__V1__EchoResponse response_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool released;

static bool fail_with_details(struct sf_error **err)
{
    sf_fail(err, SF_FAILED_PRECONDITION, "it cannot be: \xc3\xa4");
    sf_fail_detail(err, SF_DETAIL_REASON, "scsi", "disk '0:1' is attaching");
    sf_fail_detail(err, SF_DETAIL_REASON, "vm", "it is Monday");
    return sf_fail_detail(err, SF_DETAIL_FIELD, "a.b[3]", "is wrong");
}

static bool fail_with_many(struct sf_error **err)
{
    sf_fail(err, SF_INVALID_ARGUMENT, "much is wrong");
    for (int i = 0; i < 900; i++)
        sf_fail_detail(err, SF_DETAIL_FIELD, "a.rather.long.path[12345]", "number %d is wrong", i);
    return false;
}

/* A file may be called anything. */
static bool fail_long(struct sf_error **err)
{
    char name[10000];

    memset(name, 'n', sizeof(name));
    memcpy(name, "\xff\xc3\xa4", 3);
    return sf_fail(err, SF_NOT_FOUND, "no '%.*s'", (int)sizeof(name), name);
}

static bool echo(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                 ProtobufCMessage *reply, struct sf_error **err)
{
    const request_t *q = (const void *)request;
    (void)context;
    (void)call;
    if (strcmp(q->text, "fail") == 0)
        return fail_with_details(err);
    if (strcmp(q->text, "fail much") == 0)
        return fail_with_many(err);
    if (strcmp(q->text, "fail long") == 0)
        return fail_long(err);
    if (strcmp(q->text, "release") == 0) {
        pthread_mutex_lock(&lock);
        released = true;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    ((response_t *)(void *)reply)->text = strdup(q->text);
    return true;
}

static bool repeat(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                   ProtobufCMessage *reply, struct sf_error **err)
{
    const request_t *q = (const void *)request;
    response_t response = SANDFERRY__TEST__V1__ECHO_RESPONSE__INIT;
    (void)context;
    (void)reply;
    response.text = q->text;
    for (uint32_t i = 0; i < q->count; i++)
        if (!rpc_call_send(call, &response.base, err))
            return false;
    return strcmp(q->text, "fail") != 0 || fail_with_details(err);
}

static void wake(void *context)
{
    (void)context;
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool hang(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                 ProtobufCMessage *reply, struct sf_error **err)
{
    (void)context;
    (void)request;
    (void)reply;
    printf("hanging %d\n", rpc_call_deadline_ns(call) != INT64_MAX);
    fflush(stdout);
    rpc_call_on_cancel(call, wake, NULL);
    pthread_mutex_lock(&lock);
    while (!rpc_call_cancelled(call))
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    rpc_call_on_cancel(call, NULL, NULL);
    rpc_call_fail_cancelled(call, err);
    printf("ended %s\n", sf_code_name(sf_error_code(*err)));
    fflush(stdout);
    return false;
}

/* Not one that waits by nature: a drain gives it its grace first. */
static bool hold(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                 ProtobufCMessage *reply, struct sf_error **err)
{
    (void)context;
    printf("holding\n");
    fflush(stdout);
    rpc_call_on_cancel(call, wake, NULL);
    pthread_mutex_lock(&lock);
    while (!released && !rpc_call_cancelled(call))
        pthread_cond_wait(&changed, &lock);
    bool ok = released;
    pthread_mutex_unlock(&lock);
    rpc_call_on_cancel(call, NULL, NULL);
    if (!ok)
        return rpc_call_fail_cancelled(call, err);
    ((response_t *)(void *)reply)->text = strdup(((const request_t *)(const void *)request)->text);
    return true;
}

/* It does not wait as the engine knows it, but looks from time to time whether it may go on. */
static bool work(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                 ProtobufCMessage *reply, struct sf_error **err)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};

    (void)context;
    printf("working\n");
    fflush(stdout);
    while (poll(&input, 1, 20) == 0 && !rpc_call_cancelled(call))
        ;
    if (rpc_call_cancelled(call))
        return rpc_call_fail_cancelled(call, err);
    ((response_t *)(void *)reply)->text = strdup(((const request_t *)(const void *)request)->text);
    return true;
}

/* clang-format off */
static const struct rpc_method methods[] = {
    { "Echo",   echo,   NULL, RPC_READER, 0          },
    { "Repeat", repeat, NULL, RPC_READER, RPC_STREAM },
    { "Hang",   hang,   NULL, RPC_READER, RPC_WAITS  },
    { "Hold",   hold,   NULL, RPC_READER, 0          },
    { "Work",   work,   NULL, RPC_READER, RPC_WAITS  },
    { 0 },
};
/* clang-format on */

static char *read_text(const char *path)
{
    static char texts[3][16384];
    static int n;
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return NULL;
    texts[n][fread(texts[n], 1, sizeof(texts[n]) - 1, in)] = '\0';
    fclose(in);
    return texts[n++];
}

static bool serve(int argc, char *argv[], const sigset_t *signals, struct sf_error **err)
{
    const struct rpc_options options = {
        .max_message_bytes = 1024 * 1024,
        .short_workers = 2,
        .max_queued = 1,
        .long_workers = 8,
        .max_connections = 100,
        .keepalive_ms = 3000,
        .handshake_ms = 3000,
    };
    struct rpc_tls tls = {0};
    int port = 0, number;

    if (argc == 5)
        tls = (struct rpc_tls){read_text(argv[2]), read_text(argv[3]), read_text(argv[4])};
    struct rpc_server *server = rpc_server_new(&options, err);
    bool ok = server != NULL &&
              rpc_server_add_service(server, &sandferry__test__v1__echo_service__descriptor,
                                     methods, files, sizeof(files), err) &&
              rpc_server_listen(server, argv[1], argc == 5 ? &tls : NULL, true, &port, err) &&
              rpc_server_start(server, err);
    if (ok) {
        printf(port > 0 ? "%d\n" : "ready\n", port);
        fflush(stdout);
        sigwait(signals, &number);
        rpc_server_drain(server, 2000);
    }
    rpc_server_free(server);
    return ok;
}

int main(int argc, char *argv[])
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    sigset_t signals;

    if (argc != 2 && argc != 5)
        return 2;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    rpc_init();
    bool ok = serve(argc, argv, &signals, &err);
    if (!ok)
        fprintf(stderr, "%s: %s\n", sf_code_name(sf_error_code(err)), sf_error_message(err));
    rpc_shutdown();
    return ok ? 0 : 1;
}
