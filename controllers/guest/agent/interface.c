#include "guest/agent/interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <string.h>

#include "guest/agent/files.h"
#include "guest/agent/netlink.h"

/* ---- addresses ---- */

struct list {
    struct interface_address *addresses;
    size_t n, room;
};

static void take_address(void *context, const struct nlmsghdr *message)
{
    const struct rtattr *attributes[IFA_LOCAL + 1];
    const struct ifaddrmsg *m = NLMSG_DATA(message);
    struct list *list = context;

    if (message->nlmsg_type != RTM_NEWADDR || message->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
        (m->ifa_family != AF_INET && m->ifa_family != AF_INET6) || list->n == list->room)
        return;
    netlink_attributes(message, sizeof(*m), attributes, IFA_LOCAL + 1);
    const struct rtattr *address =
        attributes[IFA_LOCAL] != NULL ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    if (address == NULL || RTA_PAYLOAD(address) < ip_size(m->ifa_family))
        return;
    struct interface_address *it = &list->addresses[list->n++];
    *it = (struct interface_address){.device = (int)m->ifa_index,
                                     .ip = {.family = m->ifa_family, .prefix = m->ifa_prefixlen}};
    it->link_local = m->ifa_family == AF_INET6 && m->ifa_scope == RT_SCOPE_LINK;
    memcpy(it->ip.bytes, RTA_DATA(address), ip_size(m->ifa_family));
}

int interface_addresses(int fd, struct interface_address *ret, size_t room, size_t *n)
{
    struct list list = {.addresses = ret, .room = room};
    int error = netlink_dump(fd, RTM_GETADDR, AF_UNSPEC, take_address, &list);

    *n = list.n;
    return error;
}

static void add_broadcast(struct netlink_request *r, const struct ip *ip)
{
    uint8_t all[4];

    if (ip->family != AF_INET || ip->prefix > 30)
        return;
    memcpy(all, ip->bytes, sizeof(all));
    for (unsigned bit = ip->prefix; bit < 32; bit++)
        all[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    netlink_add(r, IFA_BROADCAST, all, sizeof(all));
}

/* Nobody is asked whether an IPv6 address is taken: the host says whose it is, and it must answer
 * at once. */
static int change_address(int fd, int device, const struct ip *ip, bool add)
{
    const struct ifaddrmsg m = {.ifa_family = (uint8_t)ip->family,
                                .ifa_prefixlen = ip->prefix,
                                .ifa_flags = ip->family == AF_INET6 && add ? IFA_F_NODAD : 0,
                                .ifa_index = (uint32_t)device};
    struct netlink_request r;

    netlink_begin(&r, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &m,
                  sizeof(m));
    netlink_add(&r, IFA_LOCAL, ip->bytes, ip_size(ip->family));
    netlink_add(&r, IFA_ADDRESS, ip->bytes, ip_size(ip->family));
    if (add)
        add_broadcast(&r, ip);
    return netlink_do(fd, &r);
}

static bool is_among(const struct ip *ip, const struct ip *those, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ip_equal(ip, &those[i]))
            return true;
    return false;
}

static bool refuse_address(const struct ip *ip, int error, struct outcome *o)
{
    char text[INET6_ADDRSTRLEN] = "?";

    inet_ntop(ip->family, ip->bytes, text, sizeof(text));
    return outcome_fail(o, error == EINVAL ? SF_INVALID_ARGUMENT : SF_FAILED_PRECONDITION,
                        "the guest's kernel does not take the address '%s/%u': %s", text,
                        ip->prefix, strerror(error));
}

static bool read_addresses(int fd, struct interface_address *ret, size_t *n, struct outcome *o)
{
    int error = interface_addresses(fd, ret, INTERFACE_ALL_ADDRESSES_MAX, n);

    return error == 0 || outcome_fail(o, SF_INTERNAL, "the guest's addresses cannot be read: %s",
                                      strerror(error));
}

static bool take_away_others(int fd, int device, const struct interface *to, struct outcome *o)
{
    static struct interface_address is[INTERFACE_ALL_ADDRESSES_MAX];
    size_t n;
    int error;

    if (!read_addresses(fd, is, &n, o))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is[i].device != device || is[i].link_local ||
            is_among(&is[i].ip, to->addresses, to->n_addresses))
            continue;
        error = change_address(fd, device, &is[i].ip, false);
        if (error != 0 && error != EADDRNOTAVAIL) /* gone with the one it was secondary to */
            return refuse_address(&is[i].ip, error, o);
    }
    return true;
}

