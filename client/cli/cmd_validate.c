#include "commands.h"
#include "output.h"
#include "snapshot_file.h"

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_snapshot *snapshot;
    char created[TIME_TEXT_SIZE];

    (void)flags;
    if (!snapshot_file_read(operands->all[0], &snapshot, &err))
        return cli_fail(cli, err);
    bool ok =
        sandferry_snapshot_check(snapshot, &err) || sf_fail_in(&err, "'%s'", operands->all[0]);
    if (ok)
        fprintf(cli->out, "'%s' is sound: sandbox '%s', saved %s\n", operands->all[0],
                sandferry_snapshot_sandbox(snapshot),
                time_text(sandferry_snapshot_created_at_ns(snapshot), created));
    sandferry_snapshot_free(snapshot);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_validate = {
    .name = "validate",
    .operands = "FILE",
    .summary = "Tell whether a snapshot file is sound",
    .about =
        "Needs no daemon. Prints everything that is wrong, each with the path of its field:\n"
        "versions, what fields say, references between sections, digest. Whether a host could\n"
        "run it, 'sandferry check' tells. '-' is standard input.",
    .examples = "  sandferry validate web.snapshot\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
