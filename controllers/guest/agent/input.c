/* What the host gives a process to read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/aside.h"
#include "guest/agent/freeze.h"
#include "guest/agent/process.h"
#include "guest/agent/reply.h"
#include "guest/agent/share.h"

#define AT_ONCE_MAX ((size_t)64 * 1024)
#define HELD_MAX    ((size_t)256 * 1024) /* bytes kept for a process that does not read */

#define TERMINAL_EOF 4 /* ^D */

static void answer(const struct process *p, uint64_t call)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentInputReply input = SANDFERRY__V1__AGENT_INPUT_REPLY__INIT;

    input.offset = p->in.offset;
    reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_INPUT;
    reply.input = &input;
    reply_send(call, &(struct outcome){0}, &reply);
}

static void close_input(struct input *in)
{
    if (in->fd >= 0) {
        step_aside();
        close(in->fd);
        step_back();
    }
    in->fd = -1;
    free(in->held);
    in->held = NULL;
    in->size = 0;
}

bool input_wants(const struct input *in)
{
    return in->fd >= 0 && in->size > 0 && !freeze_is_on() && !share_is_hushed();
}

void input_pump(struct process *p)
{
    struct input *in = &p->in;

    while (input_wants(in)) {
        step_aside();
        ssize_t n = write(in->fd, in->held, in->size);
        int saved = errno;
        step_back();
        errno = saved;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !p->ended)
            break;
        if (n < 0) {
            close_input(in); /* nobody reads any more: what it was given is gone, as in any pipe */
            break;
        }
        in->size -= (size_t)n;
        memmove(in->held, in->held + n, in->size);
    }
    if (in->closing && in->size == 0 && !p->terminal)
        close_input(in);
}

/* How many bytes at the beginning it has been given before. */
static bool repeated(const struct process *p, const Sandferry__V1__AgentInput *r, size_t *ret,
                     struct outcome *o)
{
    *ret = 0;
    if (!r->at_offset || r->offset == p->in.offset)
        return true;
    if (r->offset > p->in.offset)
        return outcome_fail(
            o, SF_OUT_OF_RANGE, "a process of container '%s' has been given %llu bytes, not %llu",
            r->container_id, (unsigned long long)p->in.offset, (unsigned long long)r->offset);
    uint64_t before = p->in.offset - r->offset;
    *ret = before < r->data.len ? (size_t)before : r->data.len;
    return true;
}

static bool check(const struct process *p, const Sandferry__V1__AgentInput *r, struct outcome *o)
{
    if (p->in.closing || p->in.fd < 0 || p->ended)
        return outcome_fail(o, SF_FAILED_PRECONDITION,
                            "the standard input of container '%s' is closed", r->container_id);
    if (r->data.len > AT_ONCE_MAX)
        return outcome_fail(o, SF_INVALID_ARGUMENT, "%zu bytes of input at once: at most %zu",
                            r->data.len, AT_ONCE_MAX);
    if (p->in.size + r->data.len + 1 > HELD_MAX)
        return outcome_fail(o, SF_RESOURCE_EXHAUSTED,
                            "container '%s' has not read %zu bytes of earlier input yet; try again",
                            r->container_id, p->in.size);
    return true;
}

static bool hold(struct input *in, const void *data, size_t size, struct outcome *o)
{
    uint8_t *grown = realloc(in->held, in->size + size + 1);

    if (grown == NULL)
        return outcome_fail(o, SF_RESOURCE_EXHAUSTED, "the guest has no memory for input");
    in->held = grown;
    if (size > 0)
        memcpy(in->held + in->size, data, size);
    in->size += size;
    return true;
}

static bool take(struct process *p, const Sandferry__V1__AgentInput *r, struct outcome *o)
{
    static const uint8_t end = TERMINAL_EOF;
    size_t before;

    if (!repeated(p, r, &before, o))
        return false;
    if (before == r->data.len && r->at_offset && (!r->close || p->in.closing))
        return true; /* all of it */
    if (!check(p, r, o) || !hold(&p->in, r->data.data + before, r->data.len - before, o) ||
        (r->close && p->terminal && !hold(&p->in, &end, 1, o)))
        return false;
    p->in.offset += r->data.len - before;
    p->in.closing = r->close;
    return true;
}

/* Answered as soon as the bytes are held: the host has a lock while it waits. */
void input_take(struct process *p, uint64_t call, const Sandferry__V1__AgentInput *r)
{
    struct outcome o = {0};

    if (!take(p, r, &o)) {
        reply_outcome(call, &o);
        return;
    }
    input_pump(p);
    answer(p, call);
}
