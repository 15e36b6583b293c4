#ifndef SERVER_FAKE_CALLS_H
#define SERVER_FAKE_CALLS_H

/* For unit tests: the operations with the fewest words, on one daemon. */

#include <check.h>

#include "fakes.h"
#include "sandferry/v1/sandbox.pb-c.h"

#define AFTER(what) SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_##what
#define STATE(what) SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_##what

extern struct daemon daemon_;
extern struct sf_error *err;                  /* of the last call */
extern Sandferry__V1__SandboxSnapshot *saved; /* by the last save */

/* A case with a fresh daemon for each test. */
TCase *fake_case(Suite *suite, const char *name);

/* The last call was refused with this code, and a message that has this in it. Forgets the error.
 */
void refused(enum sf_code code, const char *text);
void forgive(void);

char *id(const char *text);
bool create(const char *name);
bool save(const char *name, Sandferry__V1__AfterSave after);
bool save_by(struct rpc_call *call, const char *name, Sandferry__V1__AfterSave after);
void make_saved(void); /* "s1" was created, and saved away */
bool restore(void);    /* what was saved, under its id */
bool restore_with(const char *name, bool hold, Sandferry__V1__Patch *patch);
bool resume(const char *name);
bool stop(const char *name);
bool delete (const char *name, bool force);

int state_of(const char *name);                  /* enum sandbox_state; -1: there is none */
const char *text_of(const char *name, size_t i); /* what its controller i keeps */
void nothing_is_left(const char *name);

#endif
