/* Reservations: handles on mounts. Everything that happens to a disk begins or ends here. */
#include "scsi/scsi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/limits.h"

/* Where @id is, or where it would have to go. */
static size_t place_of(const struct scsi *s, const char *id)
{
    size_t low = 0, high = s->n_reservations;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(s->reservations[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct reservation *scsi_find(const struct scsi *s, const char *id)
{
    size_t at = place_of(s, id);

    return at < s->n_reservations && strcmp(s->reservations[at].id, id) == 0 ? &s->reservations[at]
                                                                             : NULL;
}

bool scsi_add_reservation(struct scsi *s, const char *id, unsigned slot, uint64_t partition,
                          struct sf_error **err)
{
    if (s->n_reservations == SCSI_RESERVATIONS_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "there are %d reservations, which is the most",
                       SCSI_RESERVATIONS_MAX);
    struct reservation *grown = realloc(s->reservations, (s->n_reservations + 1) * sizeof(*grown));
    if (grown == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a reservation");

    s->reservations = grown;
    size_t at = place_of(s, id);
    memmove(&grown[at + 1], &grown[at], (s->n_reservations - at) * sizeof(*grown));
    grown[at] = (struct reservation){.slot = slot, .partition = partition};
    snprintf(grown[at].id, sizeof(grown[at].id), "%s", id);
    s->n_reservations++;
    return true;
}

void scsi_remove_reservation(struct scsi *s, struct reservation *r)
{
    size_t at = (size_t)(r - s->reservations);

    s->n_reservations--;
    memmove(r, r + 1, (s->n_reservations - at) * sizeof(*r));
}

/* ---- Reserve ---- */

static bool ensure_attached(struct scsi *s, struct disk *d, struct sf_error **err);

static struct disk *find_disk(const struct scsi *s, const char *path)
{
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++)
        if (s->disks[slot] != NULL && strcmp(s->disks[slot]->config.path, path) == 0)
            return s->disks[slot];
    return NULL;
}

/* One file under two names would be written through two caches. */
static bool check_alias(const struct scsi *s, const struct disk *d, struct sf_error **err)
{
    char name[16];

    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        const struct disk *other = s->disks[slot];
        if (other == NULL || other == d || other->device != d->device || other->inode != d->inode ||
            (other->config.read_only && d->config.read_only))
            continue;
        return sf_fail(err, SF_ALREADY_EXISTS,
                       "'%s' is the same file as '%s', which is disk '%s'; use that path",
                       d->config.path, other->config.path, disk_name(other, name));
    }
    return true;
}

static struct disk *new_disk_at(struct scsi *s, unsigned slot, const struct disk_config *config,
                                struct sf_error **err)
{
    struct disk *d = disk_new(slot, config);
    if (d == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a disk");
        return NULL;
    }
    if (!identify_disk(d, err) || !check_alias(s, d, err)) {
        disk_free(d);
        return NULL;
    }
    s->disks[slot] = d;
    return d;
}

static struct disk *new_disk(struct scsi *s, const struct disk_config *config,
                             struct sf_error **err)
{
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++)
        if (s->disks[slot] == NULL)
            return new_disk_at(s, slot, config, err);
    sf_fail(err, SF_RESOURCE_EXHAUSTED, "all %d disk slots are taken; remove a disk first",
            SCSI_SLOTS);
    return NULL;
}

static bool check_disk(const struct disk *d, const struct disk_config *config,
                       struct sf_error **err)
{
    char name[16];

    if (!disk_config_equal(&d->config, config))
        return sf_fail(
            err, SF_ALREADY_EXISTS,
            "'%s' is disk '%s' already, with another type, format or read-only flag; ask "
            "for the same, or remove it first",
            config->path, disk_name(d, name));
    if (d->state != DISK_RESERVED && d->state != DISK_ATTACHED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "disk '%s' ('%s') is %s; release what holds it, then add it again",
                       disk_name(d, name), config->path, disk_machine.states[d->state]);
    return true;
}

/* The mount for one more holder; its refs are not raised yet. */
static struct disk_mount *mount_for(struct disk *d, uint64_t partition,
                                    const struct mount_config *config, struct sf_error **err)
{
    struct disk_mount *m = disk_find_mount(d, partition);
    char name[16];

    if (m == NULL) {
        m = disk_add_mount(d, partition, config);
        if (m == NULL)
            sf_fail(err, SF_RESOURCE_EXHAUSTED, "disk '%s': at most %d partitions can be mounted",
                    disk_name(d, name), SCSI_MOUNTS_MAX);
        return m;
    }
    if (!mount_config_equal(&m->config, config))
        sf_fail(err, SF_ALREADY_EXISTS,
                "partition %llu of disk '%s' is mounted with other options already; ask for the "
                "same, or release it first",
                (unsigned long long)partition, disk_name(d, name));
    else if (m->state == MOUNT_UNMOUNTED)
        sf_fail(err, SF_FAILED_PRECONDITION,
                "partition %llu of disk '%s' could not be mounted; release what holds it, then try "
                "again",
                (unsigned long long)partition, disk_name(d, name));
    else
        return m;
    return NULL;
}

/* Nobody holds it and it is not in the VM: its slot is free again. */
static void drop_unused(struct scsi *s, struct disk *d)
{
    if (d->n_mounts > 0 || (d->state != DISK_RESERVED && d->state != DISK_DETACHED))
        return;
    s->disks[d->slot] = NULL;
    disk_free(d);
}

bool scsi_reserve(struct scsi *s, const struct disk_config *config, uint64_t partition,
                  const struct mount_config *mount, char ret_id[SF_GUID_SIZE],
                  struct sf_error **err)
{
    char id[SF_GUID_SIZE];
    struct disk *d = find_disk(s, config->path);

    if (!sf_guid_new(id))
        return sf_fail(err, SF_UNAVAILABLE, "no random numbers for a reservation id");
    if (d != NULL ? !check_disk(d, config, err) : (d = new_disk(s, config, err)) == NULL)
        return false;
    struct disk_mount *m = mount_for(d, partition, mount, err);
    if (m == NULL || !scsi_add_reservation(s, id, d->slot, partition, err)) {
        if (m != NULL && m->refs == 0)
            disk_drop_mount(d, m);
        drop_unused(s, d);
        return false;
    }
    m->refs++;
    memcpy(ret_id, id, sizeof(id));
    return true;
}

/* ---- Pin ---- */

/* What an attempt has left in QEMU goes first. */
static bool clear_slot(struct scsi *s, unsigned slot, const struct disk_config *config,
                       struct sf_error **err)
{
    struct disk *d = s->disks[slot], *other = find_disk(s, config->path);
    char name[16];

    if (d != NULL && d == other && d->boot && d->state == DISK_DETACHED) {
        if (!detach_disk(s, d, err))
            return false;
        drop_unused(s, d);
        return true;
    }
    if (d != NULL)
        return sf_fail(err, SF_ALREADY_EXISTS, "disk '%s' is '%s' already; take another place",
                       disk_name(d, name), d->config.path);
    if (other != NULL)
        return sf_fail(err, SF_ALREADY_EXISTS, "'%s' is disk '%s' already", config->path,
                       disk_name(other, name));
    return true;
}

bool scsi_pin(struct scsi *s, unsigned controller, unsigned lun, const struct disk_config *config,
              struct sf_error **err)
{
    if (controller >= SCSI_CONTROLLERS || lun >= SCSI_LUNS)
        return sf_fail(
            err, SF_INVALID_ARGUMENT,
            "there is no place '%u:%u' for disk '%s': controllers are 0 to %d, LUNs 0 to "
            "%d",
            controller, lun, config->path, SCSI_CONTROLLERS - 1, SCSI_LUNS - 1);
    unsigned slot = controller * SCSI_LUNS + lun;
    if (!clear_slot(s, slot, config, err))
        return false;
    struct disk *d = new_disk_at(s, slot, config, err);
    if (d == NULL)
        return false;
    d->boot = true;
    if (ensure_attached(s, d, err))
        return true;
    if (!d->leftover)
        drop_unused(s, d);
    return false;
}

/* ---- Map ---- */

static struct reservation *find_held(const struct scsi *s, const char *id, struct sf_error **err)
{
    struct reservation *r = scsi_find(s, id);

    if (r == NULL)
        sf_fail(err, SF_NOT_FOUND, "there is no disk reservation '%s'", id);
    return r;
}

static bool ensure_attached(struct scsi *s, struct disk *d, struct sf_error **err)
{
    char name[16];

    if (d->state == DISK_ATTACHED)
        return true;
    if (d->state != DISK_RESERVED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "disk '%s' ('%s') is %s; release it and add it "
                       "again",
                       disk_name(d, name), d->config.path, disk_machine.states[d->state]);
    bool ok = attach_disk(s, d, err);
    struct sf_error *impossible = NULL;
    bool moved =
        sf_machine_move(&disk_machine, &d->state, ok ? DISK_ATTACH_DONE : DISK_ATTACH_FAILED,
                        disk_name(d, name), &impossible);
    assert(moved);
    (void)moved;
    return ok;
}

static bool ensure_mounted(struct scsi *s, struct disk *d, struct disk_mount *m,
                           struct sf_error **err)
{
    char name[16];

    if (m->state == MOUNT_MOUNTED && !m->doubtful)
        return true;
    if (m->state == MOUNT_MOUNTED) { /* the guest finds it, or mounts it again */
        m->doubtful = !guest_mount(s, d, m, err);
        return !m->doubtful;
    }
    if (m->state != MOUNT_RESERVED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "partition %llu of disk '%s' could not be mounted; release it and add it "
                       "again",
                       (unsigned long long)m->partition, disk_name(d, name));
    bool ok = guest_mount(s, d, m, err);
    struct sf_error *impossible = NULL;
    bool moved =
        sf_machine_move(&mount_machine, &m->state, ok ? MOUNT_MOUNT_DONE : MOUNT_MOUNT_FAILED,
                        disk_name(d, name), &impossible);
    assert(moved);
    (void)moved;
    return ok;
}

bool scsi_map(struct scsi *s, const char *id, const char **ret_guest_path, struct sf_error **err)
{
    struct reservation *r = find_held(s, id, err);
    if (r == NULL)
        return false;
    if (r->dropped)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "reservation '%s' is being released; repeat the release", id);

    struct disk *d = s->disks[r->slot];
    struct disk_mount *m = disk_find_mount(d, r->partition);
    if (!ensure_attached(s, d, err) || !ensure_mounted(s, d, m, err))
        return false;
    *ret_guest_path = m->guest_path;
    return true;
}

