#ifndef SERVER_MESSAGE_H
#define SERVER_MESSAGE_H

/* What several operations do with protobuf-c messages. Everything returned is on the heap, the
 * caller's, and NULL when there is no memory. */

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"
#include "base/error.h"
#include "sandferry/v1/sandbox.pb-c.h"
#include "steps.h"

ProtobufCMessage *message_copy(const ProtobufCMessage *message);
bool message_pack(const ProtobufCMessage *message, struct sf_bytes *ret, struct sf_error **err);

/* The message in the field of that name; NULL: there is no such field, or nothing in it. Borrowed.
 */
const ProtobufCMessage *message_field(const ProtobufCMessage *message, const char *name);
/* The text in the first field; NULL: the message does not begin with `string sandbox_id`. */
const char *message_sandbox_id(const ProtobufCMessage *message);

Google__Protobuf__Timestamp *message_time(int64_t realtime_ns);
int64_t message_time_ns(const Google__Protobuf__Timestamp *time); /* NULL: 0 */
Google__Protobuf__Duration *message_duration(int64_t ns);
Sandferry__V1__StepTime **message_step_times(const struct step_times *times, size_t *ret_n);

/* Copies labels, sorted by key. INVALID_ARGUMENT, with every wrong one as a field of @path. */
bool message_copy_labels(Sandferry__V1__Label *const *labels, size_t n, const char *path,
                         Sandferry__V1__Label ***ret, size_t *ret_n, struct sf_error **err);

#endif
