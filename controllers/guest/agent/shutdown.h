#ifndef AGENT_SHUTDOWN_H
#define AGENT_SHUTDOWN_H

#include <stdint.h>

/* Ends all containers' processes, unmounts the disks and writes everything back; then answers. The
 * guest stays up until the host ends it. */
void shutdown_guest(uint64_t id);

#endif
