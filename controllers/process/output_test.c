/* Streams: how far readers are, how far the agent may go, and what of it travels. */
#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/fake_guest.h"

static struct process *add(const char *exec_id, bool waits)
{
    struct process *p = process_add(&processes, "c", exec_id, &err);

    ck_assert_ptr_nonnull(p);
    snprintf(p->guest_container_id, SF_ID_SIZE, "guest-c");
    p->state = PROCESS_RUNNING;
    p->pid = 9;
    p->waits = waits;
    p->spec = strdup("{}");
    return p;
}

static struct process *find(const char *exec_id)
{
    return process_find(&processes, "c", exec_id);
}

static bool attach(const char *exec_id, uint64_t stdout_at, bool (*on_wait)(void))
{
    Sandferry__V1__AttachProcessRequest q = SANDFERRY__V1__ATTACH_PROCESS_REQUEST__INIT;

    q.container_id = (char *)"c";
    q.exec_id = (char *)(uintptr_t)exec_id;
    q.stdout_offset = stdout_at;
    bool ok = fake_call("AttachProcess", &q, NULL, on_wait);
    sf_error_free(SF_STEAL(err));
    return ok;
}

static bool read_output(const char *exec_id, uint64_t at, bool follow, bool (*on_wait)(void))
{
    Sandferry__V1__ReadOutputRequest q = SANDFERRY__V1__READ_OUTPUT_REQUEST__INIT;

    q.container_id = (char *)"c";
    q.exec_id = (char *)(uintptr_t)exec_id;
    q.offset = at;
    q.follow = follow;
    bool ok = fake_call("ReadOutput", &q, NULL, on_wait);
    sf_error_free(SF_STEAL(err));
    return ok;
}

START_TEST(without_readers_only_one_that_waits_is_held_back)
{
    add("logs", false);
    add("pipe", true);
    fake_output("logs", 1, 0, 100);
    fake_output("pipe", 1, 0, 100);
    fake_output("logs", 2, 0, 5);
    ck_assert_str_eq(fake_asked(), "taken c/logs 1 100 taken c/logs 2 5 ");
    ck_assert(read_output("pipe", 0, false, NULL));
    ck_assert_str_eq(fake_asked(), "taken c/pipe 1 100 ");
    ck_assert_str_eq(fake_sent(), "0@0+100 ");
    fake_output("pipe", 1, 100, 50);
    ck_assert_str_eq(fake_asked(), "");
    ck_assert(read_output("pipe", 20, false, NULL)); /* again, and on */
    ck_assert_str_eq(fake_sent(), "0@20+130 ");
    ck_assert_str_eq(fake_asked(), "taken c/pipe 1 150 ");
}
END_TEST

static unsigned times;

static void more_while_it_is_sent(void)
{
    if (times++ == 0)
        fake_output("e", 1, 100, 100); /* after the reader has looked, before it is through */
}

static bool then_it_ends(void)
{
    switch (times++) {
    case 2:
        fake_output("e", 2, 0, 7);
        return true;
    case 4:
        fake_closed("e", 1, 200);
        fake_closed("e", 2, 7);
        fake_exited("e", 4);
        return true;
    default:
        return times < 20;
    }
}

START_TEST(attached_gets_both_streams_and_the_end)
{
    add("e", false);
    fake_output("e", 1, 0, 100);
    times = 0;
    fake_on_send = more_while_it_is_sent;
    ck_assert(attach("e", 0, then_it_ends));
    ck_assert_str_eq(fake_sent(), "1@0+100 1@100+100 2@0+7 1@200+0. 2@7+0. exit4 ");
    ck_assert(attach("e", 150, NULL)); /* afterwards the same */
    ck_assert_str_eq(fake_sent(), "1@150+50. 2@0+7. exit4 ");
}
END_TEST

/* The first has been given 100 bytes, and takes its time: the agent is not told of more. */
START_TEST(one_who_is_attached_holds_the_process_back)
{
    struct reader slow = {.offset = 100, .holds = true};
    struct process *e = add("e", false);

    fake_output("e", 1, 0, 100);
    fake_asked();
    reader_add(e, 0, &slow);
    fake_output("e", 1, 100, 100);
    ck_assert_str_eq(fake_asked(), "");
    ck_assert(!attach("e", 0, NULL)); /* a quicker one changes nothing */
    ck_assert_str_eq(fake_sent(), "1@0+200 ");
    ck_assert_str_eq(fake_asked(), "");
    slow.offset = 150;
    output_settle(&processes, e, 0);
    ck_assert_str_eq(fake_asked(), "taken c/e 1 150 ");
    reader_remove(e, 0, &slow);
    output_settle(&processes, e, 0);
    ck_assert_str_eq(fake_asked(), "taken c/e 1 200 ");
    reader_remove(e, 0, &slow); /* a repeat */
}
END_TEST

