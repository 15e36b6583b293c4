/* What the agent is asked about shares: the only file here that knows its language. */
#include "plan9/plan9.h"

#include "sandferry/v1/agent.pb-c.h"

static bool ask(struct plan9 *p, const struct share *sh, Sandferry__V1__AgentRequest *request,
                struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_guest_offer *guest = sf_sandbox_offer(p->base.sandbox, SF_GUEST_OFFER, &owner);

    if (guest == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_GUEST_OFFER);
    return guest->call(owner, request, 0, NULL, err) ||
           sf_fail_in(err, "share '%s' ('%s')", sh->name, sh->config.path);
}

static char *path_of(const struct share *sh)
{
    return (char *)(uintptr_t)sh->guest_path;
}

bool guest_mount(struct plan9 *p, const struct share *sh, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentMountShare body = SANDFERRY__V1__AGENT_MOUNT_SHARE__INIT;

    body.share = sh->number;
    body.guest_path = path_of(sh);
    body.read_only = sh->config.read_only;
    body.msize = PLAN9_MSIZE;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_MOUNT_SHARE;
    request.mount_share = &body;
    return ask(p, sh, &request, err);
}

bool guest_unmount(struct plan9 *p, const struct share *sh, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentUnmountShare body = SANDFERRY__V1__AGENT_UNMOUNT_SHARE__INIT;

    body.share = sh->number;
    body.guest_path = path_of(sh);
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_UNMOUNT_SHARE;
    request.unmount_share = &body;
    return ask(p, sh, &request, err);
}
