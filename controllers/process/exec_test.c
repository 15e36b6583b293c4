/* Processes beside the init process: their moves, their input, their ends. */
#include "base/suite.h"

#include <stdio.h>
#include <string.h>

#include "process/fake_guest.h"

static void refused(enum sf_code code, const char *words)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(sf_error_code(err), code);
    ck_assert_msg(strstr(sf_error_message(err), words) != NULL, "%s", sf_error_message(err));
    sf_error_free(SF_STEAL(err));
}

/* ---- calls, in short ---- */

static bool exec_with(Sandferry__V1__ExecProcessRequest *q, const char *exec_id)
{
    static char *args[] = {(char *)"/bin/x", (char *)"-y"};
    Sandferry__V1__ExecProcessResponse reply = SANDFERRY__V1__EXEC_PROCESS_RESPONSE__INIT;

    q->container_id = (char *)"c";
    q->exec_id = (char *)(uintptr_t)exec_id;
    if (q->n_args == 0 && q->spec[0] == '\0') {
        q->args = args;
        q->n_args = 2;
    }
    bool ok = fake_call("ExecProcess", q, &reply, NULL);
    if (reply.process != NULL)
        sandferry__v1__process__free_unpacked(reply.process, NULL);
    return ok;
}

static bool exec(const char *exec_id)
{
    Sandferry__V1__ExecProcessRequest q = SANDFERRY__V1__EXEC_PROCESS_REQUEST__INIT;

    q.input = true;
    return exec_with(&q, exec_id);
}

static bool record(const char *exec_id)
{
    Sandferry__V1__ExecProcessRequest q = SANDFERRY__V1__EXEC_PROCESS_REQUEST__INIT;

    q.record_only = true;
    return exec_with(&q, exec_id);
}

static bool start(const char *exec_id)
{
    Sandferry__V1__StartProcessRequest q = SANDFERRY__V1__START_PROCESS_REQUEST__INIT;
    Sandferry__V1__StartProcessResponse reply = SANDFERRY__V1__START_PROCESS_RESPONSE__INIT;

    q.container_id = (char *)"c";
    q.exec_id = (char *)(uintptr_t)exec_id;
    bool ok = fake_call("StartProcess", &q, &reply, NULL);
    if (reply.process != NULL)
        sandferry__v1__process__free_unpacked(reply.process, NULL);
    return ok;
}

static bool delete (const char *exec_id, bool force, bool (*on_wait)(void))
{
    Sandferry__V1__DeleteProcessRequest q = SANDFERRY__V1__DELETE_PROCESS_REQUEST__INIT;
    Sandferry__V1__DeleteProcessResponse reply = SANDFERRY__V1__DELETE_PROCESS_RESPONSE__INIT;

    q.container_id = (char *)"c";
    q.exec_id = (char *)(uintptr_t)exec_id;
    q.force = force;
    bool ok = fake_call("DeleteProcess", &q, &reply, on_wait);
    if (reply.process != NULL)
        sandferry__v1__process__free_unpacked(reply.process, NULL);
    return ok;
}

/* @at: UINT64_MAX: at the end. */
static bool give(uint64_t at, size_t size, bool close, uint64_t *ret)
{
    static uint8_t zeros[1000];
    Sandferry__V1__WriteInputRequest q = SANDFERRY__V1__WRITE_INPUT_REQUEST__INIT;
    Sandferry__V1__WriteInputResponse reply = SANDFERRY__V1__WRITE_INPUT_RESPONSE__INIT;

    q.container_id = (char *)"c";
    q.exec_id = (char *)"e";
    q.data = (ProtobufCBinaryData){.data = zeros, .len = size};
    q.close = close;
    q.at_offset = at != UINT64_MAX;
    q.offset = q.at_offset ? at : 0;
    bool ok = fake_call("WriteInput", &q, &reply, NULL);
    *ret = reply.offset;
    return ok;
}

static struct process *find(const char *exec_id)
{
    return process_find(&processes, "c", exec_id);
}

/* ---- spec ---- */

