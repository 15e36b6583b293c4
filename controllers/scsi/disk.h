#ifndef SCSI_DISK_H
#define SCSI_DISK_H

/* A disk in its slot, and its mounts: what they are and which moves they may make. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine.h"

#define SCSI_CONTROLLERS 4
#define SCSI_LUNS        64
#define SCSI_SLOTS       (SCSI_CONTROLLERS * SCSI_LUNS)
#define SCSI_MOUNTS_MAX  16 /* of one disk */
#define SCSI_OPTIONS_MAX 32 /* of one mount */
#define SCSI_OPTION_SIZE 128
#define SCSI_FS_SIZE     32
#define SCSI_GUEST_PATH  128

/* Numbers as on the wire. */
enum disk_state {
    DISK_RESERVED, /* a slot is set aside; the VM does not have the disk */
    DISK_ATTACHED, /* in the VM */
    DISK_EJECTED,  /* the guest has let go of it; still in the VM */
    DISK_DETACHED, /* not in the VM; its holders have not let go yet */
    DISK_N_STATES
};

enum disk_event {
    DISK_ATTACH_DONE,
    DISK_ATTACH_FAILED,
    DISK_EJECT_DONE,
    DISK_REMOVE_DONE,
    DISK_N_EVENTS
};

extern const struct sf_machine disk_machine;

/* Numbers as on the wire. */
enum mount_state {
    MOUNT_RESERVED,  /* asked for; the guest has not mounted it */
    MOUNT_MOUNTED,   /* mounted in the guest */
    MOUNT_UNMOUNTED, /* could not be mounted; its holders have not let go yet */
    MOUNT_N_STATES
};

enum mount_event { MOUNT_MOUNT_DONE, MOUNT_MOUNT_FAILED, MOUNT_UNMOUNT_DONE, MOUNT_N_EVENTS };

extern const struct sf_machine mount_machine;

/* How a partition is to be mounted. Options are compared as a multiset. */
struct mount_config {
    bool read_only, encrypted, ensure_filesystem, block_device;
    char filesystem[SCSI_FS_SIZE];
    char options[SCSI_OPTIONS_MAX][SCSI_OPTION_SIZE]; /* sorted */
    unsigned n_options;
};

struct disk_mount {
    uint64_t partition; /* 1-based; 0 is the whole disk */
    struct mount_config config;
    unsigned state;                   /* enum mount_state */
    uint32_t refs;                    /* reservations that hold it */
    char guest_path[SCSI_GUEST_PATH]; /* "" until mounted */
    bool doubtful;                    /* an unmount was asked for, and never answered */
};

/* What a disk is on the host. Numbers as on the wire. */
enum disk_type {
    DISK_TYPE_UNKNOWN, /* not said */
    DISK_TYPE_FILE,
    DISK_TYPE_DEVICE, /* a block device */
    DISK_N_TYPES
};

/* How it is laid out. Numbers as on the wire. */
enum disk_format {
    DISK_FORMAT_UNKNOWN, /* not said */
    DISK_FORMAT_RAW,
    DISK_FORMAT_QCOW2,
    DISK_FORMAT_VPC,
    DISK_FORMAT_VHDX,
    DISK_N_FORMATS
};

/* What a disk is on the host. */
struct disk_config {
    char path[PATH_MAX];
    bool read_only;
    unsigned type, format; /* enum disk_type, enum disk_format; known, once it has a slot */
};

struct disk {
    unsigned slot; /* controller * SCSI_LUNS + lun */
    struct disk_config config;
    unsigned state;                             /* enum disk_state */
    bool boot;                                  /* came with the machine */
    struct disk_mount *mounts[SCSI_MOUNTS_MAX]; /* owned; sorted by partition */
    unsigned n_mounts;
    char *saved_path; /* owned; what the snapshot calls it; NULL: no patch has changed its path */
    bool named;       /* a patch has named it, and not only a directory above it */
    dev_t device;     /* of the file, to know it under another name; 0: not looked at yet */
    ino_t inode;
    uint32_t fd_set;      /* QEMU's set of its descriptor, while it is attached */
    uint64_t size_bytes;  /* as the VM sees it, when the sandbox was saved */
    int64_t modified_ns;  /* of the file, when the sandbox was saved */
    bool patched;         /* another file than the one that was saved */
    bool overlaid;        /* of a clone: what the guest writes goes elsewhere, and ends with it */
    uint32_t overlay_set; /* QEMU's set of where it goes, while it is attached */
    bool leftover;        /* QEMU may still hold what an attach began that has failed */
};

struct disk *disk_new(unsigned slot, const struct disk_config *config); /* NULL: no memory */
void disk_free(struct disk *d);

struct disk_mount *disk_find_mount(const struct disk *d, uint64_t partition);
/* NULL: too many, or no memory. */
struct disk_mount *disk_add_mount(struct disk *d, uint64_t partition,
                                  const struct mount_config *config);
void disk_drop_mount(struct disk *d, struct disk_mount *m);

bool disk_config_equal(const struct disk_config *a, const struct disk_config *b);
bool mount_config_equal(const struct mount_config *a, const struct mount_config *b);
/* Keeps the options sorted. False: too many or too long. */
bool mount_config_add_option(struct mount_config *config, const char *option);

/* "0:3": controller and LUN, for messages. */
const char *disk_name(const struct disk *d, char ret[16]);

#endif
