#ifndef SANDFERRY_H
#define SANDFERRY_H

/**
 * libsandferry: the daemon's services as blocking C functions
 *
 *     struct sandferry *client;
 *     struct sandferry_saved *saved;
 *     struct sf_error *err = NULL;
 *
 *     if (!sandferry_connect(NULL, &client, &err) ||
 *         !sandferry_save(client, "web", NULL, &saved, &err) ||
 *         !sandferry_snapshot_write(saved->snapshot, "web.snapshot", &err))
 *         fprintf(stderr, "%s\n", sf_error_message(err));
 *
 * What holds for every function here:
 *
 * Errors. A function that can fail returns true, with its outputs set and *@err untouched; or
 * false, with *@err set and its outputs untouched. @err points at a NULL pointer, and may not be
 * NULL itself. The error is the caller's: sf_error_free() (base/error.h), where the codes are too.
 * It has details, one for each reason or field, where the daemon has given them. Beyond the codes
 * that a function names, every call may fail with:
 *
 *   SF_UNAVAILABLE        the daemon cannot be reached, or is stopping; try again
 *   SF_DEADLINE_EXCEEDED  it took longer than timeout_ms; what was asked may still happen
 *   SF_CANCELLED          sandferry_cancel() was called
 *   SF_UNAUTHENTICATED, SF_PERMISSION_DENIED   the daemon does not let this caller
 *   SF_INVALID_ARGUMENT   an id or option is not what it may be; the details name the fields
 *   SF_RESOURCE_EXHAUSTED no memory here, or a limit of the daemon
 *   SF_UNIMPLEMENTED      the daemon is older, or has not loaded the controller that is asked;
 *                         or options name something that this library does not know
 *   SF_INTERNAL           a bug
 *
 * Ownership. What comes out through a `ret` is the caller's, and is freed with the function named
 * in its comment. All that it points to goes with it. What goes in stays the caller's, and is not
 * looked at after the function has returned. Texts that come out are UTF-8 and never NULL: ""
 * stands for "not set". Free functions take NULL.
 *
 * Options. A struct of options begins with its size, so that programs and libraries of different
 * age work together: begin with the _INIT macro. NULL stands for the macro. Zero and NULL in a
 * field stand for "not said".
 *
 * Units are in the name: _bytes, _ms, _ns. A time "_at_ns" is in nanoseconds since 1970, in UTC; 0:
 * not known, or not yet.
 *
 * Threads. A connection serves one thread at a time; open one for each thread, it is cheap. Results
 * and snapshots never change, so threads may share them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#ifdef __cplusplus
template <class Options> inline Options sandferry_sized_()
{
    Options made = Options();
    made.size = sizeof(Options);
    return made;
}
#define SANDFERRY_SIZED_(type) sandferry_sized_<type>()
extern "C" {
#else
#define SANDFERRY_SIZED_(type)                                                                     \
    {                                                                                              \
        .size = sizeof(type)                                                                       \
    }
#endif

/** A connection to one daemon. */
struct sandferry;
/** A saved sandbox. */
struct sandferry_snapshot;

/** "0.1.0", of the library that runs. */
const char *sandferry_version(void);

/* ============================================================================================
 * Connection
 * ============================================================================================ */

/** Where sandferry_connect() goes if nobody says. */
#define SANDFERRY_DEFAULT_ADDRESS "unix:/run/sandferry/sandferryd.sock"

struct sandferry_connect_options {
    size_t size;
    uint32_t timeout_ms; /**< of every call that names none; 0: no limit */
    const char *address; /**< "unix:/path" or "host:port"; NULL: $SANDFERRY_HOST, or the default */
    /* For TCP. Files in PEM. All three, or none for a daemon that was started without TLS. */
    const char *tls_certificate_file; /**< ours */
    const char *tls_key_file;         /**< its key */
    const char *tls_ca_file;          /**< who signs the daemon's */
    const char *tls_server_name;      /**< the daemon's, if it is not the one in the address */
};
#define SANDFERRY_CONNECT_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_connect_options)

/**
 * sandferry_connect() - prepare to talk to a daemon
 * @ret: sandferry_close()
 *
 * Reads the files and does nothing else: whether the daemon is there shows with the first call. A
 * daemon that has been restarted in between is found again.
 *
 * Return: false with SF_INVALID_ARGUMENT (address, or TLS in part), or what reading a file gives.
 */
