#ifndef AGENT_JOB_H
#define AGENT_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/agent/outcome.h"

/*
 * What may take long runs in a child of the agent, so that output of containers goes on meanwhile
 * and a crash there is not the end of the guest. The child has a copy of all the agent knew; what
 * it finds out comes back as an outcome.
 */

/* In the child: may block. False with an outcome that says why. */
typedef bool (*job_run)(const void *request, struct outcome *o);
/* In the agent, when the child has ended: answers request @id. */
typedef void (*job_done)(uint64_t id, void *context, const struct outcome *o);

/* @request: borrowed until this returns. @done: is called exactly once, maybe at once; NULL: answer
 * with the outcome's code and text. @context: borrowed until then. */
void job_start(uint64_t id, job_run run, const void *request, job_done done, void *context);
/* The same for what nobody waits for. */
void job_start_unasked(job_run run);

bool job_child_ended(pid_t pid, int status); /* true: it was a job's; job_finish() does the rest */
void job_finish(void);                       /* calls done for the jobs whose child has ended */

#endif
