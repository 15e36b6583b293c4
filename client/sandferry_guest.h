#ifndef SANDFERRY_GUEST_H
#define SANDFERRY_GUEST_H

/**
 * What is in a running sandbox: disks, shares, devices, pods, containers. The second part of
 * sandferry.h; what holds for every function is said at the head of that file.
 *
 * Each function here also fails with SF_NOT_FOUND (no such sandbox, container, process or
 * reservation; the message says which), and each that changes something with SF_FAILED_PRECONDITION
 * (the sandbox does not run, or is held by a save). Those that only look work on a held one too.
 */

#include "sandferry.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ============================================================================================
 * Disks of a running sandbox
 * ============================================================================================ */

enum sandferry_disk_type {
    SANDFERRY_DISK_AS_FOUND = 0,     /**< the daemon looks what the path is */
    SANDFERRY_DISK_FILE = 1,         /**< a file; anything else is refused */
    SANDFERRY_DISK_BLOCK_DEVICE = 2, /**< a block device; anything else is refused */
};
enum sandferry_disk_format {
    SANDFERRY_FORMAT_UNSPECIFIED = 0, /**< raw */
    SANDFERRY_FORMAT_RAW = 1,         /**< the disk's bytes */
    SANDFERRY_FORMAT_QCOW2 = 2,       /**< QEMU's own */
    SANDFERRY_FORMAT_VPC = 3,         /**< Connectix, Microsoft: .vhd */
    SANDFERRY_FORMAT_VHDX = 4,        /**< Hyper-V */
};
enum sandferry_disk_stage {
    SANDFERRY_DISK_RESERVED = 0, /**< a slot is set aside; the VM does not have the disk */
    SANDFERRY_DISK_ATTACHED = 1, /**< in the VM */
    SANDFERRY_DISK_EJECTED = 2,  /**< the guest has let go of it; still in the VM */
    SANDFERRY_DISK_DETACHED = 3, /**< not in the VM; its holders have not let go yet */
};
enum sandferry_mount_stage {
    SANDFERRY_MOUNT_RESERVED = 0, /**< asked for */
    SANDFERRY_MOUNT_MOUNTED = 1,
    SANDFERRY_MOUNT_UNMOUNTED = 2, /**< its holders have not let go yet */
};
const char *sandferry_disk_format_name(enum sandferry_disk_format format); /**< "qcow2"; static */
const char *sandferry_disk_stage_name(enum sandferry_disk_stage stage);   /**< "attached"; static */
const char *sandferry_mount_stage_name(enum sandferry_mount_stage stage); /**< "mounted"; static */

/** A disk that is asked for: with sandferry_disk_add(), or as part of a container. */
struct sandferry_disk_spec {
    size_t size;
    const char *host_path; /**< absolute, on the daemon's host, beneath a root that it allows */
    bool read_only;        /**< the VM cannot write to it */
    enum sandferry_disk_type type;
    enum sandferry_disk_format format;
    uint64_t partition; /**< 1-based; 0: the whole disk */
    size_t n_mount_options;
    const char *const *mount_options;
    bool ensure_filesystem; /**< make a file system if there is none */
    const char *filesystem; /**< "ext4", "squashfs"; NULL: as found */
    bool block_device;      /**< do not mount: the guest uses the block device */
    char unused_[7];        /**< was padding: nothing is said here */
    bool encrypted; /**< with a key that never leaves the guest; what the disk had is gone */
};
#define SANDFERRY_DISK_SPEC_INIT SANDFERRY_SIZED_(struct sandferry_disk_spec)

/** One partition, mounted in the guest. */
struct sandferry_mount {
    uint64_t partition;
    enum sandferry_mount_stage stage;
    bool read_only, block_device;
    const char *filesystem, *guest_path;
    uint32_t refs; /**< reservations that hold it */
    bool encrypted;
};

/** One disk in its slot: SCSI controller * 64 + LUN. */
struct sandferry_disk {
    uint32_t slot;
    const char *host_path;
    bool read_only;
    enum sandferry_disk_type type;
    enum sandferry_disk_format format;
    enum sandferry_disk_stage stage;
    size_t n_mounts;
    const struct sandferry_mount *const *mounts; /**< sorted by partition */
};

