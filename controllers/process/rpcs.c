/* ProcessService: requests to moves. */
#include "process/process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "process/wire.h"

extern const uint8_t process_files[];
extern const size_t process_files_size;

#define CHUNK (64 * 1024) /* bytes of input at once */

typedef Sandferry__V1__Process process_t;

#define FIND(c, q, err) process_find_for((c), (q)->container_id, (q)->exec_id, (err))

static struct processes *processes_of(struct sf_controller *c)
{
    return (struct processes *)c; /* base is the first member */
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
    const struct process *p = FIND(c, q, err);

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
    if (p->state == PROCESS_NOT_CREATED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the process '%s' of container '%s' has not been started", q->exec_id,
                       q->container_id);
    return guest_signal(processes_of(c), p, q->signal, err);
}

static bool wait_process(struct sf_controller *c, struct sf_call *call, const void *request,
                         void *reply, struct sf_error **err)
{
    const Sandferry__V1__WaitProcessRequest *q = request;
    Sandferry__V1__WaitProcessResponse *out = reply;
    const struct process *p = FIND(c, q, err);
    uint64_t serial = p != NULL ? p->serial : 0;

    while (p != NULL && !process_end_is_known(p)) {
        if (!process_may_end(processes_of(c), p, err) || !sf_call_wait(call, err))
            return false; /* it may have been forgotten meanwhile */
        p = process_find_again(c, q->container_id, q->exec_id, serial, err);
    }
    return p != NULL && (out->process = process_message(p, err)) != NULL;
}

/* ---- Begin and end ---- */

static bool exec_process(struct sf_controller *c, struct sf_call *call, const void *request,
                         void *reply, struct sf_error **err)
{
    const Sandferry__V1__ExecProcessRequest *q = request;
    Sandferry__V1__ExecProcessResponse *out = reply;
    const struct wanted_process wanted = {
        .container_id = q->container_id,
        .exec_id = q->exec_id,
        .spec = q->spec,
        .args = q->args,
        .n_args = q->n_args,
        .env = q->env,
        .n_env = q->n_env,
        .working_directory = q->working_directory,
        .user = q->user,
        .terminal = q->terminal,
        .columns = q->columns,
        .rows = q->rows,
        .input = q->input,
        .waits = q->wait_for_readers,
    };
    struct process *new;

    (void)call;
    if (!process_record(processes_of(c), &wanted, &new, err))
        return false;
    if (q->record_only || process_start(processes_of(c), new, err))
        return (out->process = process_message(new, err)) != NULL;
    process_remove(processes_of(c), new);
    return false;
}

static bool start_process(struct sf_controller *c, struct sf_call *call, const void *request,
                          void *reply, struct sf_error **err)
{
    const Sandferry__V1__StartProcessRequest *q = request;
    Sandferry__V1__StartProcessResponse *out = reply;
    struct process *p = FIND(c, q, err);

    (void)call;
    return p != NULL && process_start(processes_of(c), p, err) &&
           (out->process = process_message(p, err)) != NULL;
}

/* One that has ended on its own meanwhile is what was wanted. */
static bool kill_it(struct processes *p, const struct process *process, struct sf_error **err)
{
    if (guest_signal(p, process, SIGKILL, err))
        return true;
    if (sf_error_code(*err) != SF_NOT_FOUND)
        return false;
    sf_error_free(*err);
    *err = NULL;
    return true;
}

static bool delete_process(struct sf_controller *c, struct sf_call *call, const void *request,
                           void *reply, struct sf_error **err)
{
    const Sandferry__V1__DeleteProcessRequest *q = request;
    Sandferry__V1__DeleteProcessResponse *out = reply;
    struct process *p = FIND(c, q, err);
    uint64_t serial = p != NULL ? p->serial : 0;

    if (p == NULL)
        return false;
    if (q->exec_id[0] == '\0')
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the init process of container '%s' goes with it: delete the container",
                       q->container_id);
    if (p->state == PROCESS_RUNNING && !q->force)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the process '%s' of container '%s' runs; kill it first, or delete it with "
                       "force",
                       q->exec_id, q->container_id);
    if (p->state == PROCESS_RUNNING && !kill_it(processes_of(c), p, err))
        return false;
    while (p != NULL && p->state == PROCESS_RUNNING) {
        if (!sf_call_wait(call, err))
            return false;
        p = process_find_again(c, q->container_id, q->exec_id, serial, err);
    }
    return p != NULL && (out->process = process_message(p, err)) != NULL &&
           process_delete(processes_of(c), p, err);
}

/* ---- Input, terminal ---- */

/* All of it was taken before, though the answer may have been lost: even one that has ended since
 * has taken it. */
