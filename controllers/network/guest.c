/* What the agent is asked about networks: the only file here that knows its language. */
#include <stdio.h>

#include "sandferry/v1/agent.pb-c.h"
#include "network/network.h"

#define CALL_MS 30000

typedef Sandferry__V1__AgentRequest request_t;
typedef Sandferry__V1__AgentRoute route_t;
#define BODY(name) SANDFERRY__V1__AGENT_REQUEST__BODY_##name
#define TEXT(text) ((char *)(uintptr_t)(text))

static bool ask(struct networks *all, request_t *request, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_guest_offer *guest =
        sf_sandbox_offer(all->base.sandbox, SF_GUEST_OFFER, &owner);

    if (guest == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_GUEST_OFFER);
    return guest->call(owner, request, CALL_MS, NULL, err);
}

bool guest_add_namespace(struct networks *all, const struct network *n, struct sf_error **err)
{
    request_t request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentAddNamespace body = SANDFERRY__V1__AGENT_ADD_NAMESPACE__INIT;
    char *servers[NETWORK_SERVERS_MAX], *domains[NETWORK_DOMAINS_MAX];

    for (unsigned i = 0; i < n->n_name_servers; i++)
        servers[i] = TEXT(n->name_servers[i]);
    for (unsigned i = 0; i < n->n_search_domains; i++)
        domains[i] = TEXT(n->search_domains[i]);
    body.name = TEXT(n->guest_namespace);
    body.name_servers = servers;
    body.n_name_servers = n->n_name_servers;
    body.search_domains = domains;
    body.n_search_domains = n->n_search_domains;
    request.body_case = BODY(ADD_NAMESPACE);
    request.add_namespace = &body;
    return ask(all, &request, err);
}

bool guest_remove_namespace(struct networks *all, const struct network *n, struct sf_error **err)
{
    request_t request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentRemoveNamespace body = SANDFERRY__V1__AGENT_REMOVE_NAMESPACE__INIT;

    body.name = TEXT(n->guest_namespace);
    request.body_case = BODY(REMOVE_NAMESPACE);
    request.remove_namespace = &body;
    return ask(all, &request, err);
}

bool guest_add_interface(struct networks *all, const struct network *n, const struct endpoint *e,
                         struct sf_error **err)
{
    request_t request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentAddInterface body = SANDFERRY__V1__AGENT_ADD_INTERFACE__INIT;
    char port[16], *addresses[NETWORK_ADDRESSES_MAX];
    route_t routes[NETWORK_ROUTES_MAX], *list[NETWORK_ROUTES_MAX];

    snprintf(port, sizeof(port), "nic%u", e->port);
    for (unsigned i = 0; i < e->n_addresses; i++)
        addresses[i] = TEXT(e->addresses[i]);
    for (unsigned i = 0; i < e->n_routes; i++) {
        sandferry__v1__agent_route__init(&routes[i]);
        routes[i].destination = TEXT(e->routes[i].destination);
        routes[i].gateway = TEXT(e->routes[i].gateway);
        routes[i].metric = e->routes[i].metric;
        list[i] = &routes[i];
    }
    body.guest_address = port;
    body.namespace_ = TEXT(n->guest_namespace);
    body.device = TEXT(e->guest_device);
    body.mac_address = TEXT(e->mac_address);
    body.addresses = addresses;
    body.n_addresses = e->n_addresses;
    body.routes = list;
    body.n_routes = e->n_routes;
    body.mtu = e->mtu;
    body.policy_based_routing = n->policy_based_routing;
    request.body_case = BODY(ADD_INTERFACE);
    request.add_interface = &body;
    return ask(all, &request, err);
}

bool guest_remove_interface(struct networks *all, const struct network *n, const struct endpoint *e,
                            struct sf_error **err)
{
    request_t request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentRemoveInterface body = SANDFERRY__V1__AGENT_REMOVE_INTERFACE__INIT;
    char port[16];

    snprintf(port, sizeof(port), "nic%u", e->port);
    body.guest_address = port;
    body.namespace_ = TEXT(n->guest_namespace);
    body.device = TEXT(e->guest_device);
    request.body_case = BODY(REMOVE_INTERFACE);
    request.remove_interface = &body;
    return ask(all, &request, err);
}

bool guest_announce(struct networks *all, struct sf_error **err)
{
    request_t request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentAnnounce body = SANDFERRY__V1__AGENT_ANNOUNCE__INIT;

    request.body_case = BODY(ANNOUNCE);
    request.announce = &body;
    return ask(all, &request, err);
}
