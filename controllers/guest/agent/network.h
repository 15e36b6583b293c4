#ifndef AGENT_NETWORK_H
#define AGENT_NETWORK_H

#include <stdint.h>

#include "sandferry/v1/agent.pb-c.h"

/* What the host asks about pods' networks. */
void network_add_namespace(uint64_t id, const Sandferry__V1__AgentAddNamespace *request);
void network_remove_namespace(uint64_t id, const Sandferry__V1__AgentRemoveNamespace *request);
void network_add_interface(uint64_t id, const Sandferry__V1__AgentAddInterface *request);
void network_remove_interface(uint64_t id, const Sandferry__V1__AgentRemoveInterface *request);
void network_announce(uint64_t id);

#endif
