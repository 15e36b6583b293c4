#include "operations.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "fake_calls.h"
#include "message.h"
#include "sandbox.h"
#include "snapshot/digest.h"

static unsigned count(const struct step *steps)
{
    unsigned n = 0;
    while (steps[n].name != NULL)
        n++;
    return n;
}

static const char *const classes[] = {"top", "middle", "leaf"};
static const Sandferry__V1__AfterSave afters[] = {AFTER(STOP), AFTER(HOLD), AFTER(RESUME)};

/* ---- create ---- */

START_TEST(create_goes_down)
{
    ck_assert(create("s1"));
    ck_assert_str_eq(fake_trace, "top.init middle.init leaf.init "
                                 "top.create middle.create leaf.create ");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert(!create("s1"));
    refused(SF_ALREADY_EXISTS, "'s1'");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

START_TEST(create_that_fails_leaves_nothing)
{
    char point[64];
    snprintf(point, sizeof(point), "create: %s", create_steps[_i].name);
    sf_fault_arm(point);
    ck_assert(!create("s1"));
    refused(SF_UNAVAILABLE, create_steps[_i].name);
    nothing_is_left("s1");
    ck_assert(create("s1"));
}
END_TEST

START_TEST(create_that_a_controller_refuses_destroys_the_others)
{
    fake_refuse = "leaf.create";
    ck_assert(!create("s1"));
    refused(SF_UNAVAILABLE, "sandbox 's1': create: leaf: ");
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.create middle.destroy top.destroy leaf.fini "));
    nothing_is_left("s1");
    fake_refuse = NULL;
    ck_assert(create("s1"));
}
END_TEST

START_TEST(create_asks_for_an_id_and_labels)
{
    ck_assert(!create("no/id"));
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "sandbox_id");
    refused(SF_INVALID_ARGUMENT, "sandbox_id");

    Sandferry__V1__CreateSandboxRequest request = SANDFERRY__V1__CREATE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__CreateSandboxResponse reply = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__Label label = SANDFERRY__V1__LABEL__INIT, *labels[] = {&label, &label};
    request.sandbox_id = id("s1");
    request.labels = labels;
    request.n_labels = 2;
    ck_assert(!create_sandbox(&daemon_, NULL, &request, &reply, &err));
    ck_assert_uint_eq(sf_error_n_details(err), 2); /* every wrong one */
    ck_assert_str_eq(sf_error_detail(err, 1)->subject, "labels[1]");
    refused(SF_INVALID_ARGUMENT, "labels[0]");
    nothing_is_left("s1");
}
END_TEST

START_TEST(whoever_looks_does_not_wait)
{
    ck_assert(create("s1"));
    struct sf_sandbox *s = registry_find(&daemon_.registry, "s1", &err);
    sandbox_lock(s); /* as a long save does */
    struct sf_sandbox **list = registry_list(&daemon_.registry);
    Sandferry__V1__Sandbox *face = sandbox_describe(list[0], &err);
    ck_assert_str_eq(face->sandbox_id, "s1");
    ck_assert_str_eq(face->labels[0]->key, "team");
    ck_assert_uint_eq(face->n_controllers, 3);
    sandferry__v1__sandbox__free_unpacked(face, NULL);
    registry_list_free(list);
    sandbox_unlock(s);
    sandbox_unref(s);
}
END_TEST

/* ---- save ---- */

START_TEST(save_goes_up_and_writes_down)
{
    static const char *const ends[] = {
        "leaf.discard middle.discard top.discard leaf.destroy middle.destroy top.destroy "
        "leaf.fini middle.fini top.fini ",
        "",
        "top.thaw middle.thaw leaf.thaw ",
    };
    char want[1024];
    snprintf(want, sizeof(want),
             "leaf.check middle.check top.check leaf.freeze middle.freeze top.freeze "
             "leaf.quiesce middle.quiesce top.quiesce leaf.stop middle.stop top.stop "
             "%stop.save middle.save leaf.save %s",
             afters[_i] == AFTER(RESUME) ? "top.keep middle.keep leaf.keep " : "", ends[_i]);
    ck_assert(create("s1"));
    fake_trace_clear();
    ck_assert_msg(save("s1", afters[_i]), "%s", err ? sf_error_message(err) : "");
    ck_assert_str_eq(fake_trace, want);
    ck_assert_int_eq(state_of("s1"), _i == 0 ? -1 : _i == 1 ? SANDBOX_FROZEN : SANDBOX_RUNNING);
    if (_i == 0)
        nothing_is_left("s1");
    ck_assert_uint_eq(saved->n_extensions, 3);
    ck_assert_str_eq(saved->labels[0]->value, "harbour");
}
END_TEST

