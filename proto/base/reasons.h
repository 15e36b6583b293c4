#ifndef SF_REASONS_H
#define SF_REASONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A list of texts, each one a reason why something cannot be done, collected so that one answer
 * can give all of them. Keeps the first 1,000 and counts the rest.
 */
struct sf_reasons;

struct sf_reason {
    char *source; /* who says so: a controller's name, "snapshot", "daemon" */
    char *field;  /* path of a field in the snapshot, or "" */
    char *text;
};

struct sf_reasons *sf_reasons_new(void); /* NULL: no memory */
void sf_reasons_free(struct sf_reasons *why);
SF_DEFINE_CLEANUP(struct sf_reasons, sf_reasons_free)

/* Who speaks from now on. The lifecycle sets it before it calls a controller. Copied. */
void sf_reasons_source(struct sf_reasons *why, const char *source);

void sf_reasons_add(struct sf_reasons *why, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void sf_reasons_add_field(struct sf_reasons *why, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds what an error says, its field details one by one. The error stays the caller's. */
void sf_reasons_add_error(struct sf_reasons *why, const struct sf_error *err);

size_t sf_reasons_count(const struct sf_reasons *why); /* the ones beyond 1,000 included */
size_t sf_reasons_kept(const struct sf_reasons *why);
const struct sf_reason *sf_reasons_get(const struct sf_reasons *why, size_t i);

/**
 * sf_reasons_fail() - true if there is no reason, else an error with all of them
 * @code: of the error
 * @what: begins the message: "sandbox 's1' cannot be saved now"
 *
 * The message has the first three reasons and the count; the details have all that were kept, as
 * SF_DETAIL_FIELD where a field is named and @code is SF_INVALID_ARGUMENT, else SF_DETAIL_REASON.
 */
bool sf_reasons_fail(const struct sf_reasons *why, enum sf_code code, const char *what,
                     struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
