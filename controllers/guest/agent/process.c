#include "guest/agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 256
#define EARLY_MAX     64

static struct process *processes[PROCESSES_MAX];

/* Ends of children that nobody knew: a process may end before it is known to be made. Kept only
 * while one is being made, since a pid is used again some day. */
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

void process_each(void (*fn)(const struct process *p, void *context), void *context)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] != NULL)
            fn(processes[i], context);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_child_fds(struct process *p)
{
    for (int i = 0; i < 3; i++)
        close_fd(&p->child_fds[i]);
}

static void free_process(struct process *p)
{
    close_child_fds(p);
    close_fd(&p->console_listener);
    close_fd(&p->out[0].fd);
    close_fd(&p->out[1].fd);
    close_fd(&p->in.fd);
    free(p->in.held);
    free(p);
}

static void drop(int slot)
{
    free_process(processes[slot]);
    processes[slot] = NULL;
}

static bool open_pipe(int *ours, int *theirs, bool reads)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    *ours = ends[reads ? 0 : 1];
    *theirs = ends[reads ? 1 : 0];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

static bool open_input(struct process *p, bool none)
{
    if (!none)
        return open_pipe(&p->in.fd, &p->child_fds[0], false);
    p->child_fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    p->in.closing = true;
    return p->child_fds[0] >= 0;
}

/* What is in the pipe at the end is sent beyond the window: it is no larger than that. */
static bool open_output(struct output *out, int *theirs)
{
    return open_pipe(&out->fd, theirs, true) &&
           (out->window.size == 0 || fcntl(out->fd, F_SETPIPE_SZ, (int)out->window.size) > 0);
}

static bool open_pipes(struct process *p, bool no_input)
{
    return open_input(p, no_input) && open_output(&p->out[0], &p->child_fds[1]) &&
           open_output(&p->out[1], &p->child_fds[2]);
}

static int free_slot(void)
{
    int slot = 0;

    while (slot < PROCESSES_MAX && processes[slot] != NULL)
        slot++;
    return slot;
}

struct process *process_new(const struct process_wish *wish, struct outcome *o)
{
    int slot = free_slot();
    struct process *p = slot < PROCESSES_MAX ? calloc(1, sizeof(*p)) : NULL;

    if (p == NULL) {
        outcome_fail(o, SF_RESOURCE_EXHAUSTED,
                     "the guest has no room for a process of container '%s', of %d in all: "
                     "delete others first",
                     wish->container_id, PROCESSES_MAX);
        return NULL;
    }
    *p = (struct process){
        .terminal = wish->terminal,
        .child_fds = {-1, -1, -1},
        .console_listener = -1,
        .out = {{.fd = -1, .window.size = wish->window}, {.fd = -1, .window.size = wish->window}},
        .in = {.fd = -1}};
    snprintf(p->container_id, sizeof(p->container_id), "%s", wish->container_id);
    snprintf(p->exec_id, sizeof(p->exec_id), "%s", wish->exec_id);
    if (!(wish->terminal ? console_open(p) : open_pipes(p, wish->no_input))) {
        outcome_fail(o, SF_RESOURCE_EXHAUSTED,
                     "the streams of a process of container '%s' could not be made: %s",
                     wish->container_id, strerror(errno));
        free_process(p);
        return NULL;
    }
    processes[slot] = p;
    return p;
}

static void note_end(struct process *p, int status)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    p->ended = true;
    p->ended_at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    p->exit_code =
        WIFSIGNALED(status) ? 128 + (uint32_t)WTERMSIG(status) : (uint32_t)WEXITSTATUS(status);
    output_drain(p);
}

static bool any_being_made(void)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] != NULL && processes[i]->pid == 0)
            return true;
    return false;
}

static void look_for_early_end(struct process *p)
{
    for (unsigned i = 0; i < EARLY_MAX; i++)
        if (early[i].pid == p->pid)
            note_end(p, early[i].status);
    if (!any_being_made())
        memset(early, 0, sizeof(early));
}

void process_made(struct process *p, pid_t pid)
{
    if (pid <= 0) {
        for (int i = 0; i < PROCESSES_MAX; i++)
            if (processes[i] == p)
                drop(i);
        return;
    }
    p->pid = pid;
    close_child_fds(p);
    if (p->terminal)
        console_take(p);
    look_for_early_end(p);
}

