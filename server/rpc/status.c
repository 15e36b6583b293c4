/*
 * An error as what goes over the wire: a message, and grpc-status-details-bin: google.rpc.Status
 * with what programs need. Both together stay within what the caller takes as metadata: beyond
 * that, its core would drop the whole status.
 */
#include "rpc/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/slice.h>

#include "base/text.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#define MESSAGE_MAX 2048

/* ---- Text that every client can read ---- */

static size_t valid_character(const char *text)
{
    for (size_t n = 1; n <= 4; n++)
        if (memchr(text, '\0', n) == NULL && sf_utf8_valid(text, n))
            return n;
    return 0;
}

/* protobuf refuses what is not UTF-8, and a host path may be anything. NULL: no memory. */
static char *clean(const char *text, size_t max)
{
    struct sf_text out = {0};
    size_t i = 0;

    while (text[i] != '\0' && i < max) {
        size_t n = valid_character(text + i);
        sf_text_add_bytes(&out, n > 0 ? text + i : "?", n > 0 ? n : 1);
        i += n > 0 ? n : 1;
    }
    if (text[i] != '\0')
        sf_text_add(&out, "...");
    return sf_text_take(&out);
}

/* grpc-message is percent-encoded. */
static size_t encoded_size(const char *message)
{
    size_t size = 0;

    for (; *message != '\0'; message++)
        size += *message < ' ' || *message > '~' || *message == '%' ? 3 : 1;
    return size;
}

/* ---- The details ---- */

/* As many of an error's details as fit, with their texts cleaned. */
struct chosen {
    const struct sf_error *err;
    size_t n;
    char **subjects, **texts;
};

static void chosen_done(struct chosen *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->subjects[i]);
        free(c->texts[i]);
    }
    free(c->subjects);
    free(c->texts);
}

/* @room: bytes of the packed Status; what a detail costs is a generous estimate. */
static bool choose(struct chosen *c, size_t room)
{
    size_t n = sf_error_n_details(c->err);

    c->subjects = calloc(n + 1, sizeof(char *));
    c->texts = calloc(n + 1, sizeof(char *));
    if (c->subjects == NULL || c->texts == NULL)
        return false;
    for (size_t i = 0, used = 0; i < n; i++) {
        const struct sf_detail *detail = sf_error_detail(c->err, i);
        char *subject = clean(detail->subject, MESSAGE_MAX);
        char *text = clean(detail->text, MESSAGE_MAX);
        if (subject != NULL && text != NULL)
            used += strlen(subject) + strlen(text) + 24;
        if (subject == NULL || text == NULL || used > room) {
            free(subject);
            free(text);
            return subject != NULL && text != NULL;
        }
        c->subjects[c->n] = subject;
        c->texts[c->n++] = text;
    }
    return true;
}

static bool add_any(Google__Rpc__Status *status, const char *type, const ProtobufCMessage *message)
{
    Google__Protobuf__Any *any = calloc(1, sizeof(*any));
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(size > 0 ? size : 1);
    Google__Protobuf__Any **grown =
        realloc(status->details, (status->n_details + 1) * sizeof(*grown));

    if (grown != NULL)
        status->details = grown;
    if (any == NULL || data == NULL || grown == NULL) {
        free(any);
        free(data);
        return false;
    }
    google__protobuf__any__init(any);
    protobuf_c_message_pack(message, data);
    any->type_url = (char *)type;
    any->value = (ProtobufCBinaryData){.data = data, .len = size};
    status->details[status->n_details++] = any;
    return true;
}

static bool add_info(Google__Rpc__Status *status, const struct chosen *c)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry entry = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *entries[] = {&entry};
    char count[24];

    info.reason = (char *)sf_code_name(sf_error_code(c->err));
    info.domain = (char *)"sandferry";
    snprintf(count, sizeof(count), "%zu", sf_error_n_details(c->err) - c->n);
    entry.key = (char *)RPC_LEFT_OUT;
    entry.value = count;
    info.metadata = entries;
    info.n_metadata = c->n < sf_error_n_details(c->err) ? 1 : 0;
    return add_any(status, "type.googleapis.com/google.rpc.ErrorInfo", &info.base);
}

