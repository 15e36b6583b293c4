#include "snapshot/show.h"

#include "sandferry/v1/sandbox.pb-c.h"
#include "snapshot/testing.h"

// clang-format off
static const struct {
    const char *file;
    char *(*show)(const Sandferry__V1__SandboxSnapshot *s);
} views[] = {
    { "snapshot-1.tree.txt", sf_snapshot_to_tree      },
    { "snapshot-1.dot",      sf_snapshot_to_dot       },
    { "snapshot-1.json",     sf_snapshot_to_json_text },
};
// clang-format on

/* With SANDFERRY_UPDATE_GOLDEN set, writes the file anew instead. */
START_TEST(golden_looks_as_kept)
{
    SF_CLEANUP(sf_freep)
    char *path = sf_format("%s/tests/golden/%s", SOURCE_DIR, views[_i].file);
    Sandferry__V1__SandboxSnapshot *s = golden();
    SF_CLEANUP(sf_freep) char *text = views[_i].show(s);
    struct sf_error *err = NULL;
    struct sf_bytes want;
    ck_assert_ptr_nonnull(text);
    if (getenv("SANDFERRY_UPDATE_GOLDEN") != NULL)
        CHECK_OK(sf_file_write(path, text, strlen(text), 0644, &err), err);

    CHECK_OK(sf_file_read(path, 1024 * 1024, &want, &err), err);
    ck_assert_msg(want.size == strlen(text) && memcmp(want.data, text, want.size) == 0, "%s", text);
    sf_bytes_done(&want);
    sf_snapshot_free(s);
}
END_TEST

/* What is not sound can be looked at too, and no text can forge a line. */
START_TEST(anything_can_be_shown)
{
    Sandferry__V1__SandboxSnapshot *s = golden();
    set_field(s, "scsi", NULL);
    set_field(s, "plan9", NULL);
    set_field(s, "vm.stage", "77");
    set_field(s, "sandbox_id", "a\nb\"\x1b[1m");

    SF_CLEANUP(sf_freep)
    char *tree = sf_snapshot_to_tree(s), *dot = sf_snapshot_to_dot(s),
         *json = sf_snapshot_to_json_text(s);
    ck_assert_ptr_nonnull(strstr(tree, "sandbox 'a\\x0ab\"\\x1b[1m'"));
    ck_assert_ptr_nonnull(strstr(tree, "which is not there"));
    ck_assert_ptr_nonnull(strstr(tree, "vm: stage 77"));
    ck_assert_ptr_nonnull(strstr(dot, "a\\\\x0ab\\\"\\\\x1b"));
    ck_assert_ptr_nonnull(strstr(json, "\"stage\": 77"));
    sf_snapshot_free(s);

    Sandferry__V1__SandboxSnapshot empty = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;
    SF_CLEANUP(sf_freep) char *nothing = sf_snapshot_to_tree(&empty);
    ck_assert_str_eq(nothing, "sandbox '': schema 0\n");
}
END_TEST

/* Many containers with one id, many processes in each: every pairing would be drawn. */
START_TEST(a_drawing_is_bounded)
{
    enum { N = 400 };
    Sandferry__V1__SandboxSnapshot s = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;
    Sandferry__V1__ContainerSection containers = SANDFERRY__V1__CONTAINER_SECTION__INIT;
    Sandferry__V1__ProcessSection processes = SANDFERRY__V1__PROCESS_SECTION__INIT;
    Sandferry__V1__Pod pod = SANDFERRY__V1__POD__INIT, *pods[] = {&pod};
    Sandferry__V1__Container c = SANDFERRY__V1__CONTAINER__INIT, *all[N];
    Sandferry__V1__Process p = SANDFERRY__V1__PROCESS__INIT, *every[N];
    for (int i = 0; i < N; i++) {
        all[i] = &c;
        every[i] = &p;
    }
    s.container = &containers;
    s.process = &processes;
    containers.pods = pods;
    containers.n_pods = 1;
    containers.containers = all;
    processes.processes = every;
    containers.n_containers = processes.n_processes = N;

    SF_CLEANUP(sf_freep) char *tree = sf_snapshot_to_tree(&s), *dot = sf_snapshot_to_dot(&s);
    ck_assert_ptr_nonnull(dot);
    ck_assert_str_eq(tree + strlen(tree) - strlen("└── and more\n"), "└── and more\n");
}
END_TEST

static void check_json(const ProtobufCMessage *m, const char *want)
{
    json_t *json = sf_message_to_json(m);
    ck_assert_ptr_nonnull(json);
    SF_CLEANUP(sf_freep) char *text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text, want);
    json_decref(json);
}

START_TEST(times_are_written_as_the_mapping_says)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *timestamp, *duration;
    } times[] = {
        {0, 0, "1970-01-01T00:00:00Z", "0s"},
        {1, 500000000, "1970-01-01T00:00:01.500Z", "1.500s"},
        {1, 1000, "1970-01-01T00:00:01.000001Z", "1.000001s"},
        {253402300799, 999999999, "9999-12-31T23:59:59.999999999Z", "253402300799.999999999s"},
        {-62135596800, 0, "0001-01-01T00:00:00Z", "-62135596800s"},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        at.seconds = times[i].seconds;
        at.nanos = times[i].nanos;
        Sandferry__V1__Sandbox sandbox = SANDFERRY__V1__SANDBOX__INIT;
        sandbox.created_at = &at;
        SF_CLEANUP(sf_freep) char *want = sf_format("{\"createdAt\":\"%s\"}", times[i].timestamp);
        check_json(&sandbox.base, want);

        Google__Protobuf__Duration took = GOOGLE__PROTOBUF__DURATION__INIT;
        took.seconds = times[i].seconds;
        took.nanos = times[i].nanos;
        Sandferry__V1__StepTime step = SANDFERRY__V1__STEP_TIME__INIT;
        step.time = &took;
        SF_CLEANUP(sf_freep) char *also = sf_format("{\"time\":\"%s\"}", times[i].duration);
        check_json(&step.base, also);
    }
}
END_TEST

START_TEST(defaults_are_left_out)
{
    Sandferry__V1__Sandbox sandbox = SANDFERRY__V1__SANDBOX__INIT;
    check_json(&sandbox.base, "{}");
    sandbox.state = 99;
    check_json(&sandbox.base, "{\"state\":99}");
    sandbox.state = SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_FROZEN;
    check_json(&sandbox.base, "{\"state\":\"SANDBOX_STATE_FROZEN\"}");
}
END_TEST

START_TEST(numbers_keep_all_their_digits)
{
    Sandferry__V1__ScsiDisk d = SANDFERRY__V1__SCSI_DISK__INIT;
    d.slot = UINT32_MAX;
    d.size_bytes = UINT64_MAX;
    d.modified_ns = INT64_MIN;
    check_json(&d.base, "{\"slot\":4294967295,\"sizeBytes\":\"18446744073709551615\","
                        "\"modifiedNs\":\"-9223372036854775808\"}");
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("show");
    tcase_add_loop_test(t, golden_looks_as_kept, 0, sizeof(views) / sizeof(views[0]));
    tcase_add_test(t, anything_can_be_shown);
    tcase_add_test(t, a_drawing_is_bounded);
    tcase_add_test(t, times_are_written_as_the_mapping_says);
    tcase_add_test(t, defaults_are_left_out);
    tcase_add_test(t, numbers_keep_all_their_digits);
    return t;
}

int main(void)
{
    return run_suite("snapshot show", (TCase * (*const[])(void)){cases, NULL});
}
