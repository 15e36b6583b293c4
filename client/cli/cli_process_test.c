/* exec, attach, ctr ps, and what follows a process. See cli_test.c; with a terminal of its own and
 * over restores: tests/e2e/processes_test.py. */

#include "cli_fixture.h"

#include "sandferry/v1/process.pb-c.h"
#include "terminal.h"

/* ---- what the daemon answers ---- */

static Sandferry__V1__Process process = SANDFERRY__V1__PROCESS__INIT;

static void answer_exec(const char *exec_id)
{
    Sandferry__V1__ExecProcessResponse m = SANDFERRY__V1__EXEC_PROCESS_RESPONSE__INIT;

    process.exec_id = (char *)(uintptr_t)exec_id;
    process.container_id = (char *)"app";
    m.process = &process;
    fake_answer(fake, &m.base);
}

static void answer_output(unsigned stream, uint64_t offset, const char *text)
{
    Sandferry__V1__AttachProcessResponse m = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__INIT;
    Sandferry__V1__AttachedOutput o = SANDFERRY__V1__ATTACHED_OUTPUT__INIT;

    o.stream = (Sandferry__V1__OutputStream)stream;
    o.offset = offset;
    o.data = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
    m.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_OUTPUT;
    m.output = &o;
    fake_answer(fake, &m.base);
}

static void answer_end(uint32_t exit_code)
{
    Sandferry__V1__AttachProcessResponse m = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__INIT;
    Sandferry__V1__Process end = process;

    end.exit_code = exit_code;
    m.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_EXITED;
    m.exited = &end;
    fake_answer(fake, &m.base);
}

static void answer_list(bool terminal)
{
    Sandferry__V1__ListProcessesResponse m = SANDFERRY__V1__LIST_PROCESSES_RESPONSE__INIT;
    Sandferry__V1__Process init = SANDFERRY__V1__PROCESS__INIT, one = init, over = init;
    Sandferry__V1__ProcessOutput written = SANDFERRY__V1__PROCESS_OUTPUT__INIT;
    Sandferry__V1__Process *all[] = {&init, &one, &over};

    init.container_id = one.container_id = over.container_id = (char *)"app";
    init.stage = one.stage = SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_RUNNING;
    init.pid = 5;
    one.exec_id = (char *)"e1";
    one.pid = 12;
    one.terminal = terminal;
    written.offset = 700;
    one.stdout = &written;
    over.exec_id = (char *)"e2";
    over.stage = SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED;
    over.exit_code = 3;
    m.processes = all;
    m.n_processes = 3;
    fake_answer(fake, &m.base);
}

/* ---- exec ---- */

START_TEST(exec_ends_as_the_process_did)
{
    answer_exec("e1");
    answer_output(1, 0, "out\n");
    answer_output(2, 0, "no\n");
    answer_output(1, 4, "more\n");
    answer_end(143);
    ck_assert_int_eq(
        RUN("exec", "web", "app", "-e", "A=1", "-w", "/x", "-u", "5:6", "--", "/bin/x", "-y"), 143);
    asked("DeleteProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\"}");
    ck_assert_str_eq(out, "out\nmore\n");
    ck_assert_str_eq(told, "no\n");
    ck_assert_uint_eq(fake_n_calls(fake), 3);
}
END_TEST

START_TEST(exec_detached_prints_the_id)
{
    answer_exec("e1");
    OK("exec", "web", "app", "-d", "-e", "A=1", "-w", "/x", "-u", "5:6", "--id", "e1", "--",
       "/bin/x", "-y");
    asked("ExecProcess",
          "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
          "\"args\":[\"/bin/x\",\"-y\"],\"env\":[\"A=1\"],\"workingDirectory\":\"/x\","
          "\"user\":\"5:6\"}");
    ck_assert_str_eq(out, "e1\n");
}
END_TEST

