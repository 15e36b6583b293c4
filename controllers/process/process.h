#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

/* The process controller: processes of containers, what they wrote, and how they ended. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller.h"
#include "machine.h"
#include "offers.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "base/text.h"

#define PROCESS_SECTION_VERSION 1
#define PROCESSES_MAX           4096
#define RING_SIZE               (256 * 1024)        /* bytes kept of each stream */
#define HELD_IN_ALL             (4 * 1024 * 1024)   /* bytes of output that a section takes along */
#define OFFSET_MAX              (UINT64_C(1) << 62) /* no stream is longer: sums cannot wrap */
#define EXIT_UNKNOWN            255
#define WAITING_MAX             64          /* processes that wait for readers */
#define WAITING_WINDOW          (16 * 1024) /* bytes that such a one may be ahead of them */
#define WAITING_HELD            (2 * WAITING_WINDOW) /* with what its pipe has when it ends */
#define SPECS_IN_ALL            (2 * 1024 * 1024)    /* bytes of specs that a section takes along */

/* Numbers as on the wire. */
enum process_state {
    PROCESS_NOT_CREATED, /* recorded; the guest does not know of it */
    PROCESS_CREATED,     /* the guest has made it; it waits to be started */
    PROCESS_RUNNING,
    PROCESS_TERMINATED, /* its exit code is known */
    PROCESS_N_STATES
};

enum process_event { PROCESS_MADE, PROCESS_STARTED, PROCESS_EXITED, PROCESS_N_EVENTS };

extern const struct sf_machine process_machine;

/* The last bytes of a stream; @end - @size is the offset of the first that is still held. */
struct ring {
    uint8_t *data; /* RING_SIZE bytes, owned; NULL until the first byte comes */
    uint64_t end;  /* bytes that the process has written in all */
    size_t size;   /* bytes held */
    bool closed;
};

/* One call that reads a stream; stands on the stack of that call. */
struct reader {
    struct reader *next;
    uint64_t offset; /* what lies before it has been given to the caller */
    bool holds;      /* no byte may be lost while it is there: the process waits */
};

struct process {
    char container_id[SF_ID_SIZE], exec_id[SF_ID_SIZE]; /* exec_id "": the init process */
    char guest_container_id[SF_ID_SIZE];
    unsigned state; /* enum process_state */
    bool lost;      /* it ended with its VM here; how, or that it went on elsewhere, others say */
    int32_t pid;
    bool terminal;
    char *spec; /* owned; may be NULL */
    uint32_t exit_code;
    int64_t exited_at_ns;
    uint64_t stdin_offset;
    bool stdin_closed;
    bool waits;         /* for readers, at WAITING_WINDOW unread bytes, even if there are none */
    struct ring out[2]; /* stdout, stderr */
    uint64_t taken[2];  /* the agent has been told that it may send so many bytes, and a window */
    struct reader *readers[2]; /* borrowed from the calls */
    uint64_t serial; /* tells it from another that had or gets the same ids; not in the section */
};

struct processes {
    struct sf_controller base; /* first */
    struct process **list;     /* owned, and what it points to; sorted by container, then exec id */
    size_t n;
    uint64_t last_serial;
    bool still;                      /* frozen, or not resumed yet: the agent is told nothing */
    struct sf_controller *container; /* who is told of exits; borrowed */
    sf_init_exited_fn on_exit;
};

/* ---- books.c ---- */
struct process *process_find(const struct processes *p, const char *container_id,
                             const char *exec_id);
struct process *process_find_guest(const struct processes *p, const char *guest_container_id,
                                   const char *exec_id);
/* NULL: there is one, too many, or no memory. */
struct process *process_add(struct processes *p, const char *container_id, const char *exec_id,
                            struct sf_error **err);
/* All processes of a container, which has another id now. */
void process_rename(struct processes *p, const char *container_id, const char *new_id);
void process_remove(struct processes *p, struct process *process);
void processes_empty(struct processes *p);

/* ---- find.c: for calls ---- */
struct process *process_find_for(struct sf_controller *c, const char *container_id,
                                 const char *exec_id, struct sf_error **err);
/* After a wait: the same one, not another that has its ids now. */
struct process *process_find_again(struct sf_controller *c, const char *container_id,
                                   const char *exec_id, uint64_t serial, struct sf_error **err);
