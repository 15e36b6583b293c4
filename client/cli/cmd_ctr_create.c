#include <stdlib.h>

#include "base/bytes.h"
#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"
#include "snapshot/file.h"

#define SPEC_SIZE_MAX (1u << 20)

struct flags {
    const char *pod, *scratch, *spec, *directory;
    struct words layers, disks, shares, devices, args, env, labels;
    bool start;
    unsigned output;
};
enum { TABLE, JSON };

#define DISK_KEYS "[,KEY..]"

/* clang-format off */
static const struct option options[] = {
    { "layer",   'L', OPTION_WORDS(struct flags, layers),    "PATH" DISK_KEYS,
      "a read-only disk of the root file system, lowest first; repeatable; needed" },
    { "scratch", 0,   OPTION_TEXT(struct flags, scratch),    "PATH" DISK_KEYS,
      "the disk for what it writes; gets a file system if it has none (default: guest memory)" },
    { "disk",    0,   OPTION_WORDS(struct flags, disks),     "PATH,dest=DIR" DISK_KEYS,
      "a disk besides, mounted at DIR in the container; repeatable" },
    { "share",   0,   OPTION_WORDS(struct flags, shares),    "PATH,dest=DIR[,KEY..]",
      "a directory of the daemon's host, or a file, mounted at DIR in the container; repeatable" },
    { "device",  0,   OPTION_WORDS(struct flags, devices),   "DEVICE[,PROPERTY=VALUE..]",
      "a PCI function: an address of the daemon's host, or a model of QEMU's; repeatable" },
    { "pod",     0,   OPTION_TEXT(struct flags, pod),        "POD",
      "the pod it is in (default: one of its own)" },
    { "arg",     'a', OPTION_WORDS(struct flags, args),      "ARG",
      "a word of the command line, before those after '--'; repeatable" },
    { "env",     'e', OPTION_WORDS(struct flags, env),       "KEY=VALUE",
      "for its environment; repeatable" },
    { "workdir", 'w', OPTION_TEXT(struct flags, directory),  "DIR",
      "its working directory (default: /)" },
    { "spec",    0,   OPTION_TEXT(struct flags, spec),       "FILE",
      "an OCI runtime spec (JSON), in the place of command line and environment" },
    { "label",   'l', OPTION_WORDS(struct flags, labels),    "KEY=VALUE",
      "your own; repeatable" },
    { "start",   's', OPTION_FLAG(struct flags, start),      NULL,
      "start it, too" },
    { "output",  'o', OPTION_CHOICE(struct flags, output),   "table|json",
      "how to print it (default: table)" },
    { 0 },
};
/* clang-format on */

/* All that the request is made of. */
struct parts {
    struct disk_word *layers, *disks, scratch;
    const struct sandferry_disk_spec **all_layers;
    struct sandferry_disk_mount *all_disks;
    struct share_word *shares;
    struct sandferry_share_mount *all_shares;
    struct device_word *devices;
    const struct sandferry_device_spec **all_devices;
    size_t n_layers, n_disks, n_shares, n_devices; /* parsed */
    struct words args;
    struct labels labels;
    struct sf_bytes spec;
};

static void parts_done(struct parts *p)
{
    for (size_t i = 0; i < p->n_layers; i++)
        disk_word_done(&p->layers[i]);
    for (size_t i = 0; i < p->n_disks; i++)
        disk_word_done(&p->disks[i]);
    for (size_t i = 0; i < p->n_shares; i++)
        share_word_done(&p->shares[i]);
    for (size_t i = 0; i < p->n_devices; i++)
        device_word_done(&p->devices[i]);
    disk_word_done(&p->scratch);
    free(p->shares);
    free(p->all_shares);
    free(p->devices);
    free(p->all_devices);
    free(p->layers);
    free(p->disks);
    free(p->all_layers);
    free(p->all_disks);
    words_done(&p->args);
    labels_done(&p->labels);
    sf_bytes_done(&p->spec);
}

