/* NetworkService: requests to moves. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/network.pb-c.h"
#include "network/network.h"

extern const uint8_t network_files[];
extern const size_t network_files_size;

typedef Sandferry__V1__NetworkSection section_t;

static struct networks *networks_of(struct sf_controller *c)
{
    return (struct networks *)c; /* base is the first member */
}

/* The books as messages: what the section says, without a snapshot around it. */
static section_t *books(const struct networks *all, struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    if (!networks_to_section(all, &section, err))
        return NULL;

    section_t *wire = sandferry__v1__network_section__unpack(NULL, section.size, section.data);
    if (wire == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return wire;
}

static const char *find_pod(struct networks *all, const char *pod_id, size_t *ret_n,
                            struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_containers_offer *containers =
        sf_sandbox_offer(all->base.sandbox, SF_CONTAINERS_OFFER, &owner);
    const char *guest = containers != NULL ? containers->guest_pod(owner, pod_id, ret_n) : NULL;

    if (guest == NULL)
        sf_fail(err, SF_NOT_FOUND, "there is no pod '%.70s'; create it first", pod_id);
    return guest;
}

/* What the daemon gives. */
static bool complete(struct endpoint *e, unsigned i, struct sf_error **err)
{
    if (e->nic_id[0] != '\0' || e->port != 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "nic_id and port are given by the daemon");
    for (char *c = e->mac_address; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (e->guest_device[0] == '\0')
        snprintf(e->guest_device, sizeof(e->guest_device), "eth%u", i);
    return (sf_guid_new(e->nic_id) &&
            (e->mac_address[0] != '\0' || network_new_mac(e->mac_address))) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no random numbers");
}

/* "eth0" first, the others as they came. */
static void sort_endpoints(struct network *n)
{
    for (unsigned i = 1; i < n->n_endpoints; i++)
        if (strcmp(n->endpoints[i].guest_device, "eth0") == 0) {
            struct endpoint first = n->endpoints[i];
            memmove(&n->endpoints[1], &n->endpoints[0], i * sizeof(first));
            n->endpoints[0] = first;
        }
}

static bool fill(struct network *n, const Sandferry__V1__SetupNetworkRequest *q,
                 struct sf_error **err)
{
    if (q->n_endpoints == 0 || q->n_endpoints > NETWORK_PORTS ||
        q->n_name_servers > NETWORK_SERVERS_MAX || q->n_search_domains > NETWORK_DOMAINS_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "a network has 1 to %d endpoints, at most %d name servers and %d domains",
                       NETWORK_PORTS, NETWORK_SERVERS_MAX, NETWORK_DOMAINS_MAX);
    n->policy_based_routing = q->policy_based_routing;
    if (!network_put(n->pod_id, SF_ID_SIZE, q->pod_id, "pod_id", err) ||
        !network_put(n->saved_pod_id, SF_ID_SIZE, q->pod_id, "pod_id", err) ||
        !network_put(n->host_namespace, NETWORK_PATH_SIZE, q->host_namespace, "host_namespace",
                     err))
        return false;
    for (; n->n_name_servers < q->n_name_servers; n->n_name_servers++)
        if (!network_put(n->name_servers[n->n_name_servers], NETWORK_ADDRESS_SIZE,
                         q->name_servers[n->n_name_servers], "a name server", err))
            return false;
    for (; n->n_search_domains < q->n_search_domains; n->n_search_domains++)
        if (!network_put(n->search_domains[n->n_search_domains], NETWORK_WORD_SIZE,
                         q->search_domains[n->n_search_domains], "a search domain", err))
            return false;
    for (; n->n_endpoints < q->n_endpoints; n->n_endpoints++) {
        struct endpoint *e = &n->endpoints[n->n_endpoints];
        if (!endpoint_from_wire(e, q->endpoints[n->n_endpoints], err) ||
            !complete(e, n->n_endpoints, err))
            return sf_fail_in(err, "endpoints[%u]", n->n_endpoints);
    }
    sort_endpoints(n);
    return true;
}

static bool setup(struct sf_controller *c, struct sf_call *call, const void *request, void *reply,
                  struct sf_error **err)
{
    const Sandferry__V1__SetupNetworkRequest *q = request;
    Sandferry__V1__SetupNetworkResponse *out = reply;
    struct networks *all = networks_of(c);
    size_t containers = 0;
    const char *guest = find_pod(all, q->pod_id, &containers, err);

    (void)call;
    if (guest == NULL)
        return false;
    if (containers > 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "pod '%s' has containers already; a network comes before them", q->pod_id);
    struct network *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a network");
    snprintf(n->guest_namespace, SF_ID_SIZE, "%s", guest);
    if (!fill(n, q, err)) {
        free(n);
        return false;
    }
    section_t *wire = network_setup(all, n, err) ? books(all, err) : NULL;
    if (wire == NULL)
        return false;
    for (size_t i = 0; i < wire->n_namespaces; i++)
        if (strcmp(wire->namespaces[i]->pod_id, q->pod_id) == 0) {
            out->network = wire->namespaces[i];
            wire->namespaces[i] = wire->namespaces[--wire->n_namespaces];
            break;
        }
    sandferry__v1__network_section__free_unpacked(wire, NULL);
    return true;
}

static bool teardown(struct sf_controller *c, struct sf_call *call, const void *request,
                     void *reply, struct sf_error **err)
{
    const Sandferry__V1__TeardownNetworkRequest *q = request;
    size_t containers;

    (void)call;
    (void)reply;
    return find_pod(networks_of(c), q->pod_id, &containers, err) != NULL &&
           network_teardown(networks_of(c), q->pod_id, err);
}

static bool list(struct sf_controller *c, struct sf_call *call, const void *request, void *reply,
                 struct sf_error **err)
{
    Sandferry__V1__ListNetworksResponse *out = reply;
    section_t *wire = books(networks_of(c), err);

    (void)call;
    (void)request;
    if (wire == NULL)
        return false;
    out->networks = SF_STEAL(wire->namespaces);
    out->n_networks = wire->n_namespaces;
    wire->n_namespaces = 0;
    sandferry__v1__network_section__free_unpacked(wire, NULL);
    return true;
}

/* clang-format off */
static const struct sf_method methods[] = {
    /* method             does it    who may       how             */
    { "SetupNetwork",     setup,     SF_OPERATOR,  0               },
    { "TeardownNetwork",  teardown,  SF_OPERATOR,  0               },
    { "ListNetworks",     list,      SF_READER,    SF_METHOD_READS },
    { 0 },
};
/* clang-format on */

struct sf_service network_services[] = {
    {.descriptor = &sandferry__v1__network_service__descriptor,
     .methods = methods,
     .files = network_files},
    {0},
};

/* The linker knows the size of the files, the compiler does not. Runs when the object is opened. */
__attribute__((constructor)) static void set_files_size(void)
{
    network_services[0].files_size = network_files_size;
}
