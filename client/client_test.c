/* Each function of sandferry.h against a server that notes what it was asked. */

#include "sandferry.h"

#include <pthread.h>

#include "client_fixture.h"
#include "sandferry/v1/sandbox.pb-c.h"

/* ---- answers ---- */

static Sandferry__V1__Label label = SANDFERRY__V1__LABEL__INIT;
static Sandferry__V1__Label *labels[] = {&label};
static char *controllers[] = {(char *)"vm", (char *)"scsi"};
static Google__Protobuf__Timestamp created = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
static Sandferry__V1__VmOptions vm = SANDFERRY__V1__VM_OPTIONS__INIT;
static Sandferry__V1__Sandbox sandbox = SANDFERRY__V1__SANDBOX__INIT;

static Sandferry__V1__Sandbox *a_sandbox(void)
{
    label.key = (char *)"owner";
    label.value = (char *)"ops";
    created.seconds = 1700000000;
    created.nanos = 5;
    vm.memory_bytes = 512u << 20;
    vm.processors = 2;
    vm.cpu_model = (char *)"qemu64";
    sandbox.sandbox_id = (char *)"web";
    sandbox.state = SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_RUNNING;
    sandbox.created_at = &created;
    sandbox.n_labels = 1;
    sandbox.labels = labels;
    sandbox.vm = &vm;
    sandbox.n_controllers = 2;
    sandbox.controllers = controllers;
    return &sandbox;
}

static void is_that_sandbox(const struct sandferry_sandbox *s)
{
    ck_assert_str_eq(s->id, "web");
    ck_assert_int_eq(s->state, SANDFERRY_RUNNING);
    ck_assert_str_eq(s->problem, "");
    ck_assert_int_eq(s->created_at_ns, INT64_C(1700000000000000005));
    ck_assert_uint_eq(s->memory_bytes, 512u << 20);
    ck_assert_uint_eq(s->processors, 2);
    ck_assert_str_eq(s->cpu_model, "qemu64");
    ck_assert_str_eq(s->image, "");
    ck_assert_uint_eq(s->n_labels, 1);
    ck_assert_str_eq(s->labels[0].key, "owner");
    ck_assert_str_eq(s->labels[0].value, "ops");
    ck_assert_uint_eq(s->n_controllers, 2);
    ck_assert_str_eq(s->controllers[1], "scsi");
}

/* ---- sandboxes ---- */

START_TEST(create_says_all_that_it_was_told)
{
    const struct sandferry_label ours[] = {{"owner", "ops"}, {"tier", ""}};
    struct sandferry_create_options o = SANDFERRY_CREATE_OPTIONS_INIT;
    Sandferry__V1__CreateSandboxResponse answer = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
    struct sandferry_sandbox *s;

    o.request_id = "r1";
    o.memory_bytes = 2u << 20;
    o.processors = 3;
    o.image = "small";
    o.cpu_model = "max";
    o.kernel_arguments = "quiet";
    o.no_writable_file_shares = true;
    o.enable_scratch_encryption = true;
    o.policy_based_routing = true;
    o.n_labels = 2;
    o.labels = ours;
    answer.sandbox = a_sandbox();
    fake_answer(fake, &answer.base);
    OK(sandferry_create(client, "web", &o, &s, &err));
    asked("CreateSandbox",
          "{\"sandboxId\":\"web\",\"vm\":{\"memoryBytes\":\"2097152\",\"processors\":3,"
          "\"image\":\"small\",\"cpuModel\":\"max\",\"kernelArguments\":\"quiet\","
          "\"noWritableFileShares\":true,\"enableScratchEncryption\":true,"
          "\"policyBasedRouting\":true},\"labels\":[{\"key\":\"owner\",\"value\":\"ops\"},"
          "{\"key\":\"tier\"}],\"requestId\":\"r1\"}");
    is_that_sandbox(s);
    sandferry_sandbox_free(s);
}
END_TEST

