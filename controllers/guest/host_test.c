#include "guest/host.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/suite.h"
#include "guest/fake_agent.h"
#include "guest/host_private.h"
#include "sandferry/v1/agent.pb-c.h"

/*
 * The host's end against an agent that the test plays: it has a channel of its own and the other
 * end of a socketpair, and does what a test says when the test says it.
 */

#define WAIT_MS 10000

/* ---- a sandbox's lock, and what its listener has seen ---- */

static pthread_mutex_t sandbox = PTHREAD_MUTEX_INITIALIZER;
static struct dispatch *dispatch;
static struct guest_host *host;
static struct sf_error *err;
static uint64_t seen[100000]; /* offsets of output events, in order; under the sandbox's lock */
static size_t n_seen;
static bool conversation_over;

static void lock(void *context)
{
    pthread_mutex_lock(context);
}

static void unlock(void *context)
{
    pthread_mutex_unlock(context);
}

static void on_event(void *context, const void *event)
{
    const Sandferry__V1__AgentEvent *e = event;

    (void)context;
    if (e == NULL)
        conversation_over = true;
    else if (e->body_case == SANDFERRY__V1__AGENT_EVENT__BODY_OUTPUT)
        seen[n_seen++] = e->output->offset;
}

/* ---- connections ---- */

static void connect_host(struct guest_host *h)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    if (agent.fd >= 0)
        close(agent.fd);
    agent.fd = pair[1];
    ck_assert_msg(guest_host_connect(h, pair[0], &err), "%s", SF_WHY(err));
}

static void make_host(void)
{
    struct dispatch_ops ops = {.lock = lock, .unlock = unlock, .context = &sandbox};

    dispatch = dispatch_new(&ops, &err);
    ck_assert_ptr_nonnull(dispatch);
    host = guest_host_new("s1", dispatch, on_event, NULL, &err);
    ck_assert_ptr_nonnull(host);
}

static void free_host(void)
{
    guest_host_free(host);
    dispatch_free(dispatch);
}

static void set_up(void)
{
    err = NULL;
    n_seen = 0;
    conversation_over = false;
    memset(&agent, 0, sizeof(agent));
    agent.fd = -1;
    agent.channel = channel_new();
    channel_connect(agent.channel, 1);
    pthread_mutex_lock(&sandbox); /* a class function runs */
    make_host();
    connect_host(host);
}

static void tear_down(void)
{
    free_host();
    pthread_mutex_unlock(&sandbox);
    channel_free(agent.channel);
    close(agent.fd);
    sf_error_free(err);
}

/* ---- calls: on a thread of their own, since the test's is the agent ---- */

struct call {
    pthread_t thread;
    unsigned body;
    uint32_t timeout_ms;
    bool ok;
    struct sf_error *err;
    void *reply;
};

static void *run_call(void *arg)
{
    struct call *c = arg;
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentFreeze freeze = SANDFERRY__V1__AGENT_FREEZE__INIT;
    Sandferry__V1__AgentOutputTaken taken = SANDFERRY__V1__AGENT_OUTPUT_TAKEN__INIT;

    request.body_case = c->body;
    if (c->body == SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN)
        request.output_taken = &taken;
    else
        request.freeze = &freeze;
    c->ok = guest_host_call(host, &request, c->timeout_ms, &c->reply, &c->err);
    return NULL;
}

static void begin_call(struct call *c, uint32_t timeout_ms)
{
    *c = (struct call){.body = SANDFERRY__V1__AGENT_REQUEST__BODY_FREEZE, .timeout_ms = timeout_ms};
    ck_assert_int_eq(pthread_create(&c->thread, NULL, run_call, c), 0);
}

static void end_call(struct call *c)
{
    pthread_join(c->thread, NULL);
}

static void done_call(struct call *c)
{
    sf_error_free(c->err);
    sandferry__v1__agent_reply__free_unpacked(c->reply, NULL);
}

static void expect_unavailable(struct call *c, const char *words)
{
    ck_assert(!c->ok);
    ck_assert_int_eq(sf_error_code(c->err), SF_UNAVAILABLE);
    ck_assert_msg(strstr(sf_error_message(c->err), words) != NULL, "%s", sf_error_message(c->err));
}

/* ---- the tests ---- */

