/* Whole command lines against a server that answers what it is told to: what is asked, what is
 * printed, how it ends. */

#include "cli_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "sandferry/v1/container.pb-c.h"
#include "sandferry/v1/device.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/process.pb-c.h"
#include "sandferry/v1/sandbox.pb-c.h"
#include "sandferry/v1/share.pb-c.h"
#include "snapshot/snapshot.h"

/* ---- sandboxes ---- */

static Sandferry__V1__Sandbox sandbox = SANDFERRY__V1__SANDBOX__INIT;
static Sandferry__V1__VmOptions vm = SANDFERRY__V1__VM_OPTIONS__INIT;
static Google__Protobuf__Timestamp created = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
static char *controllers[] = {(char *)"vm",   (char *)"scsi",      (char *)"plan9",
                              (char *)"vpci", (char *)"container", (char *)"process"};

static Sandferry__V1__Sandbox *a_sandbox(void)
{
    vm.memory_bytes = 512u << 20;
    vm.processors = 2;
    created.seconds = 1700000000;
    sandbox.sandbox_id = (char *)"web";
    sandbox.state = SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_RUNNING;
    sandbox.vm = &vm;
    sandbox.created_at = &created;
    sandbox.n_controllers = 6;
    sandbox.controllers = controllers;
    return &sandbox;
}

START_TEST(create_)
{
    Sandferry__V1__CreateSandboxResponse answer = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
    answer.sandbox = a_sandbox();
    fake_answer(fake, &answer.base);
    OK("create", "web", "--memory", "512M", "-c2", "--image=small", "--cpu-model", "max",
       "--kernel-args", "quiet", "--label", "a=b=c", "--request-id", "r1", "--read-only-shares",
       "--encrypt-scratch");
    asked("CreateSandbox",
          "{\"sandboxId\":\"web\",\"vm\":{\"memoryBytes\":\"536870912\",\"processors\":2,"
          "\"image\":\"small\",\"cpuModel\":\"max\",\"kernelArguments\":\"quiet\","
          "\"noWritableFileShares\":true,\"enableScratchEncryption\":true},"
          "\"labels\":[{\"key\":\"a\",\"value\":\"b=c\"}],\"requestId\":\"r1\"}");
    ck_assert_str_eq(out, "sandbox 'web' is running\n");
    ck_assert_str_eq(told, "");
    ck_assert_int_eq(RUN("create", "web", "--label", "=b"), EXIT_INVALID);
    has(told, "'=b' is not KEY=VALUE");
}
END_TEST

START_TEST(ls)
{
    Sandferry__V1__ListSandboxesResponse answer = SANDFERRY__V1__LIST_SANDBOXES_RESPONSE__INIT;
    Sandferry__V1__Sandbox other = SANDFERRY__V1__SANDBOX__INIT;
    Sandferry__V1__Sandbox *all[] = {a_sandbox(), &other};
    other.sandbox_id = (char *)"a-longer-name\033[31m";
    other.state = SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_STOPPED;
    answer.n_sandboxes = 2;
    answer.sandboxes = all;

    fake_answer(fake, &answer.base);
    OK("ls");
    ck_assert_str_eq(out, "SANDBOX                STATE    MEMORY   CPUS     CREATED\n"
                          "web                    running  512 MiB  2        2023-11-14 22:13:20Z\n"
                          "a-longer-name\\x1b[31m  stopped  default  default  -\n");
    fake_answer(fake, &answer.base);
    OK("ls", "-q");
    ck_assert_str_eq(out, "web\na-longer-name\\x1b[31m\n");
    OK("ls");
    has(out, "there are no sandboxes at unix:");
    OK("ls", "-o", "json");
    ck_assert_str_eq(out, "{\n  \"sandboxes\": []\n}\n");
}
END_TEST

START_TEST(show)
{
    Sandferry__V1__GetSandboxResponse answer = SANDFERRY__V1__GET_SANDBOX_RESPONSE__INIT;
    answer.sandbox = a_sandbox();
    fake_answer(fake, &answer.base);
    OK("show", "web");
    asked("GetSandbox", "{\"sandboxId\":\"web\"}");
    ck_assert_str_eq(out, "sandbox     web\n"
                          "state       running\n"
                          "created     2023-11-14 22:13:20Z\n"
                          "memory      512 MiB\n"
                          "cpus        2\n"
                          "cpu model   default\n"
                          "controllers vm scsi plan9 vpci container process\n");
}
END_TEST