/** A holder's handle on a partition of a disk. */
struct sandferry_reservation {
    const char *id; /**< a GUID */
    uint32_t slot;
    uint64_t partition;
    const char *holder; /**< "container 'c1'"; "": the caller of sandferry_disk_add() */
};

/** What sandferry_disk_add() gave. */
struct sandferry_disk_added {
    const char *reservation_id; /**< the handle for sandferry_disk_remove() */
    const char *guest_path;     /**< the mount point, or the device of a block device */
    const struct sandferry_disk *disk;
};

/** All disks of a sandbox, sorted by slot, and who holds them, sorted by id. */
struct sandferry_disks {
    size_t n;
    const struct sandferry_disk *const *all;
    size_t n_reservations;
    const struct sandferry_reservation *const *reservations;
};

/**
 * sandferry_disk_add() - attach a disk and, unless asked not to, mount it in the guest
 * @ret: sandferry_disk_added_free()
 *
 * The same disk, asked for in the same way, is attached once and held twice.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (no such file; frozen; in use another way),
 * SF_PERMISSION_DENIED (not beneath an allowed root) or SF_RESOURCE_EXHAUSTED (no slot).
 */
bool sandferry_disk_add(struct sandferry *client, const char *sandbox,
                        const struct sandferry_disk_spec *disk,
                        const struct sandferry_call_options *options,
                        struct sandferry_disk_added **ret, struct sf_error **err);

/**
 * sandferry_disk_remove() - let go of a reservation
 *
 * The last one of a mount unmounts it; the last one of a disk detaches it. A call that has failed
 * can be repeated and goes on where it stopped; after one that succeeded: SF_NOT_FOUND.
 */
bool sandferry_disk_remove(struct sandferry *client, const char *sandbox,
                           const char *reservation_id, const struct sandferry_call_options *options,
                           struct sf_error **err);

/**
 * sandferry_disk_list() - all disks of a sandbox, with their mounts, and who holds them
 * @ret: sandferry_disks_free()
 *
 * Also those that came with containers. None is no error. Can be asked while the sandbox is held by
 * a save, and shows it as it was saved.
 */
bool sandferry_disk_list(struct sandferry *client, const char *sandbox,
                         const struct sandferry_call_options *options, struct sandferry_disks **ret,
                         struct sf_error **err);

/* ============================================================================================
 * Shares of a running sandbox: directories of the daemon's host, or single files
 * ============================================================================================ */

enum sandferry_share_stage {
    SANDFERRY_SHARE_RESERVED = 0, /**< asked for; not served yet */
    SANDFERRY_SHARE_ADDED = 1,    /**< served to the guest */
    SANDFERRY_SHARE_INVALID = 2,  /**< could not be served: only letting go of it helps */
    SANDFERRY_SHARE_REMOVED = 3,  /**< not served; its holders have not let go yet */
};
enum sandferry_share_mount_stage {
    SANDFERRY_SHARE_MOUNT_RESERVED = 0, /**< asked for; the guest has not mounted it */
    SANDFERRY_SHARE_MOUNT_MOUNTED = 1,
    SANDFERRY_SHARE_MOUNT_INVALID = 2,   /**< could not be mounted: only letting go of it helps */
    SANDFERRY_SHARE_MOUNT_UNMOUNTED = 3, /**< its holders have not let go yet */
};
const char *sandferry_share_stage_name(enum sandferry_share_stage stage); /**< "added"; static */
const char *sandferry_share_mount_stage_name(enum sandferry_share_mount_stage stage); /**< static */

/** A share that is asked for: with sandferry_share_add(), or as part of a container. */
struct sandferry_share_spec {
    size_t size;
    const char *host_path; /**< absolute, on the daemon's host, beneath a root that it allows: a
                                directory; or a file: then nothing else of its directory */
    size_t n_allowed_names;
    const char *const *allowed_names; /**< file names in the directory; with restricted */
    bool read_only;                   /**< the guest cannot write to it */
    bool restricted;                  /**< only the files of allowed_names can be seen */
};
#define SANDFERRY_SHARE_SPEC_INIT SANDFERRY_SIZED_(struct sandferry_share_spec)