bool sandferry_connect(const struct sandferry_connect_options *options, struct sandferry **ret,
                       struct sf_error **err);

/** Nothing may be under way. */
void sandferry_close(struct sandferry *client);

/** The address that it was made with. Goes with @client. */
const char *sandferry_address(const struct sandferry *client);

/**
 * sandferry_cancel() - end the call that is under way
 *
 * The one function that another thread may call at any time. The call fails with SF_CANCELLED; what
 * it asked for may still happen. Nothing under way: the next call is ended, for it may be the one
 * that was meant.
 */
void sandferry_cancel(struct sandferry *client);

/** For calls that need no more. */
struct sandferry_call_options {
    size_t size;
    uint32_t timeout_ms; /**< for the whole call; 0: the connection's */
};
#define SANDFERRY_CALL_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_call_options)

/* ============================================================================================
 * Sandboxes
 *
 * A sandbox is one utility VM with everything in it. Its id has 1 to 64 bytes of letters, digits,
 * '-', '_' and '.', the first one a letter or digit. SF_NOT_FOUND: the daemon has no such sandbox.
 * ============================================================================================ */

/** Where a sandbox is in its life. A daemon that is newer may have more. */
enum sandferry_state {
    SANDFERRY_STATE_UNSPECIFIED = 0,
    SANDFERRY_NEW = 1,     /**< recorded; its VM has not started */
    SANDFERRY_RUNNING = 2, /**< its guest runs */
    SANDFERRY_FROZEN = 3,  /**< saved, and held: stands still until resumed or stopped */
    SANDFERRY_LOADED = 4,  /**< restored, and held: has not run here yet */
    SANDFERRY_STOPPED = 5, /**< its VM has ended, as asked */
    SANDFERRY_INVALID = 6, /**< its VM has ended by itself: only stop and delete help */
};

/** "running"; the number, if it has no name here. Static. */
const char *sandferry_state_name(enum sandferry_state state);

/** The caller's own, sorted by key: 1 to 128 bytes, with a value of up to 1,024. Never grows. */
struct sandferry_label {
    const char *key, *value;
};

/** One sandbox. New fields come at the end; made by the library alone. */
struct sandferry_sandbox {
    const char *id;
    enum sandferry_state state;
    const char *problem;   /**< why it is invalid */
    int64_t created_at_ns; /**< created or restored here */
    uint64_t memory_bytes; /**< guest RAM */
    uint32_t processors;
    const char *image, *cpu_model, *kernel_arguments;
    size_t n_labels;
    const struct sandferry_label *labels;
    size_t n_controllers;
    const char *const *controllers; /**< in the order in which they resume */
};

/** Several of them, sorted by id. */
struct sandferry_sandboxes {
    size_t n;
    const struct sandferry_sandbox *const *all;
};

struct sandferry_create_options {
    size_t size;
    uint32_t timeout_ms;
    const char *request_id;         /**< see sandferry_create() */
    uint64_t memory_bytes;          /**< a multiple of 2 MiB */
    uint32_t processors;            /**< virtual ones */
    const char *image;              /**< directory beneath the daemon's image directory */
    const char *cpu_model;          /**< QEMU's name; "max" cannot move between different hosts */
    const char *kernel_arguments;   /**< words added to the guest kernel's command line */
    bool no_writable_file_shares;   /**< refuse Plan 9 shares that the guest could write to */
    bool enable_scratch_encryption; /**< of its containers; the keys never leave the guest */
    bool policy_based_routing;      /**< route by source address in every pod */
    size_t n_labels;
    const struct sandferry_label *labels;
};
#define SANDFERRY_CREATE_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_create_options)

/**
 * sandferry_create() - make a sandbox and start its VM
 * @ret: sandferry_sandbox_free()
 *
 * Returns once the guest answers: seconds with KVM, a minute without.
 *
 * A repeat is refused with SF_ALREADY_EXISTS, unless both have the same request_id and ask for the
 * same: then it gets the first answer. So a caller who has lost an answer can ask again. The same
 * request_id for something else is refused with SF_ALREADY_EXISTS. This holds for save and restore
 * too.
 *
 * Return: false, also with SF_ALREADY_EXISTS or SF_FAILED_PRECONDITION (QEMU or image is missing).
 * Nothing is left of a sandbox that could not be made.
 */
