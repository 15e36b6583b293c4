#ifndef SF_ERROR_H
#define SF_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are gRPC's, so that the server sends them as they are. */
enum sf_code {
    SF_OK = 0,
    SF_CANCELLED = 1,
    SF_UNKNOWN = 2,
    SF_INVALID_ARGUMENT = 3,    /* the request or snapshot is wrong */
    SF_DEADLINE_EXCEEDED = 4,   /* it took longer than the caller allowed */
    SF_NOT_FOUND = 5,           /* there is no such object */
    SF_ALREADY_EXISTS = 6,      /* there is one already */
    SF_PERMISSION_DENIED = 7,   /* this caller may not */
    SF_RESOURCE_EXHAUSTED = 8,  /* memory, disk, slots, a limit */
    SF_FAILED_PRECONDITION = 9, /* right, but not now */
    SF_ABORTED = 10,
    SF_OUT_OF_RANGE = 11,
    SF_UNIMPLEMENTED = 12, /* a version or critical extension that this build does not know */
    SF_INTERNAL = 13,      /* our bug */
    SF_UNAVAILABLE = 14,   /* try again */
    SF_DATA_LOSS = 15,     /* a digest does not match */
    SF_UNAUTHENTICATED = 16,
};

/* "NOT_FOUND"; "UNKNOWN" for a number that is none. Static. */
const char *sf_code_name(enum sf_code code);

/* A code, a message for people, and details for programs. */
struct sf_error;

/* Why, in a form that a program can act on. */
enum sf_detail_kind {
    SF_DETAIL_FIELD,  /* subject: path of a field in the request or snapshot */
    SF_DETAIL_REASON, /* subject: who says so (a controller's name); one reason against doing it now
                       */
};

struct sf_detail {
    enum sf_detail_kind kind;
    char *subject; /* owned by the error */
    char *text;    /* owned by the error */
};

/**
 * sf_fail() - set *@err, so that a function can fail in one line
 * @err:  where the caller wants the error; *@err must be NULL
 * @code: what a program does about it
 * @fmt:  what a person needs to know: which object, by id; what is wrong; what to do
 *
 * Return: false, always.
 */
bool sf_fail(struct sf_error **err, enum sf_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool sf_failv(struct sf_error **err, enum sf_code code, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

/**
 * sf_fail_in() - say where an error that a callee set in *@err came from
 *
 * Puts the text and ": " before the message. Code and details stay.
 *
 * Return: false, always.
 */
bool sf_fail_in(struct sf_error **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds a detail to an error that is set. At most 1,000 are kept. Return: false, always. */
bool sf_fail_detail(struct sf_error **err, enum sf_detail_kind kind, const char *subject,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

enum sf_code sf_error_code(const struct sf_error *err);
const char *sf_error_message(const struct sf_error *err); /* owned by @err */
size_t sf_error_n_details(const struct sf_error *err);
const struct sf_detail *sf_error_detail(const struct sf_error *err, size_t i); /* owned by @err */
void sf_error_free(struct sf_error *err);                                      /* NULL is fine */
SF_DEFINE_CLEANUP(struct sf_error, sf_error_free)

#ifdef __cplusplus
}
#endif

#endif
