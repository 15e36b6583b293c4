#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "output.h"

/* clang-format off */
const struct option global_options[] = {
    { "host",       'H', OPTION_TEXT(struct global_flags, host), "ADDRESS",
      "the daemon: unix:/PATH or HOST:PORT (default: $SANDFERRY_HOST, or "
      SANDFERRY_DEFAULT_ADDRESS ")" },
    { "timeout",    0,   OPTION_DURATION(struct global_flags, timeout_ms), "TIME",
      "give up after TIME: 500ms, 30s, 2m (default: never)" },
    { "tls-cert",   0,   OPTION_TEXT(struct global_flags, tls_certificate), "FILE",
      "our certificate (PEM), for TCP" },
    { "tls-key",    0,   OPTION_TEXT(struct global_flags, tls_key), "FILE",
      "its key (PEM)" },
    { "tls-ca",     0,   OPTION_TEXT(struct global_flags, tls_ca), "FILE",
      "who signs the daemon's certificate (PEM)" },
    { "tls-name",   0,   OPTION_TEXT(struct global_flags, tls_name), "NAME",
      "the name in the daemon's certificate, if it is not the one in ADDRESS" },
    { "progress",   0,   OPTION_FLAG(struct global_flags, progress), NULL,
      "tell on standard error what takes longer than a second, even if that is no terminal" },
    { "version",    0,   OPTION_FLAG(struct global_flags, version), NULL,
      "print the version, and exit" },
    { "help",       'h', OPTION_FLAG(struct global_flags, help), NULL,
      "print this, and exit" },
    { 0 },
};
/* clang-format on */

/* ---- errors ---- */

static void print_error(struct cli *cli, const struct sf_error *err)
{
    fputs("sandferry: ", cli->err);
    print_safe(cli->err, sf_error_message(err));
    fputc('\n', cli->err);
    for (size_t i = 0; i < sf_error_n_details(err); i++) {
        const struct sf_detail *d = sf_error_detail(err, i);
        fputs("  ", cli->err);
        print_safe(cli->err, d->subject);
        fputs(*d->subject != '\0' ? ": " : "", cli->err);
        print_safe(cli->err, d->text);
        fputc('\n', cli->err);
    }
}

int cli_fail(struct cli *cli, const struct sf_error *err)
{
    fflush(cli->out);
    print_error(cli, err);
    return (int)exit_code_of(sf_error_code(err));
}

int cli_fail_usage(struct cli *cli, const struct command *command, const struct sf_error *err)
{
    print_error(cli, err);
    fprintf(cli->err, "'sandferry %s%s--help' tells what there is\n",
            command != NULL ? command->name : "", command != NULL ? " " : "");
    return EXIT_USAGE;
}

/* ---- connection ---- */

bool cli_connect_to(const struct cli *cli, const char *host, struct sandferry **ret,
                    struct sf_error **err)
{
    struct sandferry_connect_options o = SANDFERRY_CONNECT_OPTIONS_INIT;
    o.address = host;
    o.timeout_ms = cli->global.timeout_ms;
    o.tls_certificate_file = cli->global.tls_certificate;
    o.tls_key_file = cli->global.tls_key;
    o.tls_ca_file = cli->global.tls_ca;
    o.tls_server_name = cli->global.tls_name;
    return sandferry_connect(&o, ret, err);
}

bool cli_connect(struct cli *cli, struct sf_error **err)
{
    return cli->client != NULL || cli_connect_to(cli, cli->global.host, &cli->client, err);
}

/* ---- which command ---- */

static bool is_group(const char *word)
{
    size_t size = strlen(word);
    for (const struct command *const *c = commands; *c != NULL; c++)
        if (strncmp((*c)->name, word, size) == 0 && (*c)->name[size] == ' ')
            return true;
    return false;
}

/* "disk" "add" -> "disk add"; *ret_words: how many words the name has. */
static const struct command *find_command(size_t n, char *const *words, size_t *ret_words)
{
    for (const struct command *const *c = commands; *c != NULL; c++) {
        size_t first = strcspn((*c)->name, " ");
        bool two = (*c)->name[first] == ' ';
        if (strlen(words[0]) != first || memcmp((*c)->name, words[0], first) != 0)
            continue;
        if (two && (n < 2 || strcmp((*c)->name + first + 1, words[1]) != 0))
            continue;
        *ret_words = two ? 2 : 1;
        return *c;
    }
    return NULL;
}