START_TEST(get_gives_a_sandbox_and_its_json)
{
    Sandferry__V1__GetSandboxResponse answer = SANDFERRY__V1__GET_SANDBOX_RESPONSE__INIT;
    struct sandferry_sandbox *s;

    answer.sandbox = a_sandbox();
    fake_answer(fake, &answer.base);
    OK(sandferry_get(client, "web", NULL, &s, &err));
    asked("GetSandbox", "{\"sandboxId\":\"web\"}");
    is_that_sandbox(s);
    SF_CLEANUP(sf_freep) char *json = sandferry_sandbox_json(s);
    ck_assert_ptr_nonnull(strstr(json, "\"state\": \"SANDBOX_STATE_RUNNING\""));
    ck_assert_int_eq(json[strlen(json) - 1], '\n');
    sandferry_sandbox_free(s);
}
END_TEST

START_TEST(list_gives_all_and_an_empty_list_is_there)
{
    Sandferry__V1__ListSandboxesResponse answer = SANDFERRY__V1__LIST_SANDBOXES_RESPONSE__INIT;
    Sandferry__V1__Sandbox second = SANDFERRY__V1__SANDBOX__INIT;
    Sandferry__V1__Sandbox *both[] = {a_sandbox(), &second};
    struct sandferry_sandboxes *list;

    second.sandbox_id = (char *)"x";
    answer.n_sandboxes = 2;
    answer.sandboxes = both;
    fake_answer(fake, &answer.base);
    OK(sandferry_list(client, NULL, &list, &err));
    ck_assert_uint_eq(list->n, 2);
    is_that_sandbox(list->all[0]);
    ck_assert_str_eq(list->all[1]->id, "x");
    SF_CLEANUP(sf_freep) char *inner = sandferry_sandbox_json(list->all[1]);
    ck_assert_ptr_nonnull(strstr(inner, "\"sandboxId\": \"x\""));
    sandferry_sandboxes_free(list);

    OK(sandferry_list(client, NULL, &list, &err));
    asked("ListSandboxes", "{}");
    ck_assert_uint_eq(list->n, 0);
    SF_CLEANUP(sf_freep) char *json = sandferry_sandboxes_json(list);
    ck_assert_str_eq(json, "{\n  \"sandboxes\": []\n}\n");
    sandferry_sandboxes_free(list);
}
END_TEST

START_TEST(stop_resume_delete_name_the_sandbox)
{
    Sandferry__V1__StopSandboxResponse stopped = SANDFERRY__V1__STOP_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__ResumeSandboxResponse resumed = SANDFERRY__V1__RESUME_SANDBOX_RESPONSE__INIT;
    struct sandferry_delete_options o = SANDFERRY_DELETE_OPTIONS_INIT;
    struct sandferry_sandbox *s;

    stopped.sandbox = resumed.sandbox = a_sandbox();
    fake_answer(fake, &stopped.base);
    OK(sandferry_stop(client, "web", NULL, NULL, &err));
    asked("StopSandbox", "{\"sandboxId\":\"web\"}");
    fake_answer(fake, &resumed.base);
    OK(sandferry_resume(client, "web", NULL, &s, &err));
    asked("ResumeSandbox", "{\"sandboxId\":\"web\"}");
    is_that_sandbox(s);
    sandferry_sandbox_free(s);
    o.force = true;
    OK(sandferry_delete(client, "web", &o, &err));
    asked("DeleteSandbox", "{\"sandboxId\":\"web\",\"force\":true}");
}
END_TEST

START_TEST(an_answer_without_its_object_is_an_error)
{
    struct sandferry_sandbox *s = NULL;
    ck_assert(!sandferry_get(client, "web", NULL, &s, &err));
    ck_assert_ptr_null(s);
    refused(SF_INTERNAL, "no sandbox");
    struct sandferry_saved *saved;
    ck_assert(!sandferry_save(client, "web", NULL, &saved, &err));
    refused(SF_INTERNAL, "no snapshot");
}
END_TEST

/* ---- save and restore ---- */

static Sandferry__V1__SandboxSnapshot wire_snapshot = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;

