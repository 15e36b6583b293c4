#include "base/suite.h"

#include <string.h>
#include <sys/mount.h>

#include "guest/agent/options.h"

START_TEST(flags_and_data_are_told_apart)
{
    struct options o = {0};

    ck_assert(options_add(&o, "noatime"));
    ck_assert(options_add(&o, "data=ordered"));
    ck_assert(options_add(&o, "nodev"));
    ck_assert(options_add(&o, "commit=30"));
    ck_assert_uint_eq(o.flags, MS_NOATIME | MS_NODEV);
    ck_assert_str_eq(o.data, "data=ordered,commit=30");
}
END_TEST

START_TEST(a_later_option_takes_an_earlier_back)
{
    struct options o = {.flags = MS_RDONLY};

    ck_assert(options_add(&o, "defaults"));
    ck_assert_uint_eq(o.flags, MS_RDONLY);
    ck_assert(options_add(&o, "rw"));
    ck_assert(options_add(&o, "noexec"));
    ck_assert(options_add(&o, "exec"));
    ck_assert_uint_eq(o.flags, 0);
}
END_TEST

START_TEST(nothing_is_smuggled_in)
{
    struct options o = {0};
    char longest[sizeof(o.data) + 1];

    ck_assert(!options_add(&o, "a,suid"));
    ck_assert(!options_add(&o, ""));
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ck_assert(!options_add(&o, longest));
    longest[sizeof(o.data) - 2] = '\0';
    ck_assert(options_add(&o, longest));
    ck_assert(!options_add(&o, "y"));
    ck_assert_uint_eq(strlen(o.data), sizeof(o.data) - 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_options");
    TCase *tc = tcase_create("options");

    tcase_add_test(tc, flags_and_data_are_told_apart);
    tcase_add_test(tc, a_later_option_takes_an_earlier_back);
    tcase_add_test(tc, nothing_is_smuggled_in);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
