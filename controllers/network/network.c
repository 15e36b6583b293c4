#include "network/network.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static struct networks *networks_of(struct sf_controller *c)
{
    return (struct networks *)c; /* base is the first member */
}

/* ---- What it offers ---- */

static bool offer_namespace(struct sf_controller *owner, const char *pod_id, const char **ret,
                            struct sf_error **err)
{
    const struct network *n = network_find(networks_of(owner), pod_id);

    *ret = n != NULL ? n->guest_namespace : NULL;
    return n == NULL || n->state == NETWORK_CONFIGURED ||
           sf_fail(err, SF_FAILED_PRECONDITION,
                   "the network of pod '%s' is %s; tear it down and set it up again", pod_id,
                   network_machine.states[n->state]);
}

static bool offer_teardown(struct sf_controller *owner, const char *pod_id, struct sf_error **err)
{
    return network_teardown(networks_of(owner), pod_id, err);
}

static void offer_rename(struct sf_controller *owner, const char *pod_id, const char *new_id)
{
    struct network *n = network_find(networks_of(owner), pod_id);

    if (n == NULL)
        return;
    snprintf(n->pod_id, SF_ID_SIZE, "%s", new_id);
    networks_sort(networks_of(owner));
}

static const struct sf_networks_offer networks_offer = {
    .size = sizeof(networks_offer),
    .guest_namespace = offer_namespace,
    .teardown = offer_teardown,
    .rename = offer_rename,
};

static const struct sf_offer offers[] = {{SF_NETWORKS_OFFER, &networks_offer}, {0}};

/* ---- Its life ---- */

/* The taps go with QEMU. */
static void forget(struct sf_controller *c)
{
    networks_empty(networks_of(c));
}

/* What is half there has its end on this host. */
static bool do_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    const struct networks *all = networks_of(c);

    (void)err;
    for (unsigned i = 0; i < all->n; i++)
        if (all->list[i]->state != NETWORK_CONFIGURED)
            sf_reasons_add(why, "the network of pod '%s' is %s; tear it down", all->list[i]->pod_id,
                           network_machine.states[all->list[i]->state]);
    return true;
}

static bool do_save(struct sf_controller *c, struct sf_bytes *ret_section, struct sf_error **err)
{
    return networks_to_section(networks_of(c), ret_section, err);
}

static bool new_macs(struct networks *all, struct sf_error **err)
{
    for (unsigned i = 0; i < all->n; i++)
        for (unsigned k = 0; k < all->list[i]->n_endpoints; k++)
            if (!network_new_mac(all->list[i]->endpoints[k].mac_address))
                return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no random numbers");
    return true;
}

static bool do_import(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                      struct sf_error **err)
{
    (void)version; /* there is one */
    return networks_from_section(networks_of(c), section, err) &&
           (!sf_sandbox_is_clone(c->sandbox) || new_macs(networks_of(c), err));
}

static bool do_patch(struct sf_controller *c, const char *object, const char *value,
                     struct sf_error **err)
{
    return networks_patch(networks_of(c), object, value, err);
}

static bool do_admit(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    return networks_admit(networks_of(c), why, err);
}

/* Before the VM's state is read: the same NIC in the same port. A failure ends the VM, and the taps
 * go with it. */
static bool do_prepare(struct sf_controller *c, struct sf_error **err)
{
    struct networks *all = networks_of(c);

    for (unsigned i = 0; i < all->n; i++)
        for (unsigned k = 0; k < all->list[i]->n_endpoints; k++)
            if (!nic_plug(all, all->list[i], &all->list[i]->endpoints[k], err))
                return sf_fail_in(err, "NIC '%s'", all->list[i]->endpoints[k].nic_id);
    return true;
}

/* A clone's guest has the MACs of the others until now. */
static bool set_macs(struct networks *all, struct sf_error **err)
{
    for (unsigned i = 0; i < all->n; i++)
        for (unsigned k = 0; k < all->list[i]->n_endpoints; k++)
            if (!guest_add_interface(all, all->list[i], &all->list[i]->endpoints[k], err))
                return sf_fail_in(err, "NIC '%s'", all->list[i]->endpoints[k].nic_id);
    return true;
}

/* The guest runs already: a switch that is not told learns from its next frame. */
static void announce(struct networks *all)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *host = NULL, *guest = NULL;

    if (!nic_announce(all, &host))
        sf_warning("sandbox '%s': %s, continuing", sf_sandbox_id(all->base.sandbox),
                   sf_error_message(host));
    if (!guest_announce(all, &guest))
        sf_warning("sandbox '%s': %s, continuing", sf_sandbox_id(all->base.sandbox),
                   sf_error_message(guest));
}

static bool do_resume(struct sf_controller *c, struct sf_error **err)
{
    struct networks *all = networks_of(c);

    if (sf_sandbox_is_clone(c->sandbox) && !set_macs(all, err))
        return false;
    if (all->n > 0)
        announce(all);
    return true;
}

static const char *const depends[] = {"vm", NULL};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "network",
    .instance_size   = sizeof(struct networks),
    .section_version = NETWORK_SECTION_VERSION,
    .section_oldest  = NETWORK_SECTION_VERSION,
    .critical        = true,
    .depends         = depends,
    .services        = network_services,
    .offers          = offers,

    .fini    = forget,
    .destroy = forget,
    .check   = do_check,
    .save    = do_save,
    .import  = do_import,
    .patch   = do_patch,
    .admit   = do_admit,
    .prepare = do_prepare,
    .resume  = do_resume,
    .abandon = forget)
/* clang-format on */
