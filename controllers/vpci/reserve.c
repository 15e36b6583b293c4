/* Reservations: handles on devices. Everything that happens to a device begins or ends here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/limits.h"
#include "vpci/host.h"
#include "vpci/model.h"
#include "vpci/vpci.h"

/* ---- What is asked for ---- */

static bool add_property(struct device_config *config, const struct model *m, const char *property,
                         struct sf_error **err)
{
    size_t size = model_property_name(property);
    if (config->n_properties == VPCI_PROPERTIES_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "a device has at most %d properties",
                       VPCI_PROPERTIES_MAX);
    if (!model_check_property(m, property, err))
        return false;
    for (unsigned i = 0; i < config->n_properties; i++)
        if (strncmp(config->properties[i], property, size + 1) == 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "the property '%.*s' comes twice", (int)size,
                           property);

    unsigned at = config->n_properties++;
    for (; at > 0 && strcmp(config->properties[at - 1], property) > 0; at--)
        memcpy(config->properties[at], config->properties[at - 1], VPCI_PROPERTY_SIZE);
    snprintf(config->properties[at], VPCI_PROPERTY_SIZE, "%s", property);
    return true;
}

static bool model_config(const struct sf_device_request *q, struct device_config *ret,
                         struct sf_error **err)
{
    const struct model *m = model_find(q->model);

    if (m == NULL) {
        SF_CLEANUP(sf_text_done) struct sf_text names = {0};
        model_names(&names);
        sf_fail(err, SF_INVALID_ARGUMENT, "'%.100s' is no model of a device; there are %s",
                q->model, names.data != NULL ? names.data : "others");
        return sf_fail_detail(err, SF_DETAIL_FIELD, "model", "unknown model");
    }
    if (q->virtual_function != 0) {
        sf_fail(err, SF_INVALID_ARGUMENT, "the model '%s' has no virtual functions", m->name);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "virtual_function", "must be 0 for a model");
    }
    snprintf(ret->model, sizeof(ret->model), "%s", m->name);
    for (size_t i = 0; i < q->n_properties; i++)
        if (!add_property(ret, m, q->properties[i], err))
            return false;
    return true;
}

static bool host_config(const struct sf_device_request *q, struct device_config *ret,
                        struct sf_error **err)
{
    if (!host_address_valid(q->host_address)) {
        sf_fail(err, SF_INVALID_ARGUMENT,
                "'%.100s' is no address of a PCI function: give it as 0000:3b:00.0, in lower case",
                q->host_address);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "host_address", "must be dddd:bb:dd.f");
    }
    if (q->virtual_function > SF_VIRTUAL_FUNCTION_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "PCI function '%s' has no virtual function %u",
                q->host_address, q->virtual_function);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "virtual_function", "at most %d",
                              SF_VIRTUAL_FUNCTION_MAX);
    }
    if (q->n_properties > 0) {
        sf_fail(err, SF_INVALID_ARGUMENT, "PCI function '%s': only a model has properties",
                q->host_address);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "properties", "must be empty");
    }
    snprintf(ret->host_address, sizeof(ret->host_address), "%s", q->host_address);
    ret->virtual_function = q->virtual_function;
    return true;
}

bool vpci_config(const struct sf_device_request *q, struct device_config *ret,
                 struct sf_error **err)
{
    bool model = q->model != NULL && q->model[0] != '\0';
    bool host = q->host_address != NULL && q->host_address[0] != '\0';

    *ret = (struct device_config){0};
    if (model == host) {
        sf_fail(err, SF_INVALID_ARGUMENT,
                "a device is either a model or a PCI function of this host: give one of the two");
        return sf_fail_detail(err, SF_DETAIL_FIELD, "model", "must be set if host_address is not");
    }
    return model ? model_config(q, ret, err) : host_config(q, ret, err);
}

/* ---- Reserve ---- */

static struct device *find_function(const struct vpci *v, const struct device_config *config)
{
    for (size_t i = 0; i < v->n_devices; i++)
        if (device_is_of_host(v->devices[i]) &&
            strcmp(v->devices[i]->config.host_address, config->host_address) == 0 &&
            v->devices[i]->config.virtual_function == config->virtual_function)
            return v->devices[i];
    return NULL;
}

/* One function under two names: its own, and that of the one that it is a virtual function of. */
static bool check_alias(const struct vpci *v, const struct device *d, struct sf_error **err)
{
    char name[64];

    for (size_t i = 0; i < v->n_devices; i++)
        if (strcmp(v->devices[i]->function, d->function) == 0)
            return sf_fail(err, SF_ALREADY_EXISTS,
                           "PCI function '%s' is device '%s' (%s) already; ask for it by that name",
                           d->function, v->devices[i]->id, device_name(v->devices[i], name));
    return true;
}

static bool identify(struct vpci *v, struct device *d, struct sf_error **err)
{
    const struct model *m = model_find(d->config.model);

    if (!device_is_of_host(d)) {
        d->travels = m != NULL && m->travels;
        return true;
    }
    return host_find(&d->config, d->function, err) && check_alias(v, d, err);
}

static struct device *new_device(struct vpci *v, const struct device_config *config,
                                 struct sf_error **err)
{
    char id[SF_GUID_SIZE];

