/* The destination's side. A failure anywhere is taken back by one vm_abandon(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "qemu/migrate.h"
#include "vm.h"

#define STATE_TIMEOUT_MS   30000
#define HELLO_TIMEOUT_MS   60000
#define ABANDON_TIMEOUT_MS 5000
#define SPARE_MIB          128 /* what QEMU needs beside guest RAM */

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- admit ---- */

static void admit_qemu(struct vm *vm, struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct document *d = &vm->document;
    struct run_user user;
    const struct probe *probe = vm_find_qemu(&user, &err);

    if (probe == NULL) {
        sf_reasons_add_error(why, err);
        return;
    }
    if (!probe_has_machine(probe, d->machine_type))
        sf_reasons_add_field(why, "vm.compatibility.machine_type",
                             "QEMU %s here does not know machine type '%s' (saved by QEMU %s): "
                             "install a newer QEMU",
                             probe->version, d->machine_type, vm->qemu_version);
    if (!probe_has_cpu(probe, d->cpu_model))
        sf_reasons_add_field(why, "vm.compatibility.cpu_model",
                             "QEMU %s here does not know CPU model '%s'", probe->version,
                             d->cpu_model);
    if (strcmp(d->accelerator, "kvm") == 0 && !probe->kvm)
        sf_reasons_add_field(why, "vm.compatibility.accelerator",
                             "the VM ran on KVM, which does not work here");
}

/* MiB that programs can still get; false: not known. */
static bool available_mib(unsigned long long *ret)
{
    char line[128];
    FILE *file = fopen("/proc/meminfo", "re");
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
        found = sscanf(line, "MemAvailable: %llu kB", ret) == 1;
    if (file != NULL)
        fclose(file);
    *ret /= 1024;
    return found;
}

bool vm_admit(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    struct vm *vm = vm_of(c);
    unsigned long long mib = 0;

    (void)err;
    if (vm->state != VM_RUNNING) {
        sf_reasons_add(why, "the snapshot has no section of a VM");
        return true;
    }
    admit_qemu(vm, why);
    if (vm->agent_protocol != VM_AGENT_PROTOCOL)
        sf_reasons_add_field(why, "vm.agent.protocol_version",
                             "the agent in the guest speaks protocol %u, this daemon speaks %d",
                             vm->agent_protocol, VM_AGENT_PROTOCOL);
    if (available_mib(&mib) && mib < SPARE_MIB)
        sf_reasons_add(why, "this host has %llu MiB of memory left, a VM needs %d", mib, SPARE_MIB);
    memory_admit(vm_setting("memory-dir"), &vm->imported_memory,
                 sf_sandbox_is_clone(vm->base.sandbox), why);
    return true;
}

/* ---- prepare, load ---- */

/* QEMU's user may be another here than where the RAM was made. */
static bool give_ram_to_qemu(struct vm *vm, struct sf_error **err)
{
    struct run_user user;

    if (!run_user_find(vm_setting("qemu-user"), &user, err))
        return false;
    return !user.drop || fchown(memory_ram(vm->memory), user.uid, user.gid) == 0 ||
           sf_fail(err, SF_UNAVAILABLE, "the RAM of sandbox '%s' cannot be given to user '%s'",
                   vm_id(vm), vm_setting("qemu-user"));
}

/* What is saved: for a clone that of what it is made from. */
static struct memory *saved_memory(const struct vm *vm)
{
    struct memory *origin = memory_origin(vm->memory);

    return origin != NULL ? origin : vm->memory;
}

static bool take_memory(struct vm *vm, struct sf_error **err)
{
    SF_CLEANUP(memory_freep)
    struct memory *saved = memory_open(vm_setting("memory-dir"), &vm->imported_memory, err);
    struct run_user user;

    if (saved == NULL || !run_user_find(vm_setting("qemu-user"), &user, err))
        return false;
    if (!sf_sandbox_is_clone(vm->base.sandbox)) {
        vm->memory = SF_STEAL(saved);
        return memory_take(vm->memory, err);
    }
    vm->memory = memory_clone(saved, vm_id(vm), &user, err);
    if (vm->memory == NULL)
        return false;
    saved = NULL; /* the clone's */
    return true;
}

