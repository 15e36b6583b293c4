/* Containers, but for making them and reading what they write. */

#include <inttypes.h>

#include "commands.h"
#include "output.h"
#include "progress.h"
#include "values.h"

enum { TABLE, JSON };

/* ---- ctr start ---- */

static int start(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};

    (void)flags;
    progress_begin(&progress, cli, "starting '%s'", operands->all[1]);
    bool ok =
        cli_connect(cli, &err) && sandferry_container_start(cli->client, operands->all[0],
                                                            operands->all[1], NULL, NULL, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "container '%s' is started\n", operands->all[1]);
    return EXIT_OK;
}

const struct command command_ctr_start = {
    .name = "ctr start",
    .operands = "SANDBOX CONTAINER",
    .summary = "Start a container's init process",
    .examples = "  sandferry ctr start web app\n",
    .operands_min = 2,
    .operands_max = 2,
    .run = start,
};

/* ---- ctr ls ---- */

struct ls_flags {
    bool quiet;
    unsigned output;
};

/* clang-format off */
static const struct option ls_options[] = {
    { "quiet",  'q', OPTION_FLAG(struct ls_flags, quiet),    NULL,
      "print the ids alone, one a line" },
    { "output", 'o', OPTION_CHOICE(struct ls_flags, output), "table|json",
      "how to print them (default: table)" },
    { 0 },
};
/* clang-format on */

static void print_ids(struct cli *cli, const struct sandferry_containers *list)
{
    for (size_t i = 0; i < list->n; i++) {
        print_safe(cli->out, list->all[i]->id);
        fputc('\n', cli->out);
    }
}

static void print_containers(struct cli *cli, const char *sandbox,
                             const struct sandferry_containers *list)
{
    static const char *const heads[] = {"CONTAINER", "STAGE", "POD", "CREATED", NULL};
    SF_CLEANUP(table_done) struct table t = {0};
    char created[TIME_TEXT_SIZE];

    if (list->n == 0) {
        fprintf(cli->out, "sandbox '%s' has no containers\n", sandbox);
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++) {
        const struct sandferry_container *c = list->all[i];
        table_add(&t, "%s", c->id);
        table_add(&t, "%s", sandferry_container_stage_name(c->stage));
        table_add(&t, "%s", c->pod_id);
        table_add(&t, "%s", time_text(c->created_at_ns, created));
    }
    table_print(&t, cli->out);
}

