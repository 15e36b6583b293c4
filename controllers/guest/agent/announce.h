#ifndef AGENT_ANNOUNCE_H
#define AGENT_ANNOUNCE_H

#include <stddef.h>
#include <stdint.h>

#include "guest/agent/address.h"

/* Telling a network where the guest is now. */

#define ANNOUNCE_FRAME_ROOM 96

/* An Ethernet frame that says that @ip is at @mac: a gratuitous ARP, or an unsolicited neighbour
 * advertisement. Return: its size. */
size_t announce_frame(const uint8_t mac[MAC_SIZE], const struct ip *ip,
                      uint8_t ret[ANNOUNCE_FRAME_ROOM]);

/* Sends one for every address of every Ethernet device that is up, in the caller's network
 * namespace. Return: 0, or the first errno; what can be sent is. */
int announce_all(void);

#endif
