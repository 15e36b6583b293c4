#ifndef GUEST_FAKE_AGENT_H
#define GUEST_FAKE_AGENT_H

/* The agent that host_test.c plays: a channel of its own, and what it says when the test says so.
 * For one test program: everything is static. */

#include "base/suite.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/channel.h"
#include "sandferry/v1/agent.pb-c.h"

typedef Sandferry__V1__AgentMessage Message;
typedef Sandferry__V1__AgentRequest Request;
typedef Sandferry__V1__AgentReply Reply;

static struct {
    int fd;
    struct channel *channel;
    uint64_t asked; /* id of the last request that came */
    unsigned asked_body;
    unsigned n_asked;
} agent;

static void agent_write(void)
{
    size_t size;
    const void *bytes;

    while ((bytes = channel_output(agent.channel, &size)) != NULL) {
        ssize_t n = send(agent.fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0)
            return;
        channel_wrote(agent.channel, (size_t)n);
    }
}

static bool agent_has_written(void)
{
    size_t size;

    return channel_output(agent.channel, &size) == NULL;
}

static void agent_take(const struct channel_message *m)
{
    Message *message = sandferry__v1__agent_message__unpack(NULL, m->size, m->data);

    ck_assert_ptr_nonnull(message);
    ck_assert_int_eq(message->body_case, SANDFERRY__V1__AGENT_MESSAGE__BODY_REQUEST);
    agent.asked = message->request->id;
    agent.asked_body = message->request->body_case;
    agent.n_asked++;
    sandferry__v1__agent_message__free_unpacked(message, NULL);
}

/* Reads and writes for a moment; no longer than until there is something. */
static void agent_turn(int timeout_ms)
{
    static uint8_t bytes[65536];
    struct channel_message m;
    struct pollfd fd = {.fd = agent.fd, .events = POLLIN};

    agent_write();
    if (poll(&fd, 1, timeout_ms) != 1)
        return;
    ssize_t n = recv(agent.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n <= 0)
        return;
    ck_assert(channel_input(agent.channel, bytes, (size_t)n));
    while (channel_receive(agent.channel, &m) == CHANNEL_MESSAGE)
        agent_take(&m);
    agent_write();
}

#define AGENT_UNTIL(condition)                                                                     \
    for (int64_t end_ = sf_clock_monotonic_ns() + WAIT_MS * SF_NS_PER_MS; !(condition);) {         \
        ck_assert_msg(sf_clock_monotonic_ns() < end_, "never: " #condition);                       \
        agent_turn(5);                                                                             \
    }

static bool agent_say(const Message *message)
{
    size_t size = sandferry__v1__agent_message__get_packed_size(message);
    uint8_t *bytes = malloc(size);

    sandferry__v1__agent_message__pack(message, bytes);
    bool ok = channel_send(agent.channel, bytes, size);
    free(bytes);
    agent_write();
    return ok;
}

static void agent_reply(uint64_t id, uint32_t code, const char *text)
{
    Message message = SANDFERRY__V1__AGENT_MESSAGE__INIT;
    Reply reply = SANDFERRY__V1__AGENT_REPLY__INIT;

    reply.id = id;
    reply.code = code;
    reply.message = (char *)text;
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_REPLY;
    message.reply = &reply;
    ck_assert(agent_say(&message));
}

static bool agent_output(uint64_t offset, size_t size)
{
    static uint8_t zeros[65536];
    Message message = SANDFERRY__V1__AGENT_MESSAGE__INIT;
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;
    Sandferry__V1__AgentOutput output = SANDFERRY__V1__AGENT_OUTPUT__INIT;

    output.offset = offset;
    output.data = (ProtobufCBinaryData){.data = zeros, .len = size};
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_OUTPUT;
    event.output = &output;
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_EVENT;
    message.event = &event;
    return agent_say(&message);
}

#endif