START_TEST(a_reader_of_logs_holds_nothing_back_and_is_told_what_it_lost)
{
    struct reader slow = {.offset = 10};
    struct process *e = add("e", false);
    uint64_t at = 0;

    reader_add(e, 0, &slow);
    for (; at < RING_SIZE + 1000; at += 1000)
        fake_output("e", 1, at, 1000);
    ck_assert_uint_eq(e->taken[0], at);
    reader_remove(e, 0, &slow);
    ck_assert(read_output("e", 10, false, NULL));
    SF_CLEANUP(sf_freep)
    char *first = sf_format("0@%llu+65536!%llu ", (unsigned long long)(at - RING_SIZE),
                            (unsigned long long)(at - RING_SIZE - 10));
    ck_assert_int_eq(strncmp(fake_sent(), first, strlen(first)), 0);
}
END_TEST

static void it_is_deleted(void)
{
    process_remove(&processes, find("e"));
    add("e", false); /* another has its id now */
}

START_TEST(a_process_that_goes_while_it_is_read_ends_the_call)
{
    add("e", false);
    fake_output("e", 1, 0, 10);
    fake_on_send = it_is_deleted;
    ck_assert(!attach("e", 0, NULL));
    ck_assert_ptr_null(find("e")->readers[0]);
}
END_TEST

START_TEST(nothing_is_said_while_it_stands_still)
{
    struct process *e = add("e", false);

    ck_assert(fake_class()->freeze(&processes.base, &err));
    fake_output("e", 1, 0, 100); /* dispatched while the save is under way */
    ck_assert_str_eq(fake_asked(), "");
    ck_assert_uint_eq(e->out[0].end, 100);
    fake_class()->thaw(&processes.base);
    ck_assert_str_eq(fake_asked(), "taken c/e 1 100 ");
}
END_TEST

START_TEST(an_answer_that_could_not_be_told_is_told_later)
{
    struct process *e = add("e", false);

    fake_refuse(SF_UNAVAILABLE, "away");
    fake_output("e", 1, 0, 100);
    ck_assert_uint_eq(e->taken[0], 0);
    fake_asked();
    fake_output("e", 1, 100, 1);
    ck_assert_str_eq(fake_asked(), "taken c/e 1 101 ");
}
END_TEST

/* ---- over a restore ---- */

START_TEST(after_a_restore_the_agent_is_told_how_far_it_may_go)
{
    add("logs", false);
    add("pipe", true);
    fake_output("logs", 1, 0, 100);
    fake_output("pipe", 1, 0, 100);
    fake_restore();
    fake_asked();
    ck_assert(read_output("logs", 50, false, NULL)); /* while it is held */
    ck_assert_str_eq(fake_sent(), "0@50+50 ");
    ck_assert_str_eq(fake_asked(), "");
    ck_assert(fake_class()->resume(&processes.base, &err));
    ck_assert_str_eq(fake_asked(), "taken c/logs 1 100 ");
    ck_assert(read_output("pipe", 60, false, NULL)); /* whoever asks for byte 60 has 60 */
    ck_assert_str_eq(fake_asked(), "taken c/pipe 1 60 taken c/pipe 1 100 ");
}
END_TEST

/* As many as there may be, all of them full. */
START_TEST(what_nobody_has_read_travels_whole)
{
    char id[16];

    for (int i = 0; i < WAITING_MAX; i++) {
        snprintf(id, sizeof(id), "w%02d", i);
        add(id, true);
        for (unsigned stream = 1; stream <= 2; stream++)
            fake_output(id, stream, 0, WAITING_HELD);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "l%02d", i);
        add(id, false);
        fake_output(id, 1, 0, RING_SIZE);
    }
    fake_restore();
    for (size_t i = 0; i < processes.n; i++) {
        const struct process *p = processes.list[i];
        if (p->waits)
            ck_assert_uint_eq(p->out[0].size + p->out[1].size, 2 * (size_t)WAITING_HELD);
        else if (p->exec_id[0] != '\0')
            ck_assert_uint_eq(p->out[0].end, RING_SIZE);
    }
}
END_TEST

/* ---- the section ---- */