static bool parse_layers(struct parts *p, const struct words *words, struct sf_error **err)
{
    p->layers = calloc(words->n + 1, sizeof(*p->layers));
    p->all_layers = calloc(words->n + 1, sizeof(*p->all_layers));
    if (p->layers == NULL || p->all_layers == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    while (p->n_layers < words->n) {
        size_t i = p->n_layers++;
        if (!disk_word_parse(&p->layers[i], words->all[i], err))
            return sf_fail_in(err, "--layer");
        p->layers[i].spec.read_only = true;
        p->all_layers[i] = &p->layers[i].spec;
    }
    return true;
}

static bool parse_disks(struct parts *p, const struct words *words, struct sf_error **err)
{
    p->disks = calloc(words->n + 1, sizeof(*p->disks));
    p->all_disks = calloc(words->n + 1, sizeof(*p->all_disks));
    if (p->disks == NULL || p->all_disks == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    while (p->n_disks < words->n) {
        size_t i = p->n_disks++;
        if (!disk_word_parse(&p->disks[i], words->all[i], err))
            return sf_fail_in(err, "--disk");
        if (p->disks[i].destination == NULL)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "--disk '%s' does not say where: add ,dest=DIR", words->all[i]);
        p->all_disks[i] = (struct sandferry_disk_mount){&p->disks[i].spec, p->disks[i].destination};
    }
    return true;
}

static bool parse_shares(struct parts *p, const struct words *words, struct sf_error **err)
{
    p->shares = calloc(words->n + 1, sizeof(*p->shares));
    p->all_shares = calloc(words->n + 1, sizeof(*p->all_shares));
    if (p->shares == NULL || p->all_shares == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    while (p->n_shares < words->n) {
        size_t i = p->n_shares++;
        if (!share_word_parse(&p->shares[i], words->all[i], err))
            return sf_fail_in(err, "--share");
        if (p->shares[i].destination == NULL)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "--share '%s' does not say where: add ,dest=DIR", words->all[i]);
        p->all_shares[i] =
            (struct sandferry_share_mount){&p->shares[i].spec, p->shares[i].destination};
    }
    return true;
}

static bool parse_devices(struct parts *p, const struct words *words, struct sf_error **err)
{
    p->devices = calloc(words->n + 1, sizeof(*p->devices));
    p->all_devices = calloc(words->n + 1, sizeof(*p->all_devices));
    if (p->devices == NULL || p->all_devices == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    while (p->n_devices < words->n) {
        size_t i = p->n_devices++;
        if (!device_word_parse(&p->devices[i], words->all[i], err))
            return sf_fail_in(err, "--device");
        p->all_devices[i] = &p->devices[i].spec;
    }
    return true;
}

static bool parse_scratch(struct parts *p, const char *word, struct sf_error **err)
{
    if (word == NULL)
        return true;
    if (!disk_word_parse(&p->scratch, word, err))
        return sf_fail_in(err, "--scratch");
    p->scratch.spec.ensure_filesystem = true;
    return true;
}

/* --arg, then what stands after the ids. */
static bool collect_args(struct parts *p, const struct flags *f, const struct words *operands,
                         struct sf_error **err)
{
    for (size_t i = 0; i < f->args.n; i++)
        if (!words_add(&p->args, f->args.all[i], err))
            return false;
    for (size_t i = 2; i < operands->n; i++)
        if (!words_add(&p->args, operands->all[i], err))
            return false;
    if (f->spec == NULL && p->args.n == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "what is to run in it? Give a command after '--', or --spec FILE");
    if (f->spec != NULL && (p->args.n > 0 || f->env.n > 0 || f->directory != NULL))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "--spec already says what to run; leave command, --env and --workdir out");
    return true;
}

static bool parts_parse(struct parts *p, const struct flags *f, const struct words *operands,
                        struct sf_error **err)
{
    if (f->layers.n == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'ctr create' needs --layer, at least one");
    return parse_layers(p, &f->layers, err) && parse_disks(p, &f->disks, err) &&
           parse_shares(p, &f->shares, err) && parse_devices(p, &f->devices, err) &&
           parse_scratch(p, f->scratch, err) && collect_args(p, f, operands, err) &&
           labels_parse(&p->labels, &f->labels, err);
}

static bool read_spec(struct parts *p, const char *file, struct sf_error **err)
{
    if (file == NULL)
        return true;
    return sf_file_read(file, SPEC_SIZE_MAX, &p->spec, err) &&
           (sf_bytes_append(&p->spec, "", 1) ||
            sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory"));
}

static void fill(struct sandferry_container_options *o, const struct parts *p,
                 const struct flags *f)
{
    o->pod_id = f->pod;
    o->n_layers = p->n_layers;
    o->layers = p->all_layers;
    o->scratch = f->scratch != NULL ? &p->scratch.spec : NULL;
    o->n_disks = p->n_disks;
    o->disks = p->all_disks;
    o->n_shares = p->n_shares;
    o->shares = p->all_shares;
    o->n_devices = p->n_devices;
    o->devices = p->all_devices;
    o->spec = (const char *)p->spec.data;
    o->n_args = p->args.n;
    o->args = p->args.all;
    o->n_env = f->env.n;
    o->env = f->env.all;
    o->working_directory = f->directory;
    o->n_labels = p->labels.n;
    o->labels = p->labels.all;
}

static bool create(struct cli *cli, const struct flags *f, const struct parts *p,
                   const struct words *operands, struct sf_error **err)
{
    SF_CLEANUP(progress_end) struct progress progress = {0};
    struct sandferry_container_options o = SANDFERRY_CONTAINER_OPTIONS_INIT;
    const char *sandbox = operands->all[0], *id = operands->all[1];
    struct sandferry_container *c;

    fill(&o, p, f);
    progress_begin(&progress, cli, "creating '%s' in '%s'", id, sandbox);
    if (!cli_connect(cli, err) ||
        !sandferry_container_create(cli->client, sandbox, id, &o, &c, err))
        return false;
    if (f->start) {
        sandferry_container_free(c);
        if (!sandferry_container_start(cli->client, sandbox, id, NULL, &c, err))
            return sf_fail_in(err, "the container was created");
    }
    progress_end(&progress);
    bool ok = f->output == TABLE || print_json(cli->out, sandferry_container_json(c), err);
    if (f->output == TABLE)
        fprintf(cli->out, "container '%s' is %s\n", id, sandferry_container_stage_name(c->stage));
    sandferry_container_free(c);
    return ok;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(parts_done) struct parts parts = {0};
    const struct flags *f = flags;

    if (!parts_parse(&parts, f, operands, &err))
        return cli_fail_usage(cli, &command_ctr_create, err);
    if (!read_spec(&parts, f->spec, &err) || !create(cli, f, &parts, operands, &err))
        return cli_fail(cli, err);
    return EXIT_OK;
}

const struct command command_ctr_create = {
    .name = "ctr create",
    .operands = "SANDBOX CONTAINER [-- COMMAND [ARG...]]",
    .summary = "Make a container in a running sandbox",
    .about =
        "Paths are on the daemon's host, absolute, beneath a directory that the daemon allows.\n"
        "After a disk's path may come, each behind a comma: format=raw|qcow2|vpc|vhdx,\n"
        "partition=N, fs=TYPE, option=MOUNT-OPTION (repeatable), encrypted, ro, and for --disk\n"
        "dest=DIR. After a share's: only=NAME (repeatable; nothing else can be seen), ro.\n\n"
        "A device is an address (0000:3b:00.0, or 0000:3b:00.0/2 for its virtual function 2), or "
        "a\n"
        "model with its properties (nvme,serial=a1). Its nodes (/dev/nvme0) are the container's, "
        "at\n"
        "the same paths. One without any has its resources beneath /sys/bus/pci/devices, writable.",
    .examples =
        "  sandferry ctr create web app --layer /disks/app.squashfs --start -- /bin/app\n"
        "  sandferry ctr create web db --layer /disks/db.qcow2,format=qcow2,partition=1 \\\n"
        "      --scratch /disks/db-scratch.img --env MODE=fast -- /bin/db\n"
        "  sandferry ctr create web log --layer /disks/app.squashfs --device nvme \\\n"
        "      --share /srv/log,dest=/log --share /etc/a,dest=/etc/a,ro -- /bin/log\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .run = run,
};
