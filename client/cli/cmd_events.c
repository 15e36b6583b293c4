#include <inttypes.h>

#include "commands.h"
#include "output.h"

struct flags {
    bool follow, from_start;
    uint64_t after;
    unsigned output;
};
enum { TABLE, JSON };

/* clang-format off */
static const struct option options[] = {
    { "follow",     'f', OPTION_FLAG(struct flags, follow),     NULL,
      "wait for more, from now on" },
    { "from-start", 0,   OPTION_FLAG(struct flags, from_start), NULL,
      "with --follow: begin with all that the daemon still keeps" },
    { "after",      0,   OPTION_NUMBER(struct flags, after),    "N",
      "only those with a number above N: goes on where an earlier look has ended" },
    { "output",     'o', OPTION_CHOICE(struct flags, output),   "table|json",
      "how to print them (default: table); json is one object a line" },
    { 0 },
};
/* clang-format on */

struct printer {
    struct cli *cli;
    bool json;
    uint64_t n;
    struct sf_error *err;
};

static bool print_event(void *context, const struct sandferry_event *e)
{
    struct printer *p = context;
    char time[TIME_TEXT_SIZE];
    FILE *out = p->cli->out;

    p->n++;
    if (e->lost > 0)
        fprintf(p->cli->err, "sandferry: %" PRIu64 " events before number %" PRIu64 " are lost\n",
                e->lost, e->number);
    if (p->json) {
        if (!print_json(out, sandferry_event_json(e), &p->err))
            return false;
    } else {
        fprintf(out, "%6" PRIu64 "  %s  ", e->number, time_text_ms(e->time_ns, time));
        print_safe(out, *e->sandbox != '\0' ? e->sandbox : "-");
        fputs("  ", out);
        print_safe(out, e->type);
        fputs("  ", out);
        print_safe(out, e->message);
        fputc('\n', out);
    }
    return fflush(out) == 0;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    struct sandferry_watch_options o = SANDFERRY_WATCH_OPTIONS_INIT;
    struct printer printer = {.cli = cli, .json = f->output == JSON};

    o.sandbox = operands->n > 0 ? operands->all[0] : NULL;
    o.after = f->after;
    o.from_start = f->after == 0 && (f->from_start || !f->follow);
    o.until_now = !f->follow;
    if (!cli_connect(cli, &err) || !sandferry_watch(cli->client, &o, print_event, &printer, &err))
        return cli_fail(cli, err);
    if (printer.err != NULL) {
        err = printer.err;
        return cli_fail(cli, err);
    }
    if (printer.n == 0 && !printer.json)
        fputs("there are no events\n", cli->out);
    return EXIT_OK;
}

const struct command command_events = {
    .name = "events",
    .operands = "[SANDBOX]",
    .summary = "Tell what has happened to sandboxes",
    .about =
        "Prints what the daemon still keeps (the last 1024 events), of one sandbox or of all,\n"
        "and ends. With --follow it goes on until the daemon stops.",
    .examples = "  sandferry events web\n"
                "  sandferry events --follow --from-start -o json\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_max = 1,
    .run = run,
};
