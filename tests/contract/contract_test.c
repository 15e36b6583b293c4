/* Every controller of this build, through what its contract promises without a VM. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reasons.h"
#include "fakes.h"
#include "lifecycle.h"
#include "operations.h"
#include "sandbox.h"
#include "snapshot/snapshot.h"

static struct daemon daemon_;
static Sandferry__V1__SandboxSnapshot *golden;
static struct sf_sandbox *sandbox;
static struct sf_error *err;

/* What the controllers get: the golden sections, one of them changed. */
static struct {
    const char *who; /* NULL: none is changed */
    size_t cut;      /* its section has only so many bytes */
    uint32_t version_plus;
    size_t size; /* of the whole section, found on the way */
} change;

static void drop(char **list, size_t *n)
{
    while (*n > 0)
        free(list[--*n]);
}

/* The golden snapshot is a valid one, but of a machine that this build does not make, and with more
 * in its containers than there are controllers for. */
static void fit_to_this_build(void)
{
    struct sf_bytes text = {0};
    ck_assert(sf_file_read(MACHINE, SF_SNAPSHOT_STRING_MAX, &text, &err));
    free(golden->vm->machine_document);
    golden->vm->machine_document = strndup((const char *)text.data, text.size);
    sf_bytes_done(&text);
    golden->scsi->controllers = 4;
    for (size_t i = 0; i < golden->container->n_containers; i++) {
        Sandferry__V1__Container *one = golden->container->containers[i];
        drop(one->vpci_reservation_ids, &one->n_vpci_reservation_ids);
    }
}

static void setup(void)
{
    err = NULL;
    memset(&change, 0, sizeof(change));
    fake_daemon_open(&daemon_);
    modules_done(&daemon_.modules);
    ck_assert_msg(modules_load(&daemon_.modules, CONTROLLER_DIR, &err), "%s",
                  err ? sf_error_message(err) : "");
    struct sf_bytes packed = {0};
    ck_assert(sf_file_read(GOLDEN, SF_SNAPSHOT_SIZE_MAX, &packed, &err));
    golden = sf_snapshot_decode(packed.data, packed.size, &err);
    sf_bytes_done(&packed);
    ck_assert_ptr_nonnull(golden);
    fit_to_this_build();

    sandbox = operation_new_sandbox(&daemon_, "s1", NULL, &err);
    ck_assert_ptr_nonnull(sandbox);
    ck_assert(operation_make_directory(sandbox->directory, &err));
    ck_assert_msg(lifecycle_init(sandbox, &daemon_.modules, &err), "%s",
                  err ? sf_error_message(err) : "");
}

static void teardown(void)
{
    operation_leave(sandbox);
    sf_snapshot_free(golden);
    sf_error_free(err);
    fake_daemon_close(&daemon_);
}

static bool get(void *context, const struct sf_controller_class *cls, struct sf_bytes *ret,
                uint32_t *ret_version, bool *ret_there, struct sf_error **e)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *absent = NULL;
    (void)context;
    (void)e;
    *ret_there = sf_section_get(golden, cls->name, ret, ret_version, &absent);
    if (!*ret_there || change.who == NULL || strcmp(change.who, cls->name) != 0)
        return true;
    change.size = ret->size;
    if (change.cut < ret->size)
        ret->size = change.cut;
    *ret_version += change.version_plus;
    return true;
}

static bool import(void)
{
    sf_error_free(err);
    err = NULL;
    return lifecycle_import(sandbox, get, NULL, NULL, &err);
}

START_TEST(a_sandbox_that_never_ran_can_be_ended)
{
    lifecycle_destroy(sandbox);
    lifecycle_destroy(sandbox);
}
END_TEST

START_TEST(a_section_is_taken_and_abandoned_again_and_again)
{
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_msg(import(), "%s", err ? sf_error_message(err) : "");
        lifecycle_abandon(sandbox);
    }
    lifecycle_destroy(sandbox);
}
END_TEST

START_TEST(admit_tells_reasons_and_changes_nothing)
{
    size_t first = 0;
    ck_assert(import());
    for (unsigned i = 0; i < 2; i++) {
        SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
        ck_assert_msg(lifecycle_admit(sandbox, why, &err), "%s", err ? sf_error_message(err) : "");
        if (i == 0)
            first = sf_reasons_count(why);
        else
            ck_assert_uint_eq(sf_reasons_count(why), first);
    }
    lifecycle_abandon(sandbox);
}
END_TEST

START_TEST(every_cut_is_survived)
{
    for (size_t k = 0; k < daemon_.modules.n; k++) {
        change.who = daemon_.modules.all[k].cls.name;
        change.size = 1;
        for (change.cut = 0; change.cut < change.size; change.cut++) {
            if (import())
                lifecycle_abandon(sandbox); /* what is left may be a section too */
            else
                ck_assert_msg(strstr(sf_error_message(err), change.who) != NULL,
                              "%s cut at %zu: %s", change.who, change.cut, sf_error_message(err));
        }
    }
    change.who = NULL;
    ck_assert_msg(import(), "%s", err ? sf_error_message(err) : "");
    lifecycle_abandon(sandbox);
}
END_TEST

START_TEST(another_version_is_refused_with_both_numbers)
{
    change.cut = SIZE_MAX;
    for (size_t k = 0; k < daemon_.modules.n; k++) {
        const struct sf_controller_class *cls = &daemon_.modules.all[k].cls;
        char number[16];
        change.who = cls->name;
        change.size = 0;
        change.version_plus = 1000;
        bool taken = import();
        if (change.size == 0) { /* the golden snapshot has nothing for it */
            lifecycle_abandon(sandbox);
            continue;
        }
        ck_assert_msg(!taken, "%s takes version 1001", cls->name);
        ck_assert_int_eq(sf_error_code(err), SF_UNIMPLEMENTED);
        snprintf(number, sizeof(number), " to %u", cls->section_version);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "100"));
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), number));
    }
}
END_TEST

START_TEST(every_patch_of_nothing_is_refused)
{
    ck_assert(import());
    for (size_t k = 0; k < daemon_.modules.n; k++) {
        sf_error_free(err);
        err = NULL;
        ck_assert(!lifecycle_patch(sandbox, daemon_.modules.all[k].cls.name, "no such thing", "/x",
                                   &err));
        ck_assert_msg(sf_error_code(err) == SF_NOT_FOUND ||
                          sf_error_code(err) == SF_INVALID_ARGUMENT,
                      "%s", sf_error_message(err));
    }
    lifecycle_abandon(sandbox);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contract");
    TCase *cases = tcase_create("contract");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_sandbox_that_never_ran_can_be_ended);
    tcase_add_test(cases, a_section_is_taken_and_abandoned_again_and_again);
    tcase_add_test(cases, admit_tells_reasons_and_changes_nothing);
    tcase_add_test(cases, every_cut_is_survived);
    tcase_add_test(cases, another_version_is_refused_with_both_numbers);
    tcase_add_test(cases, every_patch_of_nothing_is_refused);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
