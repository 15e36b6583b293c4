#ifndef AGENT_NETWORK_REQUEST_H
#define AGENT_NETWORK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/interface.h"
#include "guest/agent/outcome.h"
#include "sandferry/v1/agent.pb-c.h"

/* Whether what the host asks makes sense: refused with INVALID_ARGUMENT, before anything is done.
 */

#define RESOLV_CONF_ROOM 8192

/* "nic0" to "nic7"; which. */
bool network_port(const char *name, unsigned *ret, struct outcome *o);
uint32_t network_table(unsigned port); /* the routing table of a NIC that has one of its own */
bool network_namespace(const char *name, struct outcome *o);
/* Up to 15 bytes, as the kernel takes them; not lo. */
bool network_device(const char *name, struct outcome *o);

/* What resolv.conf is to say. */
bool network_resolv_conf(const Sandferry__V1__AgentAddNamespace *request,
                         char ret[RESOLV_CONF_ROOM], struct outcome *o);
bool network_interface(const Sandferry__V1__AgentAddInterface *request, struct interface *ret,
                       struct outcome *o);

#endif