START_TEST(exec_that_cannot_be_followed_says_how_to_go_on)
{
    fake_fail(fake, SF_FAILED_PRECONDITION, "no such program");
    ck_assert_int_eq(RUN("exec", "web", "app", "--", "/bin/x"), EXIT_WAIT_FAILED);
    ck_assert_str_eq(told, "sandferry: no such program\n");

    answer_exec("e1");
    answer_output(1, 0, "out\n"); /* and no end */
    ck_assert_int_eq(RUN("exec", "web", "app", "--", "/bin/x"), EXIT_WAIT_FAILED);
    has(told, "sandferry attach web app --exec e1 --offset 4 --stderr-offset 0\n");
    has(told, "has not told how the process ended");
}
END_TEST

static const struct {
    const char *words[8];
    const char *part;
} wrong[] = {
    {{"exec", "web", "app"}, "what is to run?"},
    {{"exec", "web", "app", "--spec", "f", "--", "x"}, "--spec already says"},
    {{"exec", "web", "app", "--spec", "f", "-u", "1"}, "--spec already says"},
    {{"exec", "web", "app", "-di", "--", "x"}, "leave -i"},
    {{"exec", "web"}, "needs SANDBOX CONTAINER"},
    {{"attach", "web"}, "needs SANDBOX CONTAINER"},
};

START_TEST(a_wrong_command_line_asks_nothing)
{
    ck_assert_int_eq(run(wrong[_i].words), EXIT_USAGE);
    has(told, wrong[_i].part);
    ck_assert_uint_eq(fake_n_calls(fake), 0);
}
END_TEST

/* ---- attach ---- */

START_TEST(attach_begins_where_it_is_told)
{
    answer_list(false);
    answer_end(0);
    OK("attach", "web", "app", "--exec", "e1");
    asked("AttachProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
                           "\"stdoutOffset\":\"700\"}");
    answer_list(false);
    answer_output(1, 50, "x");
    answer_end(9);
    ck_assert_int_eq(
        RUN("attach", "web", "app", "--exec", "e1", "--offset", "50", "--stderr-offset", "7"), 9);
    asked("AttachProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
                           "\"stdoutOffset\":\"50\",\"stderrOffset\":\"7\"}");
    answer_list(false);
    answer_end(0);
    OK("attach", "web", "app", "--all", "--exec", "e1");
    asked("AttachProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\"}");
    answer_list(false);
    ck_assert_int_eq(RUN("attach", "web", "app", "--exec", "e9"), EXIT_WAIT_FAILED);
    has(told, "no process 'e9'");
}
END_TEST

/* ---- ctr ---- */

START_TEST(ctr_ps)
{
    answer_list(true);
    OK("ctr", "ps", "web", "app");
    asked("ListProcesses", "{\"sandboxId\":\"web\",\"containerId\":\"app\"}");
    ck_assert_str_eq(out, "CONTAINER  PROCESS  STAGE       PID  TERMINAL  CODE  ENDED\n"
                          "app        (init)   running     5    -         -     -\n"
                          "app        e1       running     12   yes       -     -\n"
                          "app        e2       terminated  -    -         3     -\n");
    answer_list(true);
    OK("ctr", "ps", "web", "-q");
    ck_assert_str_eq(out, "e1\ne2\n");
    OK("ctr", "ps", "web");
    ck_assert_str_eq(out, "there are no processes\n");
}
END_TEST

START_TEST(any_process_is_waited_for_killed_and_removed)
{
    Sandferry__V1__WaitProcessResponse m = SANDFERRY__V1__WAIT_PROCESS_RESPONSE__INIT;
    Sandferry__V1__Process end = SANDFERRY__V1__PROCESS__INIT;

    end.exit_code = 11;
    m.process = &end;
    fake_answer(fake, &m.base);
    ck_assert_int_eq(RUN("ctr", "wait", "web", "app", "--exec", "e1"), 11);
    asked("WaitProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\"}");
    OK("ctr", "kill", "web", "app", "-x", "e1", "-s", "HUP");
    asked("SignalProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
                           "\"signal\":1}");
    OK("ctr", "rm", "web", "app", "-x", "e1", "-f");
    asked("DeleteProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
                           "\"force\":true}");
    ck_assert_str_eq(out, "process 'e1' is removed\n");
}
END_TEST

