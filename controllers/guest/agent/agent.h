#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

/*
 * sandferry-agent: process 1 of the guest. One thread, one poll loop; what may take long runs in a
 * child (job.c), so that output of containers goes on meanwhile. It must never end: the kernel
 * panics if it does. main.c is where to start reading.
 */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandferry/v1/agent.pb-c.h"

#define AGENT_PROTOCOL_VERSION 1

#define RUN_DIR    "/run/sandferry"
#define MOUNTS_DIR RUN_DIR "/mounts"

/* google.rpc.Code, the ones used here. */
enum agent_code {
    AGENT_OK = 0,
    AGENT_INVALID_ARGUMENT = 3,
    AGENT_NOT_FOUND = 5,
    AGENT_ALREADY_EXISTS = 6,
    AGENT_RESOURCE_EXHAUSTED = 8,
    AGENT_FAILED_PRECONDITION = 9,
    AGENT_UNIMPLEMENTED = 12,
    AGENT_INTERNAL = 13,
    AGENT_UNAVAILABLE = 14,
};

/* How something went: code 0, or what is wrong and what to do. */
struct outcome {
    uint32_t code;
    char message[1024];
};

/* Return: false, always; so that a function can fail in one line. */
bool fail(struct outcome *o, enum agent_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- log.c ---- */
void agent_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- files.c ---- */
bool make_directories(const char *path); /* like mkdir -p; errno on failure */
bool write_file(const char *path, const void *data, size_t size);
ssize_t read_file(const char *path, char *ret, size_t room); /* NUL-terminated; -1: errno */
bool name_valid(const char *name);                           /* an id of the host's, as a file name */
bool path_beneath(const char *path, const char *root);       /* by its text: no "..", no "//" */

/* ---- port.c: the virtio-serial port ---- */
bool port_open(void); /* finds sandferry.agent; false: not there (yet) */
int port_fd(void);
short port_wants(void);           /* for poll() */
void port_ready(short revents);   /* what poll() said */
void port_tick(void);             /* the host may be back */
bool port_send(const Sandferry__V1__AgentMessage *message);
bool port_has_room(size_t size);
bool port_host_away(void);

/* ---- job.c: what may take long, in a child ---- */

/* Runs in the child; may block. @o goes to the host. What it writes to @text_out (up to 1 KiB) is
 * handed to done. */
typedef bool (*job_run)(const void *request, struct outcome *o);
/* Runs in the agent, when the child has ended: fills the reply. May be NULL. */
typedef void (*job_done)(void *context, struct outcome *o, Sandferry__V1__AgentReply *reply);

/* @request: borrowed until this returns (the child has its copy of all memory). @context: given to
 * done. Answers the request with @id when the child has ended. */
void job_start(uint64_t id, job_run run, const void *request, job_done done, void *context);
int job_poll_fds(struct pollfd *fds, int room);
void job_ready(const struct pollfd *fd);
bool job_child_ended(pid_t pid); /* true: it was a job's */

/* ---- disk.c ---- */
bool disk_mount(const void *request, struct outcome *o);
bool disk_unmount(const void *request, struct outcome *o);
bool disk_eject(const void *request, struct outcome *o);

/* ---- modules.c ---- */
void modules_load(const char *group); /* "boot", "disk", "container"; each once */

/* ---- container.c ---- */
void container_create(uint64_t id, const Sandferry__V1__AgentCreateContainer *request);
void container_start(uint64_t id, const Sandferry__V1__AgentStartContainer *request);
void container_delete(uint64_t id, const Sandferry__V1__AgentDeleteContainer *request);

/* ---- process.c: init processes and their streams ---- */
struct process;
struct process *process_new(const char *container_id, const char *exec_id, struct outcome *o);
/* The child's ends of its streams: stdin, stdout, stderr. Closed by process_created(). */
const int *process_child_fds(const struct process *p);
void process_created(struct process *p, pid_t pid); /* pid 0: it was not; the process is forgotten */
void process_forget(const char *container_id);
struct process *process_find(const char *container_id, const char *exec_id);
bool process_signal(const Sandferry__V1__AgentSignal *request, struct outcome *o);
void process_input(uint64_t id, const Sandferry__V1__AgentInput *request);
void process_output_taken(const Sandferry__V1__AgentOutputTaken *request);
bool process_child_ended(pid_t pid, int status);
bool process_any_alive(const char *container_id);
int process_poll_fds(struct pollfd *fds, int room);
void process_ready(const struct pollfd *fd);
void process_pump(void); /* send what may be sent */

/* ---- request.c ---- */
void request_take(const uint8_t *data, size_t size); /* one message from the host */
void request_answer(uint64_t id, const struct outcome *o, Sandferry__V1__AgentReply *reply);
bool agent_frozen(void);

#endif
