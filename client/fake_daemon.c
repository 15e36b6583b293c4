#include "fake_daemon.h"

#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/text.h"
#include "rpc/rpc.h"
#include "sandferry/v1/container.pb-c.h"
#include "sandferry/v1/device.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/network.pb-c.h"
#include "sandferry/v1/process.pb-c.h"
#include "sandferry/v1/sandbox.pb-c.h"
#include "sandferry/v1/share.pb-c.h"
#include "snapshot/json.h"

#define ANSWERS_MAX 16

extern const uint8_t fake_files[];
extern const size_t fake_files_size;

struct fake {
    struct rpc_server *server;
    char directory[64], address[96];

    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct sf_bytes answers[ANSWERS_MAX];
    size_t n_answers, given;
    struct sf_error *error; /* the next call's; NULL: it succeeds */
    bool hang;
    char method[64], *request;
    char seen_method[64], *seen_request;
    unsigned n_calls;
};

/* ---- answering ---- */

static void note(struct fake *f, struct rpc_call *call, const ProtobufCMessage *request)
{
    json_t *json = sf_message_to_json(request);
    free(f->request);
    f->request = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    snprintf(f->method, sizeof(f->method), "%s", strrchr(rpc_call_method(call), '/') + 1);
    f->n_calls++;
    pthread_cond_broadcast(&f->cond);
}

/* One call that hangs; of its own, for the next may begin before this one's caller is known to be
 * gone. */
struct hanging {
    struct fake *fake;
    bool cancelled;
};

static void on_cancel(void *context)
{
    struct hanging *h = context;
    pthread_mutex_lock(&h->fake->mutex);
    h->cancelled = true;
    pthread_cond_broadcast(&h->fake->cond);
    pthread_mutex_unlock(&h->fake->mutex);
}

