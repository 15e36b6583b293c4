#include "commands.h"
#include "progress.h"

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    const char *id = operands->all[0];

    (void)flags;
    progress_begin(&progress, cli, "stopping '%s'", id);
    bool ok = cli_connect(cli, &err) && sandferry_stop(cli->client, id, NULL, NULL, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "sandbox '%s' is stopped\n", id);
    return EXIT_OK;
}

const struct command command_stop = {
    .name = "stop",
    .operands = "SANDBOX",
    .summary = "End a sandbox's VM",
    .about = "The guest is not asked. A repeat does nothing. 'sandferry rm' forgets the sandbox.",
    .examples = "  sandferry stop web\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
