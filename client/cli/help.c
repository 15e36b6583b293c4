/* The help texts, all printed from the tables. */

#include "help.h"

#include <string.h>

#include "base/text.h"

static void print_command(const struct command *c, FILE *out)
{
    SF_CLEANUP(sf_freep) char *left = sf_format("  %s", c->name);
    print_beside(left != NULL ? left : c->name, c->summary, out);
}

static void print_exit_codes(FILE *out)
{
#define EXIT_ROW(name, number, text) print_beside("  " #number, text, out);
    EXIT_CODES(EXIT_ROW)
#undef EXIT_ROW
}

void help_program(FILE *out)
{
    fputs("Usage: sandferry [OPTION...] COMMAND [ARGUMENT...]\n\n"
          "Saves running sandboxes, and brings them back to life elsewhere.\n\n"
          "Commands:\n",
          out);
    for (const struct command *const *c = commands; *c != NULL; c++)
        print_command(*c, out);
    fputs("\nOptions, before or after the command:\n", out);
    options_print(global_options, out);
    fputs("\nExamples:\n"
          "  sandferry create web --memory 512M --cpus 2\n"
          "  sandferry ctr create web app --layer /disks/app.squashfs --start -- /bin/app\n"
          "  sandferry ctr logs web app -f\n"
          "  sandferry save web -o web.snapshot\n"
          "  sandferry -H unix:/run/b.sock restore web.snapshot\n"
          "\nExit codes:\n",
          out);
    print_exit_codes(out);
    fputs("\n'sandferry COMMAND --help' tells more about one command; so does sandferry(1).\n",
          out);
}

void help_command(const struct command *c, FILE *out)
{
    fprintf(out, "Usage: sandferry %s%s%s%s\n\n%s.\n", c->name,
            c->options != NULL ? " [OPTION...]" : "", *c->operands != '\0' ? " " : "", c->operands,
            c->summary);
    if (c->about != NULL) {
        fputc('\n', out);
        print_wrapped(c->about, out);
    }
    if (c->options != NULL) {
        fputs("\nOptions:\n", out);
        options_print(c->options, out);
    }
    fputs("\nOptions of every command:\n", out);
    options_print(global_options, out);
    if (c->examples != NULL)
        fprintf(out, "\nExamples:\n%s", c->examples);
}

void help_group(const char *group, FILE *out)
{
    size_t size = strlen(group);
    fprintf(out, "Usage: sandferry %s COMMAND [ARGUMENT...]\n\nCommands:\n", group);
    for (const struct command *const *c = commands; *c != NULL; c++)
        if (strncmp((*c)->name, group, size) == 0 && (*c)->name[size] == ' ')
            print_command(*c, out);
    fprintf(out, "\n'sandferry %s COMMAND --help' tells more about one.\n", group);
}
