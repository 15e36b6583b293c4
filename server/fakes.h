#ifndef SERVER_FAKES_H
#define SERVER_FAKES_H

/* For unit tests: an RPC, a daemon in a directory of its own, and controllers that write down what
 * is asked of them. */

#include <pthread.h>
#include <stdbool.h>

#include "controller.h"
#include "daemon.h"

/* ---- an RPC ---- */

struct rpc_call {
    pthread_mutex_t mutex;
    bool cancelled;
    void (*on_cancel)(void *context);
    void *context;
    unsigned sent;
};
#define FAKE_CALL_INIT                                                                             \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER                                                         \
    }
void fake_call_cancel(struct rpc_call *call);

/* ---- controllers: top <- middle <- leaf, each depending on the one before ---- */

extern const struct sf_controller_class fake_top, fake_middle, fake_leaf;

struct fake {
    struct sf_controller base;
    char text[64]; /* what it saves */
    bool frozen;
};

extern char fake_trace[4096];   /* "top.create middle.create ..." */
extern const char *fake_refuse; /* "leaf.freeze" fails by itself; NULL: nothing does */
extern const char *fake_reason; /* "leaf.check", "middle.admit" give a reason; NULL: none */
extern const char *fake_lose;   /* "top.thaw" tells that the VM is lost; NULL: none does */
extern bool fake_quiet;         /* nothing is written down: for tests with threads */
void fake_trace_clear(void);

/* ---- a daemon ---- */

/* With the three controllers, beneath a new directory. Asserts that it works. */
void fake_daemon_open(struct daemon *d);
/* As a daemon that was killed leaves it, and the next one finds it. */
void fake_daemon_reopen(struct daemon *d);
void fake_daemon_close(struct daemon *d); /* removes the directory */

#endif
