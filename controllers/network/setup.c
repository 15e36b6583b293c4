/* Networks made and taken away. */
#include <stdlib.h>
#include <string.h>

#include "network/network.h"

static void move(struct network *n, enum network_event on)
{
    sf_machine_next(&network_machine, n->state, on, &n->state);
}

static bool give_ports(const struct networks *all, struct network *n, struct sf_error **err)
{
    unsigned taken = networks_ports(all);

    for (unsigned i = 0; i < n->n_endpoints; i++) {
        unsigned port = 0;
        while (port < NETWORK_PORTS && (taken & (1U << port)) != 0)
            port++;
        if (port == NETWORK_PORTS)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                           "a sandbox has %d NICs at most; tear a network down first",
                           NETWORK_PORTS);
        taken |= 1U << port;
        n->endpoints[i].port = port;
    }
    return true;
}

static bool set_up(struct networks *all, const struct network *n, struct sf_error **err)
{
    if (!guest_add_namespace(all, n, err))
        return false;
    for (unsigned i = 0; i < n->n_endpoints; i++) {
        const struct endpoint *e = &n->endpoints[i];
        if (!nic_plug(all, n, e, err) || !guest_add_interface(all, n, e, err))
            return sf_fail_in(err, "NIC '%s'", e->guest_device);
    }
    return true;
}

/* All of it is tried; the first problem is told, the others in its words. */
static void note(struct sf_error **all, struct sf_error *one)
{
    if (*all == NULL) {
        *all = one;
        return;
    }
    sf_fail_in(all, "%s; and", sf_error_message(one));
    sf_error_free(one);
}

static bool take_down(struct networks *all, const struct network *n, struct sf_error **err)
{
    struct sf_error *first = NULL;

    for (unsigned i = 0; i < n->n_endpoints; i++) {
        const struct endpoint *e = &n->endpoints[i];
        struct sf_error *one = NULL;
        if (!guest_remove_interface(all, n, e, &one))
            note(&first, SF_STEAL(one));
        if (!nic_unplug(all, e, &one))
            note(&first, SF_STEAL(one));
    }
    struct sf_error *last = NULL;
    if (!guest_remove_namespace(all, n, &last))
        note(&first, last);
    if (first == NULL)
        return true;
    *err = first;
    return sf_fail_in(err, "network of pod '%s'", n->pod_id);
}

bool network_setup(struct networks *all, struct network *n, struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *left = NULL;

    if (network_find(all, n->pod_id) != NULL)
        sf_fail(err, SF_ALREADY_EXISTS, "pod '%s' has a network already; tear it down first",
                n->pod_id);
    if (*err != NULL || !network_check(n, err) || !give_ports(all, n, err) ||
        !network_add(all, n, err)) {
        free(n);
        return false;
    }
    if (set_up(all, n, err)) {
        move(n, NETWORK_SETUP_DONE);
        sf_sandbox_event(all->base.sandbox, "network.configured", "pod '%s' has a network",
                         n->pod_id);
        return true;
    }
    move(n, NETWORK_SETUP_FAILED);
    sf_fail_in(err, "network of pod '%s'", n->pod_id);
    if (take_down(all, n, &left)) {
        network_drop(all, n);
        return false;
    }
    return sf_fail_in(err, "the rest of it is left over (%s); tear it down",
                      sf_error_message(left));
}

bool network_teardown(struct networks *all, const char *pod_id, struct sf_error **err)
{
    struct network *n = network_find(all, pod_id);

    if (n == NULL)
        return true;
    if (!take_down(all, n, err)) {
        move(n, NETWORK_TEARDOWN_FAILED);
        return false;
    }
    move(n, NETWORK_TEARDOWN_DONE);
    sf_sandbox_event(all->base.sandbox, "network.removed", "the network of pod '%s' is gone",
                     pod_id);
    network_drop(all, n);
    return true;
}
