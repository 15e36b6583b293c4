/* The device in the VM: what QEMU is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "vpci/model.h"
#include "vpci/vpci.h"

#define REMOVE_MS   10000
#define SERIAL_SIZE 21

static const struct sf_machine_offer *machine_of(struct vpci *v, struct sf_controller **ret_owner,
                                                 struct sf_error **err)
{
    const struct sf_machine_offer *machine =
        sf_sandbox_offer(v->base.sandbox, SF_MACHINE_OFFER, ret_owner);

    if (machine == NULL)
        sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_MACHINE_OFFER);
    return machine;
}

/* Takes @arguments over. */
static bool execute(struct vpci *v, const char *command, json_t *arguments, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *machine = machine_of(v, &owner, err);
    char *text = arguments != NULL ? json_dumps(arguments, JSON_COMPACT) : NULL;
    bool ok =
        machine != NULL &&
        (text != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for '%s'", command)) &&
        machine->execute(owner, command, text, NULL, err);

    json_decref(arguments);
    free(text);
    return ok;
}

/* One device a port, so the port's number names it, here and at the destination. */
static void qemu_id(const struct device *d, char ret[16])
{
    snprintf(ret, 16, "vpci-%d", d->port);
}

/* An NVMe controller without a serial is refused: it gets one that moves with it. */
static void add_serial(json_t *arguments, const struct device *d)
{
    char serial[SERIAL_SIZE];
    size_t n = 0;

    for (const char *c = d->id; *c != '\0' && n < SERIAL_SIZE - 1; c++)
        if (*c != '-')
            serial[n++] = *c;
    serial[n] = '\0';
    json_object_set_new(arguments, "serial", json_string(serial));
}

static void add_properties(json_t *arguments, const struct device *d)
{
    const struct model *m = model_find(d->config.model);

    if (strcmp(d->config.model, "nvme") == 0)
        add_serial(arguments, d);
    for (unsigned i = 0; i < d->config.n_properties; i++) {
        const char *property = d->config.properties[i];
        size_t size = model_property_name(property);
        char name[VPCI_PROPERTY_SIZE];
        snprintf(name, sizeof(name), "%.*s", (int)size, property);
        const char *value = property + size + 1;
        json_object_set_new(arguments, name,
                            model_property_is_number(m, property)
                                ? json_integer((json_int_t)strtoull(value, NULL, 10))
                                : json_string(value));
    }
}

static json_t *arguments_of(const struct device *d)
{
    bool host = device_is_of_host(d);
    char id[16], bus[16];

    qemu_id(d, id);
    snprintf(bus, sizeof(bus), "port%d", d->port);
    json_t *arguments = json_pack("{s:s, s:s, s:s}", "driver", host ? "vfio-pci" : d->config.model,
                                  "id", id, "bus", bus);
    if (arguments == NULL)
        return NULL;
    if (host)
        json_object_set_new(arguments, "host", json_string(d->function));
    else
        add_properties(arguments, d);
    return arguments;
}

bool plug_device(struct vpci *v, struct device *d, struct sf_error **err)
{
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};

    if (execute(v, "device_add", arguments_of(d), err)) {
        d->leftover = false;
        return true;
    }
    vpci_describe(v, d, &text);
    sf_fail_in(err, "%s", text.data != NULL ? text.data : d->id);
    /* An answer may have been lost: QEMU is asked for it. What stays is taken out by the release,
     * and the port is not given away before. */
    SF_CLEANUP(sf_error_freep) struct sf_error *left = NULL;
    d->leftover = true;
    unplug_device(v, d, &left);
    return false;
}

bool unplug_device(struct vpci *v, struct device *d, struct sf_error **err)
{
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    struct sf_controller *owner;
    const struct sf_machine_offer *machine = machine_of(v, &owner, err);
    char id[16];

    qemu_id(d, id);
    if (machine != NULL && machine->remove_device(owner, id, REMOVE_MS, err)) {
        d->leftover = false;
        d->found = (struct device_found){0};
        return true;
    }
    vpci_describe(v, d, &text);
    return sf_fail_in(err, "%s", text.data != NULL ? text.data : d->id);
}

bool plug_is_known(struct vpci *v, const struct device *d, struct sf_error **err)
{
    const char *type = device_is_of_host(d) ? "vfio-pci" : d->config.model;

    return execute(v, "device-list-properties", json_pack("{s:s}", "typename", type), err) ||
           sf_fail_in(err, "device '%s': this host's QEMU has no '%s'", d->id, type);
}
