#ifndef ECHO_CLIENT_H
#define ECHO_CLIENT_H

/* What the tests say to the echo server, through client/call.h; and sockets that say nothing. */

#include "base/suite.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "rpc/echo_peer.h"

#include "echo.pb-c.h"

#define ECHO   "/sandferry.test.v1.EchoService/Echo"
#define REPEAT "/sandferry.test.v1.EchoService/Repeat"
#define HANG   "/sandferry.test.v1.EchoService/Hang"
#define HOLD   "/sandferry.test.v1.EchoService/Hold"
#define WORK   "/sandferry.test.v1.EchoService/Work"

#define RESPONSE_TYPE (&sandferry__test__v1__echo_response__descriptor)

void channel_free(struct call_channel **channel); /* for SF_CLEANUP() */
struct call_channel *connect_to(const char *address);

/* Says @text and gets it back. False: *@err says why not. */
bool say(struct call_channel *channel, const char *text, uint32_t timeout_ms,
         struct sf_error **err);
void answers(const char *address); /* a call to it works */

/* Gets @text @n times; each adds 1 to *@ret_got. At 77 it has had enough. */
bool repeat(struct call_channel *channel, const char *text, unsigned n, unsigned *ret_got,
            struct sf_error **err);
bool hang(struct call_channel *channel, uint32_t timeout_ms, struct sf_error **err);

/* A call in a thread of its own. */
struct caller {
    pthread_t thread;
    struct call_channel *channel;
    const char *method;
    bool own_channel;
    bool ok;
    struct sf_error *err; /* the test's to free */
};
void caller_start(struct caller *c, const char *address, const char *method);
void caller_start_on(struct caller *c, struct call_channel *channel, const char *method);
void caller_end(struct caller *c); /* waits for it */

/* A socket that says nothing. */
int connect_unix(const char *address);
int connect_tcp(const char *address);
/* Whether the server ends it within @timeout_ms. What it says before is thrown away. */
bool is_ended(int fd, int timeout_ms);

#endif
