#include "options.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"
#include "values.h"

struct flags {
    bool yes, no;
    const char *text;
    struct words words;
    uint64_t number, size;
    uint32_t time_ms;
    unsigned choice;
};

static const struct option options[] = {
    {"yes", 'y', OPTION_FLAG(struct flags, yes), NULL, "say yes"},
    {"no", 'n', OPTION_FLAG(struct flags, no), NULL, "say no"},
    {"text", 't', OPTION_TEXT(struct flags, text), "TEXT", "a text"},
    {"word", 'w', OPTION_WORDS(struct flags, words), "WORD", "a word; repeatable"},
    {"number", 0, OPTION_NUMBER(struct flags, number), "N", "a number"},
    {"size", 0, OPTION_SIZE(struct flags, size), "SIZE", "a size"},
    {"time", 0, OPTION_DURATION(struct flags, time_ms), "TIME", "a time"},
    {"choice", 'c', OPTION_CHOICE(struct flags, choice), "red|green|blue", "a colour"},
    {0},
};

struct other {
    bool yes, more;
};
static const struct option others[] = {
    {"yes", 0, OPTION_FLAG(struct other, yes), NULL, "never reached"},
    {"more", 'm', OPTION_FLAG(struct other, more), NULL, "of the second table"},
    {0},
};

static struct flags flags;
static struct other other;
static struct words operands;
static struct sf_error *err;
static const struct option_set sets[2] = {{options, &flags}, {others, &other}};

static void setup(void)
{
    flags = (struct flags){0};
    other = (struct other){0};
    operands = (struct words){0};
    err = NULL;
}

static void teardown(void)
{
    options_done(sets, 2);
    words_done(&operands);
    sf_error_free(err);
    err = NULL;
}

#define PARSE(...)                                                                                 \
    options_parse(sets, 2, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                 \
                  (char *const[]){__VA_ARGS__}, false, &operands, NULL, &err)
#define W(text) ((char *)(text))

START_TEST(every_kind_takes_its_value)
{
    ck_assert_msg(PARSE(W("--yes"), W("--text=a=b"), W("--word"), W("x"), W("-wy"), W("--number"),
                        W("7"), W("--size=2M"), W("--time"), W("2m"), W("--choice=blue"), W("-m")),
                  "%s", SF_WHY(err));
    ck_assert(flags.yes && !flags.no && other.more && !other.yes);
    ck_assert_str_eq(flags.text, "a=b");
    ck_assert_uint_eq(flags.words.n, 2);
    ck_assert_str_eq(flags.words.all[0], "x");
    ck_assert_str_eq(flags.words.all[1], "y");
    ck_assert_uint_eq(flags.number, 7);
    ck_assert_uint_eq(flags.size, 2u << 20);
    ck_assert_uint_eq(flags.time_ms, 120000);
    ck_assert_uint_eq(flags.choice, 2);
}
END_TEST

START_TEST(operands_stand_anywhere_and_all_after_two_dashes)
{
    ck_assert(PARSE(W("a"), W("-yn"), W("-"), W("-ytx"), W("--"), W("--no"), W("-t")));
    ck_assert_uint_eq(operands.n, 4);
    ck_assert_str_eq(operands.all[0], "a");
    ck_assert_str_eq(operands.all[1], "-");
    ck_assert_str_eq(operands.all[2], "--no");
    ck_assert_str_eq(operands.all[3], "-t");
    ck_assert(flags.yes && flags.no);
    ck_assert_str_eq(flags.text, "x");
}
END_TEST

START_TEST(parsing_can_stop_at_the_first_operand)
{
    char *const args[] = {W("-y"), W("verb"), W("--unknown")};
    size_t used;
    ck_assert(options_parse(sets, 2, 3, args, true, NULL, &used, &err));
    ck_assert_uint_eq(used, 1);
}
END_TEST

