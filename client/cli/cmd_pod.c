#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"

enum { TABLE, JSON };

/* ---- pod create ---- */

struct create_flags {
    struct words labels;
};

/* clang-format off */
static const struct option create_options[] = {
    { "label", 'l', OPTION_WORDS(struct create_flags, labels), "KEY=VALUE",
      "a label of the pod; repeatable" },
    { 0 },
};
/* clang-format on */

static int create(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(labels_done) struct labels labels = {0};
    const struct create_flags *f = flags;
    struct sandferry_pod_options o = SANDFERRY_POD_OPTIONS_INIT;

    if (!labels_parse(&labels, &f->labels, &err))
        return cli_fail(cli, err);
    o.n_labels = labels.n;
    o.labels = labels.all;
    if (!cli_connect(cli, &err) ||
        !sandferry_pod_create(cli->client, operands->all[0], operands->all[1], &o, NULL, &err))
        return cli_fail(cli, err);
    fprintf(cli->out, "pod '%s' is created\n", operands->all[1]);
    return EXIT_OK;
}

const struct command command_pod_create = {
    .name = "pod create",
    .operands = "SANDBOX POD",
    .summary = "Make a pod without containers",
    .about =
        "Containers join it with 'sandferry ctr create --pod POD'. It stays until 'sandferry pod\n"
        "rm'; a pod that 'ctr create' has made goes with its last container.",
    .examples = "  sandferry pod create web shop --label tier=front\n",
    .options = create_options,
    .flags_size = sizeof(struct create_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = create,
};

/* ---- pod rm ---- */

struct rm_flags {
    bool force;
};

/* clang-format off */
static const struct option rm_options[] = {
    { "force", 'f', OPTION_FLAG(struct rm_flags, force), NULL,
      "kill and remove its containers first" },
    { 0 },
};
/* clang-format on */

static int rm(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    struct sandferry_delete_options o = SANDFERRY_DELETE_OPTIONS_INIT;

    o.force = ((const struct rm_flags *)flags)->force;
    progress_begin(&progress, cli, "removing '%s'", operands->all[1]);
    bool ok = cli_connect(cli, &err) &&
              sandferry_pod_delete(cli->client, operands->all[0], operands->all[1], &o, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "pod '%s' is removed\n", operands->all[1]);
    return EXIT_OK;
}

const struct command command_pod_rm = {
    .name = "pod rm",
    .operands = "SANDBOX POD",
    .summary = "Remove a pod",
    .about = "Refused while it has containers, unless forced: they go then, its sandbox container\n"
             "(the one with the pod's id) last.",
    .examples = "  sandferry pod rm web shop\n"
                "  sandferry pod rm --force web shop\n",
    .options = rm_options,
    .flags_size = sizeof(struct rm_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = rm,
};

/* ---- pod ls ---- */

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

static void add_row(struct table *t, const struct sandferry_pod *p)
{
    SF_CLEANUP(sf_text_done) struct sf_text containers = {0};
    SF_CLEANUP(sf_text_done) struct sf_text labels = {0};

    for (size_t i = 0; i < p->n_containers; i++)
        sf_text_add(&containers, "%s%s", i > 0 ? "," : "", p->containers[i]);
    for (size_t i = 0; i < p->n_labels; i++)
        sf_text_add(&labels, "%s%s=%s", i > 0 ? "," : "", p->labels[i].key, p->labels[i].value);
    table_add(t, "%s", p->id);
    table_add(t, "%s", p->declared ? "yes" : "no");
    table_add(t, "%s", containers.data != NULL ? containers.data : "-");
    table_add(t, "%s", labels.data != NULL ? labels.data : "-");
}

static void print_pods(struct cli *cli, const char *sandbox, const struct sandferry_pods *list)
{
    static const char *const heads[] = {"POD", "STAYS", "CONTAINERS", "LABELS", NULL};
    SF_CLEANUP(table_done) struct table t = {0};

    if (list->n == 0) {
        fprintf(cli->out, "sandbox '%s' has no pods\n", sandbox);
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++)
        add_row(&t, list->all[i]);
    table_print(&t, cli->out);
}

static int ls(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_pods *list;
    bool ok = true;

    if (!cli_connect(cli, &err) ||
        !sandferry_pod_list(cli->client, operands->all[0], NULL, &list, &err))
        return cli_fail(cli, err);
    if (((const struct ls_flags *)flags)->output == JSON)
        ok = print_json(cli->out, sandferry_pods_json(list), &err);
    else
        print_pods(cli, operands->all[0], list);
    sandferry_pods_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_pod_ls = {
    .name = "pod ls",
    .operands = "SANDBOX",
    .summary = "List the pods of a sandbox, and their containers",
    .about = "STAYS: made by 'sandferry pod create', and so stays without containers.",
    .examples = "  sandferry pod ls web\n"
                "  sandferry pod ls web -o json\n",
    .options = ls_options,
    .flags_size = sizeof(struct ls_flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = ls,
};