/* clang-format off */
static const struct {
    unsigned state; bool waits, terminal, closed; uint64_t input;
} kinds[] = {
    { PROCESS_NOT_CREATED, false, false, true,  0  },
    { PROCESS_NOT_CREATED, true,  true,  false, 0  },
    { PROCESS_CREATED,     false, false, false, 0  },
    { PROCESS_RUNNING,     false, false, false, 17 },
    { PROCESS_RUNNING,     true,  true,  true,  99 },
    { PROCESS_TERMINATED,  true,  false, true,  5  },
};
/* clang-format on */

START_TEST(every_stage_goes_there_and_back)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = {0};
    SF_CLEANUP(sf_bytes_done) struct sf_bytes second = {0};
    struct process *p = add("e", kinds[_i].waits);

    p->state = kinds[_i].state;
    p->pid = p->state == PROCESS_NOT_CREATED ? 0 : 9;
    p->terminal = kinds[_i].terminal;
    p->stdin_closed = kinds[_i].closed;
    p->stdin_offset = kinds[_i].input;
    if (p->state == PROCESS_TERMINATED) {
        p->exit_code = 42;
        p->exited_at_ns = 1700000000123456789;
    }
    if (p->state != PROCESS_NOT_CREATED) {
        fake_output("e", 1, 0, 4000);
        fake_output("e", 2, 0, 3);
        fake_closed("e", 2, 3);
    }
    ck_assert(processes_to_section(&processes, &first, &err));
    fake_restore();
    ck_assert(processes_to_section(&processes, &second, &err));
    ck_assert_uint_eq(first.size, second.size);
    ck_assert_mem_eq(first.data, second.data, first.size);
    p = find("e");
    ck_assert_uint_eq(p->state, kinds[_i].state);
    ck_assert(p->waits == kinds[_i].waits && p->terminal == kinds[_i].terminal &&
              p->stdin_closed == kinds[_i].closed && p->stdin_offset == kinds[_i].input);
    ck_assert_str_eq(p->spec, "{}");
}
END_TEST

static void not_taken(const char *words)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct processes other = {0};

    ck_assert(processes_to_section(&processes, &section, &err));
    ck_assert(!processes_from_section(&other, &section, &err));
    ck_assert_int_eq(
        sf_error_code(err) == SF_INVALID_ARGUMENT || sf_error_code(err) == SF_ALREADY_EXISTS, 1);
    ck_assert_msg(strstr(sf_error_message(err), words) != NULL, "%s", sf_error_message(err));
    ck_assert_uint_eq(other.n, 0);
    sf_error_free(SF_STEAL(err));
}

START_TEST(a_recorded_process_needs_what_it_is_started_with)
{
    struct process *p = add("e", false);

    p->state = PROCESS_NOT_CREATED;
    free(SF_STEAL(p->spec));
    not_taken("'e' has no spec");
    process_remove(&processes, p);
    find("")->state = PROCESS_NOT_CREATED;
    not_taken("init process");
}
END_TEST

START_TEST(bug_30_what_comes_twice_is_refused)
{
    snprintf(add("f", false)->exec_id, SF_ID_SIZE, "%s", add("e", false)->exec_id);
    not_taken("'e' already");
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("process_output");
    TCase *t = tcase_create("output");

    tcase_add_checked_fixture(t, fake_begin, fake_end);
    tcase_add_test(t, without_readers_only_one_that_waits_is_held_back);
    tcase_add_test(t, attached_gets_both_streams_and_the_end);
    tcase_add_test(t, one_who_is_attached_holds_the_process_back);
    tcase_add_test(t, a_reader_of_logs_holds_nothing_back_and_is_told_what_it_lost);
    tcase_add_test(t, a_process_that_goes_while_it_is_read_ends_the_call);
    tcase_add_test(t, nothing_is_said_while_it_stands_still);
    tcase_add_test(t, an_answer_that_could_not_be_told_is_told_later);
    tcase_add_test(t, after_a_restore_the_agent_is_told_how_far_it_may_go);
    tcase_add_test(t, what_nobody_has_read_travels_whole);
    tcase_add_loop_test(t, every_stage_goes_there_and_back, 0, sizeof(kinds) / sizeof(*kinds));
    tcase_add_test(t, a_recorded_process_needs_what_it_is_started_with);
    tcase_add_test(t, bug_30_what_comes_twice_is_refused);
    suite_add_tcase(all, t);
    return all;
}

int main(void)
{
    return sf_suite_run(suite());
}
