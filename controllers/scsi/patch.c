/* Putting this host's disks in the place of the source's, and whether they fit. */
#include "scsi/scsi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Patches name what the snapshot has: two disks may so change places. */
static const char *saved_path(const struct disk *d)
{
    return d->saved_path != NULL ? d->saved_path : d->config.path;
}

static bool set_path(struct disk *d, const char *path, struct sf_error **err)
{
    if (path[0] != '/' || strlen(path) >= sizeof(d->config.path))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s' is not an absolute path of a disk",
                       path);
    if (d->saved_path == NULL && (d->saved_path = strdup(d->config.path)) == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    snprintf(d->config.path, sizeof(d->config.path), "%s", path);
    d->patched = true;
    return true;
}

static bool patch_prefix(struct scsi *s, const char *prefix, const char *value,
                         struct sf_error **err)
{
    size_t n = strlen(prefix), found = 0;

    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        struct disk *d = s->disks[slot];
        if (d == NULL || strncmp(saved_path(d), prefix, n) != 0)
            continue;
        found++;
        if (d->named)
            continue; /* the patch that names it counts */
        SF_CLEANUP(sf_freep)
        char *path = sf_format("%s%s%s", value, value[strlen(value) - 1] == '/' ? "" : "/",
                               saved_path(d) + n);
        if (path == NULL)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        if (!set_path(d, path, err))
            return false;
    }
    return found > 0 ? true : sf_fail(err, SF_NOT_FOUND, "no disk has a path beneath '%s'", prefix);
}

/* A disk by slot, "0:3". */
static struct disk *by_name(const struct scsi *s, const char *object)
{
    char name[16];

    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++)
        if (s->disks[slot] != NULL && strcmp(disk_name(s->disks[slot], name), object) == 0)
            return s->disks[slot];
    return NULL;
}

static struct disk *by_path(const struct scsi *s, const char *object)
{
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++)
        if (s->disks[slot] != NULL && strcmp(saved_path(s->disks[slot]), object) == 0)
            return s->disks[slot];
    return NULL;
}

bool scsi_patch(struct scsi *s, const char *object, const char *value, struct sf_error **err)
{
    size_t n = strlen(object);

    if (value[0] != '/')
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s' is not an absolute path of a disk",
                       value);
    if (n > 0 && object[0] == '/' && object[n - 1] == '/')
        return patch_prefix(s, object, value, err);

    const struct reservation *r = scsi_find(s, object);
    struct disk *d = r != NULL ? s->disks[r->slot] : by_name(s, object);
    if (d == NULL)
        d = by_path(s, object);
    if (d == NULL)
        return sf_fail(err, SF_NOT_FOUND,
                       "no disk has the reservation, slot or path '%.200s'; see the disks of the "
                       "snapshot",
                       object);
    return set_path(d, value, err) && (d->named = true);
}

/* ---- Admission ---- */

/* When the file had last been written as the memory was saved that is to run. */
static int64_t saved_ns(struct scsi *s, const struct disk *d)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *machine =
        sf_sandbox_offer(s->base.sandbox, SF_MACHINE_OFFER, &owner);
    int64_t since;

    if (machine != NULL &&
        machine->size >=
            offsetof(struct sf_machine_offer, file_saved) + sizeof(machine->file_saved) &&
        machine->file_saved(owner, d->device, d->inode, &since))
        return since;
    return d->modified_ns;
}

/* @index: the place of the disk in the section, for paths of fields. */
static void admit_disk(struct scsi *s, struct disk *d, size_t index, struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_freep) char *field = sf_format("scsi.disks[%zu].host_path", index);
    uint64_t size;
    int64_t modified_ns;
    char name[16];

    d->overlaid = overlay_wanted(s, d); /* it is opened to read only */
    if (!identify_disk(d, &err) || !stat_disk(d, &size, &modified_ns, &err)) {
        sf_reasons_add_field(why, field != NULL ? field : "scsi.disks", "disk '%s': %s",
                             disk_name(d, name), sf_error_message(err));
        return;
    }
    if (d->state == DISK_RESERVED)
        return; /* the VM has never seen it */
    if (size != d->size_bytes)
        sf_reasons_add_field(why, field != NULL ? field : "scsi.disks",
                             "disk '%s' ('%s') has %llu bytes, and had %llu when it was saved; "
                             "give the disk as it was then, by a patch",
                             disk_name(d, name), d->config.path, (unsigned long long)size,
                             (unsigned long long)d->size_bytes);
    else if (!d->patched && modified_ns != saved_ns(s, d))
        sf_reasons_add_field(why, field != NULL ? field : "scsi.disks",
                             "disk '%s' ('%s') %s since the save; what the guest "
                             "remembers of it is wrong: give the disk as it was then, by a patch",
                             disk_name(d, name), d->config.path,
                             d->config.type == DISK_TYPE_DEVICE ? "is another device"
                                                                : "has been written");
}

static void admit_names(const struct scsi *s, const struct disk *d, size_t index,
                        struct sf_reasons *why)
{
    SF_CLEANUP(sf_freep) char *field = sf_format("scsi.disks[%zu].host_path", index);
    char name[16], other_name[16];

    for (unsigned slot = 0; slot < d->slot; slot++) {
        const struct disk *other = s->disks[slot];
        if (other == NULL || d->device == 0 || other->device != d->device ||
            other->inode != d->inode ||
            (other->config.read_only && d->config.read_only &&
             strcmp(other->config.path, d->config.path) != 0))
            continue;
        sf_reasons_add_field(why, field != NULL ? field : "scsi.disks",
                             "disk '%s' is the same file as disk '%s' on this host; patch one of "
                             "them",
                             disk_name(d, name), disk_name(other, other_name));
    }
}

bool scsi_admit(struct scsi *s, struct sf_reasons *why, struct sf_error **err)
{
    size_t index = 0;

    (void)err;
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        struct disk *d = s->disks[slot];
        if (d == NULL)
            continue;
        admit_disk(s, d, index, why);
        admit_names(s, d, index, why);
        index++;
    }
    return true;
}
