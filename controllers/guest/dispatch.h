#ifndef GUEST_DISPATCH_H
#define GUEST_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/*
 * What happens on threads that must not wait for the sandbox's lock (the guest wrote, QEMU ended)
 * is queued here, and run, in order, by one thread that takes the lock for it; or by whoever holds
 * the lock already and wants it done now.
 */
struct dispatch;

struct dispatch_ops {
    void (*lock)(void *context);
    void (*unlock)(void *context);
    void *context; /* borrowed; outlives the dispatch */
};

/* Bytes in the queue from which dispatch_full() says so, unless dispatch_set_limit() was called. */
#define DISPATCH_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Why nothing that is queued is run for now; any of them is enough. */
enum dispatch_stop {
    DISPATCH_GATE = 1, /* it may not be yet */
    DISPATCH_HALT = 2, /* the VM stands still, and what was to be run before it is saved has been */
    DISPATCH_ROOM = 4, /* there is no room for what would come of it */
    DISPATCH_YIELD = 8, /* somebody wants the lock */
};

/* One thing to do. Called with the lock held; @data is the copy that was queued. */
typedef void (*dispatch_fn)(void *context, const void *data, size_t size);

struct dispatch *dispatch_new(const struct dispatch_ops *ops, struct sf_error **err);

/* Ends the thread and forgets what is queued. The caller holds the lock, which is given back for a
 * moment if the thread is just waiting for it. NULL is fine. */
void dispatch_free(struct dispatch *d);
SF_DEFINE_CLEANUP(struct dispatch, dispatch_free)

/* Any thread. @data is copied. False: no memory. */
bool dispatch_post(struct dispatch *d, dispatch_fn fn, void *context, const void *data,
                   size_t size);

void dispatch_set_limit(struct dispatch *d, size_t bytes); /* before anything is posted */

/* Any thread, any lock. What is being run is not waited for; once the caller has had the lock, only
 * what this lets through is run. It does not stop dispatch_free(). */
void dispatch_set_stop(struct dispatch *d, enum dispatch_stop why, bool stop);

/* Any thread. The queue holds more than it should: whoever fills it had better stop for now. */
bool dispatch_full(struct dispatch *d);

/* Called, on any thread, when the queue is not full any more. One listener; NULL: none. */
void dispatch_on_room(struct dispatch *d, void (*fn)(void *context), void *context);

/* Run what is queued, now, if nothing stops it. The caller holds the lock. What the functions post
 * is run too. */
void dispatch_run(struct dispatch *d);

/* What is queued for @fn, oldest first: for the one who saves it. The caller holds the lock. */
size_t dispatch_count(struct dispatch *d, dispatch_fn fn);
void dispatch_visit(struct dispatch *d, dispatch_fn fn,
                    void (*visit)(void *context, const void *data, size_t size), void *context);

#endif
