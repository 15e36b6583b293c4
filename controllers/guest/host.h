#ifndef GUEST_HOST_H
#define GUEST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest/dispatch.h"

/*
 * The host's end of the conversation with the agent in the guest. A thread reads and writes the
 * socket of the virtio-serial port; replies wake whoever waits for them, events are queued in the
 * dispatch. Nothing that the guest sends is believed: an answer that nobody waits for is dropped, a
 * message that makes no sense ends the conversation, and a guest that sends more than is taken is
 * read no further. Thread-safe but for new, free, connect, drain and the floors.
 */
struct guest_host;

/* Called with the sandbox's lock held. @event: a Sandferry__V1__AgentEvent, checked and unpacked.
 */
typedef void (*guest_event_fn)(void *context, const void *event);

/* Where a conversation stood, and what of it waits on the host's side. */
struct guest_floors {
    uint64_t next_call_id, last_sent, last_received;
    struct sf_bytes *unacknowledged; /* owned; oldest first */
    size_t n_unacknowledged;
    struct sf_bytes *undelivered; /* owned; events that nobody here has seen yet, oldest first */
    size_t n_undelivered;
};

void guest_floors_done(struct guest_floors *f); /* frees and empties */

/* @name: of the sandbox, for messages. @dispatch: borrowed, outlives the host end. */
struct guest_host *guest_host_new(const char *name, struct dispatch *dispatch, guest_event_fn fn,
                                  void *context, struct sf_error **err);
void guest_host_free(struct guest_host *h); /* ends the conversation; NULL is fine */
SF_DEFINE_CLEANUP(struct guest_host, guest_host_free)

/* Go on where another host end stood. Before connect. INVALID_ARGUMENT if the numbers cannot be. */
bool guest_host_import(struct guest_host *h, const struct guest_floors *floors,
                       struct sf_error **err);
/* Where it stands. Nothing may be under way: drained, or not connected. */
bool guest_host_export(struct guest_host *h, struct guest_floors *ret, struct sf_error **err);

/* @fd: a connected stream socket; given away, also on failure. A repeat takes the place of the old
 * connection; nothing is lost by that. */
bool guest_host_connect(struct guest_host *h, int fd, struct sf_error **err);

/* The VM is lost: whoever waits is told, and nothing goes any more. Any thread. */
void guest_host_fail(struct guest_host *h, const char *why);

/**
 * guest_host_call() - ask, and wait for the answer
 * @request: a Sandferry__V1__AgentRequest; its id is set here
 * @ret:     a Sandferry__V1__AgentReply, the caller's; may be NULL
 *
 * AgentOutputTaken is only sent: its caller may be an event's listener, which the answer would have
 * to overtake. While the guest is quiet (see below) everything else is refused.
 *
 * Return: false with the agent's code and words; UNAVAILABLE if the conversation is over, or there
 * is no answer within @timeout_ms (0: 30 s).
 */
bool guest_host_call(struct guest_host *h, void *request, uint32_t timeout_ms, void **ret,
                     struct sf_error **err);

/**
 * guest_host_tell() - one request that is only sent: there is no answer
 * Also while the guest is quiet, halted or not connected yet: it is kept until it can go.
 *
 * Return: false with UNAVAILABLE if the conversation is over, RESOURCE_EXHAUSTED if too much waits
 * for the guest already: the channel's window, or four times what guest_host_limit_answers() said.
 */
bool guest_host_tell(struct guest_host *h, void *request, struct sf_error **err);

/* Events are handed on only while less than this waits for the guest, in bytes and in messages, so
 * that there is room for what is answered, and a snapshot holds what is not answered yet. Before
 * connect. */
void guest_host_limit_answers(struct guest_host *h, size_t bytes, size_t messages);

/* The agent has answered a freeze (true) or will answer again (false). */
void guest_host_set_quiet(struct guest_host *h, bool quiet);

/**
 * guest_host_drain() - after the processors have stopped: read all that the VM has given out
 *
 * @ret_any: whether there was anything; may be NULL
 *
 * Until no byte has come for some ms. From then on the socket is neither read nor written, until
 * guest_host_go_on() or another drain. Without this the device state that is saved after does not
 * fit guest RAM. QEMU may just not have come round to giving out the rest: so ask it something, and
 * drain again, until there was nothing.
 *
 * Return: false with UNAVAILABLE if it is not quiet after @limit_ms.
 */
bool guest_host_drain(struct guest_host *h, uint32_t limit_ms, bool *ret_any,
                      struct sf_error **err);
void guest_host_go_on(struct guest_host *h);

#endif
