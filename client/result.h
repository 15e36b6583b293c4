#ifndef CLIENT_RESULT_H
#define CLIENT_RESULT_H

/*
 * What a call gives: public structs whose texts lie in the message that the daemon sent. Before
 * each public struct, out of the program's sight, stands which message it shows; before the
 * outermost one, also all that goes when it is freed. So a caller frees one pointer, and every
 * struct can be printed as JSON.
 *
 *     [ shows, reply, blocks | struct sandferry_sandboxes ]
 *                   \-> [ shows | struct sandferry_sandbox ] -> [ shows | ... ] -> array -> ...
 *
 * Running out of memory is remembered and told at the end, by result_finish().
 */

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "internal.h"
#include "sandferry/v1/container.pb-c.h"
#include "sandferry/v1/device.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/process.pb-c.h"
#include "sandferry/v1/sandbox.pb-c.h"
#include "sandferry/v1/share.pb-c.h"

/* The outermost struct, zeroed; @reply is given away, even if there is no memory (NULL). NULL for
 * what is borrowed: an event of a stream. */
void *result_new(size_t size, ProtobufCMessage *reply, const ProtobufCMessage *shows,
                 struct sf_error **err);
/* A struct within, zeroed; NULL: no memory. */
void *result_within(void *outermost, size_t size, const ProtobufCMessage *shows);
/* @n elements of @size bytes, zeroed; NULL: no memory, or none. */
void *result_array(void *outermost, size_t n, size_t size);
/* Run when the outermost struct is freed. */
void result_on_free(void *outermost, void (*fn)(void *), void *argument);

/* False, with the result freed, if anything has found no memory. */
bool result_finish(void *outermost, struct sf_error **err);
/* result_finish(), and *ret; ret NULL: the caller does not want it. */
bool result_give(void *outermost, void **ret, struct sf_error **err);
#define RESULT_GIVE(outermost, ret, err) result_give((outermost), (void **)(ret), (err))

void result_free(void *outermost);
/* @flags: of jansson. */
char *result_json(const void *result, size_t flags);

/* Messages as public structs; @outermost owns what they need. Absent, and out of range: 0. */
int64_t time_ns(const Google__Protobuf__Timestamp *time);
int64_t duration_ns(const Google__Protobuf__Duration *duration);
const struct sandferry_label *labels_from(void *outermost, size_t n, Sandferry__V1__Label **wire);
const struct sandferry_step *steps_from(void *outermost, size_t n, Sandferry__V1__StepTime **wire);
void sandbox_from(void *outermost, struct sandferry_sandbox *s, const Sandferry__V1__Sandbox *wire);

/* The other way: labels for a request, pointed at by an array of pointers. NULL: no memory. */
struct wire_labels {
    Sandferry__V1__Label *labels;
    Sandferry__V1__Label **all;
};
bool wire_labels_make(struct wire_labels *ret, size_t n, const struct sandferry_label *labels,
                      struct sf_error **err);
void wire_labels_done(struct wire_labels *l);

#endif
