#include <inttypes.h>

#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"
#include "reservation.h"
#include "values.h"

enum { TABLE, JSON };

/* ---- disk add ---- */

struct add_flags {
    bool read_only, ensure_filesystem, block_device, encrypted;
    uint64_t partition;
    const char *filesystem, *format, *type;
    struct words mount_options;
    unsigned output;
};

/* clang-format off */
static const struct option add_options[] = {
    { "read-only",         'r', OPTION_FLAG(struct add_flags, read_only),         NULL,
      "the VM cannot write to it" },
    { "format",            0,   OPTION_TEXT(struct add_flags, format),            "FORMAT",
      "how the file is laid out: raw, qcow2, vpc, vhdx (default: raw)" },
    { "type",              0,   OPTION_TEXT(struct add_flags, type),              "TYPE",
      "file or block: refuse PATH if it is anything else (default: as found)" },
    { "partition",         0,   OPTION_NUMBER(struct add_flags, partition),       "N",
      "mount this one, counted from 1 (default: the whole disk)" },
    { "filesystem",        't', OPTION_TEXT(struct add_flags, filesystem),        "TYPE",
      "ext4, squashfs, xfs (default: as found)" },
    { "mount-option",      0,   OPTION_WORDS(struct add_flags, mount_options),    "OPTION",
      "for the mount in the guest; repeatable" },
    { "ensure-filesystem", 0,   OPTION_FLAG(struct add_flags, ensure_filesystem), NULL,
      "make a file system if there is none" },
    { "encrypted",         0,   OPTION_FLAG(struct add_flags, encrypted),         NULL,
      "with a key that never leaves the guest's memory; what the disk had is gone" },
    { "block-device",      0,   OPTION_FLAG(struct add_flags, block_device),      NULL,
      "do not mount it: the guest uses the device" },
    { "output",            'o', OPTION_CHOICE(struct add_flags, output),          "table|json",
      "how to print what was done (default: table)" },
    { 0 },
};
/* clang-format on */

static bool make_spec(const struct add_flags *f, const char *path, struct sandferry_disk_spec *ret,
                      struct sf_error **err)
{
    unsigned format = 0, type = 0;
    if (f->type != NULL && !parse_choice(f->type, "file|block", &type, err))
        return sf_fail_in(err, "--type");
    if (f->format != NULL && !parse_choice(f->format, DISK_FORMATS, &format, err))
        return sf_fail_in(err, "--format");
    *ret = (struct sandferry_disk_spec)SANDFERRY_DISK_SPEC_INIT;
    ret->host_path = path;
    ret->read_only = f->read_only;
    if (f->format != NULL)
        ret->format = (enum sandferry_disk_format)(format + SANDFERRY_FORMAT_RAW);
    if (f->type != NULL)
        ret->type = (enum sandferry_disk_type)(type + SANDFERRY_DISK_FILE);
    ret->partition = f->partition;
    ret->n_mount_options = f->mount_options.n;
    ret->mount_options = f->mount_options.all;
    ret->ensure_filesystem = f->ensure_filesystem;
    ret->filesystem = f->filesystem;
    ret->block_device = f->block_device;
    ret->encrypted = f->encrypted;
    return true;
}