START_TEST(a_call_gets_its_answer)
{
    struct call c;

    begin_call(&c, WAIT_MS);
    AGENT_UNTIL(agent.n_asked == 1);
    agent_reply(agent.asked + 7, 0, ""); /* to nobody */
    agent_reply(agent.asked, 0, "hello");
    agent_reply(agent.asked, 5, "twice");
    end_call(&c);
    ck_assert_msg(c.ok, "%s", SF_WHY(c.err));
    ck_assert_str_eq(((Reply *)c.reply)->message, "hello");
    done_call(&c);
}
END_TEST

START_TEST(a_refusal_has_the_agents_code_and_words)
{
    static const struct {
        uint32_t code;
        enum sf_code want;
    } rows[] = {{5, SF_NOT_FOUND}, {9, SF_FAILED_PRECONDITION}, {99, SF_UNKNOWN}};
    struct call c;

    for (size_t i = 0; i < 3; i++) {
        begin_call(&c, WAIT_MS);
        AGENT_UNTIL(agent.n_asked == i + 1);
        agent_reply(agent.asked, rows[i].code, "no such disk");
        end_call(&c);
        ck_assert(!c.ok);
        ck_assert_int_eq(sf_error_code(c.err), rows[i].want);
        ck_assert_ptr_nonnull(strstr(sf_error_message(c.err), "no such disk"));
        ck_assert_ptr_null(c.reply);
        done_call(&c);
    }
}
END_TEST

START_TEST(silence_ends_a_call_and_not_the_conversation)
{
    struct call c;

    begin_call(&c, 50);
    AGENT_UNTIL(agent.n_asked == 1);
    end_call(&c);
    expect_unavailable(&c, "has not answered for 50 ms");
    done_call(&c);
    agent_reply(agent.asked, 0, "too late");

    begin_call(&c, WAIT_MS);
    AGENT_UNTIL(agent.n_asked == 2);
    agent_reply(agent.asked, 0, "in time");
    end_call(&c);
    ck_assert_str_eq(((Reply *)c.reply)->message, "in time");
    done_call(&c);
}
END_TEST

START_TEST(a_vm_that_ends_wakes_whoever_waits)
{
    struct call c;

    begin_call(&c, 60000);
    AGENT_UNTIL(agent.n_asked == 1);
    if (_i == 0)
        guest_host_fail(host, "QEMU has ended");
    else
        shutdown(agent.fd, SHUT_RDWR);
    end_call(&c);
    expect_unavailable(&c, _i == 0 ? "QEMU has ended" : "QEMU has closed");
    done_call(&c);
}
END_TEST

/* What an agent that is no friend may send. */
static void send_nonsense(int i)
{
    Message message = SANDFERRY__V1__AGENT_MESSAGE__INIT;
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    static const uint8_t not_utf8[] = {0x12, 0x04, 0x1a, 0x02, 0xff, 0xfe};
    static const uint8_t huge_length[] = {0x12, 0xff, 0xff, 0xff, 0xff, 0x07};
    static const uint8_t not_proto[] = {0x07, 0x07, 0x07};

    switch (i) {
    case 0:
        message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_REQUEST;
        message.request = &request;
        ck_assert(agent_say(&message));
        break;
    case 1:
        ck_assert(channel_send(agent.channel, not_utf8, sizeof(not_utf8)));
        break;
    case 2:
        ck_assert(channel_send(agent.channel, huge_length, sizeof(huge_length)));
        break;
    case 3:
        ck_assert(channel_send(agent.channel, not_proto, sizeof(not_proto)));
        break;
    default: /* what only a guest that was booted anew would say */
        channel_free(agent.channel);
        agent.channel = channel_new();
        channel_connect(agent.channel, 9);
    }
}

START_TEST(nonsense_ends_the_conversation)
{
    struct call c;

    begin_call(&c, WAIT_MS);
    AGENT_UNTIL(agent.n_asked == 1);
    agent_reply(agent.asked, 0, "");
    end_call(&c);
    done_call(&c);

    begin_call(&c, 60000);
    AGENT_UNTIL(agent.n_asked == 2);
    AGENT_UNTIL(channel_n_unacknowledged(agent.channel) == 0);
    send_nonsense(_i);
    for (int turns = 0; turns < 20; turns++)
        agent_turn(5);
    end_call(&c);
    expect_unavailable(&c, "cannot be understood");
    done_call(&c);
    dispatch_run(dispatch);
    ck_assert(conversation_over);
}
END_TEST

