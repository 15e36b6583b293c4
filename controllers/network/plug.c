/* The NIC in the VM: what QEMU is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "network/network.h"

#define REMOVE_MS 10000

static const struct sf_machine_offer *machine_of(struct networks *all, struct sf_controller **ret,
                                                 struct sf_error **err)
{
    const struct sf_machine_offer *m = sf_sandbox_offer(all->base.sandbox, SF_MACHINE_OFFER, ret);

    if (m == NULL)
        sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_MACHINE_OFFER);
    return m;
}

/* Takes @arguments over. */
static bool execute(struct networks *all, const char *command, json_t *arguments,
                    struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *m = machine_of(all, &owner, err);
    SF_CLEANUP(sf_freep) char *text = arguments != NULL ? json_dumps(arguments, 0) : NULL;
    bool memory = arguments == NULL || text != NULL;

    json_decref(arguments);
    return m != NULL && (memory || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory")) &&
           m->execute(owner, command, text, NULL, err);
}

static bool has_netdev(const struct sf_error *err)
{
    return strstr(sf_error_message(err), "not found") == NULL;
}

static bool remove_netdev(struct networks *all, const char *id, struct sf_error **err)
{
    struct sf_error *why = NULL;

    if (execute(all, "netdev_del", json_pack("{s:s}", "id", id), &why))
        return true;
    if (has_netdev(why)) {
        *err = why;
        return false;
    }
    sf_error_free(why);
    return true;
}

static bool add_tap(struct networks *all, const struct network *n, const struct endpoint *e,
                    const char *id, struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    struct sf_controller *owner;
    const struct sf_machine_offer *m = machine_of(all, &owner, err);
    int fd = m != NULL ? tap_open(n, e, err) : -1;
    if (fd < 0)
        return false;

    bool given = m->get_fd(owner, id, fd, err);
    close(fd);
    if (given && execute(all, "netdev_add",
                         json_pack("{s:s, s:s, s:s}", "type", "tap", "id", id, "fd", id), err))
        return true;
    if (given)
        execute(all, "closefd", json_pack("{s:s}", "fdname", id), &ignored);
    return false;
}

bool nic_plug(struct networks *all, const struct network *n, const struct endpoint *e,
              struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    char device[16], netdev[16], port[16];

    snprintf(device, sizeof(device), "nic-%u", e->port);
    snprintf(netdev, sizeof(netdev), "net-%u", e->port);
    snprintf(port, sizeof(port), "nic%u", e->port);
    bool ok =
        e->kind == ENDPOINT_USER
            ? execute(all, "netdev_add", json_pack("{s:s, s:s}", "type", "user", "id", netdev), err)
            : add_tap(all, n, e, netdev, err);
    if (!ok)
        return false;
    if (execute(all, "device_add",
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "driver", "virtio-net-pci", "id",
                          device, "netdev", netdev, "bus", port, "mac", e->mac_address, "romfile",
                          ""),
                err))
        return true;
    remove_netdev(all, netdev, &ignored);
    return false;
}

bool nic_unplug(struct networks *all, const struct endpoint *e, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *m = machine_of(all, &owner, err);
    char device[16], netdev[16];

    snprintf(device, sizeof(device), "nic-%u", e->port);
    snprintf(netdev, sizeof(netdev), "net-%u", e->port);
    return m != NULL && m->remove_device(owner, device, REMOVE_MS, err) &&
           remove_netdev(all, netdev, err);
}

bool nic_announce(struct networks *all, struct sf_error **err)
{
    return execute(
        all, "announce-self",
        json_pack("{s:i, s:i, s:i, s:i}", "initial", 50, "max", 550, "rounds", 5, "step", 100),
        err);
}
