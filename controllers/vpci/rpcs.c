/* DeviceService: requests to moves. */
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/device.pb-c.h"
#include "vpci/vpci.h"

extern const uint8_t device_files[];
extern const size_t device_files_size;

typedef Sandferry__V1__VpciSection section_t;
typedef Sandferry__V1__AddDeviceResponse added_t;
typedef Sandferry__V1__ListDevicesResponse list_t;
typedef Sandferry__V1__DeviceFound found_t;

static struct vpci *vpci_of(struct sf_controller *c)
{
    return (struct vpci *)c; /* base is the first member */
}

/* The books as messages: what the section says, without a snapshot around it. */
static section_t *books(const struct vpci *v, struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    if (!vpci_to_section(v, &section, err))
        return NULL;

    section_t *wire = sandferry__v1__vpci_section__unpack(NULL, section.size, section.data);
    if (wire == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return wire;
}

/* Takes the device of that id out of the books. */
static Sandferry__V1__VpciDevice *take_device(section_t *wire, const char *id)
{
    for (size_t i = 0; i < wire->n_devices; i++) {
        if (strcmp(wire->devices[i]->id, id) != 0)
            continue;
        Sandferry__V1__VpciDevice *device = wire->devices[i];
        wire->devices[i] = wire->devices[--wire->n_devices];
        return device;
    }
    return NULL;
}

/* Into a message that the daemon frees. */
static bool put_text(char **ret, const char *text)
{
    char *copied = strdup(text);

    if (copied != NULL)
        *ret = copied;
    return copied != NULL;
}

static bool put_nodes(char ***ret_nodes, size_t *ret_n, const struct device_found *found)
{
    char **nodes = found->n_nodes > 0 ? calloc(found->n_nodes, sizeof(char *)) : NULL;
    bool ok = nodes != NULL || found->n_nodes == 0;

    *ret_nodes = nodes;
    for (; ok && *ret_n < found->n_nodes; (*ret_n)++) {
        nodes[*ret_n] = strdup(found->nodes[*ret_n]);
        ok = nodes[*ret_n] != NULL;
    }
    return ok;
}

static bool fill_reply(struct vpci *v, const char *id, const struct device_found *found,
                       added_t *reply, struct sf_error **err)
{
    section_t *wire = books(v, err);
    if (wire == NULL)
        return false;

    reply->device = take_device(wire, vpci_find_reservation(v, id)->device);
    sandferry__v1__vpci_section__free_unpacked(wire, NULL);
    bool ok =
        put_text(&reply->reservation_id, id) && put_text(&reply->pci_address, found->pci_address) &&
        put_text(&reply->driver, found->driver) && put_nodes(&reply->nodes, &reply->n_nodes, found);
    return ok || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
}

static bool add_device(struct sf_controller *c, struct sf_call *call, const void *request,
                       void *reply, struct sf_error **err)
{
    const Sandferry__V1__AddDeviceRequest *q = request;
    struct vpci *v = vpci_of(c);
    struct device_config config;
    const struct device_found *found;
    char id[SF_GUID_SIZE];
    const struct sf_device_request wanted = {
        .host_address = q->host_address,
        .virtual_function = q->virtual_function,
        .model = q->model,
        .properties = (const char *const *)q->properties,
        .n_properties = q->n_properties,
    };

    (void)call;
    if (!vpci_config(&wanted, &config, err) || !vpci_reserve(v, &config, id, err))
        return false;
    if (vpci_map(v, id, &found, err) && fill_reply(v, id, found, reply, err)) {
        sf_sandbox_event(c->sandbox, "device.added", "%s '%s' is at %s in the guest",
                         config.model[0] != '\0' ? "model" : "PCI function",
                         config.model[0] != '\0' ? config.model : config.host_address,
                         found->pci_address);
        return true;
    }
    SF_CLEANUP(sf_error_freep) struct sf_error *left = NULL;
    if (!vpci_release(v, id, &left))
        sf_fail_in(err, "reservation '%s' is left over (%s); remove it with RemoveDevice", id,
                   sf_error_message(left));
    return false;
}

static bool remove_device(struct sf_controller *c, struct sf_call *call, const void *request,
                          void *reply, struct sf_error **err)
{
    const Sandferry__V1__RemoveDeviceRequest *q = request;
    struct vpci *v = vpci_of(c);
    const struct reservation *r = vpci_find_reservation(v, q->reservation_id);

    (void)call;
    (void)reply;
    if (r != NULL && r->holder[0] != '\0')
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "device reservation '%s' belongs to %s; delete that first",
                       q->reservation_id, r->holder);
    if (!vpci_release(v, q->reservation_id, err))
        return false;
    sf_sandbox_event(c->sandbox, "device.removed", "device reservation '%s' is released",
                     q->reservation_id);
    return true;
}

static bool list_holders(const struct vpci *v, list_t *out)
{
    bool ok = (out->holders = calloc(v->n_reservations + 1, sizeof(char *))) != NULL;

    for (size_t i = 0; ok && i < v->n_reservations; i++, out->n_holders += ok)
        ok = put_text(&out->holders[i], v->reservations[i].holder);
    return ok;
}

static bool list_found(const struct vpci *v, list_t *out)
{
    bool ok = (out->found = calloc(v->n_devices + 1, sizeof(found_t *))) != NULL;

    for (size_t i = 0; ok && i < v->n_devices; i++) {
        const struct device_found *found = &v->devices[i]->found;
        found_t *one = calloc(1, sizeof(*one));
        if (one == NULL)
            return false;
        sandferry__v1__device_found__init(one);
        out->found[out->n_found++] = one;
        ok = put_text(&one->pci_address, found->pci_address) &&
             put_text(&one->driver, found->driver) && put_nodes(&one->nodes, &one->n_nodes, found);
    }
    return ok;
}

static bool list_devices(struct sf_controller *c, struct sf_call *call, const void *request,
                         void *reply, struct sf_error **err)
{
    list_t *out = reply;
    const struct vpci *v = vpci_of(c);
    section_t *wire = books(v, err);

    (void)call;
    (void)request;
    if (wire == NULL)
        return false;
    out->devices = wire->devices;
    out->n_devices = wire->n_devices;
    out->reservations = wire->reservations;
    out->n_reservations = wire->n_reservations;
    wire->devices = NULL;
    wire->reservations = NULL;
    wire->n_devices = wire->n_reservations = 0;
    sandferry__v1__vpci_section__free_unpacked(wire, NULL);
    return (list_holders(v, out) && list_found(v, out)) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
}

/* clang-format off */
static const struct sf_method methods[] = {
    /* method           does it         who may       how            */
    { "AddDevice",      add_device,     SF_OPERATOR,  0              },
    { "RemoveDevice",   remove_device,  SF_OPERATOR,  0              },
    { "ListDevices",    list_devices,   SF_READER,    SF_METHOD_READS },
    { 0 },
};
/* clang-format on */

struct sf_service vpci_services[] = {
    {.descriptor = &sandferry__v1__device_service__descriptor,
     .methods = methods,
     .files = device_files},
    {0},
};

/* The linker knows the size of the files, the compiler does not. Runs when the object is opened. */
__attribute__((constructor)) static void set_files_size(void)
{
    vpci_services[0].files_size = device_files_size;
}
