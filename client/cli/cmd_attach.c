#include <string.h>

#include "commands.h"
#include "session.h"

struct flags {
    bool input, all;
    const char *exec_id;
    uint64_t offset, stderr_offset;
    struct words hosts;
};

/* clang-format off */
static const struct option options[] = {
    { "exec",          'x', OPTION_TEXT(struct flags, exec_id),         "ID",
      "which process (default: the init process)" },
    { "input",         'i', OPTION_FLAG(struct flags, input),           NULL,
      "our standard input goes to it" },
    { "all",           'a', OPTION_FLAG(struct flags, all),             NULL,
      "begin with all that is still held (default: with what it writes from now on)" },
    { "offset",        0,   OPTION_NUMBER(struct flags, offset),        "N",
      "begin with byte N of its standard output, counted from 0" },
    { "stderr-offset", 0,   OPTION_NUMBER(struct flags, stderr_offset), "N",
      "the same of its standard error" },
    { "then",          0,   OPTION_WORDS(struct flags, hosts),          "ADDRESS", TRAVEL_HELP },
    { 0 },
};
/* clang-format on */

static const struct sandferry_process *find(const struct sandferry_processes *list,
                                            const char *exec_id)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->all[i]->exec_id, exec_id != NULL ? exec_id : "") == 0)
            return list->all[i];
    return NULL;
}

/* Where to begin, and what it has. */
static bool look(struct session *s, const struct flags *f, struct sf_error **err)
{
    struct sandferry_processes *list;

    if (!cli_connect(s->cli, err) ||
        !sandferry_process_list(s->cli->client, s->sandbox, s->container, NULL, &list, err))
        return false;
    const struct sandferry_process *p = find(list, s->exec_id);
    bool ok = p != NULL || sf_fail(err, SF_NOT_FOUND, "container '%s' has no process '%s'",
                                   s->container, s->exec_id != NULL ? s->exec_id : "");
    if (ok) {
        s->terminal = p->terminal;
        s->stdin_offset = p->stdin_offset;
        bool given = f->all || f->offset > 0 || f->stderr_offset > 0;
        s->offsets[0] = given ? f->offset : p->stdout_offset;
        s->offsets[1] = given ? f->stderr_offset : p->stderr_offset;
    }
    sandferry_processes_free(list);
    return ok;
}

static void resize(const struct session *s)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_process_options o = SANDFERRY_PROCESS_OPTIONS_INIT;
    uint32_t columns, rows;

    o.exec_id = s->exec_id;
    if (s->terminal && s->input && terminal_size(&columns, &rows))
        sandferry_process_resize(s->cli->client, s->sandbox, s->container, columns, rows, &o, &err);
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    SF_CLEANUP(session_end)
    struct session s = {.cli = cli,
                        .sandbox = operands->all[0],
                        .container = operands->all[1],
                        .exec_id = f->exec_id,
                        .travel.hosts = &f->hosts,
                        .input = f->input};
    int code = EXIT_WAIT_FAILED;

    if (!session_begin(&s, &err) || !look(&s, f, &err)) {
        cli_fail(cli, err);
        return EXIT_WAIT_FAILED;
    }
    resize(&s);
    bool ok = session_run(&s, &code, &err);
    feeder_end(&s);
    terminal_restore(&s.ours);
    if (!ok || atomic_load(&s.detached))
        session_tell_how_to_go_on(&s);
    if (!ok)
        cli_fail(cli, err);
    return ok ? code : EXIT_WAIT_FAILED;
}

const struct command command_attach = {
    .name = "attach",
    .operands = "SANDBOX CONTAINER",
    .summary = "Bring a process to the foreground, and exit as it did",
    .about =
        "What it writes comes here, and with -i what is typed here goes to it. Any number of\n"
        "others may be attached; as long as one is, the process waits rather than that a byte\n"
        "is lost. Signals, exit codes and the keys to detach: as for exec.",
    .examples = "  sandferry attach web app --all\n"
                "  sandferry attach web app --exec shell -i\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
