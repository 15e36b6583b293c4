#include "commands.h"
#include "output.h"
#include "progress.h"
#include "reservation.h"

enum { TABLE, JSON };

/* ---- share add ---- */

struct add_flags {
    bool read_only;
    struct words names;
    unsigned output;
};

/* clang-format off */
static const struct option add_options[] = {
    { "read-only", 'r', OPTION_FLAG(struct add_flags, read_only), NULL,
      "the guest cannot write to it" },
    { "only",      0,   OPTION_WORDS(struct add_flags, names),    "NAME",
      "of the directory, only this file can be seen; repeatable" },
    { "output",    'o', OPTION_CHOICE(struct add_flags, output),  "table|json",
      "how to print what was done (default: table)" },
    { 0 },
};
/* clang-format on */

static int add(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    const struct add_flags *f = flags;
    struct sandferry_share_spec spec = SANDFERRY_SHARE_SPEC_INIT;
    struct sandferry_share_added *added;

    spec.host_path = operands->all[1];
    spec.read_only = f->read_only;
    spec.restricted = f->names.n > 0;
    spec.n_allowed_names = f->names.n;
    spec.allowed_names = f->names.all;
    progress_begin(&progress, cli, "adding '%s'", operands->all[1]);
    bool ok = cli_connect(cli, &err) &&
              sandferry_share_add(cli->client, operands->all[0], &spec, NULL, &added, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    if (f->output == JSON) {
        ok = print_json(cli->out, sandferry_share_added_json(added), &err);
    } else {
        print_field(cli->out, "reservation", "%s", added->reservation_id);
        print_field(cli->out, "share", "%s", added->share->name);
        print_field(cli->out, "guest path", "%s", added->guest_path);
    }
    sandferry_share_added_free(added);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_share_add = {
    .name = "share add",
    .operands = "SANDBOX PATH",
    .summary = "Share a directory, or a file, with a running sandbox",
    .about =
        "PATH is on the daemon's host, absolute, beneath a directory that the daemon allows. Of\n"
        "a file, nothing else of its directory can be seen. Prints the reservation that\n"
        "'sandferry share rm' takes, and where the guest has it.\n\n"
        "What the guest has open goes on across a save and restore: see 'sandferry restore'.",
    .examples = "  sandferry share add web /srv/log\n"
                "  sandferry share add web /etc/app.conf --read-only\n"
                "  sandferry share add web /srv/keys -r --only tls.pem --only tls.key\n",
    .options = add_options,
    .flags_size = sizeof(struct add_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = add,
};

/* ---- share rm ---- */

static int rm(struct cli *cli, const void *flags, const struct words *operands)
{
    (void)flags;
    return reservation_rm(cli, operands, sandferry_share_remove);
}

const struct command command_share_rm = {
    .name = "share rm",
    .operands = "SANDBOX RESERVATION",
    .summary = "Let go of a share",
    .about =
        "RESERVATION is from 'sandferry share add' or 'sandferry share ls'. The last one of a\n"
        "share unmounts it and ends its serving. What failed can be repeated.",
    .examples = "  sandferry share rm web 5b1c7e9e-7a53-4c36-8ab0-20ae21b5f1d2\n",
    .operands_min = 2,
    .operands_max = 2,
    .run = rm,
};

/* ---- share ls ---- */

struct ls_flags {
    unsigned output;
};

/* clang-format off */
static const struct option ls_options[] = {
    { "output", 'o', OPTION_CHOICE(struct ls_flags, output), "table|json",
      "how to print them (default: table)" },
    { 0 },
};
/* clang-format on */

/* "/srv/keys/{tls.key,tls.pem}" */
static char *shown_path(const struct sandferry_share *s)
{
    struct sf_text t = {0};
    sf_text_add(&t, "%s", s->host_path);
    if (s->restricted) {
        sf_text_add(&t, "/{");
        for (size_t i = 0; i < s->n_allowed_names; i++)
            sf_text_add(&t, "%s%s", i > 0 ? "," : "", s->allowed_names[i]);
        sf_text_add(&t, "}");
    }
    return sf_text_take(&t);
}

struct row {
    struct table *table;
    const struct sandferry_share *share;
};

static void add_row(void *context, const struct sandferry_hold *hold)
{
    const struct row *row = context;
    const struct sandferry_share *s = row->share;
    SF_CLEANUP(sf_freep) char *path = shown_path(s);

    table_add(row->table, "%s", s->name);
    table_add(row->table, "%s", sandferry_share_stage_name(s->stage));
    table_add(row->table, "%s", sandferry_share_mount_stage_name(s->mount_stage));
    table_add(row->table, "%s", s->read_only ? "ro" : "rw");
    table_add(row->table, "%u", s->refs);
    table_add(row->table, "%zu", s->n_open);
    table_add(row->table, "%s", hold != NULL ? hold->id : "-");
    table_add(row->table, "%s", hold != NULL ? hold->holder : "-");
    table_add(row->table, "%s", s->guest_path);
    table_add(row->table, "%s", path != NULL ? path : "?");
}

static void print_shares(struct cli *cli, const char *sandbox, const struct sandferry_shares *list)
{
    static const char *const heads[] = {"SHARE",      "STAGE",     "MOUNT",       "MODE",
                                        "HELD",       "OPEN",      "RESERVATION", "HOLDER",
                                        "GUEST PATH", "HOST PATH", NULL};
    SF_CLEANUP(table_done) struct table t = {0};

    if (list->n == 0) {
        fprintf(cli->out, "sandbox '%s' has no shares\n", sandbox);
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++)
        reservation_each(list->n_holds, list->holds, list->all[i]->name, add_row,
                         &(struct row){&t, list->all[i]});
    table_print(&t, cli->out);
}

static int ls(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_shares *list;
    bool ok = true;

    if (!cli_connect(cli, &err) ||
        !sandferry_share_list(cli->client, operands->all[0], NULL, &list, &err))
        return cli_fail(cli, err);
    if (((const struct ls_flags *)flags)->output == JSON)
        ok = print_json(cli->out, sandferry_shares_json(list), &err);
    else
        print_shares(cli, operands->all[0], list);
    sandferry_shares_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_share_ls = {
    .name = "share ls",
    .operands = "SANDBOX",
    .summary = "List the shares of a sandbox, and who holds them",
    .about =
        "A line for each reservation. HELD counts a share's reservations, OPEN the files that\n"
        "the guest has open; HOLDER is '-' for what 'sandferry share add' has added.",
    .examples = "  sandferry share ls web\n",
    .options = ls_options,
    .flags_size = sizeof(struct ls_flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = ls,
};
