/* The process section: memory to wire and back, believing nothing. */
#include "process/process.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/snapshot.pb-c.h"
#include "snapshot/wire.h"

#define STAGE(name) SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_##name
static_assert((int)PROCESS_NOT_CREATED == (int)STAGE(NOT_CREATED), "");
static_assert((int)PROCESS_CREATED == (int)STAGE(CREATED), "");
static_assert((int)PROCESS_RUNNING == (int)STAGE(RUNNING), "");
static_assert((int)PROCESS_TERMINATED == (int)STAGE(TERMINATED), "");

#define NS_PER_S 1000000000

typedef Sandferry__V1__ProcessSection section_t;
typedef Sandferry__V1__Process process_t;
typedef Sandferry__V1__ProcessOutput output_t;

static void section_free(section_t *section)
{
    if (section != NULL)
        sandferry__v1__process_section__free_unpacked(section, NULL);
}
SF_DEFINE_CLEANUP(section_t, section_free)

/* ---- To the wire. What is borrowed from the books is not freed with the message. ---- */

/* One process as a message, with room for what hangs in it. */
struct wire_process {
    process_t message;
    output_t out[2];
    uint8_t *held[2]; /* owned */
    Google__Protobuf__Timestamp exited_at;
};

static size_t at_most(size_t size, size_t limit)
{
    return size < limit ? size : limit;
}

/* What a process that waits has not been rid of yet always goes along. */
static size_t held_of(const struct process *p, unsigned number, size_t limit)
{
    size_t least = p->waits ? WAITING_HELD : 0;

    return at_most(p->out[number].size, limit > least ? limit : least);
}

static size_t held_in_all(const struct processes *p, size_t limit)
{
    size_t sum = 0;

    for (size_t i = 0; i < p->n; i++)
        sum += held_of(p->list[i], 0, limit) + held_of(p->list[i], 1, limit);
    return sum;
}
static_assert(2 * WAITING_MAX * WAITING_HELD <= HELD_IN_ALL, "those that wait fit");

/* How many bytes each stream may take along, so that the section stays small: the most with which
 * all of them are within HELD_IN_ALL. */
static size_t held_limit(const struct processes *p)
{
    size_t fits = 0, too_much = RING_SIZE + 1;

    while (too_much - fits > 1) {
        size_t middle = (fits + too_much) / 2;
        if (held_in_all(p, middle) <= HELD_IN_ALL)
            fits = middle;
        else
            too_much = middle;
    }
    return fits;
}

static bool output_to_wire(const struct process *p, size_t limit, struct wire_process *w,
                           unsigned number)
{
    const struct ring *r = &p->out[number];
    output_t *out = &w->out[number];
    size_t size = held_of(p, number, limit);

    sandferry__v1__process_output__init(out);
    out->offset = r->end - size; /* the newest */
    out->closed = r->closed;
    if (size == 0)
        return true;
    w->held[number] = malloc(size);
    if (w->held[number] == NULL)
        return false;
    out->held.len = ring_copy(r, out->offset, w->held[number], size);
    out->held.data = w->held[number];
    return true;
}

static bool to_wire(const struct process *p, size_t limit, struct wire_process *w)
{
    process_t *m = &w->message;

    sandferry__v1__process__init(m);
    m->container_id = (char *)(uintptr_t)p->container_id;
    m->exec_id = (char *)(uintptr_t)p->exec_id;
    m->guest_container_id = (char *)(uintptr_t)p->guest_container_id;
    m->stage = (Sandferry__V1__ProcessStage)p->state;
    m->pid = p->pid;
    m->terminal = p->terminal;
    if (p->spec != NULL)
        m->spec = p->spec;
    m->exit_code = p->exit_code;
    if (p->exited_at_ns > 0) {
        google__protobuf__timestamp__init(&w->exited_at);
        w->exited_at.seconds = p->exited_at_ns / NS_PER_S;
        w->exited_at.nanos = (int32_t)(p->exited_at_ns % NS_PER_S);
        m->exited_at = &w->exited_at;
    }
    m->stdin_offset = p->stdin_offset;
    m->stdin_closed = p->stdin_closed;
    m->stdout = &w->out[0];
    m->stderr = &w->out[1];
    m->waits_for_readers = p->waits;
    return output_to_wire(p, limit, w, 0) && output_to_wire(p, limit, w, 1);
}