static bool fail_command(size_t n, char *const *words, struct sf_error **err)
{
    bool group = is_group(words[0]);
    const char *wrong = group && n > 1 ? words[1] : words[0];
    size_t prefix = group ? strlen(words[0]) + 1 : 0;
    if (group && n < 2)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' needs a command after it", words[0]);

    struct nearest nearest = {.word = wrong};
    for (const struct command *const *c = commands; *c != NULL; c++)
        if (!group ||
            (strlen((*c)->name) > prefix && strncmp((*c)->name, words[0], prefix - 1) == 0))
            nearest_try(&nearest, (*c)->name + prefix);
    const char *before = group ? words[0] : "", *space = group ? " " : "";
    if (nearest.best != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "there is no command '%s%s%s'; did you mean '%s%s%s'?", before, space, wrong,
                       before, space, nearest.best);
    return sf_fail(err, SF_INVALID_ARGUMENT, "there is no command '%s%s%s'", before, space, wrong);
}

/* ---- running it ---- */

static bool check_operands(const struct command *c, const struct words *operands,
                           struct sf_error **err)
{
    if (operands->n < c->operands_min)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' needs %s", c->name, c->operands);
    if (operands->n > c->operands_max)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is one argument too many for '%s'",
                       operands->all[c->operands_max], c->name);
    return true;
}

static int print_version(struct cli *cli)
{
    fprintf(cli->out, "sandferry %s\n", sandferry_version());
    return EXIT_OK;
}

static int run(struct cli *cli, const struct command *c, const struct option_set sets[2],
               size_t n_args, char *const *args)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(words_done) struct words operands = {0};

    if (!options_parse(sets, 2, n_args, args, false, &operands, NULL, &err))
        return cli_fail_usage(cli, c, err);
    if (cli->global.version)
        return print_version(cli);
    if (cli->global.help) {
        help_command(c, cli->out);
        return EXIT_OK;
    }
    if (!check_operands(c, &operands, &err))
        return cli_fail_usage(cli, c, err);
    return c->run(cli, sets[0].values, &operands);
}

static int run_command(struct cli *cli, const struct command *c, size_t n_args, char *const *args)
{
    void *flags = calloc(1, c->flags_size + 1);
    const struct option_set sets[2] = {{c->options, flags}, {global_options, &cli->global}};
    int status = EXIT_EXHAUSTED;
    if (flags != NULL) {
        status = run(cli, c, sets, n_args, args);
        options_done(sets, 1);
    }
    free(flags);
    return status;
}

/* `sandferry help [COMMAND]`, and --help before or without a command. */
static int help(struct cli *cli, size_t n, char *const *words)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    size_t used;
    const struct command *c = n > 0 ? find_command(n, words, &used) : NULL;

    if (n == 0)
        help_program(cli->out);
    else if (c != NULL)
        help_command(c, cli->out);
    else if (n == 1 && is_group(words[0]))
        help_group(words[0], cli->out);
    else {
        fail_command(n, words, &err);
        return cli_fail_usage(cli, NULL, err);
    }
    return EXIT_OK;
}

static bool asks_for_help(size_t n, char *const *words)
{
    return n > 1 && is_group(words[0]) &&
           (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0);
}

static int dispatch(struct cli *cli, size_t n, char *const *words)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(words_done) struct words none = {0};
    const struct option_set globals = {global_options, &cli->global};
    size_t used;

    if (!options_parse(&globals, 1, n, words, true, &none, &used, &err))
        return cli_fail_usage(cli, NULL, err);
    n -= used;
    words += used;
    if (cli->global.version)
        return print_version(cli);
    if (cli->global.help)
        return help(cli, n, words);
    if (n == 0) {
        help_program(cli->err);
        return EXIT_USAGE;
    }
    if (strcmp(words[0], "help") == 0)
        return help(cli, n - 1, words + 1);
    if (asks_for_help(n, words))
        return help(cli, 1, words);

    const struct command *c = find_command(n, words, &used);
    if (c != NULL)
        return run_command(cli, c, n - used, words + used);
    fail_command(n, words, &err);
    return cli_fail_usage(cli, NULL, err);
}

int cli_main(int argc, char *const *argv, FILE *out, FILE *err)
{
    struct cli cli = {.out = out, .err = err};
    int status = argc > 0 ? dispatch(&cli, (size_t)argc - 1, argv + 1) : EXIT_USAGE;

    sandferry_close(cli.client);
    if ((fflush(out) != 0 || ferror(out)) && status == EXIT_OK) {
        fputs("sandferry: the output cannot be written\n", err);
        return EXIT_FAILED;
    }
    return status;
}
