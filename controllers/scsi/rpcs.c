/* DiskService: requests to moves. */
#include "scsi/scsi.h"

#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/disk.pb-c.h"

extern const uint8_t disk_files[];
extern const size_t disk_files_size;

typedef Sandferry__V1__ScsiSection section_t;

static struct scsi *scsi_of(struct sf_controller *c)
{
    return (struct scsi *)c; /* base is the first member */
}

/* The books as messages: what the section says, without a snapshot around it. */
static section_t *books(const struct scsi *s, struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    if (!scsi_to_section(s, &section, err))
        return NULL;

    section_t *wire = sandferry__v1__scsi_section__unpack(NULL, section.size, section.data);
    if (wire == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return wire;
}

/* Takes the disk of @slot out of the books. */
static Sandferry__V1__ScsiDisk *take_disk(section_t *wire, unsigned slot)
{
    for (size_t i = 0; i < wire->n_disks; i++) {
        if (wire->disks[i]->slot != slot)
            continue;
        Sandferry__V1__ScsiDisk *disk = wire->disks[i];
        wire->disks[i] = wire->disks[--wire->n_disks];
        return disk;
    }
    return NULL;
}

static bool fill_reply(struct scsi *s, const char *id, const char *guest_path,
                       Sandferry__V1__AddDiskResponse *reply, struct sf_error **err)
{
    section_t *wire = books(s, err);
    if (wire == NULL)
        return false;

    reply->disk = take_disk(wire, scsi_find(s, id)->slot);
    sandferry__v1__scsi_section__free_unpacked(wire, NULL);
    char *reservation = strdup(id), *path = strdup(guest_path);
    if (reservation != NULL)
        reply->reservation_id = reservation;
    if (path != NULL)
        reply->guest_path = path;
    return reservation != NULL && path != NULL
               ? true
               : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
}

static bool add_disk(struct sf_controller *c, struct sf_call *call, const void *request,
                     void *reply, struct sf_error **err)
{
    const Sandferry__V1__AddDiskRequest *q = request;
    struct scsi *s = scsi_of(c);
    struct disk_config config;
    struct mount_config mount;
    char id[SF_GUID_SIZE];
    const char *guest_path;
    struct sf_disk_request wanted = {
        .host_path = q->host_path,
        .read_only = q->read_only,
        .type = (unsigned)q->type,
        .format = (unsigned)q->format,
        .partition = q->partition,
        .encrypted = q->encrypted,
        .options = (const char *const *)q->options,
        .n_options = q->n_options,
        .ensure_filesystem = q->ensure_filesystem,
        .filesystem = q->filesystem,
        .block_device = q->block_device,
    };

    (void)call;
    if (!scsi_config(&wanted, &config, &mount, err) ||
        !scsi_reserve(s, &config, q->partition, &mount, id, err))
        return false;
    if (scsi_map(s, id, &guest_path, err) && fill_reply(s, id, guest_path, reply, err)) {
        sf_sandbox_event(c->sandbox, "disk.added", "disk '%s' is at '%s'", config.path, guest_path);
        return true;
    }
    SF_CLEANUP(sf_error_freep) struct sf_error *left = NULL;
    if (!scsi_release(s, id, &left))
        sf_fail_in(err, "reservation '%s' is left over (%s); remove it with RemoveDisk", id,
                   sf_error_message(left));
    return false;
}

static bool remove_disk(struct sf_controller *c, struct sf_call *call, const void *request,
                        void *reply, struct sf_error **err)
{
    const Sandferry__V1__RemoveDiskRequest *q = request;
    struct scsi *s = scsi_of(c);
    const struct reservation *r = scsi_find(s, q->reservation_id);

    (void)call;
    (void)reply;
    if (r != NULL && r->holder[0] != '\0')
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "disk reservation '%s' belongs to %s; delete that first", q->reservation_id,
                       r->holder);
    if (!scsi_release(s, q->reservation_id, err))
        return false;
    sf_sandbox_event(c->sandbox, "disk.removed", "disk reservation '%s' is released",
                     q->reservation_id);
    return true;
}

/* Of each reservation of the books, in their order. The daemon frees them. */
static bool list_holders(const struct scsi *s, Sandferry__V1__ListDisksResponse *out)
{
    bool ok = (out->holders = calloc(out->n_reservations + 1, sizeof(char *))) != NULL;

    for (size_t i = 0; ok && i < out->n_reservations; i++, out->n_holders += ok) {
        out->holders[i] = strdup(scsi_find(s, out->reservations[i]->id)->holder);
        ok = out->holders[i] != NULL;
    }
    return ok;
}

static bool list_disks(struct sf_controller *c, struct sf_call *call, const void *request,
                       void *reply, struct sf_error **err)
{
    Sandferry__V1__ListDisksResponse *out = reply;
    section_t *wire = books(scsi_of(c), err);

    (void)call;
    (void)request;
    if (wire == NULL)
        return false;
    out->disks = wire->disks;
    out->n_disks = wire->n_disks;
    out->reservations = wire->reservations;
    out->n_reservations = wire->n_reservations;
    wire->disks = NULL;
    wire->reservations = NULL;
    wire->n_disks = wire->n_reservations = 0;
    sandferry__v1__scsi_section__free_unpacked(wire, NULL);
    return list_holders(scsi_of(c), out) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
}

/* clang-format off */
static const struct sf_method methods[] = {
    /* method        does it       who may       how            */
    { "AddDisk",     add_disk,     SF_OPERATOR,  0              },
    { "RemoveDisk",  remove_disk,  SF_OPERATOR,  0              },
    { "ListDisks",   list_disks,   SF_READER,    SF_METHOD_READS },
    { 0 },
};
/* clang-format on */

struct sf_service scsi_services[] = {
    {.descriptor = &sandferry__v1__disk_service__descriptor,
     .methods = methods,
     .files = disk_files},
    {0},
};

/* The linker knows the size of the files, the compiler does not. Runs when the object is opened. */
__attribute__((constructor)) static void set_files_size(void)
{
    scsi_services[0].files_size = disk_files_size;
}
