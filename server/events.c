#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wait.h"

bool events_init(struct events *e, struct sf_error **err)
{
    *e = (struct events){.ring = calloc(EVENTS_KEPT, sizeof(struct event))};
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->cond, NULL);
    return e->ring != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

void events_done(struct events *e)
{
    free(e->ring);
    pthread_cond_destroy(&e->cond);
    pthread_mutex_destroy(&e->mutex);
}

/* A text that was cut may end within a character; gRPC sends whole ones only. */
static void drop_half_character(char *text)
{
    size_t size = strlen(text);
    for (int i = 0; i < 4 && size > 0 && !sf_utf8_valid(text, size); i++)
        text[--size] = '\0';
    if (!sf_utf8_valid(text, size))
        strcpy(text, "(a message that is not UTF-8)");
}

void events_addv(struct events *e, const char *sandbox_id, const char *type, const char *fmt,
                 va_list args)
{
    struct event event = {.time_ns = sf_clock_realtime_ns()};
    snprintf(event.sandbox_id, sizeof(event.sandbox_id), "%s", sandbox_id);
    snprintf(event.type, sizeof(event.type), "%s", type);
    vsnprintf(event.message, sizeof(event.message), fmt, args);
    drop_half_character(event.type);
    drop_half_character(event.message);

    pthread_mutex_lock(&e->mutex);
    event.number = ++e->last;
    e->ring[event.number % EVENTS_KEPT] = event;
    pthread_cond_broadcast(&e->cond);
    pthread_mutex_unlock(&e->mutex);
}

void events_add(struct events *e, const char *sandbox_id, const char *type, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    events_addv(e, sandbox_id, type, fmt, args);
    va_end(args);
}

bool events_begin(struct events *e, struct events_cursor *ret, const char *sandbox_id,
                  bool from_start, uint64_t after, struct sf_error **err)
{
    pthread_mutex_lock(&e->mutex);
    uint64_t last = e->last;
    pthread_mutex_unlock(&e->mutex);

    *ret = (struct events_cursor){.until = last};
    snprintf(ret->sandbox_id, sizeof(ret->sandbox_id), "%s", sandbox_id);
    if (after > last) {
        sf_fail(err, SF_INVALID_ARGUMENT,
                "event %llu has not happened, the last is %llu: the daemon has been started anew "
                "since; watch from the start",
                (unsigned long long)after, (unsigned long long)last);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "after", "above the last event");
    }
    if (from_start)
        ret->after = last > EVENTS_KEPT ? last - EVENTS_KEPT : 0;
    else
        ret->after = after > 0 ? after : last;
    return true;
}

static bool has_ended(const struct events_cursor *cursor)
{
    return cursor->ends && cursor->after >= cursor->until;
}

/* Moves on to the next event for this reader; false: there is none yet. */
static bool step(const struct events *e, struct events_cursor *cursor, struct event *ret)
{
    uint64_t oldest = e->last > EVENTS_KEPT ? e->last - EVENTS_KEPT + 1 : 1;
    if (cursor->after + 1 < oldest) {
        cursor->lost += oldest - 1 - cursor->after;
        cursor->after = oldest - 1;
    }
    while (cursor->after < e->last && !has_ended(cursor)) {
        const struct event *event = &e->ring[++cursor->after % EVENTS_KEPT];
        if (cursor->sandbox_id[0] != '\0' && strcmp(event->sandbox_id, cursor->sandbox_id) != 0)
            continue;
        *ret = *event;
        return true;
    }
    return false;
}

bool events_next(struct events *e, struct events_cursor *cursor, struct rpc_call *call,
                 struct event *ret, uint64_t *ret_lost, struct sf_error **err)
{
    struct wait wait;
    wait_begin(&wait, call, &e->mutex, &e->cond);
    pthread_mutex_lock(&e->mutex);
    bool found = step(e, cursor, ret);
    while (!found && !has_ended(cursor) && wait_goes_on(&wait)) {
        pthread_cond_wait(&e->cond, &e->mutex);
        found = step(e, cursor, ret);
    }
    pthread_mutex_unlock(&e->mutex);
    wait_end(&wait);

    if (!found)
        return has_ended(cursor) ? false : wait_fail(&wait, err);
    *ret_lost = cursor->lost;
    cursor->lost = 0;
    return true;
}
