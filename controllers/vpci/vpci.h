#ifndef VPCI_VPCI_H
#define VPCI_VPCI_H

/*
 * The vpci controller: PCI functions by GUID, reservations by GUID.
 *
 * A device has as many refs as reservations hold it, from the reserve on. Whoever releases a
 * reservation gives up its own ref and no other's; the last one takes the device out of the VM, and
 * keeps its reservation until that has succeeded, so that the release can be repeated.
 */

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "base/text.h"
#include "controller.h"
#include "offers.h"
#include "vpci/device.h"

#define VPCI_SECTION_VERSION  1
#define VPCI_DEVICES_MAX      64
#define VPCI_RESERVATIONS_MAX 4096
#define VPCI_HOLDER_SIZE      96

struct reservation {
    char id[SF_GUID_SIZE];
    char device[SF_GUID_SIZE];
    char holder[VPCI_HOLDER_SIZE]; /* "container 'c1'", or "" */
};

struct vpci {
    struct sf_controller base;                /* first */
    struct device *devices[VPCI_DEVICES_MAX]; /* owned; sorted by id */
    size_t n_devices;
    struct reservation *reservations; /* owned; sorted by id */
    size_t n_reservations;
};

/* ---- books.c: what there is ---- */

struct device *vpci_find_device(const struct vpci *v, const char *id);           /* NULL: none */
struct reservation *vpci_find_reservation(const struct vpci *v, const char *id); /* NULL: none */
/* Takes @d over if it succeeds. */
bool vpci_add_device(struct vpci *v, struct device *d, struct sf_error **err);
void vpci_drop_device(struct vpci *v, struct device *d);
bool vpci_add_reservation(struct vpci *v, const char *id, const char *device,
                          struct sf_error **err);
void vpci_drop_reservation(struct vpci *v, struct reservation *r);
void vpci_empty(struct vpci *v);
/* The lowest root port that no device has; VPCI_NO_PORT: all are taken. */
int vpci_free_port(const struct vpci *v);
/* "device 'ID' (nvme in port2, held by container 'c1')": for messages. */
void vpci_describe(const struct vpci *v, const struct device *d, struct sf_text *out);

/* ---- reserve.c: who holds what ---- */

/* What was asked for, checked; of a model, or of a function of the host. */
bool vpci_config(const struct sf_device_request *request, struct device_config *ret,
                 struct sf_error **err);
bool vpci_reserve(struct vpci *v, const struct device_config *config, char ret_id[SF_GUID_SIZE],
                  struct sf_error **err);
/* *@ret: the device's own. */
bool vpci_map(struct vpci *v, const char *id, const struct device_found **ret,
              struct sf_error **err);
bool vpci_release(struct vpci *v, const char *id, struct sf_error **err);
bool vpci_hold(struct vpci *v, const char *id, const char *holder, struct sf_error **err);

/* ---- plug.c: the device in the VM ---- */

/* Into its port. A failure has taken back its own part, or says leftover. */
bool plug_device(struct vpci *v, struct device *d, struct sf_error **err);
/* May be repeated: one that is gone already is no error. Its port stays. */
bool unplug_device(struct vpci *v, struct device *d, struct sf_error **err);
/* Whether QEMU, which runs, has such devices at all. */
bool plug_is_known(struct vpci *v, const struct device *d, struct sf_error **err);

/* ---- guest.c: what the agent is asked ---- */

enum guest_remove {
    GUEST_ONLY_ASK, /* would it? */
    GUEST_LET_GO,
    GUEST_FORCE, /* whoever uses it */
};

/* Waits until the guest has it, and fills found. */
bool guest_add(struct vpci *v, struct device *d, struct sf_error **err);
bool guest_remove(struct vpci *v, struct device *d, enum guest_remove how, struct sf_error **err);

/* ---- travel.c: saves and restores ---- */

bool vpci_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err);
bool vpci_quiesce(struct sf_controller *c, struct sf_error **err);
void vpci_thaw(struct sf_controller *c);
bool vpci_prepare(struct sf_controller *c, struct sf_error **err);
bool vpci_resume(struct sf_controller *c, struct sf_error **err);
void vpci_abandon(struct sf_controller *c);
bool vpci_leaves(struct sf_controller *c);

/* ---- names.c: /dev/nvme1 stays /dev/nvme1 ---- */

/* Takes what was found for its names; whoever watches events is told if they were others before. */
void vpci_keep_names(struct vpci *v, struct device *d);

/* While devices are brought back: what stands where one is missing that the guest's driver has
 * counted. */
struct fillers {
    struct device *list[VPCI_PORTS]; /* owned */
    unsigned n;
};
/* The next that is to be brought back; NULL: all are. */
struct device *vpci_next_back(const struct vpci *v);
void vpci_fill_up_to(struct vpci *v, struct fillers *fillers, const struct device *d);
void vpci_remove_fillers(struct vpci *v, struct fillers *fillers);

/* ---- section.c ---- */

bool vpci_to_section(const struct vpci *v, struct sf_bytes *ret, struct sf_error **err);
/* Fills an empty @v from bytes that nobody has vouched for. On failure it stays empty. */
bool vpci_from_section(struct vpci *v, const struct sf_bytes *section, struct sf_error **err);

/* ---- patch.c ---- */

bool vpci_patch(struct vpci *v, const char *object, const char *value, struct sf_error **err);
bool vpci_admit(struct vpci *v, struct sf_reasons *why, struct sf_error **err);

/* ---- rpcs.c ---- */

extern struct sf_service vpci_services[];

#endif
