/* The network service. */

#include <stdlib.h>

#include "result.h"
#include "sandferry/v1/network.pb-c.h"

#define METHOD(name) "/sandferry.v1.NetworkService/" name

/* ---- requests ---- */

/* The endpoints of a request, pointed at by an array of pointers; they borrow from the specs. */
struct wire_nic {
    Sandferry__V1__NetworkEndpoint endpoint;
    Sandferry__V1__NetworkRoute *routes, **route_pointers;
};

struct wire_nics {
    size_t n;
    struct wire_nic *nics;
    Sandferry__V1__NetworkEndpoint **all;
};

static void wire_nics_done(struct wire_nics *w)
{
    for (size_t i = 0; w->nics != NULL && i < w->n; i++) {
        free(w->nics[i].routes);
        free(w->nics[i].route_pointers);
    }
    free(w->nics);
    free(w->all);
}

static bool routes_make(struct wire_nic *ret, const struct sandferry_nic_spec *s,
                        struct sf_error **err)
{
    ret->routes = calloc(s->n_routes + 1, sizeof(*ret->routes));
    ret->route_pointers = calloc(s->n_routes + 1, sizeof(*ret->route_pointers));
    if (ret->routes == NULL || ret->route_pointers == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < s->n_routes; i++) {
        Sandferry__V1__NetworkRoute *r = ret->route_pointers[i] = &ret->routes[i];
        sandferry__v1__network_route__init(r);
        r->destination = wire_text(s->routes[i].destination);
        r->gateway = wire_text(s->routes[i].gateway);
        r->metric = s->routes[i].metric;
    }
    ret->endpoint.n_routes = s->n_routes;
    ret->endpoint.routes = ret->route_pointers;
    return true;
}

static bool nic_make(struct wire_nic *ret, const struct sandferry_nic_spec *spec,
                     struct sf_error **err)
{
    struct sandferry_nic_spec s;

    if (!OPTIONS_TAKE(&s, spec, err))
        return sf_fail_in(err, "NIC");
    sandferry__v1__network_endpoint__init(&ret->endpoint);
    ret->endpoint.kind = (Sandferry__V1__NetworkEndpointKind)s.kind;
    ret->endpoint.host_device = wire_text(s.host_device);
    ret->endpoint.mac_address = wire_text(s.mac_address);
    ret->endpoint.guest_device = wire_text(s.guest_device);
    ret->endpoint.n_addresses = s.n_addresses;
    ret->endpoint.addresses = wire_texts(s.addresses);
    ret->endpoint.mtu = s.mtu;
    return routes_make(ret, &s, err);
}

