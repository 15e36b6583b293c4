/* What other controllers use of the VM. */
#include <string.h>

#include "vm.h"

#define REMOVE_TIMEOUT_MS 10000

/* ---- the machine ---- */

static bool require_machine(struct vm *vm, struct sf_error **err)
{
    return vm->qmp != NULL ||
           sf_fail(err, SF_UNAVAILABLE, "sandbox '%s' has no VM that runs", vm_id(vm));
}

static bool execute(struct sf_controller *owner, const char *command, const char *arguments_json,
                    char **ret_json, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);
    SF_CLEANUP(json_decrefp) json_t *answer = NULL;
    json_error_t problem;
    json_t *arguments = NULL;

    if (!require_machine(vm, err))
        return false;
    if (arguments_json != NULL && (arguments = json_loads(arguments_json, 0, &problem)) == NULL)
        return sf_fail(err, SF_INTERNAL, "arguments of '%s' are no JSON: %s", command,
                       problem.text);
    if (!qmp_execute(vm->qmp, command, arguments, &answer, err))
        return false;
    if (ret_json == NULL)
        return true;
    *ret_json = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
    return *ret_json != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static bool add_fd(struct sf_controller *owner, int fd, uint32_t *ret_set, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);
    uint32_t set = vm->next_fd_set;

    if (!require_machine(vm, err) ||
        !qmp_execute_fd(vm->qmp, "add-fd", json_pack("{s:i}", "fdset-id", (int)set), fd,
                        QMP_TIMEOUT_MS, NULL, err))
        return false;
    vm->next_fd_set++;
    *ret_set = set;
    if (vm_file_keep(vm, set, fd, err))
        return true;
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    qmp_execute(vm->qmp, "remove-fd", json_pack("{s:i}", "fdset-id", (int)set), NULL, &ignored);
    return false;
}

static bool remove_fd(struct sf_controller *owner, uint32_t set, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);

    vm_file_forget(vm, set);
    return require_machine(vm, err) &&
           qmp_execute(vm->qmp, "remove-fd", json_pack("{s:i}", "fdset-id", (int)set), NULL, err);
}

static bool get_fd(struct sf_controller *owner, const char *name, int fd, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);

    return require_machine(vm, err) &&
           qmp_execute_fd(vm->qmp, "getfd", json_pack("{s:s}", "fdname", name), fd, QMP_TIMEOUT_MS,
                          NULL, err);
}

/* Whether QEMU knows a device of this id. */
static bool device_is_there(struct vm *vm, const char *id, bool *ret, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *list = NULL;
    size_t i;
    json_t *one;

    if (!qmp_execute(vm->qmp, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"), &list,
                     err))
        return false;
    *ret = false;
    json_array_foreach(list, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        *ret = *ret || (name != NULL && strcmp(name, id) == 0);
    }
    return true;
}

static bool remove_device(struct sf_controller *owner, const char *device_id, uint32_t timeout_ms,
                          struct sf_error **err)
{
    struct vm *vm = vm_of(owner);
    bool there;

    if (!require_machine(vm, err) || !device_is_there(vm, device_id, &there, err))
        return false;
    if (!there)
        return true;
    qmp_expect(vm->qmp, "DEVICE_DELETED", "device", device_id);
    return qmp_execute(vm->qmp, "device_del", json_pack("{s:s}", "id", device_id), NULL, err) &&
           qmp_await(vm->qmp, timeout_ms == 0 ? REMOVE_TIMEOUT_MS : timeout_ms, err);
}

static bool no_writable_file_shares(struct sf_controller *owner)
{
    return vm_of(owner)->options.no_writable_file_shares;
}

static bool enable_scratch_encryption(struct sf_controller *owner)
{
    return vm_of(owner)->options.enable_scratch_encryption;
}

static int clone_file(struct sf_controller *owner, const char *name, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);

    if (vm->memory != NULL && memory_origin(vm->memory) != NULL)
        return memory_clone_file(vm->memory, name, err);
    sf_fail(err, SF_FAILED_PRECONDITION, "sandbox '%s' is no clone", vm_id(vm));
    return -1;
}

const struct sf_machine_offer vm_machine_offer = {
    .size = sizeof(vm_machine_offer),
    .execute = execute,
    .add_fd = add_fd,
    .remove_fd = remove_fd,
    .remove_device = remove_device,
    .no_writable_file_shares = no_writable_file_shares,
    .file_saved = vm_file_saved,
    .enable_scratch_encryption = enable_scratch_encryption,
    .put_aside = vm_drive_keep,
    .clone_file = clone_file,
    .get_fd = get_fd,
};

/* ---- the guest ---- */

static bool call(struct sf_controller *owner, void *request, uint32_t timeout_ms, void **ret,
                 struct sf_error **err)
{
    struct vm *vm = vm_of(owner);

    if (vm->agent.host == NULL)
        return sf_fail(err, SF_UNAVAILABLE, "sandbox '%s' has no guest that runs", vm_id(vm));
    return guest_host_call(vm->agent.host, request, timeout_ms, ret, err);
}

static void unlisten(struct sf_controller *owner, struct sf_controller *listener)
{
    struct vm *vm = vm_of(owner);
    size_t kept = 0;

    for (size_t i = 0; i < vm->n_listeners; i++)
        if (vm->listeners[i].controller != listener)
            vm->listeners[kept++] = vm->listeners[i];
    vm->n_listeners = kept;
}

static bool listen_to(struct sf_controller *owner, struct sf_controller *listener,
                      sf_guest_event_fn fn, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);

    unlisten(owner, listener); /* a repeat takes the place of the first */
    if (vm->n_listeners == VM_LISTENERS_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "%d controllers listen to the guest already",
                       VM_LISTENERS_MAX);
    vm->listeners[vm->n_listeners++] = (struct vm_listener){.controller = listener, .fn = fn};
    return true;
}

const struct sf_guest_offer vm_guest_offer = {
    .size = sizeof(vm_guest_offer),
    .call = call,
    .listen = listen_to,
    .unlisten = unlisten,
};

const struct sf_share_line_offer vm_share_line_offer = {
    .size = sizeof(vm_share_line_offer),
    .listen = vm_shares_listen,
    .send = vm_shares_send,
};