START_TEST(it_begins_as_the_container_but_for_what_is_asked)
{
    Sandferry__V1__ExecProcessRequest q = SANDFERRY__V1__EXEC_PROCESS_REQUEST__INIT;
    char *env[] = {(char *)"A=2", (char *)"AB=3"};

    ck_assert(exec("plain"));
    ck_assert_str_eq(
        find("plain")->spec,
        "{\"args\":[\"/bin/x\",\"-y\"],\"cwd\":\"/srv\",\"env\":[\"PATH=/bin\",\"A=1\"],"
        "\"noNewPrivileges\":true,\"user\":{\"gid\":4,\"uid\":3}}");
    q.env = env;
    q.n_env = 2;
    q.user = (char *)"7";
    q.working_directory = (char *)"/";
    q.terminal = true;
    q.columns = 80;
    q.rows = 25;
    ck_assert(exec_with(&q, "all"));
    ck_assert_str_eq(find("all")->spec,
                     "{\"args\":[\"/bin/x\",\"-y\"],\"consoleSize\":{\"height\":25,\"width\":80},"
                     "\"cwd\":\"/\",\"env\":[\"PATH=/bin\",\"A=2\",\"AB=3\"],"
                     "\"noNewPrivileges\":true,\"terminal\":true,\"user\":{\"gid\":7,\"uid\":7}}");
    ck_assert(find("all")->terminal && find("all")->out[1].closed && find("all")->stdin_closed);
}
END_TEST

START_TEST(the_callers_own_spec_is_taken_whole)
{
    Sandferry__V1__ExecProcessRequest q = SANDFERRY__V1__EXEC_PROCESS_REQUEST__INIT;

    q.spec = (char *)"{\"args\":[\"/z\"],\"terminal\":true}";
    ck_assert(exec_with(&q, "own"));
    ck_assert_str_eq(find("own")->spec, "{\"args\":[\"/z\"],\"terminal\":true}");
    ck_assert(find("own")->terminal);
    q.user = (char *)"1";
    ck_assert(!exec_with(&q, "both"));
    refused(SF_INVALID_ARGUMENT, "in place of");
}
END_TEST

/* ---- moves ---- */

START_TEST(a_start_that_is_refused_leaves_nothing)
{
    fake_refuse(SF_FAILED_PRECONDITION, "no such program");
    ck_assert(!exec("e"));
    refused(SF_FAILED_PRECONDITION, "process 'e': no such program");
    ck_assert_str_eq(fake_asked(), "exec c/e ");
    ck_assert_ptr_null(find("e"));
    ck_assert(record("e"));
    fake_refuse(SF_FAILED_PRECONDITION, "not now");
    ck_assert(!start("e"));
    refused(SF_FAILED_PRECONDITION, "not now");
    ck_assert_uint_eq(find("e")->state, PROCESS_NOT_CREATED);
    ck_assert(start("e"));
    ck_assert_uint_eq(find("e")->state, PROCESS_RUNNING);
    ck_assert_int_eq(find("e")->pid, 77);
    ck_assert(!start("e"));
    refused(SF_FAILED_PRECONDITION, "is running");
}
END_TEST

START_TEST(a_start_whose_answer_is_lost_is_taken_back)
{
    fake_refuse(SF_UNAVAILABLE, "the agent is silent");
    ck_assert(!exec("e"));
    refused(SF_UNAVAILABLE, "silent");
    ck_assert_str_eq(fake_asked(), "exec c/e kill c/e ");
    ck_assert_ptr_null(find("e"));
    fake_output("e", 1, 0, 10); /* what it says before it ends is nobody's */
    fake_exited("e", 137);
    ck_assert(record("e"));
    fake_output("e", 1, 10, 10);
    ck_assert_uint_eq(find("e")->out[0].end, 0);
    fake_exited("e", 137);
    ck_assert_uint_eq(find("e")->state, PROCESS_NOT_CREATED);
}
END_TEST

static bool it_ends(void)
{
    fake_exited("e", 137);
    return true;
}

START_TEST(only_what_does_not_run_is_deleted)
{
    ck_assert(exec("e") && record("r"));
    fake_asked();
    ck_assert(!delete ("e", false, NULL));
    refused(SF_FAILED_PRECONDITION, "runs");
    ck_assert(!delete ("", true, NULL));
    refused(SF_FAILED_PRECONDITION, "delete the container");
    ck_assert(delete ("r", false, NULL));
    ck_assert_str_eq(fake_asked(), "");
    ck_assert(delete ("e", true, it_ends));
    ck_assert_str_eq(fake_asked(), "signal c/e delete c/e ");
    ck_assert(!delete ("e", true, NULL));
    refused(SF_NOT_FOUND, "'e'");
}
END_TEST

