/* Init processes of containers: their streams, their input, their ends. */
#include "guest/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 256
#define WINDOW        (256 * 1024)      /* bytes beyond what the host has taken */
#define CHUNK         (32 * 1024)       /* bytes in one message */
#define INPUT_MAX     (256 * 1024)      /* bytes of input kept for a slow process */
#define EARLY_MAX     64                /* ends that came before anybody asked */

struct stream {
    int fd; /* the agent's end; -1: closed */
    uint64_t sent, taken;
    bool closed_told;
    bool readable; /* poll() said so; stays until a read says otherwise */
};

struct process {
    char container_id[65], exec_id[65];
    pid_t pid; /* 0: not made yet */
    int child_fds[3];
    struct stream out[2]; /* stdout, stderr */
    int input_fd;
    uint8_t *input;
    size_t input_size;
    uint64_t input_offset;
    bool input_closing;
    uint64_t input_call; /* the request that waits for room; 0: none */
    bool ended, ended_told;
    uint32_t exit_code;
    int64_t ended_at_ns;
};

static struct process *processes[PROCESSES_MAX];

static struct {
    pid_t pid;
    int status;
} early[EARLY_MAX];
static unsigned early_next;

struct process *process_find(const char *container_id, const char *exec_id)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] != NULL && strcmp(processes[i]->container_id, container_id) == 0 &&
            strcmp(processes[i]->exec_id, exec_id) == 0)
            return processes[i];
    return NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void free_process(struct process *p)
{
    for (int i = 0; i < 3; i++)
        close_fd(&p->child_fds[i]);
    for (int i = 0; i < 2; i++)
        close_fd(&p->out[i].fd);
    close_fd(&p->input_fd);
    free(p->input);
    free(p);
}

static bool open_pipes(struct process *p)
{
    int in[2], out[2], err[2];

    if (pipe2(in, O_CLOEXEC) < 0)
        return false;
    p->child_fds[0] = in[0];
    p->input_fd = in[1];
    if (pipe2(out, O_CLOEXEC) < 0)
        return false;
    p->child_fds[1] = out[1];
    p->out[0].fd = out[0];
    if (pipe2(err, O_CLOEXEC) < 0)
        return false;
    p->child_fds[2] = err[1];
    p->out[1].fd = err[0];
    fcntl(p->input_fd, F_SETFL, O_NONBLOCK);
    fcntl(p->out[0].fd, F_SETFL, O_NONBLOCK);
    fcntl(p->out[1].fd, F_SETFL, O_NONBLOCK);
    return true;
}

struct process *process_new(const char *container_id, const char *exec_id, struct outcome *o)
{
    int slot = 0;

    while (slot < PROCESSES_MAX && processes[slot] != NULL)
        slot++;
    struct process *p = slot < PROCESSES_MAX ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL) {
        fail(o, AGENT_RESOURCE_EXHAUSTED, "the guest has no room for another process");
        return NULL;
    }
    *p = (struct process){.child_fds = {-1, -1, -1}, .out = {{.fd = -1}, {.fd = -1}}, .input_fd = -1};
    snprintf(p->container_id, sizeof(p->container_id), "%s", container_id);
    snprintf(p->exec_id, sizeof(p->exec_id), "%s", exec_id);
    if (!open_pipes(p)) {
        fail(o, AGENT_RESOURCE_EXHAUSTED, "pipes for container '%s': %s", container_id,
             strerror(errno));
        free_process(p);
        return NULL;
    }
    processes[slot] = p;
    return p;
}

const int *process_child_fds(const struct process *p)
{
    return p->child_fds;
}

static void forget(struct process *p)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] == p)
            processes[i] = NULL;
    free_process(p);
}

static void note_end(struct process *p, int status)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    p->ended = true;
    p->ended_at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    p->exit_code = WIFSIGNALED(status) ? 128 + (uint32_t)WTERMSIG(status)
                                       : (uint32_t)WEXITSTATUS(status);
    p->out[0].readable = p->out[1].readable = true; /* look once more */
}

