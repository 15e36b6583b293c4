/* The shell's completion, printed from the tables, so that it knows every command and option. */

#include <string.h>

#include "commands.h"

/* First words that need a second. */
static const char *const groups[] = {"disk", "share", "device", "pod", "net", "ctr", NULL};

static void print_names(const struct option *options, FILE *out)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++)
        fprintf(out, " --%s", o->name);
}

/* The first words, or the second words of a group; each once. */
static void print_words(const char *group, FILE *out)
{
    const char *last = "";
    size_t last_size = 0;
    for (const struct command *const *c = commands; *c != NULL; c++) {
        size_t first = strcspn((*c)->name, " ");
        bool in_group = (*c)->name[first] == ' ';
        if (group != NULL) {
            if (in_group && strlen(group) == first && memcmp(group, (*c)->name, first) == 0)
                fprintf(out, " %s", (*c)->name + first + 1);
        } else if (first != last_size || memcmp((*c)->name, last, first) != 0) {
            fprintf(out, " %.*s", (int)first, (*c)->name);
            last = (*c)->name;
            last_size = first;
        }
    }
}

static void print_cases(FILE *out)
{
    fputs("    case \"$command\" in\n", out);
    for (const struct command *const *c = commands; *c != NULL; c++) {
        fprintf(out, "    '%s') words=\"", (*c)->name);
        print_names((*c)->options, out);
        fputs("\" ;;\n", out);
    }
    for (const char *const *g = groups; *g != NULL; g++) {
        fprintf(out, "    '%s') [[ $word == -* ]] || plain=\"", *g);
        print_words(*g, out);
        fputs("\" ;;\n", out);
    }
    fputs("    '') plain=\"", out);
    print_words(NULL, out);
    fputs("\" ;;\n    esac\n", out);
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    FILE *out = cli->out;
    (void)flags;
    (void)operands;

    fputs("_sandferry() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} command= words= plain= i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case \"${COMP_WORDS[i]}\" in\n"
          "        -H | --host | --timeout | --tls-*) ((i++)) ;;\n"
          "        -*) ;;\n"
          "        disk | share | device | ctr)\n"
          "           [[ $command ]] && break; command=${COMP_WORDS[i]} ;;\n"
          "        *) [[ $command && ! $command =~ ^(disk|share|device|ctr)$ ]] && break\n"
          "           command=\"${command:+$command }${COMP_WORDS[i]}\"; break ;;\n"
          "        esac\n"
          "    done\n",
          out);
    print_cases(out);
    fputs("    if [[ $word == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$words",
          out);
    print_names(global_options, out);
    fputs("\" -- \"$word\"))\n"
          "    elif [[ $plain ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$plain\" -- \"$word\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _sandferry sandferry\n",
          out);
    return EXIT_OK;
}

const struct command command_completion = {
    .name = "completion",
    .operands = "",
    .summary = "Print a script that completes command lines in bash",
    .examples = "  source <(sandferry completion)\n",
    .run = run,
};
