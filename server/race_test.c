/* Many calls at the same time. What they answer depends on who was first; what holds at the end
 * does not. Most of its worth is under TSan. */

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fakes.h"
#include "operations.h"
#include "sandbox.h"

#define ROUNDS 150

static struct daemon daemon_;
static const char *const names[] = {"s1", "s2"};

static char *name_of(unsigned round)
{
    return (char *)(uintptr_t)names[round % 2];
}

/* A refusal is an answer like any other, but never that something is out of order. */
static void answered(bool ok, struct sf_error *err)
{
    if (ok) {
        ck_assert_ptr_null(err);
        return;
    }
    enum sf_code code = sf_error_code(err);
    ck_assert_msg(code == SF_NOT_FOUND || code == SF_ALREADY_EXISTS ||
                      code == SF_FAILED_PRECONDITION || code == SF_UNAVAILABLE,
                  "%s", sf_error_message(err));
    sf_error_free(err);
}

static void *creates(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_error *err = NULL;
        Sandferry__V1__CreateSandboxRequest request = SANDFERRY__V1__CREATE_SANDBOX_REQUEST__INIT;
        Sandferry__V1__CreateSandboxResponse reply = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
        request.sandbox_id = name_of(i);
        bool ok = create_sandbox(&daemon_, NULL, &request, &reply, &err);
        answered(ok, err);
        if (ok)
            sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
    }
    return NULL;
}

static void *deletes(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_error *err = NULL;
        Sandferry__V1__DeleteSandboxRequest request = SANDFERRY__V1__DELETE_SANDBOX_REQUEST__INIT;
        request.sandbox_id = name_of(i);
        request.force = true;
        bool ok = delete_sandbox(&daemon_, NULL, &request, &err);
        answered(ok, err);
    }
    return NULL;
}

/* Saves one way or the other, and restores what it took away. */
static void *moves(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_error *err = NULL;
        Sandferry__V1__SaveSandboxRequest request = SANDFERRY__V1__SAVE_SANDBOX_REQUEST__INIT;
        Sandferry__V1__SaveSandboxResponse *saved = calloc(1, sizeof(*saved));
        Sandferry__V1__RestoreSandboxRequest back = SANDFERRY__V1__RESTORE_SANDBOX_REQUEST__INIT;
        Sandferry__V1__RestoreSandboxResponse *restored = calloc(1, sizeof(*restored));
        sandferry__v1__save_sandbox_response__init(saved);
        sandferry__v1__restore_sandbox_response__init(restored);
        request.sandbox_id = name_of(i);
        request.after = (Sandferry__V1__AfterSave)(1 + i % 3);
        bool ok = save_sandbox(&daemon_, NULL, &request, saved, &err);
        answered(ok, err);
        if (ok && saved->snapshot != NULL) {
            err = NULL;
            back.snapshot = saved->snapshot;
            back.hold = i % 2;
            ok = restore_sandbox(&daemon_, NULL, &back, restored, &err);
            answered(ok, err);
        }
        sandferry__v1__save_sandbox_response__free_unpacked(saved, NULL);
        sandferry__v1__restore_sandbox_response__free_unpacked(restored, NULL);
    }
    return NULL;
}

static void *resumes(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_error *err = NULL;
        Sandferry__V1__ResumeSandboxRequest request = SANDFERRY__V1__RESUME_SANDBOX_REQUEST__INIT;
        Sandferry__V1__ResumeSandboxResponse reply = SANDFERRY__V1__RESUME_SANDBOX_RESPONSE__INIT;
        request.sandbox_id = name_of(i);
        bool ok = resume_sandbox(&daemon_, NULL, &request, &reply, &err);
        answered(ok, err);
        if (ok)
            sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
    }
    return NULL;
}

/* Looks, and waits for a change as a method does. */
static void *looks(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_sandbox **list = registry_list(&daemon_.registry);
        for (size_t k = 0; list[k] != NULL; k++) {
            struct sf_error *err = NULL;
            Sandferry__V1__Sandbox *one = sandbox_describe(list[k], &err);
            ck_assert_ptr_nonnull(one);
            sandferry__v1__sandbox__free_unpacked(one, NULL);
            if (!sandbox_enter(list[k], NULL, &err)) {
                answered(false, err);
                continue;
            }
            uint64_t seen = 0; /* behind: does not wait for ever */
            bool ok = sandbox_wait_change(list[k], NULL, &seen, &err);
            answered(ok, err);
            sandbox_unlock(list[k]);
        }
        registry_list_free(list);
    }
    return NULL;
}

START_TEST(nothing_is_lost_and_nothing_is_left)
{
    void *(*const bodies[])(void *) = {creates, deletes, moves, resumes, looks, moves};
    pthread_t threads[6];
    fake_daemon_open(&daemon_);
    fake_quiet = true;
    for (unsigned i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, bodies[i], NULL);
    for (unsigned i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);

    deletes(NULL);
    ck_assert_uint_eq(daemon_.registry.n, 0);
    for (unsigned i = 0; i < 2; i++) {
        char *directory = operation_directory(&daemon_, names[i]);
        ck_assert_int_ne(access(directory, F_OK), 0);
        free(directory);
    }
    fake_daemon_close(&daemon_);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("race");
    TCase *cases = tcase_create("race");
    tcase_set_timeout(cases, 100);
    tcase_add_test(cases, nothing_is_lost_and_nothing_is_left);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
