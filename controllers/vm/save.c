/* The source's side. A failure anywhere is taken back by one vm_thaw(). */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "qemu/migrate.h"
#include "vm.h"

#define FREEZE_TIMEOUT_MS 30000 /* the guest writes its files back */
#define DRAIN_LIMIT_MS    10000
#define ROUNDS_MAX        1000
#define STATE_TIMEOUT_MS  30000

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* What QEMU itself has against giving its state out. */
static bool add_blockers(struct vm *vm, struct sf_reasons *why, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *answer = NULL;
    size_t i;
    json_t *reason;

    if (!qmp_execute(vm->qmp, "query-migrate", NULL, &answer, err))
        return false;
    json_array_foreach(json_object_get(answer, "blocked-reasons"), i, reason)
    {
        const char *words = json_string_value(reason);
        if (words != NULL && !vm_drives_explain(vm, words))
            sf_reasons_add(why, "QEMU cannot move the VM: %.500s", words);
    }
    return true;
}

/* What is unplugged when the guest is brought to rest is no reason before. */
static bool something_leaves(struct vm *vm)
{
    struct sf_controller *owner;
    const struct sf_devices_offer *devices =
        sf_sandbox_offer(vm->base.sandbox, SF_DEVICES_OFFER, &owner);

    return devices != NULL &&
           devices->size >= offsetof(struct sf_devices_offer, leaves) + sizeof(devices->leaves) &&
           devices->leaves(owner);
}

bool vm_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    struct vm *vm = vm_of(c);

    if (vm->state == VM_RUNNING && vm->qmp != NULL)
        return something_leaves(vm) || add_blockers(vm, why, err);
    sf_reasons_add(why, "vm '%s' is %s: only a VM that runs can be saved", vm_id(vm),
                   vm_machine.states[vm->state]);
    return true;
}

bool vm_quiesce(struct sf_controller *c, struct sf_error **err)
{
    struct vm *vm = vm_of(c);
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    if (why == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    if (!add_blockers(vm, why, err) ||
        !sf_reasons_fail(why, SF_FAILED_PRECONDITION, "the VM cannot be moved", err))
        return false;
    if (!vm_guest_freeze(vm, FREEZE_TIMEOUT_MS, err))
        return false;
    dispatch_run(vm->agent.dispatch); /* all that the guest said before it came to rest */
    return true;
}

bool vm_write_state(struct vm *vm, const struct memory_notes *notes, struct sf_error **err)
{
    SF_CLEANUP(closep) int fd = memory_state_create(vm->memory, err);

    return fd >= 0 &&
           migrate_out(vm->qmp, fd, memory_origin(vm->memory) != NULL, STATE_TIMEOUT_MS, err) &&
           memory_saved(vm->memory, notes, err);
}

/* QEMU's main loop has gone round: what it could give out, it has. */
static bool go_round(struct vm *vm, struct sf_error **err)
{
    return qmp_execute(vm->qmp, "query-status", NULL, NULL, err) &&
           qmp_execute(vm->qmp, "query-status", NULL, NULL, err);
}

/* What QEMU still holds of the guest's output goes on being put into guest RAM's queues until it
 * has been read; so it is read before the state is written, or the two would not fit. */
bool vm_halt(struct vm *vm, uint32_t limit_ms, struct sf_error **err)
{
    bool any = true;

    if (!qmp_execute(vm->qmp, "stop", NULL, NULL, err) || !vm_lines_drain(vm, limit_ms, &any, err))
        return false;
    any = true;
    for (int rounds = 0; any && rounds < ROUNDS_MAX; rounds++)
        if (!go_round(vm, err) || !vm_lines_drain(vm, limit_ms, &any, err))
            return false;
    if (any)
        return sf_fail(err, SF_UNAVAILABLE,
                       "QEMU gives out more and more of what the guest of sandbox '%s' said",
                       vm_id(vm));
    vm_lines_rest(vm);
    return vm_drives_put_aside(vm, err);
}

bool vm_stop(struct sf_controller *c, struct sf_error **err)
{
    struct vm *vm = vm_of(c);

    vm->stopped = true;
    if (!vm_halt(vm, DRAIN_LIMIT_MS, err))
        return false;
    dispatch_run(vm->agent.dispatch);
    if (!vm_write_state(vm, NULL, err))
        return false;
    vm->saved = true;
    memory_let_go(vm->memory);
    return true;
}

bool vm_keep(struct sf_controller *c, struct sf_error **err)
{
    struct vm *vm = vm_of(c);

    vm->kept = memory_copy(vm->memory, err);
    return vm->kept != NULL;
}

void vm_unkeep(struct sf_controller *c)
{
    struct vm *vm = vm_of(c);

    if (vm->kept != NULL)
        memory_remove(vm->kept);
    memory_free(SF_STEAL(vm->kept));
}

bool vm_save(struct sf_controller *c, struct sf_bytes *ret, struct sf_error **err)
{
    return vm_to_section(vm_of(c), ret, err);
}

/* ---- back again ---- */

/* The snapshot that was made of it, if any, is worth nothing from now on. */
static bool take_memory_back(struct vm *vm, struct sf_error **err)
{
    if (!vm->saved)
        return true;
    if (!memory_take(vm->memory, err) || !memory_advance(vm->memory, vm_id(vm), err))
        return false;
    vm->saved = false;
    return true;
}

static bool run_on(struct vm *vm, struct sf_error **err)
{
    if (vm->stopped) {
        if (!take_memory_back(vm, err) || !vm_drives_put_back(vm, err) ||
            !qmp_execute(vm->qmp, "cont", NULL, NULL, err))
            return false;
        vm->stopped = false;
        vm_lines_go_on(vm);
    }
    return !vm->guest_frozen || vm_guest_thaw(vm, err);
}

/* The memory is somebody else's now: there is nothing that we could end with it. */
static void give_up_memory(struct vm *vm)
{
    if (vm->saved)
        memory_free(SF_STEAL(vm->memory));
}

void vm_thaw(struct sf_controller *c)
{
    struct vm *vm = vm_of(c);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    memory_free(SF_STEAL(vm->kept)); /* its files are the snapshot's */
    if (vm->qmp == NULL || vm->state != VM_RUNNING)
        return; /* lost meanwhile: the sandbox knows */
    if (!run_on(vm, &err)) {
        vm_lose(vm, sf_error_message(err));
        give_up_memory(vm);
    }
}

bool vm_awaken(struct sf_controller *c, struct sf_error **err)
{
    struct vm *vm = vm_of(c);

    return !vm->saved || vm->memory == NULL || memory_has_no_clones(vm->memory, err);
}

void vm_discard(struct sf_controller *c)
{
    struct vm *vm = vm_of(c);
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;

    memory_free(SF_STEAL(vm->kept));
    vm_process_end(vm);
    memory_free(SF_STEAL(vm->memory)); /* its files are the snapshot's */
    vm_move(vm, VM_ENDED, &ignored);
}
