/* The files that QEMU was given, so that a restore that is taken back can tell when the guest had
 * written to them last. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "vm.h"

bool vm_file_keep(struct vm *vm, uint32_t set, int fd, struct sf_error **err)
{
    struct vm_file *files = reallocarray(vm->files, vm->n_files + 1, sizeof(*vm->files));

    if (files == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    vm->files = files;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no descriptor is left for a disk: %s",
                       strerror(errno));
    vm->files[vm->n_files++] = (struct vm_file){.set = set, .fd = copy};
    return true;
}

void vm_file_forget(struct vm *vm, uint32_t set)
{
    size_t kept = 0;

    for (size_t i = 0; i < vm->n_files; i++)
        if (vm->files[i].set == set)
            close(vm->files[i].fd);
        else
            vm->files[kept++] = vm->files[i];
    vm->n_files = kept;
}

void vm_files_done(struct vm *vm)
{
    for (size_t i = 0; i < vm->n_files; i++)
        close(vm->files[i].fd);
    free(SF_STEAL(vm->files));
    vm->n_files = 0;
}

static json_t *one_to_json(int fd)
{
    struct stat at;

    if (fstat(fd, &at) != 0 || !S_ISREG(at.st_mode))
        return NULL;
    return json_pack("{s:I, s:I, s:I}", "device", (json_int_t)at.st_dev, "inode",
                     (json_int_t)at.st_ino, "modified_ns",
                     (json_int_t)at.st_mtim.tv_sec * 1000000000 + at.st_mtim.tv_nsec);
}

char *vm_files_to_text(const struct vm *vm, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *array = json_array();

    for (size_t i = 0; array != NULL && i < vm->n_files; i++) {
        json_t *one = one_to_json(vm->files[i].fd);
        if (one != NULL && json_array_append_new(array, one) != 0)
            break;
    }
    char *text = array == NULL ? NULL : json_dumps(array, JSON_COMPACT);
    if (text == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return text;
}

bool vm_file_saved(struct sf_controller *owner, uint64_t device, uint64_t inode,
                   int64_t *ret_modified_ns)
{
    const struct vm *vm = vm_of(owner);
    json_error_t problem;
    json_t *one;
    size_t i;

    SF_CLEANUP(sf_freep)
    char *text = memory_files(vm_setting("memory-dir"), &vm->imported_memory);
    SF_CLEANUP(json_decrefp)
    json_t *array = text == NULL ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    json_array_foreach(array, i, one)
    {
        json_int_t its_device, its_inode, modified_ns;
        if (json_unpack(one, "{s:I, s:I, s:I}", "device", &its_device, "inode", &its_inode,
                        "modified_ns", &modified_ns) != 0 ||
            (uint64_t)its_device != device || (uint64_t)its_inode != inode)
            continue;
        *ret_modified_ns = modified_ns;
        return true;
    }
    return false;
}
