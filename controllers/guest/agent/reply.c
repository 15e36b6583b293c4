#include "guest/agent/reply.h"

#include <stdlib.h>

#include "guest/agent/port.h"

struct waiting {
    struct waiting *next;
    size_t size;
    uint8_t data[];
};

static struct waiting *first, **last = &first;
static bool held;

static struct waiting *pack(uint64_t id, const struct outcome *o, Sandferry__V1__AgentReply *reply)
{
    Sandferry__V1__AgentMessage message = SANDFERRY__V1__AGENT_MESSAGE__INIT;
    struct outcome clean = *o;

    outcome_clean(&clean);
    reply->id = id;
    reply->code = o->code;
    reply->message = o->code != SF_OK ? clean.text : (char *)"";
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_REPLY;
    message.reply = reply;
    size_t size = sandferry__v1__agent_message__get_packed_size(&message);
    struct waiting *w = malloc(sizeof(*w) + size);
    if (w == NULL) {
        agent_log("no memory for the answer to call %llu, continuing", (unsigned long long)id);
        return NULL;
    }
    *w = (struct waiting){.size = size};
    sandferry__v1__agent_message__pack(&message, w->data);
    return w;
}

void reply_flush(void)
{
    while (first != NULL && !held && port_send(PORT_AGENT, first->data, first->size)) {
        struct waiting *sent = first;
        first = sent->next;
        if (first == NULL)
            last = &first;
        free(sent);
    }
}

void reply_send(uint64_t id, const struct outcome *o, Sandferry__V1__AgentReply *reply)
{
    struct waiting *w = pack(id, o, reply);

    if (w == NULL)
        return;
    *last = w;
    last = &w->next;
    reply_flush();
}

void reply_send_now(uint64_t id, const struct outcome *o, Sandferry__V1__AgentReply *reply)
{
    struct waiting *w = pack(id, o, reply);

    if (w != NULL && !port_send(PORT_AGENT, w->data, w->size))
        agent_log("no room for the answer to call %llu, continuing", (unsigned long long)id);
    free(w);
}

void reply_outcome(uint64_t id, const struct outcome *o)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;

    reply_send(id, o, &reply);
}

void reply_hold(bool hold)
{
    held = hold;
}
