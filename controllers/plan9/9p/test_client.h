#ifndef NINEP_TEST_CLIENT_H
#define NINEP_TEST_CLIENT_H

/* A client of a server in the same process, for tests: a directory of its own, a server for it, and
 * calls that give what Linux would: 0 or an errno. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <check.h>

#include "plan9/9p/private.h"
#include "plan9/9p/server.h"

struct client {
    char top[64];  /* removed at the end; has root, and what is not shared */
    char root[96]; /* what is shared */
    int root_fd;
    struct ninep *s;
    uint8_t answer[NINEP_MSIZE_MAX];
    size_t answer_size;
    unsigned answers;
    bool deaf; /* takes no answers */
    uint16_t tag;
    struct reader reply; /* of the last call, behind the header */
};

/* A directory with: file "f" ("hello"), directories "d" and "d/e", file "d/e/g", links "out" (to
 * ..), "loop", and beside the root a file "secret". */
struct client *client_new(const struct ninep_options *options);
void client_free(struct client *c);
SF_DEFINE_CLEANUP(struct client, client_free)

/* Another server of the same directory takes its place. */
void client_serve(struct client *c, const struct ninep_options *options);
/* Version, and fid 0 for the root. */
void client_attach(struct client *c);

/*
 * @format, a letter for each argument: b, h, d, q an unsigned of 1, 2, 4, 8 bytes (q takes a
 * uint64_t), s a string, n a size_t and that many bytes (without a length before them).
 */
int call(struct client *c, unsigned type, const char *format, ...);
/* The bytes of a message, without sending it. Returns its size. */
size_t message(uint8_t *ret, size_t room, unsigned type, unsigned tag, const char *format, ...);
bool client_input(struct client *c, const void *data, size_t size);

int walk(struct client *c, uint32_t fid, uint32_t target, const char *path);   /* "a/b" */
int open_at(struct client *c, uint32_t fid, const char *path, uint32_t flags); /* from fid 0 */
int make(struct client *c, uint32_t fid, const char *name, uint32_t flags, uint32_t mode);
int clunk(struct client *c, uint32_t fid);
int write_at(struct client *c, uint32_t fid, uint64_t offset, const char *text);
int read_at(struct client *c, uint32_t fid, uint64_t offset, uint32_t count); /* *_text says what */
const char *read_text_of(struct client *c);
struct qid read_qid(struct reader *r);

/* On the host, beneath the root, or beside it: "../secret". */
const char *at(struct client *c, const char *name); /* valid for four more calls */
void put(struct client *c, const char *name, const char *text);
bool exists(struct client *c, const char *name);
bool has(struct client *c, const char *name, const char *text);

#endif
