#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/error.h"

struct daemon;
struct rpc_server;
struct service_bindings; /* which row of which controller a method is */

/**
 * service_add_all() - the sandbox service, and every controller's
 * @ret: the caller's; free it with service_free() after the server
 *
 * Return: false, naming the controller, if a request does not begin with `string sandbox_id`, or
 * the engine refuses the table.
 */
bool service_add_all(struct daemon *d, struct rpc_server *server, struct service_bindings **ret,
                     struct sf_error **err);
void service_free(struct service_bindings *b);

/* The engine's `done`: one log line for each call. */
void service_log(const char *method, const ProtobufCMessage *request, const struct sf_error *err,
                 int64_t duration_ns);

#endif