    if (!sf_guid_new(id)) {
        sf_fail(err, SF_UNAVAILABLE, "no random numbers for a device id");
        return NULL;
    }
    struct device *d = device_new(id, config);
    if (d == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a device");
    else if (identify(v, d, err) && vpci_add_device(v, d, err))
        return d;
    free(d);
    return NULL;
}

static bool check_shared(const struct vpci *v, const struct device *d, struct sf_error **err)
{
    if (d->state == DEVICE_RESERVED || d->state == DEVICE_READY)
        return true;
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    vpci_describe(v, d, &text);
    return sf_fail(err, SF_FAILED_PRECONDITION,
                   "%s is %s; release what holds it, then add it again",
                   text.data != NULL ? text.data : d->id, device_machine.states[d->state]);
}

/* A model's function is another one each time; the host has only one of each. */
bool vpci_reserve(struct vpci *v, const struct device_config *config, char ret_id[SF_GUID_SIZE],
                  struct sf_error **err)
{
    struct device *d = config->model[0] == '\0' ? find_function(v, config) : NULL;
    char id[SF_GUID_SIZE];

    if (!sf_guid_new(id))
        return sf_fail(err, SF_UNAVAILABLE, "no random numbers for a reservation id");
    if (d != NULL ? !check_shared(v, d, err) : (d = new_device(v, config, err)) == NULL)
        return false;
    if (!vpci_add_reservation(v, id, d->id, err)) {
        if (d->refs == 0)
            vpci_drop_device(v, d);
        return false;
    }
    d->refs++;
    memcpy(ret_id, id, sizeof(id));
    return true;
}

bool vpci_hold(struct vpci *v, const char *id, const char *holder, struct sf_error **err)
{
    struct reservation *r = vpci_find_reservation(v, id);

    if (r == NULL)
        return sf_fail(err, SF_NOT_FOUND, "there is no device reservation '%s'", id);
    snprintf(r->holder, sizeof(r->holder), "%s", holder != NULL ? holder : "");
    return true;
}

/* ---- Map ---- */

static struct device *find_held(const struct vpci *v, const char *id, struct sf_error **err)
{
    const struct reservation *r = vpci_find_reservation(v, id);

    if (r == NULL)
        sf_fail(err, SF_NOT_FOUND, "there is no device reservation '%s'", id);
    return r != NULL ? vpci_find_device(v, r->device) : NULL;
}

/* What fails before QEMU is asked leaves it reserved: the same call may succeed later. */
static bool plug(struct vpci *v, struct device *d, struct sf_error **err)
{
    int port = vpci_free_port(v);

    if (port == VPCI_NO_PORT)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "all %d root ports of the VM are taken; remove a device first", VPCI_PORTS);
    if (device_is_of_host(d) && !host_find(&d->config, d->function, err))
        return false;
    d->port = port;
    bool ok = plug_device(v, d, err);
    device_move(d, ok ? DEVICE_PLUG_DONE : DEVICE_PLUG_FAILED);
    if (!ok && !d->leftover)
        d->port = VPCI_NO_PORT;
    return ok;
}

/* One that the guest may have let go of it is asked for again. */
static bool ensure_found(struct vpci *v, struct device *d, struct sf_error **err)
{
    if (d->away == DEVICE_HERE && d->found.pci_address[0] != '\0')
        return true;
    if (!guest_add(v, d, err))
        return false;
    d->away = DEVICE_HERE;
    vpci_keep_names(v, d);
    return true;
}

bool vpci_map(struct vpci *v, const char *id, const struct device_found **ret,
              struct sf_error **err)
{
    struct device *d = find_held(v, id, err);
    if (d == NULL)
        return false;

    if (d->state == DEVICE_RESERVED && !plug(v, d, err))
        return false;
    if (d->state == DEVICE_ASSIGNED) {
        bool ok = guest_add(v, d, err);
        device_move(d, ok ? DEVICE_GUEST_DONE : DEVICE_GUEST_FAILED);
        if (!ok)
            return false;
        vpci_keep_names(v, d);
    }
    if (!check_shared(v, d, err) || !ensure_found(v, d, err))
        return false;
    *ret = &d->found;
    return true;
}

/* ---- Release ---- */

static bool guest_lets_go(struct vpci *v, struct device *d, struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;

    if (d->state == DEVICE_INVALID) { /* whatever the guest has of it is of no use to anybody */
        guest_remove(v, d, GUEST_FORCE, &ignored);
        return true;
    }
    if (d->state != DEVICE_READY || guest_remove(v, d, GUEST_LET_GO, err))
        return true;
    if (sf_error_code(*err) != SF_FAILED_PRECONDITION)
        d->away = DEVICE_LET_GO; /* it may have, and its answer was lost */
    return false;
}

/* Out of the VM. A failure leaves it where a repeat goes on. */
static bool take_out(struct vpci *v, struct device *d, struct sf_error **err)
{
    if (!device_is_in_vm(d))
        return !d->leftover || unplug_device(v, d, err);
    if (!guest_lets_go(v, d, err))
        return false;
    bool ok = unplug_device(v, d, err);
    device_move(d, ok ? DEVICE_UNPLUG_DONE : DEVICE_UNPLUG_FAILED);
    d->away = DEVICE_HERE; /* from now on its state says it */
    return ok;
}

bool vpci_release(struct vpci *v, const char *id, struct sf_error **err)
{
    struct device *d = find_held(v, id, err);
    if (d == NULL)
        return false;

    if (d->refs == 1 && !take_out(v, d, err))
        return sf_fail_in(err, "release of '%s'", id);
    if (--d->refs == 0)
        vpci_drop_device(v, d);
    vpci_drop_reservation(v, vpci_find_reservation(v, id));
    return true;
}
