#ifndef PLAN9_FIXTURE_H
#define PLAN9_FIXTURE_H

/* For the tests of this folder: a sandbox, and a few directories and files to share. */

#include "base/suite.h"
#include "lib/fake_host.h"
#include "plan9/plan9.h"

extern struct sf_sandbox *sandbox;
extern struct plan9 *p; /* its controller */
extern struct sf_error *err;

/* The directories "a", "b" and "c", each with the files "one" and "two", which say "a/one" and so
 * on; the file "file"; the link "link" to it; the FIFO "fifo". */
void fixture_make(void);
void fixture_remove(void);

/* Beneath the directory of all that; static, for a few calls. */
const char *at(const char *path);

/* The error that was expected is looked at, and forgotten. */
void expect(enum sf_code code, const char *text);

/* Reservations; each asserts that it works. */
struct sf_share_request a_share(const char *path);           /* writable, of the whole directory */
const char *reserve(const struct sf_share_request *request); /* static, for 16 calls */
const char *map(const char *id);
void release(const char *id);

/* Every count is right, every name is used once, what is to be served is. */
void books_are_right(void);
void books_are_empty(void);

/* What save gives, the caller's. */
struct sf_bytes saved(void);

#endif