START_TEST(show_tree)
{
    Sandferry__V1__GetSandboxResponse answer = SANDFERRY__V1__GET_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__ListDisksResponse disks = SANDFERRY__V1__LIST_DISKS_RESPONSE__INIT;
    Sandferry__V1__ListContainersResponse list = SANDFERRY__V1__LIST_CONTAINERS_RESPONSE__INIT;
    Sandferry__V1__ListProcessesResponse running = SANDFERRY__V1__LIST_PROCESSES_RESPONSE__INIT;
    Sandferry__V1__Container app = SANDFERRY__V1__CONTAINER__INIT, *apps[] = {&app};
    Sandferry__V1__Pod pod = SANDFERRY__V1__POD__INIT, *pods[] = {&pod};
    Sandferry__V1__Process init = SANDFERRY__V1__PROCESS__INIT, *inits[] = {&init};

    Sandferry__V1__ListSharesResponse shares_ = SANDFERRY__V1__LIST_SHARES_RESPONSE__INIT;
    Sandferry__V1__Plan9Share share = SANDFERRY__V1__PLAN9_SHARE__INIT, *shared[] = {&share};
    Sandferry__V1__Plan9Mount mount = SANDFERRY__V1__PLAN9_MOUNT__INIT;
    Sandferry__V1__ListDevicesResponse devices_ = SANDFERRY__V1__LIST_DEVICES_RESPONSE__INIT;
    Sandferry__V1__VpciDevice device = SANDFERRY__V1__VPCI_DEVICE__INIT, *plugged[] = {&device};
    Sandferry__V1__DeviceFound found = SANDFERRY__V1__DEVICE_FOUND__INIT, *finds[] = {&found};
    char *nodes[] = {(char *)"/dev/nvme0"};

    share.name = (char *)"0";
    share.host_path = (char *)"/srv";
    share.mount = &mount;
    mount.guest_path = (char *)"/m";
    mount.refs = 1;
    shares_.n_shares = devices_.n_devices = devices_.n_found = found.n_nodes = 1;
    shares_.shares = shared;
    device.model = (char *)"nvme";
    device.guest_address = (char *)"port0";
    found.pci_address = (char *)"0000:01:00.0";
    found.nodes = nodes;
    devices_.devices = plugged;
    devices_.found = finds;
    answer.sandbox = a_sandbox();
    pod.pod_id = app.pod_id = (char *)"p";
    app.container_id = init.container_id = (char *)"app";
    app.stage = SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_RUNNING;
    init.stage = SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_RUNNING;
    init.pid = 7;
    list.n_containers = list.n_pods = running.n_processes = 1;
    list.containers = apps;
    list.pods = pods;
    running.processes = inits;
    fake_answer(fake, &answer.base);
    fake_answer(fake, &disks.base);
    fake_answer(fake, &shares_.base);
    fake_answer(fake, &devices_.base);
    fake_answer(fake, &list.base);
    fake_answer(fake, &running.base);
    OK("show", "web", "-o", "tree");
    ck_assert_str_eq(out, "sandbox web (running, memory 512 MiB, cpus 2)\n"
                          "    share 0 /srv (writable, reserved)\n"
                          "        mount /m (reserved, held 1 times, 0 files open)\n"
                          "    device nvme (reserved, is unplugged for a save, held 0 times)\n"
                          "        function 0000:01:00.0 (port0, driver none)\n"
                          "        node /dev/nvme0\n"
                          "    pod p\n"
                          "        container app (running)\n"
                          "            process init (running, pid 7)\n");
}
END_TEST

START_TEST(stop_rm_resume)
{
    Sandferry__V1__StopSandboxResponse stopped = SANDFERRY__V1__STOP_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__ResumeSandboxResponse resumed = SANDFERRY__V1__RESUME_SANDBOX_RESPONSE__INIT;
    stopped.sandbox = resumed.sandbox = a_sandbox();
    fake_answer(fake, &stopped.base);
    OK("stop", "web");
    asked("StopSandbox", "{\"sandboxId\":\"web\"}");
    fake_answer(fake, &resumed.base);
    OK("resume", "web");
    asked("ResumeSandbox", "{\"sandboxId\":\"web\"}");
    OK("rm", "-f", "web");
    asked("DeleteSandbox", "{\"sandboxId\":\"web\",\"force\":true}");
}
END_TEST

/* ---- how it ends ---- */

