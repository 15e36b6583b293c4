/*
 * A QEMU whose daemon was killed runs on by itself. What is written here, in the sandbox's
 * directory, lets the next daemon end it and take away its memory, when it is asked to stop the
 * sandbox.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "base/text.h"
#include "vm.h"

#define END_TIMEOUT_MS 10000

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static char *record_path(const struct vm *vm)
{
    return sf_format("%s/vm.json", sf_sandbox_directory(vm->base.sandbox));
}

/* When a process began, in clock ticks since boot: with the pid, a name that is never given twice.
 * 0: there is no such process. */
static long long process_start(pid_t pid)
{
    char path[64], text[1024];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    size_t n = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
    if (file != NULL)
        fclose(file);
    text[n] = '\0';
    char *at = strrchr(text, ')'); /* the name before it may hold anything */
    long long start = 0;
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at == NULL || sscanf(at, " %lld", &start) != 1 ? 0 : start;
}

/* ---- writing it ---- */

bool vm_orphan_record(const struct vm *vm, struct sf_error **err)
{
    const struct memory_reference *r = memory_reference(vm->memory);
    pid_t pid = run_pid(vm->process);
    SF_CLEANUP(sf_freep) char *path = record_path(vm);
    SF_CLEANUP(json_decrefp)
    json_t *object = json_pack("{s:i, s:I, s:s, s:s, s:I}", "pid", (int)pid, "started",
                               (json_int_t)process_start(pid), "memory_id", r->memory_id,
                               "family_id", r->family_id, "size_bytes", (json_int_t)r->size_bytes);

    if (path != NULL && object != NULL && json_dump_file(object, path, JSON_COMPACT) == 0)
        return true;
    return sf_fail(err, SF_UNAVAILABLE, "the record of the VM of sandbox '%s' cannot be written",
                   vm_id(vm));
}

void vm_orphan_forget(const struct vm *vm)
{
    SF_CLEANUP(sf_freep) char *path = record_path(vm);

    if (path != NULL)
        unlink(path);
}

/* ---- acting on it ---- */

static void end_process(const struct vm *vm, pid_t pid, long long started)
{
    SF_CLEANUP(closep) int pidfd = pid > 1 ? pidfd_open(pid, 0) : -1;

    if (pidfd < 0 || started == 0 || process_start(pid) != started)
        return; /* it has ended; the number may be another's by now */
    pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    if (poll(&fd, 1, END_TIMEOUT_MS) == 1)
        sf_info("sandbox '%s': the VM that its last daemon left has been ended", vm_id(vm));
    else
        sf_warning("sandbox '%s': the VM that its last daemon left does not end, continuing",
                   vm_id(vm));
}

/* Only what nobody can use any more: not what a snapshot stands for, and not what another runs. */
static void remove_memory(const struct vm *vm, const struct memory_reference *reference)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(memory_freep)
    struct memory *m = memory_open(vm_setting("memory-dir"), reference, &err);

    if (m != NULL && memory_take_waste(m, vm_id(vm), &err))
        memory_remove(m);
    else
        sf_info("sandbox '%s': memory '%s' stays: %s", vm_id(vm), reference->memory_id,
                sf_error_message(err));
}

void vm_orphan_end(const struct vm *vm)
{
    SF_CLEANUP(sf_freep) char *path = record_path(vm);
    SF_CLEANUP(json_decrefp) json_t *object = path == NULL ? NULL : json_load_file(path, 0, NULL);
    struct memory_reference r = {0};
    const char *memory_id, *family_id;
    json_int_t started, size;
    int pid;

    if (json_unpack(object, "{s:i, s:I, s:s, s:s, s:I}", "pid", &pid, "started", &started,
                    "memory_id", &memory_id, "family_id", &family_id, "size_bytes", &size) != 0)
        return;
    snprintf(r.memory_id, sizeof(r.memory_id), "%s", memory_id);
    snprintf(r.family_id, sizeof(r.family_id), "%s", family_id);
    r.size_bytes = (uint64_t)size;
    end_process(vm, pid, started);
    remove_memory(vm, &r);
    vm_orphan_forget(vm);
}
