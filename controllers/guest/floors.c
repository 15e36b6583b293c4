/* The part of a conversation that travels with a snapshot. */
#include <stdlib.h>

#include "guest/host_private.h"

static void bytes_list_done(struct sf_bytes *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sf_bytes_done(&list[i]);
    free(list);
}

void guest_floors_done(struct guest_floors *f)
{
    bytes_list_done(f->unacknowledged, f->n_unacknowledged);
    bytes_list_done(f->undelivered, f->n_undelivered);
    *f = (struct guest_floors){0};
}

struct collect {
    struct sf_bytes *list;
    size_t n, room;
    bool broken;
};

static void collect_one(void *context, const void *data, size_t size)
{
    struct collect *c = context;

    if (c->n == c->room || size == 0)
        return;
    if (sf_bytes_copy(&c->list[c->n], data, size))
        c->n++;
    else
        c->broken = true;
}

static bool export_unacknowledged(struct guest_host *h, struct guest_floors *ret)
{
    size_t n = channel_n_unacknowledged(h->channel);
    struct collect c = {.list = calloc(n + 1, sizeof(*c.list)), .room = n};

    for (size_t i = 0; c.list != NULL && i < n; i++) {
        struct channel_message m = channel_unacknowledged(h->channel, i);
        collect_one(&c, m.data, m.size);
    }
    ret->unacknowledged = c.list;
    ret->n_unacknowledged = c.n;
    return c.list != NULL && !c.broken;
}

static bool export_undelivered(struct guest_host *h, struct guest_floors *ret)
{
    size_t n = dispatch_count(h->dispatch, guest_host_deliver);
    struct collect c = {.list = calloc(n + 1, sizeof(*c.list)), .room = n};

    if (c.list != NULL)
        dispatch_visit(h->dispatch, guest_host_deliver, collect_one, &c);
    ret->undelivered = c.list;
    ret->n_undelivered = c.n;
    return c.list != NULL && !c.broken;
}

bool guest_host_export(struct guest_host *h, struct guest_floors *ret, struct sf_error **err)
{
    *ret = (struct guest_floors){0};
    pthread_mutex_lock(&h->mutex);
    ret->next_call_id = h->next_call_id;
    ret->last_sent = channel_last_sent(h->channel);
    ret->last_received = channel_last_received(h->channel);
    bool ok = export_unacknowledged(h, ret) && export_undelivered(h, ret);
    pthread_mutex_unlock(&h->mutex);
    if (ok)
        return true;
    guest_floors_done(ret);
    return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static bool import_undelivered(struct guest_host *h, const struct sf_bytes *b,
                               struct sf_error **err)
{
    Message *message = guest_host_unpack(b->data, b->size, err);

    if (message == NULL)
        return false;
    bool is_event = message->body_case == SANDFERRY__V1__AGENT_MESSAGE__BODY_EVENT;
    sandferry__v1__agent_message__free_unpacked(message, NULL);
    if (!is_event)
        return sf_fail(err, SF_INVALID_ARGUMENT, "what was not delivered is no event");
    return dispatch_post(h->dispatch, guest_host_deliver, h, b->data, b->size) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

bool guest_host_import(struct guest_host *h, const struct guest_floors *floors,
                       struct sf_error **err)
{
    struct channel_message *list = calloc(floors->n_unacknowledged + 1, sizeof(*list));
    if (list == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (size_t i = 0; i < floors->n_unacknowledged; i++)
        list[i] = (struct channel_message){floors->unacknowledged[i].data,
                                           floors->unacknowledged[i].size};
    bool ok = channel_import(h->channel, floors->last_sent, floors->last_received, list,
                             floors->n_unacknowledged);
    free(list);
    if (!ok || floors->next_call_id == 0 || floors->next_call_id > UINT64_MAX / 2)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "the numbers of the conversation with the agent cannot be");
    h->next_call_id = floors->next_call_id;
    guest_host_look_for_room(h);
    for (size_t i = 0; i < floors->n_undelivered; i++)
        if (!import_undelivered(h, &floors->undelivered[i], err))
            return false;
    return true;
}
