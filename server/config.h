#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

#define CONFIG_OPTIONS_MAX 24

enum config_action {
    CONFIG_RUN,
    CONFIG_HELP,
    CONFIG_VERSION,
    CONFIG_PRINT,
};

struct config_values {
    char **all; /* owned, as are the texts */
    size_t n;
};

/* What the daemon was told: by its flags, else by its file, else by default. Read-only once made.
 */
struct config {
    struct config_values values[CONFIG_OPTIONS_MAX]; /* in the order of the table of options */
};

/**
 * config_parse() - read the flags, and the file that --config names
 * @ret: filled; config_done() it, after a failure too
 *
 * A flag wins over the file; a list given by flags replaces the file's list.
 *
 * Return: false with INVALID_ARGUMENT that names the flag or the place in the file.
 */
bool config_parse(struct config *ret, int argc, char *const *argv, enum config_action *ret_action,
                  struct sf_error **err);
void config_done(struct config *c);

/* By name, without dashes; of a list the first. NULL: not set, and no default. Owned by @c. */
const char *config_get(const struct config *c, const char *name);
bool config_flag(const struct config *c, const char *name);
/* Of a list: all values, or its default. *@ret_n may be 0. */
const char *const *config_list(const struct config *c, const char *name, size_t *ret_n);

void config_print_help(FILE *out);
/* As JSON that --config takes. False: no memory, or the stream is broken. */
bool config_print(const struct config *c, FILE *out);

#endif