/* The slot is empty once its end has been told. */
static void forget_slot(int slot)
{
    processes[slot]->forgotten = true;
    if (processes[slot]->ended_told)
        drop(slot);
}

void process_forget(struct process *p)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] == p) {
            forget_slot(i);
            return;
        }
}

void process_forget_all(const char *container_id)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] != NULL && strcmp(processes[i]->container_id, container_id) == 0)
            forget_slot(i);
}

void process_child_ended(pid_t pid, int status)
{
    for (int i = 0; i < PROCESSES_MAX; i++) {
        if (processes[i] != NULL && processes[i]->pid == pid && !processes[i]->ended) {
            note_end(processes[i], status);
            return;
        }
    }
    if (!any_being_made())
        return;
    early[early_next].pid = pid;
    early[early_next].status = status;
    early_next = (early_next + 1) % EARLY_MAX;
}

bool process_missing(const char *container_id, const char *exec_id, struct outcome *o)
{
    if (exec_id[0] == '\0' || process_find(container_id, "") == NULL)
        return outcome_fail(o, SF_NOT_FOUND, "the guest has no container '%.200s': create it first",
                            container_id);
    return outcome_fail(o, SF_NOT_FOUND, "container '%.200s' has no process '%.200s' in the guest",
                        container_id, exec_id);
}

/* Between the end of a process and the agent's wait for it, its pid is nobody else's. */
bool process_signal(const Sandferry__V1__AgentSignal *r, struct outcome *o)
{
    struct process *p = process_find(r->container_id, r->exec_id);

    if (p == NULL || p->pid == 0)
        return process_missing(r->container_id, r->exec_id, o);
    if (r->signal < 1 || r->signal > 64)
        return outcome_fail(o, SF_INVALID_ARGUMENT, "there is no signal %u: 1 to 64", r->signal);
    if (p->ended)
        return outcome_fail(o, SF_NOT_FOUND, "process '%s' of container '%s' has ended",
                            r->exec_id[0] != '\0' ? r->exec_id : "init", r->container_id);
    if (kill(p->pid, (int)r->signal) < 0)
        return outcome_fail(o, errno == ESRCH ? SF_NOT_FOUND : SF_INVALID_ARGUMENT,
                            "signal %u to container '%s': %s", r->signal, r->container_id,
                            strerror(errno));
    return true;
}

void process_kill_all(void)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        if (processes[i] != NULL && processes[i]->pid > 0 && !processes[i]->ended)
            kill(processes[i]->pid, SIGKILL);
}

int process_poll(struct pollfd *fds, int room)
{
    int n = 0;

    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = processes[i];
        if (p == NULL || p->pid == 0)
            continue;
        for (int k = 0; k < 2 && n < room; k++)
            if (output_wants(&p->out[k]))
                fds[n++] = (struct pollfd){.fd = p->out[k].fd, .events = POLLIN};
        if (input_wants(&p->in) && n < room)
            fds[n++] = (struct pollfd){.fd = p->in.fd, .events = POLLOUT};
    }
    return n;
}

void process_ready(const struct pollfd *fd)
{
    for (int i = 0; i < PROCESSES_MAX; i++)
        for (int k = 0; processes[i] != NULL && k < 2; k++)
            if (processes[i]->out[k].fd == fd->fd)
                processes[i]->out[k].ready = true;
}

/* Of an init process that has ended: those beside it end with it, and their ends are told first. In
 * a pid namespace of its own the kernel has killed them; in a shared one nobody has. */
static bool others_are_left(const struct process *init)
{
    bool left = false;

    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = processes[i];
        if (p == NULL || p == init || p->ended_told ||
            strcmp(p->container_id, init->container_id) != 0)
            continue;
        left = true;
        if (p->pid > 0 && !p->ended)
            kill(p->pid, SIGKILL);
    }
    return left;
}

static bool may_tell_end(const struct process *p)
{
    return p->exec_id[0] != '\0' || !p->ended || p->ended_told || !others_are_left(p);
}

bool process_pump(void)
{
    bool more = false;

    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = processes[i];
        if (p == NULL || p->pid == 0)
            continue;
        input_pump(p);
        output_pump(p);
        if (may_tell_end(p))
            output_tell_end(p);
        more |= output_ready(&p->out[0]) || output_ready(&p->out[1]);
        if (p->forgotten && p->ended_told)
            drop(i);
    }
    return more;
}
