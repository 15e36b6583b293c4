/* The vpci section: memory to wire and back, believing nothing. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/snapshot.pb-c.h"
#include "snapshot/wire.h"
#include "vpci/host.h"
#include "vpci/model.h"
#include "vpci/vpci.h"

/* A stage on the wire is a state in memory, number for number. */
#define STAGE(name) ((int)SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_##name)
static_assert((int)DEVICE_RESERVED == STAGE(RESERVED), "");
static_assert((int)DEVICE_ASSIGNED == STAGE(ASSIGNED), "");
static_assert((int)DEVICE_READY == STAGE(READY), "");
static_assert((int)DEVICE_INVALID == STAGE(ASSIGNED_INVALID), "");
static_assert((int)DEVICE_REMOVED == STAGE(REMOVED), "");

typedef Sandferry__V1__VpciSection section_t;
typedef Sandferry__V1__VpciDevice device_t;
typedef Sandferry__V1__VpciReservation reservation_t;

static void section_free(section_t *section)
{
    if (section != NULL)
        sandferry__v1__vpci_section__free_unpacked(section, NULL);
}
SF_DEFINE_CLEANUP(section_t, section_free)

/* ---- To the wire. What is allocated here hangs in the message, which frees it. ---- */

static char *copy(const char *text, bool *ok)
{
    char *copied = text[0] != '\0' ? strdup(text) : (char *)(uintptr_t)protobuf_c_empty_string;

    *ok = *ok && copied != NULL;
    return copied != NULL ? copied : (char *)(uintptr_t)protobuf_c_empty_string;
}

static device_t *device_to_wire(const struct device *d, bool *ok)
{
    device_t *wire = calloc(1, sizeof(*wire));
    char port[16] = "";

    if (wire == NULL) {
        *ok = false;
        return NULL;
    }
    sandferry__v1__vpci_device__init(wire);
    if (device_is_in_vm(d))
        snprintf(port, sizeof(port), "port%d", d->port);
    wire->id = copy(d->id, ok);
    wire->host_address = copy(d->config.host_address, ok);
    wire->virtual_function = d->config.virtual_function;
    wire->model = copy(d->config.model, ok);
    wire->stage = (Sandferry__V1__VpciDeviceStage)d->state;
    wire->refs = d->refs;
    wire->guest_address = copy(port, ok);
    wire->travels = d->travels;
    unsigned n = d->config.n_properties;
    wire->properties = n > 0 ? calloc(n, sizeof(char *)) : NULL;
    *ok = *ok && (wire->properties != NULL || n == 0);
    for (; *ok && wire->n_properties < n; wire->n_properties++)
        wire->properties[wire->n_properties] = copy(d->config.properties[wire->n_properties], ok);
    n = d->state == DEVICE_READY ? d->names.n : 0;
    wire->nodes = n > 0 ? calloc(n, sizeof(char *)) : NULL;
    *ok = *ok && (wire->nodes != NULL || n == 0);
    for (; *ok && wire->n_nodes < n; wire->n_nodes++)
        wire->nodes[wire->n_nodes] = copy(d->names.nodes[wire->n_nodes], ok);
    return wire;
}

static bool devices_to_wire(const struct vpci *v, section_t *wire)
{
    bool ok = (wire->devices = calloc(v->n_devices + 1, sizeof(device_t *))) != NULL;

    for (size_t i = 0; ok && i < v->n_devices; i++) {
        device_t *d = device_to_wire(v->devices[i], &ok);
        if (d != NULL)
            wire->devices[wire->n_devices++] = d;
    }
    return ok;
}

static bool reservations_to_wire(const struct vpci *v, section_t *wire)
{
    bool ok = (wire->reservations = calloc(v->n_reservations + 1, sizeof(reservation_t *))) != NULL;

    for (size_t i = 0; ok && i < v->n_reservations; i++) {
        reservation_t *r = calloc(1, sizeof(*r));
        if (r == NULL)
            return false;
        sandferry__v1__vpci_reservation__init(r);
        wire->reservations[wire->n_reservations++] = r;
        r->id = copy(v->reservations[i].id, &ok);
        r->device = copy(v->reservations[i].device, &ok);
    }
    return ok;
}

