#ifndef SERVER_WAIT_H
#define SERVER_WAIT_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

struct rpc_call;

/* Lets the end of an RPC (cancelled, deadline, drain) wake a wait on a condition variable. */
struct wait {
    struct rpc_call *call; /* borrowed; NULL: only the condition ends the wait */
    pthread_mutex_t *mutex;
    pthread_cond_t *cond;
    bool ended; /* under the mutex */
};

/* Both without the mutex. Between them: lock, wait while wait_goes_on() and the condition is not
 * there, unlock. */
void wait_begin(struct wait *w, struct rpc_call *call, pthread_mutex_t *mutex,
                pthread_cond_t *cond);
void wait_end(struct wait *w);

/* With the mutex. Asks the engine nothing: it may call us back with a lock of its own. */
bool wait_goes_on(const struct wait *w);
/* Why it does not go on; without the mutex. Return: false. */
bool wait_fail(const struct wait *w, struct sf_error **err);

#endif