/* ---- Release ---- */

/* The reservation gives up its ref; the last one takes the mount away. */
static bool drop_ref(struct scsi *s, struct reservation *r, struct disk *d, struct sf_error **err)
{
    struct disk_mount *m = disk_find_mount(d, r->partition);

    /* One that failed may have been done all the same, and its answer lost. */
    if (m->refs == 1 && m->state != MOUNT_RESERVED && !guest_unmount(s, d, m, err)) {
        m->doubtful = m->state == MOUNT_MOUNTED;
        return false;
    }
    if (m->refs == 1 && m->state == MOUNT_MOUNTED) {
        struct sf_error *impossible = NULL;
        bool moved =
            sf_machine_move(&mount_machine, &m->state, MOUNT_UNMOUNT_DONE, r->id, &impossible);
        assert(moved);
        (void)moved;
    }
    r->dropped = true;
    if (--m->refs == 0)
        disk_drop_mount(d, m);
    return true;
}

static bool take_out(struct scsi *s, struct disk *d, struct sf_error **err)
{
    struct sf_error *impossible = NULL;
    bool moved = true;
    char name[16];

    if (d->n_mounts > 0 || d->boot)
        return true;
    if (d->state == DISK_ATTACHED) {
        if (!guest_eject(s, d, err))
            return false;
        moved = sf_machine_move(&disk_machine, &d->state, DISK_EJECT_DONE, disk_name(d, name),
                                &impossible);
    }
    if (d->state == DISK_EJECTED) {
        if (!detach_disk(s, d, err))
            return false;
        moved &= sf_machine_move(&disk_machine, &d->state, DISK_REMOVE_DONE, disk_name(d, name),
                                 &impossible);
    }
    assert(moved);
    (void)moved;
    if (d->leftover && !detach_disk(s, d, err))
        return false;
    drop_unused(s, d);
    return true;
}

