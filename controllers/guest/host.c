#include "host.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "guest/host_private.h"
#include "snapshot/wire.h"

#define CALL_TIMEOUT_MS 30000
#define QUIET_MS        2

typedef Sandferry__V1__AgentRequest Request;
typedef Sandferry__V1__AgentReply Reply;
typedef Sandferry__V1__AgentEvent Event;

static const struct sf_wire_limits message_limits = {
    .size = CHANNEL_MESSAGE_MAX,
    .depth = 8,
    .elements = 4096,
    .string = 1024 * 1024,
    .bytes = 256 * 1024,
};

/* A call that waits. On its caller's stack. */
struct waiter {
    struct waiter *next;
    uint64_t id;
    Message *answer; /* owned; NULL: not yet */
};

/* ---- making and ending ---- */

static void cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static void wake_thread(struct guest_host *h)
{
    uint64_t one = 1;
    ssize_t n = write(h->wake, &one, sizeof(one)); /* full: it is awake anyway */
    (void)n;
}

static void room_again(void *context)
{
    wake_thread(context);
}

struct guest_host *guest_host_new(const char *name, struct dispatch *dispatch, guest_event_fn fn,
                                  void *context, struct sf_error **err)
{
    struct guest_host *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }
    pthread_mutex_init(&h->mutex, NULL);
    cond_init_monotonic(&h->cond);
    h->fn = fn;
    h->context = context;
    h->fd = -1;
    h->next_call_id = 1;
    h->name = strdup(name);
    h->channel = channel_new();
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->name == NULL || h->channel == NULL || h->wake < 0) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory or descriptors for the agent of '%s'", name);
        guest_host_free(h);
        return NULL;
    }
    h->dispatch = dispatch;
    dispatch_on_room(dispatch, room_again, h);
    return h;
}

static void end_thread(struct guest_host *h)
{
    if (!h->running)
        return;
    pthread_mutex_lock(&h->mutex);
    h->ending = true;
    pthread_mutex_unlock(&h->mutex);
    wake_thread(h);
    pthread_join(h->thread, NULL);
    h->running = false;
    h->ending = false;
    close(h->fd);
    h->fd = -1;
}

void guest_host_free(struct guest_host *h)
{
    if (h == NULL)
        return;
    if (h->dispatch != NULL)
        dispatch_on_room(h->dispatch, NULL, NULL);
    end_thread(h);
    if (h->wake >= 0)
        close(h->wake);
    channel_free(h->channel);
    pthread_mutex_destroy(&h->mutex);
    pthread_cond_destroy(&h->cond);
    free(h->problem);
    free(h->name);
    free(h);
}

/* ---- what the guest says ---- */

/* Once the conversation is over nothing is answered, and everybody is to hear of it. */
void guest_host_look_for_room(struct guest_host *h)
{
    if (h->answers_bytes == 0)
        return;
    bool full = channel_waiting(h->channel) >= h->answers_bytes ||
                channel_n_unacknowledged(h->channel) >= h->answers_messages;
    dispatch_set_stop(h->dispatch, DISPATCH_ROOM, full && h->problem == NULL);
}

void guest_host_limit_answers(struct guest_host *h, size_t bytes, size_t messages)
{
    pthread_mutex_lock(&h->mutex);
    h->answers_bytes = bytes;
    h->answers_messages = messages;
    guest_host_look_for_room(h);
    pthread_mutex_unlock(&h->mutex);
}

/* With the mutex held. The first problem is the one that counts. */
static void set_problem(struct guest_host *h, const char *text)
{
    if (h->problem == NULL) {
        h->problem = strdup(text);
        channel_disconnect(h->channel);
        guest_host_look_for_room(h);
    }
    pthread_cond_broadcast(&h->cond);
}

void guest_host_fail(struct guest_host *h, const char *why)
{
    pthread_mutex_lock(&h->mutex);
    set_problem(h, why);
    pthread_mutex_unlock(&h->mutex);
    wake_thread(h);
}

void guest_host_deliver(void *context, const void *data, size_t size)
{
    struct guest_host *h = context;

    if (size == 0) {
        h->fn(h->context, NULL);
        return;
    }
    Message *message = sandferry__v1__agent_message__unpack(NULL, size, data);
    if (message == NULL) /* it was checked: no memory */
        sf_warning("sandbox '%s': no memory for what the guest says, it is dropped, continuing",
                   h->name);
    else
        h->fn(h->context, message->event);
    sandferry__v1__agent_message__free_unpacked(message, NULL);
}

