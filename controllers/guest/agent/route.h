#ifndef AGENT_ROUTE_H
#define AGENT_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/address.h"
#include "guest/agent/outcome.h"

/*
 * Routes of a device, and rules that choose a table by where something comes from. What the agent
 * made bears RTPROT_STATIC; nothing else is touched. @fd: of netlink_open().
 */

struct route {
    struct ip destination; /* a network */
    bool has_gateway;
    bool far; /* the gateway is in no network of the device's own: it is on the link all the same */
    struct ip gateway;
    uint32_t metric; /* 0: the kernel's default */
    uint32_t table;
};

/* Brings the device's routes to those, and no others of the agent's. */
bool routes_set(int fd, int device, const struct route *routes, size_t n, struct outcome *o);

/* Brings the rules that lead to a table to those: what comes from one of @sources. */
bool rules_set(int fd, uint32_t table, const struct ip *sources, size_t n, struct outcome *o);

#endif
