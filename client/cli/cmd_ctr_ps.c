#include "commands.h"
#include "output.h"

enum { TABLE, JSON };

struct flags {
    bool quiet;
    unsigned output;
};

/* clang-format off */
static const struct option options[] = {
    { "quiet",  'q', OPTION_FLAG(struct flags, quiet),    NULL,
      "print the ids of those beside the init processes alone, one a line" },
    { "output", 'o', OPTION_CHOICE(struct flags, output), "table|json",
      "how to print them (default: table)" },
    { 0 },
};
/* clang-format on */

static void print_ids(struct cli *cli, const struct sandferry_processes *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (*list->all[i]->exec_id == '\0')
            continue;
        print_safe(cli->out, list->all[i]->exec_id);
        fputc('\n', cli->out);
    }
}

static void add_row(struct table *t, const struct sandferry_process *p)
{
    char ended[TIME_TEXT_SIZE];
    bool over = p->stage == SANDFERRY_PROCESS_TERMINATED;

    table_add(t, "%s", p->container_id);
    table_add(t, "%s", *p->exec_id != '\0' ? p->exec_id : "(init)");
    table_add(t, "%s", sandferry_process_stage_name(p->stage));
    if (p->pid > 0)
        table_add(t, "%d", p->pid);
    else
        table_add(t, "%s", "");
    table_add(t, "%s", p->terminal ? "yes" : "");
    if (over)
        table_add(t, "%u", p->exit_code);
    else
        table_add(t, "%s", "");
    table_add(t, "%s", over ? time_text(p->exited_at_ns, ended) : "");
}

static void print_processes(struct cli *cli, const struct sandferry_processes *list)
{
    static const char *const heads[] = {"CONTAINER", "PROCESS", "STAGE", "PID",
                                        "TERMINAL",  "CODE",    "ENDED", NULL};
    SF_CLEANUP(table_done) struct table t = {0};

    if (list->n == 0) {
        fputs("there are no processes\n", cli->out);
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++)
        add_row(&t, list->all[i]);
    table_print(&t, cli->out);
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    const char *container = operands->n > 1 ? operands->all[1] : NULL;
    struct sandferry_processes *list;
    bool ok = true;

    if (!cli_connect(cli, &err) ||
        !sandferry_process_list(cli->client, operands->all[0], container, NULL, &list, &err))
        return cli_fail(cli, err);
    if (f->quiet)
        print_ids(cli, list);
    else if (f->output == JSON)
        ok = print_json(cli->out, sandferry_processes_json(list), &err);
    else
        print_processes(cli, list);
    sandferry_processes_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_ctr_ps = {
    .name = "ctr ps",
    .operands = "SANDBOX [CONTAINER]",
    .summary = "List the processes of a container, or of all",
    .about = "The init process of each and what exec has started beside it, those that have ended\n"
             "too, until they are removed. What they have started themselves is not listed.",
    .examples = "  sandferry ctr ps web app\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
