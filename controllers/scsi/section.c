/* The scsi section: memory to wire and back, believing nothing. */
#include "scsi/scsi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/snapshot.pb-c.h"
#include "snapshot/validate.h"
#include "snapshot/wire.h"

/* A stage on the wire is a state in memory, number for number. */
static_assert((int)DISK_RESERVED == (int)SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_RESERVED,
              "");
static_assert((int)DISK_ATTACHED == (int)SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_ATTACHED,
              "");
static_assert((int)DISK_EJECTED == (int)SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_EJECTED,
              "");
static_assert((int)DISK_DETACHED == (int)SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_DETACHED,
              "");
static_assert((int)MOUNT_RESERVED ==
                  (int)SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_RESERVED,
              "");
static_assert((int)MOUNT_MOUNTED == (int)SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_MOUNTED,
              "");
static_assert((int)MOUNT_UNMOUNTED ==
                  (int)SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_UNMOUNTED,
              "");

static_assert((int)DISK_TYPE_FILE == (int)SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_VIRTUAL_DISK, "");
static_assert((int)DISK_TYPE_DEVICE == (int)SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_PASS_THRU, "");
static_assert((int)DISK_FORMAT_RAW == (int)SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_RAW, "");
static_assert((int)DISK_FORMAT_VHDX == (int)SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_VHDX, "");

typedef Sandferry__V1__ScsiSection section_t;
typedef Sandferry__V1__ScsiDisk disk_t;
typedef Sandferry__V1__ScsiMount mount_t;
typedef Sandferry__V1__ScsiReservation reservation_t;

static void section_free(section_t *section)
{
    if (section != NULL)
        sandferry__v1__scsi_section__free_unpacked(section, NULL);
}
SF_DEFINE_CLEANUP(section_t, section_free)

/* ---- To the wire. What is allocated here hangs in the message, which frees it. ---- */

static char *copy(const char *text, bool *ok)
{
    char *copied = text[0] != '\0' ? strdup(text) : (char *)(uintptr_t)protobuf_c_empty_string;

    *ok = *ok && copied != NULL;
    return copied != NULL ? copied : (char *)(uintptr_t)protobuf_c_empty_string;
}

static mount_t *mount_to_wire(const struct disk_mount *m, bool *ok)
{
    mount_t *wire = calloc(1, sizeof(*wire));
    if (wire == NULL) {
        *ok = false;
        return NULL;
    }
    sandferry__v1__scsi_mount__init(wire);
    wire->partition = m->partition;
    wire->read_only = m->config.read_only;
    wire->encrypted = m->config.encrypted;
    wire->ensure_filesystem = m->config.ensure_filesystem;
    wire->block_device = m->config.block_device;
    wire->filesystem = copy(m->config.filesystem, ok);
    wire->stage = (Sandferry__V1__ScsiMountStage)m->state;
    wire->refs = m->refs;
    wire->guest_path = copy(m->guest_path, ok);
    wire->options = m->config.n_options > 0 ? calloc(m->config.n_options, sizeof(char *)) : NULL;
    *ok = *ok && (wire->options != NULL || m->config.n_options == 0);
    for (; *ok && wire->n_options < m->config.n_options; wire->n_options++)
        wire->options[wire->n_options] = copy(m->config.options[wire->n_options], ok);
    return wire;
}

static disk_t *disk_to_wire(const struct disk *d, bool *ok)
{
    disk_t *wire = calloc(1, sizeof(*wire));
    if (wire == NULL) {
        *ok = false;
        return NULL;
    }
    sandferry__v1__scsi_disk__init(wire);
    wire->slot = d->slot;
    wire->host_path = copy(d->config.path, ok);
    wire->read_only = d->config.read_only;
    wire->type = (Sandferry__V1__ScsiDisk__Type)d->config.type;
    wire->format = (Sandferry__V1__ScsiDisk__Format)d->config.format;
    wire->stage = (Sandferry__V1__ScsiDiskStage)d->state;
    wire->boot = d->boot;
    wire->size_bytes = d->size_bytes;
    wire->modified_ns = d->modified_ns;
    wire->mounts = d->n_mounts > 0 ? calloc(d->n_mounts, sizeof(mount_t *)) : NULL;
    *ok = *ok && (wire->mounts != NULL || d->n_mounts == 0);
    while (*ok && wire->n_mounts < d->n_mounts) {
        mount_t *m = mount_to_wire(d->mounts[wire->n_mounts], ok);
        if (m != NULL)
            wire->mounts[wire->n_mounts++] = m;
    }
    return wire;
}

static bool disks_to_wire(const struct scsi *s, section_t *wire)
{
    bool ok = (wire->disks = calloc(SCSI_SLOTS, sizeof(disk_t *))) != NULL;

    for (unsigned slot = 0; ok && slot < SCSI_SLOTS; slot++) {
        disk_t *d = s->disks[slot] != NULL ? disk_to_wire(s->disks[slot], &ok) : NULL;
        if (d != NULL)
            wire->disks[wire->n_disks++] = d;
    }
    return ok;
}

