/*
 * Saves and restores. What travels is part of the VM's state: it is plugged before that is read, in
 * the same port. What does not is unplugged while the guest still runs, so that the guest knows,
 * and plugged again when it runs again: the same one here, the destination's own there.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "vpci/host.h"
#include "vpci/vpci.h"

static struct vpci *vpci_of(struct sf_controller *c)
{
    return (struct vpci *)c; /* base is the first member */
}

static bool stays_behind(const struct device *d)
{
    return d->state == DEVICE_READY && !d->travels;
}

bool vpci_leaves(struct sf_controller *c)
{
    const struct vpci *v = vpci_of(c);

    for (size_t i = 0; i < v->n_devices; i++)
        if (stays_behind(v->devices[i]))
            return true;
    return false;
}

/* ---- Source ---- */

/* What is half done cannot travel: its end is on this host. */
static void check_device(struct vpci *v, struct device *d, struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};

    vpci_describe(v, d, &text);
    if (d->state != DEVICE_RESERVED && d->state != DEVICE_READY)
        sf_reasons_add(why, "%s is %s; release what holds it",
                       text.data != NULL ? text.data : d->id, device_machine.states[d->state]);
    else if (stays_behind(d) && !guest_remove(v, d, GUEST_ONLY_ASK, &err))
        sf_reasons_add_error(why, err);
}

bool vpci_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    struct vpci *v = vpci_of(c);

    (void)err;
    for (size_t i = 0; i < v->n_devices; i++)
        check_device(v, v->devices[i], why);
    return true;
}

static bool take_away(struct vpci *v, struct device *d, struct sf_error **err)
{
    if (!guest_remove(v, d, GUEST_LET_GO, err)) {
        if (sf_error_code(*err) != SF_FAILED_PRECONDITION)
            d->away = DEVICE_LET_GO; /* it may have, and its answer was lost */
        return false;
    }
    d->away = DEVICE_ASKED;
    if (!unplug_device(v, d, err))
        return false;
    d->away = DEVICE_OUT;
    return true;
}

bool vpci_quiesce(struct sf_controller *c, struct sf_error **err)
{
    struct vpci *v = vpci_of(c);

    for (size_t i = 0; i < v->n_devices; i++)
        if (stays_behind(v->devices[i]) && !take_away(v, v->devices[i], err))
            return false;
    return true;
}

/* @d->away says how far it was taken out. */
static bool bring_back(struct vpci *v, struct device *d, struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *there = NULL;

    /* QEMU has not said that it is gone: it is asked once more. */
    if ((d->away == DEVICE_ASKED || d->leftover) && unplug_device(v, d, &there))
        d->away = DEVICE_OUT;
    if (d->away == DEVICE_OUT && !plug_device(v, d, err))
        return false;
    d->away = DEVICE_LET_GO;
    if (!guest_add(v, d, err))
        return false;
    d->away = DEVICE_HERE;
    vpci_keep_names(v, d);
    return true;
}

static void lose(struct vpci *v, struct device *d, const struct sf_error *err)
{
    bool out = d->away == DEVICE_OUT;

    sf_warning("sandbox '%s': %s; only a release helps, continuing", sf_sandbox_id(v->base.sandbox),
               sf_error_message(err));
    sf_sandbox_event(v->base.sandbox, "device.lost", "%s", sf_error_message(err));
    device_move(d, out ? DEVICE_LEFT_OUT : DEVICE_GUEST_FAILED);
    d->away = DEVICE_HERE;
    if (out && !d->leftover)
        d->port = VPCI_NO_PORT;
}

/* Nobody can repeat a thaw, so it tries twice. */
static void thaw_device(struct vpci *v, struct device *d)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *first = NULL, *err = NULL;

    if (!bring_back(v, d, &first) && !bring_back(v, d, &err))
        lose(v, d, err);
}

void vpci_thaw(struct sf_controller *c)
{
    struct vpci *v = vpci_of(c);
    struct fillers fillers = {0};

    for (struct device *d; (d = vpci_next_back(v)) != NULL;) {
        vpci_fill_up_to(v, &fillers, d);
        thaw_device(v, d);
    }
    vpci_remove_fillers(v, &fillers);
}

/* ---- Destination ---- */

/* The VM waits for its state: it gets what has a part in that. For the rest, all that can be known
 * now is asked now. */
static bool prepare_device(struct vpci *v, struct device *d, struct sf_error **err)
{
    if (device_is_of_host(d) && !host_find(&d->config, d->function, err))
        return sf_fail_in(err, "device '%s'", d->id);
    if (d->state != DEVICE_READY)
        return true;
    return d->travels ? plug_device(v, d, err) : plug_is_known(v, d, err);
}

bool vpci_prepare(struct sf_controller *c, struct sf_error **err)
{
    struct vpci *v = vpci_of(c);

    for (size_t i = 0; i < v->n_devices; i++)
        if (!prepare_device(v, v->devices[i], err))
            return false; /* what was plugged goes with the VM */
    return true;
}

static bool bring_all(struct vpci *v, struct fillers *fillers, struct sf_error **err)
{
    for (size_t i = 0; i < v->n_devices; i++) {
        struct device *d = v->devices[i];
        if (d->state == DEVICE_READY && d->travels && !bring_back(v, d, err))
            return false;
    }
    for (struct device *d; (d = vpci_next_back(v)) != NULL;) {
        vpci_fill_up_to(v, fillers, d);
        if (!bring_back(v, d, err))
            return false;
    }
    return true;
}

bool vpci_resume(struct sf_controller *c, struct sf_error **err)
{
    struct vpci *v = vpci_of(c);
    struct fillers fillers = {0};
    bool ok = bring_all(v, &fillers, err);

    vpci_remove_fillers(v, &fillers);
    return ok;
}

/* The guest has run with it, and its state is written again: that must not have what the snapshot
 * does not have. */
static void take_back(struct vpci *v, struct device *d)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *deaf = NULL, *first = NULL, *left = NULL;

    guest_remove(v, d, GUEST_FORCE, &deaf);
    if (!unplug_device(v, d, &first) && !unplug_device(v, d, &left))
        sf_warning("sandbox '%s': %s; the restore cannot be taken back as it should, continuing",
                   sf_sandbox_id(v->base.sandbox), sf_error_message(left));
}

void vpci_abandon(struct sf_controller *c)
{
    struct vpci *v = vpci_of(c);

    for (size_t i = 0; i < v->n_devices; i++) {
        struct device *d = v->devices[i];
        if (stays_behind(d) && (d->away != DEVICE_OUT || d->leftover))
            take_back(v, d);
    }
    vpci_empty(v);
}
