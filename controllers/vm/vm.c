/* The class of the vm controller, and how a VM is made and ended. */
#include "vm.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define BOOT_TIMEOUT_MS 120000 /* an emulated guest on a busy host */

const char *vm_setting(const char *name)
{
    static const char *const defaults[][2] = {
        {"qemu", "qemu-system-x86_64"},
        {"qemu-user", "nobody"},
        {"memory-dir", "/dev/shm/sandferry"},
        {"image-dir", "/usr/share/sandferry/image"},
    };
    const char *value = sf_setting(name);

    for (size_t i = 0; value == NULL && i < sizeof(defaults) / sizeof(defaults[0]); i++)
        if (strcmp(defaults[i][0], name) == 0)
            value = defaults[i][1];
    return value;
}

const struct probe *vm_find_qemu(struct run_user *ret_user, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *kernel = sf_format("%s/vmlinux", vm_setting("image-dir"));

    if (!run_user_find(vm_setting("qemu-user"), ret_user, err))
        return NULL;
    return probe_qemu(vm_setting("qemu"), ret_user, kernel == NULL ? "" : kernel, err);
}

bool vm_move(struct vm *vm, enum vm_event on, struct sf_error **err)
{
    return sf_machine_move(&vm_machine, &vm->state, on, vm_id(vm), err);
}

void vm_lose(struct vm *vm, const char *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    SF_CLEANUP(sf_freep)
    char *words = vm->process == NULL ? NULL : run_last_words(vm->process);

    if (vm->state == VM_INVALID || !vm_move(vm, VM_LOST, &ignored))
        return;
    if (words != NULL && words[0] != '\0')
        sf_sandbox_invalid(vm->base.sandbox, "its VM is lost: %s; QEMU's last words: '%s'", why,
                           words);
    else
        sf_sandbox_invalid(vm->base.sandbox, "its VM is lost: %s", why);
}

/* ---- create and destroy ---- */

static bool make_document(struct vm *vm, struct sf_error **err)
{
    struct run_user user;
    const struct probe *probe = vm_find_qemu(&user, err);
    if (probe == NULL)
        return false;

    struct document_options o = {
        .memory_bytes = vm->options.memory_bytes,
        .processors = vm->options.processors,
        .cpu_model = vm->options.cpu_model,
        .kernel_arguments = vm->options.kernel_arguments,
        .accelerator = probe->kvm ? "kvm" : "tcg",
    };
    if (!document_make(&vm->document, &o, err))
        return false;
    if (!probe_has_machine(probe, vm->document.machine_type))
        return sf_fail(err, SF_FAILED_PRECONDITION, "QEMU %s here does not know machine type '%s'",
                       probe->version, vm->document.machine_type);
    if (!probe_has_cpu(probe, vm->document.cpu_model))
        return sf_fail(err, SF_INVALID_ARGUMENT, "cpu_model: QEMU %s here does not know '%s'",
                       probe->version, vm->document.cpu_model);
    vm->memory =
        memory_create(vm_setting("memory-dir"), vm->document.memory_bytes, vm_id(vm), &user, err);
    return vm->memory != NULL;
}

static bool boot(struct vm *vm, struct sf_error **err)
{
    if (!vm_process_start(vm, false, err))
        return false;
    vm_lines_open(vm);
    return vm_move(vm, VM_STARTED, err) && vm_lines_connect(vm, err) &&
           qmp_execute(vm->qmp, "cont", NULL, NULL, err) &&
           vm_guest_hello(vm, BOOT_TIMEOUT_MS, err) && vm_guest_set_identity(vm, err) &&
           vm_move(vm, VM_ANSWERED, err);
}

static void end(struct vm *vm)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;

    vm_process_end(vm);
    if (vm->memory != NULL)
        memory_remove(vm->memory);
    memory_free(SF_STEAL(vm->memory));
    memory_free(SF_STEAL(vm->kept));
    vm_move(vm, VM_ENDED, &ignored);
}

static bool create(struct sf_controller *c, const struct sf_bytes *options, struct sf_error **err)
{
    struct vm *vm = vm_of(c);

    if (!vm_options_unpack(&vm->options, options, err))
        return false;
    if (make_document(vm, err) && boot(vm, err))
        return true;
    if (vm->process != NULL)
        vm_process_explain(vm, err);
    end(vm);
    return false;
}

/* A VM that was saved has given its memory away: vm_discard() and vm_abandon() leave none here. A
 * sandbox of a daemon before this one has no books here: only what stands in its directory. */
static void destroy(struct sf_controller *c)
{
    struct vm *vm = vm_of(c);

    if (vm->state == VM_RUNNING && vm->agent.host != NULL && !vm->stopped && !vm->guest_frozen)
        vm_guest_shutdown(vm);
    if (vm->state == VM_NOT_CREATED)
        vm_orphan_end(vm);
    end(vm);
}

static bool init(struct sf_controller *c, struct sf_error **err)
{
    (void)err;
    struct vm *vm = vm_of(c);

    vm->next_fd_set = 1;
    pthread_mutex_init(&vm->shares_lock, NULL);
    pthread_mutex_init(&vm->sending, NULL);
    return true;
}

static void fini(struct sf_controller *c)
{
    struct vm *vm = vm_of(c);

    vm_process_end(vm);
    memory_free(vm->memory);
    memory_free(vm->kept);
    vm_floors_done(&vm->imported_floors);
    vm_options_done(&vm->options);
    pthread_mutex_destroy(&vm->shares_lock);
    pthread_mutex_destroy(&vm->sending);
}

static bool import(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                   struct sf_error **err)
{
    (void)version; /* there is one */
    return vm_from_section(vm_of(c), section, err);
}

static const struct sf_offer offers[] = {
    {.name = SF_MACHINE_OFFER, .ops = &vm_machine_offer},
    {.name = SF_GUEST_OFFER, .ops = &vm_guest_offer},
    {.name = SF_SHARE_LINE_OFFER, .ops = &vm_share_line_offer},
    {0},
};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "vm",
    .instance_size   = sizeof(struct vm),
    .section_version = VM_SECTION_VERSION,
    .section_oldest  = VM_SECTION_VERSION,
    .offers          = offers,

    .init    = init,
    .fini    = fini,
    .create  = create,
    .destroy = destroy,

    .check   = vm_check,
    .quiesce = vm_quiesce,
    .stop    = vm_stop,
    .keep    = vm_keep,
    .save    = vm_save,
    .thaw    = vm_thaw,
    .discard = vm_discard,

    .import  = import,
    .admit   = vm_admit,
    .prepare = vm_prepare,
    .load    = vm_load,
    .resume  = vm_resume,
    .abandon = vm_abandon,

    .unkeep  = vm_unkeep,
    .awaken  = vm_awaken)
/* clang-format on */
