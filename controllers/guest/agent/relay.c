#include "guest/agent/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/agent/outcome.h"
#include "guest/agent/port.h"
#include "sandferry/v1/agent.pb-c.h"

#define PIECE_MAX ((size_t)256 * 1024) /* what the host takes */

bool relay_open(struct relay *r, uint64_t share, int *ret_end)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    *r = (struct relay){.share = share, .fd = ends[0]};
    *ret_end = ends[1];
    return true;
}

/* A child may have a copy of the descriptor: closing it alone would tell the kernel nothing. */
void relay_hang_up(struct relay *r)
{
    if (r->fd < 0)
        return;
    shutdown(r->fd, SHUT_RDWR);
    close(r->fd);
    r->fd = -1;
    free(r->held);
    r->held = NULL;
    r->n_held = 0;
}

/* ---- from the host ---- */

/* What follows the size that a message begins with. */
static uint32_t rest_of(const uint8_t head[4])
{
    uint32_t whole = (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 |
                     (uint32_t)head[3] << 24;

    return whole > 4 ? whole - 4 : 0;
}

static void count_answers(struct relay *r, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t n = r->answer_rest < size ? r->answer_rest : size;
        if (r->answer_rest > 0) {
            r->answer_rest -= (uint32_t)n;
            r->answered += r->answer_rest == 0;
        } else {
            n = 1;
            r->answer_head[r->n_answer_head++] = *data;
            if (r->n_answer_head == sizeof(r->answer_head)) {
                r->n_answer_head = 0;
                r->answer_rest = rest_of(r->answer_head);
            }
        }
        data += n;
        size -= n;
    }
}

bool relay_is_asked(const struct relay *r)
{
    return r->fd >= 0 && r->asked > r->answered;
}

/* False: the kernel's end is gone. */
static bool write_out(struct relay *r)
{
    size_t done = 0;

    while (done < r->n_held) {
        ssize_t n = send(r->fd, r->held + done, r->n_held - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            break;
        done += (size_t)n;
    }
    r->n_held -= done;
    if (r->n_held > 0)
        memmove(r->held, r->held + done, r->n_held);
    return true;
}

static bool hold(struct relay *r, const uint8_t *data, size_t size)
{
    uint8_t *grown = realloc(r->held, r->n_held + size);

    if (grown == NULL)
        return false;
    memcpy(grown + r->n_held, data, size);
    r->held = grown;
    r->n_held += size;
    return true;
}

/* What the kernel does not take because it has gone is lost to nobody. */
static void flush(struct relay *r)
{
    if (!write_out(r))
        r->n_held = 0;
    if (r->n_held == 0) {
        free(r->held);
        r->held = NULL;
        if (r->ending)
            relay_hang_up(r);
    }
}

void relay_give(struct relay *r, const uint8_t *data, size_t size, bool closed)
{
    if (r->fd < 0)
        return;
    if (size > 0 && !hold(r, data, size)) {
        agent_log("no memory for share %llu, ending it", (unsigned long long)r->share);
        relay_hang_up(r);
        return;
    }
    count_answers(r, data, size);
    r->ending = r->ending || closed;
    flush(r);
}

/* ---- from the kernel ---- */

static void tell_host(const struct relay *r, uint8_t *data, size_t size, bool closed)
{
    static uint8_t packed[PIECE_MAX + 64];
    Sandferry__V1__AgentMessage message = SANDFERRY__V1__AGENT_MESSAGE__INIT;
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;
    Sandferry__V1__AgentShareData piece = SANDFERRY__V1__AGENT_SHARE_DATA__INIT;

    piece.share = r->share;
    piece.data = (ProtobufCBinaryData){.data = data, .len = size};
    piece.closed = closed;
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_SHARE_DATA;
    event.share_data = &piece;
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_EVENT;
    message.event = &event;
    if (!port_send(PORT_SHARES, packed, sandferry__v1__agent_message__pack(&message, packed)))
        agent_log("no room for what share %llu says, continuing", (unsigned long long)r->share);
}

static void take_head(struct relay *r, const uint8_t *data, size_t size)
{
    memcpy(r->head + r->n_head, data, size);
    r->n_head += (unsigned)size;
    if (r->n_head < sizeof(r->head))
        return;
    r->rest = rest_of(r->head);
    if (r->rest == 0)
        r->n_head = 0;
}

/* Up to the end of the message; what has come of it. -1: nothing for now; 0: the kernel has gone.
 */
static ssize_t read_piece(struct relay *r, uint8_t *data)
{
    size_t size = 0;

    while (size < PIECE_MAX) {
        bool in_head = r->rest == 0;
        size_t wanted = in_head ? sizeof(r->head) - r->n_head : r->rest;
        size_t room = PIECE_MAX - size;
        ssize_t n = recv(r->fd, data + size, wanted < room ? wanted : room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return size > 0 ? (ssize_t)size : n < 0 && errno == EAGAIN ? -1 : 0;
        if (in_head)
            take_head(r, data + size, (size_t)n);
        else
            r->rest -= (uint32_t)n;
        size += (size_t)n;
        if (!in_head && r->rest == 0) {
            r->n_head = 0;
            r->asked++;
            break;
        }
    }
    return (ssize_t)size;
}

bool relay_read(struct relay *r)
{
    static uint8_t data[PIECE_MAX];
    ssize_t n = read_piece(r, data);

    if (n > 0)
        tell_host(r, data, (size_t)n, false);
    if (n == 0) {
        tell_host(r, NULL, 0, true);
        relay_hang_up(r);
    }
    return n > 0;
}

short relay_wants(const struct relay *r)
{
    if (r->fd < 0)
        return 0;
    return (short)((port_has_room(PORT_SHARES) ? POLLIN : 0) | (r->n_held > 0 ? POLLOUT : 0));
}

void relay_ready(struct relay *r, short revents)
{
    if (r->fd >= 0 && r->n_held > 0)
        flush(r);
    if (r->fd >= 0 && (revents & (POLLIN | POLLHUP | POLLERR)) != 0 && port_has_room(PORT_SHARES))
        relay_read(r);
}
