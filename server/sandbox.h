#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "controller.h"
#include "machine.h"
#include "sandferry/v1/sandbox.pb-c.h"

struct daemon;
struct rpc_call;

/* The wire's SandboxState is one more. */
enum sandbox_state {
    SANDBOX_NEW,     /* being created or restored */
    SANDBOX_RUNNING, /* its guest runs */
    SANDBOX_FROZEN,  /* saved, and held */
    SANDBOX_LOADED,  /* restored, and held */
    SANDBOX_STOPPED, /* its VM has ended, as asked */
    SANDBOX_INVALID, /* its VM is lost: only stop and delete help */
    SANDBOX_N_STATES
};

enum sandbox_event {
    SANDBOX_STARTED, /* created, or restored: it runs */
    SANDBOX_HELD,    /* saved */
    SANDBOX_LOAD,    /* restored, up to its first step */
    SANDBOX_RESUMED, /* a hold has ended: it runs */
    SANDBOX_STOP,    /* ended */
    SANDBOX_LOST,    /* its VM is gone, or of no use */
    SANDBOX_N_EVENTS
};

extern const struct sf_machine sandbox_machine;

/* One controller of one sandbox. Only lifecycle.c uses it. */
struct instance {
    struct sf_controller *controller; /* owned; NULL: not there yet */
    bool froze;                       /* thaw has something to take back */
    bool imported;                    /* abandon has something to take back */
};

/*
 * One sandbox. Its lock ("locked") is held for whole operations, minutes long; `mutex` only for
 * moments, so whoever only looks never waits for a save.
 */
struct sf_sandbox {
    char id[SF_ID_SIZE];
    char *directory;       /* owned */
    struct daemon *daemon; /* borrowed; outlives every sandbox */
    struct sf_bytes face;  /* a packed Sandbox: what never changes: id, labels, options, time */
    atomic_uint refs;
    bool clone; /* restored beside others of the same snapshot; never changes once it is seen */

    /* Under the lock. */
    struct instance *instances; /* owned; in the order of the daemon's modules ("down") */
    size_t n_instances;
    Sandferry__V1__SandboxSnapshot *kept; /* owned; has only extensions that nobody here knows */
    int64_t stopped_ns, resumed_ns; /* when the processors last stopped and went on; realtime */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t cond;   /* any of it has changed */
    bool locked;
    bool gone;        /* not of this host any more; the last reference frees it */
    unsigned state;   /* enum sandbox_state; only sandbox_move() writes it */
    uint64_t changes; /* how often sandbox_changed() was called */
    char *problem;    /* owned; NULL: none */
};

/* NULL with *@err set: no memory. The caller has the one reference. @id must be valid. */
struct sf_sandbox *sandbox_new(const char *id, const char *directory, struct daemon *daemon,
                               struct sf_error **err);
struct sf_sandbox *sandbox_ref(struct sf_sandbox *s);
void sandbox_unref(struct sf_sandbox *s); /* not with its lock held; NULL is fine */
SF_DEFINE_CLEANUP(struct sf_sandbox, sandbox_unref)

/* Takes the lock, however long that takes; for threads of the daemon itself. */
void sandbox_lock(struct sf_sandbox *s);
void sandbox_unlock(struct sf_sandbox *s);

/**
 * sandbox_enter() - take the lock for an RPC
 * @call: ends the wait when it ends; NULL: nothing does
 *
 * Return: false, without the lock: the call has ended, or NOT_FOUND if the sandbox went away.
 */
bool sandbox_enter(struct sf_sandbox *s, struct rpc_call *call, struct sf_error **err);

/**
 * sandbox_wait_change() - give back the lock until something changes, and take it again
 * @seen: the number of changes that the caller knows of; brought up to date
 *
 * Return: false, with the lock: the call has ended, or UNAVAILABLE if the sandbox went away,
 * stopped, or broke.
 */
bool sandbox_wait_change(struct sf_sandbox *s, struct rpc_call *call, uint64_t *seen,
                         struct sf_error **err);
uint64_t sandbox_changes(struct sf_sandbox *s);
void sandbox_changed(struct sf_sandbox *s);

enum sandbox_state sandbox_state(struct sf_sandbox *s);
bool sandbox_move(struct sf_sandbox *s, enum sandbox_event on, struct sf_error **err);
/* SANDBOX_LOST with a reason; does nothing if the sandbox is stopped already. False: it was. */
bool sandbox_lose(struct sf_sandbox *s, const char *problem);

/* FAILED_PRECONDITION that says what holds it and what to do, unless it runs. */
bool sandbox_require_running(struct sf_sandbox *s, struct sf_error **err);

/* It is not of this host any more: ends all waits. Under the lock. */
void sandbox_leave(struct sf_sandbox *s);

/* Keeps labels and options for sandbox_describe(). Before anybody else sees the sandbox. */
bool sandbox_set_face(struct sf_sandbox *s, const Sandferry__V1__Sandbox *face,
                      struct sf_error **err);
/* How it is now; the caller's. Never waits for the lock. */
Sandferry__V1__Sandbox *sandbox_describe(struct sf_sandbox *s, struct sf_error **err);

#endif
