#ifndef VM_VM_H
#define VM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "controller.h"
#include "guest/dispatch.h"
#include "guest/host.h"
#include "offers.h"
#include "qemu/document.h"
#include "qemu/memory.h"
#include "qemu/probe.h"
#include "qemu/qmp.h"
#include "qemu/run.h"
#include "vm/state.h"

#define VM_SECTION_VERSION 1
#define VM_AGENT_PROTOCOL  1 /* what this build speaks; older ones would be listed here */
#define VM_LISTENERS_MAX   16

/* As in VmOptions; the texts are owned, never NULL once filled. */
struct vm_options {
    uint64_t memory_bytes;
    uint32_t processors;
    char *image, *cpu_model, *kernel_arguments;
    bool no_writable_file_shares, enable_scratch_encryption, policy_based_routing;
};

/* A file that QEMU has in a set; see files.c. */
struct vm_file {
    uint32_t set;
    int fd; /* ours, too */
};

/* A disk that is closed while the state is written; see drives.c. */
struct vm_drive {
    char *device, *node; /* owned: of QEMU */
    json_t *blockdev;    /* owned: what opened it */
    bool aside;
};

struct vm_listener {
    struct sf_controller *controller; /* borrowed until unlisten */
    sf_guest_event_fn fn;
};

/* A conversation with the guest; see line.c. Of the shares' line, which a machine need not have,
 * host may be used on any thread: there it is under sending. */
struct vm_line {
    struct dispatch *dispatch;
    struct guest_host *host;
};

/* Where the conversations stood. Without the shares' line its numbers are 0. */
struct vm_floors {
    struct guest_floors agent, shares;
};

/* Under the lock of the shares' line, which is held while the listener runs. */
struct vm_share_listener {
    struct sf_controller *controller; /* borrowed; NULL: nobody listens */
    sf_share_line_fn fn;
};

struct vm {
    struct sf_controller base;

    /* The books: what the section holds. */
    unsigned state; /* enum vm_state; only vm_move() and the section write it */
    struct vm_options options;
    struct document document;
    char qemu_version[32]; /* of the QEMU that runs it, or ran it */
    uint32_t agent_protocol;
    struct memory_reference imported_memory; /* where a snapshot says that the memory is */
    struct vm_floors imported_floors;        /* and where the conversations stood */

    /* What runs; NULL: not there. Ended in the order of process.c. */
    struct memory *memory;
    struct memory *kept; /* a copy for a snapshot */
    struct vm_line agent, shares;
    struct run *process;
    struct qmp *qmp;
    uint32_t next_fd_set;
    struct vm_file *files; /* owned */
    size_t n_files;
    struct vm_drive *drives; /* owned */
    size_t n_drives;
    struct vm_listener listeners[VM_LISTENERS_MAX];
    size_t n_listeners;
    struct vm_share_listener share_listener;

    /* The sandbox's lock is taken before them, never after. */
    pthread_mutex_t shares_lock; /* what comes on the shares' line is handed on under it */
    pthread_mutex_t sending;     /* guards shares.host for those without the sandbox's lock */

    /* How far a save has come; thaw takes it back. */
    bool guest_frozen; /* the agent may have been frozen */
    bool stopped;      /* the processors stand still */
    bool saved;        /* the device state is out, and the memory was let go of */
    /* And a restore; abandon takes it back. */
    bool advanced; /* the lease says that it runs */
    bool ran;      /* and it may have */
};

static inline struct vm *vm_of(struct sf_controller *c)
{
    return (struct vm *)c; /* base is the first member */
}

static inline const char *vm_id(const struct vm *vm)
{
    return sf_sandbox_id(vm->base.sandbox);
}

/* A setting, or what it is when it is not set. */
const char *vm_setting(const char *name);

/* QEMU as this daemon is told to run it, and what it can do. NULL with what is wrong. */
const struct probe *vm_find_qemu(struct run_user *ret_user, struct sf_error **err);

/* ---- state ---- */
bool vm_move(struct vm *vm, enum vm_event on, struct sf_error **err);
/* It is lost: tells the sandbox, with QEMU's last words. A repeat does nothing. */
void vm_lose(struct vm *vm, const char *why);

/* The same from a thread that has not the sandbox's lock. */
void vm_lose_later(struct vm *vm, const char *why);

/* ---- section.c ---- */
void vm_options_done(struct vm_options *o);
bool vm_options_unpack(struct vm_options *ret, const struct sf_bytes *packed,
                       struct sf_error **err);
bool vm_to_section(struct vm *vm, struct sf_bytes *ret, struct sf_error **err);
bool vm_from_section(struct vm *vm, const struct sf_bytes *section, struct sf_error **err);
/* Numbers and open messages of the conversations, as JSON text for a lease, and back. */
char *vm_floors_to_text(const struct vm_floors *f, struct sf_error **err);
bool vm_floors_from_text(struct vm_floors *ret, const char *text, struct sf_error **err);

/* ---- process.c: what runs ---- */
/* Starts QEMU and connects to it; nothing runs in it yet. A failure leaves nothing. */
bool vm_process_start(struct vm *vm, bool incoming, struct sf_error **err);
/* Ends QEMU and all that talks to it. The memory stays open. */
void vm_process_end(struct vm *vm);
/* Puts QEMU's and the guest's last words behind an error of something that should have worked. */
bool vm_process_explain(struct vm *vm, struct sf_error **err);

