#ifndef GUEST_HOST_PRIVATE_H
#define GUEST_HOST_PRIVATE_H

/* What host.c and floors.c share; nobody else includes it. */

#include <pthread.h>

#include "guest/channel.h"
#include "guest/host.h"
#include "sandferry/v1/agent.pb-c.h"

typedef Sandferry__V1__AgentMessage Message;

struct waiter;

enum mode {
    GO,     /* read and write */
    DRAIN,  /* read all there is, write nothing */
    HALTED, /* neither */
};

struct guest_host {
    char *name;                /* owned */
    struct dispatch *dispatch; /* borrowed */
    guest_event_fn fn;
    void *context;
    int wake; /* eventfd: the thread has to look */
    pthread_t thread;
    bool running; /* there is a thread */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t cond;   /* an answer, a mode or a problem has come */
    struct channel *channel;
    int fd; /* the connection; -1: none */
    struct waiter *waiters;
    uint64_t next_call_id;
    size_t answers_bytes, answers_messages; /* see guest_host_limit_answers(); 0: no limit */
    enum mode mode;
    bool drained_any; /* bytes have come since the drain began */
    bool quiet, ending;
    char *problem; /* owned; NULL: none. Nothing goes any more */
    bool curable;  /* by a new connection */
};

/* With the mutex held, after what waits for the guest has become more or less. */
void guest_host_look_for_room(struct guest_host *h);

/* The caller's; NULL with *err: it makes no sense. */
Message *guest_host_unpack(const void *data, size_t size, struct sf_error **err);

/* Of the dispatch: hands one event on. With the sandbox's lock held; no data: the conversation has
 * ended. */
void guest_host_deliver(void *context, const void *data, size_t size);

#endif
