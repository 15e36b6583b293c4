/* The disk service. */

#include "result.h"
#include "wire_specs.h"

#define METHOD(name) "/sandferry.v1.DiskService/" name

bool wire_disk_make(Sandferry__V1__AddDiskRequest *ret, const char *sandbox,
                    const struct sandferry_disk_spec *spec, struct sf_error **err)
{
    struct sandferry_disk_spec s;
    if (!OPTIONS_TAKE(&s, spec, err))
        return sf_fail_in(err, "disk");

    sandferry__v1__add_disk_request__init(ret);
    ret->sandbox_id = wire_text(sandbox);
    ret->host_path = wire_text(s.host_path);
    ret->read_only = s.read_only;
    ret->type = (Sandferry__V1__ScsiDisk__Type)s.type;
    ret->format = (Sandferry__V1__ScsiDisk__Format)s.format;
    ret->partition = s.partition;
    ret->n_options = s.n_mount_options;
    ret->options = wire_texts(s.mount_options);
    ret->ensure_filesystem = s.ensure_filesystem;
    ret->filesystem = wire_text(s.filesystem);
    ret->block_device = s.block_device;
    ret->encrypted = s.encrypted;
    return true;
}

/* ---- answers ---- */

static const struct sandferry_mount *mount_from(void *outermost,
                                                const Sandferry__V1__ScsiMount *wire)
{
    struct sandferry_mount *m = result_within(outermost, sizeof(*m), &wire->base);
    if (m != NULL)
        *m = (struct sandferry_mount){
            .partition = wire->partition,
            .stage = (enum sandferry_mount_stage)wire->stage,
            .read_only = wire->read_only,
            .block_device = wire->block_device,
            .filesystem = wire->filesystem,
            .guest_path = wire->guest_path,
            .refs = wire->refs,
            .encrypted = wire->encrypted,
        };
    return m;
}

static const struct sandferry_disk *disk_from(void *outermost, const Sandferry__V1__ScsiDisk *wire)
{
    struct sandferry_disk *d = result_within(outermost, sizeof(*d), &wire->base);
    const struct sandferry_mount **mounts =
        result_array(outermost, wire->n_mounts, sizeof(*mounts));
    if (d == NULL)
        return NULL;
    for (size_t i = 0; mounts != NULL && i < wire->n_mounts; i++)
        mounts[i] = mount_from(outermost, wire->mounts[i]);
    *d = (struct sandferry_disk){
        .slot = wire->slot,
        .host_path = wire->host_path,
        .read_only = wire->read_only,
        .type = (enum sandferry_disk_type)wire->type,
        .format = (enum sandferry_disk_format)wire->format,
        .stage = (enum sandferry_disk_stage)wire->stage,
        .n_mounts = wire->n_mounts,
        .mounts = mounts,
    };
    return d;
}

static const struct sandferry_reservation *
reservation_from(void *outermost, const Sandferry__V1__ScsiReservation *wire, const char *holder)
{
    struct sandferry_reservation *r = result_within(outermost, sizeof(*r), &wire->base);
    if (r != NULL)
        *r = (struct sandferry_reservation){wire->id, wire->slot, wire->partition, holder};
    return r;
}

static bool give_added(ProtobufCMessage *reply, struct sandferry_disk_added **ret,
                       struct sf_error **err)
{
    const Sandferry__V1__AddDiskResponse *wire = (const Sandferry__V1__AddDiskResponse *)reply;
    if (wire->disk == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no disk in it");
    }
    struct sandferry_disk_added *added = result_new(sizeof(*added), reply, reply, err);
    if (added == NULL)
        return false;
    added->reservation_id = wire->reservation_id;
    added->guest_path = wire->guest_path;
    added->disk = disk_from(added, wire->disk);
    return RESULT_GIVE(added, ret, err);
}

static bool give_disks(ProtobufCMessage *reply, struct sandferry_disks **ret, struct sf_error **err)
{
    const Sandferry__V1__ListDisksResponse *wire = (const Sandferry__V1__ListDisksResponse *)reply;
    struct sandferry_disks *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_disk **all = result_array(list, wire->n_disks, sizeof(*all));
    const struct sandferry_reservation **holders =
        result_array(list, wire->n_reservations, sizeof(*holders));
    for (size_t i = 0; all != NULL && i < wire->n_disks; i++)
        all[i] = disk_from(list, wire->disks[i]);
    for (size_t i = 0; holders != NULL && i < wire->n_reservations; i++)
        holders[i] = reservation_from(list, wire->reservations[i],
                                      holder_at(wire->n_holders, wire->holders, i));
    *list = (struct sandferry_disks){wire->n_disks, all, wire->n_reservations, holders};
    return RESULT_GIVE(list, ret, err);
}

/* ---- calls ---- */

PUBLIC bool sandferry_disk_add(struct sandferry *client, const char *sandbox,
                               const struct sandferry_disk_spec *disk,
                               const struct sandferry_call_options *options,
                               struct sandferry_disk_added **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__AddDiskRequest request;
    ProtobufCMessage *reply;

    return OPTIONS_TAKE(&o, options, err) && wire_disk_make(&request, sandbox, disk, err) &&
           invoke(client, METHOD("AddDisk"), &request.base,
                  &sandferry__v1__add_disk_response__descriptor, o.timeout_ms, &reply, err) &&
           give_added(reply, ret, err);
}

PUBLIC bool sandferry_disk_remove(struct sandferry *client, const char *sandbox,
                                  const char *reservation_id,
                                  const struct sandferry_call_options *options,
                                  struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__RemoveDiskRequest request = SANDFERRY__V1__REMOVE_DISK_REQUEST__INIT;

    request.sandbox_id = wire_text(sandbox);
    request.reservation_id = wire_text(reservation_id);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("RemoveDisk"), &request.base,
                  &sandferry__v1__remove_disk_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_disk_list(struct sandferry *client, const char *sandbox,
                                const struct sandferry_call_options *options,
                                struct sandferry_disks **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListDisksRequest request = SANDFERRY__V1__LIST_DISKS_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListDisks"), &request.base,
                  &sandferry__v1__list_disks_response__descriptor, o.timeout_ms, &reply, err) &&
           give_disks(reply, ret, err);
}

/* ---- results ---- */

PUBLIC void sandferry_disk_added_free(struct sandferry_disk_added *result)
{
    result_free(result);
}

PUBLIC void sandferry_disks_free(struct sandferry_disks *result)
{
    result_free(result);
}

PUBLIC char *sandferry_disk_added_json(const struct sandferry_disk_added *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_disks_json(const struct sandferry_disks *result)
{
    return result_json(result, JSON_INDENT(2));
}