START_TEST(noise_is_survived)
{
    struct call c;
    uint8_t noise[3000];

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)(i * 7 + 1);
    AGENT_UNTIL(channel_in_step(agent.channel));
    ck_assert_int_eq(send(agent.fd, noise, sizeof(noise), 0), (ssize_t)sizeof(noise));
    begin_call(&c, WAIT_MS);
    AGENT_UNTIL(agent.n_asked == 1);
    agent_reply(agent.asked, 0, "");
    AGENT_UNTIL(channel_n_unacknowledged(agent.channel) == 0);
    end_call(&c);
    ck_assert_msg(c.ok, "%s", SF_WHY(c.err));
    done_call(&c);
}
END_TEST

/* Lets the dispatcher run until it has brought so many events. */
static void await_seen(size_t n)
{
    int64_t end = sf_clock_monotonic_ns() + WAIT_MS * SF_NS_PER_MS;

    while (n_seen < n) {
        ck_assert_msg(sf_clock_monotonic_ns() < end, "%zu of %zu events", n_seen, n);
        pthread_mutex_unlock(&sandbox);
        agent_turn(1);
        pthread_mutex_lock(&sandbox);
    }
}

static void expect_in_order(size_t n)
{
    ck_assert_uint_eq(n_seen, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(seen[i], i);
}

START_TEST(events_come_in_order_under_the_lock)
{
    for (uint64_t i = 0; i < 300; i++) {
        ck_assert(agent_output(i, 1000));
        agent_turn(0);
    }
    ck_assert_uint_eq(n_seen, 0); /* the test has the lock */
    await_seen(300);
    expect_in_order(300);
}
END_TEST

START_TEST(a_flood_is_held_back_and_not_lost)
{
    uint64_t sent = 0, total = DISPATCH_BYTES_MAX / 60000 + 400;

    /* Until the host reads no more: nothing goes for a while though there is something to send. */
    for (int idle = 0; idle < 50;) {
        uint64_t before = sent;
        while (sent < total && agent_output(sent, 60000))
            sent++;
        agent_turn(1);
        idle = sent == before ? idle + 1 : 0;
        ck_assert_msg(sent < total, "everything was read");
    }
    ck_assert(dispatch_full(dispatch));
    while (sent < total) {
        pthread_mutex_unlock(&sandbox);
        while (sent < total && agent_output(sent, 60000))
            sent++;
        agent_turn(1);
        pthread_mutex_lock(&sandbox);
    }
    await_seen(total);
    expect_in_order(total);
}
END_TEST

START_TEST(a_new_connection_loses_and_repeats_nothing)
{
    for (uint64_t i = 0; i < 200; i++) {
        ck_assert(agent_output(i, 500));
        if (i % 37 == 36) {
            connect_host(host);
            channel_connect(agent.channel, i);
        }
        agent_turn(0);
    }
    await_seen(200);
    expect_in_order(200);
}
END_TEST

START_TEST(what_waits_travels)
{
    struct guest_floors floors SF_CLEANUP(guest_floors_done) = {0};

    for (uint64_t i = 0; i < 50; i++)
        ck_assert(agent_output(i, 500));
    AGENT_UNTIL(channel_n_unacknowledged(agent.channel) == 0);
    ck_assert_msg(guest_host_drain(host, WAIT_MS, NULL, &err), "%s", SF_WHY(err));
    struct call c = {.body = SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN};
    run_call(&c); /* is only sent, and now not even that */
    ck_assert_msg(c.ok, "%s", SF_WHY(c.err));
    ck_assert_msg(guest_host_export(host, &floors, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(floors.n_undelivered, 50);
    ck_assert_uint_eq(floors.n_unacknowledged, 1);
    ck_assert_uint_eq(floors.next_call_id, 2);
    ck_assert_uint_eq(agent.n_asked, 0);

    free_host(); /* and somewhere else */
    ck_assert_uint_eq(n_seen, 0);
    make_host();
    ck_assert_msg(guest_host_import(host, &floors, &err), "%s", SF_WHY(err));
    connect_host(host);
    AGENT_UNTIL(agent.n_asked == 1);
    ck_assert_uint_eq(agent.asked, 1);
    ck_assert(agent_output(50, 500));
    await_seen(51);
    expect_in_order(51);
}
END_TEST

START_TEST(floors_that_cannot_be_are_refused)
{
    struct sf_bytes one = {.data = (uint8_t *)"x", .size = 1};
    struct guest_floors floors = {.next_call_id = 1, .unacknowledged = &one, .n_unacknowledged = 1};

    free_host();
    make_host();
    ck_assert(!guest_host_import(host, &floors, &err)); /* nothing sent, one unacknowledged */
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(SF_STEAL(err));
    floors = (struct guest_floors){.next_call_id = 0};
    ck_assert(!guest_host_import(host, &floors, &err));
    sf_error_free(SF_STEAL(err));
    floors = (struct guest_floors){.next_call_id = 1, .undelivered = &one, .n_undelivered = 1};
    ck_assert(!guest_host_import(host, &floors, &err)); /* not an event */
}
END_TEST

START_TEST(a_drain_reads_everything_and_then_nothing)
{
    uint64_t n = 0;

    AGENT_UNTIL(channel_in_step(agent.channel));
    while (n < 100 && agent_output(n, 1000))
        n++;
    AGENT_UNTIL(agent_has_written());
    ck_assert_msg(guest_host_drain(host, WAIT_MS, NULL, &err), "%s", SF_WHY(err));
    dispatch_run(dispatch); /* the lock is the caller's */
    expect_in_order(n);

    ck_assert(agent_output(n, 1000)); /* nobody reads now */
    for (int i = 0; i < 10; i++)
        agent_turn(5);
    dispatch_run(dispatch);
    ck_assert_uint_eq(n_seen, n);
    bool any = false; /* but a second drain finds it */
    ck_assert(guest_host_drain(host, WAIT_MS, &any, &err) && any);
    ck_assert(guest_host_drain(host, WAIT_MS, &any, &err) && !any);
    guest_host_go_on(host);
    await_seen(n + 1);
}
END_TEST

START_TEST(a_guest_that_never_ends_sending_is_not_waited_for)
{
    AGENT_UNTIL(channel_in_step(agent.channel));
    pid_t child = fork(); /* writes without end */
    if (child == 0) {
        static uint8_t bytes[4096];
        while (send(agent.fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
            ;
        _exit(0);
    }
    /* The writer may sleep for a moment, and that is quiet; but not every time. */
    int tries = 0;
    while (guest_host_drain(host, 200, NULL, &err) && tries++ < 100)
        guest_host_go_on(host);
    ck_assert_ptr_nonnull(err);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "still sends 200 ms after"));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

START_TEST(a_quiet_guest_is_asked_nothing)
{
    struct call c = {.body = SANDFERRY__V1__AGENT_REQUEST__BODY_FREEZE, .timeout_ms = WAIT_MS};

    guest_host_set_quiet(host, true);
    run_call(&c);
    ck_assert(!c.ok);
    ck_assert_int_eq(sf_error_code(c.err), SF_FAILED_PRECONDITION);
    done_call(&c);
    c = (struct call){.body = SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN};
    run_call(&c);
    ck_assert(c.ok); /* sent, and no answer is waited for */
    AGENT_UNTIL(agent.n_asked == 1);
    ck_assert_uint_eq(agent.asked_body, SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN);
    done_call(&c);
}
END_TEST

START_TEST(an_end_does_not_wait_for_the_lock_that_it_has)
{
    for (int i = 0; i < 50; i++) { /* the dispatcher may just be waiting for the lock, or not */
        dispatch_post(dispatch, NULL, NULL, NULL, 0);
        if (i % 2 == 0)
            agent_turn(1);
        free_host();
        make_host();
    }
    connect_host(host);
}
END_TEST

static bool tell(size_t size)
{
    static uint8_t zeros[65536];
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentShareData piece = SANDFERRY__V1__AGENT_SHARE_DATA__INIT;

    piece.data = (ProtobufCBinaryData){.data = zeros, .len = size};
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_SHARE_DATA;
    request.share_data = &piece;
    return guest_host_tell(host, &request, &err);
}

START_TEST(what_is_told_waits_for_no_answer)
{
    free_host();
    make_host();
    agent.n_asked = 0;
    ck_assert_msg(tell(10), "%s", SF_WHY(err)); /* nobody is connected yet */
    connect_host(host);
    guest_host_set_quiet(host, true);
    ck_assert_msg(tell(10), "%s", SF_WHY(err));
    ck_assert(guest_host_drain(host, WAIT_MS, NULL, &err));
    ck_assert_msg(tell(10), "%s", SF_WHY(err)); /* nothing is written now */
    guest_host_go_on(host);
    AGENT_UNTIL(agent.n_asked == 3);
    ck_assert_uint_eq(agent.asked_body, SANDFERRY__V1__AGENT_REQUEST__BODY_SHARE_DATA);
    guest_host_fail(host, "it has ended");
    ck_assert(!tell(10));
    ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
}
END_TEST

/* Time for whatever may be run wrongly. */
static void let_go_for_a_moment(void)
{
    for (int i = 0; i < 20; i++) {
        pthread_mutex_unlock(&sandbox);
        poll(NULL, 0, 2);
        pthread_mutex_lock(&sandbox);
    }
}

START_TEST(what_is_stopped_waits_and_travels)
{
    static const enum dispatch_stop stops[] = {DISPATCH_GATE, DISPATCH_HALT, DISPATCH_YIELD};
    struct guest_floors floors SF_CLEANUP(guest_floors_done) = {0};

    dispatch_set_stop(dispatch, stops[_i], true);
    dispatch_set_stop(dispatch, stops[(_i + 1) % 3], true);
    for (uint64_t i = 0; i < 10; i++)
        ck_assert(agent_output(i, 100));
    AGENT_UNTIL(dispatch_count(dispatch, guest_host_deliver) == 10);
    let_go_for_a_moment();
    dispatch_run(dispatch);
    ck_assert_uint_eq(n_seen, 0);
    ck_assert(guest_host_export(host, &floors, &err));
    ck_assert_uint_eq(floors.n_undelivered, 10);
    dispatch_set_stop(dispatch, stops[(_i + 1) % 3], false);
    let_go_for_a_moment();
    ck_assert_uint_eq(n_seen, 0);
    dispatch_set_stop(dispatch, stops[_i], false);
    await_seen(10);
    expect_in_order(10);
}
END_TEST

START_TEST(nothing_is_handed_on_without_room_for_answers)
{
    guest_host_limit_answers(host, 1000, 1000);
    AGENT_UNTIL(channel_in_step(agent.channel));
    while (tell(_i == 0 ? 400 : 1)) /* nothing reads here */
        continue;
    ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    sf_error_free(SF_STEAL(err));
    ck_assert(agent_output(0, 100));
    int64_t end = sf_clock_monotonic_ns() + WAIT_MS * SF_NS_PER_MS;
    while (dispatch_count(dispatch, guest_host_deliver) == 0)
        ck_assert(sf_clock_monotonic_ns() < end);
    let_go_for_a_moment();
    ck_assert_uint_eq(n_seen, 0);
    if (_i == 0) { /* the agent takes it, */
        await_seen(1);
        return;
    }
    send_nonsense(0); /* or nobody waits any more */
    while (!conversation_over) {
        ck_assert(sf_clock_monotonic_ns() < end);
        let_go_for_a_moment();
    }
    expect_in_order(1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guest_host");
    TCase *talk = tcase_create("talk");
    tcase_set_timeout(talk, 60);
    tcase_add_checked_fixture(talk, set_up, tear_down);
    tcase_add_test(talk, a_call_gets_its_answer);
    tcase_add_test(talk, a_refusal_has_the_agents_code_and_words);
    tcase_add_test(talk, silence_ends_a_call_and_not_the_conversation);
    tcase_add_loop_test(talk, a_vm_that_ends_wakes_whoever_waits, 0, 2);
    tcase_add_loop_test(talk, nonsense_ends_the_conversation, 0, 5);
    tcase_add_test(talk, noise_is_survived);
    tcase_add_test(talk, events_come_in_order_under_the_lock);
    tcase_add_test(talk, a_flood_is_held_back_and_not_lost);
    tcase_add_test(talk, a_new_connection_loses_and_repeats_nothing);
    tcase_add_test(talk, what_waits_travels);
    tcase_add_test(talk, floors_that_cannot_be_are_refused);
    tcase_add_test(talk, a_drain_reads_everything_and_then_nothing);
    tcase_add_test(talk, a_guest_that_never_ends_sending_is_not_waited_for);
    tcase_add_test(talk, a_quiet_guest_is_asked_nothing);
    tcase_add_test(talk, an_end_does_not_wait_for_the_lock_that_it_has);
    tcase_add_test(talk, what_is_told_waits_for_no_answer);
    tcase_add_loop_test(talk, what_is_stopped_waits_and_travels, 0, 3);
    tcase_add_loop_test(talk, nothing_is_handed_on_without_room_for_answers, 0, 2);
    suite_add_tcase(suite, talk);
    return sf_suite_run(suite);
}