/* Read anew, since one that goes takes along, of IPv4, the others of its network. */
static bool add_missing(int fd, int device, const struct interface *to, struct outcome *o)
{
    static struct interface_address all[INTERFACE_ALL_ADDRESSES_MAX];
    static struct ip is[INTERFACE_ALL_ADDRESSES_MAX];
    size_t n, n_is = 0;
    int error;

    if (!read_addresses(fd, all, &n, o))
        return false;
    for (size_t i = 0; i < n; i++)
        if (all[i].device == device)
            is[n_is++] = all[i].ip;
    for (size_t i = 0; i < to->n_addresses; i++) {
        if (is_among(&to->addresses[i], is, n_is))
            continue;
        error = change_address(fd, device, &to->addresses[i], true);
        if (error != 0)
            return refuse_address(&to->addresses[i], error, o);
    }
    return true;
}

/* ---- the device ---- */

static void switch_off(const char *device, const char *what)
{
    char path[128];

    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", device, what);
    write_file(path, "0", 1);
}

/* All addresses and routes come from the host: none from a router that speaks, and nobody is asked
 * whether one is taken. Of a kernel without IPv6 nothing is said. */
static void believe_the_host(const char *device)
{
    switch_off(device, "accept_ra");
    switch_off(device, "accept_dad");
}

/* A name and a MAC can be changed only of a device that is down; and then only is it taken down. */
static bool set_device(int fd, const struct link *link, const struct interface *to,
                       struct outcome *o)
{
    struct link_change change = {0};
    int error = 0;

    if (strcmp(link->name, to->name) != 0)
        change.name = to->name;
    if (!link->has_mac || memcmp(link->mac, to->mac, MAC_SIZE) != 0)
        change.mac = to->mac;
    if (change.name != NULL || change.mac != NULL) {
        error = link_change(fd, link->index, &(struct link_change){.state = LINK_DOWN});
        if (error == 0)
            error = link_change(fd, link->index, &change);
    }
    if (error == EEXIST)
        return outcome_fail(o, SF_ALREADY_EXISTS, "there is a device '%s' in the namespace already",
                            to->name);
    if (error != 0)
        return outcome_fail(o, SF_INTERNAL, "device '%s' cannot be set up: %s", to->name,
                            strerror(error));
    believe_the_host(to->name);
    error = link_change(fd, link->index, &(struct link_change){.state = LINK_UP, .mtu = to->mtu});
    if (error == EINVAL || error == ERANGE)
        return outcome_fail(o, SF_INVALID_ARGUMENT, "device '%s' does not take an MTU of %u",
                            to->name, to->mtu);
    return error == 0 || outcome_fail(o, SF_INTERNAL, "device '%s' does not come up: %s", to->name,
                                      strerror(error));
}

/* ---- routes ---- */

static bool is_reached(const struct interface *to, const struct ip *gateway)
{
    for (size_t i = 0; i < to->n_addresses; i++)
        if (ip_is_in(&to->addresses[i], gateway))
            return true;
    return false;
}

/* Those of the main table; and all once more in a table of its own, with its networks. */
static size_t all_routes(const struct interface *to, struct route *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < to->n_routes; i++) {
        struct route *route = &ret[n++];
        *route = to->routes[i];
        route->table = RT_TABLE_MAIN;
        route->far = route->has_gateway && !is_reached(to, &route->gateway);
    }
    for (size_t i = 0; to->own_table && i < to->n_addresses; i++) {
        struct ip network = ip_network(&to->addresses[i]);
        ret[n++] = (struct route){.destination = network, .table = to->table};
    }
    for (size_t i = 0; to->own_table && i < to->n_routes; i++) {
        ret[n] = ret[i];
        ret[n++].table = to->table;
    }
    return n;
}

static bool set_routes(int fd, int device, const struct interface *to, struct outcome *o)
{
    static struct route routes[2 * INTERFACE_ROUTES_MAX + INTERFACE_ADDRESSES_MAX];
    struct ip sources[INTERFACE_ADDRESSES_MAX];

    for (size_t i = 0; i < to->n_addresses; i++) {
        sources[i] = to->addresses[i];
        sources[i].prefix = (uint8_t)(ip_size(sources[i].family) * 8);
    }
    return routes_set(fd, device, routes, all_routes(to, routes), o) &&
           rules_set(fd, to->table, sources, to->own_table ? to->n_addresses : 0, o);
}

bool interface_set(int fd, const struct link *link, const struct interface *to, struct outcome *o)
{
    return set_device(fd, link, to, o) && take_away_others(fd, link->index, to, o) &&
           add_missing(fd, link->index, to, o) && set_routes(fd, link->index, to, o);
}