void process_created(struct process *p, pid_t pid)
{
    if (pid <= 0) {
        forget(p);
        return;
    }
    p->pid = pid;
    for (int i = 0; i < 3; i++)
        close_fd(&p->child_fds[i]);
    for (unsigned i = 0; i < EARLY_MAX; i++) {
        if (early[i].pid == pid) {
            early[i].pid = 0;
            note_end(p, early[i].status);
        }
    }
}

void process_forget(const char *container_id)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] != NULL && strcmp(processes[i]->container_id, container_id) == 0)
            forget(processes[i]);
}

bool process_any_alive(const char *container_id)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] != NULL && strcmp(processes[i]->container_id, container_id) == 0 &&
            processes[i]->pid > 0 && !processes[i]->ended)
            return true;
    return false;
}

bool process_child_ended(pid_t pid, int status)
{
    for (int i = 0; i < PROCESSES_MAX; i++) {
        if (processes[i] != NULL && processes[i]->pid == pid) {
            note_end(processes[i], status);
            return true;
        }
    }
    early[early_next].pid = pid;
    early[early_next].status = status;
    early_next = (early_next + 1) % EARLY_MAX;
    return false;
}

bool process_signal(const Sandferry__V1__AgentSignal *r, struct outcome *o)
{
    struct process *p = process_find(r->container_id, r->exec_id);

    if (p == NULL || p->pid == 0)
        return fail(o, AGENT_NOT_FOUND, "container '%s' has no process '%s' in the guest",
                    r->container_id, r->exec_id);
    if (r->signal < 1 || r->signal > 64)
        return fail(o, AGENT_INVALID_ARGUMENT, "there is no signal %u", r->signal);
    if (p->ended)
        return fail(o, AGENT_NOT_FOUND, "the process of container '%s' has ended", r->container_id);
    if (kill(p->pid, (int)r->signal) < 0)
        return fail(o, errno == ESRCH ? AGENT_NOT_FOUND : AGENT_INTERNAL,
                    "signal %u to container '%s': %s", r->signal, r->container_id, strerror(errno));
    return true;
}

/* ---- input ---- */

static void answer_input(struct process *p)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentInputReply input = SANDFERRY__V1__AGENT_INPUT_REPLY__INIT;
    struct outcome o = {0};

    input.offset = p->input_offset;
    reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_INPUT;
    reply.input = &input;
    uint64_t id = p->input_call;
    p->input_call = 0;
    request_answer(id, &o, &reply);
}

static void pump_input(struct process *p)
{
    while (p->input_fd >= 0 && p->input_size > 0) {
        ssize_t n = write(p->input_fd, p->input, p->input_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) { /* it reads no more: what it was given is gone, as with any pipe */
            p->input_size = 0;
            close_fd(&p->input_fd);
            break;
        }
        p->input_size -= (size_t)n;
        memmove(p->input, p->input + n, p->input_size);
    }
    if (p->input_closing && p->input_size == 0)
        close_fd(&p->input_fd);
    if (p->input_call != 0 && p->input_size <= INPUT_MAX / 2)
        answer_input(p);
}

void process_input(uint64_t id, const Sandferry__V1__AgentInput *r)
{
    struct process *p = process_find(r->container_id, r->exec_id);
    struct outcome o = {0};

    if (p == NULL)
        fail(&o, AGENT_NOT_FOUND, "container '%s' has no process '%s' in the guest",
             r->container_id, r->exec_id);
    else if (p->input_call != 0)
        fail(&o, AGENT_FAILED_PRECONDITION, "container '%s' has not read its earlier input yet",
             r->container_id);
    else if (p->input_closing || p->input_fd < 0)
        fail(&o, AGENT_FAILED_PRECONDITION, "the standard input of container '%s' is closed",
             r->container_id);
    else if (r->data.len > 64 * 1024 || p->input_size + r->data.len > INPUT_MAX)
        fail(&o, AGENT_INVALID_ARGUMENT, "%zu bytes of input at once; at most 65536", r->data.len);

    uint8_t *grown = o.code == 0 ? realloc(p->input, p->input_size + r->data.len + 1) : NULL;
    if (o.code == 0 && grown == NULL)
        fail(&o, AGENT_RESOURCE_EXHAUSTED, "no memory for input");
    if (o.code != 0) {
        Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
        request_answer(id, &o, &reply);
        return;
    }
    p->input = grown;
    if (r->data.len > 0)
        memcpy(p->input + p->input_size, r->data.data, r->data.len);
    p->input_size += r->data.len;
    p->input_offset += r->data.len;
    p->input_closing = r->close;
    p->input_call = id;
    pump_input(p);
}

