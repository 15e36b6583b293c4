#ifndef AGENT_PORT_H
#define AGENT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The virtio-serial port that the host is behind: bytes between it and the channel. */

bool port_open(void); /* false: it is not there yet */

/* For poll(): the descriptor, -1 while the host is away, and what to look for. */
int port_fd(void);
short port_wants(void);
void port_ready(short revents); /* what poll() said; hands on what the host says */

/* While the host is away poll() has nothing to say: ask from time to time, and on SIGIO. */
bool port_host_away(void);
void port_look(void);

/* Queues one packed AgentMessage. False: no room; try again when the host has read. */
bool port_send(const uint8_t *message, size_t size);
/* Whether there is room for output, with enough left for answers. */
bool port_has_room(void);

#endif
