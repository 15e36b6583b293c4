/* Putting this host's functions in the place of the source's, and whether a VM can have them. */
#include <stdio.h>
#include <string.h>

#include "vpci/host.h"
#include "vpci/vpci.h"

/* By what it was called when it was saved, whatever other patches have said since. */
static struct device *by_address(const struct vpci *v, const char *text)
{
    char address[VPCI_ADDRESS_SIZE];
    unsigned function;

    if (!host_address_parse(text, address, &function))
        return NULL;
    for (size_t i = 0; i < v->n_devices; i++)
        if (strcmp(v->devices[i]->saved_address, address) == 0 &&
            v->devices[i]->saved_virtual_function == function)
            return v->devices[i];
    return NULL;
}

static struct device *find_object(const struct vpci *v, const char *object)
{
    const struct reservation *r = vpci_find_reservation(v, object);
    struct device *d = vpci_find_device(v, r != NULL ? r->device : object);

    return d != NULL ? d : by_address(v, object);
}

bool vpci_patch(struct vpci *v, const char *object, const char *value, struct sf_error **err)
{
    struct device *d = find_object(v, object);
    char name[64];

    if (d == NULL)
        return sf_fail(err, SF_NOT_FOUND,
                       "no device has the id, reservation or host address '%.200s'; see the "
                       "devices of the snapshot",
                       object);
    if (!device_is_of_host(d))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "device '%s' (%s) is QEMU's own; only a function of the host is replaced",
                       d->id, device_name(d, name));
    if (host_address_parse(value, d->config.host_address, &d->config.virtual_function))
        return true;
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "'%.200s' is no address of a PCI function: give it as 0000:3b:00.0, or "
                   "0000:3b:00.0/2 for its virtual function 2",
                   value);
}

/* ---- Admission ---- */

static void admit_device(struct device *d, size_t index, struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_freep) char *field = sf_format("vpci.devices[%zu].host_address", index);

    d->function[0] = '\0';
    if (!host_find(&d->config, d->function, &err)) {
        d->function[0] = '\0';
        sf_reasons_add_field(why, field != NULL ? field : "vpci.devices",
                             "device '%s': %s; or give another one by a patch", d->id,
                             sf_error_message(err));
    }
}

static void admit_names(const struct vpci *v, size_t index, struct sf_reasons *why)
{
    SF_CLEANUP(sf_freep) char *field = sf_format("vpci.devices[%zu].host_address", index);
    const struct device *d = v->devices[index];

    for (size_t i = 0; d->function[0] != '\0' && i < index; i++)
        if (strcmp(v->devices[i]->function, d->function) == 0)
            sf_reasons_add_field(why, field != NULL ? field : "vpci.devices",
                                 "device '%s' is the same function ('%s') as device '%s' on this "
                                 "host; patch one of them",
                                 d->id, d->function, v->devices[i]->id);
}

bool vpci_admit(struct vpci *v, struct sf_reasons *why, struct sf_error **err)
{
    (void)err;
    for (size_t i = 0; i < v->n_devices; i++) {
        if (!device_is_of_host(v->devices[i]))
            continue;
        admit_device(v->devices[i], i, why);
        admit_names(v, i, why);
    }
    return true;
}
