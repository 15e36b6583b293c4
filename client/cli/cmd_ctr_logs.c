#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "travel.h"

struct flags {
    bool follow, from_stderr;
    const char *exec_id;
    uint64_t offset;
    struct words hosts;
};

/* clang-format off */
static const struct option options[] = {
    { "follow", 'f', OPTION_FLAG(struct flags, follow),      NULL,
      "wait for more, until the stream ends" },
    { "offset", 0,   OPTION_NUMBER(struct flags, offset),    "N",
      "begin with byte N of the stream, counted from 0 since the process began" },
    { "stderr", 0,   OPTION_FLAG(struct flags, from_stderr), NULL,
      "its standard error (default: its standard output)" },
    { "exec",   'x', OPTION_TEXT(struct flags, exec_id),     "ID",
      "of this process of it (default: the init process)" },
    { "then",   0,   OPTION_WORDS(struct flags, hosts),      "ADDRESS", TRAVEL_HELP },
    { 0 },
};
/* clang-format on */

struct copier {
    struct cli *cli;
    struct travel travel;
    uint64_t offset; /* of the next byte */
    int error;       /* errno of a write that failed */
};

static bool copy(void *context, uint64_t offset, const void *data, size_t size, uint64_t lost)
{
    struct copier *c = context;

    c->travel.away = false;
    c->offset = offset + size;
    if (lost > 0)
        fprintf(c->cli->err,
                "sandferry: %" PRIu64 " bytes before offset %" PRIu64 " are not held any more\n",
                lost, offset);
    if (fwrite(data, 1, size, c->cli->out) == size && fflush(c->cli->out) == 0)
        return true;
    c->error = errno;
    return false;
}

static bool read_on(struct copier *c, const struct flags *f, const struct words *operands,
                    struct sf_error **err)
{
    struct sandferry_read_options o = SANDFERRY_READ_OPTIONS_INIT;

    o.stream = f->from_stderr ? SANDFERRY_STDERR : SANDFERRY_STDOUT;
    o.exec_id = f->exec_id;
    o.offset = c->offset;
    o.follow = f->follow;
    return cli_connect(c->cli, err) && sandferry_process_read(c->cli->client, operands->all[0],
                                                              operands->all[1], &o, copy, c, err);
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    struct copier c = {.cli = cli, .travel = {cli, &f->hosts, 0, false}, .offset = f->offset};
    bool ok;

    while (!(ok = read_on(&c, f, operands, &err)) && travel_on(&c.travel, &err))
        continue;
    if (c.error != 0 && c.error != EPIPE)
        ok = sf_fail(&err, SF_UNKNOWN, "the output cannot be written: %s", strerror(c.error));
    if (!ok && f->follow && sf_error_code(err) == SF_UNAVAILABLE)
        sf_fail_in(&err, "up to offset %" PRIu64, c.offset);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_ctr_logs = {
    .name = "ctr logs",
    .operands = "SANDBOX CONTAINER",
    .summary = "Print what a process of a container wrote",
    .about =
        "The bytes as they are. The daemon holds the last 256 KiB of each stream; what is not\n"
        "held any more is told on standard error. Offsets go on across a save and restore; with\n"
        "--then it goes on there at the next byte.",
    .examples = "  sandferry ctr logs web app -f\n"
                "  sandferry ctr logs web app -f --then unix:/run/b.sock\n"
                "  sandferry -H unix:/run/b.sock ctr logs web app --offset 52417\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
