#include "modules.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"

/* The functions of the first release: a class that lacks one of these is not ours. */
#define REQUIRED_SIZE (offsetof(struct sf_controller_class, abandon) + sizeof(void *))
#define NAME_MAX_SIZE 32

/* ---- adopting a class ---- */

static bool adopt(struct sf_controller_class *ret, const struct sf_controller_class *theirs,
                  const char *file, struct sf_error **err)
{
    if (theirs->abi != SF_CONTROLLER_ABI)
        return sf_fail(err, SF_UNIMPLEMENTED,
                       "'%s' is built for controller ABI %u, this daemon has %u: build it anew",
                       file, theirs->abi, SF_CONTROLLER_ABI);
    if (theirs->struct_size < REQUIRED_SIZE)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s': its class has %u bytes, the shortest has %zu: build it anew", file,
                       theirs->struct_size, REQUIRED_SIZE);

    /* An older class ends early: what it lacks is NULL. A newer one goes on: ignore the rest. */
    size_t known = theirs->struct_size < sizeof(*ret) ? theirs->struct_size : sizeof(*ret);
    memset(ret, 0, sizeof(*ret));
    memcpy(ret, theirs, known);
    return true;
}

static bool name_valid(const char *name)
{
    size_t size = name == NULL ? 0 : strlen(name);
    if (size == 0 || size > NAME_MAX_SIZE)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return false;
    return true;
}

static bool check_class(const struct modules *m, const struct sf_controller_class *cls,
                        const char *file, struct sf_error **err)
{
    if (!name_valid(cls->name))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s': its name must be 1 to %d letters, digits, '-' and '_'", file,
                       NAME_MAX_SIZE);
    if (cls->instance_size < sizeof(struct sf_controller))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s': instances of %zu bytes cannot begin with struct sf_controller", file,
                       cls->instance_size);
    if (cls->section_version == 0 || cls->section_oldest == 0 ||
        cls->section_oldest > cls->section_version)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s': section versions %u to %u: they count from 1, the oldest first", file,
                       cls->section_oldest, cls->section_version);
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->all[i].cls.name, cls->name) == 0)
            return sf_fail(err, SF_ALREADY_EXISTS,
                           "'%s' and '%s' are both controllers '%s': remove one", m->all[i].file,
                           file, cls->name);
    if (m->n == MODULES_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "'%s': more than %d controllers", file,
                       MODULES_MAX);
    return true;
}

bool modules_adopt(struct modules *m, const struct sf_controller_class *theirs, const char *file,
                   void *handle, struct sf_error **err)
{
    struct module module = {.handle = handle};

    bool ok = adopt(&module.cls, theirs, file, err) && check_class(m, &module.cls, file, err);
    if (ok && (module.file = strdup(file)) == NULL)
        ok = sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    if (ok)
        m->all[m->n++] = module;
    else if (handle != NULL)
        dlclose(handle);
    return ok;
}

/* ---- opening ---- */

/* Whoever can write a controller is the daemon. */
static bool is_ours(const char *path, struct sf_error **err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "'%s': %s", path, strerror(errno));
    return (info.st_mode & S_IWOTH) == 0 ||
           sf_fail(err, SF_PERMISSION_DENIED,
                   "'%s' can be written by everybody: take that right away (chmod o-w)", path);
}

static bool load_file(struct modules *m, const char *path, struct sf_error **err)
{
    if (!is_ours(path, err))
        return false;
    /* NODELETE: descriptors and strings of a controller are in use until the process ends. */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL)
        return sf_fail(err, SF_FAILED_PRECONDITION, "'%s' cannot be loaded: %s", path, dlerror());

    void *symbol = dlsym(handle, "sf_controller_class_v1");
    if (symbol == NULL) {
        dlclose(handle);
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s' is no controller: it lacks sf_controller_class_v1", path);
    }
    const struct sf_controller_class *(*get)(void);
    memcpy(&get, &symbol, sizeof(get));
    return modules_adopt(m, get(), path, handle, err);
}

static int is_shared_object(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 3 && strcmp(entry->d_name + size - 3, ".so") == 0;
}

bool modules_load(struct modules *ret, const char *directory, struct sf_error **err)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, is_shared_object, alphasort);
    if (n < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "controller directory '%s': %s; --controller-dir names another", directory,
                       strerror(errno));

    bool ok = true;
    for (int i = 0; i < n; i++) {
        SF_CLEANUP(sf_freep) char *path = sf_format("%s/%s", directory, entries[i]->d_name);
        if (ok && path == NULL)
            ok = sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        ok = ok && load_file(ret, path, err);
        free(entries[i]);
    }
    free(entries);
    if (ok && ret->n == 0)
        ok = sf_fail(err, SF_FAILED_PRECONDITION,
                     "there is no controller in '%s'; --controller-dir names another directory",
                     directory);
    return ok && modules_sort(ret, err);
}

/* ---- sorting ---- */

static bool stands_before(const struct modules *m, size_t end, const char *name)
{
    for (size_t i = 0; i < end; i++)
        if (strcmp(m->all[i].cls.name, name) == 0)
            return true;
    return false;
}

/* The first dependency that is not among the first END; NULL: all are. */
static const char *lacks(const struct modules *m, size_t end, const struct module *module)
{
    for (const char *const *d = module->cls.depends; d != NULL && *d != NULL; d++)
        if (!stands_before(m, end, *d))
            return *d;
    return NULL;
}

static bool all_there(const struct modules *m, struct sf_error **err)
{
    for (size_t i = 0; i < m->n; i++) {
        const char *missing = lacks(m, m->n, &m->all[i]);
        if (missing != NULL)
            return sf_fail(err, SF_FAILED_PRECONDITION,
                           "controller '%s' needs controller '%s', which is not there",
                           m->all[i].cls.name, missing);
    }
    return true;
}

static bool fail_circle(const struct modules *m, size_t begin, struct sf_error **err)
{
    struct sf_text text = {0};
    for (size_t i = begin; i < m->n; i++)
        sf_text_add(&text, "%s'%s' needs '%s'", i == begin ? "" : ", ", m->all[i].cls.name,
                    lacks(m, begin, &m->all[i]));
    SF_CLEANUP(sf_freep) char *who = sf_text_take(&text);
    return sf_fail(err, SF_FAILED_PRECONDITION, "controllers depend on each other in a circle: %s",
                   who == NULL ? "no memory to say which" : who);
}

static int by_name(const void *a, const void *b)
{
    const struct module *x = a, *y = b;
    return strcmp(x->cls.name, y->cls.name);
}

bool modules_sort(struct modules *m, struct sf_error **err)
{
    if (!all_there(m, err))
        return false;

    qsort(m->all, m->n, sizeof(*m->all), by_name);
    for (size_t done = 0; done < m->n; done++) {
        size_t next = done;
        while (next < m->n && lacks(m, done, &m->all[next]) != NULL)
            next++;
        if (next == m->n)
            return fail_circle(m, done, err);

        struct module module = m->all[next];
        memmove(&m->all[done + 1], &m->all[done], (next - done) * sizeof(module));
        m->all[done] = module;
    }
    return true;
}

const struct sf_controller_class *modules_find(const struct modules *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->all[i].cls.name, name) == 0)
            return &m->all[i].cls;
    return NULL;
}

void modules_done(struct modules *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->all[i].file);
        if (m->all[i].handle != NULL)
            dlclose(m->all[i].handle);
    }
    m->n = 0;
}
