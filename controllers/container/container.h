#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

/* The container controller: pods, and the containers in them. */

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

#define CONTAINER_SECTION_VERSION 1
#define CONTAINERS_MAX            1024
#define LAYERS_MAX                64
#define HELD_MAX                  64 /* of one container: disks, shares, devices, each */
#define LABELS_MAX                64
#define LAYER_PATH_SIZE           512

/* Numbers as on the wire. */
enum container_state {
    CONTAINER_NOT_CREATED, /* recorded; the guest does not know of it */
    CONTAINER_CREATED,     /* the guest has made it; its init process waits to be started */
    CONTAINER_RUNNING,
    CONTAINER_STOPPED, /* its init process has ended */
    CONTAINER_INVALID, /* could not be made or started: only a delete helps */
    CONTAINER_N_STATES
};

enum container_event {
    CONTAINER_MADE,
    CONTAINER_MAKE_FAILED,
    CONTAINER_STARTED,
    CONTAINER_START_FAILED,
    CONTAINER_EXITED,
    CONTAINER_N_EVENTS
};

extern const struct sf_machine container_machine;

struct layer {
    char reservation_id[SF_GUID_SIZE];
    char guest_path[LAYER_PATH_SIZE];
};

/* What a container holds besides its layers. */
enum held_kind { HELD_DISKS, HELD_SHARES, HELD_DEVICES, HELD_KINDS };

struct held {
    char ids[HELD_MAX][SF_GUID_SIZE]; /* reservations, sorted */
    size_t n;
};

struct label {
    char *key, *value; /* owned */
};

struct pod {
    char pod_id[SF_ID_SIZE], guest_pod_id[SF_ID_SIZE];
    bool declared;                   /* by CreatePod: stays when its last container goes */
    struct label labels[LABELS_MAX]; /* sorted by key */
    size_t n_labels;
};

struct container {
    char container_id[SF_ID_SIZE], guest_container_id[SF_ID_SIZE], pod_id[SF_ID_SIZE];
    unsigned state;                  /* enum container_state */
    struct layer layers[LAYERS_MAX]; /* read-only, lowest first */
    size_t n_layers;
    struct layer scratch; /* reservation_id "": in guest memory */
    bool combined;        /* the guest has made it, or may have: it is to be asked to delete it */
    char rootfs_path[LAYER_PATH_SIZE];
    struct held held[HELD_KINDS];
    char *spec;                      /* owned: OCI runtime spec, JSON */
    struct label labels[LABELS_MAX]; /* sorted by key */
    size_t n_labels;
    int64_t created_at_ns;
    uint64_t serial; /* tells it from another that gets the same id; not in the section */
};

struct containers {
    struct sf_controller base; /* first */
    struct pod **pods;         /* owned, and what it points to; sorted */
    size_t n_pods;
    struct container **list; /* owned, and what it points to; sorted */
    size_t n;
    uint64_t last_serial;
};

/* ---- books.c ---- */
struct pod *pod_find(const struct containers *c, const char *pod_id);
struct pod *pod_add(struct containers *c, const char *pod_id, const char *guest_pod_id,
                    struct sf_error **err);
void pod_remove(struct containers *c, struct pod *pod);
/* One that nobody has asked for goes with its last container. */
void pod_remove_if_empty(struct containers *c, const char *pod_id);
size_t pod_size(const struct containers *c, const char *pod_id); /* containers in it */
/* Copies. False: no memory, or too many. */
bool pod_add_label(struct pod *pod, const char *key, const char *value);
struct container *container_find(const struct containers *c, const char *container_id);
struct container *container_add(struct containers *c, const char *container_id, const char *pod_id,
                                struct sf_error **err);
void container_remove(struct containers *c, struct container *container);
void containers_empty(struct containers *c);
bool container_add_label(struct container *c, const char *key, const char *value);
bool held_add(struct held *held, const char *reservation_id); /* false: it is full */

/* By id, once ids have changed. */
void containers_sort(struct containers *c);

/* ---- pod.c: what containers have in common, and other ids on this host ---- */
/* One that nobody has asked for. */
struct pod *pod_new(struct containers *c, const char *pod_id, struct sf_error **err);
/* One that stays until pod_delete(). ALREADY_EXISTS, INVALID_ARGUMENT. */
bool pod_create(struct containers *c, const char *pod_id, const struct label *labels, size_t n,
                struct pod **ret, struct sf_error **err);
