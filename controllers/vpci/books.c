/* The books: devices and reservations, sorted by id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vpci/vpci.h"

/* Where @id is, or where it would have to go. */
static size_t place_of_device(const struct vpci *v, const char *id)
{
    size_t at = 0;

    while (at < v->n_devices && strcmp(v->devices[at]->id, id) < 0)
        at++;
    return at;
}

struct device *vpci_find_device(const struct vpci *v, const char *id)
{
    size_t at = place_of_device(v, id);

    return at < v->n_devices && strcmp(v->devices[at]->id, id) == 0 ? v->devices[at] : NULL;
}

bool vpci_add_device(struct vpci *v, struct device *d, struct sf_error **err)
{
    if (v->n_devices == VPCI_DEVICES_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "there are %d devices, which is the most; remove one first",
                       VPCI_DEVICES_MAX);

    size_t at = place_of_device(v, d->id);
    memmove(&v->devices[at + 1], &v->devices[at], (v->n_devices - at) * sizeof(v->devices[0]));
    v->devices[at] = d;
    v->n_devices++;
    return true;
}

void vpci_drop_device(struct vpci *v, struct device *d)
{
    size_t at = place_of_device(v, d->id);

    v->n_devices--;
    memmove(&v->devices[at], &v->devices[at + 1], (v->n_devices - at) * sizeof(v->devices[0]));
    free(d);
}

static size_t place_of_reservation(const struct vpci *v, const char *id)
{
    size_t low = 0, high = v->n_reservations;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(v->reservations[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct reservation *vpci_find_reservation(const struct vpci *v, const char *id)
{
    size_t at = place_of_reservation(v, id);

    return at < v->n_reservations && strcmp(v->reservations[at].id, id) == 0 ? &v->reservations[at]
                                                                             : NULL;
}

bool vpci_add_reservation(struct vpci *v, const char *id, const char *device, struct sf_error **err)
{
    if (v->n_reservations == VPCI_RESERVATIONS_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "there are %d device reservations, which is the most; release one first",
                       VPCI_RESERVATIONS_MAX);
    struct reservation *grown = realloc(v->reservations, (v->n_reservations + 1) * sizeof(*grown));
    if (grown == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a reservation");

    v->reservations = grown;
    size_t at = place_of_reservation(v, id);
    memmove(&grown[at + 1], &grown[at], (v->n_reservations - at) * sizeof(*grown));
    grown[at] = (struct reservation){0};
    snprintf(grown[at].id, sizeof(grown[at].id), "%s", id);
    snprintf(grown[at].device, sizeof(grown[at].device), "%s", device);
    v->n_reservations++;
    return true;
}

void vpci_drop_reservation(struct vpci *v, struct reservation *r)
{
    size_t at = (size_t)(r - v->reservations);

    v->n_reservations--;
    memmove(r, r + 1, (v->n_reservations - at) * sizeof(*r));
}

void vpci_empty(struct vpci *v)
{
    while (v->n_devices > 0)
        free(v->devices[--v->n_devices]);
    free(v->reservations);
    v->reservations = NULL;
    v->n_reservations = 0;
}

int vpci_free_port(const struct vpci *v)
{
    for (int port = 0; port < VPCI_PORTS; port++) {
        bool taken = false;
        for (size_t i = 0; i < v->n_devices; i++)
            taken = taken || v->devices[i]->port == port;
        if (!taken)
            return port;
    }
    return VPCI_NO_PORT;
}

void vpci_describe(const struct vpci *v, const struct device *d, struct sf_text *out)
{
    const char *between = ", held by ";
    char name[64];

    sf_text_add(out, "device '%s' (%s", d->id, device_name(d, name));
    for (size_t i = 0; i < v->n_reservations; i++) {
        const struct reservation *r = &v->reservations[i];
        if (strcmp(r->device, d->id) != 0 || r->holder[0] == '\0')
            continue;
        sf_text_add(out, "%s%s", between, r->holder);
        between = ", ";
    }
    sf_text_add(out, ")");
}
