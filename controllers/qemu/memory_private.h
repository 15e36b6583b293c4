#ifndef QEMU_MEMORY_PRIVATE_H
#define QEMU_MEMORY_PRIVATE_H

/* For memory.c and memory_copy.c. */

#include <unistd.h>

#include "qemu/lease.h"
#include "qemu/memory.h"

struct memory {
    struct memory_reference reference;
    struct lease lease;  /* as it is on disk, or is about to be */
    struct lease before; /* as it was before the last advance */
    char *path;          /* owned; of the root, for messages */
    int root, directory, ram, lock;
    bool locked;
    bool shared;           /* its lock is, or will be, one of many */
    struct memory *origin; /* owned; of a clone: what is under its RAM; NULL: it is none */
    struct run_user user;
};

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Nothing of it is there yet, but for its books. */
struct memory *memory_make(const struct memory_reference *reference, const char *root,
                           struct sf_error **err);
/* A guest that touches a page for which there is no room would end its QEMU, without a word. */
bool memory_check_room(int root, const char *path, uint64_t needed, struct sf_error **err);
/* Its directory and RAM, all zero. */
bool memory_make_files(struct memory *m, struct sf_error **err);
void memory_fill_lease(struct memory *m, const char *sandbox); /* NULL: the sandbox stays */
bool memory_lock_now(struct memory *m, struct sf_error **err);
/* As memory_saved(). @ram_in_state: the RAM is in the device state, and in no file. */
bool memory_seal(struct memory *m, const struct memory_notes *notes, bool ram_in_state,
                 struct sf_error **err);
/* The clones that use RAM of a family, in words: "clones 'a', 'b' and 3 more"; NULL: none. */
char *memory_clones(const struct memory *m);

#endif