/** One share. New fields come at the end; made by the library alone. */
struct sandferry_share {
    const char *name; /**< a number, never used twice in a sandbox */
    const char *host_path, *guest_path;
    bool read_only, restricted;
    size_t n_allowed_names;
    const char *const *allowed_names;
    enum sandferry_share_stage stage;
    enum sandferry_share_mount_stage mount_stage;
    uint32_t refs; /**< reservations that hold its mount */
    size_t n_open;
    const char *const *open; /**< what the guest has open, beneath the share; once for each time */
};

/** A holder's handle on a share or device. */
struct sandferry_hold {
    const char *id;     /**< a GUID */
    const char *object; /**< the share's name, the device's id */
    const char *holder; /**< "container 'c1'"; "": whoever has added it with a call of its own */
};

/** What sandferry_share_add() gave. */
struct sandferry_share_added {
    const char *reservation_id; /**< the handle for sandferry_share_remove() */
    const char *guest_path;     /**< the mount point; of a single file: the file beneath it */
    const struct sandferry_share *share;
};

/** All shares of a sandbox, sorted by name, and who holds them, sorted by id. */
struct sandferry_shares {
    size_t n;
    const struct sandferry_share *const *all;
    size_t n_holds;
    const struct sandferry_hold *const *holds;
};

/**
 * sandferry_share_add() - serve a directory, or one file, and mount it in the guest
 * @ret: sandferry_share_added_free()
 *
 * The same path, asked for in the same way, is served once and held twice. What the guest has open
 * of it goes on across a save and restore.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (no such file; frozen), SF_PERMISSION_DENIED (not
 * beneath an allowed root; writable, and the daemon allows no such shares) or
 * SF_RESOURCE_EXHAUSTED.
 */
bool sandferry_share_add(struct sandferry *client, const char *sandbox,
                         const struct sandferry_share_spec *share,
                         const struct sandferry_call_options *options,
                         struct sandferry_share_added **ret, struct sf_error **err);

/**
 * sandferry_share_remove() - let go of a reservation
 *
 * The last one of a share unmounts it and ends its serving. A call that has failed can be repeated
 * and goes on where it stopped; after one that succeeded: SF_NOT_FOUND.
 */
bool sandferry_share_remove(struct sandferry *client, const char *sandbox,
                            const char *reservation_id,
                            const struct sandferry_call_options *options, struct sf_error **err);

/**
 * sandferry_share_list() - all shares of a sandbox, what is open of them, and who holds them
 * @ret: sandferry_shares_free()
 *
 * As sandferry_disk_list().
 */
bool sandferry_share_list(struct sandferry *client, const char *sandbox,
                          const struct sandferry_call_options *options,
                          struct sandferry_shares **ret, struct sf_error **err);

/* ============================================================================================
 * Devices of a running sandbox: PCI functions
 * ============================================================================================ */

enum sandferry_device_stage {
    SANDFERRY_DEVICE_RESERVED = 0, /**< recorded; neither the VM nor the guest knows of it */
    SANDFERRY_DEVICE_ASSIGNED = 1, /**< in the VM; the guest has not answered yet */
    SANDFERRY_DEVICE_READY = 2,    /**< in the VM, and the guest has it */
    SANDFERRY_DEVICE_INVALID = 3,  /**< in the VM, but unusable: only letting go of it helps */
    SANDFERRY_DEVICE_REMOVED = 4,  /**< not in the VM; its holders have not let go yet */
};
const char *sandferry_device_stage_name(enum sandferry_device_stage stage); /**< "ready"; static */