bool sandferry_create(struct sandferry *client, const char *id,
                      const struct sandferry_create_options *options,
                      struct sandferry_sandbox **ret, struct sf_error **err);

/** As it is now. @ret: sandferry_sandbox_free(). */
bool sandferry_get(struct sandferry *client, const char *id,
                   const struct sandferry_call_options *options, struct sandferry_sandbox **ret,
                   struct sf_error **err);

/** All that the daemon has; none is no error. @ret: sandferry_sandboxes_free(). */
bool sandferry_list(struct sandferry *client, const struct sandferry_call_options *options,
                    struct sandferry_sandboxes **ret, struct sf_error **err);

/**
 * sandferry_stop() - end a sandbox's VM; the guest is not asked
 * @ret: as it is then: sandferry_sandbox_free(); may be NULL
 *
 * A repeat does nothing.
 */
bool sandferry_stop(struct sandferry *client, const char *id,
                    const struct sandferry_call_options *options, struct sandferry_sandbox **ret,
                    struct sf_error **err);

struct sandferry_delete_options {
    size_t size;
    uint32_t timeout_ms;
    bool force; /**< stop it first, if it runs */
};
#define SANDFERRY_DELETE_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_delete_options)

/**
 * sandferry_delete() - forget a sandbox, and remove what it has on the daemon's host
 *
 * Disks are the caller's, and stay. A repeat fails with SF_NOT_FOUND.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (it runs, and force is not set).
 */
bool sandferry_delete(struct sandferry *client, const char *id,
                      const struct sandferry_delete_options *options, struct sf_error **err);

/* ============================================================================================
 * Save and restore
 * ============================================================================================ */

/** How long one step took. Never grows. */
struct sandferry_step {
    const char *name; /**< as in errors and in the daemon's log */
    int64_t time_ns;
};

enum sandferry_after_save {
    SANDFERRY_AFTER_UNSPECIFIED = 0, /**< stop */
    SANDFERRY_AFTER_STOP = 1, /**< its VM is ended and it is gone; its memory waits for a restore */
    SANDFERRY_AFTER_HOLD = 2, /**< it stays frozen until it is resumed, stopped, or taken over */
    SANDFERRY_AFTER_RESUME = 3, /**< it runs on; the snapshot gets a copy of its memory */
};

struct sandferry_save_options {
    size_t size;
    uint32_t timeout_ms;
    const char *request_id; /**< see sandferry_create() */
    enum sandferry_after_save after;
};
#define SANDFERRY_SAVE_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_save_options)

/** What a save gave. */
struct sandferry_saved {
    const struct sandferry_snapshot *snapshot; /**< goes with this struct */
    size_t n_steps;
    const struct sandferry_step *steps; /**< in order */
    int64_t stopped_at_ns;              /**< when the processors stopped */
};

/**
 * sandferry_save() - save a running sandbox
 * @ret: sandferry_saved_free()
 *
 * The guest stands still from the moment at which its processors stop. With SANDFERRY_AFTER_STOP
 * the snapshot in @ret is all that leads back to the sandbox: write it to a file before anything
 * else, and give a request_id, so that a save whose answer was lost can be asked for again.
 *
 * Return: false, also with SF_FAILED_PRECONDITION: it cannot be saved now; the details have every
 * reason. After a failure the sandbox runs on as before.
 */
bool sandferry_save(struct sandferry *client, const char *id,
                    const struct sandferry_save_options *options, struct sandferry_saved **ret,
                    struct sf_error **err);

/**
 * Puts a resource of the destination in the place of one of the source's. Never grows.
 *
 * scsi knows an object by reservation id, by slot ("0:3"), by host path, or by a path prefix that
 * ends in "/"; plan9 by reservation id, by the share's name, by host path or prefix. The value is a
 * path on the destination. vpci knows one by reservation id, by the device's id, or by host address
 * ("0000:3b:00.0", "0000:3b:00.0/2" for a virtual function); the value is such an address.
 */
struct sandferry_patch {
    const char *controller; /**< "scsi", "plan9", "vpci" */
    const char *object;     /**< as that controller names it */
    const char *value;      /**< what takes its place */
};

