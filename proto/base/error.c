#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAILS_MAX 1000

struct sf_error {
    enum sf_code code;
    char *message;
    struct sf_detail *details;
    size_t n_details;
};

/* There is no memory to say so with. */
static struct sf_error out_of_memory = {SF_RESOURCE_EXHAUSTED, (char *)"out of memory", NULL, 0};

static const char *const code_names[] = {
    [SF_OK] = "OK",
    [SF_CANCELLED] = "CANCELLED",
    [SF_UNKNOWN] = "UNKNOWN",
    [SF_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [SF_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [SF_NOT_FOUND] = "NOT_FOUND",
    [SF_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [SF_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [SF_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [SF_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [SF_ABORTED] = "ABORTED",
    [SF_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [SF_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [SF_INTERNAL] = "INTERNAL",
    [SF_UNAVAILABLE] = "UNAVAILABLE",
    [SF_DATA_LOSS] = "DATA_LOSS",
    [SF_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *sf_code_name(enum sf_code code)
{
    unsigned i = (unsigned)code;

    return i < sizeof(code_names) / sizeof(code_names[0]) ? code_names[i] : "UNKNOWN";
}

bool sf_failv(struct sf_error **err, enum sf_code code, const char *fmt, va_list args)
{
    assert(*err == NULL && code != SF_OK);

    struct sf_error *e = calloc(1, sizeof(*e));
    if (e == NULL || vasprintf(&e->message, fmt, args) < 0) {
        free(e);
        *err = &out_of_memory;
        return false;
    }
    e->code = code;
    *err = e;
    return false;
}

bool sf_fail(struct sf_error **err, enum sf_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    sf_failv(err, code, fmt, args);
    va_end(args);
    return false;
}

bool sf_fail_in(struct sf_error **err, const char *fmt, ...)
{
    assert(*err != NULL);
    if (*err == &out_of_memory)
        return false;

    char *where = NULL;
    char *message = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&where, fmt, args) >= 0) {
        if (asprintf(&message, "%s: %s", where, (*err)->message) >= 0) {
            free((*err)->message);
            (*err)->message = message;
        }
        free(where);
    }
    va_end(args);
    return false;
}

bool sf_fail_detail(struct sf_error **err, enum sf_detail_kind kind, const char *subject,
                    const char *fmt, ...)
{
    struct sf_error *e = *err;
    assert(e != NULL);
    if (e == &out_of_memory || e->n_details == DETAILS_MAX)
        return false;

    struct sf_detail *grown = realloc(e->details, (e->n_details + 1) * sizeof(*grown));
    if (grown == NULL)
        return false;
    e->details = grown;

    struct sf_detail detail = {.kind = kind, .subject = strdup(subject)};
    va_list args;
    va_start(args, fmt);
    bool ok = vasprintf(&detail.text, fmt, args) >= 0;
    va_end(args);
    if (!ok || detail.subject == NULL) {
        free(detail.subject);
        if (ok)
            free(detail.text);
        return false;
    }
    e->details[e->n_details++] = detail;
    return false;
}

enum sf_code sf_error_code(const struct sf_error *err)
{
    return err->code;
}

const char *sf_error_message(const struct sf_error *err)
{
    return err->message;
}

size_t sf_error_n_details(const struct sf_error *err)
{
    return err->n_details;
}

const struct sf_detail *sf_error_detail(const struct sf_error *err, size_t i)
{
    assert(i < err->n_details);
    return &err->details[i];
}

void sf_error_free(struct sf_error *err)
{
    if (err == NULL || err == &out_of_memory)
        return;
    for (size_t i = 0; i < err->n_details; i++) {
        free(err->details[i].subject);
        free(err->details[i].text);
    }
    free(err->details);
    free(err->message);
    free(err);
}
