#ifndef SF_TEXT_H
#define SF_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A text that grows. Running out of memory is remembered, and told by sf_text_take(). */
struct sf_text {
    char *data; /* NULL or NUL-terminated; owned */
    size_t size, room;
    bool broken;
};

void sf_text_add(struct sf_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sf_text_addv(struct sf_text *t, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
void sf_text_add_bytes(struct sf_text *t, const char *data, size_t size);
char *sf_text_take(struct sf_text *t); /* the caller's, "" at least; NULL: no memory. Empties. */
void sf_text_done(struct sf_text *t);

/* "printf to the heap"; NULL: no memory. */
char *sf_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sf_freep(void *pointer); /* SF_CLEANUP(sf_freep) char *x */

/* 1 to 64 bytes of letters, digits, '-', '_' and '.', the first a letter or digit. */
bool sf_id_valid(const char *id);
#define SF_ID_SIZE 65 /* with the NUL */

/* GUID, lower case: "8-4-4-4-12". */
#define SF_GUID_SIZE 37                   /* with the NUL */
bool sf_guid_new(char ret[SF_GUID_SIZE]); /* random, version 4; false: no entropy */
bool sf_guid_valid(const char *guid);

bool sf_utf8_valid(const char *data, size_t size); /* no NUL, no surrogate, shortest form only */

#ifdef __cplusplus
}
#endif

#endif