/* With the mutex held. An agent that cannot be understood is not listened to any more. */
static void give_up(struct guest_host *h, const char *what)
{
    SF_CLEANUP(sf_freep)
    char *text = sf_format("the agent in the guest cannot be understood: %s", what);
    if (h->problem == NULL)
        dispatch_post(h->dispatch, guest_host_deliver, h, NULL, 0);
    set_problem(h, text == NULL ? what : text);
}

/* Gives the answer to the one who waits for it; an answer that nobody waits for is dropped. */
static void take_reply(struct guest_host *h, Message *message)
{
    for (struct waiter *w = h->waiters; w != NULL; w = w->next)
        if (w->id == message->reply->id && w->answer == NULL) {
            w->answer = message;
            pthread_cond_broadcast(&h->cond);
            return;
        }
    sandferry__v1__agent_message__free_unpacked(message, NULL);
}

Message *guest_host_unpack(const void *data, size_t size, struct sf_error **err)
{
    Message *message = NULL;

    if (!sf_wire_check(&sandferry__v1__agent_message__descriptor, data, size, &message_limits, err))
        return NULL;
    message = sandferry__v1__agent_message__unpack(NULL, size, data);
    if (message == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory, or no message");
    return message;
}

static void take_message(struct guest_host *h, const struct channel_message *m)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    Message *message = guest_host_unpack(m->data, m->size, &err);

    if (message == NULL) {
        give_up(h, sf_error_message(err));
        return;
    }
    if (message->body_case == SANDFERRY__V1__AGENT_MESSAGE__BODY_REPLY) {
        take_reply(h, message);
        return;
    }
    if (message->body_case != SANDFERRY__V1__AGENT_MESSAGE__BODY_EVENT)
        give_up(h, "neither a reply nor an event");
    else if (!dispatch_post(h->dispatch, guest_host_deliver, h, m->data, m->size))
        give_up(h, "no memory for an event");
    sandferry__v1__agent_message__free_unpacked(message, NULL);
}

/* With the mutex held. */
static void take_bytes(struct guest_host *h, const uint8_t *bytes, size_t n)
{
    struct channel_message m;
    enum channel_result result = CHANNEL_BROKEN;

    if (!channel_input(h->channel, bytes, n)) {
        give_up(h, "no memory for what it sends");
        return;
    }
    while (h->problem == NULL && (result = channel_receive(h->channel, &m)) == CHANNEL_MESSAGE)
        take_message(h, &m);
    if (h->problem == NULL && result == CHANNEL_BROKEN)
        give_up(h, channel_problem(h->channel));
}

/* ---- the thread ---- */

/* Writes as much as goes. With the mutex held. *@ret_more: there is more, and it did not go. */
static void write_out(struct guest_host *h, bool *ret_more)
{
    size_t size;
    const void *bytes;

    *ret_more = false;
    while (h->mode == GO && h->problem == NULL &&
           (bytes = channel_output(h->channel, &size)) != NULL) {
        ssize_t n = send(h->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            *ret_more = errno == EAGAIN || errno == EINTR;
            return; /* anything else shows when reading */
        }
        channel_wrote(h->channel, (size_t)n);
    }
}

/* Reads once. False: the other side is gone. */
static bool read_in(struct guest_host *h, uint8_t *buffer, size_t room, bool *ret_any)
{
    ssize_t n = recv(h->fd, buffer, room, MSG_DONTWAIT);

    *ret_any = n > 0;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return false;
    if (n > 0) {
        pthread_mutex_lock(&h->mutex);
        h->drained_any = true;
        take_bytes(h, buffer, (size_t)n);
        guest_host_look_for_room(h);
        pthread_mutex_unlock(&h->mutex);
    }
    return true;
}

struct look {
    bool over, reads, writes, drains;
};

/* What is to be done next, and writes what goes at once. */
static struct look look_around(struct guest_host *h)
{
    struct look look = {0};

    pthread_mutex_lock(&h->mutex);
    write_out(h, &look.writes);
    look.over = h->ending || h->problem != NULL;
    look.drains = h->mode == DRAIN;
    look.reads = look.drains || (h->mode == GO && !dispatch_full(h->dispatch));
    pthread_mutex_unlock(&h->mutex);
    return look;
}

static void now_quiet(struct guest_host *h)
{
    pthread_mutex_lock(&h->mutex);
    if (h->mode == DRAIN)
        h->mode = HALTED;
    pthread_cond_broadcast(&h->cond);
    pthread_mutex_unlock(&h->mutex);
}

static void clear_wake(struct guest_host *h)
{
    uint64_t count;
    ssize_t n = read(h->wake, &count, sizeof(count));
    (void)n;
}