static bool reservations_to_wire(const struct scsi *s, section_t *wire)
{
    bool ok = (wire->reservations = calloc(s->n_reservations + 1, sizeof(reservation_t *))) != NULL;

    for (size_t i = 0; ok && i < s->n_reservations; i++) {
        reservation_t *r = calloc(1, sizeof(*r));
        if (r == NULL)
            return false;
        sandferry__v1__scsi_reservation__init(r);
        wire->reservations[wire->n_reservations++] = r;
        r->id = copy(s->reservations[i].id, &ok);
        r->slot = s->reservations[i].slot;
        r->partition = s->reservations[i].partition;
    }
    return ok;
}

bool scsi_to_section(const struct scsi *s, struct sf_bytes *ret, struct sf_error **err)
{
    SF_CLEANUP(section_freep) section_t *wire = calloc(1, sizeof(*wire));
    if (wire == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the section");
    sandferry__v1__scsi_section__init(wire);
    wire->schema_version = SCSI_SECTION_VERSION;
    wire->controllers = SCSI_CONTROLLERS;
    if (!disks_to_wire(s, wire) || !reservations_to_wire(s, wire))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the section");

    size_t size = sandferry__v1__scsi_section__get_packed_size(wire);
    uint8_t *data = malloc(size);
    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a section of %zu bytes", size);
    sandferry__v1__scsi_section__pack(wire, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    return true;
}

/* ---- From the wire ---- */

static bool mount_config_from_wire(struct mount_config *config, const mount_t *wire,
                                   struct sf_error **err)
{
    *config = (struct mount_config){
        .read_only = wire->read_only,
        .encrypted = wire->encrypted,
        .ensure_filesystem = wire->ensure_filesystem,
        .block_device = wire->block_device,
    };
    if (strlen(wire->filesystem) >= SCSI_FS_SIZE)
        return sf_fail(err, SF_INVALID_ARGUMENT, "filesystem: longer than %d bytes",
                       SCSI_FS_SIZE - 1);
    snprintf(config->filesystem, SCSI_FS_SIZE, "%s", wire->filesystem);
    for (size_t i = 0; i < wire->n_options; i++)
        if (!mount_config_add_option(config, wire->options[i]))
            return sf_fail(err, SF_INVALID_ARGUMENT, "options: at most %d of %d bytes",
                           SCSI_OPTIONS_MAX, SCSI_OPTION_SIZE - 1);
    return true;
}

/* What is mounted is where the guest was told to mount it; what is not is nowhere. */
static bool check_place(const struct disk *d, const mount_t *wire)
{
    SF_CLEANUP(sf_freep) char *path = sf_guest_mount_path(d->slot, wire->partition);

    if ((unsigned)wire->stage == MOUNT_RESERVED)
        return wire->guest_path[0] == '\0';
    return d->state == DISK_ATTACHED &&
           (wire->block_device ? guest_device_valid(wire->guest_path)
                               : path != NULL && strcmp(path, wire->guest_path) == 0);
}

static bool mount_from_wire(struct disk *d, const mount_t *wire, struct sf_error **err)
{
    struct mount_config config;

    if ((unsigned)wire->stage >= MOUNT_N_STATES || (unsigned)wire->stage == MOUNT_UNMOUNTED)
        return sf_fail(err, SF_INVALID_ARGUMENT, "stage %d cannot travel", (int)wire->stage);
    if (wire->refs == 0 || strlen(wire->guest_path) >= SCSI_GUEST_PATH)
        return sf_fail(err, SF_INVALID_ARGUMENT, "nobody holds it, or its guest path is too long");
    if (!check_place(d, wire))
        return sf_fail(err, SF_INVALID_ARGUMENT, "partition %llu cannot be at '%.100s'",
                       (unsigned long long)wire->partition, wire->guest_path);
    if (disk_find_mount(d, wire->partition) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "partition %llu comes twice",
                       (unsigned long long)wire->partition);
    if (!mount_config_from_wire(&config, wire, err))
        return false;
    struct disk_mount *m = disk_add_mount(d, wire->partition, &config);
    if (m == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "more than %d partitions", SCSI_MOUNTS_MAX);
    m->state = (unsigned)wire->stage;
    m->refs = wire->refs;
    snprintf(m->guest_path, sizeof(m->guest_path), "%s", wire->guest_path);
    return true;
}

static bool check_disk(const struct scsi *s, const disk_t *wire, struct sf_error **err)
{
    if (wire->slot >= SCSI_SLOTS)
        return sf_fail(err, SF_INVALID_ARGUMENT, "slot %u; at most %d", wire->slot, SCSI_SLOTS - 1);
    if (s->disks[wire->slot] != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "slot %u comes twice", wire->slot);
    if ((unsigned)wire->stage >= DISK_EJECTED) /* no save leaves one so: see scsi_check() */
        return sf_fail(err, SF_INVALID_ARGUMENT, "stage %d cannot travel", (int)wire->stage);
    if (wire->n_mounts == 0 && !wire->boot)
        return sf_fail(err, SF_INVALID_ARGUMENT, "nobody holds it");
    if ((unsigned)wire->type < DISK_TYPE_FILE || (unsigned)wire->type >= DISK_N_TYPES ||
        (unsigned)wire->format < DISK_FORMAT_RAW || (unsigned)wire->format >= DISK_N_FORMATS)
        return sf_fail(err, SF_INVALID_ARGUMENT, "unknown type or format");
    if (wire->host_path[0] != '/' || strlen(wire->host_path) >= PATH_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s' is not an absolute path",
                       wire->host_path);
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++)
        if (s->disks[slot] != NULL && strcmp(s->disks[slot]->config.path, wire->host_path) == 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' comes twice", wire->host_path);
    return true;
}

static bool disk_from_wire(struct scsi *s, const disk_t *wire, struct sf_error **err)
{
    if (!check_disk(s, wire, err))
        return false;

    struct disk_config config = {.read_only = wire->read_only,
                                 .type = (unsigned)wire->type,
                                 .format = (unsigned)wire->format};
    snprintf(config.path, sizeof(config.path), "%s", wire->host_path);
    struct disk *d = disk_new(wire->slot, &config);
    if (d == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a disk");
    s->disks[wire->slot] = d;
    d->state = (unsigned)wire->stage;
    d->boot = wire->boot;
    d->size_bytes = wire->size_bytes;
    d->modified_ns = wire->modified_ns;
    for (size_t i = 0; i < wire->n_mounts; i++)
        if (!mount_from_wire(d, wire->mounts[i], err))
            return sf_fail_in(err, "mounts[%zu]", i);
    return true;
}

static bool reservation_from_wire(struct scsi *s, const reservation_t *wire, struct sf_error **err)
{
    if (!sf_guid_valid(wire->id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%.40s' is not a GUID", wire->id);
    if (scsi_find(s, wire->id) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%s' comes twice", wire->id);
    if (wire->slot >= SCSI_SLOTS || s->disks[wire->slot] == NULL ||
        disk_find_mount(s->disks[wire->slot], wire->partition) == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s' holds partition %llu of slot %u, which is "
                       "not there",
                       wire->id, (unsigned long long)wire->partition, wire->slot);
    return scsi_add_reservation(s, wire->id, wire->slot, wire->partition, err);
}

/* Every mount has as many refs as reservations hold it. */
static bool check_refs(const struct scsi *s, struct sf_error **err)
{
    char name[16];

    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        const struct disk *d = s->disks[slot];
        for (unsigned i = 0; d != NULL && i < d->n_mounts; i++) {
            uint32_t held = 0;
            for (size_t k = 0; k < s->n_reservations; k++)
                held += s->reservations[k].slot == slot &&
                        s->reservations[k].partition == d->mounts[i]->partition;
            if (held != d->mounts[i]->refs)
                return sf_fail(
                    err, SF_INVALID_ARGUMENT,
                    "disk '%s': partition %llu says %u refs, and %u reservations hold it",
                    disk_name(d, name), (unsigned long long)d->mounts[i]->partition,
                    d->mounts[i]->refs, held);
        }
    }
    return true;
}

static bool fill(struct scsi *s, const section_t *wire, struct sf_error **err)
{
    if (wire->controllers != SCSI_CONTROLLERS)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%u controllers; this daemon's VMs have %d",
                       wire->controllers, SCSI_CONTROLLERS);
    for (size_t i = 0; i < wire->n_disks; i++)
        if (!disk_from_wire(s, wire->disks[i], err))
            return sf_fail_in(err, "disks[%zu]", i);
    for (size_t i = 0; i < wire->n_reservations; i++)
        if (!reservation_from_wire(s, wire->reservations[i], err))
            return sf_fail_in(err, "reservations[%zu]", i);
    return check_refs(s, err);
}

bool scsi_from_section(struct scsi *s, const struct sf_bytes *section, struct sf_error **err)
{
    if (!sf_wire_check(&sandferry__v1__scsi_section__descriptor, section->data, section->size,
                       &sf_wire_snapshot, err))
        return false;
    SF_CLEANUP(section_freep)
    section_t *wire = sandferry__v1__scsi_section__unpack(NULL, section->size, section->data);
    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a ScsiSection");
    if (fill(s, wire, err))
        return true;
    scsi_empty(s);
    return false;
}

void scsi_empty(struct scsi *s)
{
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        disk_free(s->disks[slot]);
        s->disks[slot] = NULL;
    }
    free(s->reservations);
    s->reservations = NULL;
    s->n_reservations = 0;
}
