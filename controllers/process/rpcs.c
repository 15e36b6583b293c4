/* ProcessService: requests to moves. */
#include "process/process.h"

#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/process.pb-c.h"

extern const uint8_t process_files[];
extern const size_t process_files_size;

#define CHUNK (64 * 1024) /* bytes in one message of a stream */

typedef Sandferry__V1__Process process_t;

static struct processes *processes_of(struct sf_controller *c)
{
    return (struct processes *)c; /* base is the first member */
}

static struct process *find(struct sf_controller *c, const char *container_id, const char *exec_id,
                            struct sf_error **err)
{
    struct process *p = process_find(processes_of(c), container_id, exec_id);

    if (p == NULL)
        sf_fail(err, SF_NOT_FOUND, "sandbox '%s' has no process '%s' in container '%s'",
                sf_sandbox_id(c->sandbox), exec_id, container_id);
    return p;
}

/* After a wait: the same one, not another that has its ids now. */
static struct process *find_again(struct sf_controller *c, const char *container_id,
                                  const char *exec_id, uint64_t serial, struct sf_error **err)
{
    struct process *p = find(c, container_id, exec_id, err);

    if (p == NULL || p->serial == serial)
        return p;
    sf_fail(err, SF_NOT_FOUND, "the process '%s' of container '%s' is gone; another has its id now",
            exec_id, container_id);
    return NULL;
}

/* Who waits for one that was lost with its VM is told by the wait what became of the sandbox. */
static bool end_is_known(const struct process *p)
{
    return p->state == PROCESS_TERMINATED && !p->lost;
}

/* ---- As messages, without the bytes that are held ---- */

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

static process_t *process_message(const struct process *p, struct sf_error **err)
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

/* ---- Methods ---- */

static bool list_processes(struct sf_controller *c, struct sf_call *call, const void *request,
                           void *reply, struct sf_error **err)
{
    const Sandferry__V1__ListProcessesRequest *q = request;
    Sandferry__V1__ListProcessesResponse *out = reply;
    const struct processes *p = processes_of(c);

    (void)call;
    out->processes = calloc(p->n + 1, sizeof(*out->processes));
    if (out->processes == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
    for (size_t i = 0; i < p->n; i++) {
        if (q->container_id[0] != '\0' && strcmp(q->container_id, p->list[i]->container_id) != 0)
            continue;
        process_t *m = process_message(p->list[i], err);
        if (m == NULL)
            return false;
        out->processes[out->n_processes++] = m;
    }
    return true;
}

static bool signal_process(struct sf_controller *c, struct sf_call *call, const void *request,
                           void *reply, struct sf_error **err)
{
    const Sandferry__V1__SignalProcessRequest *q = request;
    const struct process *p = find(c, q->container_id, q->exec_id, err);

    (void)call;
    (void)reply;
    if (p == NULL)
        return false;
    if (q->signal < 1 || q->signal > 64) {
        sf_fail(err, SF_INVALID_ARGUMENT, "there is no signal %u", q->signal);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "signal", "must be 1 to 64");
    }
    if (p->state == PROCESS_TERMINATED)
        return sf_fail(err, SF_NOT_FOUND,
                       "the process '%s' of container '%s' has ended, with exit code %u",
                       q->exec_id, q->container_id, p->exit_code);
    return guest_signal(processes_of(c), p, q->signal, err);
}

static bool wait_process(struct sf_controller *c, struct sf_call *call, const void *request,
                         void *reply, struct sf_error **err)
{
    const Sandferry__V1__WaitProcessRequest *q = request;
    Sandferry__V1__WaitProcessResponse *out = reply;
    const struct process *p = find(c, q->container_id, q->exec_id, err);
    uint64_t serial = p != NULL ? p->serial : 0;

    while (p != NULL && !end_is_known(p)) {
        if (!sf_call_wait(call, err)) /* it may have been forgotten meanwhile */
            return false;
        p = find_again(c, q->container_id, q->exec_id, serial, err);
    }
    return p != NULL && (out->process = process_message(p, err)) != NULL;
}

