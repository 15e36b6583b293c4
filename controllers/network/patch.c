/* Putting this host's namespaces and devices in the place of the source's. */
#include <stdio.h>
#include <string.h>

#include "network/network.h"

/* "tap:NAME": *@ret_rest is NAME. */
static bool kind_of(const char *value, unsigned *ret, const char **ret_rest)
{
    static const char *const names[ENDPOINT_KINDS] = {"tap:", "bridge:", "fd:", "user"};

    for (unsigned i = 0; i < ENDPOINT_KINDS; i++) {
        size_t size = strlen(names[i]);
        if (strncmp(value, names[i], size) != 0)
            continue;
        *ret = i;
        *ret_rest = value + size;
        return i != ENDPOINT_USER || value[size] == '\0';
    }
    return false;
}

static bool patch_endpoint(struct endpoint *e, const char *value, struct sf_error **err)
{
    struct endpoint wanted = *e;
    const char *rest;

    if (!kind_of(value, &wanted.kind, &rest))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%.200s' is nothing to connect a NIC to: give tap:NAME, bridge:NAME, "
                       "fd:SOCKET or user",
                       value);
    if (e->slirp && wanted.kind != ENDPOINT_USER)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "NIC '%s' was saved with the user network, whose state only that can read",
                       e->nic_id);
    if (!network_put(wanted.host_device, sizeof(wanted.host_device), rest, "the device", err) ||
        !network_device_check(&wanted, err))
        return false;
    *e = wanted;
    return true;
}

static bool patch_pod(struct network *n, const char *value, struct sf_error **err)
{
    return network_namespace_check(value, err) &&
           network_put(n->host_namespace, sizeof(n->host_namespace), value, "the path", err);
}

bool networks_patch(struct networks *all, const char *object, const char *value,
                    struct sf_error **err)
{
    for (unsigned i = 0; i < all->n; i++) {
        struct network *n = all->list[i];
        if (strncmp(object, "pod/", 4) == 0 && strcmp(object + 4, n->saved_pod_id) == 0)
            return patch_pod(n, value, err);
        for (unsigned k = 0; k < n->n_endpoints; k++)
            if (strcmp(n->endpoints[k].nic_id, object) == 0)
                return patch_endpoint(&n->endpoints[k], value, err);
    }
    return sf_fail(err, SF_NOT_FOUND,
                   "the snapshot has no network '%.200s': give pod/ID as the source has it, or the "
                   "id of a NIC",
                   object);
}

static bool same_tap(const struct network *a, const struct endpoint *x, const struct network *b,
                     const struct endpoint *y)
{
    return x->kind == ENDPOINT_TAP && y->kind == ENDPOINT_TAP &&
           strcmp(x->host_device, y->host_device) == 0 &&
           strcmp(a->host_namespace, b->host_namespace) == 0;
}

/* Taps that come before this one. */
static bool comes_twice(const struct networks *all, unsigned i, unsigned k)
{
    const struct endpoint *e = &all->list[i]->endpoints[k];

    for (unsigned a = 0; a <= i; a++)
        for (unsigned b = 0; b < all->list[a]->n_endpoints; b++) {
            if (a == i && b == k)
                return false;
            if (same_tap(all->list[i], e, all->list[a], &all->list[a]->endpoints[b]))
                return true;
        }
    return false;
}

bool networks_admit(struct networks *all, struct sf_reasons *why, struct sf_error **err)
{
    (void)err;
    for (unsigned i = 0; i < all->n; i++) {
        const struct network *n = all->list[i];
        for (unsigned k = 0; k < n->n_endpoints; k++) {
            SF_CLEANUP(sf_error_freep) struct sf_error *one = NULL;
            SF_CLEANUP(sf_freep) char *field = sf_format("network.namespaces[%u].endpoints", i);
            const char *nic = n->endpoints[k].nic_id;
            if (comes_twice(all, i, k))
                sf_reasons_add_field(why, field != NULL ? field : "network",
                                     "NIC '%s': another NIC has its tap; patch one of them", nic);
            else if (!tap_check(n, &n->endpoints[k], &one))
                sf_reasons_add_field(why, field != NULL ? field : "network",
                                     "NIC '%s': %s; or give another by a patch", nic,
                                     sf_error_message(one));
        }
    }
    return true;
}
