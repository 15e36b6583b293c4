#ifndef AGENT_EXEC_H
#define AGENT_EXEC_H

#include <stdint.h>

#include "sandferry/v1/agent.pb-c.h"

/* Processes beside the init process of a container. Each answers request @id, now or when a child
 * has done it. */
void exec_start(uint64_t id, const Sandferry__V1__AgentExec *request);
void exec_delete(uint64_t id, const Sandferry__V1__AgentDeleteProcess *request);

#endif
