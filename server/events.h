#ifndef SERVER_EVENTS_H
#define SERVER_EVENTS_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

struct rpc_call;

#define EVENTS_KEPT         1024
#define EVENTS_TYPE_SIZE    48
#define EVENTS_MESSAGE_SIZE 400

struct event {
    uint64_t number; /* from 1 */
    int64_t time_ns; /* realtime */
    char sandbox_id[SF_ID_SIZE];
    char type[EVENTS_TYPE_SIZE];
    char message[EVENTS_MESSAGE_SIZE]; /* UTF-8; longer ones are cut */
};

/* The last events of all sandboxes. Whoever adds never waits for who reads. Any thread. */
struct events {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct event *ring; /* EVENTS_KEPT; number n is at n % EVENTS_KEPT */
    uint64_t last;
};

bool events_init(struct events *e, struct sf_error **err);
void events_done(struct events *e);

void events_add(struct events *e, const char *sandbox_id, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void events_addv(struct events *e, const char *sandbox_id, const char *type, const char *fmt,
                 va_list args) __attribute__((format(printf, 4, 0)));

/* Where a reader is. */
struct events_cursor {
    char sandbox_id[SF_ID_SIZE]; /* "": all */
    uint64_t after;              /* it has seen those up to here */
    bool ends;                   /* it wants none above `until` */
    uint64_t until;              /* the last when it began */
    uint64_t lost;               /* since the last one that it was given */
};

/* From now on; from the oldest that is kept; or after a number. INVALID_ARGUMENT if that number has
 * not been reached: the reader means another life of the daemon. */
bool events_begin(struct events *e, struct events_cursor *ret, const char *sandbox_id,
                  bool from_start, uint64_t after, struct sf_error **err);

/**
 * events_next() - the next event, waiting for it
 * @call: ends the wait; NULL: nothing does
 * @ret_lost: how many the reader has missed before it, of whatever sandbox
 *
 * Return: false when the call has ended; without an error: a reader that ends has seen them all.
 */
bool events_next(struct events *e, struct events_cursor *cursor, struct rpc_call *call,
                 struct event *ret, uint64_t *ret_lost, struct sf_error **err);

#endif