static void runs_on_then_saves(Sandferry__V1__AfterSave after, const char *point)
{
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert_msg(save("s1", after), "after '%s': %s", point, err ? sf_error_message(err) : "");
}

START_TEST(save_that_fails_at_a_step_runs_on)
{
    unsigned n = count(save_steps);
    unsigned step = (unsigned)_i % n;
    char point[64];
    snprintf(point, sizeof(point), "save: %s", save_steps[step].name);
    ck_assert(create("s1"));
    fake_trace_clear();
    sf_fault_arm(point);
    ck_assert(!save("s1", afters[(unsigned)_i / n]));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), save_steps[step].name));
    refused(SF_UNAVAILABLE, "sandbox 's1': ");
    bool froze = strstr(fake_trace, "freeze") != NULL;
    ck_assert((strstr(fake_trace, "top.thaw middle.thaw leaf.thaw ") != NULL) == froze);
    bool kept = strstr(fake_trace, "leaf.keep ") != NULL;
    ck_assert((strstr(fake_trace, "leaf.unkeep middle.unkeep top.unkeep ") != NULL) == kept);
    ck_assert_ptr_null(strstr(fake_trace, "discard"));
    runs_on_then_saves(afters[(unsigned)_i / n], point);
}
END_TEST

START_TEST(save_that_a_controller_refuses_runs_on)
{
    static const char *const functions[] = {"check", "freeze", "quiesce", "stop", "keep", "save"};
    char point[64];
    snprintf(point, sizeof(point), "%s: %s", classes[_i % 3], functions[_i / 3]);
    ck_assert(create("s1"));
    sf_fault_arm(point);
    ck_assert(!save("s1", AFTER(RESUME)));
    snprintf(point, sizeof(point), "%s: %s: ", _i / 3 == 5 ? "sections" : functions[_i / 3],
             classes[_i % 3]);
    refused(SF_UNAVAILABLE, point);
    runs_on_then_saves(AFTER(STOP), point);
}
END_TEST

START_TEST(freeze_that_fails_thaws_what_froze)
{
    ck_assert(create("s1"));
    fake_trace_clear();
    fake_refuse = "middle.freeze";
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_UNAVAILABLE, "sandbox 's1': freeze: middle: ");
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.freeze middle.freeze middle.thaw leaf.thaw "));
    ck_assert_ptr_null(strstr(fake_trace, "top.thaw"));
}
END_TEST

START_TEST(a_reason_refuses_the_save)
{
    ck_assert(create("s1"));
    fake_reason = "middle.check";
    fake_trace_clear();
    ck_assert(!save("s1", AFTER(STOP)));
    ck_assert_int_eq(sf_error_detail(err, 0)->kind, SF_DETAIL_REASON);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "middle");
    refused(SF_FAILED_PRECONDITION, "'middle.check' speaks against it");
    ck_assert_str_eq(fake_trace, "leaf.check middle.check top.check "); /* all are asked */
}
END_TEST

START_TEST(saved_twice)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "'s1' is saved and held");
    ck_assert(resume("s1"));
    ck_assert(resume("s1")); /* a repeat does nothing */
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert(save("s1", AFTER(STOP)));
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_NOT_FOUND, "'s1'");
    ck_assert(!save("s1", (Sandferry__V1__AfterSave)9));
    refused(SF_INVALID_ARGUMENT, "after");
}
END_TEST

