/* What the agent is asked about devices: the only file here that knows its language. */
#include <stdio.h>
#include <string.h>

#include "sandferry/v1/agent.pb-c.h"
#include "vpci/host.h"
#include "vpci/vpci.h"

#define ADD_MS    30000 /* the agent itself waits 10 s */
#define REMOVE_MS 10000

typedef Sandferry__V1__AgentAddDeviceReply found_t;

static void reply_free(Sandferry__V1__AgentReply *reply)
{
    if (reply != NULL)
        sandferry__v1__agent_reply__free_unpacked(reply, NULL);
}
SF_DEFINE_CLEANUP(Sandferry__V1__AgentReply, reply_free)

static bool ask(struct vpci *v, const struct device *d, Sandferry__V1__AgentRequest *request,
                uint32_t timeout_ms, Sandferry__V1__AgentReply **ret, struct sf_error **err)
{
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    struct sf_controller *owner;
    const struct sf_guest_offer *guest = sf_sandbox_offer(v->base.sandbox, SF_GUEST_OFFER, &owner);
    void *reply = NULL;

    if (guest == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_GUEST_OFFER);
    if (guest->call(owner, request, timeout_ms, &reply, err)) {
        *ret = reply;
        return true;
    }
    vpci_describe(v, d, &text);
    return sf_fail_in(err, "%s", text.data != NULL ? text.data : d->id);
}

static bool is_driver(const char *text)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return strlen(text) < VPCI_DRIVER_SIZE && strspn(text, good) == strlen(text);
}

/* The guest is not believed: what it says ends in specs of containers. */
static bool take_found(struct device_found *ret, const found_t *said)
{
    bool good = host_address_valid(said->pci_address) && is_driver(said->driver) &&
                said->n_nodes <= VPCI_NODES_MAX && said->n_numbers == said->n_nodes;

    *ret = (struct device_found){0};
    for (size_t i = 0; good && i < said->n_nodes; i++)
        good = device_node_valid(said->nodes[i]) &&
               (i == 0 || strcmp(said->nodes[i - 1], said->nodes[i]) < 0);
    if (!good)
        return false;
    snprintf(ret->pci_address, sizeof(ret->pci_address), "%s", said->pci_address);
    snprintf(ret->driver, sizeof(ret->driver), "%s", said->driver);
    for (; ret->n_nodes < said->n_nodes; ret->n_nodes++) {
        char *node = ret->nodes[ret->n_nodes];
        snprintf(node, VPCI_NODE_SIZE, "%s", said->nodes[ret->n_nodes]);
        ret->node_list[ret->n_nodes] = node;
        const Sandferry__V1__AgentDeviceNumber *number = said->numbers[ret->n_nodes];
        ret->numbers[ret->n_nodes] =
            (struct sf_device_number){number->block, number->major, number->minor};
    }
    return true;
}

bool guest_add(struct vpci *v, struct device *d, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentAddDevice body = SANDFERRY__V1__AGENT_ADD_DEVICE__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;
    char port[16];

    snprintf(port, sizeof(port), "port%d", d->port);
    body.guest_address = port;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_ADD_DEVICE;
    request.add_device = &body;
    if (!ask(v, d, &request, ADD_MS, &reply, err))
        return false;
    if (reply->body_case == SANDFERRY__V1__AGENT_REPLY__BODY_ADD_DEVICE &&
        take_found(&d->found, reply->add_device))
        return true;
    return sf_fail(err, SF_UNAVAILABLE, "the guest does not say what it has of device '%s'", d->id);
}

bool guest_remove(struct vpci *v, struct device *d, enum guest_remove how, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentRemoveDevice body = SANDFERRY__V1__AGENT_REMOVE_DEVICE__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;
    char port[16];

    snprintf(port, sizeof(port), "port%d", d->port);
    body.guest_address = port;
    body.force = how == GUEST_FORCE;
    body.only_ask = how == GUEST_ONLY_ASK;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_REMOVE_DEVICE;
    request.remove_device = &body;
    return ask(v, d, &request, REMOVE_MS, &reply, err);
}
