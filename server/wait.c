#include "wait.h"

#include <stddef.h>

#include "rpc/rpc.h"

static void wake(void *context)
{
    struct wait *w = context;
    pthread_mutex_lock(w->mutex);
    w->ended = true;
    pthread_cond_broadcast(w->cond);
    pthread_mutex_unlock(w->mutex);
}

void wait_begin(struct wait *w, struct rpc_call *call, pthread_mutex_t *mutex, pthread_cond_t *cond)
{
    *w = (struct wait){.call = call, .mutex = mutex, .cond = cond};
    if (call != NULL)
        rpc_call_on_cancel(call, wake, w);
}

void wait_end(struct wait *w)
{
    if (w->call != NULL)
        rpc_call_on_cancel(w->call, NULL, NULL);
}

bool wait_goes_on(const struct wait *w)
{
    return !w->ended;
}

bool wait_fail(const struct wait *w, struct sf_error **err)
{
    return rpc_call_fail_cancelled(w->call, err);
}
