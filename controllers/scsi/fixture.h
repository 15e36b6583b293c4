#ifndef SCSI_FIXTURE_H
#define SCSI_FIXTURE_H

/* A sandbox with a scsi controller on a fake host, for tests; and a QEMU and a guest that know what
 * they have, and refuse what cannot be. */

#include "base/suite.h"

#include "lib/fake_host.h"
#include "scsi/scsi.h"

#define WORLD_PARTITIONS 4

struct world {
    bool node[SCSI_SLOTS], device[SCSI_SLOTS];    /* QEMU's */
    bool mounted[SCSI_SLOTS][WORLD_PARTITIONS];   /* the guest's */
    bool encrypted[SCSI_SLOTS][WORLD_PARTITIONS]; /* its mappings */
};

extern struct world world;
extern struct sf_sandbox *sandbox;
extern struct scsi *s;
extern struct sf_error *err;

void fixture_make(void); /* with files "0" to "9" of 4096 bytes */
void fixture_remove(void);

const char *at(const char *path); /* beneath the fake host's root; static */
void write_disk(const char *path, size_t size);
void expect(enum sf_code code, const char *text); /* of err, which it takes */

struct sf_disk_request a_disk(const char *path);
bool try_reserve(const struct sf_disk_request *q, char ret_id[SF_GUID_SIZE]);
const char *reserve(const struct sf_disk_request *q); /* its id */
const char *map(const char *id);
const char *add(const char *path, uint64_t partition); /* both */
void release(const char *id);

/* Every count is right, every slot is accounted for, QEMU and the guest have what the books say. */
void books_are_right(void);
void nothing_is_left(void);

struct sf_bytes saved(void); /* the caller's */
bool import(const struct sf_bytes *section);
char *check(void); /* reasons, a line each, with the field before it; the caller's */
char *admit(void);
unsigned lines_of(const char *reasons);
/* Another sandbox takes the place of this one, which is kept; its guest is the same. */
struct sf_sandbox *to_another(void);
void back_to(struct sf_sandbox *old); /* the present one is ended */

/* Checks that are made a million times: check(3) writes each of its own to a file. */
#define RIGHT(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s\n%s", #condition, fake_trace());                                      \
    } while (0)

#define CLS (s->base.cls)

#endif