static const struct {
    const char *words[2];
    const char *message;
} wrong[] = {
    {{"--nmber", "1"}, "there is no option '--nmber'; did you mean '--number'?"},
    {{"--tex=1"}, "there is no option '--tex'; did you mean '--text'?"},
    {{"--elephant"}, "there is no option '--elephant'"},
    {{"-z"}, "there is no option '-z'"},
    {{"-\033"}, "there is no option '-?'"},
    {{"--yes=1"}, "--yes takes no value"},
    {{"--text"}, "--text needs TEXT"},
    {{"--text="}, "--text needs TEXT"},
    {{"--number", "-1"}, "--number: '-1' is not a number from 0 to 18446744073709551615"},
    {{"--size", "2X"}, "--size: '2X' is not a size in bytes, like 536870912, 512M or 2G"},
    {{"--time", "2y"}, "--time: '2y' is not a time, like 500ms, 30s, 2m or 1h"},
    {{"--choice", "gre"}, "--choice: 'gre' is none of red|green|blue"},
};

START_TEST(what_is_wrong_is_said)
{
    char *const args[] = {W(wrong[_i].words[0]), W(wrong[_i].words[1])};
    ck_assert(!options_parse(sets, 2, args[1] != NULL ? 2 : 1, args, false, &operands, NULL, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_str_eq(sf_error_message(err), wrong[_i].message);
}
END_TEST

START_TEST(help_shows_every_option)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    options_print(options, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "  -y, --yes               say yes\n"));
    ck_assert_ptr_nonnull(strstr(text, "      --number N          a number\n"));
    ck_assert_ptr_nonnull(strstr(text, "  -c, --choice red|green|blue\n"
                                       "                          a colour\n"));
    free(text);
}
END_TEST

/* ---- values ---- */

START_TEST(sizes)
{
    uint64_t n;
    ck_assert(parse_size("0", &n, &err) && n == 0);
    ck_assert(parse_size("4k", &n, &err) && n == 4096);
    ck_assert(parse_size("2GiB", &n, &err) && n == UINT64_C(2) << 30);
    ck_assert(parse_size("16777215T", &n, &err) && n == UINT64_C(16777215) << 40);
    static const char *const bad[] = {"",   "M",         "-1",  " 1",   "1 ",
                                      "1B", "16777216T", "1iB", "0x10", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_msg(!parse_size(bad[i], &n, &err), "%s", bad[i]);
        sf_error_free(err);
        err = NULL;
    }
}
END_TEST

START_TEST(durations)
{
    uint32_t ms;
    ck_assert(parse_duration("5", &ms, &err) && ms == 5000);
    ck_assert(parse_duration("500ms", &ms, &err) && ms == 500);
    ck_assert(parse_duration("30s", &ms, &err) && ms == 30000);
    ck_assert(parse_duration("1h", &ms, &err) && ms == 3600000);
    ck_assert(parse_duration("4294967295ms", &ms, &err) && ms == UINT32_MAX);
    ck_assert(!parse_duration("4294967296ms", &ms, &err));
}
END_TEST

START_TEST(signals)
{
    uint32_t n;
    ck_assert(parse_signal("TERM", &n, &err) && n == 15);
    ck_assert(parse_signal("sigkill", &n, &err) && n == 9);
    ck_assert(parse_signal("64", &n, &err) && n == 64);
    ck_assert(!parse_signal("65", &n, &err));
    sf_error_free(err);
    err = NULL;
    ck_assert(!parse_signal("BANG", &n, &err));
}
END_TEST

static Suite *options_suite(void)
{
    Suite *suite = suite_create("cli_options");
    TCase *cases = tcase_create("options");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, every_kind_takes_its_value);
    tcase_add_test(cases, operands_stand_anywhere_and_all_after_two_dashes);
    tcase_add_test(cases, parsing_can_stop_at_the_first_operand);
    tcase_add_loop_test(cases, what_is_wrong_is_said, 0, sizeof(wrong) / sizeof(*wrong));
    tcase_add_test(cases, help_shows_every_option);
    tcase_add_test(cases, sizes);
    tcase_add_test(cases, durations);
    tcase_add_test(cases, signals);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(options_suite());
}
