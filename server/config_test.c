#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static struct sf_error *err;
static enum config_action action;
static char file[64];

static void setup(void)
{
    err = NULL;
    strcpy(file, "/tmp/sandferry-test-XXXXXX");
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    config_done(&config);
    sf_error_free(err);
    unlink(file);
}

static bool parse(const char *a, const char *b, const char *c, const char *d)
{
    const char *argv[] = {"sandferryd", a, b, c, d, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    return config_parse(&config, argc, (char *const *)(uintptr_t)argv, &action, &err);
}

static void write_file(const char *text)
{
    FILE *out = fopen(file, "w");
    fputs(text, out);
    fclose(out);
}

START_TEST(defaults)
{
    size_t n;
    ck_assert(parse(NULL, NULL, NULL, NULL));
    ck_assert_int_eq(action, CONFIG_RUN);
    ck_assert_str_eq(config_get(&config, "memory-dir"), "/dev/shm/sandferry");
    ck_assert_ptr_null(config_get(&config, "tls-cert"));
    ck_assert_ptr_null(config_get(&config, "no-such-setting"));
    ck_assert(!config_flag(&config, "insecure-tcp"));
    config_list(&config, "allow", &n);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(both_ways_to_give_a_value)
{
    size_t n;
    ck_assert(parse("--allow=/a", "--allow", "/b", "--insecure-tcp"));
    const char *const *all = config_list(&config, "allow", &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(all[0], "/a");
    ck_assert_str_eq(all[1], "/b");
    ck_assert(config_flag(&config, "insecure-tcp"));
}
END_TEST

START_TEST(wrong_flags_are_named)
{
    static const struct {
        const char *a, *b, *text;
    } table[] = {
        {"--colour", NULL, "'--colour'"},       {"allow", NULL, "'allow'"},
        {"--allow", NULL, "--allow needs DIR"}, {"--qemu=", NULL, "--qemu needs PATH"},
        {"--help=x", NULL, "takes no value"},   {"--config", "/nowhere.json", "/nowhere.json"},
    };
    ck_assert(!parse(table[_i].a, table[_i].b, NULL, NULL));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_msg(strstr(sf_error_message(err), table[_i].text) != NULL, "%s",
                  sf_error_message(err));
}
END_TEST

START_TEST(flags_win_over_the_file)
{
    size_t n;
    write_file("{\"allow\": [\"/x\", \"/y\"], \"qemu\": \"/q\", \"state-dir\": \"/s\","
               " \"insecure-tcp\": true, \"listen\": \"unix:/l\"}");
    ck_assert(parse("--config", file, "--allow=/a", "--qemu=/Q"));
    ck_assert_str_eq(config_list(&config, "allow", &n)[0], "/a");
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(config_get(&config, "qemu"), "/Q");
    ck_assert_str_eq(config_get(&config, "state-dir"), "/s");
    ck_assert_str_eq(config_get(&config, "listen"), "unix:/l");
    ck_assert(config_flag(&config, "insecure-tcp"));
}
END_TEST

START_TEST(a_wrong_file_is_refused_with_its_place)
{
    static const struct {
        const char *content, *text;
    } table[] = {
        {"{", "line 1"},
        {"[]", "not a JSON object"},
        {"{\"colour\": \"red\"}", "'colour'"},
        {"{\"help\": true}", "'help'"},
        {"{\"qemu\": 3}", "'qemu' must be a text"},
        {"{\"allow\": [\"/a\", 3]}", "'allow'[1] must be a text"},
        {"{\"insecure-tcp\": \"yes\"}", "'insecure-tcp' must be true or false"},
        {"{\"qemu\": \"a\", \"qemu\": \"b\"}", "duplicate"},
    };
    write_file(table[_i].content);
    ck_assert(!parse("--config", file, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), file));
    ck_assert_msg(strstr(sf_error_message(err), table[_i].text) != NULL, "%s",
                  sf_error_message(err));
}
END_TEST

START_TEST(what_is_printed_can_be_read)
{
    size_t n;
    ck_assert(parse("--allow=/a", "--insecure-tcp", "--qemu=/Q", "--print-config"));
    ck_assert_int_eq(action, CONFIG_PRINT);
    FILE *out = fopen(file, "w");
    ck_assert(config_print(&config, out));
    fclose(out);
    config_done(&config);
    ck_assert_msg(parse("--config", file, NULL, NULL), "%s", err ? sf_error_message(err) : "");
    ck_assert_str_eq(config_list(&config, "allow", &n)[0], "/a");
    ck_assert_str_eq(config_get(&config, "qemu"), "/Q");
    ck_assert(config_flag(&config, "insecure-tcp"));
    ck_assert_str_eq(config_get(&config, "log-level"), "info");
}
END_TEST

START_TEST(help_needs_nothing_else)
{
    ck_assert(parse(_i == 0 ? "--help" : "--version", "--config", "/nowhere.json", NULL));
    ck_assert_int_eq(action, _i == 0 ? CONFIG_HELP : CONFIG_VERSION);
}
END_TEST

/* Every flag of the help stands in the manual page. */
START_TEST(the_manual_has_every_flag)
{
    char *help = NULL, *page = calloc(1, 1 << 16);
    size_t size;
    FILE *out = open_memstream(&help, &size);
    config_print_help(out);
    fclose(out);
    FILE *in = fopen(MANUAL, "r");
    ck_assert_ptr_nonnull(in);
    ck_assert_uint_gt(fread(page, 1, (1 << 16) - 1, in), 0);
    fclose(in);

    char *save = NULL;
    for (char *line = strtok_r(help, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char flag[64], want[80];
        if (sscanf(line, "  --%60s", flag) != 1)
            continue;
        snprintf(want, sizeof(want), "\\-\\-%s", flag);
        ck_assert_msg(strstr(page, want) != NULL, "%s is not in the manual", flag);
    }
    free(help);
    free(page);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *cases = tcase_create("config");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, defaults);
    tcase_add_test(cases, both_ways_to_give_a_value);
    tcase_add_loop_test(cases, wrong_flags_are_named, 0, 6);
    tcase_add_test(cases, flags_win_over_the_file);
    tcase_add_loop_test(cases, a_wrong_file_is_refused_with_its_place, 0, 8);
    tcase_add_test(cases, what_is_printed_can_be_read);
    tcase_add_loop_test(cases, help_needs_nothing_else, 0, 2);
    tcase_add_test(cases, the_manual_has_every_flag);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