/** A device that is asked for: either host_address or model. */
struct sandferry_device_spec {
    size_t size;
    const char
        *host_address; /**< a function bound to vfio-pci on the daemon's host: "0000:3b:00.0" */
    const char *model; /**< one of QEMU's own: "virtio-rng-pci", "nvme", "edu" */
    size_t n_properties;
    const char *const *properties; /**< of the model: "serial=a1" */
    uint32_t virtual_function;     /**< of host_address, from 1; 0: the function itself */
};
#define SANDFERRY_DEVICE_SPEC_INIT SANDFERRY_SIZED_(struct sandferry_device_spec)

/** One device. New fields come at the end; made by the library alone. */
struct sandferry_device {
    const char *id;            /**< a GUID */
    const char *host_address;  /**< "": a model */
    uint32_t virtual_function; /**< 0: the function itself */
    const char *model;         /**< "": a device of the host */
    enum sandferry_device_stage stage;
    uint32_t refs;    /**< reservations that hold it */
    const char *port; /**< the root port that it is plugged into; "": it is not in the VM */
    bool travels;     /**< its state is saved; any other is unplugged before a save, and plugged
                           again into the same port after it, or at the destination */
    size_t n_properties;
    const char *const *properties; /**< sorted */
    /* What the guest has; "" and none while it is not in the VM. */
    const char *pci_address; /**< "0000:05:00.0" */
    const char *driver;      /**< "": none has it */
    size_t n_nodes;
    const char *const *nodes; /**< "/dev/nvme0"; sorted */
};

/** What sandferry_device_add() gave. */
struct sandferry_device_added {
    const char *reservation_id; /**< the handle for sandferry_device_remove() */
    const struct sandferry_device *device;
};

/** All devices of a sandbox, sorted by id, and who holds them, sorted by id. */
struct sandferry_devices {
    size_t n;
    const struct sandferry_device *const *all;
    size_t n_holds;
    const struct sandferry_hold *const *holds;
};

/**
 * sandferry_device_add() - plug a function into the VM, and wait until the guest has it
 * @ret: sandferry_device_added_free()
 *
 * A device of the host that the VM has already is held twice; each call with a model adds another
 * one.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (not bound to vfio-pci; frozen) or
 * SF_RESOURCE_EXHAUSTED (no free port).
 */
bool sandferry_device_add(struct sandferry *client, const char *sandbox,
                          const struct sandferry_device_spec *device,
                          const struct sandferry_call_options *options,
                          struct sandferry_device_added **ret, struct sf_error **err);

/**
 * sandferry_device_remove() - let go of a reservation
 *
 * The last one of a device unplugs it. A call that has failed can be repeated and goes on where it
 * stopped; after one that succeeded: SF_NOT_FOUND.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (something in the guest uses it: it is named).
 */
bool sandferry_device_remove(struct sandferry *client, const char *sandbox,
                             const char *reservation_id,
                             const struct sandferry_call_options *options, struct sf_error **err);

/**
 * sandferry_device_list() - all devices of a sandbox, what the guest has of them, and who holds
 * them
 * @ret: sandferry_devices_free()
 *
 * As sandferry_disk_list().
 */
bool sandferry_device_list(struct sandferry *client, const char *sandbox,
                           const struct sandferry_call_options *options,
                           struct sandferry_devices **ret, struct sf_error **err);

/* ============================================================================================
 * Pods of a running sandbox: groups of containers. Ids as those of sandboxes, unique in one.
 * ============================================================================================ */

/** One pod. New fields come at the end; made by the library alone. */
struct sandferry_pod {
    const char *id;
    bool declared; /**< by sandferry_pod_create(): it stays when its last container goes */
    size_t n_labels;
    const struct sandferry_label *labels;
    size_t n_containers;
    const char *const *containers; /**< ids, sorted */
};

/** All pods of a sandbox, sorted by id. */
struct sandferry_pods {
    size_t n;
    const struct sandferry_pod *const *all;
};

struct sandferry_pod_options {
    size_t size;
    uint32_t timeout_ms;
    size_t n_labels;
    const struct sandferry_label *labels;
};
#define SANDFERRY_POD_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_pod_options)

