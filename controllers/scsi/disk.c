#include "scsi/disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const disk_states[] = {
    [DISK_RESERVED] = "reserved",
    [DISK_ATTACHED] = "attached",
    [DISK_EJECTED] = "ejected",
    [DISK_DETACHED] = "detached",
};
static_assert(COUNT(disk_states) == DISK_N_STATES, "every state has a name");

static const char *const disk_events[] = {
    [DISK_ATTACH_DONE] = "attach done",
    [DISK_ATTACH_FAILED] = "attach failed",
    [DISK_EJECT_DONE] = "eject done",
    [DISK_REMOVE_DONE] = "remove done",
};
static_assert(COUNT(disk_events) == DISK_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step disk_steps[] = {
    /* a disk that is     when                  becomes        */
    { DISK_RESERVED,      DISK_ATTACH_DONE,     DISK_ATTACHED },
    { DISK_RESERVED,      DISK_ATTACH_FAILED,   DISK_DETACHED },

    { DISK_ATTACHED,      DISK_EJECT_DONE,      DISK_EJECTED  },

    { DISK_EJECTED,       DISK_REMOVE_DONE,     DISK_DETACHED },
};

const struct sf_machine disk_machine = {
    .noun = "scsi disk",
    .states = disk_states, .n_states = COUNT(disk_states),
    .events = disk_events, .n_events = COUNT(disk_events),
    .steps  = disk_steps,  .n_steps  = COUNT(disk_steps),
};
/* clang-format on */

static const char *const mount_states[] = {
    [MOUNT_RESERVED] = "reserved",
    [MOUNT_MOUNTED] = "mounted",
    [MOUNT_UNMOUNTED] = "unmounted",
};
static_assert(COUNT(mount_states) == MOUNT_N_STATES, "every state has a name");

static const char *const mount_events[] = {
    [MOUNT_MOUNT_DONE] = "mount done",
    [MOUNT_MOUNT_FAILED] = "mount failed",
    [MOUNT_UNMOUNT_DONE] = "unmount done",
};
static_assert(COUNT(mount_events) == MOUNT_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step mount_steps[] = {
    /* a mount that is    when                  becomes          */
    { MOUNT_RESERVED,     MOUNT_MOUNT_DONE,     MOUNT_MOUNTED   },
    { MOUNT_RESERVED,     MOUNT_MOUNT_FAILED,   MOUNT_UNMOUNTED },

    { MOUNT_MOUNTED,      MOUNT_UNMOUNT_DONE,   MOUNT_UNMOUNTED },
};

const struct sf_machine mount_machine = {
    .noun = "scsi mount",
    .states = mount_states, .n_states = COUNT(mount_states),
    .events = mount_events, .n_events = COUNT(mount_events),
    .steps  = mount_steps,  .n_steps  = COUNT(mount_steps),
};
/* clang-format on */

struct disk *disk_new(unsigned slot, const struct disk_config *config)
{
    struct disk *d = calloc(1, sizeof(*d));

    if (d != NULL) {
        d->slot = slot;
        d->config = *config;
    }
    return d;
}

void disk_free(struct disk *d)
{
    if (d == NULL)
        return;
    for (unsigned i = 0; i < d->n_mounts; i++)
        free(d->mounts[i]);
    free(d->saved_path);
    free(d);
}

struct disk_mount *disk_find_mount(const struct disk *d, uint64_t partition)
{
    for (unsigned i = 0; i < d->n_mounts; i++)
        if (d->mounts[i]->partition == partition)
            return d->mounts[i];
    return NULL;
}

struct disk_mount *disk_add_mount(struct disk *d, uint64_t partition,
                                  const struct mount_config *config)
{
    struct disk_mount *m = d->n_mounts < SCSI_MOUNTS_MAX ? calloc(1, sizeof(*m)) : NULL;
    if (m == NULL)
        return NULL;

    m->partition = partition;
    m->config = *config;
    unsigned at = d->n_mounts++;
    for (; at > 0 && d->mounts[at - 1]->partition > partition; at--)
        d->mounts[at] = d->mounts[at - 1];
    d->mounts[at] = m;
    return m;
}

void disk_drop_mount(struct disk *d, struct disk_mount *m)
{
    unsigned at = 0;

    while (d->mounts[at] != m)
        at++;
    d->n_mounts--;
    memmove(&d->mounts[at], &d->mounts[at + 1], (d->n_mounts - at) * sizeof(d->mounts[0]));
    free(m);
}

bool disk_config_equal(const struct disk_config *a, const struct disk_config *b)
{
    return strcmp(a->path, b->path) == 0 && a->read_only == b->read_only && a->type == b->type &&
           a->format == b->format;
}

bool mount_config_equal(const struct mount_config *a, const struct mount_config *b)
{
    bool same = a->read_only == b->read_only && a->encrypted == b->encrypted &&
                a->ensure_filesystem == b->ensure_filesystem &&
                a->block_device == b->block_device && strcmp(a->filesystem, b->filesystem) == 0 &&
                a->n_options == b->n_options;

    for (unsigned i = 0; same && i < a->n_options; i++)
        same = strcmp(a->options[i], b->options[i]) == 0;
    return same;
}

bool mount_config_add_option(struct mount_config *config, const char *option)
{
    if (config->n_options == SCSI_OPTIONS_MAX || strlen(option) >= SCSI_OPTION_SIZE)
        return false;

    unsigned at = config->n_options++;
    for (; at > 0 && strcmp(config->options[at - 1], option) > 0; at--)
        memcpy(config->options[at], config->options[at - 1], SCSI_OPTION_SIZE);
    snprintf(config->options[at], SCSI_OPTION_SIZE, "%s", option);
    return true;
}

const char *disk_name(const struct disk *d, char ret[16])
{
    snprintf(ret, 16, "%u:%u", d->slot / SCSI_LUNS, d->slot % SCSI_LUNS);
    return ret;
}
