#ifndef PLAN9_PLAN9_H
#define PLAN9_PLAN9_H

/*
 * The plan9 controller: shares by name, reservations by GUID.
 *
 * A share has as many refs as reservations hold it. What nobody knows the state of (the guest did
 * not answer) or what could not be had is given to nobody else: who asks for the same directory
 * then gets a share of its own, and those who hold the bad one let go of it in their time.
 *
 * Two threads. The books are the sandbox's, and under its lock. The 9P servers of the shares are
 * touched on the line's thread, when the guest says something, and under the sandbox's lock, when a
 * share comes, goes or is saved: they, and the list by which a share is found, are under line_lock.
 * It is taken after the sandbox's lock, never before, and nothing is waited for while it is held:
 * neither the guest, whose kernel waits for the line, nor listen(), which waits for the line's
 * thread.
 */

#include <pthread.h>

#include "controller.h"
#include "offers.h"
#include "plan9/share.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "base/text.h"

#define PLAN9_SECTION_VERSION  1
#define PLAN9_SHARES_MAX       1024
#define PLAN9_RESERVATIONS_MAX 4096
#define PLAN9_HOLDER_SIZE      96
#define PLAN9_MSIZE            NINEP_MSIZE_DEFAULT

struct reservation {
    char id[SF_GUID_SIZE];
    struct share *share;                    /* borrowed; as long as this is there */
    bool file;                              /* of the one name of the share, not of the directory */
    char guest_path[PLAN9_GUEST_PATH_SIZE]; /* of the mount, or of the file beneath it */
    char holder[PLAN9_HOLDER_SIZE];         /* "container 'c1'", or "" */
};

/* The way to the guest. */
struct plan9_line {
    const struct sf_share_line_offer *offer; /* NULL: not looked for yet */
    struct sf_controller *owner;
    bool listening;
};

struct plan9 {
    struct sf_controller base;         /* first */
    struct share **shares;             /* owned; sorted by name; changed under line_lock */
    size_t n_shares;                   /* changed under line_lock */
    struct reservation **reservations; /* owned; sorted by id */
    size_t n_reservations;
    uint64_t next_name;           /* what the next share is called */
    bool no_writable_file_shares; /* what a section said; see plan9_forbids_writing() */
    struct plan9_line line;
    pthread_mutex_t line_lock;
};

static inline struct plan9 *plan9_of(struct sf_controller *c)
{
    return (struct plan9 *)c; /* base is the first member */
}

/* ---- books.c: what is there ---- */

struct share *plan9_find_share(const struct plan9 *p, const char *name); /* NULL: there is none */
/* Takes the share, on success; its name is not in the books. */
bool plan9_add_share(struct plan9 *p, struct share *sh, struct sf_error **err);
/* Not served, not held. */
void plan9_drop_share(struct plan9 *p, struct share *sh);
struct reservation *plan9_find(const struct plan9 *p, const char *id);
bool plan9_add_reservation(struct plan9 *p, const char *id, struct share *sh, bool file,
                           struct sf_error **err);
void plan9_remove_reservation(struct plan9 *p, struct reservation *r);
/* Ends what is served, and forgets everything. Whoever listens to the line has stopped before. */
void plan9_empty(struct plan9 *p);

/* ---- reserve.c: who holds what ---- */

/* The books learn which shares the guest, or the server, has hung up. */
void plan9_settle(struct plan9 *p);
bool plan9_reserve(struct plan9 *p, const struct sf_share_request *request,
                   char ret_id[SF_GUID_SIZE], struct sf_error **err);
bool plan9_map(struct plan9 *p, const char *id, const char **ret_guest_path, struct sf_error **err);
bool plan9_release(struct plan9 *p, const char *id, struct sf_error **err);
/* The sandbox's policy. */
bool plan9_forbids_writing(const struct plan9 *p);

/* ---- path.c: what is at a path of this host ---- */

/* Opens the directory of a share, without reading it. NOT_FOUND, PERMISSION_DENIED; or
 * FAILED_PRECONDITION if it is none. -1: not there. */
int open_root(const struct share_config *config, struct sf_error **err);
/* @config has a path as it was given; if that is a file, it becomes its directory, restricted to
 * it, and *@ret_file is set. */
bool resolve_file(struct share_config *config, bool *ret_file, struct sf_error **err);

/* ---- serve.c: the 9P servers ---- */

/* Opens the directory and serves it; what the guest holds open there is opened first. A failure
 * leaves nothing. */
bool serve_share(struct plan9 *p, struct share *sh, struct sf_error **err);
void serve_end(struct plan9 *p, struct share *sh); /* of one that is not served: nothing */
/* Tells the guest that nobody serves it any more, but one that has been saved. */
void serve_hang_up(struct plan9 *p);
bool serve_listen(struct plan9 *p, struct sf_error **err); /* may be repeated */
void serve_unlisten(struct plan9 *p);
/* Its server has ended by itself. */
bool serve_lost(struct plan9 *p, const struct share *sh);
/* What the guest holds open now; the caller's. *@ret_served: false: nobody serves it. */
bool serve_export(struct plan9 *p, const struct share *sh, struct ninep_state *ret,
                  bool *ret_served, struct sf_error **err);
/* Every reason why that cannot travel. */
void serve_check(struct plan9 *p, const struct share *sh, bool still, struct sf_reasons *why);
/* Give up the locks on the host until the guest goes on; and take them again. Where somebody else
 * has one by now, the share comes to its end: the guest must not write as if it were locked. */
void serve_rest(struct plan9 *p);
void serve_wake(struct plan9 *p);
struct ninep_options serve_options(const struct share_config *config,
                                   const char *names[PLAN9_NAMES_MAX]);

/* ---- guest.c: what the agent is asked ---- */

bool guest_mount(struct plan9 *p, const struct share *sh, struct sf_error **err);
bool guest_unmount(struct plan9 *p, const struct share *sh, struct sf_error **err);

/* ---- section.c ---- */

enum open_files {
    OPEN_LEFT_OUT,
    OPEN_AS_FAR_AS, /* it can be said: that of a share with a file that has no name is left out */
    OPEN_ALL,       /* or FAILED_PRECONDITION */
};

/* RESOURCE_EXHAUSTED if that is more than a snapshot takes. */
bool plan9_to_section(struct plan9 *p, enum open_files open, struct sf_bytes *ret,
                      struct sf_error **err);
/* Fills an empty @p from bytes that nobody has vouched for. On failure it stays empty. */
bool plan9_from_section(struct plan9 *p, const struct sf_bytes *section, struct sf_error **err);

/* ---- patch.c ---- */

bool plan9_patch(struct plan9 *p, const char *object, const char *value, struct sf_error **err);

/* ---- travel.c: every reason against a save, or against a restore here ---- */

/* @still: see ninep_check(). */
void travel_check(struct plan9 *p, bool still, struct sf_reasons *why);
void travel_admit(struct plan9 *p, struct sf_reasons *why);

/* ---- rpcs.c ---- */

extern struct sf_service plan9_services[];

#endif