static const struct {
    enum sf_code code;
    enum exit_code status;
} ends[] = {
    {SF_CANCELLED, EXIT_FAILED},
    {SF_UNKNOWN, EXIT_FAILED},
    {SF_INVALID_ARGUMENT, EXIT_INVALID},
    {SF_DEADLINE_EXCEEDED, EXIT_TIMEOUT},
    {SF_NOT_FOUND, EXIT_NOT_FOUND},
    {SF_ALREADY_EXISTS, EXIT_EXISTS},
    {SF_PERMISSION_DENIED, EXIT_DENIED},
    {SF_RESOURCE_EXHAUSTED, EXIT_EXHAUSTED},
    {SF_FAILED_PRECONDITION, EXIT_PRECONDITION},
    {SF_ABORTED, EXIT_FAILED},
    {SF_OUT_OF_RANGE, EXIT_FAILED},
    {SF_UNIMPLEMENTED, EXIT_UNKNOWN},
    {SF_INTERNAL, EXIT_FAILED},
    {SF_UNAVAILABLE, EXIT_UNAVAILABLE},
    {SF_DATA_LOSS, EXIT_INVALID},
    {SF_UNAUTHENTICATED, EXIT_DENIED},
};

START_TEST(every_code_ends_in_its_way)
{
    fake_fail(fake, ends[_i].code, "it is so");
    ck_assert_int_eq(RUN("rm", "web"), (int)ends[_i].status);
    has(told, "sandferry: ");
    has(told, "it is so");
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(details_are_printed_a_line_each)
{
    fake_fail(fake, SF_FAILED_PRECONDITION, "sandbox 'web' cannot be removed now");
    fake_fail_detail(fake, SF_DETAIL_REASON, "scsi", "disk '0:3' is attaching");
    fake_fail_detail(fake, SF_DETAIL_REASON, "vm", "it\nruns");
    ck_assert_int_eq(RUN("rm", "web"), EXIT_PRECONDITION);
    ck_assert_str_eq(told, "sandferry: sandbox 'web' cannot be removed now\n"
                           "  scsi: disk '0:3' is attaching\n"
                           "  vm: it\\x0aruns\n");
}
END_TEST

START_TEST(timeout_and_address)
{
    fake_hang(fake);
    ck_assert_int_eq(RUN("--timeout", "50ms", "ls"), EXIT_TIMEOUT);
    ck_assert_int_eq(RUN("ls", "-H", "unix:/nonexistent/sock"), EXIT_UNAVAILABLE);
    has(told, "/nonexistent/sock");
    ck_assert_int_eq(RUN("ls", "-H", "neither"), EXIT_INVALID);
    ck_assert_int_eq(RUN("ls", "--tls-cert", "/x"), EXIT_INVALID);
    has(told, "TLS needs three files");
}
END_TEST

/* ---- save and restore ---- */

static Sandferry__V1__SandboxSnapshot *golden(void)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    Sandferry__V1__SandboxSnapshot *s = sf_snapshot_load_file(GOLDEN "/snapshot-1.pb", NULL, &err);
    ck_assert_msg(s != NULL, "%s", SF_WHY(err));
    return s;
}

static void answer_save(void)
{
    Sandferry__V1__SaveSandboxResponse answer = SANDFERRY__V1__SAVE_SANDBOX_RESPONSE__INIT;
    Google__Protobuf__Duration time = GOOGLE__PROTOBUF__DURATION__INIT;
    Sandferry__V1__StepTime step = SANDFERRY__V1__STEP_TIME__INIT, *steps[] = {&step, &step};
    SF_CLEANUP(sf_snapshot_freep) Sandferry__V1__SandboxSnapshot *s = golden();
    answer.snapshot = s;
    time.nanos = 1500000;
    step.step = (char *)"freeze";
    step.time = &time;
    answer.n_steps = 2;
    answer.steps = steps;
    fake_answer(fake, &answer.base);
}

START_TEST(save_writes_the_file_and_prints_the_steps)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/s", fake_directory(fake));
    SF_CLEANUP(sf_freep) char *last = sf_format("\nsandbox 'web' is saved in '%s'\n", path);
    struct stat st;

    answer_save();
    OK("save", "web", "-o", path, "--after", "resume", "--request-id", "r");
    asked("SaveSandbox",
          "{\"sandboxId\":\"web\",\"after\":\"AFTER_SAVE_RESUME\",\"requestId\":\"r\"}");
    has(out, "STEP    TIME\n"
             "freeze        1.5 ms\n"
             "freeze        1.5 ms\n"
             "in all        3.0 ms\n");
    has(out, last);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    OK("validate", path);
    has(out, "is sound: sandbox ");

    answer_save();
    OK("save", "web", "-o", path);
    has(fake_request(fake), "\"after\":\"AFTER_SAVE_STOP\",\"requestId\":\"");
}
END_TEST