/* The lease knows better than the snapshot where a conversation stands that a restore had begun. */
static bool import_conversation(struct vm *vm, struct sf_error **err)
{
    const char *newer = memory_conversation(saved_memory(vm));
    struct vm_floors floors SF_CLEANUP(vm_floors_done) = {0};

    if (newer == NULL)
        return vm_lines_import(vm, &vm->imported_floors, err);
    return vm_floors_from_text(&floors, newer, err) && vm_lines_import(vm, &floors, err);
}

bool vm_prepare(struct sf_controller *c, struct sf_error **err)
{
    struct vm *vm = vm_of(c);

    return take_memory(vm, err) && give_ram_to_qemu(vm, err) && vm_process_start(vm, true, err) &&
           import_conversation(vm, err);
}

bool vm_load(struct sf_controller *c, struct sf_error **err)
{
    struct vm *vm = vm_of(c);
    struct memory *saved = saved_memory(vm);
    SF_CLEANUP(closep) int fd = memory_state_open(saved, err);

    if (fd < 0)
        return false;
    return migrate_in(vm->qmp, fd, memory_ram_is_in_state(saved), STATE_TIMEOUT_MS, err) ||
           vm_process_explain(vm, err);
}

/* ---- resume ---- */

static bool run(struct vm *vm, struct sf_error **err)
{
    if (!memory_advance(vm->memory, vm_id(vm), err))
        return false;
    vm->advanced = true;
    if (!vm_lines_connect(vm, err))
        return false;
    vm->ran = true; /* from here on it may have, even if QEMU says no */
    return qmp_execute(vm->qmp, "cont", NULL, NULL, err);
}

bool vm_resume(struct sf_controller *c, struct sf_error **err)
{
    struct vm *vm = vm_of(c);

    if (vm->state != VM_RUNNING || vm->qmp == NULL)
        return sf_fail(err, SF_UNAVAILABLE, "the VM of sandbox '%s' is lost", vm_id(vm));
    return run(vm, err) && vm_guest_hello(vm, HELLO_TIMEOUT_MS, err) &&
           (memory_origin(vm->memory) == NULL || vm_guest_set_identity(vm, err)) &&
           vm_guest_thaw(vm, err) && vm_lines_open_later(vm, err);
}

/* ---- abandon ---- */

/* The guest has run here: what the snapshot stands for is the guest as it is now. */
static bool save_again(struct vm *vm, struct sf_error **err)
{
    struct vm_floors floors SF_CLEANUP(vm_floors_done) = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *mute = NULL;

    if (!vm_guest_freeze(vm, ABANDON_TIMEOUT_MS, &mute))
        sf_info("sandbox '%s': its agent does not freeze: %s", vm_id(vm), sf_error_message(mute));
    if (!vm_halt(vm, ABANDON_TIMEOUT_MS, err) || !vm_lines_export(vm, &floors, err))
        return false;
    SF_CLEANUP(sf_freep) char *conversation = vm_floors_to_text(&floors, err);
    SF_CLEANUP(sf_freep) char *files = vm_files_to_text(vm, err);
    if (conversation == NULL || files == NULL)
        return false;
    memory_step_back(vm->memory);
    return vm_write_state(vm, &(struct memory_notes){conversation, files}, err);
}

static void give_memory_back(struct vm *vm)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    bool ok = true;

    if (vm->ran)
        ok = vm->qmp != NULL && save_again(vm, &err);
    else if (vm->advanced)
        ok = memory_retreat(vm->memory, &err);
    if (!ok)
        sf_warning("sandbox '%s': what was restored cannot be put back: %s; its snapshot cannot be "
                   "restored any more, continuing",
                   vm_id(vm), err == NULL ? "QEMU has ended" : sf_error_message(err));
    memory_let_go(vm->memory);
}

void vm_abandon(struct sf_controller *c)
{
    struct vm *vm = vm_of(c);

    bool clone = vm->memory != NULL && memory_origin(vm->memory) != NULL;

    if (vm->memory != NULL && !clone)
        give_memory_back(vm);
    vm_process_end(vm);
    if (clone)
        memory_remove(vm->memory); /* what it was made from is as it was */
    memory_free(SF_STEAL(vm->memory));
    vm_floors_done(&vm->imported_floors);
    vm_options_done(&vm->options);
    vm->advanced = vm->ran = false;
    vm->state = VM_NOT_CREATED;
}
