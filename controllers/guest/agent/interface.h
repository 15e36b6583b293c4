#ifndef AGENT_INTERFACE_H
#define AGENT_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/address.h"
#include "guest/agent/link.h"
#include "guest/agent/outcome.h"
#include "guest/agent/route.h"

/* How a network device is set up in a namespace. */

#define INTERFACE_ADDRESSES_MAX 32
#define INTERFACE_ROUTES_MAX    128

struct interface {
    char name[IFNAMSIZ];
    uint8_t mac[MAC_SIZE];
    uint32_t mtu; /* 0: as it is */
    struct ip addresses[INTERFACE_ADDRESSES_MAX];
    size_t n_addresses;
    struct route routes[INTERFACE_ROUTES_MAX]; /* of the main table */
    size_t n_routes;
    uint32_t table; /* of its own, for what comes from its addresses */
    bool own_table; /* it has one */
};

/**
 * interface_set() - bring a device to what is asked
 * @fd: netlink, of the namespace that it is in
 *
 * What is so already is not touched: connections go on over a repeat.
 */
bool interface_set(int fd, const struct link *link, const struct interface *to, struct outcome *o);

/* An address of a device. */
struct interface_address {
    int device; /* its index */
    struct ip ip;
    bool link_local; /* the kernel's own */
};
#define INTERFACE_ALL_ADDRESSES_MAX 512
/* Those of all devices of a namespace. Return: 0, or an errno. */
int interface_addresses(int fd, struct interface_address *ret, size_t room, size_t *n);

#endif
