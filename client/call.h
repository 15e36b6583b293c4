#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

/* The client's call layer: blocking calls on the gRPC C core. The only file of client/ that knows
 * gRPC. */

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/error.h"

struct call_channel;

struct call_tls {
    const char *certificate_pem, *key_pem, *server_ca_pem;
    const char *server_name; /* NULL: as in the address */
};

/* @address: "unix:/path" or "host:port". Does not connect yet. @tls: NULL for unix sockets, and for
 * TCP to a daemon that was started insecure. */
bool call_channel_new(const char *address, const struct call_tls *tls, struct call_channel **ret,
                      struct sf_error **err);
void call_channel_free(struct call_channel *channel);

/**
 * call_unary() - one call, answered with one message
 * @method: "/sandferry.v1.SandboxService/GetSandbox"
 * @timeout_ms: 0: no limit
 * @ret: unpacked with @reply_type; the caller's, free it with protobuf_c_message_free_unpacked()
 *
 * Return: false with the server's code, message and details (BadRequest and PreconditionFailure
 * come back as sf_error details); UNAVAILABLE names the address.
 */
bool call_unary(struct call_channel *channel, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms,
                ProtobufCMessage **ret, struct sf_error **err);

/* For each message; it is freed after @each returns. False ends the call without an error. */
typedef bool (*call_each)(void *context, const ProtobufCMessage *message);

bool call_stream(struct call_channel *channel, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms, call_each each,
                 void *context, struct sf_error **err);

/* Cancel all calls that are under way on the channel, from any thread; if there is none, the next.
 */
void call_channel_cancel(struct call_channel *channel);

#endif
