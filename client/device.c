/* The device service. */

#include "result.h"
#include "wire_specs.h"

#define METHOD(name) "/sandferry.v1.DeviceService/" name

bool wire_device_make(Sandferry__V1__AddDeviceRequest *ret, const char *sandbox,
                      const struct sandferry_device_spec *spec, struct sf_error **err)
{
    struct sandferry_device_spec s;
    if (!OPTIONS_TAKE(&s, spec, err))
        return sf_fail_in(err, "device");

    sandferry__v1__add_device_request__init(ret);
    ret->sandbox_id = wire_text(sandbox);
    ret->host_address = wire_text(s.host_address);
    ret->virtual_function = s.virtual_function;
    ret->model = wire_text(s.model);
    ret->n_properties = s.n_properties;
    ret->properties = wire_texts(s.properties);
    return true;
}

/* ---- answers ---- */

/* Without what the guest has of it, which stands elsewhere in each answer. */
static struct sandferry_device *device_from(void *outermost, const Sandferry__V1__VpciDevice *wire)
{
    struct sandferry_device *d = result_within(outermost, sizeof(*d), &wire->base);
    if (d != NULL)
        *d = (struct sandferry_device){
            .id = wire->id,
            .host_address = wire->host_address,
            .virtual_function = wire->virtual_function,
            .model = wire->model,
            .stage = (enum sandferry_device_stage)wire->stage,
            .refs = wire->refs,
            .port = wire->guest_address,
            .travels = wire->travels,
            .n_properties = wire->n_properties,
            .properties = (const char *const *)wire->properties,
            .pci_address = "",
            .driver = "",
        };
    return d;
}

static void add_found(struct sandferry_device *d, const char *pci_address, const char *driver,
                      size_t n_nodes, char *const *nodes)
{
    d->pci_address = pci_address;
    d->driver = driver;
    d->n_nodes = n_nodes;
    d->nodes = (const char *const *)nodes;
}

static const struct sandferry_hold *
hold_from(void *outermost, const Sandferry__V1__VpciReservation *wire, const char *holder)
{
    struct sandferry_hold *h = result_within(outermost, sizeof(*h), &wire->base);
    if (h != NULL)
        *h = (struct sandferry_hold){wire->id, wire->device, holder};
    return h;
}

static bool give_added(ProtobufCMessage *reply, struct sandferry_device_added **ret,
                       struct sf_error **err)
{
    const Sandferry__V1__AddDeviceResponse *wire = (const Sandferry__V1__AddDeviceResponse *)reply;
    if (wire->device == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no device in it");
    }
    struct sandferry_device_added *added = result_new(sizeof(*added), reply, reply, err);
    if (added == NULL)
        return false;
    struct sandferry_device *d = device_from(added, wire->device);
    if (d != NULL)
        add_found(d, wire->pci_address, wire->driver, wire->n_nodes, wire->nodes);
    added->reservation_id = wire->reservation_id;
    added->device = d;
    return RESULT_GIVE(added, ret, err);
}

static bool give_devices(ProtobufCMessage *reply, struct sandferry_devices **ret,
                         struct sf_error **err)
{
    const Sandferry__V1__ListDevicesResponse *wire =
        (const Sandferry__V1__ListDevicesResponse *)reply;
    struct sandferry_devices *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_device **all = result_array(list, wire->n_devices, sizeof(*all));
    const struct sandferry_hold **holds = result_array(list, wire->n_reservations, sizeof(*holds));
    for (size_t i = 0; all != NULL && i < wire->n_devices; i++) {
        struct sandferry_device *d = device_from(list, wire->devices[i]);
        const Sandferry__V1__DeviceFound *f = i < wire->n_found ? wire->found[i] : NULL;
        if (d != NULL && f != NULL)
            add_found(d, f->pci_address, f->driver, f->n_nodes, f->nodes);
        all[i] = d;
    }
    for (size_t i = 0; holds != NULL && i < wire->n_reservations; i++)
        holds[i] =
            hold_from(list, wire->reservations[i], holder_at(wire->n_holders, wire->holders, i));
    *list = (struct sandferry_devices){wire->n_devices, all, wire->n_reservations, holds};
    return RESULT_GIVE(list, ret, err);
}

/* ---- calls ---- */

PUBLIC bool sandferry_device_add(struct sandferry *client, const char *sandbox,
                                 const struct sandferry_device_spec *device,
                                 const struct sandferry_call_options *options,
                                 struct sandferry_device_added **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__AddDeviceRequest request;
    ProtobufCMessage *reply;

    return OPTIONS_TAKE(&o, options, err) && wire_device_make(&request, sandbox, device, err) &&
           invoke(client, METHOD("AddDevice"), &request.base,
                  &sandferry__v1__add_device_response__descriptor, o.timeout_ms, &reply, err) &&
           give_added(reply, ret, err);
}

PUBLIC bool sandferry_device_remove(struct sandferry *client, const char *sandbox,
                                    const char *reservation_id,
                                    const struct sandferry_call_options *options,
                                    struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__RemoveDeviceRequest request = SANDFERRY__V1__REMOVE_DEVICE_REQUEST__INIT;

    request.sandbox_id = wire_text(sandbox);
    request.reservation_id = wire_text(reservation_id);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("RemoveDevice"), &request.base,
                  &sandferry__v1__remove_device_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_device_list(struct sandferry *client, const char *sandbox,
                                  const struct sandferry_call_options *options,
                                  struct sandferry_devices **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListDevicesRequest request = SANDFERRY__V1__LIST_DEVICES_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListDevices"), &request.base,
                  &sandferry__v1__list_devices_response__descriptor, o.timeout_ms, &reply, err) &&
           give_devices(reply, ret, err);
}

/* ---- results ---- */

PUBLIC void sandferry_device_added_free(struct sandferry_device_added *result)
{
    result_free(result);
}

PUBLIC void sandferry_devices_free(struct sandferry_devices *result)
{
    result_free(result);
}

PUBLIC char *sandferry_device_added_json(const struct sandferry_device_added *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_devices_json(const struct sandferry_devices *result)
{
    return result_json(result, JSON_INDENT(2));
}
