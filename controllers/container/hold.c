/* What a container holds of other controllers: disks, shares, devices. Each kind has a keeper. */
#include "container/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/validate.h"

/* ---- Keepers ---- */

/* What the three offers have in common. */
struct keeper {
    struct sf_controller *owner;
    const void *offer;
    bool (*release)(struct sf_controller *owner, const char *id, struct sf_error **err);
    bool (*hold)(struct sf_controller *owner, const char *id, const char *holder,
                 struct sf_error **err);
};

static const struct {
    const char *offer, *noun, *controller;
} kinds[HELD_KINDS] = {
    [HELD_DISKS] = {SF_DISKS_OFFER, "disks", "scsi"},
    [HELD_SHARES] = {SF_SHARES_OFFER, "shares", "plan9"},
    [HELD_DEVICES] = {SF_DEVICES_OFFER, "devices", "vpci"},
};

static bool keeper_of(const struct containers *c, enum held_kind kind, struct keeper *ret,
                      struct sf_error **err)
{
    ret->offer = sf_sandbox_offer(c->base.sandbox, kinds[kind].offer, &ret->owner);
    if (ret->offer == NULL)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "this daemon has no %s: its '%s' controller is not installed",
                       kinds[kind].noun, kinds[kind].controller);
    if (kind == HELD_DISKS) {
        const struct sf_disks_offer *disks = ret->offer;
        ret->release = disks->release;
        ret->hold = disks->hold;
    } else if (kind == HELD_SHARES) {
        const struct sf_shares_offer *shares = ret->offer;
        ret->release = shares->release;
        ret->hold = shares->hold;
    } else {
        const struct sf_devices_offer *devices = ret->offer;
        ret->release = devices->release;
        ret->hold = devices->hold;
    }
    return true;
}

static bool hold(const struct keeper *k, const char *id, const struct container *container,
                 struct sf_error **err)
{
    char holder[96];

    snprintf(holder, sizeof(holder), "container '%s'", container->container_id);
    return k->hold(k->owner, id, holder, err);
}

/* ---- Mounts for the spec ---- */

void spec_mounts_done(struct spec_mounts *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->list[i].source);
        free(m->list[i].destination);
    }
    free(m->list);
}

/* Both are given away. */
static bool add_mount(struct spec_mounts *m, char *source, char *destination, bool read_only,
                      struct sf_error **err)
{
    struct spec_mount *grown = realloc(m->list, (m->n + 1) * sizeof(*grown));

    if (grown != NULL)
        m->list = grown;
    if (grown == NULL || source == NULL || destination == NULL) {
        free(source);
        free(destination);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a mount");
    }
    m->list[m->n++] =
        (struct spec_mount){.source = source, .destination = destination, .read_only = read_only};
    return true;
}

/* ---- Taking ---- */

static bool take_disk(struct containers *c, struct container *container,
                      const struct sf_disk_request *request, char ret_id[SF_GUID_SIZE],
                      const char **ret_path, struct sf_error **err)
{
    struct keeper k;

    if (!keeper_of(c, HELD_DISKS, &k, err))
        return false;
    const struct sf_disks_offer *disks = k.offer;
    return disks->reserve(k.owner, request, ret_id, err) && hold(&k, ret_id, container, err) &&
           disks->map(k.owner, ret_id, ret_path, err);
}

static bool take_layers(struct containers *c, struct container *container,
                        const struct wanted_container *wanted, struct sf_error **err)
{
    const char *path;

    for (size_t i = 0; i < wanted->n_layers; i++) {
        struct layer *layer = &container->layers[i];
        container->n_layers = i + 1;
        if (!take_disk(c, container, &wanted->layers[i].request, layer->reservation_id, &path, err))
            return sf_fail_in(err, "layers[%zu]", i);
        snprintf(layer->guest_path, sizeof(layer->guest_path), "%s", path);
    }
    return true;
}

