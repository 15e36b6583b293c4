#include "guest/agent/network_request.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "guest/agent/netns.h"
#include "guest/agent/pci.h"

#define NAME_SERVERS_MAX   3 /* more are not asked by anybody's resolver */
#define SEARCH_DOMAINS_MAX 32
#define DOMAIN_SIZE_MAX    253
#define MTU_MIN            68
#define MTU_MAX            65535
#define FIRST_TABLE        100 /* of nic0; the kernel's own are 253 and more */

bool network_port(const char *name, unsigned *ret, struct outcome *o)
{
    char address[PCI_ADDRESS_ROOM];

    if (strncmp(name, "nic", 3) != 0 || !pci_port_of(name, address))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.64s' is no root port for a NIC", name);
    *ret = (unsigned)(name[3] - '0');
    return true;
}

uint32_t network_table(unsigned port)
{
    return FIRST_TABLE + port;
}

bool network_namespace(const char *name, struct outcome *o)
{
    return netns_name_valid(name) ||
           outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' cannot be a network namespace's name",
                        name);
}

/* Printable, and nothing that means something in a path, in sysctl's or ip's words. */
bool network_device(const char *name, struct outcome *o)
{
    size_t size = strlen(name);
    bool ok = size >= 1 && size < IFNAMSIZ && name[0] != '.' && strcmp(name, "lo") != 0 &&
              strcmp(name, "all") != 0 && strcmp(name, "default") != 0;

    for (const char *c = name; *c != '\0'; c++)
        ok = ok && isgraph((unsigned char)*c) && strchr("/:%", *c) == NULL;
    return ok ||
           outcome_fail(o, SF_INVALID_ARGUMENT, "'%.64s' cannot be a network device's name", name);
}

/* ---- resolv.conf ---- */

static bool domain_valid(const char *name)
{
    size_t size = strlen(name);

    if (size < 1 || size > DOMAIN_SIZE_MAX)
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (!isascii((unsigned char)*c) ||
            (!isalnum((unsigned char)*c) && strchr("-_.", *c) == NULL))
            return false;
    return true;
}

bool network_resolv_conf(const Sandferry__V1__AgentAddNamespace *r, char ret[RESOLV_CONF_ROOM],
                         struct outcome *o)
{
    size_t at = 0;
    struct ip ip;

    ret[0] = '\0';
    if (r->n_name_servers > NAME_SERVERS_MAX || r->n_search_domains > SEARCH_DOMAINS_MAX)
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "at most %d name servers and %d search domains can be given",
                            NAME_SERVERS_MAX, SEARCH_DOMAINS_MAX);
    for (size_t i = 0; i < r->n_search_domains; i++) {
        if (!domain_valid(r->search_domains[i]))
            return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' is no domain",
                                r->search_domains[i]);
        at += (size_t)snprintf(ret + at, RESOLV_CONF_ROOM - at, "%s%s", i == 0 ? "search " : " ",
                               r->search_domains[i]);
    }
    if (r->n_search_domains > 0)
        at += (size_t)snprintf(ret + at, RESOLV_CONF_ROOM - at, "\n");
    for (size_t i = 0; i < r->n_name_servers; i++) {
        if (!ip_parse(r->name_servers[i], &ip))
            return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' is no name server's address",
                                r->name_servers[i]);
        at += (size_t)snprintf(ret + at, RESOLV_CONF_ROOM - at, "nameserver %s\n",
                               r->name_servers[i]);
    }
    return true;
}

_Static_assert(SEARCH_DOMAINS_MAX *(DOMAIN_SIZE_MAX + 1) < RESOLV_CONF_ROOM - 60, "a line, too");

/* ---- an interface ---- */

static bool take_addresses(const Sandferry__V1__AgentAddInterface *r, struct interface *ret,
                           struct outcome *o)
{
    if (r->n_addresses > INTERFACE_ADDRESSES_MAX)
        return outcome_fail(o, SF_INVALID_ARGUMENT, "at most %d addresses can be given",
                            INTERFACE_ADDRESSES_MAX);
    for (size_t i = 0; i < r->n_addresses; i++) {
        if (!ip_parse_with_prefix(r->addresses[i], &ret->addresses[i]) ||
            ret->addresses[i].prefix == 0)
            return outcome_fail(o, SF_INVALID_ARGUMENT,
                                "'%.80s' is no address with a prefix length", r->addresses[i]);
    }
    ret->n_addresses = r->n_addresses;
    return true;
}

static bool take_route(const Sandferry__V1__AgentRoute *r, struct route *ret, struct outcome *o)
{
    if (!ip_parse_with_prefix(r->destination, &ret->destination) ||
        !ip_is_network(&ret->destination))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' is no network to route to",
                            r->destination);
    ret->has_gateway = r->gateway[0] != '\0';
    if (ret->has_gateway &&
        (!ip_parse(r->gateway, &ret->gateway) || ret->gateway.family != ret->destination.family))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' is no gateway to '%.80s'", r->gateway,
                            r->destination);
    ret->metric = r->metric;
    return true;
}

bool network_interface(const Sandferry__V1__AgentAddInterface *r, struct interface *ret,
                       struct outcome *o)
{
    unsigned port = 0;

    *ret = (struct interface){.mtu = r->mtu, .own_table = r->policy_based_routing};
    if (!network_port(r->guest_address, &port, o) || !network_namespace(r->namespace_, o) ||
        !network_device(r->device, o) || !take_addresses(r, ret, o))
        return false;
    if (!mac_parse(r->mac_address, ret->mac))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' is no NIC's MAC address",
                            r->mac_address);
    if (r->mtu != 0 && (r->mtu < MTU_MIN || r->mtu > MTU_MAX))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "an MTU is %d to %d bytes, not %u", MTU_MIN,
                            MTU_MAX, r->mtu);
    if (r->n_routes > INTERFACE_ROUTES_MAX)
        return outcome_fail(o, SF_INVALID_ARGUMENT, "at most %d routes can be given",
                            INTERFACE_ROUTES_MAX);
    for (size_t i = 0; i < r->n_routes; i++)
        if (!take_route(r->routes[i], &ret->routes[i], o))
            return false;
    ret->n_routes = r->n_routes;
    ret->table = network_table(port);
    snprintf(ret->name, sizeof(ret->name), "%s", r->device);
    return true;
}
