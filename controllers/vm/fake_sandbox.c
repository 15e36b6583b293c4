#include "fake_sandbox.h"

#include <ftw.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

extern const struct sf_controller_class *sf_controller_class_v1(void);

static char root[64], memory_directory[96];
static struct {
    const char *name, *value;
} settings[8];

/* ---- the host ---- */

bool fake_host_make(void)
{
    snprintf(root, sizeof(root), "/dev/shm/sandferry-test-XXXXXX");
    memset(settings, 0, sizeof(settings));
    if (mkdtemp(root) == NULL)
        return false;
    snprintf(memory_directory, sizeof(memory_directory), "%s/memory", root);
    fake_host_set("memory-dir", memory_directory);
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fake_host_remove(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fake_host_set(const char *setting, const char *value)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (settings[i].name == NULL || strcmp(settings[i].name, setting) == 0) {
            settings[i].name = setting;
            settings[i].value = value;
            return;
        }
}

const char *fake_host_memory_directory(void)
{
    return memory_directory;
}

/* ---- a sandbox ---- */

struct sf_sandbox *fake_sandbox_new(const char *id)
{
    struct sf_sandbox *s = calloc(1, sizeof(*s));
    const struct sf_controller_class *cls = sf_controller_class_v1();
    struct sf_error *err = NULL;

    snprintf(s->id, sizeof(s->id), "%s", id);
    snprintf(s->directory, sizeof(s->directory), "%s/%s", root, id);
    mkdir(s->directory, 0700);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_lock(&s->lock);
    s->vm = calloc(1, cls->instance_size);
    s->vm->base = (struct sf_controller){.cls = cls, .sandbox = s};
    if (!cls->init(&s->vm->base, &err))
        abort();
    return s;
}

void fake_sandbox_free(struct sf_sandbox *s)
{
    s->vm->base.cls->destroy(&s->vm->base);
    s->vm->base.cls->fini(&s->vm->base);
    free(s->vm);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_destroy(&s->lock);
    free(s->invalid);
    free(s);
}

bool fake_sandbox_await_invalid(struct sf_sandbox *s, unsigned timeout_ms)
{
    int64_t deadline = sf_clock_monotonic_ns() + timeout_ms * SF_NS_PER_MS;

    while (s->invalid == NULL && sf_clock_monotonic_ns() < deadline) {
        pthread_mutex_unlock(&s->lock);
        poll(NULL, 0, 5);
        pthread_mutex_lock(&s->lock);
    }
    return s->invalid != NULL;
}

/* ---- what the daemon exports ---- */

const char *sf_sandbox_id(const struct sf_sandbox *s)
{
    return s->id;
}

const char *sf_sandbox_directory(const struct sf_sandbox *s)
{
    return s->directory;
}

const char *sf_setting(const char *name)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (settings[i].name != NULL && strcmp(settings[i].name, name) == 0)
            return settings[i].value;
    return NULL;
}

int sf_path_open(const char *path, int flags, struct sf_error **err)
{
    (void)flags;
    sf_fail(err, SF_PERMISSION_DENIED, "'%s' is beneath no root", path);
    return -1;
}

void sf_sandbox_changed(struct sf_sandbox *s)
{
    (void)s;
}

void sf_sandbox_invalid(struct sf_sandbox *s, const char *fmt, ...)
{
    struct sf_text text = {0};
    va_list args;

    va_start(args, fmt);
    sf_text_addv(&text, fmt, args);
    va_end(args);
    free(s->invalid);
    s->invalid = sf_text_take(&text);
}

void sf_sandbox_lock(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->lock);
}

void sf_sandbox_unlock(struct sf_sandbox *s)
{
    pthread_mutex_unlock(&s->lock);
}
