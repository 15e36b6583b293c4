#ifndef AGENT_OUTCOME_H
#define AGENT_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h" /* for the codes only: google.rpc.Code */

/*
 * How a request went: code SF_OK, or what is wrong and what to do. Flat, since it comes from a
 * child through a pipe. With SF_OK the text is the answer's content, if it has one: see who asks.
 */
struct outcome {
    uint32_t code;
    char text[1024]; /* NUL-terminated; UTF-8 once outcome_clean() has been called */
};

/* Return: false, always; so that a function can fail in one line. */
bool outcome_fail(struct outcome *o, enum sf_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What did not come from here (a child, crun, the kernel) becomes one line of valid UTF-8: the host
 * hangs up on an agent that sends anything else. */
void outcome_clean(struct outcome *o);

/* One line on the console. */
void agent_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
