#ifndef SANDFERRY_GUEST_H
#define SANDFERRY_GUEST_H

/**
 * What is in a running sandbox: disks, containers, processes. The second half of sandferry.h, which
 * includes it; what holds for every function is said at the head of that file.
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
};
#define SANDFERRY_DISK_SPEC_INIT SANDFERRY_SIZED_(struct sandferry_disk_spec)

/** One partition, mounted in the guest. */
struct sandferry_mount {
    uint64_t partition;
    enum sandferry_mount_stage stage;
    bool read_only, block_device;
    const char *filesystem, *guest_path;
    uint32_t refs; /**< reservations that hold it */
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
};
#define SANDFERRY_CONTAINER_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_container_options)

/**
 * sandferry_container_create() - attach the layers and make the container, not yet started
 * @ret: sandferry_container_free(); may be NULL
 *
 * Each layer is attached read-only and mounted whole; the root file system is an overlay of them
 * under the scratch disk. A disk that another container has too is attached once. The paths are on
 * the daemon's host. A restore brings the container back as it is, its processes included.
 *
 * Return: false, also with SF_ALREADY_EXISTS, or what sandferry_disk_add() gives. After a failure
 * its disks are let go of, and the id is free again.
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
 * sandferry_container_delete() - remove a container, and let go of its disks
 * @options: force kills it first, if it runs
 *
 * The last container of a pod takes the pod with it. What it wrote on its scratch disk stays there.
 * A call that has failed can be repeated and goes on where it stopped; after one that succeeded:
 * SF_NOT_FOUND.
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
 * Processes of containers. One is known by its container's id and its exec id; the init process
 * has none.
 * ============================================================================================ */

enum sandferry_process_stage {
    SANDFERRY_PROCESS_NOT_CREATED = 0, /**< recorded; the guest does not know of it */
    SANDFERRY_PROCESS_CREATED = 1,     /**< waits to be started */
    SANDFERRY_PROCESS_RUNNING = 2,     /**< has been started */
    SANDFERRY_PROCESS_TERMINATED = 3,  /**< its exit code is known */
};
const char *sandferry_process_stage_name(enum sandferry_process_stage stage); /**< static */

/** One process. New fields come at the end; made by the library alone. */
struct sandferry_process {
    const char *container_id, *exec_id;
    enum sandferry_process_stage stage;
    int32_t pid; /**< in the guest */
    bool terminal;
    uint32_t exit_code;   /**< 255 until it has ended; 128 + signal if that ended it */
    int64_t exited_at_ns; /**< by the guest's clock */
};

/** Several of them, sorted by container, then exec id. */
struct sandferry_processes {
    size_t n;
    const struct sandferry_process *const *all;
};

enum sandferry_stream { SANDFERRY_STDOUT = 1, SANDFERRY_STDERR = 2 };

struct sandferry_process_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id; /**< NULL: the init process */
};
#define SANDFERRY_PROCESS_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_process_options)

/**
 * sandferry_process_list() - processes, those that have ended too
 * @container: of this one; NULL: of all
 * @ret:       sandferry_processes_free()
 */
bool sandferry_process_list(struct sandferry *client, const char *sandbox, const char *container,
                            const struct sandferry_call_options *options,
                            struct sandferry_processes **ret, struct sf_error **err);

/**
 * sandferry_process_signal() - send a signal
 * @signal: Linux number, 1 to 64
 *
 * Returns once the guest's kernel has it; what the process makes of it, sandferry_process_wait()
 * tells. A repeat sends it again.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (it does not run).
 */
bool sandferry_process_signal(struct sandferry *client, const char *sandbox, const char *container,
                              uint32_t signal, const struct sandferry_process_options *options,
                              struct sf_error **err);

/**
 * sandferry_process_wait() - until it has ended; at once if it has
 * @ret: sandferry_process_free()
 *
 * A save of a sandbox that runs on does not disturb the wait. Where the sandbox leaves the host it
 * fails with SF_UNAVAILABLE: wait at the destination.
 */
bool sandferry_process_wait(struct sandferry *client, const char *sandbox, const char *container,
                            const struct sandferry_process_options *options,
                            struct sandferry_process **ret, struct sf_error **err);

/**
 * What a process wrote; valid until the callback returns.
 * @offset: of the first byte of @data in the stream
 * @lost:   how many bytes before @offset were wanted, and are not held any more
 *
 * Return: false: enough. The call ends without an error.
 */
typedef bool (*sandferry_output_fn)(void *context, uint64_t offset, const void *data, size_t size,
                                    uint64_t lost);

struct sandferry_read_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id;          /**< NULL: the init process */
    enum sandferry_stream stream; /**< 0: stdout */
    uint64_t offset;              /**< the first byte wanted; 0: the first that there was */
    bool follow;                  /**< wait for more at the present end */
};
#define SANDFERRY_READ_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_read_options)

/**
 * sandferry_process_read() - what a process wrote, from an offset on
 *
 * Ends with the stream, or at its present end. The daemon holds the last 256 KiB of each stream.
 * Offsets go on across a save and restore: whoever asks the destination for the offset after the
 * last byte seen gets every byte once. Where the sandbox leaves the host: SF_UNAVAILABLE. @each
 * must not use @client but for sandferry_cancel().
 */
bool sandferry_process_read(struct sandferry *client, const char *sandbox, const char *container,
                            const struct sandferry_read_options *options, sandferry_output_fn each,
                            void *context, struct sf_error **err);

struct sandferry_write_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id; /**< NULL: the init process */
    bool close;          /**< no more comes after these bytes */
};
#define SANDFERRY_WRITE_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_write_options)

/**
 * sandferry_process_write() - give a process bytes to read
 * @size: at most 64 KiB; 0 with close set is fine
 * @ret_offset: how many it has been given in all; may be NULL
 *
 * Returns once the guest has taken them. A repeat gives them again. SF_RESOURCE_EXHAUSTED: the
 * process has not read what it was given before, and has got nothing of this; try again later.
 */
bool sandferry_process_write(struct sandferry *client, const char *sandbox, const char *container,
                             const void *data, size_t size,
                             const struct sandferry_write_options *options, uint64_t *ret_offset,
                             struct sf_error **err);

/* ============================================================================================
 * Results: freed, and as JSON; see sandferry.h
 * ============================================================================================ */

void sandferry_disk_added_free(struct sandferry_disk_added *result);
void sandferry_disks_free(struct sandferry_disks *result);
void sandferry_container_free(struct sandferry_container *result);
void sandferry_containers_free(struct sandferry_containers *result);
void sandferry_process_free(struct sandferry_process *result);
void sandferry_processes_free(struct sandferry_processes *result);

char *sandferry_disk_added_json(const struct sandferry_disk_added *result);
char *sandferry_disks_json(const struct sandferry_disks *result);
char *sandferry_container_json(const struct sandferry_container *result);
char *sandferry_containers_json(const struct sandferry_containers *result);
char *sandferry_process_json(const struct sandferry_process *result);
char *sandferry_processes_json(const struct sandferry_processes *result);

#ifdef __cplusplus
}
#endif
#endif
