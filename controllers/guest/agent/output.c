/* What a process writes, on its way to the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/agent/aside.h"
#include "guest/agent/freeze.h"
#include "guest/agent/port.h"
#include "guest/agent/process.h"
#include "guest/agent/share.h"

#define TERMINAL_HOLDS (16 * 1024) /* bytes; it is no more than half of that */

static bool send_event(Sandferry__V1__AgentEvent *event)
{
    static uint8_t packed[WINDOW_CHUNK + 1024]; /* ids are short: see NAME_ROOM */
    Sandferry__V1__AgentMessage message = SANDFERRY__V1__AGENT_MESSAGE__INIT;

    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_EVENT;
    message.event = event;
    if (sandferry__v1__agent_message__get_packed_size(&message) > sizeof(packed))
        return false;
    return port_send(PORT_AGENT, packed, sandferry__v1__agent_message__pack(&message, packed));
}

static bool send_output(struct process *p, unsigned number, uint8_t *data, size_t size, bool closed)
{
    Sandferry__V1__AgentOutput output = SANDFERRY__V1__AGENT_OUTPUT__INIT;
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;

    output.container_id = p->container_id;
    output.exec_id = p->exec_id;
    output.stream = number + 1;
    output.offset = p->out[number].window.sent;
    output.data = (ProtobufCBinaryData){.data = data, .len = size};
    output.closed = closed;
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_OUTPUT;
    event.output = &output;
    return send_event(&event);
}

static bool may_send(void)
{
    return !freeze_is_on() && !share_is_hushed() && port_has_room(PORT_AGENT);
}

void output_drain(struct process *p)
{
    for (int i = 0; i < 2; i++) {
        step_aside(); /* the kernel takes the pipe's lock */
        int size = p->terminal ? TERMINAL_HOLDS : fcntl(p->out[i].fd, F_GETPIPE_SZ);
        step_back();
        p->out[i].left = size > 0 ? (size_t)size : 0;
        p->out[i].draining = p->out[i].ready = true;
    }
}

static size_t room(const struct output *out)
{
    if (!out->draining)
        return window_room(&out->window);
    return out->left < WINDOW_CHUNK ? out->left : WINDOW_CHUNK;
}

static bool may_read(const struct output *out)
{
    return out->fd >= 0 && (out->draining || room(out) > 0) && may_send();
}

bool output_wants(const struct output *out)
{
    return !out->ready && may_read(out);
}

bool output_ready(const struct output *out)
{
    return out->ready && may_read(out);
}

static void close_stream(struct process *p, unsigned number)
{
    if (!send_output(p, number, NULL, 0, true))
        return; /* the next pump finds it at its end again */
    step_aside();
    close(p->out[number].fd);
    step_back();
    p->out[number].fd = -1;
}

/* One read. What is read always goes out: there is room, and the channel keeps it. */
static void pump_once(struct process *p, unsigned number)
{
    static uint8_t buffer[WINDOW_CHUNK];
    struct output *out = &p->out[number];

    if (room(out) == 0) { /* it has ended, and others write into its pipe */
        close_stream(p, number);
        return;
    }
    step_aside();
    ssize_t n = read(out->fd, buffer, room(out));
    int saved = errno;
    step_back();
    errno = saved;
    if (n > 0) {
        if (!send_output(p, number, buffer, (size_t)n, false))
            agent_log("no memory: %zd bytes of output of container '%s' are lost", n,
                      p->container_id);
        window_sent(&out->window, (size_t)n);
        out->left -= out->draining ? (size_t)n : 0;
        return;
    }
    if (n < 0 && errno == EINTR)
        return;
    out->ready = p->ended && n < 0; /* then it is closed below, at the latest next time */
    /* A terminal's end is EIO. Of a process that has ended nothing more comes, though others may
     * still hold its streams open. */
    if (n == 0 || errno == EIO || p->ended)
        close_stream(p, number);
}

/* One read of each stream: the others want their turn. */
void output_pump(struct process *p)
{
    for (unsigned i = 0; i < 2; i++)
        if (output_ready(&p->out[i]))
            pump_once(p, i);
}

void output_tell_end(struct process *p)
{
    if (!p->ended || p->ended_told || p->out[0].fd >= 0 || p->out[1].fd >= 0 || !may_send())
        return;

    Sandferry__V1__AgentExited exited = SANDFERRY__V1__AGENT_EXITED__INIT;
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;
    exited.container_id = p->container_id;
    exited.exec_id = p->exec_id;
    exited.exit_code = p->exit_code;
    exited.exited_at_ns = p->ended_at_ns;
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_EXITED;
    event.exited = &exited;
    p->ended_told = send_event(&event);
}