/* As it was asked for, or as the sandbox has it. */
static bool scratch_is_encrypted(struct containers *c, const struct wanted_disk *scratch)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *machine =
        sf_sandbox_offer(c->base.sandbox, SF_MACHINE_OFFER, &owner);

    return scratch->request.encrypted || (machine != NULL && machine->size >= sizeof(*machine) &&
                                          machine->enable_scratch_encryption(owner));
}

static bool take_scratch(struct containers *c, struct container *container,
                         const struct wanted_container *wanted, struct sf_error **err)
{
    const struct pod *pod = pod_find(c, container->pod_id);
    const char *path;

    if (wanted->scratch == NULL)
        return true;
    struct sf_disk_request request = wanted->scratch->request;
    request.encrypted = scratch_is_encrypted(c, wanted->scratch);
    if (!take_disk(c, container, &request, container->scratch.reservation_id, &path, err))
        return sf_fail_in(err, "scratch");
    SF_CLEANUP(sf_freep)
    char *scratch = sf_guest_scratch_path(path, pod->guest_pod_id, container->guest_container_id);
    if (scratch == NULL || strlen(scratch) >= sizeof(container->scratch.guest_path))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "scratch: no memory for its path");
    snprintf(container->scratch.guest_path, sizeof(container->scratch.guest_path), "%s", scratch);
    return true;
}

/* There is room for what is reserved: create.c has looked at the numbers. */
static void note(struct container *container, enum held_kind kind, const char *id)
{
    if (id[0] != '\0')
        held_add(&container->held[kind], id);
}

static bool take_disks(struct containers *c, struct container *container,
                       const struct wanted_container *wanted, struct spec_mounts *mounts,
                       struct sf_error **err)
{
    for (size_t i = 0; i < wanted->n_disks; i++) {
        const struct wanted_disk *w = &wanted->disks[i];
        char id[SF_GUID_SIZE] = "";
        const char *path;
        bool ok = take_disk(c, container, &w->request, id, &path, err);
        note(container, HELD_DISKS, id);
        if (!ok ||
            !add_mount(mounts, strdup(path), strdup(w->destination), w->request.read_only, err))
            return sf_fail_in(err, "disks[%zu]", i);
    }
    return true;
}

static bool take_shares(struct containers *c, struct container *container,
                        const struct wanted_container *wanted, struct spec_mounts *mounts,
                        struct sf_error **err)
{
    for (size_t i = 0; i < wanted->n_shares; i++) {
        const struct wanted_share *w = &wanted->shares[i];
        char id[SF_GUID_SIZE] = "";
        struct keeper k;
        const char *path;
        if (!keeper_of(c, HELD_SHARES, &k, err))
            return sf_fail_in(err, "shares[%zu]", i);
        const struct sf_shares_offer *shares = k.offer;
        bool ok = shares->reserve(k.owner, &w->request, id, err);
        note(container, HELD_SHARES, id);
        if (!ok || !hold(&k, id, container, err) || !shares->map(k.owner, id, &path, err) ||
            !add_mount(mounts, strdup(path), strdup(w->destination), w->request.read_only, err))
            return sf_fail_in(err, "shares[%zu]", i);
    }
    return true;
}

/* A device is its nodes, each at the path that the guest has it at. One without nodes is a
 * program's own to drive, through sysfs: it gets, writable, the folder of the port that the
 * function is plugged into. Not the function's, which goes when what does not travel is unplugged,
 * and with it whatever is mounted there: the port's stays, and what is plugged again appears in it.
 */