/* One turn. False: the connection is over. */
static bool turn(struct guest_host *h, uint8_t *buffer, size_t room)
{
    struct look look = look_around(h);
    if (look.over)
        return false;

    struct pollfd fds[2] = {
        {.fd = look.reads || look.writes ? h->fd : -1,
         .events = (short)((look.reads ? POLLIN : 0) | (look.writes ? POLLOUT : 0))},
        {.fd = h->wake, .events = POLLIN},
    };
    int n = poll(fds, 2, look.drains ? QUIET_MS : -1);
    if (n == 0)
        now_quiet(h);
    if (fds[1].revents != 0)
        clear_wake(h);
    bool any;
    if (look.reads && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        return read_in(h, buffer, room, &any);
    return true;
}

static void *run_thread(void *arg)
{
    struct guest_host *h = arg;
    size_t room = 256 * 1024;
    uint8_t *buffer = malloc(room);

    while (buffer != NULL && turn(h, buffer, room))
        ;
    free(buffer);
    pthread_mutex_lock(&h->mutex);
    if (!h->ending && h->problem == NULL) {
        set_problem(h, "QEMU has closed the agent's line");
        h->curable = true;
    }
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

bool guest_host_connect(struct guest_host *h, int fd, struct sf_error **err)
{
    uint64_t nonce;

    end_thread(h);
    if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce)) {
        close(fd);
        return sf_fail(err, SF_UNAVAILABLE, "no entropy");
    }
    if (h->curable) {
        free(SF_STEAL(h->problem));
        h->curable = false;
    }
    h->fd = fd;
    h->mode = GO;
    channel_connect(h->channel, nonce);
    if (pthread_create(&h->thread, NULL, run_thread, h) != 0) {
        close(fd);
        h->fd = -1;
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no thread for the agent of '%s'", h->name);
    }
    h->running = true;
    return true;
}

/* ---- calls ---- */

static struct timespec deadline_in(uint32_t timeout_ms)
{
    int64_t at = sf_clock_monotonic_ns() + timeout_ms * SF_NS_PER_MS;

    return (struct timespec){.tv_sec = at / SF_NS_PER_S, .tv_nsec = at % SF_NS_PER_S};
}

static bool is_over(struct guest_host *h, struct sf_error **err)
{
    if (h->problem != NULL)
        sf_fail(err, SF_UNAVAILABLE, "the guest of sandbox '%s' cannot be reached: %s", h->name,
                h->problem);
    else if (h->fd < 0)
        sf_fail(err, SF_UNAVAILABLE, "the guest of sandbox '%s' is not connected", h->name);
    else
        return false;
    return true;
}

static bool send_request(struct guest_host *h, Request *request, struct sf_error **err)
{
    Message message = SANDFERRY__V1__AGENT_MESSAGE__INIT;
    struct sf_bytes packed SF_CLEANUP(sf_bytes_done) = {0};

    request->id = h->next_call_id;
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_REQUEST;
    message.request = request;
    packed.size = sandferry__v1__agent_message__get_packed_size(&message);
    if (packed.size > CHANNEL_MESSAGE_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "a request of %zu bytes to the guest of sandbox '%s': at most %zu",
                       packed.size, h->name, CHANNEL_MESSAGE_MAX);
    packed.data = malloc(packed.size);
    if (packed.data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    sandferry__v1__agent_message__pack(&message, packed.data);
    if (!channel_send(h->channel, packed.data, packed.size))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "the guest of sandbox '%s' takes nothing: too much waits for it already",
                       h->name);
    h->next_call_id++;
    guest_host_look_for_room(h);
    return true;
}

static void unlink_waiter(struct guest_host *h, struct waiter *waiter)
{
    struct waiter **link = &h->waiters;

    while (*link != waiter)
        link = &(*link)->next;
    *link = waiter->next;
}

/* With the mutex held. */
static bool wait_for(struct guest_host *h, struct waiter *waiter, uint32_t timeout_ms,
                     struct sf_error **err)
{
    struct timespec deadline = deadline_in(timeout_ms);
    int timed_out = 0;

    while (waiter->answer == NULL && !timed_out && h->problem == NULL)
        timed_out = pthread_cond_timedwait(&h->cond, &h->mutex, &deadline) == ETIMEDOUT;
    unlink_waiter(h, waiter);
    if (waiter->answer != NULL)
        return true;
    if (is_over(h, err))
        return false;
    return sf_fail(err, SF_UNAVAILABLE,
                   "the guest of sandbox '%s' has not answered for %u ms: try again, or stop the "
                   "sandbox if it stays so",
                   h->name, timeout_ms);
}

