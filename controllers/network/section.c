/* The network section: memory to wire and back, believing nothing. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/snapshot.pb-c.h"
#include "network/network.h"
#include "snapshot/wire.h"

/* A stage on the wire is a state in memory, number for number; so is a kind. */
#define STAGE(name) ((int)SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_##name)
#define KIND(name)  ((int)SANDFERRY__V1__NETWORK_ENDPOINT_KIND__NETWORK_ENDPOINT_KIND_##name)
static_assert((int)NETWORK_NOT_CONFIGURED == STAGE(NOT_CONFIGURED), "");
static_assert((int)NETWORK_CONFIGURED == STAGE(CONFIGURED), "");
static_assert((int)NETWORK_INVALID == STAGE(INVALID), "");
static_assert((int)NETWORK_TORN_DOWN == STAGE(TORN_DOWN), "");
static_assert((int)ENDPOINT_TAP == KIND(TAP), "");
static_assert((int)ENDPOINT_BRIDGE == KIND(BRIDGE), "");
static_assert((int)ENDPOINT_SOCKET == KIND(SOCKET), "");
static_assert((int)ENDPOINT_USER == KIND(USER), "");

typedef Sandferry__V1__NetworkSection section_t;
typedef Sandferry__V1__NetworkNamespace namespace_t;
typedef Sandferry__V1__NetworkEndpoint endpoint_t;
typedef Sandferry__V1__NetworkRoute route_t;

static void section_free(section_t *section)
{
    if (section != NULL)
        sandferry__v1__network_section__free_unpacked(section, NULL);
}
SF_DEFINE_CLEANUP(section_t, section_free)

/* ---- To the wire. What is allocated here hangs in the message, which frees it. ---- */

static char *copy(const char *text, bool *ok)
{
    char *copied = text[0] != '\0' ? strdup(text) : (char *)(uintptr_t)protobuf_c_empty_string;

    *ok = *ok && copied != NULL;
    return copied != NULL ? copied : (char *)(uintptr_t)protobuf_c_empty_string;
}

/* @size: of one of @n texts, which follow each other. */
static void copy_list(char ***ret, size_t *ret_n, const char *texts, size_t size, size_t n,
                      bool *ok)
{
    *ret = n > 0 ? calloc(n, sizeof(char *)) : NULL;
    *ok = *ok && (*ret != NULL || n == 0);
    for (; *ok && *ret_n < n; (*ret_n)++)
        (*ret)[*ret_n] = copy(texts + *ret_n * size, ok);
}

static void routes_to_wire(endpoint_t *wire, const struct endpoint *e, bool *ok)
{
    wire->routes = e->n_routes > 0 ? calloc(e->n_routes, sizeof(route_t *)) : NULL;
    *ok = *ok && (wire->routes != NULL || e->n_routes == 0);
    for (; *ok && wire->n_routes < e->n_routes;) {
        const struct route *from = &e->routes[wire->n_routes];
        route_t *r = calloc(1, sizeof(*r));
        *ok = r != NULL;
        if (r == NULL)
            return;
        sandferry__v1__network_route__init(r);
        wire->routes[wire->n_routes++] = r;
        r->destination = copy(from->destination, ok);
        r->gateway = copy(from->gateway, ok);
        r->metric = from->metric;
    }
}

static endpoint_t *endpoint_to_wire(const struct endpoint *e, bool *ok)
{
    endpoint_t *wire = calloc(1, sizeof(*wire));

    *ok = *ok && wire != NULL;
    if (wire == NULL)
        return NULL;
    sandferry__v1__network_endpoint__init(wire);
    wire->nic_id = copy(e->nic_id, ok);
    wire->kind = (Sandferry__V1__NetworkEndpointKind)e->kind;
    wire->port = e->port;
    wire->host_device = copy(e->host_device, ok);
    wire->mac_address = copy(e->mac_address, ok);
    wire->guest_device = copy(e->guest_device, ok);
    wire->mtu = e->mtu;
    copy_list(&wire->addresses, &wire->n_addresses, e->addresses[0], NETWORK_ADDRESS_SIZE,
              e->n_addresses, ok);
    routes_to_wire(wire, e, ok);
    return wire;
}