START_TEST(a_container_that_ends_ends_its_processes)
{
    ck_assert(exec("a") && exec("b") && record("r"));
    fake_exited("a", 9);
    fake_exited("", 3); /* an agent that says nothing of b */
    ck_assert_uint_eq(find("a")->exit_code, 9);
    ck_assert_uint_eq(find("b")->state, PROCESS_TERMINATED);
    ck_assert_uint_eq(find("b")->exit_code, EXIT_UNKNOWN);
    ck_assert(!start("r"));
    refused(SF_FAILED_PRECONDITION, "does not run");
    ck_assert(!exec("late"));
    refused(SF_FAILED_PRECONDITION, "does not run");
}
END_TEST

static unsigned waits;

static bool the_container_ends(void)
{
    if (waits++ > 0)
        return false;
    fake_exited("", 0);
    return true;
}

/* Nobody waits for ever for what cannot come. */
START_TEST(one_that_will_never_start_is_not_waited_for)
{
    Sandferry__V1__WaitProcessRequest q = SANDFERRY__V1__WAIT_PROCESS_REQUEST__INIT;
    Sandferry__V1__WaitProcessResponse reply = SANDFERRY__V1__WAIT_PROCESS_RESPONSE__INIT;
    Sandferry__V1__AttachProcessRequest a = SANDFERRY__V1__ATTACH_PROCESS_REQUEST__INIT;

    ck_assert(record("r"));
    q.container_id = a.container_id = (char *)"c";
    q.exec_id = a.exec_id = (char *)"r";
    waits = 0;
    ck_assert(!fake_call("WaitProcess", &q, &reply, the_container_ends));
    refused(SF_FAILED_PRECONDITION, "never started");
    ck_assert(!fake_call("AttachProcess", &a, NULL, NULL));
    refused(SF_FAILED_PRECONDITION, "never started");
}
END_TEST

START_TEST(an_end_is_taken_once)
{
    ck_assert(exec("e"));
    fake_exited("e", 3);
    fake_exited("e", 4);
    ck_assert_uint_eq(find("e")->exit_code, 3);
    ck_assert_int_eq(find("e")->exited_at_ns, 1700000000000000000);
    fake_restore();
    fake_exited("e", 5);
    ck_assert_uint_eq(find("e")->exit_code, 3);
}
END_TEST

START_TEST(limits_are_kept)
{
    Sandferry__V1__ExecProcessRequest q = SANDFERRY__V1__EXEC_PROCESS_REQUEST__INIT;
    char id[16];

    q.wait_for_readers = true;
    for (int i = 0; i < WAITING_MAX; i++) {
        snprintf(id, sizeof(id), "w%d", i);
        ck_assert_msg(exec_with(&q, id), "%s", SF_WHY(err));
    }
    ck_assert(!exec_with(&q, "more"));
    refused(SF_RESOURCE_EXHAUSTED, "64 processes wait");
    static char big[200 * 1024 + 1];
    memset(big, 'x', sizeof(big) - 1);
    char *args[] = {big};
    q.wait_for_readers = false;
    q.args = args;
    q.n_args = 1;
    int n = 0;
    for (; n < 20 && exec_with(&q, snprintf(id, sizeof(id), "b%d", n) > 0 ? id : ""); n++)
        continue;
    ck_assert_int_eq(n, 10); /* of 200 KiB each */
    refused(SF_RESOURCE_EXHAUSTED, "specs");
    ck_assert(exec(""));
    ck_assert(!exec("a/b"));
    refused(SF_INVALID_ARGUMENT, "'a/b'");
}
END_TEST

/* ---- input ---- */

