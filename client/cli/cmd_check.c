#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"
#include "snapshot_file.h"

struct flags {
    const char *id;
    struct words patches;
    bool clone;
    unsigned output;
};
enum { TABLE, JSON };

/* clang-format off */
static const struct option options[] = {
    { "id",     0,   OPTION_TEXT(struct flags, id),       "SANDBOX",
      "the id that it would get (default: the saved one)" },
    { "patch",  'p', OPTION_WORDS(struct flags, patches), "CONTROLLER:OBJECT=VALUE",
      "as for 'sandferry restore'; repeatable" },
    { "clone",  0,   OPTION_FLAG(struct flags, clone),    NULL,
      "as for 'sandferry restore'" },
    { "output", 'o', OPTION_CHOICE(struct flags, output), "table|json",
      "how to print the reasons (default: table)" },
    { 0 },
};
/* clang-format on */

static void print_table(struct cli *cli, const struct sandferry_obstacles *list)
{
    static const char *const heads[] = {"WHO", "FIELD", "REASON", NULL};
    SF_CLEANUP(table_done) struct table t = {0};

    if (list->n == 0) {
        fprintf(cli->out, "nothing speaks against a restore at %s\n",
                sandferry_address(cli->client));
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++) {
        table_add(&t, "%s", list->all[i]->source);
        table_add(&t, "%s", list->all[i]->field);
        table_add(&t, "%s", list->all[i]->reason);
    }
    table_print(&t, cli->out);
}

static bool check(struct cli *cli, const struct flags *f, const struct sandferry_snapshot *snapshot,
                  size_t *ret_n, struct sf_error **err)
{
    SF_CLEANUP(patches_done) struct patches patches = {0};
    SF_CLEANUP(progress_end) struct progress progress = {0};
    struct sandferry_restore_options o = SANDFERRY_RESTORE_OPTIONS_INIT;
    struct sandferry_obstacles *list;

    if (!patches_parse(&patches, &f->patches, err) || !cli_connect(cli, err))
        return false;
    o.id = f->id;
    o.clone = f->clone;
    o.n_patches = patches.n;
    o.patches = patches.all;
    progress_begin(&progress, cli, "checking '%s'", sandferry_snapshot_sandbox(snapshot));
    bool ok = sandferry_check_restore(cli->client, snapshot, &o, &list, err);
    progress_end(&progress);
    if (!ok)
        return false;
    if (f->output == JSON)
        ok = print_json(cli->out, sandferry_obstacles_json(list), err);
    else
        print_table(cli, list);
    *ret_n = list->n;
    sandferry_obstacles_free(list);
    return ok;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_snapshot *snapshot;
    size_t n;

    if (!snapshot_file_read(operands->all[0], &snapshot, &err))
        return cli_fail(cli, err);
    bool ok = check(cli, flags, snapshot, &n, &err);
    sandferry_snapshot_free(snapshot);
    if (!ok)
        return cli_fail(cli, err);
    return n > 0 ? EXIT_PRECONDITION : EXIT_OK;
}

const struct command command_check = {
    .name = "check",
    .operands = "FILE",
    .summary = "Tell everything that speaks against a restore; change nothing",
    .about = "Exits with 4 if anything does. '-' is standard input.",
    .examples = "  sandferry -H unix:/run/b.sock check web.snapshot\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