/* Sends what is held from *@offset on. */
static bool send_output(struct sf_call *call, const struct ring *r, uint64_t *offset,
                        uint8_t *buffer, struct sf_error **err)
{
    Sandferry__V1__ReadOutputResponse message = SANDFERRY__V1__READ_OUTPUT_RESPONSE__INIT;
    uint64_t begin = ring_begin(r);

    if (*offset < begin) {
        message.lost = begin - *offset;
        *offset = begin;
    }
    message.offset = *offset;
    message.data.len = ring_copy(r, *offset, buffer, CHUNK);
    message.data.data = buffer;
    *offset += message.data.len;
    return sf_call_send(call, &message, err);
}

static bool stream_output(struct sf_controller *c, struct sf_call *call,
                          const Sandferry__V1__ReadOutputRequest *q, uint8_t *buffer,
                          struct sf_error **err)
{
    unsigned number = q->stream == SANDFERRY__V1__OUTPUT_STREAM__OUTPUT_STREAM_STDERR ? 1 : 0;
    uint64_t offset = q->offset;
    const struct process *p = find(c, q->container_id, q->exec_id, err);
    uint64_t serial = p != NULL ? p->serial : 0;

    /* Both a send and a wait give the lock back: everything may have changed. */
    for (; p != NULL; p = find_again(c, q->container_id, q->exec_id, serial, err)) {
        const struct ring *r = &p->out[number];
        if (offset > r->end)
            return sf_fail(err, SF_OUT_OF_RANGE,
                           "offset %llu is beyond the %llu bytes that there are",
                           (unsigned long long)offset, (unsigned long long)r->end);
        if (offset < r->end) {
            if (!send_output(call, r, &offset, buffer, err))
                return false;
            continue;
        }
        if (r->closed || !q->follow || p->state == PROCESS_NOT_CREATED ||
            end_is_known(p)) /* the guest tells of an end after all output */
            return true;
        if (!sf_call_wait(call, err))
            return false;
    }
    return false;
}

static bool read_output(struct sf_controller *c, struct sf_call *call, const void *request,
                        void *reply, struct sf_error **err)
{
    uint8_t *buffer = malloc(CHUNK);
    bool ok = buffer != NULL ? stream_output(c, call, request, buffer, err)
                             : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");

    (void)reply;
    free(buffer);
    return ok;
}

static bool write_input(struct sf_controller *c, struct sf_call *call, const void *request,
                        void *reply, struct sf_error **err)
{
    const Sandferry__V1__WriteInputRequest *q = request;
    Sandferry__V1__WriteInputResponse *out = reply;
    struct process *p = find(c, q->container_id, q->exec_id, err);

    (void)call;
    if (p == NULL)
        return false;
    if (q->data.len > CHUNK)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%zu bytes of input; at most %d at once",
                       q->data.len, CHUNK);
    if (p->state == PROCESS_TERMINATED || p->stdin_closed)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the standard input of process '%s' of container '%s' is closed", q->exec_id,
                       q->container_id);
    if (!guest_input(processes_of(c), p, q->data.data, q->data.len, q->close, err))
        return false;
    out->offset = p->stdin_offset;
    return true;
}

/* clang-format off */
static const struct sf_method methods[] = {
    /* method           does it          who may       how                                          */
    { "ListProcesses",  list_processes,  SF_READER,    SF_METHOD_READS                              },
    { "SignalProcess",  signal_process,  SF_OPERATOR,  0                                            },
    { "WaitProcess",    wait_process,    SF_READER,    SF_METHOD_READS | SF_METHOD_WAITS            },
    { "ReadOutput",     read_output,     SF_READER,    SF_METHOD_READS | SF_METHOD_STREAM           },
    { "WriteInput",     write_input,     SF_OPERATOR,  0                                            },
    { 0 },
};
/* clang-format on */

struct sf_service process_services[] = {
    {.descriptor = &sandferry__v1__process_service__descriptor,
     .methods = methods,
     .files = process_files},
    {0},
};

/* The linker knows the size of the files, the compiler does not. Runs when the object is opened. */
__attribute__((constructor)) static void set_files_size(void)
{
    process_services[0].files_size = process_files_size;
}