START_TEST(nothing_is_saved_if_the_file_cannot_be_written)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/no/s", fake_directory(fake));
    ck_assert_int_eq(RUN("save", "web", "-o", path), EXIT_NOT_FOUND);
    has(told, "nothing was saved");
    ck_assert_int_eq(RUN("save", "web", "-o", fake_directory(fake)), EXIT_INVALID);
    has(told, "is a directory");
    ck_assert_uint_eq(fake_n_calls(fake), 0);
}
END_TEST

START_TEST(a_lost_answer_can_be_asked_for_again)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/s", fake_directory(fake));
    fake_fail(fake, SF_UNAVAILABLE, "the daemon is stopping");
    ck_assert_int_eq(RUN("save", "web", "-o", path, "--request-id", "r7"), EXIT_UNAVAILABLE);
    has(told, "sandferry save web -o FILE --after stop --request-id r7");
    fake_fail(fake, SF_FAILED_PRECONDITION, "not now");
    ck_assert_int_eq(RUN("save", "web", "-o", path), EXIT_PRECONDITION);
    ck_assert_ptr_null(strstr(told, "--request-id"));
}
END_TEST

START_TEST(restore_passes_everything_on)
{
    Sandferry__V1__RestoreSandboxResponse answer = SANDFERRY__V1__RESTORE_SANDBOX_RESPONSE__INIT;
    Google__Protobuf__Duration blackout = GOOGLE__PROTOBUF__DURATION__INIT;
    blackout.nanos = 80000000;
    answer.sandbox = a_sandbox();
    answer.resumed_at = &created;
    answer.blackout = &blackout;
    fake_answer(fake, &answer.base);
    OK("restore", GOLDEN "/snapshot-1.pb", "--id", "web2", "--patch", "scsi:0:3=/new=x", "-p",
       "scsi:/old/=/new/", "--hold", "--request-id", "r");
    ck_assert_str_eq(fake_method(fake), "RestoreSandbox");
    has(fake_request(fake), "\"sandboxId\":\"web2\",\"patches\":["
                            "{\"controller\":\"scsi\",\"object\":\"0:3\",\"value\":\"/new=x\"},"
                            "{\"controller\":\"scsi\",\"object\":\"/old/\",\"value\":\"/new/\"}],"
                            "\"hold\":true,\"requestId\":\"r\"}");
    has(out, "sandbox 'web' is running; its processors stood still for 80.0 ms\n");
    ck_assert_int_eq(RUN("restore", GOLDEN "/snapshot-1.pb", "--patch", "scsi"), EXIT_INVALID);
    has(told, "is not CONTROLLER:OBJECT=VALUE");
    ck_assert_int_eq(RUN("restore", "/nonexistent"), EXIT_NOT_FOUND);
}
END_TEST

START_TEST(check_prints_every_reason)
{
    Sandferry__V1__CheckRestoreResponse answer = SANDFERRY__V1__CHECK_RESTORE_RESPONSE__INIT;
    Sandferry__V1__Obstacle one = SANDFERRY__V1__OBSTACLE__INIT, *all[] = {&one};
    OK("check", GOLDEN "/snapshot-1.pb");
    has(out, "nothing speaks against a restore at unix:");
    one.source = (char *)"scsi";
    one.reason = (char *)"no such file";
    answer.n_obstacles = 1;
    answer.obstacles = all;
    fake_answer(fake, &answer.base);
    ck_assert_int_eq(RUN("check", GOLDEN "/snapshot-1.pb"), EXIT_PRECONDITION);
    ck_assert_str_eq(out, "WHO   FIELD  REASON\nscsi  -      no such file\n");
}
END_TEST