/* Who waits for one that was lost with its VM is told by the wait what became of the sandbox. */
bool process_end_is_known(const struct process *p);
/* One that was recorded in a container that has ended since will never start. */
bool process_may_end(const struct processes *all, const struct process *p, struct sf_error **err);

/* ---- ring.c ---- */
/* False: no memory; nothing was taken. */
bool ring_add(struct ring *r, const uint8_t *data, size_t size);
/* What lies before @offset, which is beyond the end, never came: nothing is held any more. */
void ring_skip(struct ring *r, uint64_t offset);
uint64_t ring_begin(const struct ring *r); /* offset of the first byte held */
/* Copies up to @room bytes from @offset on, which must be held or the end. Return: how many. */
size_t ring_copy(const struct ring *r, uint64_t offset, uint8_t *ret, size_t room);
void ring_done(struct ring *r);

/* ---- output.c: how far readers are, and so the agent may go ---- */
/* After everything that may let the process write more. */
void output_settle(struct processes *p, struct process *process, unsigned number);
void outputs_settle(struct processes *p); /* those of all processes */
void reader_add(struct process *process, unsigned number, struct reader *reader);
void reader_remove(struct process *process, unsigned number, const struct reader *reader);

/* ---- spec.c: OCI processes ---- */

struct wanted_process {
    const char *container_id, *exec_id; /* exec_id "": one is made */
    const char *spec;                   /* "": made from what follows */
    char *const *args, *const *env;
    size_t n_args, n_env;
    const char *working_directory, *user;
    bool terminal;
    uint32_t columns, rows;
    bool input, waits;
};

/* @container_spec: what is not wanted otherwise is as there. *@ret_terminal: it wants one. NULL: it
 * is wrong. */
char *spec_make(const struct wanted_process *wanted, const char *container_spec, bool *ret_terminal,
                struct sf_error **err);
/* 0 each if it says nothing. */
void spec_console_size(const char *spec, uint32_t *ret_columns, uint32_t *ret_rows);

/* ---- exec.c: processes beside the init process ---- */
bool process_record(struct processes *p, const struct wanted_process *wanted, struct process **ret,
                    struct sf_error **err);
/* One that is recorded. A failure leaves it so. */
bool process_start(struct processes *p, struct process *process, struct sf_error **err);
/* One that does not run. */
bool process_delete(struct processes *p, struct process *process, struct sf_error **err);
/* With the init process of a container all others of it end. The agent tells of their ends before;
 * one that does not must not make a section that nobody can read. */
void processes_end_with(struct processes *p, const char *container_id);

/* ---- guest.c: what the agent says and is asked ---- */
void guest_event(struct sf_controller *listener, const void *event);
bool guest_signal(struct processes *p, const struct process *process, uint32_t signal,
                  struct sf_error **err);

struct input {
    const uint8_t *data;
    size_t size;
    bool close, at_offset;
    uint64_t offset;
};

bool guest_input(struct processes *p, struct process *process, const struct input *input,
                 struct sf_error **err);
bool guest_exec(struct processes *p, const struct process *process, int32_t *ret_pid,
                struct sf_error **err);
/* @force: kill it. */
bool guest_delete(struct processes *p, const struct process *process, bool force,
                  struct sf_error **err);
bool guest_resize(struct processes *p, const struct process *process, uint32_t columns,
                  uint32_t rows, struct sf_error **err);
/* There is no answer. False: it was not told. */
bool guest_taken(struct processes *p, const struct process *process, unsigned number,
                 uint64_t offset);
bool guest_listen(struct processes *p, struct sf_error **err);
void guest_unlisten(struct processes *p);

/* ---- section.c ---- */
bool processes_to_section(const struct processes *p, struct sf_bytes *ret, struct sf_error **err);
bool processes_from_section(struct processes *p, const struct sf_bytes *section,
                            struct sf_error **err);

/* ---- rpcs.c ---- */
extern struct sf_service process_services[];

/* ---- rpcs_output.c: the streams ---- */
bool process_read_output(struct sf_controller *c, struct sf_call *call, const void *request,
                         void *reply, struct sf_error **err);
bool process_attach(struct sf_controller *c, struct sf_call *call, const void *request, void *reply,
                    struct sf_error **err);

#endif
