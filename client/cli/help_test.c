/* The help texts as golden files, and the manual against the program. */

#include "help.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/suite.h"
#include "base/text.h"
#include "snapshot/file.h"

static char *text;
static size_t text_size;

/* The output of `sandferry WORDS...`. */
static int run(const char *const *words)
{
    char *args[8] = {(char *)"sandferry"};
    int n = 1;
    for (; words[n - 1] != NULL; n++)
        args[n] = (char *)words[n - 1];
    free(text);
    FILE *out = open_memstream(&text, &text_size);
    int status = cli_main(n, args, out, out);
    fclose(out);
    return status;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void teardown(void)
{
    free(text);
    text = NULL;
}

static char *read_text(const char *path)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sf_bytes bytes = {0};
    ck_assert_msg(sf_file_read(path, 1 << 20, &bytes, &err), "%s", SF_WHY(err));
    ck_assert(sf_bytes_append(&bytes, "", 1));
    return (char *)bytes.data;
}

/* With SANDFERRY_UPDATE_GOLDEN set, writes the file anew instead. */
static void same_as_golden(const char *name)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/%s.txt", GOLDEN, name);
    if (getenv("SANDFERRY_UPDATE_GOLDEN") != NULL)
        ck_assert_msg(sf_file_write(path, text, text_size, 0644, &err), "%s", SF_WHY(err));
    SF_CLEANUP(sf_freep) char *golden = read_text(path);
    ck_assert_msg(strcmp(golden, text) == 0, "%s is\n%s\nand was\n%s", path, text, golden);
}

static void lines_fit(void)
{
    for (const char *line = text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        ck_assert_msg(size <= 80, "%zu columns: %.*s", size, (int)size, line);
        line += size + (line[size] == '\n');
    }
}

static size_t n_commands(void)
{
    size_t n = 0;
    while (commands[n] != NULL)
        n++;
    return n;
}

START_TEST(program_help)
{
    ck_assert_int_eq(RUN("--help"), EXIT_OK);
    same_as_golden("help");
    lines_fit();
    for (size_t i = 0; i < n_commands(); i++)
        ck_assert_ptr_nonnull(strstr(text, commands[i]->name));
    ck_assert_int_eq(RUN("help"), EXIT_OK);
    same_as_golden("help");
}
END_TEST

/* Every row of the table is in the help, with its letter and the name of its value. */
static void shows(const struct option *options)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        char letter[8] = "    ";
        if (o->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        SF_CLEANUP(sf_freep)
        char *row = sf_format("  %s--%s%s%s", letter, o->name, o->value != NULL ? " " : "",
                              o->value != NULL ? o->value : "");
        ck_assert_msg(strstr(text, row) != NULL, "'%s' is not in\n%s", row, text);
    }
}

START_TEST(command_help)
{
    for (size_t i = 0; i < n_commands(); i++) {
        const struct command *c = commands[i];
        SF_CLEANUP(sf_freep) char *name = sf_format("help-%s", c->name);
        char *first = strdup(c->name);
        char *second = strchr(first, ' ');
        if (second != NULL) {
            *second++ = '\0';
            *strchr(name, ' ') = '-';
        }
        ck_assert_int_eq(second != NULL ? RUN(first, second, "--help") : RUN(first, "-h"), EXIT_OK);
        same_as_golden(name);
        lines_fit();
        shows(c->options);
        shows(global_options);
        ck_assert_msg(strstr(text, "\nExamples:\n  ") != NULL, "%s has no example", c->name);
        free(first);
    }
}
END_TEST

START_TEST(group_help)
{
    ck_assert_int_eq(RUN("disk", "--help"), EXIT_OK);
    same_as_golden("help-disk");
    ck_assert_int_eq(RUN("share", "--help"), EXIT_OK);
    same_as_golden("help-share");
    ck_assert_int_eq(RUN("help", "device"), EXIT_OK);
    same_as_golden("help-device");
    ck_assert_int_eq(RUN("pod", "--help"), EXIT_OK);
    same_as_golden("help-pod");
    ck_assert_int_eq(RUN("help", "ctr"), EXIT_OK);
    same_as_golden("help-ctr");
}
END_TEST

START_TEST(no_letter_or_name_stands_for_two_things)
{
    for (size_t i = 0; i < n_commands(); i++) {
        bool letters[128] = {false};
        const struct option *tables[] = {commands[i]->options, global_options};
        for (size_t t = 0; t < 2; t++)
            for (const struct option *o = tables[t]; o != NULL && o->name != NULL; o++) {
                ck_assert_msg(o->letter == 0 || !letters[(int)o->letter], "%s -%c",
                              commands[i]->name, o->letter);
                letters[(int)o->letter] = true;
                if (t == 0)
                    for (const struct option *g = global_options; g->name != NULL; g++)
                        ck_assert_str_ne(o->name, g->name);
            }
    }
}
END_TEST

