#include "vpci/device.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const states[] = {
    [DEVICE_RESERVED] = "reserved", [DEVICE_ASSIGNED] = "assigned",
    [DEVICE_READY] = "ready",       [DEVICE_INVALID] = "assigned, but unusable",
    [DEVICE_REMOVED] = "removed",
};
static_assert(COUNT(states) == DEVICE_N_STATES, "every state has a name");

static const char *const events[] = {
    [DEVICE_PLUG_DONE] = "plug done",         [DEVICE_PLUG_FAILED] = "plug failed",
    [DEVICE_GUEST_DONE] = "guest done",       [DEVICE_GUEST_FAILED] = "guest failed",
    [DEVICE_LEFT_OUT] = "left out",           [DEVICE_UNPLUG_DONE] = "unplug done",
    [DEVICE_UNPLUG_FAILED] = "unplug failed",
};
static_assert(COUNT(events) == DEVICE_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step steps[] = {
    /* a device that is    when                   becomes         */
    { DEVICE_RESERVED,     DEVICE_PLUG_DONE,      DEVICE_ASSIGNED },
    { DEVICE_RESERVED,     DEVICE_PLUG_FAILED,    DEVICE_REMOVED  },

    { DEVICE_ASSIGNED,     DEVICE_GUEST_DONE,     DEVICE_READY    },
    { DEVICE_ASSIGNED,     DEVICE_GUEST_FAILED,   DEVICE_INVALID  },

    { DEVICE_READY,        DEVICE_GUEST_FAILED,   DEVICE_INVALID  },
    { DEVICE_READY,        DEVICE_LEFT_OUT,       DEVICE_REMOVED  },
    { DEVICE_READY,        DEVICE_UNPLUG_DONE,    DEVICE_REMOVED  },
    { DEVICE_READY,        DEVICE_UNPLUG_FAILED,  DEVICE_INVALID  },

    { DEVICE_INVALID,      DEVICE_UNPLUG_DONE,    DEVICE_REMOVED  },
    { DEVICE_INVALID,      DEVICE_UNPLUG_FAILED,  DEVICE_INVALID  },
};

const struct sf_machine device_machine = {
    .noun = "vpci device",
    .states = states, .n_states = COUNT(states),
    .events = events, .n_events = COUNT(events),
    .steps  = steps,  .n_steps  = COUNT(steps),
};
/* clang-format on */

struct device *device_new(const char *id, const struct device_config *config)
{
    struct device *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    snprintf(d->id, sizeof(d->id), "%s", id);
    d->config = *config;
    d->port = VPCI_NO_PORT;
    return d;
}

bool device_is_of_host(const struct device *d)
{
    return d->config.host_address[0] != '\0';
}

bool device_is_in_vm(const struct device *d)
{
    return d->state == DEVICE_ASSIGNED || d->state == DEVICE_READY || d->state == DEVICE_INVALID;
}

void device_move(struct device *d, enum device_event on)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *impossible = NULL;
    bool moved = sf_machine_move(&device_machine, &d->state, on, d->id, &impossible);

    assert(moved);
    (void)moved;
}

bool device_node_valid(const char *node)
{
    static const char good[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/";
    size_t size = strlen(node);

    return size > 5 && size < VPCI_NODE_SIZE && strncmp(node, "/dev/", 5) == 0 &&
           strspn(node, good) == size && strstr(node, "..") == NULL && strstr(node, "//") == NULL;
}

const char *device_name(const struct device *d, char ret[64])
{
    const char *what = device_is_of_host(d) ? d->config.host_address : d->config.model;
    char function[16] = "", place[16] = "";

    if (d->config.virtual_function > 0)
        snprintf(function, sizeof(function), "/%u", d->config.virtual_function);
    if (d->port != VPCI_NO_PORT)
        snprintf(place, sizeof(place), " in port%d", d->port);
    snprintf(ret, 64, "%.32s%s%s", what, function, place);
    return ret;
}
