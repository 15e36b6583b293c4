/*
 * Disks whose image formats QEMU gives no state out with ("does not support live migration": vhd,
 * vhdx). Their nodes have no state that would have to move, once they are flushed; so while the
 * processors stand still each such disk is given an empty node in place of its image, and gets the
 * image back before they run. Reading an incoming state does not mind them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "vm.h"

static struct vm_drive *find(struct vm *vm, const char *device)
{
    for (size_t i = 0; i < vm->n_drives; i++)
        if (strcmp(vm->drives[i].device, device) == 0)
            return &vm->drives[i];
    return NULL;
}

static void drive_done(struct vm_drive *d)
{
    free(d->device);
    free(d->node);
    json_decref(d->blockdev);
}

static void forget(struct vm *vm, const char *device)
{
    struct vm_drive *d = find(vm, device);

    if (d == NULL)
        return;
    drive_done(d);
    *d = vm->drives[--vm->n_drives];
}

bool vm_drive_keep(struct sf_controller *owner, const char *device_id, const char *blockdev_json,
                   struct sf_error **err)
{
    struct vm *vm = vm_of(owner);
    json_error_t problem;

    forget(vm, device_id);
    if (blockdev_json == NULL)
        return true;
    struct vm_drive *grown = reallocarray(vm->drives, vm->n_drives + 1, sizeof(*grown));
    if (grown != NULL)
        vm->drives = grown;
    json_t *blockdev = json_loads(blockdev_json, JSON_REJECT_DUPLICATES, &problem);
    const char *node = json_string_value(json_object_get(blockdev, "node-name"));
    struct vm_drive d = {.device = strdup(device_id),
                         .node = node != NULL ? strdup(node) : NULL,
                         .blockdev = blockdev};
    if (grown == NULL || d.device == NULL || d.node == NULL) {
        drive_done(&d);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for disk '%s'", device_id);
    }
    vm->drives[vm->n_drives++] = d;
    return true;
}

void vm_drives_done(struct vm *vm)
{
    for (size_t i = 0; i < vm->n_drives; i++)
        drive_done(&vm->drives[i]);
    free(SF_STEAL(vm->drives));
    vm->n_drives = 0;
}

bool vm_drives_explain(const struct vm *vm, const char *blocker)
{
    for (size_t i = 0; i < vm->n_drives; i++) {
        const char *at = strstr(blocker, vm->drives[i].node);
        size_t size = strlen(vm->drives[i].node);
        if (at != NULL && at > blocker && at[-1] == '\'' && at[size] == '\'')
            return true;
    }
    return false;
}

/* ---- the empty node ---- */

static void empty_name(const struct vm_drive *d, char ret[64])
{
    snprintf(ret, 64, "aside-%.40s", d->node);
}

/* As large as the image: the guest is told when its disk changes. */
static bool virtual_size(struct vm *vm, const char *node, json_int_t *ret, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *list = NULL;
    size_t i;
    json_t *one;

    if (!qmp_execute(vm->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", true), &list,
                     err))
        return false;
    json_array_foreach(list, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "node-name"));
        if (name == NULL || strcmp(name, node) != 0)
            continue;
        *ret = json_integer_value(json_object_get(json_object_get(one, "image"), "virtual-size"));
        return true;
    }
    return sf_fail(err, SF_INTERNAL, "QEMU has no node '%s'", node);
}

static bool set_drive(struct vm *vm, const struct vm_drive *d, const char *node,
                      struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("/machine/peripheral/%s", d->device);

    return path != NULL ? qmp_execute(vm->qmp, "qom-set",
                                      json_pack("{s:s, s:s, s:s}", "path", path, "property",
                                                "drive", "value", node),
                                      NULL, err)
                        : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static bool remove_node(struct vm *vm, const char *node, struct sf_error **err)
{
    return qmp_execute(vm->qmp, "blockdev-del", json_pack("{s:s}", "node-name", node), NULL, err);
}

static bool put_aside(struct vm *vm, struct vm_drive *d, struct sf_error **err)
{
    char empty[64];
    json_int_t size = 0;

    empty_name(d, empty);
    if (d->aside)
        return true;
    if (!virtual_size(vm, d->node, &size, err) ||
        !qmp_execute(vm->qmp, "blockdev-add",
                     json_pack("{s:s, s:s, s:I, s:b}", "driver", "null-co", "node-name", empty,
                               "size", size, "read-zeroes", true),
                     NULL, err))
        return false;
    d->aside = set_drive(vm, d, empty, err);
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    if (!d->aside)
        remove_node(vm, empty, &ignored);
    return d->aside && remove_node(vm, d->node, err);
}

static bool put_back(struct vm *vm, struct vm_drive *d, struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    char empty[64];

    empty_name(d, empty);
    if (!d->aside)
        return true;
    /* The image may be open still: its removal failed, or its answer was lost. */
    remove_node(vm, d->node, &ignored);
    if (!qmp_execute(vm->qmp, "blockdev-add", json_incref(d->blockdev), NULL, err) ||
        !set_drive(vm, d, d->node, err))
        return sf_fail_in(err, "disk '%s' cannot be given back to the VM", d->device);
    d->aside = false;
    return remove_node(vm, empty, err);
}

bool vm_drives_put_aside(struct vm *vm, struct sf_error **err)
{
    for (size_t i = 0; i < vm->n_drives; i++)
        if (!put_aside(vm, &vm->drives[i], err))
            return false;
    return true;
}

bool vm_drives_put_back(struct vm *vm, struct sf_error **err)
{
    for (size_t i = 0; i < vm->n_drives; i++)
        if (!put_back(vm, &vm->drives[i], err))
            return false;
    return true;
}
