#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

/* What the files of the library share. */

#include "call.h"
#include "sandferry.h"

/* Only these leave the shared object. */
#define PUBLIC __attribute__((visibility("default")))

struct sandferry {
    struct call_channel *channel;
    char *address;
    uint32_t timeout_ms;
};

/**
 * options_take() - options of a program of any age
 * @ret:   a zeroed struct of @known bytes that begins with its size
 * @given: a struct that begins with its size; NULL: all is zero
 *
 * An older program's struct ends early: the rest stays zero. A newer one's may go on, as long as it
 * says nothing there: what this library does not know must not be dropped in silence.
 *
 * Return: false with SF_INVALID_ARGUMENT (no size: not begun with the macro) or SF_UNIMPLEMENTED.
 */
bool options_take(void *ret, size_t known, const void *given, struct sf_error **err);
#define OPTIONS_TAKE(ret, given, err) options_take((ret), sizeof(*(ret)), (given), (err))

/* protobuf-c's structs have no const; packing does not write. NULL: "". */
static inline char *wire_text(const char *text)
{
    return (char *)(text != NULL ? text : "");
}

static inline char **wire_texts(const char *const *texts)
{
    return (char **)texts;
}

/* The i-th of a list that a daemon may have left out, or cut short. */
static inline const char *holder_at(size_t n, char *const *holders, size_t i)
{
    return i < n ? holders[i] : "";
}

/* One call. @method: "/sandferry.v1.SandboxService/GetSandbox". @timeout_ms: 0: the connection's.
 * @ret: NULL if the answer says nothing. */
bool invoke(struct sandferry *client, const char *method, const ProtobufCMessage *request,
            const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms,
            ProtobufCMessage **ret, struct sf_error **err);
bool invoke_stream(struct sandferry *client, const char *method, const ProtobufCMessage *request,
                   const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms,
                   call_each each, void *context, struct sf_error **err);

#endif
