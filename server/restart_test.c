/* How sandboxes end, and what a daemon leaves for the next. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fake_calls.h"
#include "operations.h"
#include "sandbox.h"

static const Sandferry__V1__AfterSave afters[] = {AFTER(STOP), AFTER(HOLD), AFTER(RESUME)};

/* ---- stop, delete ---- */

START_TEST(stop_and_delete)
{
    ck_assert(create("s1"));
    ck_assert(!delete ("s1", false));
    refused(SF_FAILED_PRECONDITION, "sandbox 's1' is running: stop it first");
    fake_trace_clear();
    ck_assert(stop("s1"));
    ck_assert_str_eq(fake_trace, "leaf.destroy middle.destroy top.destroy ");
    ck_assert(stop("s1"));
    ck_assert_int_eq(state_of("s1"), SANDBOX_STOPPED);
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "stopped");
    ck_assert(delete ("s1", false));
    nothing_is_left("s1");
    ck_assert(!delete ("s1", false));
    refused(SF_NOT_FOUND, "'s1'");
    ck_assert(create("s1"));
    ck_assert(delete ("s1", true));
    nothing_is_left("s1");
}
END_TEST

START_TEST(stop_of_a_hold_leaves_the_snapshot_usable)
{
    make_saved();
    ck_assert(restore_with("", true, NULL));
    fake_trace_clear();
    ck_assert(stop("s1"));
    ck_assert_str_eq(fake_trace, "leaf.abandon middle.abandon top.abandon "
                                 "leaf.destroy middle.destroy top.destroy ");
    ck_assert(delete ("s1", false));
    ck_assert(restore());
    ck_assert(save("s1", AFTER(HOLD)));
    fake_trace_clear();
    ck_assert(delete ("s1", true));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.discard middle.discard top.discard "));
    nothing_is_left("s1");
}
END_TEST

START_TEST(a_hold_whose_vm_is_lost_leaves_the_snapshot_usable)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    sf_sandbox_invalid(daemon_.registry.all[0], "QEMU has ended");
    ck_assert(!resume("s1"));
    refused(SF_FAILED_PRECONDITION, "QEMU has ended");
    fake_trace_clear();
    ck_assert(delete ("s1", false));
    ck_assert_ptr_nonnull(strstr(fake_trace, "discard"));
    ck_assert(restore());
}
END_TEST

START_TEST(a_thaw_that_cannot_go_on_is_a_refusal)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    fake_lose = "top.thaw";
    ck_assert(!resume("s1"));
    refused(SF_FAILED_PRECONDITION, "taken by another");
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
    fake_trace_clear();
    ck_assert(delete ("s1", false));
    ck_assert_ptr_null(strstr(fake_trace, "discard")); /* it was thawed */
}
END_TEST

START_TEST(a_vm_that_is_lost_during_a_save_fails_it)
{
    ck_assert(create("s1"));
    fake_lose = "top.stop";
    ck_assert(!save("s1", afters[_i]));
    refused(SF_FAILED_PRECONDITION, "taken by another");
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
}
END_TEST

/* ---- a daemon ends, and the next one starts ---- */

static void next_daemon(void)
{
    fake_daemon_reopen(&daemon_);
    ck_assert(restore_all_from_journal(&daemon_, &err));
}

START_TEST(what_runs_is_saved_and_runs_on)
{
    ck_assert(create("s1") && create("s2") && stop("s2"));
    ck_assert(save_all_to_journal(&daemon_));
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert_str_eq(text_of("s1", 2), "leaf of s1");
    ck_assert_int_eq(state_of("s2"), SANDBOX_STOPPED);
    ck_assert(delete ("s1", true) && delete ("s2", false));
    nothing_is_left("s1");
}
END_TEST

START_TEST(what_is_held_is_held_again)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    ck_assert(restore_with("s2", true, NULL));
    ck_assert(save_all_to_journal(&daemon_));
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_LOADED);
    ck_assert_int_eq(state_of("s2"), SANDBOX_LOADED);
    ck_assert(save_all_to_journal(&daemon_)); /* and once more */
    next_daemon();
    ck_assert(resume("s1"));
    ck_assert_str_eq(text_of("s1", 2), "leaf of s1");
}
END_TEST

START_TEST(what_a_killed_daemon_leaves_is_shown)
{
    ck_assert(create("s1"));
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "unattended");
    ck_assert(!restore_with("s1", false, NULL));
    forgive();
    fake_trace_clear();
    ck_assert(delete ("s1", false));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.destroy middle.destroy top.destroy "));
    nothing_is_left("s1");
}
END_TEST

START_TEST(what_a_killed_daemon_held_is_held_again)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    ck_assert(restore_with("s2", true, NULL));
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_LOADED);
    ck_assert_int_eq(state_of("s2"), SANDBOX_LOADED);
    fake_refuse = "middle.resume";
    ck_assert(!resume("s2"));
    forgive();
    fake_refuse = NULL;
    next_daemon(); /* a resume that failed has not forgotten it */
    ck_assert_int_eq(state_of("s2"), SANDBOX_LOADED);
    ck_assert(resume("s1") && resume("s2"));
    ck_assert_str_eq(text_of("s1", 2), "leaf of s1");
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID); /* what had run on is not taken back */
    ck_assert_int_eq(state_of("s2"), SANDBOX_INVALID);
}
END_TEST

START_TEST(what_cannot_be_brought_back_is_shown_and_tried_again)
{
    ck_assert(create("s1"));
    ck_assert(save_all_to_journal(&daemon_));
    fake_daemon_reopen(&daemon_);
    fake_refuse = "middle.load";
    ck_assert(restore_all_from_journal(&daemon_, &err));
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "could not be restored");
    save_all_to_journal(&daemon_);
    fake_refuse = NULL;
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

START_TEST(a_save_that_fails_at_the_end_leaves_it_alone)
{
    ck_assert(create("s1"));
    fake_refuse = "top.quiesce";
    ck_assert(!save_all_to_journal(&daemon_));
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    fake_refuse = NULL;
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("restart");
    TCase *t = fake_case(suite, "end");
    tcase_add_test(t, stop_and_delete);
    tcase_add_test(t, stop_of_a_hold_leaves_the_snapshot_usable);
    tcase_add_test(t, a_hold_whose_vm_is_lost_leaves_the_snapshot_usable);
    tcase_add_test(t, a_thaw_that_cannot_go_on_is_a_refusal);
    tcase_add_loop_test(t, a_vm_that_is_lost_during_a_save_fails_it, 0, 3);
    tcase_add_test(t, what_runs_is_saved_and_runs_on);
    tcase_add_test(t, what_is_held_is_held_again);
    tcase_add_test(t, what_a_killed_daemon_leaves_is_shown);
    tcase_add_test(t, what_a_killed_daemon_held_is_held_again);
    tcase_add_test(t, what_cannot_be_brought_back_is_shown_and_tried_again);
    tcase_add_test(t, a_save_that_fails_at_the_end_leaves_it_alone);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
