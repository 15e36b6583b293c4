/* The container service. */

#include <stdlib.h>

#include "result.h"
#include "wire_specs.h"

#define METHOD(name) "/sandferry.v1.ContainerService/" name

/* ---- what a request for a container is made of ---- */

struct parts {
    struct wire_labels labels;
    Sandferry__V1__AddDiskRequest scratch, *layers, *disks;
    Sandferry__V1__AddDiskRequest **all_layers;
    Sandferry__V1__DiskMount *mounts, **all_mounts;
    Sandferry__V1__AddShareRequest *shares;
    Sandferry__V1__ShareMount *share_mounts, **all_share_mounts;
    Sandferry__V1__AddDeviceRequest *devices, **all_devices;
};

static void parts_done(struct parts *p)
{
    wire_labels_done(&p->labels);
    free(p->layers);
    free(p->disks);
    free(p->all_layers);
    free(p->mounts);
    free(p->all_mounts);
    free(p->shares);
    free(p->share_mounts);
    free(p->all_share_mounts);
    free(p->devices);
    free(p->all_devices);
}

static bool parts_room(struct parts *p, const struct sandferry_container_options *o,
                       struct sf_error **err)
{
    p->layers = calloc(o->n_layers + 1, sizeof(*p->layers));
    p->all_layers = calloc(o->n_layers + 1, sizeof(*p->all_layers));
    p->disks = calloc(o->n_disks + 1, sizeof(*p->disks));
    p->mounts = calloc(o->n_disks + 1, sizeof(*p->mounts));
    p->all_mounts = calloc(o->n_disks + 1, sizeof(*p->all_mounts));
    p->shares = calloc(o->n_shares + 1, sizeof(*p->shares));
    p->share_mounts = calloc(o->n_shares + 1, sizeof(*p->share_mounts));
    p->all_share_mounts = calloc(o->n_shares + 1, sizeof(*p->all_share_mounts));
    p->devices = calloc(o->n_devices + 1, sizeof(*p->devices));
    p->all_devices = calloc(o->n_devices + 1, sizeof(*p->all_devices));
    return (p->layers != NULL && p->all_layers != NULL && p->disks != NULL && p->mounts != NULL &&
            p->all_mounts != NULL && p->shares != NULL && p->share_mounts != NULL &&
            p->all_share_mounts != NULL && p->devices != NULL && p->all_devices != NULL) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
}

static bool shares_make(struct parts *p, const struct sandferry_container_options *o,
                        struct sf_error **err)
{
    for (size_t i = 0; i < o->n_shares; i++) {
        if (!wire_share_make(&p->shares[i], NULL, o->shares[i].share, err))
            return sf_fail_in(err, "shares[%zu]", i);
        sandferry__v1__share_mount__init(&p->share_mounts[i]);
        p->share_mounts[i].share = &p->shares[i];
        p->share_mounts[i].destination = wire_text(o->shares[i].destination);
        p->all_share_mounts[i] = &p->share_mounts[i];
    }
    for (size_t i = 0; i < o->n_devices; i++) {
        if (!wire_device_make(&p->devices[i], NULL, o->devices[i], err))
            return sf_fail_in(err, "devices[%zu]", i);
        p->all_devices[i] = &p->devices[i];
    }
    return true;
}

static bool parts_make(struct parts *p, const struct sandferry_container_options *o,
                       struct sf_error **err)
{
    if (!parts_room(p, o, err) || !wire_labels_make(&p->labels, o->n_labels, o->labels, err))
        return false;
    for (size_t i = 0; i < o->n_layers; i++) {
        if (!wire_disk_make(&p->layers[i], NULL, o->layers[i], err))
            return sf_fail_in(err, "layers[%zu]", i);
        p->all_layers[i] = &p->layers[i];
    }
    for (size_t i = 0; i < o->n_disks; i++) {
        if (!wire_disk_make(&p->disks[i], NULL, o->disks[i].disk, err))
            return sf_fail_in(err, "disks[%zu]", i);
        sandferry__v1__disk_mount__init(&p->mounts[i]);
        p->mounts[i].disk = &p->disks[i];
        p->mounts[i].destination = wire_text(o->disks[i].destination);
        p->all_mounts[i] = &p->mounts[i];
    }
    if (o->scratch != NULL && !wire_disk_make(&p->scratch, NULL, o->scratch, err))
        return sf_fail_in(err, "scratch");
    return shares_make(p, o, err);
}

/* ---- answers ---- */

static void container_from(void *outermost, struct sandferry_container *c,
                           const Sandferry__V1__Container *wire)
{
    *c = (struct sandferry_container){
        .id = wire->container_id,
        .pod_id = wire->pod_id,
        .stage = (enum sandferry_container_stage)wire->stage,
        .created_at_ns = time_ns(wire->created_at),
        .rootfs_path = wire->layers != NULL ? wire->layers->rootfs_path : "",
        .spec = wire->spec,
        .n_labels = wire->n_labels,
        .labels = labels_from(outermost, wire->n_labels, wire->labels),
        .n_disks = wire->n_scsi_reservation_ids,
        .n_shares = wire->n_plan9_reservation_ids,
        .n_devices = wire->n_vpci_reservation_ids,
        .disks = (const char *const *)wire->scsi_reservation_ids,
        .shares = (const char *const *)wire->plan9_reservation_ids,
        .devices = (const char *const *)wire->vpci_reservation_ids,
    };
}

