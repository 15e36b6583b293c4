#include "commands.h"
#include "progress.h"

struct flags {
    bool force;
};

/* clang-format off */
static const struct option options[] = {
    { "force", 'f', OPTION_FLAG(struct flags, force), NULL, "stop it first, if it runs" },
    { 0 },
};
/* clang-format on */

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    struct sandferry_delete_options o = SANDFERRY_DELETE_OPTIONS_INIT;
    const char *id = operands->all[0];

    o.force = ((const struct flags *)flags)->force;
    progress_begin(&progress, cli, "removing '%s'", id);
    bool ok = cli_connect(cli, &err) && sandferry_delete(cli->client, id, &o, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "sandbox '%s' is removed\n", id);
    return EXIT_OK;
}

const struct command command_rm = {
    .name = "rm",
    .operands = "SANDBOX",
    .summary = "Forget a stopped sandbox, and remove what it has on the daemon's host",
    .about = "Its disks are yours, and stay.",
    .examples = "  sandferry rm web --force\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
