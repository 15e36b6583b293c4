#ifndef SF_OFFERS_H
#define SF_OFFERS_H

/*
 * What our controllers offer each other, and any plugin. Installed. Each struct begins with its
 * size; new functions go to its end. @owner is what sf_sandbox_offer() gave. All functions are
 * called under the sandbox's lock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The vm controller's: the machine that QEMU runs. ---- */
#define SF_MACHINE_OFFER "sandferry.machine.v1"

struct sf_machine_offer {
    size_t size;

    /**
     * execute() - one QMP command
     * @arguments_json: its arguments, or NULL
     * @ret_json:       what it returned, on the heap, the caller's; may be NULL
     *
     * Return: false with UNAVAILABLE if QEMU is gone, FAILED_PRECONDITION with QEMU's own words if
     * it refused.
     */
    bool (*execute)(struct sf_controller *owner, const char *command, const char *arguments_json,
                    char **ret_json, struct sf_error **err);

    /* Gives QEMU an open file; "/dev/fdset/N" names it in a blockdev-add. fd stays the caller's. */
    bool (*add_fd)(struct sf_controller *owner, int fd, uint32_t *ret_set, struct sf_error **err);
    bool (*remove_fd)(struct sf_controller *owner, uint32_t set, struct sf_error **err);

    /* device_del, and wait until QEMU says that it is gone. One that is not there is no error. */
    bool (*remove_device)(struct sf_controller *owner, const char *device_id, uint32_t timeout_ms,
                          struct sf_error **err);

    /**
     * file_saved() - when a file had last been written as the VM's memory was last saved
     * A restore that fails after the guest ran is saved again, and the guest may have written to
     * its disks meanwhile; the sections do not know of that.
     * @device, @inode: as fstat() gives them
     *
     * Return: false: nothing is known, what the section says counts.
     */
    bool (*file_saved)(struct sf_controller *owner, uint64_t device, uint64_t inode,
                       int64_t *ret_modified_ns);

    /* The sandbox's policy (VmOptions.no_writable_file_shares), from create or import on. */
    bool (*no_writable_file_shares)(struct sf_controller *owner);

    /* The sandbox's policy (VmOptions.enable_scratch_encryption), from create or import on. */
    bool (*enable_scratch_encryption)(struct sf_controller *owner);

    /* A disk with whose image open QEMU gives no state out: it is closed while the VM's state is
     * written, and opened again before the VM runs on. @blockdev_json: what it was opened with;
     * NULL: it is in the VM no more. */
    bool (*put_aside)(struct sf_controller *owner, const char *device_id, const char *blockdev_json,
                      struct sf_error **err);

    /* In a clone: a new file of its own, open to read and write, which ends with it. The
     * descriptor is the caller's; -1. From prepare on. */
    int (*clone_file)(struct sf_controller *owner, const char *name, struct sf_error **err);

    /* Gives QEMU an open file by a name (getfd), which the next command that says it takes. fd
     * stays the caller's. */
    bool (*get_fd)(struct sf_controller *owner, const char *name, int fd, struct sf_error **err);
};

/* ---- The vm controller's: the agent in the guest. ---- */
#define SF_GUEST_OFFER "sandferry.guest.v1"

/* Called with the sandbox's lock held. @event: a Sandferry__V1__AgentEvent; unpacked, checked for
 * UTF-8, not believed in anything else. */
typedef void (*sf_guest_event_fn)(struct sf_controller *listener, const void *event);

struct sf_guest_offer {
    size_t size;

    /**
     * call() - ask the agent, wait for its answer
     * @request: a Sandferry__V1__AgentRequest; its id is set here
     * @ret:     the Sandferry__V1__AgentReply, with code 0; free it with
     *           sandferry__v1__agent_reply__free_unpacked(); may be NULL
     *
     * Return: false with the agent's code and words; UNAVAILABLE if the agent is gone, or silent
     * for @timeout_ms (0: 30 s).
     */
    bool (*call)(struct sf_controller *owner, void *request, uint32_t timeout_ms, void **ret,
                 struct sf_error **err);

    /* Every event from now on, in order, until unlisten or the listener's fini. */
    bool (*listen)(struct sf_controller *owner, struct sf_controller *listener,
                   sf_guest_event_fn fn, struct sf_error **err);
    void (*unlisten)(struct sf_controller *owner, struct sf_controller *listener);
};

