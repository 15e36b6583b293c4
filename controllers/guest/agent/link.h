#ifndef AGENT_LINK_H
#define AGENT_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/address.h"

/* Network devices of a namespace. @fd: of netlink_open(). What returns int returns 0 or an errno.
 */

#define LINKS_MAX 64

struct link {
    int index;
    unsigned flags; /* IFF_UP and the like */
    uint32_t mtu;
    char name[IFNAMSIZ];
    char parent[64]; /* the device that it is of, "virtio5"; empty: none, as lo */
    uint8_t mac[MAC_SIZE];
    bool has_mac;
};

/* Those there are, at most LINKS_MAX. */
int links_get(int fd, struct link ret[LINKS_MAX], size_t *n);

/* What is to be different; what is not set stays. */
struct link_change {
    enum { LINK_STAYS, LINK_UP, LINK_DOWN } state;
    const uint8_t *mac;
    uint32_t mtu;
    const char *name;
    const int *network; /* the fd of a namespace to go to; what it is connected to stays behind */
};
int link_change(int fd, int index, const struct link_change *to);

#endif