struct sandferry_restore_options {
    size_t size;
    uint32_t timeout_ms;
    const char
        *request_id; /**< see sandferry_create(); sandferry_check_restore() has no use for it */
    const char *id;  /**< the sandbox's here; NULL: the saved one */
    size_t n_patches;
    const struct sandferry_patch *patches; /**< applied in order */
    bool hold;  /**< load it, and leave it standing still until sandferry_resume() */
    bool clone; /**< one of any number: see sandferry_restore(); not with hold */
};
#define SANDFERRY_RESTORE_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_restore_options)

/** What a restore gave. */
struct sandferry_restored {
    const struct sandferry_sandbox *sandbox; /**< as it is now */
    size_t n_steps;
    const struct sandferry_step *steps; /**< in order */
    int64_t resumed_at_ns;              /**< when the processors ran again; 0: they are held */
    int64_t blackout_ns; /**< from stop to run; right if both hosts' clocks agree; 0: held */
};

/**
 * sandferry_restore() - bring a saved sandbox back to life
 * @ret: sandferry_restored_free()
 *
 * A snapshot of a hand-off is restored once: guest memory belongs to whoever runs it. With clone it
 * stays as it is, and any number may run side by side, each with memory, machine-id, hostname and
 * random numbers of its own. What a clone writes to disks that no patch replaces ends with it.
 * While there is one, the snapshot can only be cloned.
 *
 * Return: false, also with
 *
 *   SF_INVALID_ARGUMENT     the snapshot is not sound; the details name its fields
 *   SF_UNIMPLEMENTED        it has a version or section that the daemon does not know
 *   SF_DATA_LOSS            a digest does not match
 *   SF_ALREADY_EXISTS       there is a sandbox with that id
 *   SF_FAILED_PRECONDITION  this host cannot run it now (disk, share, device, memory, CPU); every
 *                           reason
 *
 * After a failure nothing of the attempt is left, and the snapshot can be used again.
 */
bool sandferry_restore(struct sandferry *client, const struct sandferry_snapshot *snapshot,
                       const struct sandferry_restore_options *options,
                       struct sandferry_restored **ret, struct sf_error **err);

/** Run a sandbox that is held: take a save back, or run what was loaded. @ret as in stop. */
bool sandferry_resume(struct sandferry *client, const char *id,
                      const struct sandferry_call_options *options, struct sandferry_sandbox **ret,
                      struct sf_error **err);

/** One reason against a restore. */
struct sandferry_obstacle {
    const char *source; /**< who says so: a controller, "snapshot" or "daemon" */
    const char *field;  /**< of the snapshot: "scsi.disks[0].host_path"; or "" */
    const char *reason; /**< what is wrong, and what to do */
};

/** All of them; none: a restore is expected to work. */
struct sandferry_obstacles {
    size_t n;
    const struct sandferry_obstacle *const *all;
};

/** Everything that speaks against a restore; changes nothing. @ret: sandferry_obstacles_free(). */
bool sandferry_check_restore(struct sandferry *client, const struct sandferry_snapshot *snapshot,
                             const struct sandferry_restore_options *options,
                             struct sandferry_obstacles **ret, struct sf_error **err);

/* ============================================================================================
 * Snapshots: without a daemon
 *
 * What a sandbox was but for memory, device state and disks, in 8 MiB at most. Input from outside,
 * whoever sent it: reading one is bounded, and says nothing yet about what is in it.
 * ============================================================================================ */

/**
 * sandferry_snapshot_read() - from a file
 * @ret: sandferry_snapshot_free()
 *
 * Takes what can be read, sound or not, so that it can be looked at: see
 * sandferry_snapshot_check().
 *
 * Return: false with SF_NOT_FOUND or another error of the file, SF_UNIMPLEMENTED (a version that
 * this library does not read), SF_INVALID_ARGUMENT or SF_RESOURCE_EXHAUSTED (too large).
 */
bool sandferry_snapshot_read(const char *path, struct sandferry_snapshot **ret,
                             struct sf_error **err);

/** The same, from memory. */
bool sandferry_snapshot_from_bytes(const void *data, size_t size, struct sandferry_snapshot **ret,
                                   struct sf_error **err);

/**
 * sandferry_snapshot_write() - to a file
 *
 * Beside the name, synced, then renamed, with mode 0600: a crash at any time leaves what was there
 * or the whole snapshot. A snapshot may hold secrets: environments of containers.
 */
bool sandferry_snapshot_write(const struct sandferry_snapshot *snapshot, const char *path,
                              struct sf_error **err);

