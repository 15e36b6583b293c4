#ifndef SF_CONTROLLER_H
#define SF_CONTROLLER_H

/*
 * The plugin contract: all that a controller needs to know of the daemon. Installed. See README.md
 * in this folder for the lifecycle in a picture and for how to write a controller.
 *
 * A controller is a shared object in the daemon's controller directory that exports one symbol
 * (SF_CONTROLLER_EXPORT). It is opened before the gRPC server starts. The sf_ functions below are
 * the daemon's own; a controller leaves them undefined when it links.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sf_error;   /* base/error.h */
struct sf_reasons; /* base/reasons.h */
struct sf_bytes;   /* base/bytes.h */
struct sf_sandbox; /* the daemon's */
struct sf_call;    /* the daemon's: one RPC under way */

/* Raised when a field changes its meaning. A new field at the end does not raise it. */
#define SF_CONTROLLER_ABI 1

/* What the daemon keeps for every controller. A controller puts it first in its own struct. */
struct sf_controller {
    const struct sf_controller_class *cls;
    struct sf_sandbox *sandbox; /* borrowed; outlives the controller */
};

/* Who may call a method. Each includes those below it. */
enum sf_access {
    SF_READER,   /* may look */
    SF_OPERATOR, /* may change */
};

enum sf_method_flags {
    SF_METHOD_STREAM = 1, /* answers with a stream: sf_call_send() any number of times */
    SF_METHOD_READS = 2,  /* changes nothing: allowed while the sandbox stands still, too */
    SF_METHOD_WAITS = 4,  /* may take as long as it likes: runs on the pool for long calls */
};

/*
 * One RPC. Its types come from the service's descriptor. The first field of every request is
 * `string sandbox_id`; the daemon finds the sandbox by it, takes its lock, and checks that it runs.
 * @request and *@reply are protobuf-c structs; strings and messages that run() hangs into *@reply
 * are on the heap and the daemon frees them.
 */
struct sf_method {
    const char *name; /* "AddDisk" */
    bool (*run)(struct sf_controller *c, struct sf_call *call, const void *request, void *reply,
                struct sf_error **err);
    enum sf_access access;
    unsigned flags; /* enum sf_method_flags */
};

/* One gRPC service. A table that lacks a method of the descriptor, or has more, is refused. */
struct sf_service {
    const struct ProtobufCServiceDescriptor *descriptor;
    const struct sf_method *methods; /* ends with a row without a name */
    const uint8_t *files;            /* FileDescriptorSet with all imports, for reflection */
    size_t files_size;
};

/* Something that other controllers of the same sandbox may use: see offers.h for ours. */
struct sf_offer {
    const char *name; /* "sandferry.disks.v1": a version is part of the name */
    const void *ops;  /* a struct that begins with its own size */
};

/*
 * One kind of controller. The daemon calls these functions one at a time for a given sandbox,
 * under its lock, in the order of the lifecycle, and checks that order itself: no function here
 * need ask whether it may be called. A function that is NULL has nothing to do.
 *
 * "Down" means: after those that it depends on. "Up" means: before them.
 */
struct sf_controller_class {
    uint32_t abi;         /* set by SF_CONTROLLER_EXPORT */
    uint32_t struct_size; /* set by SF_CONTROLLER_EXPORT */

    const char *name;           /* "scsi"; names the section too. Letters, digits, '-', '_' */
    size_t instance_size;       /* of the struct that begins with struct sf_controller */
    uint32_t section_version;   /* what save writes */
    uint32_t section_oldest;    /* the oldest that import takes */
    bool critical;              /* of an extension: a reader without this controller refuses */
    const char *const *depends; /* names, NULL at the end; NULL: none */
    const struct sf_service *services; /* ends with one without a descriptor; NULL: none */
    const struct sf_offer *offers;     /* ends with one without a name; NULL: none */

    /* The instance is zeroed, then init. fini must cope with a half-made one. */
    bool (*init)(struct sf_controller *c, struct sf_error **err);
    void (*fini)(struct sf_controller *c);

    /*
     * A new sandbox. Down. @options: the field of CreateSandboxRequest that has the controller's
     * name, packed; empty if there is none. A create that fails has taken back its own part.
     * destroy ends what the controller has on this host, whatever state it is in; Up; cannot fail,
     * may be repeated. It is called for a stop, and for every sandbox before fini.
     */
    bool (*create)(struct sf_controller *c, const struct sf_bytes *options, struct sf_error **err);
    void (*destroy)(struct sf_controller *c);

    /*
     * Source. check changes nothing and adds every reason it finds, not the first. freeze (Up):
     * accept no more changes. quiesce (Up): bring the guest's side to rest; it still runs. stop
     * (Up): the processors stand still, and what lives outside the books is written out. save: read
     * the books; changes nothing. thaw (Down) takes back whatever was done of freeze, quiesce and
     * stop, in one call; cannot fail (a controller that cannot go on says so with
     * sf_sandbox_invalid()). discard (Up): the save is complete and the source is to go; what the
     * snapshot needs stays.
     */
    bool (*check)(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err);
    bool (*freeze)(struct sf_controller *c, struct sf_error **err);
    bool (*quiesce)(struct sf_controller *c, struct sf_error **err);
    bool (*stop)(struct sf_controller *c, struct sf_error **err);
    bool (*save)(struct sf_controller *c, struct sf_bytes *ret_section, struct sf_error **err);
    void (*thaw)(struct sf_controller *c);
    void (*discard)(struct sf_controller *c);