static struct sandferry_saved *a_save(void)
{
    Sandferry__V1__SaveSandboxResponse answer = SANDFERRY__V1__SAVE_SANDBOX_RESPONSE__INIT;
    Google__Protobuf__Duration time = GOOGLE__PROTOBUF__DURATION__INIT;
    Sandferry__V1__StepTime step = SANDFERRY__V1__STEP_TIME__INIT;
    Sandferry__V1__StepTime *steps[] = {&step};
    struct sandferry_save_options o = SANDFERRY_SAVE_OPTIONS_INIT;
    struct sandferry_saved *saved;

    a_sandbox();
    wire_snapshot.schema_version = 1;
    wire_snapshot.sandbox_id = (char *)"web";
    wire_snapshot.created_at = &created;
    time.seconds = 1;
    time.nanos = 500;
    step.step = (char *)"freeze";
    step.time = &time;
    answer.snapshot = &wire_snapshot;
    answer.n_steps = 1;
    answer.steps = steps;
    answer.stopped_at = &created;
    fake_answer(fake, &answer.base);
    o.after = SANDFERRY_AFTER_HOLD;
    o.request_id = "r2";
    OK(sandferry_save(client, "web", &o, &saved, &err));
    return saved;
}

START_TEST(save_gives_snapshot_and_steps)
{
    struct sandferry_saved *saved = a_save();
    asked("SaveSandbox",
          "{\"sandboxId\":\"web\",\"after\":\"AFTER_SAVE_HOLD\",\"requestId\":\"r2\"}");
    ck_assert_str_eq(sandferry_snapshot_sandbox(saved->snapshot), "web");
    ck_assert_int_eq(sandferry_snapshot_created_at_ns(saved->snapshot),
                     INT64_C(1700000000000000005));
    ck_assert_uint_eq(saved->n_steps, 1);
    ck_assert_str_eq(saved->steps[0].name, "freeze");
    ck_assert_int_eq(saved->steps[0].time_ns, INT64_C(1000000500));
    ck_assert_int_eq(saved->stopped_at_ns, INT64_C(1700000000000000005));
    sandferry_saved_free(saved);
}
END_TEST

START_TEST(a_snapshot_goes_through_a_file_unchanged)
{
    struct sandferry_saved *saved = a_save();
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/snapshot", fake_directory(fake));
    struct sandferry_snapshot *snapshot;
    void *before, *after;
    size_t n_before, n_after;

    OK(sandferry_snapshot_write(saved->snapshot, path, &err));
    OK(sandferry_snapshot_read(path, &snapshot, &err));
    OK(sandferry_snapshot_to_bytes(saved->snapshot, &before, &n_before, &err));
    OK(sandferry_snapshot_to_bytes(snapshot, &after, &n_after, &err));
    ck_assert_uint_eq(n_before, n_after);
    ck_assert_mem_eq(before, after, n_before);
    free(before);
    free(after);

    ck_assert(!sandferry_snapshot_check(snapshot, &err)); /* it has no sections */
    refused(SF_INVALID_ARGUMENT, "");
    char *text = NULL;
    for (int view = SANDFERRY_TREE; view <= SANDFERRY_DOT; view++) {
        OK(sandferry_snapshot_view(snapshot, (enum sandferry_view)view, &text, &err));
        ck_assert_ptr_nonnull(strstr(text, "web"));
        free(text);
    }
    ck_assert(!sandferry_snapshot_view(snapshot, (enum sandferry_view)9, &text, &err));
    refused(SF_INVALID_ARGUMENT, "9");
    sandferry_snapshot_free(snapshot);
    sandferry_saved_free(saved);
}
END_TEST