/* ---- The vm controller's: the shares' line, a second conversation with the guest, for 9P. ---- */
#define SF_SHARE_LINE_OFFER "sandferry.shareline.v1"

/*
 * What the guest's file systems say comes on a thread of the line, in order, one at a time, and
 * never under the sandbox's lock: the guest's kernel waits for the answers inside of calls that
 * hold that lock. Pieces come once and in order, across a save and a restore; what the listener has
 * not been given when the VM stands still is kept, and given to it at the destination.
 *
 * A save's stop gives the listener all that the guest has said before the device state is written;
 * so what it answers there, and does, is part of what the section says. It must come to an end
 * soon.
 *
 * In a restore the line says nothing until the restore has come to its good end: what the guest
 * says meanwhile waits, so that a restore that is taken back has changed nothing.
 */
typedef void (*sf_share_line_fn)(struct sf_controller *listener, uint64_t share, const void *data,
                                 size_t size, bool closed);

struct sf_share_line_offer {
    size_t size;

    /* From create or prepare on, until fini or destroy. One listener; a repeat takes its place;
     * fn NULL: none any more, and when this returns it is not under way. */
    bool (*listen)(struct sf_controller *owner, struct sf_controller *listener, sf_share_line_fn fn,
                   struct sf_error **err);

    /**
     * send() - one piece for the guest; any thread, the sandbox's lock or not
     * Copied. While the VM stands still, pieces are kept for when it runs.
     *
     * Return: false with UNAVAILABLE if the guest is gone, RESOURCE_EXHAUSTED if it has not taken
     * what was sent before.
     */
    bool (*send)(struct sf_controller *owner, uint64_t share, const void *data, size_t size,
                 bool closed, struct sf_error **err);
};

/* ---- The scsi controller's: disks. ---- */
#define SF_DISKS_OFFER "sandferry.disks.v1"

struct sf_disk_request {
    const char *host_path; /* borrowed for the call, as are all strings here */
    bool read_only;
    unsigned type;   /* Sandferry__V1__ScsiDisk__Type */
    unsigned format; /* Sandferry__V1__ScsiDisk__Format */
    uint64_t partition;
    bool encrypted;
    const char *const *options;
    size_t n_options;
    bool ensure_filesystem;
    const char *filesystem; /* NULL or "": as found */
    bool block_device;
};

struct sf_disks_offer {
    size_t size;

    /* Sets a place aside. *@ret_id: the reservation, a GUID. Nothing has happened to the VM yet. */
    bool (*reserve)(struct sf_controller *owner, const struct sf_disk_request *request,
                    char ret_id[37], struct sf_error **err);
    /* Attaches and mounts; may be repeated. *@ret_guest_path: owned by the scsi controller, valid
     * until the reservation is released. */
    bool (*map)(struct sf_controller *owner, const char *id, const char **ret_guest_path,
                struct sf_error **err);
    /* Unmounts and detaches what nobody else holds, and forgets the reservation; a release that
     * failed can be repeated and goes on where it stopped. */
    bool (*release)(struct sf_controller *owner, const char *id, struct sf_error **err);
    /* The holder's name for messages and refusals: "container 'c1'". NULL takes it back. */
    bool (*hold)(struct sf_controller *owner, const char *id, const char *holder,
                 struct sf_error **err);

    /* Attaches a disk that is the machine's own: at that place until the sandbox ends, held by
     * nobody. INVALID_ARGUMENT: there is no such place; ALREADY_EXISTS: something is there, or the
     * disk is elsewhere. */
    bool (*pin)(struct sf_controller *owner, const struct sf_disk_request *request,
                unsigned controller, unsigned lun, struct sf_error **err);
};

/* ---- The plan9 controller's: shares. ---- */
#define SF_SHARES_OFFER "sandferry.shares.v1"

struct sf_share_request {
    const char *host_path; /* a directory, or a file; borrowed for the call, as are all strings */
    bool read_only;
    bool restricted;
    const char *const *allowed_names;
    size_t n_allowed_names;
};

/* As in sf_disks_offer, in every point. The guest path of a single file is the file's. */
struct sf_shares_offer {
    size_t size;
    bool (*reserve)(struct sf_controller *owner, const struct sf_share_request *request,
                    char ret_id[37], struct sf_error **err);
    bool (*map)(struct sf_controller *owner, const char *id, const char **ret_guest_path,
                struct sf_error **err);
    bool (*release)(struct sf_controller *owner, const char *id, struct sf_error **err);
    bool (*hold)(struct sf_controller *owner, const char *id, const char *holder,
                 struct sf_error **err);
};