static bool pack(section_t *section, struct sf_bytes *ret, struct sf_error **err)
{
    size_t size = sandferry__v1__process_section__get_packed_size(section);
    uint8_t *data = malloc(size);

    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a section of %zu bytes", size);
    sandferry__v1__process_section__pack(section, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    return true;
}

bool processes_to_section(const struct processes *p, struct sf_bytes *ret, struct sf_error **err)
{
    section_t section = SANDFERRY__V1__PROCESS_SECTION__INIT;
    struct wire_process *wires = calloc(p->n + 1, sizeof(*wires));
    process_t **list = calloc(p->n + 1, sizeof(*list));
    size_t limit = held_limit(p);
    bool ok = wires != NULL && list != NULL;

    for (size_t i = 0; ok && i < p->n; i++) {
        ok = to_wire(p->list[i], limit, &wires[i]);
        list[i] = &wires[i].message;
    }
    section.schema_version = PROCESS_SECTION_VERSION;
    section.processes = list;
    section.n_processes = p->n;
    ok = ok ? pack(&section, ret, err) : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (size_t i = 0; wires != NULL && i < p->n; i++) {
        free(wires[i].held[0]);
        free(wires[i].held[1]);
    }
    free(wires);
    free(list);
    return ok;
}

/* ---- From the wire ---- */

static bool output_from_wire(struct ring *r, const output_t *wire, struct sf_error **err)
{
    if (wire == NULL)
        return true;
    if (wire->held.len > RING_SIZE)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%zu bytes are held; at most %d", wire->held.len,
                       RING_SIZE);
    if (wire->offset > OFFSET_MAX - wire->held.len)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "offset %llu and the bytes held are beyond 2^62, where streams end",
                       (unsigned long long)wire->offset);
    r->end = wire->offset;
    r->closed = wire->closed;
    return ring_add(r, wire->held.data, wire->held.len)
               ? true
               : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for output");
}

static bool check(const process_t *wire, struct sf_error **err)
{
    if (!sf_id_valid(wire->container_id) || !sf_id_valid(wire->guest_container_id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.80s' or '%.80s' is no container id",
                       wire->container_id, wire->guest_container_id);
    if (wire->exec_id[0] == '\0' && wire->stage == STAGE(NOT_CREATED))
        return sf_fail(err, SF_INVALID_ARGUMENT, "an init process that is only recorded");
    if (wire->exec_id[0] != '\0' && wire->stage == STAGE(NOT_CREATED) && wire->spec[0] == '\0')
        return sf_fail(err, SF_INVALID_ARGUMENT, "recorded '%.80s' has no spec to be started with",
                       wire->exec_id);
    if (wire->exec_id[0] != '\0' && !sf_id_valid(wire->exec_id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.80s' is no exec id", wire->exec_id);
    if ((unsigned)wire->stage >= PROCESS_N_STATES)
        return sf_fail(err, SF_INVALID_ARGUMENT, "unknown stage %d", (int)wire->stage);
    if (wire->exit_code > 255)
        return sf_fail(err, SF_INVALID_ARGUMENT, "exit code %u; at most 255", wire->exit_code);
    if (wire->exited_at != NULL &&
        (wire->exited_at->seconds < 0 || wire->exited_at->seconds > INT64_MAX / NS_PER_S - 1 ||
         wire->exited_at->nanos < 0 || wire->exited_at->nanos >= NS_PER_S))
        return sf_fail(err, SF_INVALID_ARGUMENT, "exited_at is no time");
    return true;
}

static bool from_wire(struct processes *p, const process_t *wire, struct sf_error **err)
{
    if (!check(wire, err))
        return false;
    struct process *new = process_add(p, wire->container_id, wire->exec_id, err);
    if (new == NULL)
        return false;

    snprintf(new->guest_container_id, sizeof(new->guest_container_id), "%s",
             wire->guest_container_id);
    new->state = (unsigned)wire->stage;
    new->pid = wire->pid;
    new->terminal = wire->terminal;
    new->exit_code = wire->exit_code;
    new->stdin_offset = wire->stdin_offset;
    new->stdin_closed = wire->stdin_closed;
    new->waits = wire->waits_for_readers;
    if (wire->exited_at != NULL)
        new->exited_at_ns = wire->exited_at->seconds *NS_PER_S + wire->exited_at->nanos;
    if (wire->spec[0] != '\0' && (new->spec = strdup(wire->spec)) == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    if (!output_from_wire(&new->out[0], wire->stdout, err) ||
        !output_from_wire(&new->out[1], wire->stderr, err))
        return false;
    /* Less than the agent has been told, maybe; never more: it would wait for ever. */
    new->taken[0] = ring_begin(&new->out[0]);
    new->taken[1] = ring_begin(&new->out[1]);
    return true;
}

bool processes_from_section(struct processes *p, const struct sf_bytes *bytes,
                            struct sf_error **err)
{
    if (!sf_wire_check(&sandferry__v1__process_section__descriptor, bytes->data, bytes->size,
                       &sf_wire_snapshot, err))
        return false;
    SF_CLEANUP(section_freep)
    section_t *wire = sandferry__v1__process_section__unpack(NULL, bytes->size, bytes->data);
    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a ProcessSection");
    for (size_t i = 0; i < wire->n_processes; i++) {
        if (from_wire(p, wire->processes[i], err))
            continue;
        processes_empty(p);
        return sf_fail_in(err, "processes[%zu]", i);
    }
    return true;
}
