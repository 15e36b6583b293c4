/* An error as grpc-status-details-bin: google.rpc.Status with what programs need. */
#include "rpc/engine.h"

#include <stdlib.h>
#include <string.h>

#include <grpc/slice.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

/* Metadata must fit what clients take: 8 KiB by default, in base64, with all other headers. */
#define DETAILS_MAX 5000

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

static bool add_info(Google__Rpc__Status *status, const struct sf_error *err)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;

    info.reason = (char *)sf_code_name(sf_error_code(err));
    info.domain = (char *)"sandferry";
    return add_any(status, "type.googleapis.com/google.rpc.ErrorInfo", &info.base);
}

static bool add_fields(Google__Rpc__Status *status, const struct sf_error *err, size_t n)
{
    Google__Rpc__BadRequest__FieldViolation *violations = calloc(n + 1, sizeof(*violations));
    Google__Rpc__BadRequest__FieldViolation **list = calloc(n + 1, sizeof(*list));
    Google__Rpc__BadRequest request = GOOGLE__RPC__BAD_REQUEST__INIT;
    bool ok = violations != NULL && list != NULL;

    for (size_t i = 0; ok && i < n; i++) {
        const struct sf_detail *detail = sf_error_detail(err, i);
        if (detail->kind != SF_DETAIL_FIELD)
            continue;
        google__rpc__bad_request__field_violation__init(&violations[i]);
        violations[i].field = detail->subject;
        violations[i].description = detail->text;
        list[request.n_field_violations++] = &violations[i];
    }
    request.field_violations = list;
    if (request.n_field_violations > 0)
        ok = add_any(status, "type.googleapis.com/google.rpc.BadRequest", &request.base);
    free(violations);
    free(list);
    return ok;
}

static bool add_reasons(Google__Rpc__Status *status, const struct sf_error *err, size_t n)
{
    Google__Rpc__PreconditionFailure__Violation *violations = calloc(n + 1, sizeof(*violations));
    Google__Rpc__PreconditionFailure__Violation **list = calloc(n + 1, sizeof(*list));
    Google__Rpc__PreconditionFailure failure = GOOGLE__RPC__PRECONDITION_FAILURE__INIT;
    bool ok = violations != NULL && list != NULL;

    for (size_t i = 0; ok && i < n; i++) {
        const struct sf_detail *detail = sf_error_detail(err, i);
        if (detail->kind != SF_DETAIL_REASON)
            continue;
        google__rpc__precondition_failure__violation__init(&violations[i]);
        violations[i].type = (char *)"SANDBOX";
        violations[i].subject = detail->subject;
        violations[i].description = detail->text;
        list[failure.n_violations++] = &violations[i];
    }
    failure.violations = list;
    if (failure.n_violations > 0)
        ok = add_any(status, "type.googleapis.com/google.rpc.PreconditionFailure", &failure.base);
    free(violations);
    free(list);
    return ok;
}

/* How many details fit, by a generous estimate of what each costs. */
static size_t details_that_fit(const struct sf_error *err)
{
    size_t used = 2 * strlen(sf_error_message(err)) + 256, n = sf_error_n_details(err);

    for (size_t i = 0; i < n; i++) {
        const struct sf_detail *detail = sf_error_detail(err, i);
        used += strlen(detail->subject) + strlen(detail->text) + 32;
        if (used > DETAILS_MAX)
            return i;
    }
    return n;
}

bool rpc_status_details(const struct sf_error *err, grpc_slice *ret)
{
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    size_t n = details_that_fit(err);

    status.code = (int32_t)sf_error_code(err);
    status.message = (char *)sf_error_message(err);
    bool ok = strlen(status.message) < DETAILS_MAX && add_info(&status, err) &&
              add_fields(&status, err, n) && add_reasons(&status, err, n);
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