/* ---- line.c: the conversations with the guest ---- */
/* Both, of which nothing is connected. The shares' line says nothing until vm_lines_open(). */
bool vm_lines_make(struct vm *vm, struct sf_error **err);
bool vm_lines_connect(struct vm *vm, struct sf_error **err); /* before the processors run */
/* From now on the shares' line says what it has to say. */
void vm_lines_open(struct vm *vm);
/* The same, once the sandbox's lock is free: what holds it now has come to its good end then. */
bool vm_lines_open_later(struct vm *vm, struct sf_error **err);
void vm_lines_fail(struct vm *vm, const char *why); /* any thread; before vm_lines_end() */
/* Ends what comes from them; QEMU may go on. Then, when QEMU has ended, what is queued. */
void vm_lines_end(struct vm *vm);
void vm_lines_forget(struct vm *vm);

/* Reads all that the VM has given out; *@ret_any: there was something. */
bool vm_lines_drain(struct vm *vm, uint32_t limit_ms, bool *ret_any, struct sf_error **err);
/* After the last drain: hands on what the shares' line has to say, and nothing after that. */
void vm_lines_rest(struct vm *vm);
void vm_lines_go_on(struct vm *vm);

void vm_floors_done(struct vm_floors *f);
bool vm_lines_import(struct vm *vm, const struct vm_floors *floors, struct sf_error **err);
bool vm_lines_export(struct vm *vm, struct vm_floors *ret, struct sf_error **err);

/* See offers.h. */
bool vm_shares_listen(struct sf_controller *owner, struct sf_controller *listener,
                      sf_share_line_fn fn, struct sf_error **err);
bool vm_shares_send(struct sf_controller *owner, uint64_t share, const void *data, size_t size,
                    bool closed, struct sf_error **err);

/* ---- orphan.c: what a killed daemon leaves ---- */
bool vm_orphan_record(const struct vm *vm, struct sf_error **err);
void vm_orphan_forget(const struct vm *vm);
/* Ends the QEMU of a daemon before this one, and removes its memory unless a snapshot needs it. */
void vm_orphan_end(const struct vm *vm);

/* ---- guest.c: what we say to the agent ---- */
bool vm_guest_hello(struct vm *vm, uint32_t timeout_ms, struct sf_error **err);
bool vm_guest_freeze(struct vm *vm, uint32_t timeout_ms, struct sf_error **err);
/* With this host's clock, and entropy; true only when the agent has confirmed both. */
bool vm_guest_thaw(struct vm *vm, struct sf_error **err);
/* It becomes somebody: a new guest, or a clone before its thaw. */
bool vm_guest_set_identity(struct vm *vm, struct sf_error **err);
void vm_guest_shutdown(struct vm *vm);
/* For guest_host_new(): hands events to the listeners. */
void vm_guest_event(void *context, const void *event);

/* ---- save.c, restore.c: the lifecycle ---- */
bool vm_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err);
bool vm_quiesce(struct sf_controller *c, struct sf_error **err);
bool vm_stop(struct sf_controller *c, struct sf_error **err);
bool vm_keep(struct sf_controller *c, struct sf_error **err);
void vm_unkeep(struct sf_controller *c);
bool vm_save(struct sf_controller *c, struct sf_bytes *ret, struct sf_error **err);
void vm_thaw(struct sf_controller *c);
bool vm_awaken(struct sf_controller *c, struct sf_error **err);
void vm_discard(struct sf_controller *c);
/* The processors stand still, and all that the guest has said is here. */
bool vm_halt(struct vm *vm, uint32_t limit_ms, struct sf_error **err);
/* Device state out, digest into the lease, memory let go of. */
bool vm_write_state(struct vm *vm, const struct memory_notes *notes, struct sf_error **err);

bool vm_admit(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err);
bool vm_prepare(struct sf_controller *c, struct sf_error **err);
bool vm_load(struct sf_controller *c, struct sf_error **err);
bool vm_resume(struct sf_controller *c, struct sf_error **err);
void vm_abandon(struct sf_controller *c);

/* ---- files.c: what QEMU was given to open, disks mostly ---- */
bool vm_file_keep(struct vm *vm, uint32_t set, int fd, struct sf_error **err);
void vm_file_forget(struct vm *vm, uint32_t set);
void vm_files_done(struct vm *vm);
/* When each had last been written, as JSON text for a lease, the caller's. */
char *vm_files_to_text(const struct vm *vm, struct sf_error **err);
/* See offers.h. */
bool vm_file_saved(struct sf_controller *owner, uint64_t device, uint64_t inode,
                   int64_t *ret_modified_ns);

/* ---- drives.c: disks with which QEMU gives no state out ---- */
bool vm_drive_keep(struct sf_controller *owner, const char *device_id, const char *blockdev_json,
                   struct sf_error **err);
void vm_drives_done(struct vm *vm);
/* Whether what QEMU has against a move is one of them. */
bool vm_drives_explain(const struct vm *vm, const char *blocker);
/* While the processors stand still, what QEMU holds being flushed. A repeat does nothing. */
bool vm_drives_put_aside(struct vm *vm, struct sf_error **err);
bool vm_drives_put_back(struct vm *vm, struct sf_error **err);

/* ---- offers.c ---- */
extern const struct sf_machine_offer vm_machine_offer;
extern const struct sf_guest_offer vm_guest_offer;
extern const struct sf_share_line_offer vm_share_line_offer;

#endif
