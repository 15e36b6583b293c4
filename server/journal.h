#ifndef SERVER_JOURNAL_H
#define SERVER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"

/*
 * What must outlive the daemon, in its state directory:
 *
 *     lock                    held by the daemon that uses the directory
 *     sandboxes/ID.record     one for each sandbox: how it was left, and its face
 *     sandboxes/ID.snapshot   of one that is held, or was saved because the daemon ended
 *     given/ID.snapshot       what a save that ended the sandbox gave out last, should the answer
 *                             have got lost; the last JOURNAL_GIVEN_MAX
 *
 * Each file is written beside its name, synced, and renamed. The record alone counts: a snapshot
 * without a record is swept away. Calls for one sandbox are made under its lock.
 */
struct journal {
    char *directory; /* owned */
    int lock;        /* -1: none */
};

#define JOURNAL_GIVEN_MAX 64

/* How a sandbox was left. */
enum journal_word {
    JOURNAL_RUNNING, /* it is with a daemon; if there is none, its VM runs or ran unattended */
    JOURNAL_SAVED,   /* saved; runs on when the daemon starts */
    JOURNAL_HELD,    /* saved; loaded when the daemon starts, and held */
    JOURNAL_STOPPED,
    JOURNAL_DAMAGED, /* only read: the record cannot be understood */
    JOURNAL_N_WORDS
};

/* Makes the directory. FAILED_PRECONDITION if another daemon uses it. */
bool journal_open(struct journal *ret, const char *directory, struct sf_error **err);
void journal_close(struct journal *j);

/* @face: a packed Sandbox. A repeat overwrites. After a failure the old record stands. */
bool journal_record(const struct journal *j, const char *id, enum journal_word word,
                    const struct sf_bytes *face, struct sf_error **err);
bool journal_put_snapshot(const struct journal *j, const char *id, const struct sf_bytes *snapshot,
                          struct sf_error **err);
bool journal_get_snapshot(const struct journal *j, const char *id, struct sf_bytes *ret,
                          struct sf_error **err);
bool journal_has_snapshot(const struct journal *j, const char *id);
/* What is not there is no error. */
void journal_drop_snapshot(const struct journal *j, const char *id);
void journal_forget(const struct journal *j, const char *id); /* record and snapshot */

bool journal_give(const struct journal *j, const char *id, const struct sf_bytes *snapshot,
                  struct sf_error **err);
void journal_drop_given(const struct journal *j, const char *id);

/* Each record, by id. @each returns false to end the walk with its error. */
typedef bool (*journal_each_fn)(void *context, const char *id, enum journal_word word,
                                const struct sf_bytes *face, struct sf_error **err);
bool journal_walk(const struct journal *j, journal_each_fn each, void *context,
                  struct sf_error **err);

#endif