static int ls(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct ls_flags *f = flags;
    struct sandferry_containers *list;
    bool ok = true;

    if (!cli_connect(cli, &err) ||
        !sandferry_container_list(cli->client, operands->all[0], NULL, &list, &err))
        return cli_fail(cli, err);
    if (f->quiet)
        print_ids(cli, list);
    else if (f->output == JSON)
        ok = print_json(cli->out, sandferry_containers_json(list), &err);
    else
        print_containers(cli, operands->all[0], list);
    sandferry_containers_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_ctr_ls = {
    .name = "ctr ls",
    .operands = "SANDBOX",
    .summary = "List the containers of a sandbox",
    .examples = "  sandferry ctr ls web\n",
    .options = ls_options,
    .flags_size = sizeof(struct ls_flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = ls,
};

/* ---- ctr wait ---- */

struct wait_flags {
    const char *exec_id;
};

/* clang-format off */
static const struct option wait_options[] = {
    { "exec", 'x', OPTION_TEXT(struct wait_flags, exec_id), "ID",
      "until this process of it has ended (default: the init process)" },
    { 0 },
};
/* clang-format on */

static int wait_for(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_process_options o = SANDFERRY_PROCESS_OPTIONS_INIT;
    struct sandferry_process *p;

    o.exec_id = ((const struct wait_flags *)flags)->exec_id;
    if (!cli_connect(cli, &err) ||
        !sandferry_process_wait(cli->client, operands->all[0], operands->all[1], &o, &p, &err)) {
        cli_fail(cli, err);
        return EXIT_WAIT_FAILED;
    }
    int status = (int)(p->exit_code & 0xff);
    sandferry_process_free(p);
    return status;
}

const struct command command_ctr_wait = {
    .name = "ctr wait",
    .operands = "SANDBOX CONTAINER",
    .summary = "Wait until a container has ended, and exit as it did",
    .about =
        "Exits with the exit code of its init process; 128 + the signal that ended it; or 125\n"
        "if the wait itself failed, as it does when the sandbox leaves the host.",
    .examples = "  sandferry ctr wait web app; echo $?\n",
    .options = wait_options,
    .flags_size = sizeof(struct wait_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = wait_for,
};

/* ---- ctr kill ---- */

struct kill_flags {
    const char *signal, *exec_id;
};

/* clang-format off */
static const struct option kill_options[] = {
    { "signal", 's', OPTION_TEXT(struct kill_flags, signal), "SIGNAL",
      "a name like TERM, or a number (default: TERM)" },
    { "exec",   'x', OPTION_TEXT(struct kill_flags, exec_id), "ID",
      "to this process of it (default: the init process)" },
    { 0 },
};
/* clang-format on */

static int kill_it(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct kill_flags *f = flags;
    struct sandferry_process_options o = SANDFERRY_PROCESS_OPTIONS_INIT;
    uint32_t number;

    o.exec_id = f->exec_id;
    if (!parse_signal(f->signal != NULL ? f->signal : "TERM", &number, &err))
        return cli_fail_usage(cli, &command_ctr_kill, err);
    if (!cli_connect(cli, &err) || !sandferry_process_signal(cli->client, operands->all[0],
                                                             operands->all[1], number, &o, &err))
        return cli_fail(cli, err);
    fprintf(cli->out, "signal %u was sent to %s '%s'\n", number,
            f->exec_id != NULL ? "process" : "container",
            f->exec_id != NULL ? f->exec_id : operands->all[1]);
    return EXIT_OK;
}

const struct command command_ctr_kill = {
    .name = "ctr kill",
    .operands = "SANDBOX CONTAINER",
    .summary = "Send a signal to a process of a container",
    .examples = "  sandferry ctr kill web app --signal KILL\n",
    .options = kill_options,
    .flags_size = sizeof(struct kill_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = kill_it,
};

/* ---- ctr rm ---- */

struct rm_flags {
    bool force;
    const char *exec_id;
};

/* clang-format off */
static const struct option rm_options[] = {
    { "force", 'f', OPTION_FLAG(struct rm_flags, force), NULL, "kill it first, if it runs" },
    { "exec", 'x', OPTION_TEXT(struct rm_flags, exec_id), "ID",
      "not the container, but this process of it, which has ended" },
    { 0 },
};
/* clang-format on */

static int rm_process(struct cli *cli, const struct rm_flags *f, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_process_delete_options o = SANDFERRY_PROCESS_DELETE_OPTIONS_INIT;

    o.exec_id = f->exec_id;
    o.force = f->force;
    if (!cli_connect(cli, &err) ||
        !sandferry_process_delete(cli->client, operands->all[0], operands->all[1], &o, NULL, &err))
        return cli_fail(cli, err);
    fprintf(cli->out, "process '%s' is removed\n", f->exec_id);
    return EXIT_OK;
}

static int rm(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    struct sandferry_delete_options o = SANDFERRY_DELETE_OPTIONS_INIT;
    const struct rm_flags *f = flags;

    if (f->exec_id != NULL)
        return rm_process(cli, f, operands);
    o.force = f->force;
    progress_begin(&progress, cli, "removing '%s'", operands->all[1]);
    bool ok = cli_connect(cli, &err) &&
              sandferry_container_delete(cli->client, operands->all[0], operands->all[1], &o, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "container '%s' is removed\n", operands->all[1]);
    return EXIT_OK;
}

const struct command command_ctr_rm = {
    .name = "ctr rm",
    .operands = "SANDBOX CONTAINER",
    .summary = "Remove a container, and let go of what it holds",
    .examples = "  sandferry ctr rm web app --force\n",
    .options = rm_options,
    .flags_size = sizeof(struct rm_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = rm,
};