START_TEST(restore_sends_snapshot_and_patches)
{
    const struct sandferry_patch patches[] = {{"scsi", "0:3", "/new"}};
    struct sandferry_restore_options o = SANDFERRY_RESTORE_OPTIONS_INIT;
    Sandferry__V1__RestoreSandboxResponse answer = SANDFERRY__V1__RESTORE_SANDBOX_RESPONSE__INIT;
    Google__Protobuf__Duration blackout = GOOGLE__PROTOBUF__DURATION__INIT;
    struct sandferry_saved *saved = a_save();
    struct sandferry_restored *restored;

    blackout.nanos = 7000000;
    answer.sandbox = a_sandbox();
    answer.resumed_at = &created;
    answer.blackout = &blackout;
    fake_answer(fake, &answer.base);
    o.id = "web2";
    o.n_patches = 1;
    o.patches = patches;
    o.hold = true;
    o.request_id = "r3";
    OK(sandferry_restore(client, saved->snapshot, &o, &restored, &err));
    asked("RestoreSandbox",
          "{\"snapshot\":{\"schemaVersion\":1,\"sandboxId\":\"web\","
          "\"createdAt\":\"2023-11-14T22:13:20.000000005Z\"},\"sandboxId\":\"web2\","
          "\"patches\":[{\"controller\":\"scsi\",\"object\":\"0:3\",\"value\":\"/new\"}],"
          "\"hold\":true,\"requestId\":\"r3\"}");
    is_that_sandbox(restored->sandbox);
    ck_assert_int_eq(restored->blackout_ns, 7000000);
    ck_assert_int_eq(restored->resumed_at_ns, INT64_C(1700000000000000005));
    sandferry_restored_free(restored);
    sandferry_saved_free(saved);
}
END_TEST

START_TEST(check_gives_every_obstacle)
{
    Sandferry__V1__CheckRestoreResponse answer = SANDFERRY__V1__CHECK_RESTORE_RESPONSE__INIT;
    Sandferry__V1__Obstacle one = SANDFERRY__V1__OBSTACLE__INIT, two = one;
    Sandferry__V1__Obstacle *both[] = {&one, &two};
    struct sandferry_saved *saved = a_save();
    struct sandferry_obstacles *list;

    one.source = (char *)"scsi";
    one.field = (char *)"scsi.disks[0].host_path";
    one.reason = (char *)"no such file";
    two.source = (char *)"vm";
    answer.n_obstacles = 2;
    answer.obstacles = both;
    fake_answer(fake, &answer.base);
    OK(sandferry_check_restore(client, saved->snapshot, NULL, &list, &err));
    ck_assert_str_eq(fake_method(fake), "CheckRestore");
    ck_assert_uint_eq(list->n, 2);
    ck_assert_str_eq(list->all[0]->source, "scsi");
    ck_assert_str_eq(list->all[0]->field, "scsi.disks[0].host_path");
    ck_assert_str_eq(list->all[0]->reason, "no such file");
    ck_assert_str_eq(list->all[1]->field, "");
    sandferry_obstacles_free(list);
    sandferry_saved_free(saved);
}
END_TEST

/* ---- events ---- */

struct seen {
    unsigned n, enough_at;
    uint64_t last;
};

static bool see(void *context, const struct sandferry_event *event)
{
    struct seen *seen = context;
    SF_CLEANUP(sf_freep) char *json = sandferry_event_json(event);
    ck_assert_ptr_nonnull(strstr(json, "\"sandboxId\":\"web\""));
    ck_assert_str_eq(event->type, "sandbox.created");
    seen->last = event->number;
    return ++seen->n != seen->enough_at;
}

static void two_events(void)
{
    Sandferry__V1__Event event = SANDFERRY__V1__EVENT__INIT;
    Sandferry__V1__WatchEventsResponse answer = SANDFERRY__V1__WATCH_EVENTS_RESPONSE__INIT;
    answer.event = &event;
    event.sandbox_id = (char *)"web";
    event.type = (char *)"sandbox.created";
    for (event.number = 8; event.number <= 9; event.number++)
        fake_answer(fake, &answer.base);
}

START_TEST(watch_gives_each_event_until_the_stream_ends)
{
    struct sandferry_watch_options o = SANDFERRY_WATCH_OPTIONS_INIT;
    struct seen seen = {0};

    two_events();
    o.sandbox = "web";
    o.after = 7;
    o.from_start = o.until_now = true;
    OK(sandferry_watch(client, &o, see, &seen, &err));
    asked("WatchEvents",
          "{\"sandboxId\":\"web\",\"after\":\"7\",\"fromStart\":true,\"untilNow\":true}");
    ck_assert_uint_eq(seen.n, 2);
    ck_assert_uint_eq(seen.last, 9);
}
END_TEST

START_TEST(watch_ends_when_the_reader_has_enough)
{
    struct seen seen = {.enough_at = 1};
    two_events();
    OK(sandferry_watch(client, NULL, see, &seen, &err));
    ck_assert_uint_eq(seen.last, 8);
}
END_TEST

