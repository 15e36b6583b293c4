#ifndef PROCESS_FAKE_GUEST_H
#define PROCESS_FAKE_GUEST_H

/*
 * For tests: a sandbox with the process controller alone, an agent that notes what it is asked and
 * answers what it is told to, and calls whose waits the test fills. One thread.
 */

#include "process/process.h"
#include "sandferry/v1/process.pb-c.h"

extern struct processes processes; /* the controller; made anew by fake_begin() */
extern struct sf_error *err;       /* freed by fake_end() */

/* A container "c", "guest-c" in the guest, whose init process runs. */
void fake_begin(void);
void fake_end(void);
const struct sf_controller_class *fake_class(void);

/* What the agent was asked since the last time: "exec c/e signal c/e 9 input 0+5. taken c/e 1 17 ";
 * a
 * '.' is a close, '@' an offset that was given. */
const char *fake_asked(void);
/* The next request that has an answer fails so. */
void fake_refuse(enum sf_code code, const char *message);
/* The agent's next answer to input says that the process has been given so many bytes. */
void fake_input_at(uint64_t offset);

/* Events of the agent. */
void fake_output(const char *exec_id, unsigned stream, uint64_t offset, size_t size);
void fake_closed(const char *exec_id, unsigned stream, uint64_t offset);
void fake_exited(const char *exec_id, uint32_t code);
uint8_t fake_byte(uint64_t offset); /* what every stream is made of */

/* Calls a method of the service. @on_wait: instead of waiting; false: the caller is gone. */
bool fake_call(const char *method, const void *request, void *reply, bool (*on_wait)(void));
/* What a stream has sent: "1@0+5 2@3+1! exit7 "; '!' with how many bytes were lost, '.' closed. */
const char *fake_sent(void);
/* After each message of a stream. */
extern void (*fake_on_send)(void);

/* Over the wire into an empty controller that is held, as a restore does it. */
void fake_restore(void);

#endif