static bool give_container(ProtobufCMessage *reply, const Sandferry__V1__Container *wire,
                           struct sandferry_container **ret, struct sf_error **err)
{
    if (wire == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no container in it");
    }
    struct sandferry_container *c = result_new(sizeof(*c), reply, &wire->base, err);
    if (c == NULL)
        return false;
    container_from(c, c, wire);
    return RESULT_GIVE(c, ret, err);
}

static bool give_containers(ProtobufCMessage *reply, struct sandferry_containers **ret,
                            struct sf_error **err)
{
    const Sandferry__V1__ListContainersResponse *wire =
        (const Sandferry__V1__ListContainersResponse *)reply;
    struct sandferry_containers *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_container **all = result_array(list, wire->n_containers, sizeof(*all));
    for (size_t i = 0; all != NULL && i < wire->n_containers; i++) {
        struct sandferry_container *c = result_within(list, sizeof(*c), &wire->containers[i]->base);
        if (c == NULL)
            break;
        container_from(list, c, wire->containers[i]);
        all[i] = c;
    }
    const char **pods = result_array(list, wire->n_pods, sizeof(*pods));
    for (size_t i = 0; pods != NULL && i < wire->n_pods; i++)
        pods[i] = wire->pods[i]->pod_id;
    *list = (struct sandferry_containers){wire->n_containers, all, wire->n_pods, pods};
    return RESULT_GIVE(list, ret, err);
}

/* ---- calls ---- */

PUBLIC bool sandferry_container_create(struct sandferry *client, const char *sandbox,
                                       const char *id,
                                       const struct sandferry_container_options *options,
                                       struct sandferry_container **ret, struct sf_error **err)
{
    struct sandferry_container_options o;
    SF_CLEANUP(parts_done) struct parts parts = {0};
    Sandferry__V1__CreateContainerRequest request = SANDFERRY__V1__CREATE_CONTAINER_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err) || !parts_make(&parts, &o, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(id);
    request.pod_id = wire_text(o.pod_id);
    request.n_layers = o.n_layers;
    request.layers = parts.all_layers;
    request.scratch = o.scratch != NULL ? &parts.scratch : NULL;
    request.n_disks = o.n_disks;
    request.disks = parts.all_mounts;
    request.spec = wire_text(o.spec);
    request.n_args = o.n_args;
    request.args = wire_texts(o.args);
    request.n_env = o.n_env;
    request.env = wire_texts(o.env);
    request.working_directory = wire_text(o.working_directory);
    request.n_labels = o.n_labels;
    request.labels = parts.labels.all;
    request.n_shares = o.n_shares;
    request.shares = parts.all_share_mounts;
    request.n_devices = o.n_devices;
    request.devices = parts.all_devices;
    return invoke(client, METHOD("CreateContainer"), &request.base,
                  &sandferry__v1__create_container_response__descriptor, o.timeout_ms, &reply,
                  err) &&
           give_container(reply, ((Sandferry__V1__CreateContainerResponse *)reply)->container, ret,
                          err);
}

PUBLIC bool sandferry_container_start(struct sandferry *client, const char *sandbox, const char *id,
                                      const struct sandferry_call_options *options,
                                      struct sandferry_container **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__StartContainerRequest request = SANDFERRY__V1__START_CONTAINER_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(id);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("StartContainer"), &request.base,
                  &sandferry__v1__start_container_response__descriptor, o.timeout_ms, &reply,
                  err) &&
           give_container(reply, ((Sandferry__V1__StartContainerResponse *)reply)->container, ret,
                          err);
}

PUBLIC bool sandferry_container_delete(struct sandferry *client, const char *sandbox,
                                       const char *id,
                                       const struct sandferry_delete_options *options,
                                       struct sf_error **err)
{
    struct sandferry_delete_options o;
    Sandferry__V1__DeleteContainerRequest request = SANDFERRY__V1__DELETE_CONTAINER_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.container_id = wire_text(id);
    request.force = o.force;
    return invoke(client, METHOD("DeleteContainer"), &request.base,
                  &sandferry__v1__delete_container_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_container_list(struct sandferry *client, const char *sandbox,
                                     const struct sandferry_call_options *options,
                                     struct sandferry_containers **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListContainersRequest request = SANDFERRY__V1__LIST_CONTAINERS_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListContainers"), &request.base,
                  &sandferry__v1__list_containers_response__descriptor, o.timeout_ms, &reply,
                  err) &&
           give_containers(reply, ret, err);
}

/* ---- results ---- */

PUBLIC void sandferry_container_free(struct sandferry_container *result)
{
    result_free(result);
}

PUBLIC void sandferry_containers_free(struct sandferry_containers *result)
{
    result_free(result);
}

PUBLIC char *sandferry_container_json(const struct sandferry_container *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_containers_json(const struct sandferry_containers *result)
{
    return result_json(result, JSON_INDENT(2));
}
