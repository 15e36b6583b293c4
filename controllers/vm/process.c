/* What runs: the QEMU process, its control socket, and with them the lines to the guest. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "vm.h"

#define QMP_START_TIMEOUT_MS 20000

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- the guest image ---- */

/* A name beneath the image directory, or a path beneath one of the daemon's roots. */
static char *image_path(const struct vm *vm, const char *file, bool *ret_ours,
                        struct sf_error **err)
{
    const char *image = vm->options.image;
    char *path = NULL;

    *ret_ours = image[0] != '/';
    if (image[0] == '\0')
        path = sf_format("%s/%s", vm_setting("image-dir"), file);
    else if (!*ret_ours)
        path = sf_format("%s/%s", image, file);
    else if (!sf_id_valid(image))
        sf_fail(err, SF_INVALID_ARGUMENT,
                "image '%.80s' is neither the name of a directory beneath the image directory nor "
                "a whole path",
                image);
    else
        path = sf_format("%s/%s/%s", vm_setting("image-dir"), image, file);
    return path;
}

static int open_image(const struct vm *vm, const char *file, struct sf_error **err)
{
    bool ours;
    SF_CLEANUP(sf_freep) char *path = image_path(vm, file, &ours, err);
    if (path == NULL)
        return -1;
    int fd = ours ? open(path, O_RDONLY | O_CLOEXEC) : sf_path_open(path, O_RDONLY, err);
    if (fd < 0 && ours)
        sf_fail(err, SF_FAILED_PRECONDITION,
                "there is no guest image: '%s' cannot be opened (%s); make one with ./dev image, "
                "or name its directory with --image-dir",
                path, strerror(errno));
    return fd;
}

/* ---- starting ---- */

/* The descriptors that QEMU inherits, and where its sockets are. */
struct start {
    int directory, qmp, agent, shares, kernel, initrd;
};

static void start_done(struct start *s)
{
    closep(&s->directory);
    closep(&s->qmp);
    closep(&s->agent);
    closep(&s->shares);
    closep(&s->kernel);
    closep(&s->initrd);
}

static bool start_open(struct vm *vm, bool incoming, struct start *s, struct sf_error **err)
{
    const char *directory = sf_sandbox_directory(vm->base.sandbox);

    s->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->directory < 0)
        return sf_fail(err, SF_UNAVAILABLE, "directory '%s' cannot be opened: %s", directory,
                       strerror(errno));
    if ((s->qmp = run_listen(s->directory, "qmp", err)) < 0 ||
        (s->agent = run_listen(s->directory, "agent", err)) < 0)
        return false;
    if (document_has_shares_line(&vm->document) &&
        (s->shares = run_listen(s->directory, "shares", err)) < 0)
        return false;
    return incoming || ((s->kernel = open_image(vm, "vmlinux", err)) >= 0 &&
                        (s->initrd = open_image(vm, "initrd", err)) >= 0);
}