START_TEST(save_whose_caller_has_gone_runs_on)
{
    struct rpc_call call = FAKE_CALL_INIT;
    ck_assert(create("s1"));
    sandbox_lock(daemon_.registry.all[0]);
    sandbox_unlock(daemon_.registry.all[0]);
    call.cancelled = true;
    ck_assert(!save_by(&call, "s1", AFTER(STOP)));
    refused(SF_CANCELLED, "gone");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

/* ---- restore ---- */

START_TEST(restore_goes_down)
{
    make_saved();
    ck_assert_msg(restore_with("", _i == 1, NULL), "%s", err ? sf_error_message(err) : "");
    char want[1024];
    snprintf(want, sizeof(want),
             "top.init middle.init leaf.init top.import middle.import leaf.import "
             "top.admit middle.admit leaf.admit top.prepare middle.prepare leaf.prepare "
             "top.load middle.load leaf.load %s",
             _i == 1 ? "" : "top.resume middle.resume leaf.resume ");
    ck_assert_str_eq(fake_trace, want);
    ck_assert_str_eq(text_of("s1", 2), "leaf of s1");
    fake_trace_clear();
    if (_i == 1)
        ck_assert(resume("s1"));
    ck_assert_str_eq(fake_trace, _i == 1 ? "top.resume middle.resume leaf.resume " : "");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

START_TEST(restore_that_fails_at_a_step_leaves_nothing)
{
    char point[64];
    make_saved();
    snprintf(point, sizeof(point), "restore: %s", restore_steps[_i].name);
    sf_fault_arm(point);
    ck_assert(!restore());
    refused(SF_UNAVAILABLE, restore_steps[_i].name);
    nothing_is_left("s1");
    bool imported = strstr(fake_trace, "import") != NULL;
    ck_assert((strstr(fake_trace, "leaf.abandon middle.abandon top.abandon ") != NULL) == imported);
    ck_assert_msg(restore(), "after '%s': %s", point, err ? sf_error_message(err) : "");
    ck_assert_str_eq(text_of("s1", 0), "top of s1");
}
END_TEST

START_TEST(restore_that_a_controller_refuses_leaves_nothing)
{
    static const char *const functions[] = {"init", "import", "admit", "prepare", "load", "resume"};
    char point[64];
    make_saved();
    snprintf(point, sizeof(point), "%s: %s", classes[_i % 3], functions[_i / 3]);
    sf_fault_arm(point);
    ck_assert(!restore());
    snprintf(point, sizeof(point), ": %s: ", classes[_i % 3]);
    refused(SF_UNAVAILABLE, point);
    nothing_is_left("s1");
    ck_assert(restore());
}
END_TEST

START_TEST(every_reason_against_a_restore)
{
    make_saved();
    fake_reason = "leaf.admit";
    ck_assert(!restore());
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "leaf");
    refused(SF_FAILED_PRECONDITION, "'leaf.admit' speaks against it");
    nothing_is_left("s1");
}
END_TEST

START_TEST(restore_under_another_id_and_with_a_patch)
{
    Sandferry__V1__Patch patch = SANDFERRY__V1__PATCH__INIT;
    patch.controller = id("middle");
    patch.object = id("text");
    patch.value = id("replaced");
    make_saved();
    ck_assert(restore_with("s2", false, &patch));
    ck_assert_str_eq(text_of("s2", 1), "replaced");
    ck_assert_int_eq(state_of("s1"), -1);

    patch.object = id("colour");
    ck_assert(!restore_with("s3", false, &patch));
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "patches[0]");
    refused(SF_NOT_FOUND, "patches[0]: middle: there is no 'colour'");
    patch.controller = id("cellar");
    ck_assert(!restore_with("s3", false, &patch));
    refused(SF_INVALID_ARGUMENT, "no controller 'cellar'");
    ck_assert_int_eq(state_of("s3"), -1);
}
END_TEST

START_TEST(restore_under_an_id_that_exists)
{
    make_saved();
    ck_assert(create("s1"));
    ck_assert(!restore());
    refused(SF_ALREADY_EXISTS, "'s1'");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert(restore_with("s2", false, NULL));
}
END_TEST

START_TEST(what_cannot_be_believed_is_refused)
{
    make_saved();
    saved->digest.data[7] ^= 1;
    ck_assert(!restore());
    refused(SF_DATA_LOSS, "digest");
    saved->digest.data[7] ^= 1;
    saved->schema_version = 99;
    ck_assert(!restore());
    refused(SF_UNIMPLEMENTED, "99");
    saved->schema_version = 1;
    saved->extensions[0]->version = 3; /* leaf: takes 1 to 2 */
    ck_assert(sf_snapshot_digest_set(saved, &err));
    ck_assert(!restore());
    refused(SF_UNIMPLEMENTED, "leaf: its section has version 3, this build takes 1 to 2");
    nothing_is_left("s1");

    Sandferry__V1__SandboxSnapshot *all = SF_STEAL(saved);
    ck_assert(!restore());
    refused(SF_INVALID_ARGUMENT, "snapshot");
    saved = all;
}
END_TEST

/* A daemon without the last controller. */
static void lose_a_controller(const char *name)
{
    struct modules *m = &daemon_.modules;
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->all[i].cls.name, name) == 0) {
            free(m->all[i].file);
            memmove(&m->all[i], &m->all[i + 1], (m->n - i - 1) * sizeof(m->all[0]));
            m->n--;
            return;
        }
}

START_TEST(what_nobody_here_knows_is_kept)
{
    make_saved();
    lose_a_controller("leaf"); /* not critical */
    ck_assert(restore());
    ck_assert(save("s1", AFTER(STOP)));
    ck_assert_uint_eq(saved->n_extensions, 3);
    ck_assert_str_eq(saved->extensions[0]->controller, "leaf");
    ck_assert_uint_eq(saved->extensions[0]->version, 2);
    ck_assert_mem_eq(saved->extensions[0]->payload.data, "leaf of s1", 10);
}
END_TEST

START_TEST(what_nobody_here_knows_but_must_is_refused)
{
    make_saved();
    lose_a_controller("leaf");
    lose_a_controller("middle");
    ck_assert(!restore());
    refused(SF_UNIMPLEMENTED, "middle");
    nothing_is_left("s1");
}
END_TEST