static bool was_taken(const struct process *p, const Sandferry__V1__WriteInputRequest *q)
{
    return q->at_offset && q->offset <= p->stdin_offset &&
           q->data.len <= p->stdin_offset - q->offset && (!q->close || p->stdin_closed) &&
           (q->data.len > 0 || q->close);
}

static bool check_input(const struct process *p, const Sandferry__V1__WriteInputRequest *q,
                        struct sf_error **err)
{
    if (q->data.len > CHUNK)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%zu bytes of input; at most %d at once",
                       q->data.len, CHUNK);
    if (p->state == PROCESS_NOT_CREATED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the process '%s' of container '%s' has not been started", q->exec_id,
                       q->container_id);
    if (q->at_offset && q->offset > p->stdin_offset)
        return sf_fail(err, SF_OUT_OF_RANGE,
                       "offset %llu is beyond the %llu bytes that the process has been given",
                       (unsigned long long)q->offset, (unsigned long long)p->stdin_offset);
    return true;
}

static bool write_input(struct sf_controller *c, struct sf_call *call, const void *request,
                        void *reply, struct sf_error **err)
{
    const Sandferry__V1__WriteInputRequest *q = request;
    Sandferry__V1__WriteInputResponse *out = reply;
    const struct input input = {.data = q->data.data,
                                .size = q->data.len,
                                .close = q->close,
                                .at_offset = q->at_offset,
                                .offset = q->offset};
    struct process *p = FIND(c, q, err);

    (void)call;
    if (p == NULL || !check_input(p, q, err))
        return false;
    if (!was_taken(p, q)) {
        if (p->state == PROCESS_TERMINATED || p->stdin_closed)
            return sf_fail(err, SF_FAILED_PRECONDITION,
                           "the standard input of process '%s' of container '%s' is closed",
                           q->exec_id, q->container_id);
        if (!guest_input(processes_of(c), p, &input, err))
            return false;
    }
    out->offset = p->stdin_offset;
    return true;
}

static bool close_input(struct sf_controller *c, struct sf_call *call, const void *request,
                        void *reply, struct sf_error **err)
{
    const Sandferry__V1__CloseInputRequest *q = request;
    Sandferry__V1__CloseInputResponse *out = reply;
    const struct input input = {.close = true};
    struct process *p = FIND(c, q, err);

    (void)call;
    if (p == NULL)
        return false;
    if (p->state == PROCESS_NOT_CREATED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the process '%s' of container '%s' has not been started", q->exec_id,
                       q->container_id);
    if (!p->stdin_closed && p->state != PROCESS_TERMINATED &&
        !guest_input(processes_of(c), p, &input, err))
        return false;
    out->offset = p->stdin_offset;
    return true;
}

static bool resize_terminal(struct sf_controller *c, struct sf_call *call, const void *request,
                            void *reply, struct sf_error **err)
{
    const Sandferry__V1__ResizeTerminalRequest *q = request;
    const struct process *p = FIND(c, q, err);

    (void)call;
    (void)reply;
    if (p == NULL)
        return false;
    if (q->columns < 1 || q->columns > UINT16_MAX || q->rows < 1 || q->rows > UINT16_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "a terminal of %u columns and %u rows", q->columns,
                q->rows);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "columns", "must be 1 to 65535, as rows");
    }
    if (!p->terminal)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the process '%s' of container '%s' has no terminal", q->exec_id,
                       q->container_id);
    if (p->state != PROCESS_CREATED && p->state != PROCESS_RUNNING)
        return sf_fail(err, SF_FAILED_PRECONDITION, "the process '%s' of container '%s' is %s",
                       q->exec_id, q->container_id, process_machine.states[p->state]);
    return guest_resize(processes_of(c), p, q->columns, q->rows, err);
}

/* clang-format off */
static const struct sf_method methods[] = {
    /* method           does it          who may       how                                          */
    { "ExecProcess",    exec_process,    SF_OPERATOR,  0                                            },
    { "StartProcess",   start_process,   SF_OPERATOR,  0                                            },
    { "DeleteProcess",  delete_process,  SF_OPERATOR,  SF_METHOD_WAITS                              },
    { "ListProcesses",  list_processes,  SF_READER,    SF_METHOD_READS                              },
    { "SignalProcess",  signal_process,  SF_OPERATOR,  0                                            },
    { "WaitProcess",    wait_process,    SF_READER,    SF_METHOD_READS | SF_METHOD_WAITS            },
    { "ReadOutput",     process_read_output, SF_READER, SF_METHOD_READS | SF_METHOD_STREAM          },
    { "AttachProcess",  process_attach,  SF_OPERATOR,  SF_METHOD_READS | SF_METHOD_STREAM           },
    { "WriteInput",     write_input,     SF_OPERATOR,  0                                            },
    { "CloseInput",     close_input,     SF_OPERATOR,  0                                            },
    { "ResizeTerminal", resize_terminal, SF_OPERATOR,  0                                            },
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
