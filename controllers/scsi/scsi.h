#ifndef SCSI_SCSI_H
#define SCSI_SCSI_H

/*
 * The scsi controller: disks by slot, reservations by GUID.
 *
 * A mount has as many refs as reservations hold it. A release that failed half way has given up its
 * ref already, and says so itself (dropped): a repeat goes on where it stopped and cannot take the
 * ref of somebody who came in between.
 */

#include "controller.h"
#include "offers.h"
#include "scsi/disk.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "base/text.h"

#define SCSI_SECTION_VERSION  1
#define SCSI_RESERVATIONS_MAX 4096
#define SCSI_HOLDER_SIZE      96

struct reservation {
    char id[SF_GUID_SIZE];
    unsigned slot;
    uint64_t partition;
    bool dropped;                  /* its ref is given up; what is left of the release failed */
    char holder[SCSI_HOLDER_SIZE]; /* "container 'c1'", or "" */
};

struct scsi {
    struct sf_controller base;        /* first */
    struct disk *disks[SCSI_SLOTS];   /* owned */
    struct reservation *reservations; /* owned; sorted by id */
    size_t n_reservations;
};

/* ---- reserve.c: who holds what ---- */

struct reservation *scsi_find(const struct scsi *s, const char *id); /* NULL: there is none */
bool scsi_add_reservation(struct scsi *s, const char *id, unsigned slot, uint64_t partition,
                          struct sf_error **err);
void scsi_remove_reservation(struct scsi *s, struct reservation *r);
bool scsi_reserve(struct scsi *s, const struct disk_config *config, uint64_t partition,
                  const struct mount_config *mount, char ret_id[SF_GUID_SIZE],
                  struct sf_error **err);
/* A disk that is the machine's own: in its place for good, held by nobody. A repeat after a failure
 * takes away first what that has left. */
bool scsi_pin(struct scsi *s, unsigned controller, unsigned lun, const struct disk_config *config,
              struct sf_error **err);
bool scsi_map(struct scsi *s, const char *id, const char **ret_guest_path, struct sf_error **err);
bool scsi_release(struct scsi *s, const char *id, struct sf_error **err);
bool scsi_config(const struct sf_disk_request *request, struct disk_config *ret_disk,
                 struct mount_config *ret_mount, struct sf_error **err);

/* ---- attach.c: the disk in the VM. A failure has taken back its own part. ---- */

bool attach_disk(struct scsi *s, struct disk *d, struct sf_error **err);
bool detach_disk(struct scsi *s, struct disk *d, struct sf_error **err);
/* Looks at the file: type, device and inode. */
bool identify_disk(struct disk *d, struct sf_error **err);
/* Its size as the VM sees it; the time of its last change, or the kernel's number of a block
 * device.
 */
bool stat_disk(const struct disk *d, uint64_t *ret_size, int64_t *ret_modified_ns,
               struct sf_error **err);

/* ---- guest.c: what the agent is asked ---- */

bool guest_mount(struct scsi *s, const struct disk *d, struct disk_mount *m, struct sf_error **err);
bool guest_unmount(struct scsi *s, const struct disk *d, const struct disk_mount *m,
                   struct sf_error **err);
bool guest_eject(struct scsi *s, const struct disk *d, struct sf_error **err);

/* ---- overlay.c: what a clone writes ---- */

/* Whether a disk of a clone is written elsewhere than it says. */
bool overlay_wanted(const struct scsi *s, const struct disk *d);
/* Gives QEMU a new overlay over @d; a repeat makes it anew. */
bool overlay_make(struct scsi *s, struct disk *d, struct sf_error **err);
/* A whole qcow2 image in which nothing is written yet; for overlay_make(), and the test. */
bool overlay_format(int fd, uint64_t size_bytes, struct sf_error **err);

bool guest_device_valid(const char *path); /* "/dev/sda1" */

/* ---- section.c ---- */

bool scsi_to_section(const struct scsi *s, struct sf_bytes *ret, struct sf_error **err);
/* Fills an empty @s from bytes that nobody has vouched for. On failure it stays empty. */
bool scsi_from_section(struct scsi *s, const struct sf_bytes *section, struct sf_error **err);
void scsi_empty(struct scsi *s);

/* ---- patch.c ---- */

bool scsi_patch(struct scsi *s, const char *object, const char *value, struct sf_error **err);
bool scsi_admit(struct scsi *s, struct sf_reasons *why, struct sf_error **err);

/* ---- rpcs.c ---- */

extern struct sf_service scsi_services[];

#endif