/* FAILED_PRECONDITION while it has containers. */
bool pod_delete(struct containers *c, struct pod *pod, struct sf_error **err);
/* Whether a container may be deleted: a pod's sandbox container goes last. */
bool pod_lets_go(const struct containers *c, const struct container *container,
                 struct sf_error **err);
/* The id that a new container gets in the guest. */
void container_guest_id(const struct containers *c, const char *container_id, char ret[SF_ID_SIZE]);
/* "pod/ID" or "container/ID" gets another id on this host. */
bool containers_patch(struct containers *c, const char *object, const char *value,
                      struct sf_error **err);

/* ---- create.c: everything that a container needs, and the way back ---- */

/* A disk that a container asks for. */
struct wanted_disk {
    struct sf_disk_request request;
    const char *destination; /* of a disk besides the layers */
};

struct wanted_share {
    struct sf_share_request request;
    const char *destination;
};

struct wanted_container {
    const char *container_id, *pod_id;
    const struct wanted_disk *layers, *scratch, *disks; /* scratch NULL: none */
    size_t n_layers, n_disks;
    const struct wanted_share *shares;
    size_t n_shares;
    const struct sf_device_request *devices;
    size_t n_devices;
    const char *spec; /* "": made from what follows */
    char *const *args, *const *env;
    size_t n_args, n_env;
    const char *working_directory;
    const struct label *labels;
    size_t n_labels;
};

/* Keys that come twice, or have no good length. */
bool labels_check(const struct label *labels, size_t n, struct sf_error **err);
bool container_create(struct containers *c, const struct wanted_container *wanted,
                      struct container **ret, struct sf_error **err);
bool container_start(struct containers *c, struct container *container, struct sf_error **err);
bool container_delete(struct containers *c, struct container *container, struct sf_error **err);

/* ---- hold.c: what a container holds of other controllers ---- */

/* Where the guest has it, and where the container is to have it. */
struct spec_mount {
    char *source, *destination; /* owned */
    bool read_only;
    bool node; /* of the device with this number: the container may use it */
    struct sf_device_number number;
};

struct spec_mounts {
    struct spec_mount *list; /* owned */
    size_t n;
    char network[SF_ID_SIZE]; /* the pod's namespace in the guest; "": it has none */
};
void spec_mounts_done(struct spec_mounts *m);

/* Everything that a container asks for: reserved, held, mapped. What is reserved is in the books
 * before this can fail again, so that whoever takes the container back finds it there. */
bool hold_wanted(struct containers *c, struct container *container,
                 const struct wanted_container *wanted, struct spec_mounts *ret,
                 struct sf_error **err);
/* What it holds is let go of; a repeat goes on where this stopped. */
bool hold_release(struct containers *c, struct container *container, struct sf_error **err);
/* After an import: what it holds is its own again, and nobody else may remove it. */
bool hold_again(struct containers *c, const struct container *container, struct sf_error **err);

/* ---- spec.c: OCI runtime specs ---- */

/* What can be said of the wishes before anything is done. */
bool spec_check(const struct wanted_container *wanted, struct sf_error **err);

/* The spec that the guest gets, on the heap; NULL: *@err says why. *@ret_terminal: of its process.
 */
char *spec_make(const struct wanted_container *wanted, const struct container *container,
                const struct spec_mounts *mounts, bool *ret_terminal, struct sf_error **err);

/* ---- guest.c: what the agent is asked ---- */
bool guest_create(struct containers *c, const struct container *container, bool terminal,
                  int32_t *ret_pid, struct sf_error **err);
bool guest_start(struct containers *c, const struct container *container, struct sf_error **err);
bool guest_delete(struct containers *c, const struct container *container, struct sf_error **err);

/* ---- section.c ---- */
bool containers_to_section(const struct containers *c, struct sf_bytes *ret, struct sf_error **err);
bool containers_from_section(struct containers *c, const struct sf_bytes *section,
                             struct sf_error **err);

/* ---- rpcs.c ---- */
extern struct sf_service container_services[];

#endif
