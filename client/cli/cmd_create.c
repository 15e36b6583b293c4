#include <stdlib.h>

#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"

struct flags {
    uint64_t memory_bytes, processors;
    const char *image, *cpu_model, *kernel_arguments, *request_id;
    bool read_only_shares, encrypt_scratch;
    struct words labels;
    unsigned output;
};
enum { TABLE, JSON };

/* clang-format off */
static const struct option options[] = {
    { "memory",            'm', OPTION_SIZE(struct flags, memory_bytes),       "SIZE",
      "guest RAM: 512M, 2G; a multiple of 2M (default: the daemon's)" },
    { "cpus",              'c', OPTION_NUMBER(struct flags, processors),       "N",
      "virtual processors (default: the daemon's)" },
    { "image",             0,   OPTION_TEXT(struct flags, image),              "NAME",
      "guest image: a directory beneath the daemon's image directory" },
    { "cpu-model",         0,   OPTION_TEXT(struct flags, cpu_model),          "MODEL",
      "as QEMU names it; 'max' cannot move between different hosts" },
    { "kernel-args",       0,   OPTION_TEXT(struct flags, kernel_arguments),   "WORDS",
      "added to the guest kernel's command line" },
    { "read-only-shares",  0,   OPTION_FLAG(struct flags, read_only_shares),   NULL,
      "refuse shares that the guest could write to" },
    { "encrypt-scratch",   0,   OPTION_FLAG(struct flags, encrypt_scratch),    NULL,
      "encrypt its containers' scratch disks, with keys that never leave the guest" },
    { "label",             'l', OPTION_WORDS(struct flags, labels),            "KEY=VALUE",
      "your own; repeatable" },
    { "request-id",        0,   OPTION_TEXT(struct flags, request_id),         "ID",
      "a repeat with the same ID gets the first answer again" },
    { "output",            'o', OPTION_CHOICE(struct flags, output),           "table|json",
      "how to print it (default: table)" },
    { 0 },
};
/* clang-format on */

static bool create(struct cli *cli, const struct flags *f, const char *id, struct sf_error **err)
{
    SF_CLEANUP(labels_done) struct labels labels = {0};
    struct sandferry_create_options o = SANDFERRY_CREATE_OPTIONS_INIT;
    struct sandferry_sandbox *s;
    SF_CLEANUP(progress_end) struct progress progress = {0};

    if (!labels_parse(&labels, &f->labels, err))
        return false;
    if (f->processors > UINT32_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "--cpus %llu are too many",
                       (unsigned long long)f->processors);
    o.memory_bytes = f->memory_bytes;
    o.processors = (uint32_t)f->processors;
    o.image = f->image;
    o.cpu_model = f->cpu_model;
    o.kernel_arguments = f->kernel_arguments;
    o.no_writable_file_shares = f->read_only_shares;
    o.enable_scratch_encryption = f->encrypt_scratch;
    o.request_id = f->request_id;
    o.n_labels = labels.n;
    o.labels = labels.all;

    progress_begin(&progress, cli, "creating '%s'", id);
    if (!cli_connect(cli, err) || !sandferry_create(cli->client, id, &o, &s, err))
        return false;
    progress_end(&progress);
    bool ok = f->output == TABLE || print_json(cli->out, sandferry_sandbox_json(s), err);
    if (f->output == TABLE)
        fprintf(cli->out, "sandbox '%s' is %s\n", id, sandferry_state_name(s->state));
    sandferry_sandbox_free(s);
    return ok;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    return create(cli, flags, operands->all[0], &err) ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_create = {
    .name = "create",
    .operands = "SANDBOX",
    .summary = "Make a sandbox and start its VM",
    .about =
        "Answers once the guest does. SANDBOX is an id that you choose: 1 to 64 letters, digits,\n"
        "'-', '_' and '.', the first one a letter or digit.",
    .examples = "  sandferry create web --memory 512M --cpus 2 --label owner=ops\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