/* The guest chooses its words; the code must be one. */
static bool check_reply(struct guest_host *h, const Reply *reply, struct sf_error **err)
{
    if (reply->code == SF_OK)
        return true;
    enum sf_code code = reply->code <= SF_UNAUTHENTICATED ? reply->code : SF_UNKNOWN;
    return sf_fail(err, code, "guest of sandbox '%s': %.2000s", h->name, reply->message);
}

static bool give_reply(struct guest_host *h, Message *answer, void **ret, struct sf_error **err)
{
    bool ok = check_reply(h, answer->reply, err);

    if (ok && ret != NULL) {
        *ret = answer->reply;
        answer->reply = NULL;
        answer->body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY__NOT_SET;
    }
    sandferry__v1__agent_message__free_unpacked(answer, NULL);
    return ok;
}

/* With the mutex held. *@ret_waits: an answer will come. */
static bool begin_call(struct guest_host *h, Request *request, struct waiter *waiter,
                       bool *ret_waits, struct sf_error **err)
{
    *ret_waits = request->body_case != SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN;
    if (is_over(h, err))
        return false;
    if (h->quiet && *ret_waits)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the guest of sandbox '%s' is frozen for a save", h->name);
    if (!send_request(h, request, err))
        return false;
    if (*ret_waits) {
        *waiter = (struct waiter){.id = request->id, .next = h->waiters};
        h->waiters = waiter;
    }
    return true;
}

bool guest_host_call(struct guest_host *h, void *request, uint32_t timeout_ms, void **ret,
                     struct sf_error **err)
{
    struct waiter waiter;
    bool waits;

    if (ret != NULL)
        *ret = NULL;
    pthread_mutex_lock(&h->mutex);
    bool ok = begin_call(h, request, &waiter, &waits, err);
    if (ok)
        wake_thread(h);
    if (ok && waits)
        ok = wait_for(h, &waiter, timeout_ms == 0 ? CALL_TIMEOUT_MS : timeout_ms, err);
    pthread_mutex_unlock(&h->mutex);
    return ok && (!waits || give_reply(h, waiter.answer, ret, err));
}

/* A guest that has many answers come of one piece has them kept, to a point. */
static bool may_answer(struct guest_host *h, struct sf_error **err)
{
    return h->answers_bytes == 0 || channel_waiting(h->channel) < 4 * h->answers_bytes ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED,
                   "the guest of sandbox '%s' has not taken %zu bytes of what it asked for",
                   h->name, channel_waiting(h->channel));
}

bool guest_host_tell(struct guest_host *h, void *request, struct sf_error **err)
{
    pthread_mutex_lock(&h->mutex);
    bool over = h->problem != NULL && is_over(h, err);
    bool ok = !over && may_answer(h, err) && send_request(h, request, err);
    if (ok)
        wake_thread(h);
    pthread_mutex_unlock(&h->mutex);
    return ok;
}

/* ---- around a save ---- */

void guest_host_set_quiet(struct guest_host *h, bool quiet)
{
    pthread_mutex_lock(&h->mutex);
    h->quiet = quiet;
    pthread_mutex_unlock(&h->mutex);
}

static void set_mode(struct guest_host *h, enum mode mode)
{
    h->mode = mode;
    wake_thread(h);
}

/* With the mutex held. */
static bool drain(struct guest_host *h, uint32_t limit_ms, bool *ret_any, struct sf_error **err)
{
    struct timespec deadline = deadline_in(limit_ms);
    int timed_out = 0;

    if (is_over(h, err))
        return false;
    h->drained_any = false;
    set_mode(h, DRAIN);
    while (h->mode == DRAIN && h->problem == NULL && !timed_out)
        timed_out = pthread_cond_timedwait(&h->cond, &h->mutex, &deadline) == ETIMEDOUT;
    if (is_over(h, err))
        return false;
    if (h->mode == HALTED) {
        if (ret_any != NULL)
            *ret_any = h->drained_any;
        return true;
    }
    set_mode(h, GO);
    return sf_fail(err, SF_UNAVAILABLE,
                   "the guest of sandbox '%s' still sends %u ms after its processors stopped",
                   h->name, limit_ms);
}

bool guest_host_drain(struct guest_host *h, uint32_t limit_ms, bool *ret_any, struct sf_error **err)
{
    pthread_mutex_lock(&h->mutex);
    bool ok = drain(h, limit_ms, ret_any, err);
    pthread_mutex_unlock(&h->mutex);
    return ok;
}

void guest_host_go_on(struct guest_host *h)
{
    pthread_mutex_lock(&h->mutex);
    set_mode(h, GO);
    pthread_mutex_unlock(&h->mutex);
}