    /*
     * Destination; all Down. import fills the books, inert, and believes nothing that it reads; it
     * is not called if the snapshot has no section of this controller: the books stay as init left
     * them.
     * patch puts a thing of this host in the place of one of the source's; NOT_FOUND if there is no
     * such object. admit changes nothing and adds every reason against going on here. prepare gives
     * the VM what it needs before its state is read. load reads the live state. resume: run, and
     * bind the books to what runs. abandon (Up) takes back whatever was done of these, in one call;
     * cannot fail; what was imported can be imported again.
     */
    bool (*import)(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                   struct sf_error **err);
    bool (*patch)(struct sf_controller *c, const char *object, const char *value,
                  struct sf_error **err);
    bool (*admit)(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err);
    bool (*prepare)(struct sf_controller *c, struct sf_error **err);
    bool (*load)(struct sf_controller *c, struct sf_error **err);
    bool (*resume)(struct sf_controller *c, struct sf_error **err);
    void (*abandon)(struct sf_controller *c);

    /*
     * keep: the snapshot gets a copy of what else would stay in place (guest RAM), since the source
     * is to run on. Called between stop and save, Down.
     */
    bool (*keep)(struct sf_controller *c, struct sf_error **err);

    /* unkeep: the save has failed after keep, or in it: the copy goes. Before thaw, Up; cannot
     * fail, may be repeated. */
    void (*unkeep)(struct sf_controller *c);

    /* awaken: a saved sandbox that was held is to be thawed. Changes nothing; false with what
     * speaks against that now, and it stays held. Down. */
    bool (*awaken)(struct sf_controller *c, struct sf_error **err);

    /* New fields go here. */
};

/* The one symbol that a controller's shared object exports. */
#define SF_CONTROLLER_EXPORT(...)                                                                  \
    __attribute__((visibility("default"))) const struct sf_controller_class *                      \
    sf_controller_class_v1(void);                                                                  \
    const struct sf_controller_class *sf_controller_class_v1(void)                                 \
    {                                                                                              \
        static const struct sf_controller_class cls = {                                            \
            .abi = SF_CONTROLLER_ABI, .struct_size = sizeof(cls), __VA_ARGS__};                    \
        return &cls;                                                                               \
    }

/* ---- What the daemon does for a controller. All of it under the sandbox's lock. ---- */

const char *sf_sandbox_id(const struct sf_sandbox *s);

/* A directory of this sandbox on this host, 0700, for sockets and the like; removed with it. */
const char *sf_sandbox_directory(const struct sf_sandbox *s);

/*
 * Whether the sandbox was restored as a clone: others of the same snapshot run beside it, here or
 * elsewhere. Known from init on, and in every function after. What must be there once in the world
 * (a MAC) is made anew in import, unless a patch says what it is to be; what the snapshot names of
 * a host is not written to.
 */
bool sf_sandbox_is_clone(const struct sf_sandbox *s);

/*
 * What another controller of this sandbox offers, by the offer's name. NULL: nobody does.
 * *@ret_owner is the first argument of its functions.
 */
const void *sf_sandbox_offer(struct sf_sandbox *s, const char *name,
                             struct sf_controller **ret_owner);

/* A setting of the daemon ("memory-dir", "image-dir", "qemu"); NULL: not set. Static. */
const char *sf_setting(const char *name);

/**
 * sf_path_open() - open a host path that a request or a snapshot names
 * @path:  absolute; must lie beneath one of the daemon's --allow roots, links resolved
 * @flags: of open(2); O_CLOEXEC is added
 *
 * Return: the descriptor, the caller's; -1 with PERMISSION_DENIED (not beneath a root),
 * NOT_FOUND or another error that names the path and says what to do.
 */
int sf_path_open(const char *path, int flags, struct sf_error **err);

/* Tell those who watch events: sf_sandbox_event(s, "container.started", "container 'c1' runs"). */
void sf_sandbox_event(struct sf_sandbox *s, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Something changed that a waiting call may wait for: wake them all. Any thread, lock or not. */
void sf_sandbox_changed(struct sf_sandbox *s);

/* The VM is lost: the sandbox becomes INVALID, with the text as its problem. */
void sf_sandbox_invalid(struct sf_sandbox *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* From another thread of a controller: take and give back the sandbox's lock. */
void sf_sandbox_lock(struct sf_sandbox *s);
void sf_sandbox_unlock(struct sf_sandbox *s);

/* ---- For methods ---- */

/**
 * sf_call_wait() - wait until something changes
 * Gives back the sandbox's lock while it waits. Everything may have changed after it. Ends a wait
 * of a sandbox that leaves this host with UNAVAILABLE.
 *
 * Return: true: look again; false with CANCELLED, DEADLINE_EXCEEDED or UNAVAILABLE: give up.
 */
bool sf_call_wait(struct sf_call *call, struct sf_error **err);

/* Send one message of a stream; a protobuf-c struct that stays the caller's. Gives back the
 * sandbox's lock while it does. Return: false: the caller of the RPC is gone. */
bool sf_call_send(struct sf_call *call, const void *message, struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
