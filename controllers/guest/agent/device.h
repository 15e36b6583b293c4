#ifndef AGENT_DEVICE_H
#define AGENT_DEVICE_H

#include "guest/agent/outcome.h"
#include "sandferry/v1/agent.pb-c.h"

/* What the host asks about PCI devices. */
void device_add(uint64_t id, const Sandferry__V1__AgentAddDevice *request);
void device_remove(uint64_t id, const Sandferry__V1__AgentRemoveDevice *request);

#endif