/* ---- The vpci controller's: PCI functions. ---- */
#define SF_DEVICES_OFFER "sandferry.devices.v1"

struct sf_device_request {
    const char *host_address; /* NULL or "": a model; borrowed for the call, as are all strings */
    unsigned virtual_function;
    const char *model; /* NULL or "": a host device */
    const char *const *properties;
    size_t n_properties;
};

/* What a device node stands for. */
struct sf_device_number {
    bool block; /* else a character device */
    uint32_t major, minor;
};

/* What the guest has; owned by the vpci controller, valid until the reservation is released or the
 * VM is saved. */
struct sf_device_found {
    const char *pci_address, *driver;
    const char *const *nodes;
    size_t n_nodes;
    const struct sf_device_number *numbers; /* of each node */
};

/* As in sf_disks_offer. */
struct sf_devices_offer {
    size_t size;
    bool (*reserve)(struct sf_controller *owner, const struct sf_device_request *request,
                    char ret_id[37], struct sf_error **err);
    bool (*map)(struct sf_controller *owner, const char *id, struct sf_device_found *ret,
                struct sf_error **err);
    bool (*release)(struct sf_controller *owner, const char *id, struct sf_error **err);
    bool (*hold)(struct sf_controller *owner, const char *id, const char *holder,
                 struct sf_error **err);

    /* Whether there is a device whose state cannot travel. It is unplugged when a save brings the
     * guest to rest, and until then QEMU has something against moving the VM. */
    bool (*leaves)(struct sf_controller *owner);
};

/* ---- The process controller's: processes of containers. ---- */
#define SF_PROCESSES_OFFER "sandferry.processes.v1"

/* Called with the sandbox's lock held, when a container's init process has ended. */
typedef void (*sf_init_exited_fn)(struct sf_controller *container, const char *container_id,
                                  uint32_t exit_code);

struct sf_processes_offer {
    size_t size;

    /* The init process of a container that the guest has made: state CREATED. */
    bool (*add_init)(struct sf_controller *owner, const char *container_id,
                     const char *guest_container_id, int32_t pid, bool terminal,
                     struct sf_error **err);
    /* It runs now. */
    bool (*started)(struct sf_controller *owner, const char *container_id, struct sf_error **err);
    /* Forget all processes of a container. */
    void (*forget)(struct sf_controller *owner, const char *container_id);
    /* Send a signal to the init process; one that has ended is no error. */
    bool (*signal_init)(struct sf_controller *owner, const char *container_id, uint32_t signal,
                        struct sf_error **err);
    /* Who is told of exits. Kept over a save and a restore by calling it again in resume. */
    void (*on_init_exit)(struct sf_controller *owner, struct sf_controller *container,
                         sf_init_exited_fn fn);
    /* A container has another id on this host; its id in the guest stays. The new one is nobody's.
     */
    void (*rename)(struct sf_controller *owner, const char *container_id, const char *new_id);
};

/* ---- The container controller's: containers. ---- */
#define SF_CONTAINERS_OFFER "sandferry.containers.v1"

struct sf_containers_offer {
    size_t size;

    /* The OCI runtime spec that a container was made with, as JSON; the container controller's,
     * until the lock is given back. NULL: there is no such container. */
    const char *(*spec)(struct sf_controller *owner, const char *container_id);

    /* The pod's id in the guest; the container controller's, until the lock is given back. NULL:
     * there is no such pod. *@ret_n: how many containers it has. */
    const char *(*guest_pod)(struct sf_controller *owner, const char *pod_id, size_t *ret_n);
};

/* ---- The network controller's: networks of pods. ---- */
#define SF_NETWORKS_OFFER "sandferry.networks.v1"

struct sf_networks_offer {
    size_t size;

    /* The namespace in the guest that a pod's containers are in; the network controller's, until
     * the lock is given back. *@ret NULL: the pod has none. False: it has one that is unusable. */
    bool (*guest_namespace)(struct sf_controller *owner, const char *pod_id, const char **ret,
                            struct sf_error **err);
    /* Of a pod that goes; one without a network is no error. A repeat goes on where it stopped. */
    bool (*teardown)(struct sf_controller *owner, const char *pod_id, struct sf_error **err);
    /* A pod has another id on this host. */
    void (*rename)(struct sf_controller *owner, const char *pod_id, const char *new_id);
};

#ifdef __cplusplus
}
#endif

#endif
