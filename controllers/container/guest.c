/* What the agent is asked about containers: the only file here that knows its language. */
#include "container/container.h"

#include "sandferry/v1/agent.pb-c.h"

#define CREATE_MS 60000 /* emulated processors take their time */

static void reply_free(Sandferry__V1__AgentReply *reply)
{
    if (reply != NULL)
        sandferry__v1__agent_reply__free_unpacked(reply, NULL);
}
SF_DEFINE_CLEANUP(Sandferry__V1__AgentReply, reply_free)

static bool ask(struct containers *c, Sandferry__V1__AgentRequest *request,
                Sandferry__V1__AgentReply **ret, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_guest_offer *guest = sf_sandbox_offer(c->base.sandbox, SF_GUEST_OFFER, &owner);
    void *reply = NULL;

    if (guest == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_GUEST_OFFER);
    if (!guest->call(owner, request, CREATE_MS, &reply, err))
        return false;
    *ret = reply;
    return true;
}

bool guest_create(struct containers *c, const struct container *container, bool terminal,
                  int32_t *ret_pid, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentCreateContainer body = SANDFERRY__V1__AGENT_CREATE_CONTAINER__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;
    char *layers[LAYERS_MAX];

    for (size_t i = 0; i < container->n_layers; i++)
        layers[i] = (char *)(uintptr_t)container->layers[i].guest_path;
    body.container_id = (char *)(uintptr_t)container->guest_container_id;
    body.layers = layers;
    body.n_layers = container->n_layers;
    body.scratch = (char *)(uintptr_t)container->scratch.guest_path;
    body.rootfs_path = (char *)(uintptr_t)container->rootfs_path;
    body.spec = container->spec;
    body.terminal = terminal;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_CREATE_CONTAINER;
    request.create_container = &body;
    if (!ask(c, &request, &reply, err))
        return false;
    if (reply->body_case != SANDFERRY__V1__AGENT_REPLY__BODY_CREATE_CONTAINER ||
        reply->create_container->pid <= 0)
        return sf_fail(err, SF_UNAVAILABLE, "the guest names no process");
    *ret_pid = reply->create_container->pid;
    return true;
}

bool guest_start(struct containers *c, const struct container *container, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentStartContainer body = SANDFERRY__V1__AGENT_START_CONTAINER__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;

    body.container_id = (char *)(uintptr_t)container->guest_container_id;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_START_CONTAINER;
    request.start_container = &body;
    return ask(c, &request, &reply, err);
}

bool guest_delete(struct containers *c, const struct container *container, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentDeleteContainer body = SANDFERRY__V1__AGENT_DELETE_CONTAINER__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;

    body.container_id = (char *)(uintptr_t)container->guest_container_id;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_DELETE_CONTAINER;
    request.delete_container = &body;
    return ask(c, &request, &reply, err);
}
