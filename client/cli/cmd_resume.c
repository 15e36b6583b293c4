#include "commands.h"
#include "progress.h"

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    const char *id = operands->all[0];

    (void)flags;
    progress_begin(&progress, cli, "resuming '%s'", id);
    bool ok = cli_connect(cli, &err) && sandferry_resume(cli->client, id, NULL, NULL, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "sandbox '%s' is running\n", id);
    return EXIT_OK;
}

const struct command command_resume = {
    .name = "resume",
    .operands = "SANDBOX",
    .summary = "Run a sandbox that is held",
    .about = "Takes a save back that was made with --after hold, or runs what was restored with\n"
             "--hold.",
    .examples = "  sandferry resume web\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