static bool hang(struct fake *f, struct rpc_call *call, struct sf_error **err)
{
    struct hanging h = {.fake = f};
    rpc_call_on_cancel(call, on_cancel, &h);
    pthread_mutex_lock(&f->mutex);
    while (!h.cancelled)
        pthread_cond_wait(&f->cond, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
    rpc_call_on_cancel(call, NULL, NULL);
    return rpc_call_fail_cancelled(call, err);
}

/* The next answer, as a message of that type; NULL: there is none. */
static ProtobufCMessage *next_answer(struct fake *f, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = NULL;
    pthread_mutex_lock(&f->mutex);
    if (f->given < f->n_answers) {
        const struct sf_bytes *b = &f->answers[f->given++];
        m = protobuf_c_message_unpack(type, NULL, b->size, b->data);
    }
    pthread_mutex_unlock(&f->mutex);
    return m;
}

static bool send_all(struct fake *f, struct rpc_call *call, struct sf_error **err)
{
    const char *method = rpc_call_method(call);
    const ProtobufCMessageDescriptor *type = &sandferry__v1__read_output_response__descriptor;
    if (strstr(method, "WatchEvents") != NULL)
        type = &sandferry__v1__watch_events_response__descriptor;
    else if (strstr(method, "AttachProcess") != NULL)
        type = &sandferry__v1__attach_process_response__descriptor;
    ProtobufCMessage *m;
    bool ok = true;
    while (ok && (m = next_answer(f, type)) != NULL) {
        ok = rpc_call_send(call, m, err);
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return ok;
}

static void fill(struct fake *f, ProtobufCMessage *reply)
{
    ProtobufCMessage *m = next_answer(f, reply->descriptor);
    if (m != NULL)
        memcpy(reply, m, reply->descriptor->sizeof_message);
    free(m);
}

static bool handle(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                   ProtobufCMessage *reply, struct sf_error **err)
{
    struct fake *f = context;
    pthread_mutex_lock(&f->mutex);
    note(f, call, request);
    bool hangs = f->hang;
    struct sf_error *error = hangs ? NULL : SF_STEAL(f->error);
    f->hang = false;
    pthread_mutex_unlock(&f->mutex);

    if (hangs)
        return hang(f, call, err);
    if (reply == NULL && !send_all(f, call, err)) {
        sf_error_free(error);
        return false;
    }
    if (error != NULL) {
        *err = error;
        return false;
    }
    if (reply != NULL)
        fill(f, reply);
    return true;
}

/* ---- starting and stopping ---- */

static void add_service(struct fake *f, const ProtobufCServiceDescriptor *service)
{
    struct rpc_method rows[16] = {0};
    struct sf_error *err = NULL;
    for (unsigned i = 0; i < service->n_methods; i++) {
        const char *name = service->methods[i].name;
        bool stream = strcmp(name, "WatchEvents") == 0 || strcmp(name, "ReadOutput") == 0 ||
                      strcmp(name, "AttachProcess") == 0;
        rows[i] = (struct rpc_method){name, handle, f, RPC_OPERATOR,
                                      RPC_WAITS | (stream ? RPC_STREAM : 0u)};
    }
    ck_assert_msg(
        rpc_server_add_service(f->server, service, rows, fake_files, fake_files_size, &err), "%s",
        err != NULL ? sf_error_message(err) : "?");
}

struct fake *fake_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct fake *f = calloc(1, sizeof(*f));
    struct sf_error *err = NULL;

    pthread_once(&once, rpc_init);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->cond, NULL);
    strcpy(f->directory, "/tmp/sandferry-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
    snprintf(f->address, sizeof(f->address), "unix:%s/sock", f->directory);
    f->server = rpc_server_new(NULL, &err);
    ck_assert_ptr_nonnull(f->server);
    add_service(f, &sandferry__v1__sandbox_service__descriptor);
    add_service(f, &sandferry__v1__disk_service__descriptor);
    add_service(f, &sandferry__v1__pod_service__descriptor);
    add_service(f, &sandferry__v1__share_service__descriptor);
    add_service(f, &sandferry__v1__device_service__descriptor);
    add_service(f, &sandferry__v1__container_service__descriptor);
    add_service(f, &sandferry__v1__network_service__descriptor);
    add_service(f, &sandferry__v1__process_service__descriptor);
    ck_assert_msg(rpc_server_listen(f->server, f->address, NULL, false, NULL, &err) &&
                      rpc_server_start(f->server, &err),
                  "%s", err != NULL ? sf_error_message(err) : "?");
    return f;
}

static void forget_answers(struct fake *f)
{
    for (size_t i = 0; i < f->n_answers; i++)
        sf_bytes_done(&f->answers[i]);
    f->n_answers = f->given = 0;
}

void fake_stop(struct fake *f)
{
    rpc_server_free(f->server);
    forget_answers(f);
    SF_CLEANUP(sf_freep) char *command = sf_format("rm -r '%s'", f->directory);
    ck_assert_int_eq(system(command), 0);
    sf_error_free(f->error);
    free(f->request);
    free(f->seen_request);
    free(f);
}

const char *fake_address(const struct fake *f)
{
    return f->address;
}

const char *fake_directory(const struct fake *f)
{
    return f->directory;
}

/* ---- what is to happen ---- */

void fake_answer(struct fake *f, const ProtobufCMessage *message)
{
    pthread_mutex_lock(&f->mutex);
    if (f->given == f->n_answers)
        forget_answers(f);
    ck_assert_uint_lt(f->n_answers, ANSWERS_MAX);
    struct sf_bytes *b = &f->answers[f->n_answers++];
    b->size = protobuf_c_message_get_packed_size(message);
    b->data = malloc(b->size + 1);
    protobuf_c_message_pack(message, b->data);
    pthread_mutex_unlock(&f->mutex);
}

void fake_fail(struct fake *f, enum sf_code code, const char *message)
{
    pthread_mutex_lock(&f->mutex);
    sf_error_free(f->error);
    f->error = NULL;
    sf_fail(&f->error, code, "%s", message);
    pthread_mutex_unlock(&f->mutex);
}

void fake_fail_detail(struct fake *f, enum sf_detail_kind kind, const char *subject,
                      const char *text)
{
    pthread_mutex_lock(&f->mutex);
    sf_fail_detail(&f->error, kind, subject, "%s", text);
    pthread_mutex_unlock(&f->mutex);
}

void fake_hang(struct fake *f)
{
    pthread_mutex_lock(&f->mutex);
    f->hang = true;
    pthread_mutex_unlock(&f->mutex);
}

/* ---- what has happened; texts are copies, which only the test's thread touches ---- */

const char *fake_method(struct fake *f)
{
    pthread_mutex_lock(&f->mutex);
    memcpy(f->seen_method, f->method, sizeof(f->method));
    pthread_mutex_unlock(&f->mutex);
    return f->seen_method;
}

const char *fake_request(struct fake *f)
{
    free(f->seen_request);
    pthread_mutex_lock(&f->mutex);
    f->seen_request = strdup(f->request != NULL ? f->request : "");
    pthread_mutex_unlock(&f->mutex);
    return f->seen_request;
}

unsigned fake_n_calls(struct fake *f)
{
    pthread_mutex_lock(&f->mutex);
    unsigned n = f->n_calls;
    pthread_mutex_unlock(&f->mutex);
    return n;
}

void fake_await_calls(struct fake *f, unsigned n)
{
    pthread_mutex_lock(&f->mutex);
    while (f->n_calls < n)
        pthread_cond_wait(&f->cond, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
}