/* ---- travelling ---- */

START_TEST(logs_go_on_where_the_sandbox_goes)
{
    Sandferry__V1__ReadOutputResponse some = SANDFERRY__V1__READ_OUTPUT_RESPONSE__INIT;
    struct fake *there = fake_start();

    some.data = (ProtobufCBinaryData){3, (uint8_t *)"one"};
    fake_answer(fake, &some.base);
    fake_fail(fake, SF_UNAVAILABLE, "it has left");
    some.data = (ProtobufCBinaryData){3, (uint8_t *)"two"};
    some.offset = 3;
    fake_answer(there, &some.base);
    OK("ctr", "logs", "web", "app", "-f", "--then", fake_address(there));
    ck_assert_str_eq(out, "onetwo");
    ck_assert_str_eq(fake_request(there),
                     "{\"sandboxId\":\"web\",\"containerId\":\"app\","
                     "\"stream\":\"OUTPUT_STREAM_STDOUT\",\"offset\":\"3\",\"follow\":true}");
    has(told, "it has left; going on at 'unix:");

    fake_fail(fake, SF_UNAVAILABLE, "it has left");
    ck_assert_int_eq(RUN("ctr", "logs", "web", "app", "-f", "--offset", "7"), EXIT_UNAVAILABLE);
    has(told, "up to offset 7");
    fake_fail(fake, SF_NOT_FOUND, "there is none"); /* that is no matter of travelling */
    ck_assert_int_eq(RUN("ctr", "logs", "web", "app", "--then", fake_address(there)),
                     EXIT_NOT_FOUND);
    fake_stop(there);
}
END_TEST

/* ---- keys ---- */

static const struct {
    const char *typed, *gets;
    bool detaches;
} keys[] = {
    {"abc", "abc", false},
    {"a\020\021b", "a", true},
    {"a\020b\021", "a\020b\021", false},
    {"\020\020x", "\020\020x", false},
    {"\020\020\021", "\020", true},
    {"\021", "\021", false},
    {"x\020", "x", false}, /* held back */
};

/* However it is cut into pieces. */
START_TEST(two_keys_detach)
{
    size_t size = strlen(keys[_i].typed);

    for (size_t cut = 0; cut <= size; cut++) {
        struct detach_keys k = {0};
        uint8_t gets[16], *end = gets;
        const uint8_t *typed = (const uint8_t *)keys[_i].typed;
        size_t n;
        bool detaches = detach_keys_take(&k, typed, cut, end, &n);
        end += n;
        if (!detaches) {
            detaches = detach_keys_take(&k, typed + cut, size - cut, end, &n);
            end += n;
        }
        ck_assert(detaches == keys[_i].detaches);
        ck_assert_uint_eq((size_t)(end - gets), strlen(keys[_i].gets));
        ck_assert_mem_eq(gets, keys[_i].gets, strlen(keys[_i].gets));
    }
}
END_TEST

static Suite *process_suite(void)
{
    Suite *suite = suite_create("cli_process");
    TCase *cases = tcase_create("processes");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, exec_ends_as_the_process_did);
    tcase_add_test(cases, exec_detached_prints_the_id);
    tcase_add_test(cases, exec_that_cannot_be_followed_says_how_to_go_on);
    tcase_add_loop_test(cases, a_wrong_command_line_asks_nothing, 0,
                        sizeof(wrong) / sizeof(*wrong));
    tcase_add_test(cases, attach_begins_where_it_is_told);
    tcase_add_test(cases, ctr_ps);
    tcase_add_test(cases, any_process_is_waited_for_killed_and_removed);
    tcase_add_test(cases, logs_go_on_where_the_sandbox_goes);
    tcase_add_loop_test(cases, two_keys_detach, 0, sizeof(keys) / sizeof(*keys));
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(process_suite());
}