/**
 * sandferry_pod_create() - make a pod without containers
 * @ret: sandferry_pod_free(); may be NULL
 *
 * Containers join it by `pod_id`. A container with the pod's id is its sandbox container, and the
 * last of it to be deleted.
 *
 * Return: false, also with SF_ALREADY_EXISTS.
 */
bool sandferry_pod_create(struct sandferry *client, const char *sandbox, const char *id,
                          const struct sandferry_pod_options *options, struct sandferry_pod **ret,
                          struct sf_error **err);

/**
 * sandferry_pod_delete() - remove a pod
 * @options: force kills and deletes its containers first
 *
 * A call that has failed can be repeated and goes on where it stopped; after one that succeeded:
 * SF_NOT_FOUND.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (it has containers, and force is not set).
 */
bool sandferry_pod_delete(struct sandferry *client, const char *sandbox, const char *id,
                          const struct sandferry_delete_options *options, struct sf_error **err);

/**
 * sandferry_pod_list() - all pods of a sandbox, with the ids of their containers
 * @ret: sandferry_pods_free()
 */
bool sandferry_pod_list(struct sandferry *client, const char *sandbox,
                        const struct sandferry_call_options *options, struct sandferry_pods **ret,
                        struct sf_error **err);

/* ============================================================================================
 * Containers of a running sandbox. Ids as those of sandboxes, unique in one.
 * ============================================================================================ */

enum sandferry_container_stage {
    SANDFERRY_CONTAINER_NOT_CREATED = 0, /**< recorded; the guest does not know of it */
    SANDFERRY_CONTAINER_CREATED = 1,     /**< its init process waits to be started */
    SANDFERRY_CONTAINER_RUNNING = 2,     /**< its init process has been started */
    SANDFERRY_CONTAINER_STOPPED = 3,     /**< its init process has ended */
    SANDFERRY_CONTAINER_INVALID = 4,     /**< could not be made or started: only a delete helps */
};
const char *sandferry_container_stage_name(enum sandferry_container_stage stage); /**< static */

/** One container. New fields come at the end; made by the library alone. */
struct sandferry_container {
    const char *id, *pod_id;
    enum sandferry_container_stage stage;
    int64_t created_at_ns;
    const char *rootfs_path; /**< in the guest */
    const char *spec;        /**< the OCI runtime spec, as JSON */
    size_t n_labels;
    const struct sandferry_label *labels;
    /* The reservations that it holds, besides its layers and scratch disk; sorted. */
    size_t n_disks, n_shares, n_devices;
    const char *const *disks, *const *shares, *const *devices;
};

/** All containers of a sandbox, sorted by id. */
struct sandferry_containers {
    size_t n;
    const struct sandferry_container *const *all;
    size_t n_pods;
    const char *const *pods; /**< ids */
};

/** A disk mounted in a container. Never grows. */
struct sandferry_disk_mount {
    const struct sandferry_disk_spec *disk;
    const char *destination; /**< absolute path in the container */
};

/** A share mounted in a container. Never grows. */
struct sandferry_share_mount {
    const struct sandferry_share_spec *share;
    const char *destination; /**< absolute path in the container; of a single file: the file's */
};

struct sandferry_container_options {
    size_t size;
    uint32_t timeout_ms;
    const char *pod_id; /**< NULL: a pod with the container's id, made if it is not there */
    size_t n_layers;
    const struct sandferry_disk_spec *const *layers; /**< lowest first; at least one; read-only */
    const struct sandferry_disk_spec *scratch;       /**< what it writes; NULL: in guest memory */
    size_t n_disks;
    const struct sandferry_disk_mount *disks; /**< besides */
    const char *spec; /**< OCI runtime spec as JSON; NULL: made from what follows */
    size_t n_args;
    const char *const *args; /**< program and arguments */
    size_t n_env;
    const char *const *env;        /**< "KEY=VALUE" */
    const char *working_directory; /**< NULL: "/" */
    size_t n_labels;
    const struct sandferry_label *labels;
    size_t n_shares;
    const struct sandferry_share_mount *shares;
    size_t n_devices;
    const struct sandferry_device_spec *const *devices;
};
#define SANDFERRY_CONTAINER_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_container_options)

