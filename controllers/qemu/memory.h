#ifndef QEMU_MEMORY_H
#define QEMU_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/reasons.h"
#include "base/text.h"
#include "qemu/run.h"

/*
 * Guest RAM, which a hand-off leaves where it is, and the right to run it.
 *
 *     ROOT/<memory id>/ram       guest RAM, mapped shared by QEMU
 *     ROOT/<memory id>/state     device state, written by a save; stale once the guest has run
 *     ROOT/<memory id>/lease     JSON; written beside, synced, renamed
 *     ROOT/<family id>.lock      locked by whoever may run any memory of the family
 *
 * The lock belongs to an open file description that QEMU shares, so a QEMU that has outlived its
 * daemon still has it. The generation is raised, durably, before the processors run; a snapshot
 * names the one that it was saved at, and so fits only memory that nobody has run since.
 *
 * Clones of one saved memory have its lock together, shared, and map its RAM so that what they
 * write is theirs alone. None of them changes its generation. A clone has memory of its own beside
 * it, with its own ids, lock and lease: nothing is in its RAM file, and once it is saved its device
 * state has the RAM in it.
 */
struct memory;

/* What the next restore needs to know and no snapshot says, since the guest has run after it was
 * made: JSON, borrowed; NULL: nothing. */
struct memory_notes {
    const char *conversation; /* where that with the agent stands */
    const char *files;        /* when the VM's disks had last been written */
};

struct memory_reference {
    char memory_id[SF_GUID_SIZE], family_id[SF_GUID_SIZE];
    uint64_t size_bytes, generation;
};

/**
 * memory_create() - new RAM, all zero, of generation 1, locked
 * @root:    the memory directory; made if only its last part is missing
 * @sandbox: whose it is, for messages
 * @user:    who QEMU runs as: owns the RAM file
 */
struct memory *memory_create(const char *root, uint64_t size_bytes, const char *sandbox,
                             const struct run_user *user, struct sf_error **err);

/* RAM that is there. Takes and changes nothing. NOT_FOUND, or INVALID_ARGUMENT for ids that are
 * none. */
struct memory *memory_open(const char *root, const struct memory_reference *reference,
                           struct sf_error **err);
void memory_free(struct memory *m); /* closes; what is on disk stays. NULL is fine */
SF_DEFINE_CLEANUP(struct memory, memory_free)

/* Everything that speaks against running it, or a clone of it, from @reference; changes nothing. */
void memory_admit(const char *root, const struct memory_reference *reference, bool clone,
                  struct sf_reasons *why);

const struct memory_reference *memory_reference(const struct memory *m);
int memory_ram(const struct memory *m);  /* descriptors, the memory's */
int memory_lock(const struct memory *m); /* for QEMU to inherit */

/**
 * memory_take() - lock it, and see that nobody has run it since
 * A repeat does nothing.
 *
 * Return: false with FAILED_PRECONDITION that names who has it, DATA_LOSS if the device state is
 * not the one that was saved.
 */
bool memory_take(struct memory *m, struct sf_error **err);

/**
 * memory_clone() - the memory of a clone
 * @origin:  from memory_open(); taken here, together with its other clones
 * @sandbox: whose the clone is, for messages
 * @user:    who QEMU runs as
 *
 * Its memory_ram() is that of @origin, to be mapped private.
 *
 * Return: @origin given away to it; NULL with @origin the caller's, and the reasons of
 * memory_take().
 */
struct memory *memory_clone(struct memory *origin, const char *sandbox, const struct run_user *user,
                            struct sf_error **err);
/* What a clone was made from, for its lock, device state and conversation; NULL: it is no clone. */
struct memory *memory_origin(const struct memory *m);
/* The device state has the RAM in it: how it has to be read. After take. */
bool memory_ram_is_in_state(const struct memory *m);
/* An empty file of the clone's own, made anew and removed with it; the caller's; -1. */
int memory_clone_file(struct memory *m, const char *name, struct sf_error **err);
/* Whether it could be taken as far as clones are concerned: FAILED_PRECONDITION names them. */
bool memory_has_no_clones(struct memory *m, struct sf_error **err);

/* Lock what @sandbox was the last to run and nobody can run any more, for there is no device state:
 * to remove it. FAILED_PRECONDITION if it is not so. */
bool memory_take_waste(struct memory *m, const char *sandbox, struct sf_error **err);

/* The processors are to run: the next generation, durably; the device state counts no more. Needs
 * the lock, and a memory_take() or memory_saved() before it. */
bool memory_advance(struct memory *m, const char *sandbox, struct sf_error **err);
/* They have not run after all: takes the last advance back, and the device state counts again. */
bool memory_retreat(struct memory *m, struct sf_error **err);

/* The device state, to write (made anew) or to read; the caller's; -1. */
int memory_state_create(struct memory *m, struct sf_error **err);
int memory_state_open(struct memory *m, struct sf_error **err);

/**
 * memory_saved() - the device state is written: sync it, and put its digest in the lease
 * @notes: NULL: none; copied
 */
bool memory_saved(struct memory *m, const struct memory_notes *notes, struct sf_error **err);

/* They have run, and stand still again: the next memory_saved() is for the generation before, whose
 * snapshot then fits again. */
void memory_step_back(struct memory *m);

/* What memory_saved() was given when the memory was last saved; NULL: nothing. After take. */
const char *memory_conversation(const struct memory *m);
/* The files of the notes of memory that was saved at @reference, the caller's; NULL: nothing, or no
 * such memory. Takes nothing. */
char *memory_files(const char *root, const struct memory_reference *reference);

/* Anybody may take it now. */
void memory_let_go(struct memory *m);

/* A copy of RAM and device state, of the same family and generation, with its own id, not locked.
 */
struct memory *memory_copy(struct memory *m, struct sf_error **err);

/* Remove it from the disk, and the family's lock file with the last of the family. */
void memory_remove(struct memory *m);

#endif
