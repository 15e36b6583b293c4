#ifndef CLI_CLI_H
#define CLI_CLI_H

/* What every command sees: the table that it is, where it prints, and the connection. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "exit.h"
#include "options.h"
#include "sandferry.h"

struct global_flags {
    const char *host;
    uint32_t timeout_ms;
    const char *tls_certificate, *tls_key, *tls_ca, *tls_name;
    bool progress, version, help;
};
extern const struct option global_options[];

struct cli {
    FILE *out, *err; /* borrowed */
    struct global_flags global;
    struct sandferry *client; /* owned; NULL until cli_connect() */
};

struct command {
    const char *name;             /* "disk add" */
    const char *operands;         /* "SANDBOX PATH", as in the usage line */
    const char *summary;          /* one line, for the list of commands */
    const char *about;            /* paragraphs, for its own help; may be NULL */
    const char *examples;         /* lines, each beginning with two spaces; may be NULL */
    const struct option *options; /* may be NULL */
    size_t flags_size;            /* of the struct that the options fill; it is zeroed first */
    size_t operands_min, operands_max;
    /* Return: how the process ends. */
    int (*run)(struct cli *cli, const void *flags, const struct words *operands);
};

/* All of them, in the order of the help; NULL at the end. */
extern const struct command *const commands[];

/* The whole program: parse, run, say what went wrong. Return: how the process ends. */
int cli_main(int argc, char *const *argv, FILE *out, FILE *err);

/* Connects, if that was not done. */
bool cli_connect(struct cli *cli, struct sf_error **err);
/* A connection besides, for another thread. @host: NULL: the default. */
bool cli_connect_to(const struct cli *cli, const char *host, struct sandferry **ret,
                    struct sf_error **err);

/**
 * cli_fail() - print an error: "sandferry: <message>", then a line for each detail
 *
 * Return: how the process ends.
 */
int cli_fail(struct cli *cli, const struct sf_error *err);
/* The same for a wrong command line, with where to find help. */
int cli_fail_usage(struct cli *cli, const struct command *command, const struct sf_error *err);

#endif
