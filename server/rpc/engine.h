#ifndef RPC_ENGINE_H
#define RPC_ENGINE_H

/* What the files of this folder share. */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>

#include "rpc/rpc.h"

/* What a completion queue gives back: who asked, and whether it worked. */
struct rpc_op {
    void (*done)(struct rpc_op *op, bool ok);
};

/* Only in here: a method that reads a stream too (reflection). */
#define RPC_BIDI 0x100

struct rpc_service_entry {
    const ProtobufCServiceDescriptor *descriptor;
    const uint8_t *files;
    size_t files_size;
};

struct rpc_method_entry {
    char *path; /* "/package.Service/Method"; owned */
    struct rpc_method method;
    const ProtobufCMessageDescriptor *input, *output;
};

struct rpc_call {
    atomic_uint refs;
    atomic_uint under_way; /* the worker, and the answer until it is out */
    struct rpc_server *server;
    const struct rpc_method_entry *method;
    grpc_call *core;
    grpc_call_details details;
    grpc_metadata_array metadata;
    struct rpc_op on_new, on_close, on_message, on_sent, on_done;
    int core_cancelled; /* written by the core */
    int64_t deadline_ns;
    bool headers_sent;          /* only the worker's */
    grpc_byte_buffer *incoming; /* written by the core */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool cancelled, draining;
    bool ending;           /* a drain has begun: not to wait any more */
    bool waiting, wait_ok; /* for a message in or out */
    void (*cancel_fn)(void *context);
    void *cancel_context;
    bool cancel_running;

    STAILQ_ENTRY(rpc_call) queued;
    LIST_ENTRY(rpc_call) listed;
};

STAILQ_HEAD(rpc_call_queue, rpc_call);
LIST_HEAD(rpc_call_list, rpc_call);

/* ---- pool.c: threads that run handlers ---- */
struct rpc_pool;
struct rpc_pool *rpc_pool_new(unsigned threads, unsigned max_queued,
                              void (*run)(struct rpc_call *));
bool rpc_pool_add(struct rpc_pool *pool, struct rpc_call *call); /* false: no room */
void rpc_pool_free(struct rpc_pool *pool);                       /* waits for all */

/* ---- queue.c: the completion queue and its thread ---- */
struct rpc_queue;
struct rpc_queue *rpc_queue_new(void);
grpc_completion_queue *rpc_queue_core(struct rpc_queue *queue);
bool rpc_queue_start(struct rpc_queue *queue);
void rpc_queue_free(struct rpc_queue *queue); /* drains it */
/* Call before anything that gives @op to the core: TSan does not see into it. */
void rpc_op_begins(struct rpc_op *op);

/* ---- accept.c: connections ---- */
struct rpc_acceptor;
typedef void (*rpc_take)(void *context, int fd, bool tls); /* fd is given away */
struct rpc_acceptor *rpc_acceptor_new(unsigned max_connections, rpc_take take, void *context);
bool rpc_acceptor_listen(struct rpc_acceptor *a, const char *path, struct sf_error **err);
bool rpc_acceptor_listen_tcp(struct rpc_acceptor *a, const char *address, bool tls, int *ret_port,
                             struct sf_error **err);
bool rpc_acceptor_start(struct rpc_acceptor *a, struct sf_error **err);
void rpc_acceptor_free(struct rpc_acceptor *a); /* stops; removes the sockets */

/* ---- relay.c: TLS, between the network and the core ---- */
struct rpc_relay;
/* @take: gets the core's end of each connection whose peer has shown a good certificate. */
struct rpc_relay *rpc_relay_new(const struct rpc_tls *tls, const struct rpc_options *options,
                                rpc_take take, void *context, struct sf_error **err);
bool rpc_relay_start(struct rpc_relay *relay, struct sf_error **err);
void rpc_relay_add(struct rpc_relay *relay, int fd); /* fd is given away; any thread */
void rpc_relay_free(struct rpc_relay *relay);        /* after the core: flushes, closes */

/* ---- status.c ---- */
/* What clients take as metadata unless they say more, less what is in it besides. */
#define RPC_DETAILS_ROOM     7000
#define RPC_DETAILS_ROOM_MAX 61440
/* The metadata by which a client says how many bytes of trailing metadata it takes. */
#define RPC_ROOM_KEY "sandferry-details-room"
/* In ErrorInfo's metadata: how many details there was no room for. */
#define RPC_LEFT_OUT "details_left_out"

/**
 * rpc_status_make() - an error's message, and its grpc-status-details-bin
 * @room: bytes of metadata for both, encoded
 *
 * Text that is not UTF-8 gets question marks. Details that do not fit are counted and left out.
 *
 * Return: false: no details; *@ret_details is untouched. *@ret_message is set always. Unref them.
 */
bool rpc_status_make(const struct sf_error *err, size_t room, grpc_slice *ret_message,
                     grpc_slice *ret_details);

/* ---- methods.c ---- */
bool rpc_methods_check(const ProtobufCServiceDescriptor *descriptor,
                       const struct rpc_method *methods, struct sf_error **err);

/* ---- call.c ---- */
void rpc_call_expect(struct rpc_server *server); /* take one more call when it comes */
void rpc_call_run(struct rpc_call *call);        /* in a worker */
void rpc_call_cancel(struct rpc_call *call, bool draining);
void rpc_call_end_wait(struct rpc_call *call); /* cancels it if it waits, now or later */
/* As rpc_call_send(), but also while a drain ends the call: its last words. */
bool rpc_call_send_last(struct rpc_call *call, const ProtobufCMessage *message,
                        struct sf_error **err);
bool rpc_call_receive(struct rpc_call *call, ProtobufCMessage **ret, struct sf_error **err);

/* ---- server.c ---- */
grpc_server *rpc_server_core(struct rpc_server *server);
struct rpc_queue *rpc_server_queue(struct rpc_server *server);
const struct rpc_method_entry *rpc_server_find(struct rpc_server *server, grpc_slice path);
bool rpc_server_dispatch(struct rpc_server *server, struct rpc_call *call);
bool rpc_server_enter(struct rpc_server *server, struct rpc_call *call); /* false: draining */
void rpc_server_leave(struct rpc_server *server, struct rpc_call *call);
const struct rpc_options *rpc_server_options(const struct rpc_server *server);
size_t rpc_server_n_services(const struct rpc_server *server);
const struct rpc_service_entry *rpc_server_service(const struct rpc_server *server, size_t i);
bool rpc_server_serving(struct rpc_server *server);

/* ---- health.c, reflection.c ---- */
bool rpc_add_health(struct rpc_server *server, struct sf_error **err);
bool rpc_add_reflection(struct rpc_server *server, struct sf_error **err);

#endif
