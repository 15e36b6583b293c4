#ifndef LIB_FAKE_HOST_H
#define LIB_FAKE_HOST_H

/*
 * What the daemon and the vm controller are to a controller, for its tests: sandboxes of one
 * controller each, a directory of files, and the offers of the vm controller: a machine and a guest
 * that write down what they are asked, and a shares' line.
 *
 * Everything that may go wrong outside of the controller is a step: opening a path, a QMP command,
 * a question to the guest, listening on the line. Any one of them can be made to fail.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"
#include "controller.h"
#include "offers.h"

struct sf_sandbox {
    char id[SF_ID_SIZE];
    char directory[256];
    bool clone; /* what sf_sandbox_is_clone() says; the test sets it */
    pthread_mutex_t lock;
    char *invalid;                    /* owned; why it is */
    struct sf_controller *controller; /* owned; of sf_controller_class_v1() */
    struct sf_controller vm;          /* the owner of the offers */
    struct sf_controller *listener;   /* of the shares' line; NULL: nobody */
    sf_share_line_fn listener_fn;     /* under the line's lock, too: */
    pthread_mutex_t line;             /* held while the listener listens */
};

/* ---- the host: where all sandboxes and files of a test are ---- */

bool fake_host_make(void); /* made anew, with a memory directory; no step fails */
void fake_host_remove(void);
const char *fake_host_root(void);
void fake_host_set(const char *setting, const char *value); /* NULL: not set */
const char *fake_host_memory_directory(void);
/* sf_path_open() opens what is beneath this, as it stands there; NULL: everything is refused. */
void fake_host_allow(const char *root);

/* ---- a sandbox ---- */

/* Its controller is initialised, and its lock is held: the test is the lifecycle. */
struct sf_sandbox *fake_sandbox_new(const char *id);
void fake_sandbox_free(struct sf_sandbox *s); /* destroy, fini */

/* Let go of the lock until the sandbox is invalid. False: it is not, after so long. */
bool fake_sandbox_await_invalid(struct sf_sandbox *s, unsigned timeout_ms);

/* ---- steps. Of one thread, but for what the listener of the line does. ---- */

enum fake_failure {
    FAKE_REFUSED, /* it is not done, and the answer says so: FAILED_PRECONDITION */
    FAKE_SILENT,  /* it is done, and the answer is lost: UNAVAILABLE */
};

/* The @nth step from now on fails, once; 1 is the next; 0: none does. Steps are counted from 0
 * again. */
void fake_fail(unsigned nth, enum fake_failure how);
unsigned fake_steps(void);
bool fake_failed(void); /* since the last fake_fail() */

/* All steps since the last fake_trace_clear(), a line each: "open /a", "qmp device_add {...}",
 * "guest mount_share", "line listen". Owned here. */
const char *fake_trace(void);
void fake_trace_clear(void);
unsigned fake_trace_count(const char *text); /* how often it is there */

/* ---- the machine (sandferry.machine.v1) ---- */

/* What QEMU says; NULL: {} to everything. @ret_json is on the heap, and never NULL. */
typedef bool (*fake_machine_fn)(const char *command, const char *arguments, char **ret_json,
                                struct sf_error **err);
void fake_machine_answers(fake_machine_fn fn);
void fake_machine_forbids_writable_shares(bool forbids);

/* ---- the guest (sandferry.guest.v1) ---- */

/*
 * What the agent answers; NULL: done, each mount being where it was wanted. @request: a
 * Sandferry__V1__AgentRequest. @reply: a Sandferry__V1__AgentReply, initialised; what fn hangs into
 * it is on the heap.
 */
typedef bool (*fake_guest_fn)(const void *request, void *reply, struct sf_error **err);
void fake_guest_answers(fake_guest_fn fn);
/* The last request that came; NULL: none did. Owned here, until the next. */
const void *fake_guest_last(void);

/* ---- the shares' line (sandferry.shareline.v1) ---- */

/* The guest says a piece; on this thread, which need not have the sandbox's lock. */
void fake_line_say(struct sf_sandbox *s, uint64_t share, const void *data, size_t size,
                   bool closed);
/* What has been sent to the guest and not been taken yet: the pieces in a row. */
size_t fake_line_take(uint64_t share, void *ret, size_t room);

#endif