static bool wire_nics_make(struct wire_nics *ret, const struct sandferry_network_options *o,
                           struct sf_error **err)
{
    ret->nics = calloc(o->n_nics + 1, sizeof(*ret->nics));
    ret->all = calloc(o->n_nics + 1, sizeof(*ret->all));
    if (ret->nics == NULL || ret->all == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    for (ret->n = 0; ret->n < o->n_nics;) {
        struct wire_nic *nic = &ret->nics[ret->n];
        ret->all[ret->n++] = &nic->endpoint;
        if (!nic_make(nic, o->nics[ret->n - 1], err))
            return false;
    }
    return true;
}

/* ---- answers ---- */

static const struct sandferry_route *routes_from(void *outermost,
                                                 const Sandferry__V1__NetworkEndpoint *wire)
{
    struct sandferry_route *routes = result_array(outermost, wire->n_routes, sizeof(*routes));
    for (size_t i = 0; routes != NULL && i < wire->n_routes; i++)
        routes[i] = (struct sandferry_route){
            .destination = wire->routes[i]->destination,
            .gateway = wire->routes[i]->gateway,
            .metric = wire->routes[i]->metric,
        };
    return routes;
}

static void nic_from(void *outermost, struct sandferry_nic *n,
                     const Sandferry__V1__NetworkEndpoint *wire)
{
    *n = (struct sandferry_nic){
        .id = wire->nic_id,
        .kind = (enum sandferry_nic_kind)wire->kind,
        .host_device = wire->host_device,
        .mac_address = wire->mac_address,
        .guest_device = wire->guest_device,
        .n_addresses = wire->n_addresses,
        .addresses = (const char *const *)wire->addresses,
        .n_routes = wire->n_routes,
        .routes = routes_from(outermost, wire),
        .mtu = wire->mtu,
        .port = wire->port,
    };
}

static const struct sandferry_nic *const *nics_from(void *outermost,
                                                    const Sandferry__V1__NetworkNamespace *wire)
{
    const struct sandferry_nic **all = result_array(outermost, wire->n_endpoints, sizeof(*all));
    for (size_t i = 0; all != NULL && i < wire->n_endpoints; i++) {
        struct sandferry_nic *n = result_within(outermost, sizeof(*n), &wire->endpoints[i]->base);
        if (n == NULL)
            break;
        nic_from(outermost, n, wire->endpoints[i]);
        all[i] = n;
    }
    return all;
}

static void network_from(void *outermost, struct sandferry_network *n,
                         const Sandferry__V1__NetworkNamespace *wire)
{
    *n = (struct sandferry_network){
        .pod_id = wire->pod_id,
        .host_namespace = wire->host_namespace,
        .guest_namespace = wire->guest_namespace,
        .stage = (enum sandferry_network_stage)wire->stage,
        .n_nics = wire->n_endpoints,
        .nics = nics_from(outermost, wire),
        .n_name_servers = wire->n_name_servers,
        .n_search_domains = wire->n_search_domains,
        .name_servers = (const char *const *)wire->name_servers,
        .search_domains = (const char *const *)wire->search_domains,
        .policy_based_routing = wire->policy_based_routing,
    };
}

static bool give_network(ProtobufCMessage *reply, struct sandferry_network **ret,
                         struct sf_error **err)
{
    const Sandferry__V1__NetworkNamespace *wire =
        ((const Sandferry__V1__SetupNetworkResponse *)reply)->network;
    if (wire == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no network in it");
    }
    struct sandferry_network *n = result_new(sizeof(*n), reply, &wire->base, err);
    if (n == NULL)
        return false;
    network_from(n, n, wire);
    return RESULT_GIVE(n, ret, err);
}

static bool give_networks(ProtobufCMessage *reply, struct sandferry_networks **ret,
                          struct sf_error **err)
{
    const Sandferry__V1__ListNetworksResponse *wire =
        (const Sandferry__V1__ListNetworksResponse *)reply;
    struct sandferry_networks *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_network **all = result_array(list, wire->n_networks, sizeof(*all));
    for (size_t i = 0; all != NULL && i < wire->n_networks; i++) {
        struct sandferry_network *n = result_within(list, sizeof(*n), &wire->networks[i]->base);
        if (n == NULL)
            break;
        network_from(list, n, wire->networks[i]);
        all[i] = n;
    }
    *list = (struct sandferry_networks){wire->n_networks, all};
    return RESULT_GIVE(list, ret, err);
}

/* ---- calls ---- */

PUBLIC bool sandferry_network_setup(struct sandferry *client, const char *sandbox, const char *pod,
                                    const struct sandferry_network_options *options,
                                    struct sandferry_network **ret, struct sf_error **err)
{
    struct sandferry_network_options o;
    SF_CLEANUP(wire_nics_done) struct wire_nics nics = {0};
    Sandferry__V1__SetupNetworkRequest request = SANDFERRY__V1__SETUP_NETWORK_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err) || !wire_nics_make(&nics, &o, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.pod_id = wire_text(pod);
    request.host_namespace = wire_text(o.host_namespace);
    request.n_endpoints = nics.n;
    request.endpoints = nics.all;
    request.n_name_servers = o.n_name_servers;
    request.name_servers = wire_texts(o.name_servers);
    request.n_search_domains = o.n_search_domains;
    request.search_domains = wire_texts(o.search_domains);
    request.policy_based_routing = o.policy_based_routing;
    return invoke(client, METHOD("SetupNetwork"), &request.base,
                  &sandferry__v1__setup_network_response__descriptor, o.timeout_ms, &reply, err) &&
           give_network(reply, ret, err);
}

PUBLIC bool sandferry_network_teardown(struct sandferry *client, const char *sandbox,
                                       const char *pod,
                                       const struct sandferry_call_options *options,
                                       struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__TeardownNetworkRequest request = SANDFERRY__V1__TEARDOWN_NETWORK_REQUEST__INIT;

    request.sandbox_id = wire_text(sandbox);
    request.pod_id = wire_text(pod);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("TeardownNetwork"), &request.base,
                  &sandferry__v1__teardown_network_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_network_list(struct sandferry *client, const char *sandbox,
                                   const struct sandferry_call_options *options,
                                   struct sandferry_networks **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListNetworksRequest request = SANDFERRY__V1__LIST_NETWORKS_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListNetworks"), &request.base,
                  &sandferry__v1__list_networks_response__descriptor, o.timeout_ms, &reply, err) &&
           give_networks(reply, ret, err);
}

/* ---- results ---- */

PUBLIC void sandferry_network_free(struct sandferry_network *result)
{
    result_free(result);
}

PUBLIC void sandferry_networks_free(struct sandferry_networks *result)
{
    result_free(result);
}

PUBLIC char *sandferry_network_json(const struct sandferry_network *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_networks_json(const struct sandferry_networks *result)
{
    return result_json(result, JSON_INDENT(2));
}
