#include <stdlib.h>

#include "commands.h"
#include "snapshot_file.h"

struct flags {
    unsigned output;
};

/* clang-format off */
static const struct option options[] = {
    { "output", 'o', OPTION_CHOICE(struct flags, output), "tree|json|dot",
      "how to print it (default: tree); dot is for Graphviz" },
    { 0 },
};
/* clang-format on */

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    static const enum sandferry_view views[] = {SANDFERRY_TREE, SANDFERRY_JSON, SANDFERRY_DOT};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_snapshot *snapshot;
    char *text = NULL;

    if (!snapshot_file_read(operands->all[0], &snapshot, &err))
        return cli_fail(cli, err);
    bool ok = sandferry_snapshot_view(snapshot, views[((const struct flags *)flags)->output], &text,
                                      &err);
    sandferry_snapshot_free(snapshot);
    if (!ok)
        return cli_fail(cli, err);
    fputs(text, cli->out);
    free(text);
    return EXIT_OK;
}

const struct command command_inspect = {
    .name = "inspect",
    .operands = "FILE",
    .summary = "Show what is in a snapshot file",
    .about = "Needs no daemon. Shows what can be read, sound or not: 'sandferry validate' tells\n"
             "whether it is. '-' is standard input.",
    .examples = "  sandferry inspect web.snapshot\n"
                "  sandferry inspect web.snapshot -o dot | dot -Tsvg > web.svg\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
