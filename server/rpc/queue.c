#include "rpc/engine.h"

#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define ACQUIRE(op) __tsan_acquire(op)
#define RELEASE(op) __tsan_release(op)
#else
#define ACQUIRE(op) ((void)0)
#define RELEASE(op) ((void)0)
#endif

struct rpc_queue {
    grpc_completion_queue *core;
    pthread_t thread;
    bool started;
};

void rpc_op_begins(struct rpc_op *op)
{
    RELEASE(op);
    (void)op;
}

static void *poll_queue(void *argument)
{
    struct rpc_queue *queue = argument;

    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(queue->core, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type != GRPC_OP_COMPLETE)
            continue;
        struct rpc_op *op = event.tag;
        ACQUIRE(op);
        op->done(op, event.success != 0);
    }
}

struct rpc_queue *rpc_queue_new(void)
{
    struct rpc_queue *queue = calloc(1, sizeof(*queue));

    if (queue != NULL)
        queue->core = grpc_completion_queue_create_for_next(NULL);
    return queue;
}

grpc_completion_queue *rpc_queue_core(struct rpc_queue *queue)
{
    return queue->core;
}

bool rpc_queue_start(struct rpc_queue *queue)
{
    queue->started = pthread_create(&queue->thread, NULL, poll_queue, queue) == 0;
    return queue->started;
}

void rpc_queue_free(struct rpc_queue *queue)
{
    if (queue == NULL)
        return;
    grpc_completion_queue_shutdown(queue->core);
    if (queue->started)
        pthread_join(queue->thread, NULL);
    else
        poll_queue(queue);
    grpc_completion_queue_destroy(queue->core);
    free(queue);
}
