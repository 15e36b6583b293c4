#include "rpc/engine.h"

#include <stdlib.h>

#define STACK_BYTES (1024 * 1024)

struct rpc_pool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rpc_call_queue queue;
    unsigned queued, busy, max_queued, n_threads;
    bool ending;
    void (*run)(struct rpc_call *call);
    pthread_t *threads;
};

static void *work(void *argument)
{
    struct rpc_pool *pool = argument;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct rpc_call *call = STAILQ_FIRST(&pool->queue);
        if (call == NULL && pool->ending)
            break;
        if (call == NULL) {
            pthread_cond_wait(&pool->changed, &pool->lock);
            continue;
        }
        STAILQ_REMOVE_HEAD(&pool->queue, queued);
        pool->queued--;
        pool->busy++;
        pthread_mutex_unlock(&pool->lock);
        pool->run(call);
        pthread_mutex_lock(&pool->lock);
        pool->busy--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct rpc_pool *rpc_pool_new(unsigned threads, unsigned max_queued, void (*run)(struct rpc_call *))
{
    struct rpc_pool *pool = calloc(1, sizeof(*pool));
    pthread_attr_t attributes;

    if (pool == NULL || (pool->threads = calloc(threads, sizeof(pthread_t))) == NULL) {
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    STAILQ_INIT(&pool->queue);
    pool->max_queued = max_queued;
    pool->run = run;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (pool->n_threads < threads &&
           pthread_create(&pool->threads[pool->n_threads], &attributes, work, pool) == 0)
        pool->n_threads++;
    pthread_attr_destroy(&attributes);
    if (pool->n_threads == threads)
        return pool;
    rpc_pool_free(pool);
    return NULL;
}

bool rpc_pool_add(struct rpc_pool *pool, struct rpc_call *call)
{
    pthread_mutex_lock(&pool->lock);
    unsigned idle = pool->n_threads - pool->busy;
    bool room = !pool->ending && pool->queued < idle + pool->max_queued;
    if (room) {
        STAILQ_INSERT_TAIL(&pool->queue, call, queued);
        pool->queued++;
        pthread_cond_signal(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

void rpc_pool_free(struct rpc_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}
