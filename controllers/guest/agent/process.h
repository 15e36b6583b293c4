#ifndef AGENT_PROCESS_H
#define AGENT_PROCESS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/agent/files.h"
#include "guest/agent/outcome.h"
#include "guest/agent/window.h"
#include "sandferry/v1/agent.pb-c.h"

/* Processes of containers that the host knows: the init process of each, whose exec id is "", and
 * those that were started beside it. */

struct output {
    int fd; /* the agent's end of the pipe; -1: closed, and the host has been told */
    struct window window;
    bool ready; /* it may have bytes: not poll()ed until a read has found none */
    /* The process has ended: what its pipe still has goes out whether it is taken or not, since its
     * end is told after it; no more, for others may write into it for ever. */
    bool draining;
    size_t left;
};

struct input {
    int fd;        /* -1: closed */
    uint8_t *held; /* owned: what the pipe has not taken yet */
    size_t size;
    uint64_t offset; /* bytes taken from the host in all */
    bool closing;
};

struct process {
    char container_id[NAME_ROOM], exec_id[NAME_ROOM];
    pid_t pid; /* 0: not made yet */
    bool terminal;
    int child_fds[3];     /* the process's ends, until it is made; -1 */
    int console_listener; /* where crun hands over a terminal; -1 */
    struct output out[2]; /* stdout, stderr */
    struct input in;
    bool ended, ended_told;
    bool forgotten; /* goes when its end has been told */
    bool deleting;  /* its container is being deleted: nothing new starts in it */
    uint32_t exit_code;
    int64_t ended_at_ns;
};

/* ---- process.c: the table ---- */

struct process_wish {
    const char *container_id, *exec_id;
    bool terminal;
    bool no_input;   /* /dev/null, in place of a pipe */
    uint64_t window; /* 0: WINDOW_SIZE */
};

/* One that is to be made. NULL: see the outcome. Owned by the table. */
struct process *process_new(const struct process_wish *wish, struct outcome *o);
struct process *process_find(const char *container_id, const char *exec_id); /* NULL: none */
void process_each(void (*fn)(const struct process *p, void *context), void *context);
/* @pid 0: it could not be made, and is forgotten. */
void process_made(struct process *p, pid_t pid);
void process_forget(struct process *p);
void process_forget_all(const char *container_id);
/* For messages: "container 'c1' has no init process ..." or "... no process 'e1' ...". */
bool process_missing(const char *container_id, const char *exec_id, struct outcome *o);

bool process_signal(const Sandferry__V1__AgentSignal *request, struct outcome *o);
void process_kill_all(void);
void process_child_ended(pid_t pid, int status);

int process_poll(struct pollfd *fds, int room);
void process_ready(const struct pollfd *fd);
/* Moves what can be moved, in both directions. True: there is more to do at once. */
bool process_pump(void);

/* ---- console.c ---- */
/* A directory of the process's own. */
void process_directory(const struct process *p, char *ret, size_t room);
/* Where crun is to hand over the terminal of a process that is being made. */
void console_path(const struct process *p, char *ret, size_t room);
bool console_open(struct process *p); /* waits for it there; errno on failure */
void console_take(struct process *p); /* it has come: the process's streams */
bool console_resize(const struct process *p, uint32_t columns, uint32_t rows, struct outcome *o);

/* ---- output.c ---- */
void output_pump(struct process *p);
void output_drain(struct process *p);        /* it has ended */
bool output_wants(const struct output *out); /* to be poll()ed */
bool output_ready(const struct output *out); /* to be pumped again */
void output_tell_end(struct process *p);

/* ---- input.c ---- */
void input_take(struct process *p, uint64_t call, const Sandferry__V1__AgentInput *request);
void input_pump(struct process *p);
bool input_wants(const struct input *in); /* there is something to write, and it may be */

#endif
