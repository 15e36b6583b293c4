/* Each function of sandferry_process.h against a server that notes what it was asked. */

#include "sandferry_process.h"

#include "client_fixture.h"
#include "sandferry/v1/process.pb-c.h"

START_TEST(process_wait_signal_list)
{
    Sandferry__V1__WaitProcessResponse answer = SANDFERRY__V1__WAIT_PROCESS_RESPONSE__INIT;
    Sandferry__V1__ListProcessesResponse both = SANDFERRY__V1__LIST_PROCESSES_RESPONSE__INIT;
    Sandferry__V1__Process wire = SANDFERRY__V1__PROCESS__INIT, *all[] = {&wire};
    struct sandferry_process_options o = SANDFERRY_PROCESS_OPTIONS_INIT;
    struct sandferry_process *p;
    struct sandferry_processes *list;

    wire.container_id = (char *)"app";
    wire.exec_id = (char *)"e1";
    wire.stage = SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED;
    wire.exit_code = 137;
    wire.pid = 12;
    answer.process = &wire;
    fake_answer(fake, &answer.base);
    o.exec_id = "e1";
    OK(sandferry_process_wait(client, "web", "app", &o, &p, &err));
    asked("WaitProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\"}");
    ck_assert_uint_eq(p->exit_code, 137);
    ck_assert_int_eq(p->pid, 12);
    ck_assert_int_eq(p->stage, SANDFERRY_PROCESS_TERMINATED);
    sandferry_process_free(p);

    OK(sandferry_process_signal(client, "web", "app", 9, NULL, &err));
    asked("SignalProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"signal\":9}");

    both.n_processes = 1;
    both.processes = all;
    fake_answer(fake, &both.base);
    OK(sandferry_process_list(client, "web", NULL, NULL, &list, &err));
    asked("ListProcesses", "{\"sandboxId\":\"web\"}");
    ck_assert_uint_eq(list->n, 1);
    ck_assert_str_eq(list->all[0]->exec_id, "e1");
    sandferry_processes_free(list);
}
END_TEST

static bool take_bytes(void *context, uint64_t offset, const void *data, size_t size, uint64_t lost)
{
    struct sf_text *t = context;
    sf_text_add(t, "%llu+%llu:", (unsigned long long)offset, (unsigned long long)lost);
    sf_text_add_bytes(t, data, size);
    return true;
}

START_TEST(process_read_and_write_pass_bytes)
{
    Sandferry__V1__ReadOutputResponse some = SANDFERRY__V1__READ_OUTPUT_RESPONSE__INIT;
    Sandferry__V1__WriteInputResponse taken = SANDFERRY__V1__WRITE_INPUT_RESPONSE__INIT;
    struct sandferry_read_options o = SANDFERRY_READ_OPTIONS_INIT;
    struct sandferry_write_options w = SANDFERRY_WRITE_OPTIONS_INIT;
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    uint64_t offset;

    some.offset = 10;
    some.lost = 3;
    some.data = (ProtobufCBinaryData){2, (uint8_t *)"ab"};
    fake_answer(fake, &some.base);
    some.offset = 12;
    some.lost = 0;
    fake_answer(fake, &some.base);
    o.stream = SANDFERRY_STDERR;
    o.offset = 7;
    o.follow = true;
    OK(sandferry_process_read(client, "web", "app", &o, take_bytes, &text, &err));
    asked("ReadOutput", "{\"sandboxId\":\"web\",\"containerId\":\"app\","
                        "\"stream\":\"OUTPUT_STREAM_STDERR\",\"offset\":\"7\",\"follow\":true}");
    ck_assert_str_eq(text.data, "10+3:ab12+0:ab");

    taken.offset = 4;
    fake_answer(fake, &taken.base);
    w.close = w.at_offset = true;
    w.offset = 2;
    OK(sandferry_process_write(client, "web", "app", "\0x", 2, &w, &offset, &err));
    asked("WriteInput", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"data\":\"AHg=\","
                        "\"close\":true,\"offset\":\"2\",\"atOffset\":true}");
    ck_assert_uint_eq(offset, 4);
}
END_TEST