bool vpci_to_section(const struct vpci *v, struct sf_bytes *ret, struct sf_error **err)
{
    SF_CLEANUP(section_freep) section_t *wire = calloc(1, sizeof(*wire));
    if (wire == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the section");
    sandferry__v1__vpci_section__init(wire);
    wire->schema_version = VPCI_SECTION_VERSION;
    if (!devices_to_wire(v, wire) || !reservations_to_wire(v, wire))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the section");

    size_t size = sandferry__v1__vpci_section__get_packed_size(wire);
    uint8_t *data = malloc(size);
    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a section of %zu bytes", size);
    sandferry__v1__vpci_section__pack(wire, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    return true;
}

/* ---- From the wire ---- */

static bool config_from_wire(struct device_config *ret, const device_t *wire, struct sf_error **err)
{
    const struct sf_device_request request = {
        .host_address = wire->host_address,
        .virtual_function = wire->virtual_function,
        .model = wire->model,
        .properties = (const char *const *)wire->properties,
        .n_properties = wire->n_properties,
    };

    if (!vpci_config(&request, ret, err))
        return false;
    for (size_t i = 1; i < wire->n_properties; i++)
        if (strcmp(wire->properties[i - 1], wire->properties[i]) >= 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "properties are not sorted");
    return true;
}

static bool port_from_wire(const struct vpci *v, const device_t *wire, int *ret,
                           struct sf_error **err)
{
    const char *text = wire->guest_address;
    bool good = strlen(text) == 5 && strncmp(text, "port", 4) == 0 && text[4] >= '0' &&
                text[4] < '0' + VPCI_PORTS;

    *ret = VPCI_NO_PORT;
    if ((unsigned)wire->stage == DEVICE_RESERVED && text[0] == '\0')
        return true;
    if ((unsigned)wire->stage == DEVICE_RESERVED || !good)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.40s' is no root port for it", text);
    *ret = text[4] - '0';
    for (size_t i = 0; i < v->n_devices; i++)
        if (v->devices[i]->port == *ret)
            return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' has another device already", text);
    return true;
}

static bool check_device(const struct vpci *v, const device_t *wire,
                         const struct device_config *config, struct sf_error **err)
{
    const struct model *m = model_find(config->model);

    if (!sf_guid_valid(wire->id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%.40s' is not a GUID", wire->id);
    if (vpci_find_device(v, wire->id) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%s' comes twice", wire->id);
    if ((unsigned)wire->stage != DEVICE_RESERVED && (unsigned)wire->stage != DEVICE_READY)
        return sf_fail(err, SF_INVALID_ARGUMENT, "stage %d cannot travel", (int)wire->stage);
    if (wire->refs == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "nobody holds it");
    if (wire->travels && (m == NULL || !m->travels))
        return sf_fail(err, SF_INVALID_ARGUMENT, "its state cannot have travelled");
    for (size_t i = 0; config->host_address[0] != '\0' && i < v->n_devices; i++)
        if (strcmp(v->devices[i]->config.host_address, config->host_address) == 0 &&
            v->devices[i]->config.virtual_function == config->virtual_function)
            return sf_fail(err, SF_INVALID_ARGUMENT, "PCI function '%s' comes twice",
                           config->host_address);
    return true;
}

static bool names_from_wire(struct device_names *ret, const device_t *wire, struct sf_error **err)
{
    bool good = wire->n_nodes <= VPCI_NODES_MAX &&
                (wire->n_nodes == 0 || (unsigned)wire->stage == DEVICE_READY);

    for (size_t i = 0; good && i < wire->n_nodes; i++) {
        good = device_node_valid(wire->nodes[i]) &&
               (i == 0 || strcmp(wire->nodes[i - 1], wire->nodes[i]) < 0);
        snprintf(ret->nodes[i], VPCI_NODE_SIZE, "%s", good ? wire->nodes[i] : "");
    }
    ret->n = good ? (unsigned)wire->n_nodes : 0;
    return good || sf_fail(err, SF_INVALID_ARGUMENT, "nodes: no names of device nodes, sorted");
}

static bool device_from_wire(struct vpci *v, const device_t *wire, struct sf_error **err)
{
    struct device_names names;
    struct device_config config;
    int port;

    if (!config_from_wire(&config, wire, err) || !check_device(v, wire, &config, err) ||
        !port_from_wire(v, wire, &port, err) || !names_from_wire(&names, wire, err))
        return false;
    struct device *d = device_new(wire->id, &config);
    if (d == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a device");
    if (!vpci_add_device(v, d, err)) {
        free(d);
        return false;
    }
    d->state = (unsigned)wire->stage;
    d->refs = wire->refs;
    d->port = port;
    d->names = names;
    d->travels = wire->travels;
    if (d->state == DEVICE_READY && !d->travels)
        d->away = DEVICE_OUT;
    memcpy(d->saved_address, config.host_address, sizeof(d->saved_address));
    d->saved_virtual_function = config.virtual_function;
    return true;
}

static bool reservation_from_wire(struct vpci *v, const reservation_t *wire, struct sf_error **err)
{
    if (!sf_guid_valid(wire->id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%.40s' is not a GUID", wire->id);
    if (vpci_find_reservation(v, wire->id) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%s' comes twice", wire->id);
    if (vpci_find_device(v, wire->device) == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' holds device '%.40s', which is not there",
                       wire->id, wire->device);
    return vpci_add_reservation(v, wire->id, wire->device, err);
}

/* Every device has as many refs as reservations hold it. */
static bool check_refs(const struct vpci *v, struct sf_error **err)
{
    for (size_t i = 0; i < v->n_devices; i++) {
        uint32_t held = 0;
        for (size_t k = 0; k < v->n_reservations; k++)
            held += strcmp(v->reservations[k].device, v->devices[i]->id) == 0;
        if (held != v->devices[i]->refs)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "device '%s' says %u refs, and %u reservations hold it",
                           v->devices[i]->id, v->devices[i]->refs, held);
    }
    return true;
}

static bool fill(struct vpci *v, const section_t *wire, struct sf_error **err)
{
    for (size_t i = 0; i < wire->n_devices; i++)
        if (!device_from_wire(v, wire->devices[i], err))
            return sf_fail_in(err, "devices[%zu]", i);
    for (size_t i = 0; i < wire->n_reservations; i++)
        if (!reservation_from_wire(v, wire->reservations[i], err))
            return sf_fail_in(err, "reservations[%zu]", i);
    return check_refs(v, err);
}

bool vpci_from_section(struct vpci *v, const struct sf_bytes *section, struct sf_error **err)
{
    if (!sf_wire_check(&sandferry__v1__vpci_section__descriptor, section->data, section->size,
                       &sf_wire_snapshot, err))
        return false;
    SF_CLEANUP(section_freep)
    section_t *wire = sandferry__v1__vpci_section__unpack(NULL, section->size, section->data);
    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a VpciSection");
    if (fill(v, wire, err))
        return true;
    vpci_empty(v);
    return false;
}
