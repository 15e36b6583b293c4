#include "steps.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static char trace[256];
static struct step_times times;
static struct sf_error *err;

#define STEP(name)                                                                                 \
    static bool do_##name(void *job, struct sf_error **e)                                          \
    {                                                                                              \
        (void)job;                                                                                 \
        (void)e;                                                                                   \
        strcat(trace, #name " ");                                                                  \
        return true;                                                                               \
    }                                                                                              \
    static __attribute__((unused)) void undo_##name(void *job)                                     \
    {                                                                                              \
        (void)job;                                                                                 \
        strcat(trace, "-" #name " ");                                                              \
    }
STEP(one)
STEP(two)
STEP(three)

static const struct step steps[] = {
    {"one", do_one, undo_one},
    {"two", do_two, NULL},
    {"three", do_three, undo_three},
    {"four", do_two, NULL},
    {0},
};

static void setup(void)
{
    trace[0] = '\0';
    err = NULL;
}

static void teardown(void)
{
    sf_error_free(err);
    sf_fault_arm(NULL);
}

START_TEST(newest_first)
{
    static const char *const points[] = {"test: one", "test: two", "test: three", "test: four"};
    static const char *const want[] = {"", "one -one ", "one two -one ",
                                       "one two three -three -one "};
    sf_fault_arm(points[_i]);
    ck_assert(!steps_run("test", steps, NULL, &times, &err));
    ck_assert_str_eq(trace, want[_i]);
    ck_assert_uint_eq(times.n, (unsigned)_i);
    ck_assert_int_eq(strncmp(sf_error_message(err), points[_i] + 6, strlen(points[_i]) - 6), 0);
}
END_TEST

START_TEST(to_the_end_with_times)
{
    ck_assert(steps_run("test", steps, NULL, &times, &err));
    ck_assert_str_eq(trace, "one two three two ");
    ck_assert_uint_eq(times.n, 4);
    ck_assert_str_eq(times.at[3].name, "four");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("steps");
    TCase *cases = tcase_create("steps");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, newest_first, 0, 4);
    tcase_add_test(cases, to_the_end_with_times);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
