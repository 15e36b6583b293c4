#include "base/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/aside.h"
#include "guest/agent/freeze.h"
#include "guest/agent/port.h"
#include "guest/agent/process.h"
#include "guest/agent/reply.h"
#include "guest/agent/share.h"

/* What has gone out, as a text: "1+5 " five bytes of stream 1, "1. " its end, "exit3 ", "reply9 ".
 */
static char said[8192];
static bool frozen, no_room;
static struct process p;
static int theirs;

/* In the place of port.c and freeze.c. */
bool freeze_is_on(void)
{
    return frozen;
}

bool port_has_room(enum port port)
{
    (void)port;
    return !no_room;
}

bool share_is_hushed(void)
{
    return false;
}

void step_aside(void)
{
}

void step_back(void)
{
}

bool port_send(enum port port, const uint8_t *data, size_t size)
{
    (void)port;
    size_t used = strlen(said);
    Sandferry__V1__AgentMessage *m = sandferry__v1__agent_message__unpack(NULL, size, data);

    if (no_room) {
        sandferry__v1__agent_message__free_unpacked(m, NULL);
        return false;
    }
    ck_assert_ptr_nonnull(m);
    if (m->body_case == SANDFERRY__V1__AGENT_MESSAGE__BODY_REPLY)
        snprintf(said + used, sizeof(said) - used, "reply%d ", (int)m->reply->id);
    else if (m->event->body_case == SANDFERRY__V1__AGENT_EVENT__BODY_EXITED)
        snprintf(said + used, sizeof(said) - used, "exit%u ", m->event->exited->exit_code);
    else if (m->event->output->closed)
        snprintf(said + used, sizeof(said) - used, "%u. ", m->event->output->stream);
    else
        snprintf(said + used, sizeof(said) - used, "%u+%zu ", m->event->output->stream,
                 m->event->output->data.len);
    sandferry__v1__agent_message__free_unpacked(m, NULL);
    return true;
}

static void begin(void)
{
    int ends[2];

    said[0] = '\0';
    frozen = no_room = false;
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    ck_assert_int_gt(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 0);
    p = (struct process){.pid = 1, .out = {{.fd = ends[0]}, {.fd = -1}}, .in = {.fd = -1}};
    strcpy(p.container_id, "c1");
    theirs = ends[1];
}

static void finish(void)
{
    if (p.out[0].fd >= 0)
        close(p.out[0].fd);
    if (theirs >= 0)
        close(theirs);
}

static void writes(size_t size)
{
    static const char zeros[512 * 1024];

    ck_assert_int_eq(write(theirs, zeros, size), (ssize_t)size);
}

static void pump(void)
{
    p.out[0].ready = true; /* poll() says so */
    while (output_ready(&p.out[0]))
        output_pump(&p);
    output_tell_end(&p);
}

static void ends(void)
{
    p.ended = true;
    p.exit_code = 3;
    output_drain(&p);
}

static void closes(void)
{
    close(theirs);
    theirs = -1;
}

START_TEST(output_then_its_end_then_the_exit)
{
    writes(5);
    pump();
    ck_assert_str_eq(said, "1+5 ");
    ck_assert(output_wants(&p.out[0]));
    writes(7);
    ends();
    closes();
    pump();
    ck_assert_str_eq(said, "1+5 1+7 1. exit3 ");
    pump();
    ck_assert_str_eq(said, "1+5 1+7 1. exit3 "); /* once */
}
END_TEST

START_TEST(a_process_that_runs_waits_until_its_output_has_been_taken)
{
    writes(300 * 1024);
    pump();
    ck_assert_uint_eq(p.out[0].window.sent, WINDOW_SIZE);
    ck_assert(!output_wants(&p.out[0])); /* and the loop does not spin */
    ck_assert(!output_ready(&p.out[0]));
    window_taken(&p.out[0].window, WINDOW_SIZE);
    pump();
    ck_assert_uint_eq(p.out[0].window.sent, 300 * 1024);
}
END_TEST

/* What its pipe has goes out beyond the window: who killed it must not wait for a reader. */
START_TEST(an_exit_is_told_though_nobody_takes_the_output)
{
    writes(300 * 1024);
    pump();
    ends();
    pump();
    ck_assert_uint_eq(p.out[0].window.sent, 300 * 1024);
    ck_assert_ptr_nonnull(strstr(said, "1. exit3 "));
}
END_TEST

/* Its children may write into its pipe for ever; they do not keep it from ending. */
START_TEST(an_exit_is_told_though_others_go_on_writing)
{
    ck_assert_int_eq(fcntl(theirs, F_SETPIPE_SZ, 16384), 16384);
    ends();
    for (int i = 0; i < 10 && strstr(said, "exit") == NULL; i++) {
        if (p.out[0].fd >= 0)
            writes(8192);
        output_pump(&p);
        output_tell_end(&p);
    }
    ck_assert_str_eq(said, "1+8192 1+8192 1. exit3 ");
}
END_TEST

START_TEST(frozen_nothing_is_said_and_nothing_lost)
{
    frozen = true;
    writes(9);
    ends();
    closes();
    pump();
    ck_assert(!output_wants(&p.out[0]));
    ck_assert_str_eq(said, "");
    frozen = false;
    pump();
    ck_assert_str_eq(said, "1+9 1. exit3 ");
}
END_TEST

START_TEST(without_room_in_the_channel_it_waits)
{
    no_room = true;
    writes(9);
    pump();
    ck_assert(!output_wants(&p.out[0]));
    ck_assert_str_eq(said, "");
    no_room = false;
    pump();
    ck_assert_str_eq(said, "1+9 ");
}
END_TEST

START_TEST(a_stream_that_others_hold_open_ends_with_its_process)
{
    writes(4);
    ends(); /* and theirs stays open */
    pump();
    ck_assert_str_eq(said, "1+4 1. exit3 ");
}
END_TEST

START_TEST(answers_wait_while_held_and_keep_their_order)
{
    const struct outcome o = {0};
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;

    reply_outcome(1, &o);
    reply_hold(true);
    reply_outcome(2, &o);
    reply_outcome(3, &o);
    reply_send_now(4, &o, &reply);
    reply_flush();
    ck_assert_str_eq(said, "reply1 reply4 ");
    reply_hold(false);
    no_room = true;
    reply_flush();
    reply_outcome(5, &o);
    ck_assert_str_eq(said, "reply1 reply4 ");
    no_room = false;
    reply_flush();
    ck_assert_str_eq(said, "reply1 reply4 reply2 reply3 reply5 ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_output");
    TCase *tc = tcase_create("output"), *replies = tcase_create("replies");

    tcase_add_checked_fixture(tc, begin, finish);
    tcase_add_test(tc, output_then_its_end_then_the_exit);
    tcase_add_test(tc, a_process_that_runs_waits_until_its_output_has_been_taken);
    tcase_add_test(tc, an_exit_is_told_though_nobody_takes_the_output);
    tcase_add_test(tc, an_exit_is_told_though_others_go_on_writing);
    tcase_add_test(tc, frozen_nothing_is_said_and_nothing_lost);
    tcase_add_test(tc, without_room_in_the_channel_it_waits);
    tcase_add_test(tc, a_stream_that_others_hold_open_ends_with_its_process);
    tcase_add_checked_fixture(replies, begin, finish);
    tcase_add_test(replies, answers_wait_while_held_and_keep_their_order);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, replies);
    return sf_suite_run(suite);
}
