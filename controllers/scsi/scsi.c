#include "scsi/scsi.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static struct scsi *scsi_of(struct sf_controller *c)
{
    return (struct scsi *)c; /* base is the first member */
}

/* ---- What it offers ---- */

static bool offer_reserve(struct sf_controller *owner, const struct sf_disk_request *request,
                          char ret_id[37], struct sf_error **err)
{
    struct disk_config config;
    struct mount_config mount;

    return scsi_config(request, &config, &mount, err) &&
           scsi_reserve(scsi_of(owner), &config, request->partition, &mount, ret_id, err);
}

static bool offer_map(struct sf_controller *owner, const char *id, const char **ret_guest_path,
                      struct sf_error **err)
{
    return scsi_map(scsi_of(owner), id, ret_guest_path, err);
}

static bool offer_release(struct sf_controller *owner, const char *id, struct sf_error **err)
{
    return scsi_release(scsi_of(owner), id, err);
}

static bool offer_hold(struct sf_controller *owner, const char *id, const char *holder,
                       struct sf_error **err)
{
    struct reservation *r = scsi_find(scsi_of(owner), id);

    if (r == NULL)
        return sf_fail(err, SF_NOT_FOUND, "there is no disk reservation '%s'", id);
    snprintf(r->holder, sizeof(r->holder), "%s", holder != NULL ? holder : "");
    return true;
}

static bool offer_pin(struct sf_controller *owner, const struct sf_disk_request *request,
                      unsigned controller, unsigned lun, struct sf_error **err)
{
    struct disk_config config;
    struct mount_config mount; /* whoever mounts it has a reservation */

    return scsi_config(request, &config, &mount, err) &&
           scsi_pin(scsi_of(owner), controller, lun, &config, err);
}

static const struct sf_disks_offer disks_offer = {
    .size = sizeof(disks_offer),
    .reserve = offer_reserve,
    .map = offer_map,
    .release = offer_release,
    .hold = offer_hold,
    .pin = offer_pin,
};

static const struct sf_offer offers[] = {{SF_DISKS_OFFER, &disks_offer}, {0}};

/* ---- Its life ---- */

static void scsi_fini(struct sf_controller *c)
{
    scsi_empty(scsi_of(c));
}

/* What is half done cannot travel: its end is on this host. Nor can a disk whose file was replaced:
 * the destination would open another than the VM has. */
static void check_disk(const struct disk *d, struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    uint64_t size;
    int64_t modified_ns;
    char name[16];

    if (d->state == DISK_EJECTED || d->state == DISK_DETACHED)
        sf_reasons_add(why, "disk '%s' ('%s') is %s; release what holds it", disk_name(d, name),
                       d->config.path, disk_machine.states[d->state]);
    else if (d->overlaid)
        sf_reasons_add(
            why,
            "what this clone writes to disk '%s' ('%s') ends with it: let go of the disk, or "
            "restore the clone with a disk of its own, by a patch",
            disk_name(d, name), d->config.path);
    else if (d->state == DISK_ATTACHED && !stat_disk(d, &size, &modified_ns, &err))
        sf_reasons_add_error(why, err);
    for (unsigned i = 0; i < d->n_mounts; i++)
        if (d->mounts[i]->doubtful)
            sf_reasons_add(why,
                           "the guest has not said whether partition %llu of disk '%s' is "
                           "unmounted; repeat the release",
                           (unsigned long long)d->mounts[i]->partition, disk_name(d, name));
        else if (d->mounts[i]->state == MOUNT_UNMOUNTED)
            sf_reasons_add(why,
                           "partition %llu of disk '%s' could not be mounted; release what "
                           "holds it",
                           (unsigned long long)d->mounts[i]->partition, disk_name(d, name));
}

static bool scsi_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    const struct scsi *s = scsi_of(c);

    (void)err;
    for (size_t i = 0; i < s->n_reservations; i++)
        if (s->reservations[i].dropped)
            sf_reasons_add(why, "the release of disk reservation '%s' is half done; repeat it",
                           s->reservations[i].id);
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++)
        if (s->disks[slot] != NULL)
            check_disk(s->disks[slot], why);
    return true;
}

/* The processors stand still and QEMU has flushed: what the files are now, they are when restored.
 */
static bool scsi_save(struct sf_controller *c, struct sf_bytes *ret_section, struct sf_error **err)
{
    struct scsi *s = scsi_of(c);

    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        struct disk *d = s->disks[slot];
        if (d != NULL && d->state == DISK_ATTACHED &&
            !stat_disk(d, &d->size_bytes, &d->modified_ns, err))
            return false;
    }
    return scsi_to_section(s, ret_section, err);
}

static bool scsi_import(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                        struct sf_error **err)
{
    (void)version; /* there is one */
    return scsi_from_section(scsi_of(c), section, err);
}

static bool do_patch(struct sf_controller *c, const char *object, const char *value,
                     struct sf_error **err)
{
    return scsi_patch(scsi_of(c), object, value, err);
}

static bool do_admit(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    return scsi_admit(scsi_of(c), why, err);
}

/* The VM waits for its state: it gets its disks first, each in its slot. */
static bool scsi_prepare(struct sf_controller *c, struct sf_error **err)
{
    struct scsi *s = scsi_of(c);

    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        struct disk *d = s->disks[slot];
        if (d == NULL)
            continue;
        d->overlaid = overlay_wanted(s, d); /* also for one that is only reserved */
        if (d->state != DISK_ATTACHED)
            continue;
        if (!identify_disk(d, err) || !attach_disk(s, d, err))
            return false; /* what was attached goes with the VM */
    }
    return true;
}

static void scsi_abandon(struct sf_controller *c)
{
    scsi_empty(scsi_of(c));
}

static const char *const depends[] = {"vm", NULL};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "scsi",
    .instance_size   = sizeof(struct scsi),
    .section_version = SCSI_SECTION_VERSION,
    .section_oldest  = SCSI_SECTION_VERSION,
    .critical        = true,
    .depends         = depends,
    .services        = scsi_services,
    .offers          = offers,

    .fini    = scsi_fini,
    .destroy = scsi_abandon,
    .check   = scsi_check,
    .save    = scsi_save,
    .import  = scsi_import,
    .patch   = do_patch,
    .admit   = do_admit,
    .prepare = scsi_prepare,
    .abandon = scsi_abandon)
/* clang-format on */
