#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli.h"

/* sandferry --help */
void help_program(FILE *out);
/* sandferry COMMAND --help */
void help_command(const struct command *command, FILE *out);
/* sandferry disk --help: the commands that begin with this word. */
void help_group(const char *group, FILE *out);

#endif
