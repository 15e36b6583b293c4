#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "commands.h"

struct flags {
    bool follow, from_stderr;
    uint64_t offset;
};

/* clang-format off */
static const struct option options[] = {
    { "follow", 'f', OPTION_FLAG(struct flags, follow),      NULL,
      "wait for more, until the stream ends" },
    { "offset", 0,   OPTION_NUMBER(struct flags, offset),    "N",
      "begin with byte N of the stream, counted from 0 since the process began" },
    { "stderr", 0,   OPTION_FLAG(struct flags, from_stderr), NULL,
      "its standard error (default: its standard output)" },
    { 0 },
};
/* clang-format on */

struct copier {
    struct cli *cli;
    int error; /* errno of a write that failed */
};

static bool copy(void *context, uint64_t offset, const void *data, size_t size, uint64_t lost)
{
    struct copier *c = context;
    if (lost > 0)
        fprintf(c->cli->err,
                "sandferry: %" PRIu64 " bytes before offset %" PRIu64 " are not held any more\n",
                lost, offset);
    if (fwrite(data, 1, size, c->cli->out) == size && fflush(c->cli->out) == 0)
        return true;
    c->error = errno;
    return false;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    struct sandferry_read_options o = SANDFERRY_READ_OPTIONS_INIT;
    struct copier copier = {.cli = cli};

    o.stream = f->from_stderr ? SANDFERRY_STDERR : SANDFERRY_STDOUT;
    o.offset = f->offset;
    o.follow = f->follow;
    bool ok =
        cli_connect(cli, &err) && sandferry_process_read(cli->client, operands->all[0],
                                                         operands->all[1], &o, copy, &copier, &err);
    if (copier.error != 0 && copier.error != EPIPE)
        ok = sf_fail(&err, SF_UNKNOWN, "the output cannot be written: %s", strerror(copier.error));
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_ctr_logs = {
    .name = "ctr logs",
    .operands = "SANDBOX CONTAINER",
    .summary = "Print what a container's init process wrote",
    .about =
        "The bytes as they are. The daemon holds the last 256 KiB of each stream; what is not\n"
        "held any more is told on standard error. Offsets go on across a save and restore.",
    .examples = "  sandferry ctr logs web app -f\n"
                "  sandferry -H unix:/run/b.sock ctr logs web app --offset 52417\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
