#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "commands.h"
#include "output.h"
#include "session.h"
#include "snapshot/file.h"

#define SPEC_SIZE_MAX (1u << 20)

struct flags {
    bool terminal, input, detach, keep;
    const char *user, *directory, *id, *spec;
    struct words env, hosts;
};

/* clang-format off */
static const struct option options[] = {
    { "terminal", 't', OPTION_FLAG(struct flags, terminal),  NULL,
      "give it a terminal, of the size of ours" },
    { "input",    'i', OPTION_FLAG(struct flags, input),     NULL,
      "our standard input goes to it" },
    { "detach",   'd', OPTION_FLAG(struct flags, detach),    NULL,
      "start it, print its id, and leave it alone" },
    { "user",     'u', OPTION_TEXT(struct flags, user),      "UID[:GID]",
      "who it runs as, in numbers (default: as the container)" },
    { "env",      'e', OPTION_WORDS(struct flags, env),      "KEY=VALUE",
      "for its environment, besides the container's; repeatable" },
    { "cwd",      'w', OPTION_TEXT(struct flags, directory), "DIR",
      "its working directory (default: as the container)" },
    { "spec",     0,   OPTION_TEXT(struct flags, spec),      "FILE",
      "an OCI process (JSON), in the place of command, user, environment and directory" },
    { "id",       0,   OPTION_TEXT(struct flags, id),        "ID",
      "its id, unique in the container (default: the daemon makes one)" },
    { "keep",     0,   OPTION_FLAG(struct flags, keep),      NULL,
      "leave it listed after its end" },
    { "then",     0,   OPTION_WORDS(struct flags, hosts),    "ADDRESS", TRAVEL_HELP },
    { 0 },
};
/* clang-format on */

static bool check(const struct flags *f, const struct words *operands, struct sf_error **err)
{
    if (f->spec == NULL && operands->n < 3)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "what is to run? Give a command after '--', or --spec FILE");
    if (f->spec != NULL &&
        (operands->n > 2 || f->env.n > 0 || f->user != NULL || f->directory != NULL))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "--spec already says what to run; leave command, --user, --env and --cwd "
                       "out");
    if (f->detach && (f->input || f->hosts.n > 0))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "what is detached gets no input and is not followed: leave -i and --then "
                       "out");
    return true;
}

static bool start(struct session *s, const struct flags *f, const struct words *operands,
                  struct sandferry_process **ret, struct sf_error **err)
{
    struct sandferry_exec_options o = SANDFERRY_EXEC_OPTIONS_INIT;
    SF_CLEANUP(sf_bytes_done) struct sf_bytes spec = {0};

    if (f->spec != NULL &&
        !(sf_file_read(f->spec, SPEC_SIZE_MAX, &spec, err) &&
          (sf_bytes_append(&spec, "", 1) || sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory"))))
        return false;
    o.exec_id = f->id;
    o.spec = (const char *)spec.data;
    o.n_args = operands->n - 2;
    o.args = operands->all + 2;
    o.n_env = f->env.n;
    o.env = f->env.all;
    o.working_directory = f->directory;
    o.user = f->user;
    o.terminal = f->terminal;
    if (f->terminal && !terminal_size(&o.columns, &o.rows))
        o.columns = o.rows = 0;
    o.input = f->input;
    o.wait_for_readers = !f->terminal && !f->detach;
    return cli_connect(s->cli, err) &&
           sandferry_process_exec(s->cli->client, s->sandbox, s->container, &o, ret, err);
}

/* It has ended, and nobody will look for it; or nobody reads, and then it ends as in any pipe. */
static void forget(struct session *s)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_process_delete_options o = SANDFERRY_PROCESS_DELETE_OPTIONS_INIT;

    o.exec_id = s->exec_id;
    o.force = s->write_error == EPIPE;
    if (!sandferry_process_delete(s->cli->client, s->sandbox, s->container, &o, NULL, &err) &&
        sf_error_code(err) != SF_NOT_FOUND)
        cli_fail(s->cli, err);
}

static int run_attached(struct session *s, const struct flags *f, const struct words *operands,
                        struct sf_error **err)
{
    struct sandferry_process *p;
    int code;

    if (!session_begin(s, err) || !start(s, f, operands, &p, err))
        return EXIT_WAIT_FAILED;
    s->exec_id = p->exec_id;
    s->terminal = p->terminal;
    bool ok = session_run(s, &code, err);
    feeder_end(s);
    terminal_restore(&s->ours);
    if (!ok || atomic_load(&s->detached))
        session_tell_how_to_go_on(s);
    else if (!f->keep)
        forget(s);
    s->exec_id = NULL;
    sandferry_process_free(p);
    return ok ? code : EXIT_WAIT_FAILED;
}

static int run_detached(struct session *s, const struct flags *f, const struct words *operands,
                        struct sf_error **err)
{
    struct sandferry_process *p;

    if (!start(s, f, operands, &p, err))
        return EXIT_WAIT_FAILED;
    print_safe(s->cli->out, p->exec_id);
    fputc('\n', s->cli->out);
    sandferry_process_free(p);
    return EXIT_OK;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    SF_CLEANUP(session_end)
    struct session s = {.cli = cli,
                        .sandbox = operands->all[0],
                        .container = operands->all[1],
                        .travel.hosts = &f->hosts,
                        .input = f->input};

    if (!check(f, operands, &err))
        return cli_fail_usage(cli, &command_exec, err);
    int status =
        f->detach ? run_detached(&s, f, operands, &err) : run_attached(&s, f, operands, &err);
    if (err != NULL)
        cli_fail(cli, err);
    return status;
}

const struct command command_exec = {
    .name = "exec",
    .operands = "SANDBOX CONTAINER [-- COMMAND [ARG...]]",
    .summary = "Run a command in a container, and exit as it did",
    .about =
        "Begins as the container's init process did, but for what the options say. Exits with\n"
        "the command's exit code; 128 + the signal that ended it; or 125 if it could not be\n"
        "started or followed. SIGINT, SIGTERM and SIGHUP go to the command.\n\n"
        "Nothing that it writes is lost: without -t it waits when nobody reads. With -t, type\n"
        "Ctrl-P Ctrl-Q to detach; it goes on, and 'sandferry attach' comes back to it.\n\n"
        "A save and restore takes it along. With --then, this command follows it.",
    .examples = "  sandferry exec web app -- /bin/ls /srv\n"
                "  sandferry exec web app -it -- /bin/sh\n"
                "  sandferry exec web app -i --then unix:/run/b.sock -- /bin/sort <words >sorted\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .run = run,
};
