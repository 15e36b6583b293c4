#ifndef AGENT_DISK_H
#define AGENT_DISK_H

#include <stdbool.h>

#include "guest/agent/outcome.h"

/* What the host asks about disks. All of it runs in a job's child, and may block. @request: the
 * message of agent.proto. */
bool disk_mount(const void *request, struct outcome *o); /* text: the mount point or device */
bool disk_unmount(const void *request, struct outcome *o);
bool disk_eject(const void *request, struct outcome *o);

#endif