static int add(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    const struct add_flags *f = flags;
    struct sandferry_disk_spec spec;
    struct sandferry_disk_added *added;

    if (!make_spec(f, operands->all[1], &spec, &err))
        return cli_fail_usage(cli, &command_disk_add, err);
    progress_begin(&progress, cli, "adding '%s'", operands->all[1]);
    bool ok = cli_connect(cli, &err) &&
              sandferry_disk_add(cli->client, operands->all[0], &spec, NULL, &added, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    if (f->output == JSON) {
        ok = print_json(cli->out, sandferry_disk_added_json(added), &err);
    } else {
        print_field(cli->out, "reservation", "%s", added->reservation_id);
        print_field(cli->out, "slot", "%u:%u", added->disk->slot / 64, added->disk->slot % 64);
        print_field(cli->out, "guest path", "%s", added->guest_path);
    }
    sandferry_disk_added_free(added);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_disk_add = {
    .name = "disk add",
    .operands = "SANDBOX PATH",
    .summary = "Attach a disk to a running sandbox, and mount it in the guest",
    .about = "PATH is on the daemon's host, absolute, beneath a directory that the daemon allows.\n"
             "Prints the reservation that 'sandferry disk rm' takes, and where the guest has it.",
    .examples = "  sandferry disk add web /disks/data.img --ensure-filesystem -t ext4\n"
                "  sandferry disk add web /disks/secret.qcow2 --format qcow2 --encrypted -t xfs\n",
    .options = add_options,
    .flags_size = sizeof(struct add_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = add,
};

/* ---- disk rm ---- */

static int rm(struct cli *cli, const void *flags, const struct words *operands)
{
    (void)flags;
    return reservation_rm(cli, operands, sandferry_disk_remove);
}

const struct command command_disk_rm = {
    .name = "disk rm",
    .operands = "SANDBOX RESERVATION",
    .summary = "Let go of a disk",
    .about =
        "RESERVATION is from 'sandferry disk add' or 'sandferry disk ls'. The last one of a mount\n"
        "unmounts it, the last one of a disk detaches it. What failed can be repeated.",
    .examples = "  sandferry disk rm web 0d4ff2c0-8f4b-4c0e-9a55-5a8f1c1e7d10\n",
    .operands_min = 2,
    .operands_max = 2,
    .run = rm,
};

/* ---- disk ls ---- */

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

static const struct sandferry_mount *find_mount(const struct sandferry_disk *d, uint64_t partition)
{
    for (size_t i = 0; i < d->n_mounts; i++)
        if (d->mounts[i]->partition == partition)
            return d->mounts[i];
    return NULL;
}

static void add_row(struct table *t, const struct sandferry_disk *d,
                    const struct sandferry_reservation *r)
{
    const struct sandferry_mount *m = r != NULL ? find_mount(d, r->partition) : NULL;
    table_add(t, "%u:%u", d->slot / 64, d->slot % 64);
    table_add(t, "%s", sandferry_disk_stage_name(d->stage));
    table_add(t, "%s%s", d->read_only ? "ro" : "rw", m != NULL && m->encrypted ? ",encrypted" : "");
    table_add(t, "%s", sandferry_disk_format_name(d->format));
    if (r != NULL)
        table_add(t, "%" PRIu64, r->partition);
    else
        table_add(t, "-");
    table_add(t, "%s", r != NULL ? r->id : "-");
    table_add(t, "%s", r != NULL ? r->holder : "-");
    table_add(t, "%s", m != NULL ? m->guest_path : "-");
    table_add(t, "%s", d->host_path);
}

static void print_disks(struct cli *cli, const char *sandbox, const struct sandferry_disks *list)
{
    static const char *const heads[] = {"SLOT",        "STAGE",  "MODE",       "FORMAT",    "PART",
                                        "RESERVATION", "HOLDER", "GUEST PATH", "HOST PATH", NULL};
    SF_CLEANUP(table_done) struct table t = {0};

    if (list->n == 0) {
        fprintf(cli->out, "sandbox '%s' has no disks\n", sandbox);
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++) {
        bool held = false;
        for (size_t r = 0; r < list->n_reservations; r++)
            if (list->reservations[r]->slot == list->all[i]->slot) {
                add_row(&t, list->all[i], list->reservations[r]);
                held = true;
            }
        if (!held)
            add_row(&t, list->all[i], NULL);
    }
    table_print(&t, cli->out);
}

static int ls(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_disks *list;
    bool ok = true;

    if (!cli_connect(cli, &err) ||
        !sandferry_disk_list(cli->client, operands->all[0], NULL, &list, &err))
        return cli_fail(cli, err);
    if (((const struct ls_flags *)flags)->output == JSON)
        ok = print_json(cli->out, sandferry_disks_json(list), &err);
    else
        print_disks(cli, operands->all[0], list);
    sandferry_disks_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_disk_ls = {
    .name = "disk ls",
    .operands = "SANDBOX",
    .summary = "List the disks of a sandbox, and who holds them",
    .about = "A line for each reservation; HOLDER is '-' for what 'sandferry disk add' has added.",
    .examples = "  sandferry disk ls web\n",
    .options = ls_options,
    .flags_size = sizeof(struct ls_flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = ls,
};