static int by_nic(const void *a, const void *b)
{
    const endpoint_t *const *x = a, *const *y = b;

    return strcmp((*x)->nic_id, (*y)->nic_id);
}

static namespace_t *namespace_to_wire(const struct network *n, bool *ok)
{
    namespace_t *wire = calloc(1, sizeof(*wire));

    *ok = *ok && wire != NULL;
    if (wire == NULL)
        return NULL;
    sandferry__v1__network_namespace__init(wire);
    wire->pod_id = copy(n->pod_id, ok);
    wire->host_namespace = copy(n->host_namespace, ok);
    wire->guest_namespace = copy(n->guest_namespace, ok);
    wire->stage = (Sandferry__V1__NetworkStage)n->state;
    wire->policy_based_routing = n->policy_based_routing;
    copy_list(&wire->name_servers, &wire->n_name_servers, n->name_servers[0], NETWORK_ADDRESS_SIZE,
              n->n_name_servers, ok);
    copy_list(&wire->search_domains, &wire->n_search_domains, n->search_domains[0],
              NETWORK_WORD_SIZE, n->n_search_domains, ok);
    wire->endpoints = calloc(NETWORK_PORTS, sizeof(endpoint_t *));
    *ok = *ok && wire->endpoints != NULL;
    for (unsigned i = 0; *ok && i < n->n_endpoints; i++) {
        endpoint_t *e = endpoint_to_wire(&n->endpoints[i], ok);
        if (e != NULL)
            wire->endpoints[wire->n_endpoints++] = e;
    }
    if (*ok)
        qsort(wire->endpoints, wire->n_endpoints, sizeof(endpoint_t *), by_nic);
    return wire;
}

bool networks_to_section(const struct networks *all, struct sf_bytes *ret, struct sf_error **err)
{
    SF_CLEANUP(section_freep) section_t *wire = calloc(1, sizeof(*wire));
    bool ok = wire != NULL;

    if (ok) {
        sandferry__v1__network_section__init(wire);
        wire->schema_version = NETWORK_SECTION_VERSION;
        wire->namespaces = calloc(all->n + 1, sizeof(namespace_t *));
        ok = wire->namespaces != NULL;
    }
    for (unsigned i = 0; ok && i < all->n; i++) {
        namespace_t *n = namespace_to_wire(all->list[i], &ok);
        if (n != NULL)
            wire->namespaces[wire->n_namespaces++] = n;
    }
    size_t size = ok ? sandferry__v1__network_section__get_packed_size(wire) : 0;
    uint8_t *data = ok ? malloc(size) : NULL;
    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the section");
    sandferry__v1__network_section__pack(wire, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    return true;
}

/* ---- From the wire ---- */

bool network_put(char *ret, size_t size, const char *text, const char *field, struct sf_error **err)
{
    if (strlen(text) >= size)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%s has %zu bytes; at most %zu", field,
                       strlen(text), size - 1);
    snprintf(ret, size, "%s", text);
    return true;
}

bool endpoint_from_wire(struct endpoint *e, const void *from, struct sf_error **err)
{
    const endpoint_t *wire = from;

    if (wire->n_addresses > NETWORK_ADDRESSES_MAX || wire->n_routes > NETWORK_ROUTES_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "at most %d addresses and %d routes",
                       NETWORK_ADDRESSES_MAX, NETWORK_ROUTES_MAX);
    if (!network_put(e->nic_id, sizeof(e->nic_id), wire->nic_id, "nic_id", err) ||
        !network_put(e->host_device, sizeof(e->host_device), wire->host_device, "host_device",
                     err) ||
        !network_put(e->mac_address, sizeof(e->mac_address), wire->mac_address, "mac_address",
                     err) ||
        !network_put(e->guest_device, sizeof(e->guest_device), wire->guest_device, "guest_device",
                     err))
        return false;
    for (; e->n_addresses < wire->n_addresses; e->n_addresses++)
        if (!network_put(e->addresses[e->n_addresses], NETWORK_ADDRESS_SIZE,
                         wire->addresses[e->n_addresses], "an address", err))
            return false;
    for (; e->n_routes < wire->n_routes; e->n_routes++) {
        struct route *r = &e->routes[e->n_routes];
        const route_t *w = wire->routes[e->n_routes];
        if (!network_put(r->destination, NETWORK_ADDRESS_SIZE, w->destination, "a destination",
                         err) ||
            !network_put(r->gateway, NETWORK_ADDRESS_SIZE, w->gateway, "a gateway", err))
            return false;
        r->metric = w->metric;
    }
    e->kind = (unsigned)wire->kind;
    e->port = wire->port;
    e->mtu = wire->mtu;
    return true;
}

