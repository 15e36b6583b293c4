/* ProcessService: what processes write, as streams. */
#include <stdlib.h>

#include "process/wire.h"

#define CHUNK (64 * 1024) /* bytes in one message of a stream */

/* One call that reads. Both a send and a wait give the lock back: everything may have changed, and
 * the process is looked for anew after each. */
struct reading {
    struct sf_controller *c;
    struct sf_call *call;
    const char *container_id, *exec_id; /* borrowed from the request */
    uint64_t serial;
    struct reader readers[2];
    bool reads[2];
    bool attached; /* both streams, as AttachProcess gives them */
    bool told_closed[2];
    uint8_t *buffer; /* CHUNK bytes */
};

static struct process *again(const struct reading *r, struct sf_error **err)
{
    return process_find_again(r->c, r->container_id, r->exec_id, r->serial, err);
}

static bool send(const struct reading *r, unsigned number, Sandferry__V1__ReadOutputResponse *m,
                 bool closed, struct sf_error **err)
{
    Sandferry__V1__AttachProcessResponse event = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__INIT;
    Sandferry__V1__AttachedOutput output = SANDFERRY__V1__ATTACHED_OUTPUT__INIT;

    if (!r->attached)
        return sf_call_send(r->call, m, err);
    output.stream = (Sandferry__V1__OutputStream)(number + 1);
    output.offset = m->offset;
    output.data = m->data;
    output.lost = m->lost;
    output.closed = closed;
    event.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_OUTPUT;
    event.output = &output;
    return sf_call_send(r->call, &event, err);
}

/* Sends what is held from where the reader is, and lets the process go on. */
static bool send_held(struct reading *r, const struct process *p, unsigned number,
                      struct sf_error **err)
{
    Sandferry__V1__ReadOutputResponse m = SANDFERRY__V1__READ_OUTPUT_RESPONSE__INIT;
    const struct ring *ring = &p->out[number];
    uint64_t begin = ring_begin(ring), offset = r->readers[number].offset;

    if (offset < begin) {
        m.lost = begin - offset;
        offset = begin;
    }
    m.offset = offset;
    m.data.len = ring_copy(ring, offset, r->buffer, CHUNK);
    m.data.data = r->buffer;
    offset += m.data.len;
    r->told_closed[number] = ring->closed && offset == ring->end;
    if (!send(r, number, &m, r->told_closed[number], err))
        return false;
    r->readers[number].offset = offset;
    struct process *now = again(r, err);
    if (now != NULL)
        output_settle((struct processes *)r->c, now, number);
    return now != NULL;
}

static bool beyond(const struct reading *r, const struct process *p, unsigned number,
                   struct sf_error **err)
{
    if (!r->reads[number] || r->readers[number].offset <= p->out[number].end)
        return false;
    sf_fail(err, SF_OUT_OF_RANGE, "offset %llu is beyond the %llu bytes that there are",
            (unsigned long long)r->readers[number].offset, (unsigned long long)p->out[number].end);
    return true;
}

/* *@ret: something was sent, and there may be more. */
static bool send_some(struct reading *r, struct process *p, bool *ret, struct sf_error **err)
{
    *ret = true;
    for (unsigned i = 0; i < 2; i++) {
        const struct ring *ring = &p->out[i];
        if (beyond(r, p, i, err))
            return false;
        if (r->reads[i] && (r->readers[i].offset < ring->end ||
                            (r->attached && ring->closed && !r->told_closed[i])))
            return send_held(r, p, i, err);
    }
    *ret = false;
    return true;
}

static bool begin(struct reading *r, struct sf_error **err)
{
    struct process *p = process_find_for(r->c, r->container_id, r->exec_id, err);

    if (p == NULL)
        return false;
    r->serial = p->serial;
    r->buffer = malloc(CHUNK);
    if (r->buffer == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (unsigned i = 0; i < 2; i++) {
        if (beyond(r, p, i, err))
            return false;
        r->told_closed[i] = r->attached && i == 1 && p->terminal; /* it has no such stream */
    }
    for (unsigned i = 0; i < 2; i++)
        if (r->reads[i]) {
            r->readers[i].holds = r->attached;
            reader_add(p, i, &r->readers[i]);
            output_settle((struct processes *)r->c, p, i); /* it may have read elsewhere */
        }
    return true;
}

static void end(struct reading *r)
{
    struct process *p = process_find((struct processes *)r->c, r->container_id, r->exec_id);

    for (unsigned i = 0; p != NULL && p->serial == r->serial && i < 2; i++) {
        reader_remove(p, i, &r->readers[i]);
        output_settle((struct processes *)r->c, p, i);
    }
    free(r->buffer);
}

/* ---- ReadOutput ---- */

static bool read_on(struct reading *r, unsigned number, bool follow, struct sf_error **err)
{
    struct process *p;
    bool more;

    while ((p = again(r, err)) != NULL) {
        if (!send_some(r, p, &more, err))
            return false;
        if (more)
            continue;
        if (p->out[number].closed || !follow || p->state == PROCESS_NOT_CREATED ||
            process_end_is_known(p)) /* the guest tells of an end after all output */
            return true;
        if (!sf_call_wait(r->call, err))
            return false;
    }
    return false;
}

bool process_read_output(struct sf_controller *c, struct sf_call *call, const void *request,
                         void *reply, struct sf_error **err)
{
    const Sandferry__V1__ReadOutputRequest *q = request;
    unsigned number = q->stream == SANDFERRY__V1__OUTPUT_STREAM__OUTPUT_STREAM_STDERR ? 1 : 0;
    struct reading r = {
        .c = c, .call = call, .container_id = q->container_id, .exec_id = q->exec_id};

    (void)reply;
    r.reads[number] = true;
    r.readers[number].offset = q->offset;
    bool ok = begin(&r, err) && read_on(&r, number, q->follow, err);
    end(&r);
    return ok;
}

/* ---- AttachProcess ---- */

static bool send_end(const struct reading *r, const struct process *p, struct sf_error **err)
{
    Sandferry__V1__AttachProcessResponse event = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__INIT;
    Sandferry__V1__Process *message = process_message(p, err);

    if (message == NULL)
        return false;
    event.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_EXITED;
    event.exited = message;
    bool ok = sf_call_send(r->call, &event, err);
    sandferry__v1__process__free_unpacked(message, NULL);
    return ok;
}

static bool attach_on(struct reading *r, struct sf_error **err)
{
    struct process *p;
    bool more;

    while ((p = again(r, err)) != NULL) {
        if (!send_some(r, p, &more, err))
            return false;
        if (more)
            continue;
        if (process_end_is_known(p))
            return send_end(r, p, err);
        if (!process_may_end((struct processes *)r->c, p, err) || !sf_call_wait(r->call, err))
            return false;
    }
    return false;
}

bool process_attach(struct sf_controller *c, struct sf_call *call, const void *request, void *reply,
                    struct sf_error **err)
{
    const Sandferry__V1__AttachProcessRequest *q = request;
    struct reading r = {.c = c,
                        .call = call,
                        .container_id = q->container_id,
                        .exec_id = q->exec_id,
                        .readers = {{.offset = q->stdout_offset}, {.offset = q->stderr_offset}},
                        .reads = {true, true},
                        .attached = true};

    (void)reply;
    bool ok = begin(&r, err) && attach_on(&r, err);
    end(&r);
    return ok;
}