bool scsi_release(struct scsi *s, const char *id, struct sf_error **err)
{
    struct reservation *r = find_held(s, id, err);
    if (r == NULL)
        return false;

    /* A disk that is gone, or that others hold by now, is none of a dropped one's business. */
    struct disk *d = s->disks[r->slot];
    if (!r->dropped && !drop_ref(s, r, d, err))
        return sf_fail_in(err, "release of '%s'", id);
    if (d != NULL && !take_out(s, d, err))
        return sf_fail_in(err, "release of '%s'", id);
    scsi_remove_reservation(s, r);
    return true;
}

/* ---- What is asked for ---- */

static bool check_names(const struct sf_disk_request *q, struct sf_error **err)
{
    if (q->host_path == NULL || q->host_path[0] != '/' || q->host_path[1] == '\0' ||
        strlen(q->host_path) >= PATH_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s' is not an absolute path of a disk",
                q->host_path != NULL ? q->host_path : "");
        return sf_fail_detail(err, SF_DETAIL_FIELD, "host_path", "must be an absolute path");
    }
    if (q->filesystem != NULL && strlen(q->filesystem) >= SCSI_FS_SIZE)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.40s' is not a file system", q->filesystem);
    size_t size = strlen(q->host_path);
    if (strstr(q->host_path, "/../") != NULL ||
        (size >= 3 && strcmp(q->host_path + size - 3, "/..") == 0)) {
        sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s': give its path without '..'", q->host_path);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "host_path", "must not have '..'");
    }
    if (q->partition > SF_PARTITION_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s': there is no partition %llu", q->host_path,
                (unsigned long long)q->partition);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "partition", "at most %d", SF_PARTITION_MAX);
    }
    if (q->encrypted && q->read_only)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "disk '%s' cannot be encrypted with a new key and never be written; give up "
                       "one of the two",
                       q->host_path);
    if (q->type >= DISK_N_TYPES || q->format >= DISK_N_FORMATS)
        return sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s' has an unknown type or format",
                       q->host_path);
    return true;
}