static bool add_fields(Google__Rpc__Status *status, const struct chosen *c)
{
    Google__Rpc__BadRequest__FieldViolation *violations = calloc(c->n + 1, sizeof(*violations));
    Google__Rpc__BadRequest__FieldViolation **list = calloc(c->n + 1, sizeof(*list));
    Google__Rpc__BadRequest request = GOOGLE__RPC__BAD_REQUEST__INIT;
    bool ok = violations != NULL && list != NULL;

    for (size_t i = 0; ok && i < c->n; i++) {
        if (sf_error_detail(c->err, i)->kind != SF_DETAIL_FIELD)
            continue;
        google__rpc__bad_request__field_violation__init(&violations[i]);
        violations[i].field = c->subjects[i];
        violations[i].description = c->texts[i];
        list[request.n_field_violations++] = &violations[i];
    }
    request.field_violations = list;
    if (ok && request.n_field_violations > 0)
        ok = add_any(status, "type.googleapis.com/google.rpc.BadRequest", &request.base);
    free(violations);
    free(list);
    return ok;
}

static bool add_reasons(Google__Rpc__Status *status, const struct chosen *c)
{
    Google__Rpc__PreconditionFailure__Violation *violations = calloc(c->n + 1, sizeof(*violations));
    Google__Rpc__PreconditionFailure__Violation **list = calloc(c->n + 1, sizeof(*list));
    Google__Rpc__PreconditionFailure failure = GOOGLE__RPC__PRECONDITION_FAILURE__INIT;
    bool ok = violations != NULL && list != NULL;

    for (size_t i = 0; ok && i < c->n; i++) {
        if (sf_error_detail(c->err, i)->kind != SF_DETAIL_REASON)
            continue;
        google__rpc__precondition_failure__violation__init(&violations[i]);
        violations[i].type = (char *)"SANDBOX";
        violations[i].subject = c->subjects[i];
        violations[i].description = c->texts[i];
        list[failure.n_violations++] = &violations[i];
    }
    failure.violations = list;
    if (ok && failure.n_violations > 0)
        ok = add_any(status, "type.googleapis.com/google.rpc.PreconditionFailure", &failure.base);
    free(violations);
    free(list);
    return ok;
}

static bool pack_details(struct chosen *c, char *message, grpc_slice *ret)
{
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;

    status.code = (int32_t)sf_error_code(c->err);
    status.message = message;
    bool ok = add_info(&status, c) && add_fields(&status, c) && add_reasons(&status, c);
    if (ok) {
        *ret = grpc_slice_malloc(google__rpc__status__get_packed_size(&status));
        google__rpc__status__pack(&status, GRPC_SLICE_START_PTR(*ret));
    }
    for (size_t i = 0; i < status.n_details; i++) {
        free(status.details[i]->value.data);
        free(status.details[i]);
    }
    free(status.details);
    return ok;
}

bool rpc_status_make(const struct sf_error *err, size_t room, grpc_slice *ret_message,
                     grpc_slice *ret_details)
{
    struct chosen c = {.err = err};
    char *message = clean(sf_error_message(err), MESSAGE_MAX);
    /* Four bytes of metadata are three of the Status, which has the message too. */
    size_t used = message != NULL ? encoded_size(message) + 4 * (strlen(message) + 128) / 3 : 0;

    *ret_message = message != NULL ? grpc_slice_from_copied_string(message)
                                   : grpc_slice_from_static_string("out of memory");
    bool ok = message != NULL && used < room && choose(&c, (room - used) * 3 / 4) &&
              pack_details(&c, message, ret_details);
    chosen_done(&c);
    free(message);
    return ok;
}