static bool start_qemu(struct vm *vm, const struct start *s, bool incoming, struct sf_error **err)
{
    struct run_user user;
    const struct memory *origin = memory_origin(vm->memory);
    const struct probe *probe = vm_find_qemu(&user, err);
    if (probe == NULL)
        return false;
    snprintf(vm->qemu_version, sizeof(vm->qemu_version), "%s", probe->version);

    struct document_launch launch = {
        .program = probe->program,
        .name = vm_id(vm),
        .ram_fd = memory_ram(vm->memory),
        .qmp_fd = s->qmp,
        .agent_fd = s->agent,
        .shares_fd = s->shares,
        .kernel_fd = s->kernel,
        .initrd_fd = s->initrd,
        /* A guest that moves keeps its memory, and stays who it is. */
        .generation_guid = memory_reference(vm->memory)->memory_id,
        .private_ram = origin != NULL,
        .incoming = incoming,
        .filter = true,
    };
    char **arguments = document_arguments(&vm->document, &launch);
    if (arguments == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    int fds[8] = {launch.ram_fd, memory_lock(vm->memory), s->qmp, s->agent};
    size_t n_fds = 4;
    for (int i = 0; i < 4; i++) {
        int more = (const int[]){s->shares, s->kernel, s->initrd,
                                 origin != NULL ? memory_lock(origin) : -1}[i];
        if (more >= 0)
            fds[n_fds++] = more;
    }
    struct run_options o = {.arguments = (const char *const *)arguments,
                            .fds = fds,
                            .n_fds = n_fds,
                            .user = user,
                            .directory_fd = s->directory};
    vm->process = run_start(&o, err);
    document_arguments_free(arguments);
    return vm->process != NULL;
}

/* ---- what comes from its threads ---- */

/* Under the sandbox's lock. */
static void deliver_loss(void *context, const void *why, size_t size)
{
    (void)size;
    vm_lose(context, why);
}

void vm_lose_later(struct vm *vm, const char *why)
{
    if (!dispatch_post(vm->agent.dispatch, deliver_loss, vm, why, strlen(why) + 1))
        sf_warning("sandbox '%s': no memory to tell that its VM is lost, continuing", vm_id(vm));
    sf_sandbox_changed(vm->base.sandbox);
}

static void qmp_lost(void *context, const char *why)
{
    struct vm *vm = context;

    vm_lines_fail(vm, why); /* whoever waits for the agent waits no longer */
    vm_lose_later(vm, why);
}

static bool connect_qmp(struct vm *vm, const struct start *s, struct sf_error **err)
{
    struct qmp_ops ops = {.lost = qmp_lost, .context = vm};
    int fd = run_connect(s->directory, "qmp", err);

    if (fd < 0)
        return false;
    vm->qmp = qmp_new(fd, &ops, QMP_START_TIMEOUT_MS, err);
    return vm->qmp != NULL;
}

bool vm_process_start(struct vm *vm, bool incoming, struct sf_error **err)
{
    struct start s = {-1, -1, -1, -1, -1, -1};

    bool ok = start_open(vm, incoming, &s, err) && vm_lines_make(vm, err) &&
              start_qemu(vm, &s, incoming, err);
    /* Only QEMU listens now, so that its end shows. */
    closep(&s.qmp);
    closep(&s.agent);
    closep(&s.shares);
    s.qmp = s.agent = s.shares = -1;
    ok = ok && vm_orphan_record(vm, err) && connect_qmp(vm, &s, err);
    start_done(&s);
    if (ok)
        return true;
    if (vm->process != NULL)
        vm_process_explain(vm, err);
    vm_process_end(vm);
    return false;
}

/* The callbacks of what is ended first reach what is ended last. */
void vm_process_end(struct vm *vm)
{
    qmp_free(SF_STEAL(vm->qmp));
    vm_lines_end(vm);
    if (vm->process != NULL)
        vm_orphan_forget(vm);
    run_free(SF_STEAL(vm->process));
    vm_lines_forget(vm);
    vm_files_done(vm);
    vm_drives_done(vm);
    vm->n_listeners = 0;
    vm->guest_frozen = vm->stopped = vm->saved = false;
}

/* ---- last words ---- */

/* The last line of the guest's console that says something. The caller's; NULL: none. */
static char *console_words(struct vm *vm)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    SF_CLEANUP(json_decrefp) json_t *answer = NULL;

    if (vm->qmp == NULL ||
        !qmp_execute_fd(vm->qmp, "ringbuf-read",
                        json_pack("{s:s, s:i}", "device", "console", "size", 65536), -1, 2000,
                        &answer, &ignored))
        return NULL;
    const char *text = json_string_value(answer);
    size_t size = text == NULL ? 0 : strlen(text);
    while (size > 0 && (unsigned char)text[size - 1] <= ' ')
        size--;
    size_t begin = size;
    while (begin > 0 && text[begin - 1] != '\n' && size - begin < 300)
        begin--;
    return size == 0 ? NULL : strndup(text + begin, size - begin);
}

bool vm_process_explain(struct vm *vm, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *qemu = run_last_words(vm->process);
    SF_CLEANUP(sf_freep) char *guest = console_words(vm);

    if (qemu != NULL && qemu[0] != '\0')
        sf_fail_in(err, "QEMU's last words: '%s'", qemu);
    if (guest != NULL)
        sf_fail_in(err, "the guest's last words: '%s'", guest);
    return false;
}