START_TEST(inspect_and_validate_need_no_daemon)
{
    static const char *const views[][2] = {
        {"tree", GOLDEN "/snapshot-1.tree.txt"},
        {"json", GOLDEN "/snapshot-1.json"},
        {"dot", GOLDEN "/snapshot-1.dot"},
    };
    for (size_t i = 0; i < 3; i++) {
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        SF_CLEANUP(sf_bytes_done) struct sf_bytes want = {0};
        ck_assert(sf_file_read(views[i][1], 1 << 20, &want, &err));
        OK("inspect", GOLDEN "/snapshot-1.pb", "-o", views[i][0]);
        ck_assert_uint_eq(strlen(out), want.size);
        ck_assert_mem_eq(out, want.data, want.size);
    }
    OK("validate", GOLDEN "/snapshot-1.pb");
    ck_assert_int_eq(RUN("validate", GOLDEN "/snapshot-1.txtpb"), EXIT_INVALID);
    has(told, "snapshot-1.txtpb'");
    ck_assert_uint_eq(fake_n_calls(fake), 0);
}
END_TEST

/* ---- events ---- */

START_TEST(events)
{
    Sandferry__V1__Event event = SANDFERRY__V1__EVENT__INIT;
    Sandferry__V1__WatchEventsResponse answer = SANDFERRY__V1__WATCH_EVENTS_RESPONSE__INIT;
    created.seconds = 1700000000;
    created.nanos = 7000000;
    answer.event = &event;
    event.number = 8;
    event.time = &created;
    event.sandbox_id = (char *)"web";
    event.type = (char *)"sandbox.saved";
    event.message = (char *)"by\ta request";
    event.lost = 3;
    fake_answer(fake, &answer.base);
    OK("events", "web");
    asked("WatchEvents", "{\"sandboxId\":\"web\",\"fromStart\":true,\"untilNow\":true}");
    ck_assert_str_eq(out,
                     "     8  2023-11-14 22:13:20.007Z  web  sandbox.saved  by\\x09a request\n");
    has(told, "3 events before number 8 are lost");
    fake_answer(fake, &answer.base);
    OK("events", "-f", "--after", "7", "-o", "json");
    asked("WatchEvents", "{\"after\":\"7\"}");
    has(out, "{\"number\":\"8\",\"time\":\"2023-11-14T22:13:20.007Z\",\"sandboxId\":\"web\",");
    OK("events", "-f", "--from-start");
    asked("WatchEvents", "{\"fromStart\":true}");
    OK("events");
    ck_assert_str_eq(out, "there are no events\n");
    fake_fail(fake, SF_UNAVAILABLE, "stopping");
    ck_assert_int_eq(RUN("events", "-f"), EXIT_UNAVAILABLE);
}
END_TEST

/* ---- progress ---- */

START_TEST(what_takes_longer_than_a_second_is_told)
{
    fake_hang(fake);
    ck_assert_int_eq(RUN("--progress", "--timeout", "1200ms", "stop", "web"), EXIT_TIMEOUT);
    has(told, "sandferry: stopping 'web': 1 s\n");
    fake_hang(fake);
    ck_assert_int_eq(RUN("--timeout", "1200ms", "stop", "web"), EXIT_TIMEOUT);
    ck_assert_ptr_null(strstr(told, "1 s\n")); /* no terminal, not asked for */
}
END_TEST

static Suite *cli_suite(void)
{
    Suite *suite = suite_create("cli");
    TCase *cases = tcase_create("commands");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, create_);
    tcase_add_test(cases, ls);
    tcase_add_test(cases, show);
    tcase_add_test(cases, show_tree);
    tcase_add_test(cases, stop_rm_resume);
    tcase_add_test(cases, save_writes_the_file_and_prints_the_steps);
    tcase_add_test(cases, nothing_is_saved_if_the_file_cannot_be_written);
    tcase_add_test(cases, a_lost_answer_can_be_asked_for_again);
    tcase_add_test(cases, restore_passes_everything_on);
    tcase_add_test(cases, check_prints_every_reason);
    tcase_add_test(cases, inspect_and_validate_need_no_daemon);
    tcase_add_test(cases, events);
    suite_add_tcase(suite, cases);

    TCase *end = tcase_create("ends");
    tcase_add_checked_fixture(end, setup, teardown);
    tcase_set_timeout(end, 60);
    tcase_add_loop_test(end, every_code_ends_in_its_way, 0, sizeof(ends) / sizeof(*ends));
    tcase_add_test(end, details_are_printed_a_line_each);
    tcase_add_test(end, timeout_and_address);
    tcase_add_test(end, what_takes_longer_than_a_second_is_told);
    suite_add_tcase(suite, end);
    return suite;
}

int main(void)
{
    return sf_suite_run(cli_suite());
}