/* ---- what can go wrong ---- */

START_TEST(an_error_arrives_with_code_message_and_details)
{
    struct sandferry_saved *saved = NULL;
    fake_fail(fake, SF_FAILED_PRECONDITION, "sandbox 'web' cannot be saved now");
    fake_fail_detail(fake, SF_DETAIL_REASON, "scsi", "disk '0:3' is attaching");
    fake_fail_detail(fake, SF_DETAIL_REASON, "vm", "the guest does not answer");
    ck_assert(!sandferry_save(client, "web", NULL, &saved, &err));
    ck_assert_ptr_null(saved);
    ck_assert_uint_eq(sf_error_n_details(err), 2);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "scsi");
    ck_assert_str_eq(sf_error_detail(err, 1)->text, "the guest does not answer");
    refused(SF_FAILED_PRECONDITION, "cannot be saved now");
}
END_TEST

START_TEST(nobody_there_names_the_address)
{
    struct sandferry_connect_options o = SANDFERRY_CONNECT_OPTIONS_INIT;
    struct sandferry *other;
    struct sandferry_sandboxes *list;
    o.address = "unix:/nonexistent/sock";
    OK(sandferry_connect(&o, &other, &err));
    ck_assert(!sandferry_list(other, NULL, &list, &err));
    refused(SF_UNAVAILABLE, "/nonexistent/sock");
    sandferry_close(other);
}
END_TEST

START_TEST(a_call_ends_at_its_deadline)
{
    struct sandferry_call_options o = SANDFERRY_CALL_OPTIONS_INIT;
    struct sandferry_sandboxes *list;
    o.timeout_ms = 50;
    fake_hang(fake);
    ck_assert(!sandferry_list(client, &o, &list, &err));
    refused(SF_DEADLINE_EXCEEDED, "");
}
END_TEST

static void *cancel_it(void *unused)
{
    (void)unused;
    fake_await_calls(fake, 1);
    sandferry_cancel(client);
    return NULL;
}

START_TEST(a_call_is_cancelled_from_another_thread)
{
    struct sandferry_sandboxes *list;
    pthread_t thread;
    fake_hang(fake);
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_it, NULL), 0);
    ck_assert(!sandferry_list(client, NULL, &list, &err));
    pthread_join(thread, NULL);
    refused(SF_CANCELLED, "");
    OK(sandferry_list(client, NULL, &list, &err)); /* the connection goes on */
    sandferry_sandboxes_free(list);
}
END_TEST

static Suite *client_suite(void)
{
    Suite *suite = suite_create("client");
    TCase *cases = tcase_create("calls");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, create_says_all_that_it_was_told);
    tcase_add_test(cases, get_gives_a_sandbox_and_its_json);
    tcase_add_test(cases, list_gives_all_and_an_empty_list_is_there);
    tcase_add_test(cases, stop_resume_delete_name_the_sandbox);
    tcase_add_test(cases, an_answer_without_its_object_is_an_error);
    tcase_add_test(cases, save_gives_snapshot_and_steps);
    tcase_add_test(cases, a_snapshot_goes_through_a_file_unchanged);
    tcase_add_test(cases, restore_sends_snapshot_and_patches);
    tcase_add_test(cases, check_gives_every_obstacle);
    tcase_add_test(cases, watch_gives_each_event_until_the_stream_ends);
    tcase_add_test(cases, watch_ends_when_the_reader_has_enough);
    suite_add_tcase(suite, cases);

    TCase *wrong = tcase_create("wrong");
    tcase_add_checked_fixture(wrong, setup, teardown);
    tcase_set_timeout(wrong, 60);
    tcase_add_test(wrong, an_error_arrives_with_code_message_and_details);
    tcase_add_test(wrong, nobody_there_names_the_address);
    tcase_add_test(wrong, a_call_ends_at_its_deadline);
    tcase_add_test(wrong, a_call_is_cancelled_from_another_thread);
    suite_add_tcase(suite, wrong);
    return suite;
}

int main(void)
{
    return sf_suite_run(client_suite());
}
