#include "commands.h"
#include "output.h"

struct flags {
    bool quiet;
    unsigned output;
};
enum { TABLE, JSON };

/* clang-format off */
static const struct option options[] = {
    { "quiet",  'q', OPTION_FLAG(struct flags, quiet),    NULL,
      "print the ids alone, one a line" },
    { "output", 'o', OPTION_CHOICE(struct flags, output), "table|json",
      "how to print them (default: table)" },
    { 0 },
};
/* clang-format on */

static void print_ids(struct cli *cli, const struct sandferry_sandboxes *list)
{
    for (size_t i = 0; i < list->n; i++) {
        print_safe(cli->out, list->all[i]->id);
        fputc('\n', cli->out);
    }
}

static void print_table(struct cli *cli, const struct sandferry_sandboxes *list)
{
    static const char *const heads[] = {"SANDBOX", "STATE", "MEMORY", "CPUS", "CREATED", NULL};
    SF_CLEANUP(table_done) struct table t = {0};
    char memory[SIZE_TEXT_SIZE], cpus[SIZE_TEXT_SIZE], created[TIME_TEXT_SIZE];

    if (list->n == 0) {
        fprintf(cli->out, "there are no sandboxes at %s\n", sandferry_address(cli->client));
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++) {
        const struct sandferry_sandbox *s = list->all[i];
        table_add(&t, "%s", s->id);
        table_add(&t, "%s", sandferry_state_name(s->state));
        table_add(&t, "%s", memory_text(s->memory_bytes, memory));
        table_add(&t, "%s", cpus_text(s->processors, cpus));
        table_add(&t, "%s", time_text(s->created_at_ns, created));
    }
    table_print(&t, cli->out);
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    struct sandferry_sandboxes *list;
    bool ok = true;

    (void)operands;
    if (!cli_connect(cli, &err) || !sandferry_list(cli->client, NULL, &list, &err))
        return cli_fail(cli, err);
    if (f->quiet)
        print_ids(cli, list);
    else if (f->output == JSON)
        ok = print_json(cli->out, sandferry_sandboxes_json(list), &err);
    else
        print_table(cli, list);
    sandferry_sandboxes_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_ls = {
    .name = "ls",
    .operands = "",
    .summary = "List the sandboxes",
    .examples = "  sandferry ls\n"
                "  sandferry ls -o json | jq -r '.sandboxes[].sandboxId'\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .run = run,
};
