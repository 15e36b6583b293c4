#ifndef AGENT_PORT_H
#define AGENT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The virtio-serial ports that the host is behind: bytes between each and its channel. There is the
 * agent's line, which every machine has, and the shares' line, which those of older daemons lack.
 */
enum port { PORT_AGENT, PORT_SHARES, PORT_N };

bool port_open(enum port port); /* false: it is not there (yet); a repeat does nothing */
bool port_is_open(enum port port);

/* For poll(): the descriptor, -1 while the host is away, and what to look for. */
int port_fd(enum port port);
short port_wants(enum port port);
void port_ready(enum port port, short revents); /* what poll() said; hands on what the host says */
/* What the host says is left where it is, for now. */
void port_pause(enum port port, bool pause);

/* While a host is away poll() has nothing to say: ask from time to time, and on SIGIO. */
bool port_host_away(void);
void port_look(void);

/* Queues one packed AgentMessage. False: no room; try again when the host has read. */
bool port_send(enum port port, const uint8_t *message, size_t size);
/* Whether there is room for output: on the agent's line with enough left for answers. */
bool port_has_room(enum port port);

#endif
