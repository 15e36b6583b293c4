#ifndef QEMU_LEASE_H
#define QEMU_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

/* What stands in the lease file beside guest RAM; see memory.h. */
struct lease {
    char memory_id[SF_GUID_SIZE], family_id[SF_GUID_SIZE];
    uint64_t size_bytes, generation;
    char state_sha256[65];       /* hex; "": it runs, or has ended without a save */
    char sandbox[SF_ID_SIZE];    /* who ran it last */
    char clone_of[SF_GUID_SIZE]; /* the family whose RAM is under this one's; "": none */
    bool ram_in_state;           /* the device state has the RAM in it; what the file has is old */
    char *conversation;          /* see memory_notes; owned; NULL: none */
    char *files;                 /* likewise */
};

void lease_done(struct lease *l);

/* NOT_FOUND if there is none, DATA_LOSS if it makes no sense. */
bool lease_read(int directory_fd, struct lease *ret, struct sf_error **err);
/* Durable when it returns. */
bool lease_write(int directory_fd, const struct lease *l, struct sf_error **err);

/* SHA-256 of a whole file, as hex. */
bool lease_digest(int fd, char ret[65], struct sf_error **err);

#endif