START_TEST(a_controller_without_a_section_begins_empty)
{
    lose_a_controller("leaf");
    make_saved();
    ck_assert(modules_adopt(&daemon_.modules, &fake_leaf, "leaf.so", NULL, &err));
    ck_assert(restore());
    ck_assert_ptr_null(strstr(fake_trace, "leaf.import"));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.resume"));
    ck_assert_str_eq(text_of("s1", 2), "");
}
END_TEST

/* ---- check ---- */

static Sandferry__V1__CheckRestoreResponse *check_it(Sandferry__V1__Patch *patch)
{
    Sandferry__V1__CheckRestoreRequest request = SANDFERRY__V1__CHECK_RESTORE_REQUEST__INIT;
    Sandferry__V1__CheckRestoreResponse *reply = calloc(1, sizeof(*reply));
    sandferry__v1__check_restore_response__init(reply);
    request.snapshot = saved;
    request.patches = &patch;
    request.n_patches = patch == NULL ? 0 : 1;
    ck_assert(check_restore(&daemon_, &request, reply, &err));
    return reply;
}

START_TEST(check_finds_nothing)
{
    make_saved();
    Sandferry__V1__CheckRestoreResponse *reply = check_it(NULL);
    ck_assert_uint_eq(reply->n_obstacles, 0);
    ck_assert_ptr_null(strstr(fake_trace, "prepare"));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.abandon middle.abandon top.abandon "));
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);
    nothing_is_left("s1");
    ck_assert(restore());
}
END_TEST

START_TEST(check_finds_everything)
{
    make_saved();
    ck_assert(create("s1"));
    fake_reason = "leaf.admit";
    Sandferry__V1__CheckRestoreResponse *reply = check_it(NULL);
    ck_assert_uint_eq(reply->n_obstacles, 2);
    ck_assert_str_eq(reply->obstacles[0]->source, "daemon");
    ck_assert_str_eq(reply->obstacles[0]->field, "sandbox_id");
    ck_assert_str_eq(reply->obstacles[1]->source, "leaf");
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);

    fake_refuse = "top.import";
    reply = check_it(NULL);
    ck_assert_uint_eq(reply->n_obstacles, 2);
    ck_assert_str_eq(reply->obstacles[1]->source, "top");
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);

    Sandferry__V1__Patch patch = SANDFERRY__V1__PATCH__INIT;
    patch.controller = id("middle");
    patch.object = id("colour");
    reply = check_it(&patch);
    ck_assert_uint_eq(reply->n_obstacles, 3);
    ck_assert_str_eq(reply->obstacles[2]->field, "patches[0]");
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("operations");
    TCase *t = fake_case(suite, "create");
    tcase_add_test(t, create_goes_down);
    tcase_add_loop_test(t, create_that_fails_leaves_nothing, 0, (int)count(create_steps));
    tcase_add_test(t, create_that_a_controller_refuses_destroys_the_others);
    tcase_add_test(t, create_asks_for_an_id_and_labels);
    tcase_add_test(t, whoever_looks_does_not_wait);

    t = fake_case(suite, "save");
    tcase_add_loop_test(t, save_goes_up_and_writes_down, 0, 3);
    tcase_add_loop_test(t, save_that_fails_at_a_step_runs_on, 0, 3 * (int)count(save_steps));
    tcase_add_loop_test(t, save_that_a_controller_refuses_runs_on, 0, 18);
    tcase_add_test(t, freeze_that_fails_thaws_what_froze);
    tcase_add_test(t, a_reason_refuses_the_save);
    tcase_add_test(t, saved_twice);
    tcase_add_test(t, save_whose_caller_has_gone_runs_on);

    t = fake_case(suite, "restore");
    tcase_add_loop_test(t, restore_goes_down, 0, 2);
    tcase_add_loop_test(t, restore_that_fails_at_a_step_leaves_nothing, 0,
                        (int)count(restore_steps));
    tcase_add_loop_test(t, restore_that_a_controller_refuses_leaves_nothing, 0, 18);
    tcase_add_test(t, every_reason_against_a_restore);
    tcase_add_test(t, restore_under_another_id_and_with_a_patch);
    tcase_add_test(t, restore_under_an_id_that_exists);
    tcase_add_test(t, what_cannot_be_believed_is_refused);
    tcase_add_test(t, what_nobody_here_knows_is_kept);
    tcase_add_test(t, what_nobody_here_knows_but_must_is_refused);
    tcase_add_test(t, a_controller_without_a_section_begins_empty);
    tcase_add_test(t, check_finds_nothing);
    tcase_add_test(t, check_finds_everything);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
