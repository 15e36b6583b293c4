#ifndef PLAN9_SHARE_H
#define PLAN9_SHARE_H

/* A share and its mount: what they are and which moves they may make. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "machine.h"
#include "plan9/9p/server.h"

#define PLAN9_NAMES_MAX       256 /* that a restricted share shows */
#define PLAN9_NAME_SIZE       256 /* of a file, with the NUL */
#define PLAN9_GUEST_PATH_SIZE 384 /* with the name of a single file */

/* Numbers as on the wire. */
enum share_state {
    SHARE_RESERVED, /* set aside; nothing is served */
    SHARE_ADDED,    /* the host serves it */
    SHARE_INVALID,  /* not to be served, or no more; its holders have not let go yet */
    SHARE_REMOVED,  /* served no more */
    SHARE_N_STATES
};

enum share_event {
    SHARE_ADD_DONE,
    SHARE_ADD_FAILED,
    SHARE_LOST, /* the guest, or the server, has hung up */
    SHARE_REMOVE_DONE,
    SHARE_N_EVENTS
};

extern const struct sf_machine share_machine;

/* Numbers as on the wire. MOUNT_INVALID is also where nobody knows whether the guest has it. */
enum mount_state {
    MOUNT_RESERVED,  /* asked for; the guest has not mounted it */
    MOUNT_MOUNTED,   /* mounted in the guest */
    MOUNT_INVALID,   /* half mounted, or half unmounted; its holders have not let go yet */
    MOUNT_UNMOUNTED, /* not in the guest any more */
    MOUNT_N_STATES
};

enum mount_event {
    MOUNT_MOUNT_DONE,
    MOUNT_MOUNT_FAILED,
    MOUNT_UNMOUNT_DONE,
    MOUNT_UNMOUNT_LOST, /* asked for, and no answer came */
    MOUNT_N_EVENTS
};

extern const struct sf_machine mount_machine;

/* What is shared and how: two that ask for the same get the same share. */
struct share_config {
    char path[PATH_MAX]; /* of a directory of this host */
    bool read_only;
    bool restricted;                /* to these names: */
    char (*names)[PLAN9_NAME_SIZE]; /* owned; sorted, each once */
    unsigned n_names;
};

void share_config_done(struct share_config *config);
bool share_config_copy(struct share_config *ret, const struct share_config *config); /* memory */
bool share_config_equal(const struct share_config *a, const struct share_config *b);

/* INVALID_ARGUMENT if it is no name of a file in a directory. One that is there is no error. */
bool share_config_add_name(struct share_config *config, const char *name, struct sf_error **err);

/*
 * Takes a path as it was given: absolute, without '..'; "//", "/./" and a '/' at the end are left
 * out. INVALID_ARGUMENT, with host_path as the field.
 */
bool share_config_set_path(struct share_config *config, const char *path, struct sf_error **err);
/* The same for any path. */
bool share_path_normalise(const char *path, char ret[PATH_MAX], struct sf_error **err);

struct share {
    uint64_t number;
    char name[24]; /* the number in decimal */
    struct share_config config;
    unsigned state; /* enum share_state */
    bool patched;   /* somebody has said what it is to be here */

    /* Its one mount in the guest. */
    unsigned mount;      /* enum mount_state */
    uint32_t refs;       /* reservations that hold it */
    char guest_path[64]; /* known from the start, as the name is */

    struct ninep_state open; /* what the guest holds open, as a section said; until it is served */

    /* Of one that is served; under the lock of the line (see plan9.h). */
    struct ninep *server;    /* owned; NULL: not served */
    bool lost;               /* its server has ended by itself; see plan9_settle() */
    bool resting;            /* its locks on the host are given up: it has been saved */
    struct plan9_line *line; /* borrowed; where the answers go */
    dev_t device;            /* of the directory that is served */
    ino_t inode;
};

struct share *share_new(uint64_t number, const struct share_config *config); /* NULL: no memory */
void share_free(struct share *sh); /* NULL is fine; its server has ended before */
SF_DEFINE_CLEANUP(struct share, share_free)

/* Takes the number that a section names; false: it is no number, or too large. */
bool share_number(const char *name, uint64_t *ret);
#define PLAN9_NUMBER_MAX UINT64_C(999999999999999999) /* 18 digits: as the snapshot's rule */

/* It can have one more holder: what became of it is known, and good. */
bool share_is_good(const struct share *sh);

#endif
