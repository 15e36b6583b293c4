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
    struct ring out[2]; /* stdout, stderr */
    uint64_t serial; /* tells it from another that had or gets the same ids; not in the section */
};

struct processes {
    struct sf_controller base; /* first */
    struct process **list;     /* owned, and what it points to; sorted by container, then exec id */
    size_t n;
    uint64_t last_serial;
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
void process_remove(struct processes *p, struct process *process);
void processes_empty(struct processes *p);

/* ---- ring.c ---- */
/* False: no memory; nothing was taken. */
bool ring_add(struct ring *r, const uint8_t *data, size_t size);
/* What lies before @offset, which is beyond the end, never came: nothing is held any more. */
void ring_skip(struct ring *r, uint64_t offset);
uint64_t ring_begin(const struct ring *r); /* offset of the first byte held */
/* Copies up to @room bytes from @offset on, which must be held or the end. Return: how many. */
size_t ring_copy(const struct ring *r, uint64_t offset, uint8_t *ret, size_t room);
void ring_done(struct ring *r);

/* ---- guest.c: what the agent says and is asked ---- */
void guest_event(struct sf_controller *listener, const void *event);
bool guest_signal(struct processes *p, const struct process *process, uint32_t signal,
                  struct sf_error **err);
bool guest_input(struct processes *p, struct process *process, const uint8_t *data, size_t size,
                 bool close, struct sf_error **err);
bool guest_listen(struct processes *p, struct sf_error **err);
void guest_unlisten(struct processes *p);

/* ---- section.c ---- */
bool processes_to_section(const struct processes *p, struct sf_bytes *ret, struct sf_error **err);
bool processes_from_section(struct processes *p, const struct sf_bytes *section,
                            struct sf_error **err);

/* ---- rpcs.c ---- */
extern struct sf_service process_services[];

#endif
