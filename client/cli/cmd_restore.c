#include "base/clock.h"
#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"
#include "snapshot_file.h"

struct flags {
    const char *id, *request_id;
    struct words patches;
    bool hold, clone;
    unsigned output;
};
enum { TABLE, JSON };

/* clang-format off */
static const struct option options[] = {
    { "id",         0,   OPTION_TEXT(struct flags, id),         "SANDBOX",
      "its id here (default: the saved one)" },
    { "patch",      'p', OPTION_WORDS(struct flags, patches),   "CONTROLLER:OBJECT=VALUE",
      "put something of this host in the place of something of the source; repeatable" },
    { "hold",       0,   OPTION_FLAG(struct flags, hold),       NULL,
      "load it, and leave it standing still until 'sandferry resume'" },
    { "clone",      0,   OPTION_FLAG(struct flags, clone),      NULL,
      "one of any number: the snapshot stays as it is, and can be cloned again" },
    { "request-id", 0,   OPTION_TEXT(struct flags, request_id), "ID",
      "a repeat with the same ID gets the first answer again" },
    { "output",     'o', OPTION_CHOICE(struct flags, output),   "table|json",
      "how to print what was done (default: table)" },
    { 0 },
};
/* clang-format on */

static void report(struct cli *cli, const struct sandferry_restored *r)
{
    print_steps(cli->out, r->n_steps, r->steps);
    fputs("\nsandbox '", cli->out);
    print_safe(cli->out, r->sandbox->id);
    fprintf(cli->out, "' is %s", sandferry_state_name(r->sandbox->state));
    if (r->resumed_at_ns != 0)
        fprintf(cli->out, "; its processors stood still for %.1f ms",
                (double)r->blackout_ns / (double)SF_NS_PER_MS);
    fputc('\n', cli->out);
}

static bool restore(struct cli *cli, const struct flags *f,
                    const struct sandferry_snapshot *snapshot, struct sf_error **err)
{
    SF_CLEANUP(patches_done) struct patches patches = {0};
    SF_CLEANUP(progress_end) struct progress progress = {0};
    struct sandferry_restore_options o = SANDFERRY_RESTORE_OPTIONS_INIT;
    struct sandferry_restored *restored;

    if (!patches_parse(&patches, &f->patches, err) || !cli_connect(cli, err))
        return false;
    o.id = f->id;
    o.request_id = f->request_id;
    o.hold = f->hold;
    o.clone = f->clone;
    o.n_patches = patches.n;
    o.patches = patches.all;

    progress_begin(&progress, cli, "restoring '%s'",
                   f->id != NULL ? f->id : sandferry_snapshot_sandbox(snapshot));
    bool ok = sandferry_restore(cli->client, snapshot, &o, &restored, err);
    progress_end(&progress);
    if (!ok)
        return false;
    if (f->output == JSON)
        ok = print_json(cli->out, sandferry_restored_json(restored), err);
    else
        report(cli, restored);
    sandferry_restored_free(restored);
    return ok;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_snapshot *snapshot;

    if (!snapshot_file_read(operands->all[0], &snapshot, &err))
        return cli_fail(cli, err);
    bool ok = restore(cli, flags, snapshot, &err);
    sandferry_snapshot_free(snapshot);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_restore = {
    .name = "restore",
    .operands = "FILE",
    .summary = "Bring a saved sandbox back to life",
    .about =
        "FILE is what 'sandferry save' wrote; '-' is standard input. Prints how long each step\n"
        "took, and for how long the guest stood still (right if both hosts' clocks agree).\n"
        "After a failure nothing of the attempt is left, and FILE can be used again.\n\n"
        "A clone gets memory, machine-id, hostname, random numbers and MACs of its own. What it\n"
        "writes to a disk that no patch replaces ends with it; a share that can be written needs "
        "a\n"
        "patch. While there are clones, FILE can only be cloned.\n\n"
        "A patch of scsi names a disk by a reservation id, its slot (0:3), its host path, or a\n"
        "path prefix that ends in '/'; one of plan9 a share by a reservation id, its name (2), "
        "its\n"
        "host path or a prefix; the value is a path on this host. One of vpci names a device by a\n"
        "reservation id, its id or its host address; the value is an address of this host. One of\n"
        "container gives pod/ID or container/ID another id on this host.",
    .examples = "  sandferry restore web.snapshot\n"
                "  sandferry restore web.snapshot --id web2 --patch scsi:/old/disks/=/new/disks/\n"
                "  sandferry restore web.snapshot -p plan9:/srv/log=/mnt/log \\\n"
                "      -p vpci:0000:3b:00.0=0000:5e:00.0\n"
                "  sandferry restore web.snapshot --clone --id web-1\n"
                "  sandferry restore web.snapshot --hold && sandferry resume web\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
