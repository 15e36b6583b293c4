/* Processes as messages of an answer. */
#include "process/wire.h"

#include <stdlib.h>
#include <string.h>

typedef Sandferry__V1__Process process_t;

static Sandferry__V1__ProcessOutput *output_message(const struct ring *r)
{
    Sandferry__V1__ProcessOutput *out = calloc(1, sizeof(*out));

    if (out == NULL)
        return NULL;
    sandferry__v1__process_output__init(out);
    out->offset = r->end;
    out->closed = r->closed;
    return out;
}

static Google__Protobuf__Timestamp *time_message(int64_t ns)
{
    Google__Protobuf__Timestamp *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    google__protobuf__timestamp__init(t);
    t->seconds = ns / 1000000000;
    t->nanos = (int32_t)(ns % 1000000000);
    return t;
}

static char *copy(const char *text, bool *ok)
{
    char *copied = strdup(text);

    *ok = *ok && copied != NULL;
    return copied != NULL ? copied : (char *)(uintptr_t)protobuf_c_empty_string;
}

process_t *process_message(const struct process *p, struct sf_error **err)
{
    process_t *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
        return NULL;
    }
    bool ok = true;
    sandferry__v1__process__init(m);
    m->container_id = copy(p->container_id, &ok);
    m->exec_id = copy(p->exec_id, &ok);
    m->guest_container_id = copy(p->guest_container_id, &ok);
    m->spec = copy(p->spec != NULL ? p->spec : "", &ok);
    m->stage = (Sandferry__V1__ProcessStage)p->state;
    m->pid = p->pid;
    m->terminal = p->terminal;
    m->exit_code = p->exit_code;
    m->stdin_offset = p->stdin_offset;
    m->stdin_closed = p->stdin_closed;
    m->waits_for_readers = p->waits;
    m->stdout = output_message(&p->out[0]);
    m->stderr = output_message(&p->out[1]);
    if (p->exited_at_ns > 0)
        m->exited_at = time_message(p->exited_at_ns);
    if (ok && m->stdout != NULL && m->stderr != NULL)
        return m;
    sandferry__v1__process__free_unpacked(m, NULL);
    sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
    return NULL;
}
