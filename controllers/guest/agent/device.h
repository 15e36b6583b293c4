#ifndef AGENT_DEVICE_H
#define AGENT_DEVICE_H

#include <stdbool.h>

#include "guest/agent/outcome.h"
#include "guest/agent/pci.h"
#include "sandferry/v1/agent.pb-c.h"

/* What the host asks about PCI devices. */
void device_add(uint64_t id, const Sandferry__V1__AgentAddDevice *request);
void device_remove(uint64_t id, const Sandferry__V1__AgentRemoveDevice *request);

/* For jobs. @name: of a root port, "port3"; @ret: the device that is plugged into it. */

/* Waits until it is there and its driver, if one wants it, has it. */
bool device_wait(const char *name, char ret[PCI_ADDRESS_ROOM], struct outcome *o);
/* @port: the port's own address. @ret: empty, if nothing is plugged. */
bool device_find(const char *name, char port[PCI_ADDRESS_ROOM], char ret[PCI_ADDRESS_ROOM],
                 struct outcome *o);
/* Takes it from its driver. One that has none is no error. */
bool device_unbind(const char *device, struct outcome *o);

#endif