/**
 * sandferry_container_create() - attach the layers and make the container, not yet started
 * @ret: sandferry_container_free(); may be NULL
 *
 * Each layer is attached read-only and mounted whole; the root file system is an overlay of them
 * under the scratch disk. A disk that another container has too is attached once. The paths are on
 * the daemon's host. A device's nodes are the container's, at the paths that the guest has them at;
 * one without nodes (it has no driver) is at /sys/bus/pci/devices, for a program to drive. A
 * restore brings the container back as it is, its processes included.
 *
 * Return: false, also with SF_ALREADY_EXISTS, or what sandferry_disk_add(), sandferry_share_add()
 * and sandferry_device_add() give. After a failure all is let go of, and the id is free again.
 */
bool sandferry_container_create(struct sandferry *client, const char *sandbox, const char *id,
                                const struct sandferry_container_options *options,
                                struct sandferry_container **ret, struct sf_error **err);

/**
 * sandferry_container_start() - start the init process
 * @ret: as it is then: sandferry_container_free(); may be NULL
 *
 * A container runs once: one that has ended is deleted and created again. A repeat, while it runs
 * or after it has ended, fails with SF_FAILED_PRECONDITION. One that could not be started is
 * invalid from then on: delete it.
 */
bool sandferry_container_start(struct sandferry *client, const char *sandbox, const char *id,
                               const struct sandferry_call_options *options,
                               struct sandferry_container **ret, struct sf_error **err);

/**
 * sandferry_container_delete() - remove a container, and let go of what it holds
 * @options: force kills it first, if it runs
 *
 * The last container of a pod takes the pod with it, unless sandferry_pod_create() has made that.
 * The sandbox container of a pod, the one with its id, goes last (SF_FAILED_PRECONDITION). What it
 * wrote on its scratch disk stays there. A call that has failed can be repeated and goes on where
 * it stopped; after one that succeeded: SF_NOT_FOUND.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (it runs, and force is not set).
 */
bool sandferry_container_delete(struct sandferry *client, const char *sandbox, const char *id,
                                const struct sandferry_delete_options *options,
                                struct sf_error **err);

/**
 * sandferry_container_list() - all containers of a sandbox, and the pods that they are in
 * @ret: sandferry_containers_free()
 *
 * Those that have ended too, until they are deleted. None is no error.
 */
bool sandferry_container_list(struct sandferry *client, const char *sandbox,
                              const struct sandferry_call_options *options,
                              struct sandferry_containers **ret, struct sf_error **err);

/* ============================================================================================
 * Results: freed, and as JSON; see sandferry.h
 * ============================================================================================ */

void sandferry_disk_added_free(struct sandferry_disk_added *result);
void sandferry_disks_free(struct sandferry_disks *result);
void sandferry_share_added_free(struct sandferry_share_added *result);
void sandferry_shares_free(struct sandferry_shares *result);
void sandferry_device_added_free(struct sandferry_device_added *result);
void sandferry_devices_free(struct sandferry_devices *result);
void sandferry_pod_free(struct sandferry_pod *result);
void sandferry_pods_free(struct sandferry_pods *result);
void sandferry_container_free(struct sandferry_container *result);
void sandferry_containers_free(struct sandferry_containers *result);

char *sandferry_disk_added_json(const struct sandferry_disk_added *result);
char *sandferry_disks_json(const struct sandferry_disks *result);
char *sandferry_share_added_json(const struct sandferry_share_added *result);
char *sandferry_shares_json(const struct sandferry_shares *result);
char *sandferry_device_added_json(const struct sandferry_device_added *result);
char *sandferry_devices_json(const struct sandferry_devices *result);
char *sandferry_pod_json(const struct sandferry_pod *result);
char *sandferry_pods_json(const struct sandferry_pods *result);
char *sandferry_container_json(const struct sandferry_container *result);
char *sandferry_containers_json(const struct sandferry_containers *result);

#ifdef __cplusplus
}
#endif

#include "sandferry_network.h"
#include "sandferry_process.h"

#endif
