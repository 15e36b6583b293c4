#include "sandbox.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fakes.h"

static const char letters[] = "NRFLSI"; /* by state */

/* clang-format off */
static const char *const want[SANDBOX_N_STATES] = {
    /*                   +------ started
     *                   |+----- held
     *                   ||+---- load
     *                   |||+--- resumed
     *                   ||||+-- stop
     *                   |||||+- lost */
    [SANDBOX_NEW]     = "R.L.SI",
    [SANDBOX_RUNNING] = ".F..SI",
    [SANDBOX_FROZEN]  = "...RSI",
    [SANDBOX_LOADED]  = "...RSI",
    [SANDBOX_STOPPED] = "....S.",
    [SANDBOX_INVALID] = "....SI",
};
/* clang-format on */

START_TEST(cell)
{
    unsigned from = (unsigned)_i / SANDBOX_N_EVENTS, on = (unsigned)_i % SANDBOX_N_EVENTS;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    unsigned state = from;
    bool moved = sf_machine_move(&sandbox_machine, &state, on, "s1", &err);

    if (want[from][on] == '.') {
        ck_assert(!moved);
        ck_assert_uint_eq(state, from);
        ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'s1'"));
    } else {
        ck_assert_msg(moved, "%s", err ? sf_error_message(err) : "?");
        ck_assert_int_eq(letters[state], want[from][on]);
    }
}
END_TEST

START_TEST(refusal_says_what_holds_it)
{
    static const struct {
        enum sandbox_event events[2];
        unsigned n;
        const char *text;
    } table[] = {
        {{0}, 0, "not started yet"},
        {{SANDBOX_STARTED, SANDBOX_HELD}, 2, "saved and held: resume it"},
        {{SANDBOX_LOAD}, 1, "restored and held: resume it"},
        {{SANDBOX_STOP}, 1, "stopped"},
    };
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sandbox_unrefp) struct sf_sandbox *s = sandbox_new("s1", "/nowhere", NULL, &err);

    for (unsigned i = 0; i < table[_i].n; i++)
        ck_assert(sandbox_move(s, table[_i].events[i], &err));
    ck_assert(!sandbox_require_running(s, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_msg(strstr(sf_error_message(err), table[_i].text) != NULL, "%s",
                  sf_error_message(err));
}
END_TEST

START_TEST(the_first_loss_is_the_reason)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sandbox_unrefp) struct sf_sandbox *s = sandbox_new("s1", "/nowhere", NULL, &err);

    ck_assert(sandbox_lose(s, "QEMU ended"));
    ck_assert(!sandbox_lose(s, "the agent is silent"));
    ck_assert(!sandbox_require_running(s, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "QEMU ended"));
}
END_TEST

START_TEST(a_stopped_sandbox_cannot_be_lost)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sandbox_unrefp) struct sf_sandbox *s = sandbox_new("s1", "/nowhere", NULL, &err);

    ck_assert(sandbox_move(s, SANDBOX_STOP, &err));
    ck_assert(!sandbox_lose(s, "QEMU ended"));
    ck_assert_int_eq(sandbox_state(s), SANDBOX_STOPPED);
}
END_TEST

struct waiter {
    pthread_t thread;
    struct sf_sandbox *sandbox;
    struct rpc_call *call;
    bool ok;
    struct sf_error *err;
};

static void *enter(void *arg)
{
    struct waiter *w = arg;
    w->ok = sandbox_enter(w->sandbox, w->call, &w->err);
    return NULL;
}

START_TEST(a_call_that_ends_gives_up_the_lock)
{
    struct rpc_call call = FAKE_CALL_INIT;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sandbox_unrefp) struct sf_sandbox *s = sandbox_new("s1", "/nowhere", NULL, &err);
    struct waiter w = {.sandbox = s, .call = &call};

    sandbox_lock(s);
    pthread_create(&w.thread, NULL, enter, &w);
    fake_call_cancel(&call); /* before or after it waits: both must end it */
    pthread_join(w.thread, NULL);
    ck_assert(!w.ok);
    ck_assert_int_eq(sf_error_code(w.err), SF_CANCELLED);
    sf_error_free(w.err);
    sandbox_unlock(s);
}
END_TEST

START_TEST(whoever_waits_for_a_sandbox_that_leaves_is_told)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sandbox_unrefp) struct sf_sandbox *s = sandbox_new("s1", "/nowhere", NULL, &err);
    struct waiter w = {.sandbox = s};

    sandbox_lock(s);
    pthread_create(&w.thread, NULL, enter, &w);
    sandbox_leave(s);
    sandbox_unlock(s);
    pthread_join(w.thread, NULL);
    ck_assert(!w.ok);
    ck_assert_int_eq(sf_error_code(w.err), SF_NOT_FOUND);
    sf_error_free(w.err);
}
END_TEST

static void *wait_change(void *arg)
{
    struct waiter *w = arg;
    uint64_t seen = sandbox_changes(w->sandbox);
    sandbox_lock(w->sandbox);
    while ((w->ok = sandbox_wait_change(w->sandbox, w->call, &seen, &w->err)))
        ;
    sandbox_unlock(w->sandbox);
    return NULL;
}

START_TEST(a_wait_ends_with_the_sandbox)
{
    static const enum sandbox_event ends[] = {SANDBOX_STOP, SANDBOX_LOST};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sandbox_unrefp) struct sf_sandbox *s = sandbox_new("s1", "/nowhere", NULL, &err);
    struct waiter w = {.sandbox = s};

    pthread_create(&w.thread, NULL, wait_change, &w);
    sandbox_changed(s);
    if (_i < 2)
        ck_assert(sandbox_move(s, ends[_i], &err));
    else
        sandbox_leave(s);
    pthread_join(w.thread, NULL);
    ck_assert_int_eq(sf_error_code(w.err), SF_UNAVAILABLE);
    sf_error_free(w.err);
}
END_TEST

START_TEST(a_change_before_the_wait_is_not_missed)
{
    struct rpc_call call = FAKE_CALL_INIT;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sandbox_unrefp) struct sf_sandbox *s = sandbox_new("s1", "/nowhere", NULL, &err);

    sandbox_lock(s);
    uint64_t seen = sandbox_changes(s);
    sandbox_changed(s);
    ck_assert(sandbox_wait_change(s, &call, &seen, &err));
    sandbox_unlock(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *cells = tcase_create("cells");
    tcase_add_loop_test(cells, cell, 0, SANDBOX_N_STATES * SANDBOX_N_EVENTS);
    suite_add_tcase(suite, cells);
    TCase *life = tcase_create("life");
    tcase_add_loop_test(life, refusal_says_what_holds_it, 0, 4);
    tcase_add_test(life, the_first_loss_is_the_reason);
    tcase_add_test(life, a_stopped_sandbox_cannot_be_lost);
    tcase_add_test(life, a_call_that_ends_gives_up_the_lock);
    tcase_add_test(life, whoever_waits_for_a_sandbox_that_leaves_is_told);
    tcase_add_loop_test(life, a_wait_ends_with_the_sandbox, 0, 3);
    tcase_add_test(life, a_change_before_the_wait_is_not_missed);
    suite_add_tcase(suite, life);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
