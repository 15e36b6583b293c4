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
const char *add(const char *path, bool read_only); /* reserved and mapped */

/* Every count is right, every name is used once, what is to be served is. */
void books_are_right(void);
void books_are_empty(void);

/* ---- A guest's kernel, for one message at a time ---- */

#define NOTAG 0xffff
enum { /* of 9P2000.L */
       TLOPEN = 12,
       TLOCK = 52,
       TVERSION = 100,
       TATTACH = 104,
       TWALK = 110,
       TREAD = 116,
       TWRITE = 118,
       TCLUNK = 120,
       TUNLINKAT = 76,
};

struct message {
    uint8_t data[512];
    size_t size;
};

/* @fmt: a letter an argument: b, w, d, q are numbers of 1, 2, 4 and 8 bytes, s is a
 * text with its length, r one without. */
struct message message(uint8_t type, const char *fmt, ...);
/* Says it, and takes the answer: its type; -errno if that is an error. The answer's bytes after its
 * tag are in answer_bytes() until the next. Asserts that there is one answer. */
int talk(uint64_t share, const struct message *m);
int talk_part(uint64_t share, const struct message *m, size_t from); /* what is left of one */
const uint8_t *answer_bytes(void);
/* Fid 1 is the file, open; fid 0 the root. */
void open_file(uint64_t share, const char *name, uint32_t flags);
void lock_file(uint64_t share, uint64_t start, uint64_t length);

/* ---- Travelling ---- */

/* What save gives, the caller's. */
struct sf_bytes saved(void);
bool import(const struct sf_bytes *section);
/* Reasons against a save (or, for a destination, against going on), a line each, with the field
 * before it; the caller's. */
char *reasons_of(bool (*ask)(struct sf_controller *c, struct sf_reasons *why,
                             struct sf_error **err));
char *check(void);
char *admit(void);
/* Another sandbox takes the place of this one, which is kept. */
struct sf_sandbox *to_another(void);
void back_to(struct sf_sandbox *s); /* the present one is ended */

void same(const struct sf_bytes *a, const struct sf_bytes *b);
void no_reasons(char *(*ask)(void));
/* Exactly one, for this field, which has these texts. */
void one_reason(char *(*ask)(void), const char *field, const char *text, const char *more);
/* A source with "a", of which it holds "one" open, and "b/one", read-only; and a destination that
 * has its section. Gives the source. */
struct sf_sandbox *two_shares(struct sf_bytes *ret);

#define CLS (p->base.cls)

#endif
