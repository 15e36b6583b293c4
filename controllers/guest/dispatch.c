#include "dispatch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct item {
    struct item *next;
    dispatch_fn fn;
    void *context;
    size_t size;
    uint8_t data[];
};

struct dispatch {
    struct dispatch_ops ops;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows; the sandbox's lock is taken before it */
    pthread_cond_t cond;
    struct item *first, **end;
    size_t bytes, limit;
    unsigned stops; /* enum dispatch_stop */
    bool ending;
    bool wants_lock; /* the thread is waiting for the sandbox's lock, or has it */
    void (*on_room)(void *context);
    void *on_room_context;
};

static struct item *take_first(struct dispatch *d)
{
    struct item *item = d->first;

    if (item == NULL)
        return NULL;
    d->first = item->next;
    if (d->first == NULL)
        d->end = &d->first;
    d->bytes -= item->size;
    return item;
}

/* The next item; tells the one who waits for room. NULL: none, or it is stopped. */
static struct item *next_item(struct dispatch *d)
{
    pthread_mutex_lock(&d->mutex);
    bool was_full = d->bytes > d->limit;
    struct item *item = d->stops == 0 ? take_first(d) : NULL;
    bool room = was_full && d->bytes <= d->limit;
    void (*tell)(void *) = room ? d->on_room : NULL;
    void *context = d->on_room_context;
    pthread_mutex_unlock(&d->mutex);
    if (tell != NULL)
        tell(context);
    return item;
}

void dispatch_run(struct dispatch *d)
{
    struct item *item;

    while ((item = next_item(d)) != NULL) {
        item->fn(item->context, item->data, item->size);
        free(item);
    }
}

static bool wait_for_work(struct dispatch *d)
{
    pthread_mutex_lock(&d->mutex);
    d->wants_lock = false;
    pthread_cond_broadcast(&d->cond);
    while (!d->ending && (d->first == NULL || d->stops != 0))
        pthread_cond_wait(&d->cond, &d->mutex);
    d->wants_lock = !d->ending;
    bool go_on = !d->ending;
    pthread_mutex_unlock(&d->mutex);
    return go_on;
}

static bool is_ending(struct dispatch *d)
{
    pthread_mutex_lock(&d->mutex);
    bool ending = d->ending;
    pthread_mutex_unlock(&d->mutex);
    return ending;
}

static void *run_thread(void *arg)
{
    struct dispatch *d = arg;

    while (wait_for_work(d)) {
        d->ops.lock(d->ops.context);
        if (!is_ending(d))
            dispatch_run(d);
        d->ops.unlock(d->ops.context);
    }
    return NULL;
}

struct dispatch *dispatch_new(const struct dispatch_ops *ops, struct sf_error **err)
{
    struct dispatch *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }
    d->ops = *ops;
    d->end = &d->first;
    d->limit = DISPATCH_BYTES_MAX;
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->cond, NULL);
    if (pthread_create(&d->thread, NULL, run_thread, d) != 0) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no thread for what the guest says");
        pthread_mutex_destroy(&d->mutex);
        pthread_cond_destroy(&d->cond);
        free(d);
        return NULL;
    }
    return d;
}

/* True: the thread is after the lock that the caller holds. */
static bool end_thread(struct dispatch *d)
{
    pthread_mutex_lock(&d->mutex);
    d->ending = true;
    bool wants_lock = d->wants_lock;
    pthread_cond_broadcast(&d->cond);
    pthread_mutex_unlock(&d->mutex);
    return wants_lock;
}

void dispatch_free(struct dispatch *d)
{
    struct item *item;

    if (d == NULL)
        return;
    bool give_back = end_thread(d);
    if (give_back)
        d->ops.unlock(d->ops.context);
    pthread_join(d->thread, NULL);
    if (give_back)
        d->ops.lock(d->ops.context);
    while ((item = take_first(d)) != NULL)
        free(item);
    pthread_mutex_destroy(&d->mutex);
    pthread_cond_destroy(&d->cond);
    free(d);
}

bool dispatch_post(struct dispatch *d, dispatch_fn fn, void *context, const void *data, size_t size)
{
    struct item *item = malloc(sizeof(*item) + size);

    if (item == NULL)
        return false;
    *item = (struct item){.fn = fn, .context = context, .size = size};
    if (size > 0)
        memcpy(item->data, data, size);
    pthread_mutex_lock(&d->mutex);
    *d->end = item;
    d->end = &item->next;
    d->bytes += size;
    pthread_cond_broadcast(&d->cond);
    pthread_mutex_unlock(&d->mutex);
    return true;
}

bool dispatch_full(struct dispatch *d)
{
    pthread_mutex_lock(&d->mutex);
    bool full = d->bytes > d->limit;
    pthread_mutex_unlock(&d->mutex);
    return full;
}

void dispatch_set_limit(struct dispatch *d, size_t bytes)
{
    pthread_mutex_lock(&d->mutex);
    d->limit = bytes;
    pthread_mutex_unlock(&d->mutex);
}

void dispatch_set_stop(struct dispatch *d, enum dispatch_stop why, bool stop)
{
    pthread_mutex_lock(&d->mutex);
    d->stops = stop ? d->stops | why : d->stops & ~(unsigned)why;
    pthread_cond_broadcast(&d->cond);
    pthread_mutex_unlock(&d->mutex);
}

void dispatch_on_room(struct dispatch *d, void (*fn)(void *context), void *context)
{
    pthread_mutex_lock(&d->mutex);
    d->on_room = fn;
    d->on_room_context = context;
    pthread_mutex_unlock(&d->mutex);
}

void dispatch_visit(struct dispatch *d, dispatch_fn fn,
                    void (*visit)(void *context, const void *data, size_t size), void *context)
{
    pthread_mutex_lock(&d->mutex);
    for (const struct item *item = d->first; item != NULL; item = item->next)
        if (item->fn == fn)
            visit(context, item->data, item->size);
    pthread_mutex_unlock(&d->mutex);
}

static void count_one(void *context, const void *data, size_t size)
{
    (void)data;
    (void)size;
    ++*(size_t *)context;
}

size_t dispatch_count(struct dispatch *d, dispatch_fn fn)
{
    size_t n = 0;
    dispatch_visit(d, fn, count_one, &n);
    return n;
}