static bool take_endpoints(const struct networks *all, struct network *n, const namespace_t *wire,
                           struct sf_error **err)
{
    unsigned taken = networks_ports(all);

    for (size_t i = 0; i < wire->n_endpoints; i++) {
        struct endpoint *e = &n->endpoints[i];
        if (!endpoint_from_wire(e, wire->endpoints[i], err))
            return sf_fail_in(err, "endpoints[%zu]", i);
        if (!sf_guid_valid(e->nic_id))
            return sf_fail(err, SF_INVALID_ARGUMENT, "nic_id '%s' is not a GUID", e->nic_id);
        if (e->port >= NETWORK_PORTS || (taken & (1U << e->port)) != 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "NIC '%s': port %u is none, or another's",
                           e->nic_id, e->port);
        taken |= 1U << e->port;
        e->slirp = e->kind == ENDPOINT_USER;
        n->n_endpoints++;
    }
    return true;
}

static bool take(const struct networks *all, struct network *n, const namespace_t *wire,
                 struct sf_error **err)
{
    if (wire->n_endpoints > NETWORK_PORTS || wire->n_name_servers > NETWORK_SERVERS_MAX ||
        wire->n_search_domains > NETWORK_DOMAINS_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "too many endpoints, name servers or domains");
    if ((unsigned)wire->stage != NETWORK_CONFIGURED)
        return sf_fail(err, SF_INVALID_ARGUMENT, "stage %d cannot travel", (int)wire->stage);
    if (!sf_id_valid(wire->pod_id) || !sf_id_valid(wire->guest_namespace) ||
        network_find(all, wire->pod_id) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.70s' or '%.70s' is no id, or comes twice",
                       wire->pod_id, wire->guest_namespace);
    n->state = NETWORK_CONFIGURED;
    n->policy_based_routing = wire->policy_based_routing;
    if (!network_put(n->pod_id, SF_ID_SIZE, wire->pod_id, "pod_id", err) ||
        !network_put(n->saved_pod_id, SF_ID_SIZE, wire->pod_id, "pod_id", err) ||
        !network_put(n->guest_namespace, SF_ID_SIZE, wire->guest_namespace, "guest_namespace",
                     err) ||
        !network_put(n->host_namespace, NETWORK_PATH_SIZE, wire->host_namespace, "host_namespace",
                     err))
        return false;
    for (; n->n_name_servers < wire->n_name_servers; n->n_name_servers++)
        if (!network_put(n->name_servers[n->n_name_servers], NETWORK_ADDRESS_SIZE,
                         wire->name_servers[n->n_name_servers], "a name server", err))
            return false;
    for (; n->n_search_domains < wire->n_search_domains; n->n_search_domains++)
        if (!network_put(n->search_domains[n->n_search_domains], NETWORK_WORD_SIZE,
                         wire->search_domains[n->n_search_domains], "a search domain", err))
            return false;
    return take_endpoints(all, n, wire, err) && network_check(n, err);
}

static bool fill(struct networks *all, const section_t *wire, struct sf_error **err)
{
    for (size_t i = 0; i < wire->n_namespaces; i++) {
        struct network *n = calloc(1, sizeof(*n));
        if (n == NULL)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a network");
        if (!take(all, n, wire->namespaces[i], err) || !network_add(all, n, err)) {
            free(n);
            return sf_fail_in(err, "namespaces[%zu]", i);
        }
    }
    return true;
}

bool networks_from_section(struct networks *all, const struct sf_bytes *section,
                           struct sf_error **err)
{
    if (!sf_wire_check(&sandferry__v1__network_section__descriptor, section->data, section->size,
                       &sf_wire_snapshot, err))
        return false;
    SF_CLEANUP(section_freep)
    section_t *wire = sandferry__v1__network_section__unpack(NULL, section->size, section->data);
    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a NetworkSection");
    if (fill(all, wire, err))
        return true;
    networks_empty(all);
    return false;
}