static bool mount_device(const struct sf_device_found *found, struct spec_mounts *mounts,
                         struct sf_error **err)
{
    for (size_t i = 0; i < found->n_nodes; i++) {
        const char *node = found->nodes[i];
        if (strncmp(node, "/dev/", 5) != 0)
            return sf_fail(err, SF_UNAVAILABLE, "the guest has its node at '%.200s', not in /dev",
                           node);
        if (!add_mount(mounts, strdup(node), strdup(node), false, err))
            return false;
        mounts->list[mounts->n - 1].node = true;
        mounts->list[mounts->n - 1].number = found->numbers[i];
    }
    if (found->n_nodes > 0)
        return true;
    return add_mount(mounts, sf_format("/sys/bus/pci/devices/%s/..", found->pci_address),
                     sf_format("/sys/bus/pci/devices/%s/..", found->pci_address), false, err);
}

static bool take_devices(struct containers *c, struct container *container,
                         const struct wanted_container *wanted, struct spec_mounts *mounts,
                         struct sf_error **err)
{
    for (size_t i = 0; i < wanted->n_devices; i++) {
        char id[SF_GUID_SIZE] = "";
        struct sf_device_found found;
        struct keeper k;
        if (!keeper_of(c, HELD_DEVICES, &k, err))
            return sf_fail_in(err, "devices[%zu]", i);
        const struct sf_devices_offer *devices = k.offer;
        bool ok = devices->reserve(k.owner, &wanted->devices[i], id, err);
        note(container, HELD_DEVICES, id);
        if (!ok || !hold(&k, id, container, err) || !devices->map(k.owner, id, &found, err) ||
            !mount_device(&found, mounts, err))
            return sf_fail_in(err, "devices[%zu]", i);
    }
    return true;
}

bool hold_wanted(struct containers *c, struct container *container,
                 const struct wanted_container *wanted, struct spec_mounts *ret,
                 struct sf_error **err)
{
    return take_layers(c, container, wanted, err) && take_scratch(c, container, wanted, err) &&
           take_disks(c, container, wanted, ret, err) &&
           take_shares(c, container, wanted, ret, err) &&
           take_devices(c, container, wanted, ret, err);
}

/* ---- Letting go ---- */

/* Lets go of one; "" once it is done, so that a repeat goes on with the next. */
static bool let_go(const struct containers *c, enum held_kind kind, char id[SF_GUID_SIZE],
                   struct sf_error **err)
{
    struct keeper k;

    if (id[0] == '\0')
        return true;
    if (!keeper_of(c, kind, &k, err) || !k.release(k.owner, id, err))
        return false;
    id[0] = '\0';
    return true;
}

bool hold_release(struct containers *c, struct container *container, struct sf_error **err)
{
    if (!let_go(c, HELD_DISKS, container->scratch.reservation_id, err))
        return false;
    while (container->n_layers > 0) {
        if (!let_go(c, HELD_DISKS, container->layers[container->n_layers - 1].reservation_id, err))
            return false;
        container->n_layers--;
    }
    for (unsigned kind = 0; kind < HELD_KINDS; kind++)
        while (container->held[kind].n > 0) {
            struct held *held = &container->held[kind];
            if (!let_go(c, kind, held->ids[held->n - 1], err))
                return false;
            held->n--;
        }
    return true;
}

/* ---- After an import ---- */

static bool hold_disk_again(const struct keeper *k, const struct container *container,
                            const struct layer *layer, struct sf_error **err)
{
    return layer->reservation_id[0] == '\0' || hold(k, layer->reservation_id, container, err);
}

bool hold_again(struct containers *c, const struct container *container, struct sf_error **err)
{
    struct keeper k;

    if (!keeper_of(c, HELD_DISKS, &k, err) ||
        !hold_disk_again(&k, container, &container->scratch, err))
        return false;
    for (size_t i = 0; i < container->n_layers; i++)
        if (!hold_disk_again(&k, container, &container->layers[i], err))
            return false;
    for (unsigned kind = 0; kind < HELD_KINDS; kind++) {
        const struct held *held = &container->held[kind];
        if (held->n > 0 && !keeper_of(c, kind, &k, err))
            return false;
        for (size_t i = 0; i < held->n; i++)
            if (!hold(&k, held->ids[i], container, err))
                return false;
    }
    return true;
}