static const struct {
    const char *words[4];
    const char *part;
} wrong[] = {
    {{NULL}, "Usage: sandferry"},
    {{"elephant"}, "there is no command 'elephant'\n'sandferry --help' tells"},
    {{"shwo"}, "did you mean 'show'?"},
    {{"disk"}, "'disk' needs a command after it"},
    {{"device"}, "'device' needs a command after it"},
    {{"share", "lss"}, "did you mean 'share ls'?"},
    {{"ctr", "craete"}, "did you mean 'ctr create'?"},
    {{"show"}, "'show' needs SANDBOX\n'sandferry show --help' tells"},
    {{"show", "a", "b"}, "'b' is one argument too many for 'show'"},
    {{"save", "a"}, "'save' needs --output FILE"},
    {{"ls", "--qiet"}, "did you mean '--quiet'?"},
    {{"--tiemout", "1", "ls"}, "did you mean '--timeout'?"},
    {{"help", "elephant"}, "there is no command 'elephant'"},
    {{"ctr", "create", "s", "c"}, "'ctr create' needs --layer"},
};

START_TEST(a_wrong_command_line_exits_with_2)
{
    char *args[6] = {(char *)"sandferry"};
    int n = 1;
    for (; n <= 4 && wrong[_i].words[n - 1] != NULL; n++)
        args[n] = (char *)wrong[_i].words[n - 1];
    FILE *out = open_memstream(&text, &text_size);
    int status = cli_main(n, args, out, out);
    fclose(out);
    ck_assert_int_eq(status, EXIT_USAGE);
    ck_assert_msg(strstr(text, wrong[_i].part) != NULL, "%s", text);
}
END_TEST

/* ---- the manual ---- */

/* As roff has it: "-" is "\-". */
static char *in_roff(const char *plain)
{
    struct sf_text t = {0};
    for (; *plain != '\0'; plain++)
        sf_text_add(&t, *plain == '-' ? "\\-" : "%c", *plain);
    return sf_text_take(&t);
}

static void in_manual(const char *manual, const char *prefix, const char *what)
{
    SF_CLEANUP(sf_freep) char *plain = sf_format("%s%s", prefix, what);
    SF_CLEANUP(sf_freep) char *roff = in_roff(plain);
    ck_assert_msg(strstr(manual, roff) != NULL, "'%s' is not in the manual", roff);
}

START_TEST(the_manual_has_every_command_and_option)
{
    SF_CLEANUP(sf_freep) char *manual = read_text(MANUAL);
    for (size_t i = 0; i < n_commands(); i++) {
        in_manual(manual, ".SS ", commands[i]->name);
        const struct option *o = commands[i]->options;
        SF_CLEANUP(sf_freep) char *head = sf_format("\n.SS %s\n", commands[i]->name);
        SF_CLEANUP(sf_freep) char *roff = in_roff(head);
        const char *section = strstr(manual, roff);
        ck_assert_msg(section != NULL, "%s", roff);
        const char *end = strstr(section + 5, "\n.S");
        SF_CLEANUP(sf_freep) char *part = strndup(section, (size_t)(end - section));
        for (; o != NULL && o->name != NULL; o++)
            in_manual(part, "--", o->name);
    }
    for (const struct option *o = global_options; o->name != NULL; o++)
        in_manual(manual, "--", o->name);
#define IN_MANUAL(name, number, words) in_manual(manual, ".B " #number "\n", words);
    EXIT_CODES(IN_MANUAL)
#undef IN_MANUAL
}
END_TEST

START_TEST(completion_knows_every_command_and_option)
{
    ck_assert_int_eq(RUN("completion"), EXIT_OK);
    for (size_t i = 0; i < n_commands(); i++) {
        SF_CLEANUP(sf_freep) char *head = sf_format("'%s') words=\"", commands[i]->name);
        ck_assert_msg(strstr(text, head) != NULL, "%s", head);
        for (const struct option *o = commands[i]->options; o != NULL && o->name != NULL; o++) {
            SF_CLEANUP(sf_freep) char *word = sf_format(" --%s", o->name);
            ck_assert_msg(strstr(strstr(text, head), word) != NULL, "%s%s", head, word);
        }
    }
}
END_TEST

static Suite *help_suite(void)
{
    Suite *suite = suite_create("cli_help");
    TCase *cases = tcase_create("help");
    tcase_add_checked_fixture(cases, NULL, teardown);
    tcase_add_test(cases, program_help);
    tcase_add_test(cases, command_help);
    tcase_add_test(cases, group_help);
    tcase_add_test(cases, no_letter_or_name_stands_for_two_things);
    tcase_add_loop_test(cases, a_wrong_command_line_exits_with_2, 0,
                        sizeof(wrong) / sizeof(*wrong));
    tcase_add_test(cases, completion_knows_every_command_and_option);
    suite_add_tcase(suite, cases);
    TCase *manual = tcase_create("manual");
    tcase_add_test(manual, the_manual_has_every_command_and_option);
    suite_add_tcase(suite, manual);
    return suite;
}

int main(void)
{
    return sf_suite_run(help_suite());
}
