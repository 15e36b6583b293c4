#ifndef AGENT_NIC_H
#define AGENT_NIC_H

#include <stdbool.h>

#include "guest/agent/interface.h"
#include "guest/agent/outcome.h"

/*
 * NICs: network devices of PCI devices, in whatever namespace they are. For jobs: the caller may be
 * in another network namespace afterwards. @root: as in netns.h; @device: "0000:05:00.0".
 */

/* Whether a network device is @device's. @sys: "/sys", or a test's. */
bool nic_is_of(const char *sys, const struct link *link, const char *device);

/* Brings it into namespace @name, from wherever it is, and to what is asked. */
bool nic_set(const char *root, const char *name, const char *device, const struct interface *to,
             struct outcome *o);

/* Brings all NICs of a namespace back to the caller's own. */
bool nics_return(const char *root, const char *name, struct outcome *o);

#endif
