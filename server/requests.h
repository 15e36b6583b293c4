#ifndef SERVER_REQUESTS_H
#define SERVER_REQUESTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"
#include "base/error.h"

struct rpc_call;
struct request;

#define REQUESTS_KEPT       1024
#define REQUESTS_KEPT_BYTES (64u << 20)
#define REQUESTS_ID_SIZE    129 /* with the NUL */

/*
 * request id -> the answer already given. Only answers of success are kept: what failed is tried
 * again. The oldest answers go when there are too many, or they are too large. Any thread.
 */
struct requests {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct request *oldest; /* a list, in the order in which they came */
    size_t n, bytes;
};

void requests_init(struct requests *r);
void requests_done(struct requests *r);

enum requests_turn {
    REQUESTS_RUN,    /* do it, then requests_end() */
    REQUESTS_REPEAT, /* the answer is there */
};

/**
 * requests_begin() - has this been asked before?
 * @id:      of the request; "": always REQUESTS_RUN, and nothing is kept
 * @method:  with @request, the content that the id stands for
 * @ret_turn:   whose turn it is
 * @ret_ticket: for requests_end(); NULL without an id
 * @ret_answer: with REQUESTS_REPEAT the packed answer, the caller's
 *
 * While the first with this id is under way, others wait for it (until @call ends, if not NULL); if
 * it fails, one of them runs.
 *
 * Return: false: ALREADY_EXISTS if the id stands for something else, INVALID_ARGUMENT if it is too
 * long, RESOURCE_EXHAUSTED, or the call has ended.
 */
bool requests_begin(struct requests *r, const char *id, const char *method,
                    const ProtobufCMessage *request, struct rpc_call *call,
                    enum requests_turn *ret_turn, struct request **ret_ticket,
                    struct sf_bytes *ret_answer, struct sf_error **err);

/* @answer: NULL if it failed. A ticket of NULL is fine. */
void requests_end(struct requests *r, struct request *ticket, const ProtobufCMessage *answer);

#endif
