#ifndef AGENT_CONTAINER_H
#define AGENT_CONTAINER_H

#include <stdint.h>

#include "guest/agent/files.h"
#include "sandferry/v1/agent.pb-c.h"

/* What the agent keeps of each container: CONTAINERS_DIR/ID/{log,pid,rootfs,scratch,console}. */
#define CONTAINERS_DIR RUN_DIR "/containers"

/* Each answers request @id, now or when a child has done it. */
void container_create(uint64_t id, const Sandferry__V1__AgentCreateContainer *request);
void container_start(uint64_t id, const Sandferry__V1__AgentStartContainer *request);
void container_delete(uint64_t id, const Sandferry__V1__AgentDeleteContainer *request);

#endif
