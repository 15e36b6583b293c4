#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"
#include "reservation.h"

enum { TABLE, JSON };

/* ---- what both print ---- */

/* "nvme", "0000:3b:00.0", "0000:3b:00.0/2" */
static char *shown_name(const struct sandferry_device *d)
{
    if (*d->model != '\0')
        return sf_format("%s", d->model);
    return d->virtual_function == 0 ? sf_format("%s", d->host_address)
                                    : sf_format("%s/%u", d->host_address, d->virtual_function);
}

static char *shown_nodes(const struct sandferry_device *d)
{
    struct sf_text t = {0};
    for (size_t i = 0; i < d->n_nodes; i++)
        sf_text_add(&t, "%s%s", i > 0 ? " " : "", d->nodes[i]);
    return sf_text_take(&t);
}

/* ---- device add ---- */

struct add_flags {
    struct words properties;
    unsigned output;
};

/* clang-format off */
static const struct option add_options[] = {
    { "property", 'p', OPTION_WORDS(struct add_flags, properties), "NAME=VALUE",
      "of the model, as QEMU has it; repeatable" },
    { "output",   'o', OPTION_CHOICE(struct add_flags, output),    "table|json",
      "how to print what was done (default: table)" },
    { 0 },
};
/* clang-format on */

static void print_added(struct cli *cli, const struct sandferry_device_added *added)
{
    const struct sandferry_device *d = added->device;
    SF_CLEANUP(sf_freep) char *nodes = shown_nodes(d);

    print_field(cli->out, "reservation", "%s", added->reservation_id);
    print_field(cli->out, "device", "%s", d->id);
    print_field(cli->out, "address", "%s", d->pci_address);
    print_field(cli->out, "driver", "%s", *d->driver != '\0' ? d->driver : "none");
    if (d->n_nodes > 0)
        print_field(cli->out, "nodes", "%s", nodes != NULL ? nodes : "?");
    print_field(cli->out, "travels", "%s", d->travels ? "yes" : "no");
}

/* The properties may stand behind the model, as for 'ctr create'. */
static bool word_make(struct device_word *ret, const struct add_flags *f, const char *word,
                      struct sf_error **err)
{
    if (!device_word_parse(ret, word, err))
        return false;
    for (size_t i = 0; i < f->properties.n; i++)
        if (!words_add(&ret->properties, f->properties.all[i], err))
            return false;
    ret->spec.n_properties = ret->properties.n;
    ret->spec.properties = ret->properties.all;
    return true;
}

static int add(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    const struct add_flags *f = flags;
    SF_CLEANUP(device_word_done) struct device_word word = {0};
    struct sandferry_device_added *added;

    if (!word_make(&word, f, operands->all[1], &err))
        return cli_fail_usage(cli, &command_device_add, err);
    progress_begin(&progress, cli, "adding '%s'", operands->all[1]);
    bool ok = cli_connect(cli, &err) &&
              sandferry_device_add(cli->client, operands->all[0], &word.spec, NULL, &added, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    if (f->output == JSON)
        ok = print_json(cli->out, sandferry_device_added_json(added), &err);
    else
        print_added(cli, added);
    sandferry_device_added_free(added);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_device_add = {
    .name = "device add",
    .operands = "SANDBOX DEVICE",
    .summary = "Plug a PCI function into a running sandbox",
    .about =
        "DEVICE is the address of a function of the daemon's host that is bound to vfio-pci\n"
        "(0000:3b:00.0, or 0000:3b:00.0/2 for its virtual function 2), or a model of QEMU's own\n"
        "(virtio-rng-pci, nvme, edu). Answers once the guest has it, and prints the reservation\n"
        "that 'sandferry device rm' takes, and what the guest has of it.\n\n"
        "A device that does not travel is unplugged for a save, and plugged into the same place\n"
        "again after it, here or at the destination; while a program in the guest has it open, "
        "the\n"
        "save is refused.",
    .examples = "  sandferry device add web 0000:3b:00.0/2\n"
                "  sandferry device add web nvme -p serial=a1\n",
    .options = add_options,
    .flags_size = sizeof(struct add_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = add,
};

/* ---- device rm ---- */

static int rm(struct cli *cli, const void *flags, const struct words *operands)
{
    (void)flags;
    return reservation_rm(cli, operands, sandferry_device_remove);
}

const struct command command_device_rm = {
    .name = "device rm",
    .operands = "SANDBOX RESERVATION",
    .summary = "Let go of a PCI function",
    .about =
        "RESERVATION is from 'sandferry device add' or 'sandferry device ls'. The last one of a\n"
        "device unplugs it; if something in the guest uses it, that is named. What failed can be\n"
        "repeated.",
    .examples = "  sandferry device rm web 77a3c1f4-5c0d-4b0e-8b57-5d3a1f6f0c11\n",
    .operands_min = 2,
    .operands_max = 2,
    .run = rm,
};

/* ---- device ls ---- */

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

struct row {
    struct table *table;
    const struct sandferry_device *device;
};

static void add_row(void *context, const struct sandferry_hold *hold)
{
    const struct row *row = context;
    const struct sandferry_device *d = row->device;
    SF_CLEANUP(sf_freep) char *name = shown_name(d);
    SF_CLEANUP(sf_freep) char *nodes = shown_nodes(d);

    table_add(row->table, "%s", name != NULL ? name : "?");
    table_add(row->table, "%s", sandferry_device_stage_name(d->stage));
    table_add(row->table, "%s", d->travels ? "yes" : "no");
    table_add(row->table, "%u", d->refs);
    table_add(row->table, "%s", hold != NULL ? hold->id : "-");
    table_add(row->table, "%s", hold != NULL ? hold->holder : "-");
    table_add(row->table, "%s", d->port);
    table_add(row->table, "%s", d->pci_address);
    table_add(row->table, "%s", d->driver);
    table_add(row->table, "%s", nodes != NULL ? nodes : "?");
}

static void print_devices(struct cli *cli, const char *sandbox,
                          const struct sandferry_devices *list)
{
    static const char *const heads[] = {"DEVICE",      "STAGE",  "TRAVELS", "HELD",
                                        "RESERVATION", "HOLDER", "PORT",    "ADDRESS",
                                        "DRIVER",      "NODES",  NULL};
    SF_CLEANUP(table_done) struct table t = {0};

    if (list->n == 0) {
        fprintf(cli->out, "sandbox '%s' has no devices\n", sandbox);
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++)
        reservation_each(list->n_holds, list->holds, list->all[i]->id, add_row,
                         &(struct row){&t, list->all[i]});
    table_print(&t, cli->out);
}

static int ls(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_devices *list;
    bool ok = true;

    if (!cli_connect(cli, &err) ||
        !sandferry_device_list(cli->client, operands->all[0], NULL, &list, &err))
        return cli_fail(cli, err);
    if (((const struct ls_flags *)flags)->output == JSON)
        ok = print_json(cli->out, sandferry_devices_json(list), &err);
    else
        print_devices(cli, operands->all[0], list);
    sandferry_devices_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_device_ls = {
    .name = "device ls",
    .operands = "SANDBOX",
    .summary = "List the PCI functions of a sandbox, and who holds them",
    .about = "A line for each reservation. TRAVELS says whether a save takes the device's state\n"
             "along; HELD counts its reservations; ADDRESS, DRIVER and NODES are the guest's.",
    .examples = "  sandferry device ls web\n",
    .options = ls_options,
    .flags_size = sizeof(struct ls_flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = ls,
};
