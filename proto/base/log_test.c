#include "base/log.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static int pipe_ends[2], saved;
static char seen[4096];

/* Standard error goes into a pipe from here to read_log(). */
static void setup(void)
{
    ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    saved = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(pipe_ends[1], STDERR_FILENO), 0);
}

static void teardown(void)
{
    sf_log_set_level(SF_LOG_INFO);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static const char *read_log(void)
{
    ssize_t n = read(pipe_ends[0], seen, sizeof(seen) - 1);

    seen[n > 0 ? n : 0] = '\0';
    return seen;
}

START_TEST(an_event_is_one_line)
{
    sf_info("sandbox '%s': saved bytes=%d", "s1", 7);
    ck_assert_str_eq(read_log(), "info sandbox 's1': saved bytes=7\n");
    sf_warning("port: gone, continuing");
    ck_assert_str_eq(read_log(), "warning port: gone, continuing\n");
    sf_error_log("x");
    ck_assert_str_eq(read_log(), "error x\n");
}
END_TEST

START_TEST(a_guest_cannot_forge_a_line)
{
    sf_info("agent says '%s'", "hi\nerror all is lost\r\x1b[2J\x7f\t");
    ck_assert_str_eq(read_log(),
                     "info agent says 'hi\\x0aerror all is lost\\x0d\\x1b[2J\\x7f\\x09'\n");
    sf_info("%s", "Käse"); /* other letters pass */
    ck_assert_str_eq(read_log(), "info Käse\n");
}
END_TEST

START_TEST(levels_are_kept)
{
    sf_debug("no");
    ck_assert_str_eq(read_log(), "");
    sf_log_set_level(SF_LOG_DEBUG);
    sf_debug("yes");
    ck_assert_str_eq(read_log(), "debug yes\n");
    sf_log_set_level(SF_LOG_ERROR);
    sf_warning("no");
    ck_assert_str_eq(read_log(), "");
}
END_TEST

START_TEST(levels_have_names)
{
    enum sf_log_level level = SF_LOG_INFO;

    ck_assert(sf_log_parse_level("debug", &level));
    ck_assert_int_eq(level, SF_LOG_DEBUG);
    ck_assert(!sf_log_parse_level("loud", &level));
    ck_assert(!sf_log_parse_level("", &level));
    ck_assert_int_eq(level, SF_LOG_DEBUG);
}
END_TEST

START_TEST(time_goes_on)
{
    int64_t before = sf_clock_monotonic_ns();

    ck_assert_int_ge(sf_clock_monotonic_ns(), before);
    ck_assert_int_gt(sf_clock_realtime_ns(), INT64_C(1700000000) * SF_NS_PER_S);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base log");
    TCase *t = tcase_create("log");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_event_is_one_line);
    tcase_add_test(t, a_guest_cannot_forge_a_line);
    tcase_add_test(t, levels_are_kept);
    tcase_add_test(t, levels_have_names);
    tcase_add_test(t, time_goes_on);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
