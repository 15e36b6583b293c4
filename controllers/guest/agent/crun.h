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

/* Whether crun knows the container. */
bool crun_knows(const char *container_id);

#endif