/** The bytes of such a file. The same sandbox gives the same bytes. @ret_data: free(). */
bool sandferry_snapshot_to_bytes(const struct sandferry_snapshot *snapshot, void **ret_data,
                                 size_t *ret_size, struct sf_error **err);

/**
 * sandferry_snapshot_check() - whether it may be believed
 *
 * Return: false with SF_UNIMPLEMENTED (versions), SF_INVALID_ARGUMENT (what it says: every problem
 * is a detail with the path of its field) or SF_DATA_LOSS (digest).
 */
bool sandferry_snapshot_check(const struct sandferry_snapshot *snapshot, struct sf_error **err);

enum sandferry_view {
    SANDFERRY_TREE, /**< for people: VM, disks, pods, containers, processes */
    SANDFERRY_JSON, /**< proto3's JSON mapping of the whole snapshot */
    SANDFERRY_DOT,  /**< Graphviz, with an edge from each holder to what it holds */
};

/** As text, ending in a newline. @ret: free(). */
bool sandferry_snapshot_view(const struct sandferry_snapshot *snapshot, enum sandferry_view view,
                             char **ret, struct sf_error **err);

/** The saved sandbox's. Goes with @snapshot. */
const char *sandferry_snapshot_sandbox(const struct sandferry_snapshot *snapshot);
/** When its processors had stopped, by the source's clock. */
int64_t sandferry_snapshot_created_at_ns(const struct sandferry_snapshot *snapshot);

void sandferry_snapshot_free(struct sandferry_snapshot *snapshot);

/* ============================================================================================
 * Events
 * ============================================================================================ */

/** Something that happened. Valid until the callback returns. */
struct sandferry_event {
    uint64_t number; /**< counts from 1 in the life of a daemon */
    int64_t time_ns; /**< by the daemon's clock, since 1970 */
    const char *sandbox;
    const char *type;    /**< "sandbox.created", "container.started", "process.exited", ... */
    const char *message; /**< in words */
    uint64_t lost;       /**< how many before it a reader that was too slow has missed */
};

/** False: enough. The watch ends without an error. */
typedef bool (*sandferry_event_fn)(void *context, const struct sandferry_event *event);

struct sandferry_watch_options {
    size_t size;
    uint32_t timeout_ms;
    const char *sandbox; /**< only of this one; NULL: of all */
    uint64_t after;      /**< only those with a number above this; 0: from now on */
    bool from_start;     /**< begin with all that are still kept */
    bool until_now;      /**< end with the last that has happened so far */
};
#define SANDFERRY_WATCH_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_watch_options)

/**
 * sandferry_watch() - be told what happens to sandboxes, in order
 *
 * Goes on until @each returns false, the last event with `until_now`, the daemon stops
 * (SF_UNAVAILABLE), the time is over (SF_DEADLINE_EXCEEDED) or it is cancelled. To go on where it
 * ended, give the last number as `after`; SF_INVALID_ARGUMENT then means that the daemon has been
 * restarted since. @each must not use @client but for sandferry_cancel().
 */
bool sandferry_watch(struct sandferry *client, const struct sandferry_watch_options *options,
                     sandferry_event_fn each, void *context, struct sf_error **err);

/* ============================================================================================
 * Results: freed, and as JSON
 *
 * The JSON is proto3's mapping of the daemon's message, which may say more than the struct, with a
 * newline at the end; lists that are empty are there. The caller's: free(); NULL: no memory. It is
 * given for what is within a result too; freed is only what a function gave.
 * ============================================================================================ */

void sandferry_sandbox_free(struct sandferry_sandbox *result);
void sandferry_sandboxes_free(struct sandferry_sandboxes *result);
void sandferry_saved_free(struct sandferry_saved *result);
void sandferry_restored_free(struct sandferry_restored *result);
void sandferry_obstacles_free(struct sandferry_obstacles *result);

char *sandferry_sandbox_json(const struct sandferry_sandbox *result);
char *sandferry_sandboxes_json(const struct sandferry_sandboxes *result);
char *sandferry_restored_json(const struct sandferry_restored *result);
char *sandferry_obstacles_json(const struct sandferry_obstacles *result);
char *sandferry_event_json(const struct sandferry_event *result); /**< on one line */

#ifdef __cplusplus
}
#endif

/* What is in a sandbox, and its processes. */
#include "sandferry_guest.h"

#endif
