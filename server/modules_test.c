#include "modules.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes.h"
#include "operations.h"

static struct modules modules;
static struct sf_error *err;

static void setup(void)
{
    memset(&modules, 0, sizeof(modules));
    err = NULL;
}

static void teardown(void)
{
    modules_done(&modules);
    sf_error_free(err);
}

static bool adopt(const struct sf_controller_class *cls)
{
    return modules_adopt(&modules, cls, "/x/some.so", NULL, &err);
}

static void refused(enum sf_code code, const char *text)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(sf_error_code(err), code);
    ck_assert_msg(strstr(sf_error_message(err), text) != NULL, "'%s' lacks '%s'",
                  sf_error_message(err), text);
}

START_TEST(another_abi_is_refused_with_both_numbers)
{
    struct sf_controller_class cls = fake_top;
    cls.abi = 77;
    ck_assert(!adopt(&cls));
    refused(SF_UNIMPLEMENTED, "ABI 77, this daemon has 1");
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'/x/some.so'"));
}
END_TEST

START_TEST(an_older_class_lacks_what_came_later)
{
    /* As it was built: what follows is not its memory, and is not read. */
    size_t size = offsetof(struct sf_controller_class, keep);
    volatile size_t short_size = size; /* or gcc warns of what this test is about */
    struct sf_controller_class *old = malloc(short_size);
    memcpy(old, &fake_top, size);
    old->struct_size = (uint32_t)size;
    ck_assert(adopt(old));
    free(old);
    ck_assert_ptr_null(modules.all[0].cls.keep);
    ck_assert(modules.all[0].cls.abandon == fake_top.abandon);
}
END_TEST

START_TEST(a_newer_class_is_cut)
{
    struct {
        struct sf_controller_class cls;
        void *unheard_of;
    } newer = {.cls = fake_top, .unheard_of = &newer};
    newer.cls.struct_size = sizeof(newer);
    ck_assert(adopt(&newer.cls));
    ck_assert(modules.all[0].cls.keep == fake_top.keep);
}
END_TEST

START_TEST(a_class_too_short_to_be_one_is_refused)
{
    struct sf_controller_class cls = fake_top;
    cls.struct_size = offsetof(struct sf_controller_class, abandon);
    ck_assert(!adopt(&cls));
    refused(SF_INVALID_ARGUMENT, "the shortest has");
}
END_TEST

START_TEST(a_class_that_contradicts_itself_is_refused)
{
    struct sf_controller_class cls = fake_top;
    cls.section_oldest = 3;
    ck_assert(!adopt(&cls));
    refused(SF_INVALID_ARGUMENT, "section versions 3 to 2");
}
END_TEST

START_TEST(a_name_must_be_one)
{
    static const char *const names[] = {"", "a/b", "a b", NULL};
    struct sf_controller_class cls = fake_top;
    cls.name = names[_i];
    ck_assert(!adopt(&cls));
    refused(SF_INVALID_ARGUMENT, "name");
}
END_TEST

START_TEST(an_instance_must_hold_its_base)
{
    struct sf_controller_class cls = fake_top;
    cls.instance_size = sizeof(struct sf_controller) - 1;
    ck_assert(!adopt(&cls));
    refused(SF_INVALID_ARGUMENT, "struct sf_controller");
}
END_TEST

START_TEST(a_second_one_of_the_same_name_is_refused)
{
    ck_assert(adopt(&fake_top));
    ck_assert(!adopt(&fake_top));
    refused(SF_ALREADY_EXISTS, "both controllers 'top'");
}
END_TEST

START_TEST(sorted_after_those_they_need)
{
    ck_assert(adopt(&fake_leaf) && adopt(&fake_middle) && adopt(&fake_top));
    ck_assert(modules_sort(&modules, &err));
    ck_assert_str_eq(modules.all[0].cls.name, "top");
    ck_assert_str_eq(modules.all[1].cls.name, "middle");
    ck_assert_str_eq(modules.all[2].cls.name, "leaf");
}
END_TEST

START_TEST(what_is_missing_is_named)
{
    ck_assert(adopt(&fake_leaf) && adopt(&fake_top));
    ck_assert(!modules_sort(&modules, &err));
    refused(SF_FAILED_PRECONDITION, "'leaf' needs controller 'middle'");
}
END_TEST

START_TEST(a_circle_is_named)
{
    static const char *const needs_leaf[] = {"leaf", NULL};
    struct sf_controller_class round = fake_top;
    round.depends = needs_leaf;
    ck_assert(adopt(&fake_leaf) && adopt(&fake_middle) && adopt(&round));
    ck_assert(!modules_sort(&modules, &err));
    refused(SF_FAILED_PRECONDITION, "circle");
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'top' needs 'leaf'"));
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_named)
{
    ck_assert(!modules_load(&modules, "/nowhere/controllers", &err));
    refused(SF_FAILED_PRECONDITION, "'/nowhere/controllers'");
}
END_TEST

/* What a directory may hold that is no controller of ours. */
START_TEST(a_file_that_is_no_controller_is_named)
{
    static const struct {
        const char *command, *text;
        enum sf_code code;
    } table[] = {
        {"true", "there is no controller in", SF_FAILED_PRECONDITION},
        {"echo text > x.so", "x.so' cannot be loaded", SF_FAILED_PRECONDITION},
        {"touch x.so && chmod o+w x.so", "can be written by everybody", SF_PERMISSION_DENIED},
        {"cp \"$(ldconfig -p | sed -n 's/.*libz.so.1 .*=> //p' | head -n 1)\" x.so",
         "is no controller", SF_INVALID_ARGUMENT},
    };
    char directory[] = "/tmp/sandferry-test-XXXXXX", command[256];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(command, sizeof(command), "cd %s && %s", directory, table[_i].command);
    ck_assert_int_eq(system(command), 0);
    ck_assert(!modules_load(&modules, directory, &err));
    refused(table[_i].code, table[_i].text);
    operation_remove_directory(directory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("modules");
    TCase *cases = tcase_create("modules");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, another_abi_is_refused_with_both_numbers);
    tcase_add_test(cases, an_older_class_lacks_what_came_later);
    tcase_add_test(cases, a_newer_class_is_cut);
    tcase_add_test(cases, a_class_too_short_to_be_one_is_refused);
    tcase_add_test(cases, a_class_that_contradicts_itself_is_refused);
    tcase_add_loop_test(cases, a_name_must_be_one, 0, 4);
    tcase_add_test(cases, an_instance_must_hold_its_base);
    tcase_add_test(cases, a_second_one_of_the_same_name_is_refused);
    tcase_add_test(cases, sorted_after_those_they_need);
    tcase_add_test(cases, what_is_missing_is_named);
    tcase_add_test(cases, a_circle_is_named);
    tcase_add_test(cases, a_directory_that_is_not_there_is_named);
    tcase_add_loop_test(cases, a_file_that_is_no_controller_is_named, 0, 4);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
