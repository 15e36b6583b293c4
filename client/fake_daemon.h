#ifndef CLIENT_FAKE_DAEMON_H
#define CLIENT_FAKE_DAEMON_H

/*
 * For tests: a gRPC server with all services, on a unix socket in a directory of its own, that
 * notes what it was asked and answers what it was told to. One thread at a time.
 */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/error.h"

struct fake;

struct fake *fake_start(void);
void fake_stop(struct fake *f);
const char *fake_address(const struct fake *f);
const char *fake_directory(const struct fake *f); /* for the test's own files; goes with it */

/* What the next calls get, each once, in order; a stream gets all that are there, then ends. An
 * answer that was not given is empty. */
void fake_answer(struct fake *f, const ProtobufCMessage *message);
/* The next call fails so. */
void fake_fail(struct fake *f, enum sf_code code, const char *message);
void fake_fail_detail(struct fake *f, enum sf_detail_kind kind, const char *subject,
                      const char *text);
/* The next call gets no answer until its caller has had enough. */
void fake_hang(struct fake *f);

/* What was asked last: "GetSandbox", and the request as JSON on one line. How often in all. */
const char *fake_method(struct fake *f);
const char *fake_request(struct fake *f);
unsigned fake_n_calls(struct fake *f);
/* Blocks until there have been so many. */
void fake_await_calls(struct fake *f, unsigned n);

#endif
