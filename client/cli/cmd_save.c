#include "base/text.h"
#include "commands.h"
#include "output.h"
#include "progress.h"
#include "snapshot_file.h"

struct flags {
    const char *output, *request_id;
    unsigned after;
};

/* clang-format off */
static const struct option options[] = {
    { "output",     'o', OPTION_TEXT(struct flags, output),     "FILE",
      "write the snapshot there; '-' is standard output; needed" },
    { "after",      0,   OPTION_CHOICE(struct flags, after),    "stop|hold|resume",
      "what happens to the sandbox then: its VM ends (default), it stays frozen, or it runs on" },
    { "request-id", 0,   OPTION_TEXT(struct flags, request_id), "ID",
      "a repeat with the same ID gets the first answer again (default: a new one)" },
    { 0 },
};
/* clang-format on */

/* The sandbox may be gone by now, so how to get at the answer has to be said. */
static int fail_after_request(struct cli *cli, const char *id, const char *request_id,
                              const struct flags *f, const struct sf_error *err)
{
    static const char *const afters[] = {"stop", "hold", "resume"};
    int status = cli_fail(cli, err);
    fprintf(cli->err,
            "sandferry: if it was saved, the daemon still has the snapshot; ask for it with\n"
            "  sandferry save %s -o FILE --after %s --request-id %s\n",
            id, afters[f->after], request_id);
    return status;
}

static bool may_have_been_saved(const struct sf_error *err)
{
    enum sf_code code = sf_error_code(err);
    return code == SF_UNAVAILABLE || code == SF_DEADLINE_EXCEEDED || code == SF_CANCELLED;
}

static void report(struct cli *cli, const struct sandferry_saved *saved, const char *id,
                   const char *file)
{
    bool standard = file[0] == '-' && file[1] == '\0';
    FILE *out = standard ? cli->err : cli->out;

    if (saved->n_steps > 0) {
        print_steps(out, saved->n_steps, saved->steps);
        fputc('\n', out);
    }
    if (standard)
        fprintf(out, "sandbox '%s' is saved; its snapshot went to standard output\n", id);
    else
        fprintf(out, "sandbox '%s' is saved in '%s'\n", id, file);
}

static int save(struct cli *cli, const struct flags *f, const char *id, const char *request_id)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    struct sandferry_save_options o = SANDFERRY_SAVE_OPTIONS_INIT;
    struct sandferry_saved *saved;

    o.after = (enum sandferry_after_save)(f->after + SANDFERRY_AFTER_STOP);
    o.request_id = request_id;
    if (!snapshot_file_check(f->output, &err) || !cli_connect(cli, &err))
        return cli_fail(cli, err);

    progress_begin(&progress, cli, "saving '%s'", id);
    bool ok = sandferry_save(cli->client, id, &o, &saved, &err);
    progress_end(&progress);
    if (!ok)
        return may_have_been_saved(err) ? fail_after_request(cli, id, request_id, f, err)
                                        : cli_fail(cli, err);
    ok = snapshot_file_write(cli, saved->snapshot, f->output, &err);
    if (ok)
        report(cli, saved, id, f->output);
    sandferry_saved_free(saved);
    return ok ? EXIT_OK : fail_after_request(cli, id, request_id, f, err);
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    char random[SF_GUID_SIZE];

    if (f->output == NULL) {
        sf_fail(&err, SF_INVALID_ARGUMENT, "'save' needs --output FILE, for the snapshot");
        return cli_fail_usage(cli, &command_save, err);
    }
    if (f->request_id == NULL && !sf_guid_new(random)) {
        sf_fail(&err, SF_UNAVAILABLE, "the system gives no random numbers; try again");
        return cli_fail(cli, err);
    }
    return save(cli, f, operands->all[0], f->request_id != NULL ? f->request_id : random);
}

const struct command command_save = {
    .name = "save",
    .operands = "SANDBOX",
    .summary = "Save a running sandbox into a snapshot file",
    .about = "Prints how long each step took. The file has mode 0600: a snapshot holds what the\n"
             "containers were started with. Guest memory stays in the daemon's memory directory,\n"
             "and the disks stay where they are. After a failure the sandbox runs on as before.",
    .examples = "  sandferry save web -o web.snapshot\n"
                "  sandferry save web -o - | ssh other sandferry restore -\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
