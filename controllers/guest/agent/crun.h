#ifndef AGENT_CRUN_H
#define AGENT_CRUN_H

#include <stdbool.h>

#include "guest/agent/outcome.h"

/**
 * crun_run() - one crun command for a container; only in a job's child, for it blocks
 * @arguments: after the command and before the id; NULL at the end; at most 8
 * @fds:       what becomes the standard streams of the container's init process; NULL: none
 *
 * Return: false with crun's own words.
 */
bool crun_run(const char *container_id, const char *command, const char *const *arguments,
              const int *fds, struct outcome *o);

/* The same in a process that is about to be, beside the init process: "crun exec". @log: where crun
 * may write what it has to say, since several of one container may be under way. */
bool crun_exec(const char *container_id, const char *log, const char *const *arguments,
               const int *fds, struct outcome *o);

/* Whether crun knows the container. */
bool crun_knows(const char *container_id);

#endif