/* ---- output ---- */

void process_output_taken(const Sandferry__V1__AgentOutputTaken *r)
{
    struct process *p = process_find(r->container_id, r->exec_id);

    if (p == NULL || r->stream < 1 || r->stream > 2)
        return;
    struct stream *s = &p->out[r->stream - 1];
    if (r->offset > s->taken && r->offset <= s->sent)
        s->taken = r->offset;
}

static bool send_output(struct process *p, unsigned number, const uint8_t *data, size_t size,
                        bool closed)
{
    struct stream *s = &p->out[number];
    Sandferry__V1__AgentOutput output = SANDFERRY__V1__AGENT_OUTPUT__INIT;
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;
    Sandferry__V1__AgentMessage message = SANDFERRY__V1__AGENT_MESSAGE__INIT;

    output.container_id = p->container_id;
    output.exec_id = p->exec_id;
    output.stream = number + 1;
    output.offset = s->sent;
    output.data = (ProtobufCBinaryData){.data = (uint8_t *)data, .len = size};
    output.closed = closed;
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_OUTPUT;
    event.output = &output;
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_EVENT;
    message.event = &event;
    return port_send(&message);
}

/* Whether more may be read from the pipe and sent: then the bytes have a place. */
static bool may_send(const struct stream *s)
{
    return !agent_frozen() && s->fd >= 0 && s->sent - s->taken + CHUNK <= WINDOW &&
           port_has_room(CHUNK);
}

static void pump_output(struct process *p, unsigned number)
{
    static uint8_t buffer[CHUNK];
    struct stream *s = &p->out[number];

    while (s->readable && may_send(s)) {
        ssize_t n = read(s->fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            s->readable = false;
            return;
        }
        if (n == 0) {
            close_fd(&s->fd);
            s->closed_told = send_output(p, number, NULL, 0, true);
            return;
        }
        if (!send_output(p, number, buffer, (size_t)n, false)) {
            agent_log("output of container '%s' found no memory and is lost", p->container_id);
            return;
        }
        s->sent += (uint64_t)n;
    }
}

/* The end is told after all that the process wrote; others may still hold its pipes open. */
static void tell_end(struct process *p)
{
    for (int i = 0; i < 2; i++)
        if (p->out[i].fd >= 0 && p->out[i].readable)
            return;
    if (!p->ended || p->ended_told || agent_frozen() || !port_has_room(CHUNK))
        return;

    Sandferry__V1__AgentExited exited = SANDFERRY__V1__AGENT_EXITED__INIT;
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;
    Sandferry__V1__AgentMessage message = SANDFERRY__V1__AGENT_MESSAGE__INIT;
    exited.container_id = p->container_id;
    exited.exec_id = p->exec_id;
    exited.exit_code = p->exit_code;
    exited.exited_at_ns = p->ended_at_ns;
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_EXITED;
    event.exited = &exited;
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_EVENT;
    message.event = &event;
    p->ended_told = port_send(&message);
}

int process_poll_fds(struct pollfd *fds, int room)
{
    int n = 0;

    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = processes[i];
        if (p == NULL || p->pid == 0)
            continue;
        for (int k = 0; k < 2 && n < room; k++)
            if (!p->out[k].readable && may_send(&p->out[k]))
                fds[n++] = (struct pollfd){.fd = p->out[k].fd, .events = POLLIN};
        if (p->input_fd >= 0 && p->input_size > 0 && n < room)
            fds[n++] = (struct pollfd){.fd = p->input_fd, .events = POLLOUT};
    }
    return n;
}

void process_ready(const struct pollfd *fd)
{
    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = processes[i];
        if (p == NULL)
            continue;
        for (int k = 0; k < 2; k++)
            if (p->out[k].fd == fd->fd)
                p->out[k].readable = true;
    }
}

void process_pump(void)
{
    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = processes[i];
        if (p == NULL || p->pid == 0)
            continue;
        pump_input(p);
        pump_output(p, 0);
        pump_output(p, 1);
        tell_end(p);
    }
}