START_TEST(process_exec_says_all_that_it_was_told)
{
    Sandferry__V1__ExecProcessResponse made = SANDFERRY__V1__EXEC_PROCESS_RESPONSE__INIT;
    Sandferry__V1__Process wire = SANDFERRY__V1__PROCESS__INIT;
    struct sandferry_exec_options o = SANDFERRY_EXEC_OPTIONS_INIT;
    struct sandferry_process *p;

    wire.exec_id = (char *)"e1";
    wire.waits_for_readers = true;
    made.process = &wire;
    fake_answer(fake, &made.base);
    o.exec_id = "e1";
    o.args = (const char *const[]){"/bin/sh", "-i"};
    o.n_args = 2;
    o.env = (const char *const[]){"A=1"};
    o.n_env = 1;
    o.working_directory = "/tmp";
    o.user = "5:6";
    o.terminal = o.input = o.wait_for_readers = o.record_only = true;
    o.columns = 80;
    o.rows = 24;
    OK(sandferry_process_exec(client, "web", "app", &o, &p, &err));
    asked("ExecProcess",
          "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
          "\"args\":[\"/bin/sh\",\"-i\"],\"env\":[\"A=1\"],\"workingDirectory\":\"/tmp\","
          "\"user\":\"5:6\",\"terminal\":true,\"columns\":80,\"rows\":24,\"input\":true,"
          "\"waitForReaders\":true,\"recordOnly\":true}");
    ck_assert_str_eq(p->exec_id, "e1");
    ck_assert(p->waits_for_readers);
    sandferry_process_free(p);
}
END_TEST

START_TEST(process_start_resize_delete)
{
    struct sandferry_process_options o = SANDFERRY_PROCESS_OPTIONS_INIT;
    struct sandferry_process_delete_options d = SANDFERRY_PROCESS_DELETE_OPTIONS_INIT;

    o.exec_id = d.exec_id = "e1";
    OK(sandferry_process_start(client, "web", "app", &o, NULL, &err));
    asked("StartProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\"}");
    OK(sandferry_process_resize(client, "web", "app", 132, 43, &o, &err));
    asked("ResizeTerminal", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
                            "\"columns\":132,\"rows\":43}");
    d.force = true;
    OK(sandferry_process_delete(client, "web", "app", &d, NULL, &err));
    asked("DeleteProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
                           "\"force\":true}");
}
END_TEST

static bool take_attached(void *context, enum sandferry_stream stream, uint64_t offset,
                          const void *data, size_t size, uint64_t lost)
{
    sf_text_add(context, "%d@", (int)stream);
    take_bytes(context, offset, data, size, lost);
    return size != 1; /* one byte is enough */
}

START_TEST(process_attach_gives_both_streams_and_the_end)
{
    Sandferry__V1__AttachProcessResponse m = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__INIT;
    Sandferry__V1__AttachedOutput out = SANDFERRY__V1__ATTACHED_OUTPUT__INIT;
    Sandferry__V1__Process end = SANDFERRY__V1__PROCESS__INIT;
    struct sandferry_attach_options o = SANDFERRY_ATTACH_OPTIONS_INIT;
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    struct sandferry_process *p;

    m.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_OUTPUT;
    m.output = &out;
    out.stream = SANDFERRY__V1__OUTPUT_STREAM__OUTPUT_STREAM_STDERR;
    out.offset = 9;
    out.data = (ProtobufCBinaryData){2, (uint8_t *)"ab"};
    fake_answer(fake, &m.base);
    m.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_EXITED;
    m.exited = &end;
    end.exit_code = 4;
    fake_answer(fake, &m.base);
    o.exec_id = "e1";
    o.stdout_offset = 5;
    o.stderr_offset = 9;
    OK(sandferry_process_attach(client, "web", "app", &o, take_attached, &text, &p, &err));
    asked("AttachProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"execId\":\"e1\","
                           "\"stdoutOffset\":\"5\",\"stderrOffset\":\"9\"}");
    ck_assert_str_eq(text.data, "2@9+0:ab");
    ck_assert_uint_eq(p->exit_code, 4);
    sandferry_process_free(p);

    m.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_OUTPUT;
    m.output = &out;
    out.data.len = 1;
    fake_answer(fake, &m.base);
    OK(sandferry_process_attach(client, "web", "app", NULL, take_attached, &text, &p, &err));
    ck_assert_ptr_null(p); /* it had enough */
    ck_assert(
        !sandferry_process_attach(client, "web", "app", NULL, take_attached, &text, &p, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INTERNAL); /* a daemon that tells no end */
    sf_error_free(err);
    err = NULL;
}
END_TEST

static Suite *process_suite(void)
{
    Suite *suite = suite_create("client_process");
    TCase *cases = tcase_create("calls");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, process_wait_signal_list);
    tcase_add_test(cases, process_read_and_write_pass_bytes);
    tcase_add_test(cases, process_exec_says_all_that_it_was_told);
    tcase_add_test(cases, process_start_resize_delete);
    tcase_add_test(cases, process_attach_gives_both_streams_and_the_end);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(process_suite());
}