bool scsi_config(const struct sf_disk_request *q, struct disk_config *ret_disk,
                 struct mount_config *ret_mount, struct sf_error **err)
{
    if (!check_names(q, err))
        return false;

    *ret_disk = (struct disk_config){.read_only = q->read_only, .type = q->type};
    snprintf(ret_disk->path, sizeof(ret_disk->path), "%s", q->host_path);
    ret_disk->format = q->format != 0 ? q->format : DISK_FORMAT_RAW;
    if (ret_disk->type == 0) {
        struct disk probe = {.config = *ret_disk};
        if (!identify_disk(&probe, err))
            return false;
        ret_disk->type = probe.config.type;
    }
    *ret_mount = (struct mount_config){
        .read_only = q->read_only,
        .encrypted = q->encrypted,
        .ensure_filesystem = q->ensure_filesystem,
        .block_device = q->block_device,
    };
    snprintf(ret_mount->filesystem, SCSI_FS_SIZE, "%s", q->filesystem != NULL ? q->filesystem : "");
    for (size_t i = 0; i < q->n_options; i++)
        if (!mount_config_add_option(ret_mount, q->options[i]))
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "disk '%s': at most %d mount options of %d bytes", q->host_path,
                           SCSI_OPTIONS_MAX, SCSI_OPTION_SIZE - 1);
    return true;
}
