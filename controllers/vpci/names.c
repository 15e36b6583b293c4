/*
 * What the guest calls a device stays. Its NVMe driver gives a controller the lowest number that is
 * free, and a container has its node by number: a controller that came back as another would not be
 * the container's any more. So they come back in the order of their numbers; and where one is
 * missing, since the device that had it is gone, another stands in for it meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vpci/vpci.h"

/* N of "/dev/nvmeN"; -1: it has no such node. */
static int number_of(const struct device *d)
{
    for (unsigned i = 0; i < d->names.n; i++) {
        char more;
        unsigned number;
        if (sscanf(d->names.nodes[i], "/dev/nvme%4u%c", &number, &more) == 1)
            return (int)number;
    }
    return -1;
}

static void print_names(const struct device_names *names, struct sf_text *out)
{
    for (unsigned i = 0; i < names->n; i++)
        sf_text_add(out, "%s%s", i > 0 ? ", " : "", names->nodes[i]);
    if (names->n == 0)
        sf_text_add(out, "without a node");
}

static bool same_names(const struct device_names *a, const struct device_names *b)
{
    bool same = a->n == b->n;

    for (unsigned i = 0; same && i < a->n; i++)
        same = strcmp(a->nodes[i], b->nodes[i]) == 0;
    return same;
}

void vpci_keep_names(struct vpci *v, struct device *d)
{
    struct device_names now = {.n = d->found.n_nodes};

    memcpy(now.nodes, d->found.nodes, sizeof(now.nodes));
    if (d->names.n > 0 && !same_names(&d->names, &now)) {
        SF_CLEANUP(sf_text_done) struct sf_text text = {0};
        vpci_describe(v, d, &text);
        sf_text_add(&text, " is ");
        print_names(&now, &text);
        sf_text_add(&text, " in the guest now, and was ");
        print_names(&d->names, &text);
        sf_warning("sandbox '%s': %s, continuing", sf_sandbox_id(v->base.sandbox),
                   text.data != NULL ? text.data : d->id);
        sf_sandbox_event(v->base.sandbox, "device.renamed", "%s",
                         text.data != NULL ? text.data : d->id);
    }
    d->names = now;
}

/* ---- the order ---- */

static bool is_away(const struct device *d)
{
    return d->state == DEVICE_READY && !d->travels && d->away != DEVICE_HERE;
}

static bool is_before(const struct device *a, const struct device *b)
{
    int x = number_of(a), y = number_of(b);

    return x != y ? x < y : a->port < b->port;
}

struct device *vpci_next_back(const struct vpci *v)
{
    struct device *next = NULL;

    for (size_t i = 0; i < v->n_devices; i++)
        if (is_away(v->devices[i]) && (next == NULL || is_before(v->devices[i], next)))
            next = v->devices[i];
    return next;
}

/* ---- those that stand in ---- */

static int lowest_number(const struct vpci *v, const struct fillers *fillers)
{
    for (int number = 0;; number++) {
        bool taken = false;
        for (size_t i = 0; i < v->n_devices && !taken; i++)
            taken = v->devices[i]->state == DEVICE_READY && !is_away(v->devices[i]) &&
                    number_of(v->devices[i]) == number;
        for (unsigned i = 0; i < fillers->n && !taken; i++)
            taken = number_of(fillers->list[i]) == number;
        if (!taken)
            return number;
    }
}

static int port_for_filler(const struct vpci *v, const struct fillers *fillers)
{
    for (int port = 0; port < VPCI_PORTS; port++) {
        bool taken = false;
        for (size_t i = 0; i < v->n_devices; i++)
            taken = taken || v->devices[i]->port == port;
        for (unsigned i = 0; i < fillers->n; i++)
            taken = taken || fillers->list[i]->port == port;
        if (!taken)
            return port;
    }
    return VPCI_NO_PORT;
}

static void remove_filler(struct vpci *v, struct device *d)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *deaf = NULL, *first = NULL, *left = NULL;

    guest_remove(v, d, GUEST_FORCE, &deaf);
    if (!unplug_device(v, d, &first) && !unplug_device(v, d, &left))
        sf_warning("sandbox '%s': %s; it stays in the VM, continuing",
                   sf_sandbox_id(v->base.sandbox), sf_error_message(left));
    free(d);
}

static bool add_filler(struct vpci *v, struct fillers *fillers)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct device_config config = {.model = "nvme"};
    int port = port_for_filler(v, fillers);
    char id[SF_GUID_SIZE];
    struct device *d = port != VPCI_NO_PORT && sf_guid_new(id) ? device_new(id, &config) : NULL;

    if (d == NULL)
        return false;
    d->port = port;
    fillers->list[fillers->n++] = d;
    if (!plug_device(v, d, &err) || !guest_add(v, d, &err))
        return false;
    vpci_keep_names(v, d);
    return number_of(d) >= 0;
}

/* Without room for it the device gets another name, and that is told. */
void vpci_fill_up_to(struct vpci *v, struct fillers *fillers, const struct device *d)
{
    while (lowest_number(v, fillers) < number_of(d))
        if (!add_filler(v, fillers))
            return;
}

void vpci_remove_fillers(struct vpci *v, struct fillers *fillers)
{
    while (fillers->n > 0)
        remove_filler(v, fillers->list[--fillers->n]);
}
