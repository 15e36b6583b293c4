#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "output.h"

bool session_begin(struct session *s, struct sf_error **err)
{
    s->wake[0] = s->wake[1] = s->signals = -1;
    s->travel.cli = s->cli;
    s->host = s->cli->global.host;
    pthread_mutex_init(&s->mutex, NULL);
    return feeder_begin(s, err);
}

void session_end(struct session *s)
{
    if (s->travel.cli == NULL)
        return; /* never begun */
    feeder_end(s);
    terminal_restore(&s->ours);
    pthread_mutex_destroy(&s->mutex);
}

static bool take(void *context, enum sandferry_stream stream, uint64_t offset, const void *data,
                 size_t size, uint64_t lost)
{
    struct session *s = context;
    FILE *out = stream == SANDFERRY_STDERR ? s->cli->err : s->cli->out;

    s->travel.away = false;
    if (lost > 0)
        fprintf(s->cli->err,
                "sandferry: %" PRIu64 " bytes before offset %" PRIu64 " are not held any more\n",
                lost, offset);
    if (size > 0 && (fwrite(data, 1, size, out) != size || fflush(out) != 0)) {
        s->write_error = errno;
        return false;
    }
    s->offsets[stream == SANDFERRY_STDERR ? 1 : 0] = offset + size;
    return true;
}

static bool attach(struct session *s, struct sandferry_process **ret, struct sf_error **err)
{
    struct sandferry_attach_options o = SANDFERRY_ATTACH_OPTIONS_INIT;

    o.exec_id = s->exec_id;
    o.stdout_offset = s->offsets[0];
    o.stderr_offset = s->offsets[1];
    return cli_connect(s->cli, err) &&
           sandferry_process_attach(s->cli->client, s->sandbox, s->container, &o, take, s, ret,
                                    err);
}

/* Elsewhere, and the feeder too. */
static bool go_on(struct session *s, struct sf_error **err)
{
    pthread_mutex_lock(&s->mutex);
    bool ok = travel_on(&s->travel, err);
    s->host = s->cli->global.host;
    ok = ok && cli_connect(s->cli, err);
    pthread_mutex_unlock(&s->mutex);
    return ok;
}

bool session_run(struct session *s, int *ret_code, struct sf_error **err)
{
    struct sandferry_process *p = NULL;

    if (s->terminal && s->input)
        terminal_raw(&s->ours);
    feeder_ready(s);
    while (!attach(s, &p, err)) {
        if (atomic_load(&s->detached)) {
            sf_error_free(*err);
            *err = NULL;
            *ret_code = EXIT_OK;
            return true;
        }
        if (!go_on(s, err))
            return false;
    }
    if (p == NULL && s->write_error == EPIPE) { /* as if its own pipe had been closed */
        *ret_code = 128 + SIGPIPE;
        return true;
    }
    if (p == NULL)
        return sf_fail(err, SF_UNKNOWN, "the output cannot be written: %s",
                       strerror(s->write_error));
    *ret_code = (int)(p->exit_code & 0xff);
    sandferry_process_free(p);
    return true;
}

void session_tell_how_to_go_on(const struct session *s)
{
    FILE *out = s->cli->err;

    fputs("sandferry: attach again with: sandferry attach ", out);
    print_safe(out, s->sandbox);
    fputc(' ', out);
    print_safe(out, s->container);
    if (s->exec_id != NULL) {
        fputs(" --exec ", out);
        print_safe(out, s->exec_id);
    }
    fprintf(out, "%s --offset %" PRIu64 " --stderr-offset %" PRIu64 "\n", s->input ? " -i" : "",
            s->offsets[0], s->offsets[1]);
}