START_TEST(input_at_an_offset_is_taken_once)
{
    uint64_t at;

    ck_assert(exec("e"));
    fake_asked();
    ck_assert(give(UINT64_MAX, 10, false, &at));
    ck_assert(give(10, 5, false, &at));
    ck_assert_uint_eq(at, 15);
    ck_assert_str_eq(fake_asked(), "input c/e +10 input c/e @10+5 ");
    ck_assert(give(10, 5, false, &at)); /* known here: the agent is not asked */
    ck_assert(give(0, 15, false, &at));
    ck_assert_str_eq(fake_asked(), "");
    fake_input_at(20);
    ck_assert(give(10, 10, false, &at)); /* in part: the agent knows which */
    ck_assert_str_eq(fake_asked(), "input c/e @10+10 ");
    ck_assert_uint_eq(at, 20);
    ck_assert(!give(21, 1, false, &at));
    refused(SF_OUT_OF_RANGE, "20 bytes");
    fake_refuse(SF_UNAVAILABLE, "lost"); /* it was taken, but nobody knows */
    ck_assert(!give(20, 5, false, &at));
    refused(SF_UNAVAILABLE, "lost");
    fake_input_at(30);
    ck_assert(give(20, 10, false, &at));
    ck_assert_uint_eq(at, 30);
}
END_TEST

START_TEST(input_that_is_closed_still_answers_a_repeat)
{
    uint64_t at;
    Sandferry__V1__CloseInputRequest q = SANDFERRY__V1__CLOSE_INPUT_REQUEST__INIT;
    Sandferry__V1__CloseInputResponse reply = SANDFERRY__V1__CLOSE_INPUT_RESPONSE__INIT;

    ck_assert(exec("e"));
    fake_asked();
    ck_assert(give(0, 4, true, &at));
    ck_assert_str_eq(fake_asked(), "input c/e @0+4. ");
    ck_assert(give(0, 4, true, &at));
    ck_assert(!give(4, 1, false, &at));
    refused(SF_FAILED_PRECONDITION, "closed");
    q.container_id = (char *)"c";
    q.exec_id = (char *)"e";
    ck_assert(fake_call("CloseInput", &q, &reply, NULL));
    ck_assert_uint_eq(reply.offset, 4);
    fake_exited("e", 0);
    fake_restore();
    ck_assert(give(0, 4, true, &at));
    ck_assert_uint_eq(at, 4);
    ck_assert(!give(UINT64_MAX, 1, false, &at));
    refused(SF_FAILED_PRECONDITION, "closed");
    ck_assert_str_eq(fake_asked(), "");
}
END_TEST

/* ---- what others have had trouble with ---- */

START_TEST(bug_32_restored_processes_have_no_exit_code)
{
    ck_assert(exec("e") && record("r"));
    fake_restore();
    ck_assert_uint_eq(find("e")->exit_code, EXIT_UNKNOWN);
    ck_assert_uint_eq(find("e")->state, PROCESS_RUNNING);
    ck_assert_uint_eq(find("r")->exit_code, EXIT_UNKNOWN);
    ck_assert_uint_eq(find("")->state, PROCESS_RUNNING);
}
END_TEST

START_TEST(bug_34_forgetting_twice_is_forgetting_once)
{
    const struct sf_processes_offer *offer = fake_class()->offers[0].ops;

    ck_assert(exec("e"));
    offer->forget(&processes.base, "c");
    offer->forget(&processes.base, "c");
    ck_assert_uint_eq(processes.n, 0);
    fake_exited("e", 1); /* late; of nobody */
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("process_exec");
    TCase *t = tcase_create("exec");

    tcase_add_checked_fixture(t, fake_begin, fake_end);
    tcase_add_test(t, it_begins_as_the_container_but_for_what_is_asked);
    tcase_add_test(t, the_callers_own_spec_is_taken_whole);
    tcase_add_test(t, a_start_that_is_refused_leaves_nothing);
    tcase_add_test(t, a_start_whose_answer_is_lost_is_taken_back);
    tcase_add_test(t, only_what_does_not_run_is_deleted);
    tcase_add_test(t, a_container_that_ends_ends_its_processes);
    tcase_add_test(t, one_that_will_never_start_is_not_waited_for);
    tcase_add_test(t, an_end_is_taken_once);
    tcase_add_test(t, limits_are_kept);
    tcase_add_test(t, input_at_an_offset_is_taken_once);
    tcase_add_test(t, input_that_is_closed_still_answers_a_repeat);
    tcase_add_test(t, bug_32_restored_processes_have_no_exit_code);
    tcase_add_test(t, bug_34_forgetting_twice_is_forgetting_once);
    suite_add_tcase(all, t);
    return all;
}

int main(void)
{
    return sf_suite_run(suite());
}
