#ifndef RPC_RPC_H
#define RPC_RPC_H

/*
 * The gRPC engine on the C core. Knows no sandbox. See README.md in this folder for the life of a
 * call and the threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/error.h"

struct rpc_server;
struct rpc_call; /* one RPC under way; valid until its handler returns */

enum rpc_access { RPC_READER, RPC_OPERATOR };

enum rpc_flags {
    RPC_STREAM = 1, /* server-streaming: answers with rpc_call_send() */
    RPC_WAITS = 2,  /* may take long: runs on the pool for long calls */
};

/*
 * Fills *@reply, which is initialised and empty; what it hangs into it is on the heap and is freed
 * after it was sent. Runs on a worker thread, never on a completion queue's. A streaming method
 * gets no reply: NULL.
 */
typedef bool (*rpc_handler)(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                            ProtobufCMessage *reply, struct sf_error **err);

struct rpc_method {
    const char *name; /* as in the descriptor */
    rpc_handler run;
    void *context; /* first argument of run */
    enum rpc_access access;
    unsigned flags; /* enum rpc_flags */
};

struct rpc_options {
    size_t max_message_bytes; /* 0: 16 MiB */
    unsigned short_workers;   /* 0: 4 */
    unsigned long_workers;    /* 0: 64; calls beyond it are refused with RESOURCE_EXHAUSTED */
    unsigned max_queued;      /* 0: 256; waiting short calls */
    unsigned max_connections; /* 0: 1024; all addresses together; those beyond are closed */
    unsigned keepalive_ms;    /* 0: 30 s; a peer that is silent for so long has to answer a ping */
    unsigned handshake_ms;    /* 0: 10 s; for TLS */
    /* For each request that was taken apart, after it was answered; one log line. May be NULL. */
    void (*done)(const char *method, const ProtobufCMessage *request, const struct sf_error *err,
                 int64_t duration_ns);
};

/* @options may be NULL. NULL with *@err set: no memory. Call rpc_init() first. */
struct rpc_server *rpc_server_new(const struct rpc_options *options, struct sf_error **err);

/**
 * rpc_server_add_service() - before start
 * @descriptor: every method in it needs a row in @methods, and the other way round
 * @methods:    ends with a row without a name; copied
 * @files:      FileDescriptorSet with all imports; borrowed until the server is freed
 *
 * health and reflection are there by themselves.
 */
bool rpc_server_add_service(struct rpc_server *server, const ProtobufCServiceDescriptor *descriptor,
                            const struct rpc_method *methods, const uint8_t *files,
                            size_t files_size, struct sf_error **err);

/* TLS for TCP: PEM texts. Clients must present a certificate that @client_ca_pem signed. One for
 * all TCP addresses of a server: the first that is given. */
struct rpc_tls {
    const char *certificate_pem, *key_pem, *client_ca_pem;
};

/**
 * rpc_server_listen() - before start; as often as wanted
 * @address: "unix:/path" or "host:port"; port 0: any
 * @tls:     needed for TCP unless @insecure; NULL for unix
 * @ret_port: the port of TCP; may be NULL
 *
 * A unix socket is ours alone: a lock file beside it keeps a second server out (FAILED_PRECONDITION
 * names the socket), and a socket left over by a dead server is taken. Mode 0600. Peers with
 * another uid than ours or root's are turned away.
 */
bool rpc_server_listen(struct rpc_server *server, const char *address, const struct rpc_tls *tls,
                       bool insecure, int *ret_port, struct sf_error **err);

bool rpc_server_start(struct rpc_server *server, struct sf_error **err);

/* Health turns NOT_SERVING, new calls are refused with UNAVAILABLE. Streams are ended, and an
 * RPC_WAITS method that waits (it has an rpc_call_on_cancel()), now or later; the others get
 * @grace_ms, then are cancelled. Returns when nothing is under way. */
void rpc_server_drain(struct rpc_server *server, uint32_t grace_ms);

void rpc_server_free(struct rpc_server *server); /* drains, if that was not done; NULL is fine */

/* Once in a process, before any thread: blocks signals in the core's threads by the caller's mask,
 * sends its log to ours, raises RLIMIT_NOFILE. */
void rpc_init(void);
void rpc_shutdown(void);

/* ---- For handlers; any thread while the handler runs. ---- */

bool rpc_call_cancelled(const struct rpc_call *call); /* by caller, deadline, drain */
int64_t
rpc_call_deadline_ns(const struct rpc_call *call); /* sf_clock_monotonic_ns(); INT64_MAX: none */
const char *rpc_call_method(const struct rpc_call *call); /* "/sandferry.v1.SandboxService/..." */

/* Send one message of a stream; waits for flow control. False: the caller is gone. */
bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, struct sf_error **err);

/* @fn is called once when the call is cancelled, or at once if it is; from any thread; must be
 * short. Taken back when the handler returns, or with fn NULL (then fn is not under way any more).
 */
void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(void *context), void *context);

/* CANCELLED, DEADLINE_EXCEEDED or UNAVAILABLE (drain), as it is. Return: false. */
bool rpc_call_fail_cancelled(const struct rpc_call *call, struct sf_error **err);

#endif
