#include "scsi/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandferry/v1/agent.pb-c.h"

typedef Sandferry__V1__AgentRequest request_t;
typedef Sandferry__V1__AgentReply reply_t;

struct world world;
struct sf_sandbox *sandbox;
struct scsi *s;
struct sf_error *err;

static struct world old_world;

const char *at(const char *path)
{
    static char paths[8][256];
    static unsigned next;

    next = (next + 1) % 8;
    snprintf(paths[next], sizeof(paths[next]), "%s/%s", fake_host_root(), path);
    return paths[next];
}

void write_disk(const char *path, size_t size)
{
    int fd = open(at(path), O_CREAT | O_WRONLY | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

/* ---- QEMU ---- */

static bool qemu(const char *command, const char *arguments, char **ret_json, struct sf_error **e)
{
    const char *name = strstr(arguments, "\"disk-");
    unsigned slot = name != NULL ? (unsigned)strtoul(name + 6, NULL, 10) : SCSI_SLOTS;

    /* This machine has no overlays, and so no bases. */
    if (strcmp(command, "blockdev-del") == 0 && strstr(arguments, "\"base-") != NULL)
        return sf_fail(e, SF_FAILED_PRECONDITION, "Failed to find node with node-name='base'");
    ck_assert_uint_lt(slot, SCSI_SLOTS);
    if (strcmp(command, "blockdev-add") == 0) {
        ck_assert(!world.node[slot]);
        world.node[slot] = true;
    } else if (strcmp(command, "device_add") == 0) {
        ck_assert(world.node[slot] && !world.device[slot]);
        world.device[slot] = true;
    } else if (strcmp(command, "device_del") == 0) {
        world.device[slot] = false;
    } else if (strcmp(command, "blockdev-del") == 0) {
        ck_assert(!world.device[slot]);
        if (!world.node[slot])
            return sf_fail(e, SF_FAILED_PRECONDITION, "Failed to find node with node-name='disk'");
        world.node[slot] = false;
    }
    *ret_json = strdup("{}");
    return true;
}

/* ---- The guest ---- */

static bool mount_disk(const Sandferry__V1__AgentMountDisk *m, reply_t *reply, struct sf_error **e)
{
    unsigned slot = m->controller * SCSI_LUNS + m->lun;

    if (slot >= SCSI_SLOTS || !world.device[slot] || m->partition >= WORLD_PARTITIONS)
        return sf_fail(e, SF_NOT_FOUND, "no such disk");
    world.mounted[slot][m->partition] = !m->block_device;
    world.encrypted[slot][m->partition] = m->encrypted;
    reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_MOUNT_DISK;
    reply->mount_disk = calloc(1, sizeof(*reply->mount_disk));
    sandferry__v1__agent_mount_disk_reply__init(reply->mount_disk);
    reply->mount_disk->guest_path = strdup(m->block_device ? "/dev/sda" : m->guest_path);
    return true;
}

static void unmount_disk(const Sandferry__V1__AgentUnmountDisk *m)
{
    unsigned controller, lun, partition;

    ck_assert_int_eq(
        sscanf(m->guest_path, "/run/sandferry/mounts/scsi/%u_%u_%u", &controller, &lun, &partition),
        3);
    world.mounted[controller * SCSI_LUNS + lun][partition] = false;
    world.encrypted[controller * SCSI_LUNS + lun][partition] = false;
}

static bool guest(const void *request, void *reply, struct sf_error **e)
{
    const request_t *q = request;

    if (q->body_case == SANDFERRY__V1__AGENT_REQUEST__BODY_MOUNT_DISK)
        return mount_disk(q->mount_disk, reply, e);
    if (q->body_case == SANDFERRY__V1__AGENT_REQUEST__BODY_UNMOUNT_DISK) {
        unmount_disk(q->unmount_disk);
        return true;
    }
    ck_assert_int_eq(q->body_case, SANDFERRY__V1__AGENT_REQUEST__BODY_EJECT_DISK);
    unsigned slot = q->eject_disk->controller * SCSI_LUNS + q->eject_disk->lun;
    for (unsigned i = 0; i < WORLD_PARTITIONS; i++)
        ck_assert(!world.mounted[slot][i] && !world.encrypted[slot][i]);
    return true;
}

/* ---- A test ---- */

static void use(struct sf_sandbox *other)
{
    sandbox = other;
    s = (struct scsi *)other->controller;
}

void fixture_make(void)
{
    char path[2] = "0";

    ck_assert(fake_host_make());
    fake_host_allow(fake_host_root());
    for (; path[0] <= '9'; path[0]++)
        write_disk(path, 4096);
    memset(&world, 0, sizeof(world));
    fake_machine_answers(qemu);
    fake_guest_answers(guest);
    err = NULL;
    use(fake_sandbox_new("s1"));
}

void fixture_remove(void)
{
    fake_sandbox_free(sandbox);
    fake_host_remove();
    sf_error_free(err);
    err = NULL;
}

void expect(enum sf_code code, const char *text)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code, "%s: %s", sf_code_name(sf_error_code(err)),
                  sf_error_message(err));
    ck_assert_msg(strstr(sf_error_message(err), text) != NULL, "'%s' is not in: %s", text,
                  sf_error_message(err));
    sf_error_free(err);
    err = NULL;
}

/* ---- Reservations ---- */

struct sf_disk_request a_disk(const char *path)
{
    return (struct sf_disk_request){.host_path = at(path)};
}

bool try_reserve(const struct sf_disk_request *q, char ret_id[SF_GUID_SIZE])
{
    struct disk_config config;
    struct mount_config mount;

    return scsi_config(q, &config, &mount, &err) &&
           scsi_reserve(s, &config, q->partition, &mount, ret_id, &err);
}

const char *reserve(const struct sf_disk_request *q)
{
    static char ids[16][SF_GUID_SIZE];
    static unsigned next;

    next = (next + 1) % 16;
    ck_assert_msg(try_reserve(q, ids[next]), "%s", SF_WHY(err));
    return ids[next];
}

const char *map(const char *id)
{
    const char *path = NULL;

    ck_assert_msg(scsi_map(s, id, &path, &err), "%s", SF_WHY(err));
    return path;
}

const char *add(const char *path, uint64_t partition)
{
    struct sf_disk_request q = a_disk(path);

    q.partition = partition;
    const char *id = reserve(&q);
    map(id);
    return id;
}

void release(const char *id)
{
    ck_assert_msg(scsi_release(s, id, &err), "%s", SF_WHY(err));
}

/* ---- The books ---- */

static void mount_is_right(const struct disk *d, const struct disk_mount *m)
{
    uint32_t refs = 0;

    for (size_t i = 0; i < s->n_reservations; i++)
        refs += !s->reservations[i].dropped && s->reservations[i].slot == d->slot &&
                s->reservations[i].partition == m->partition;
    RIGHT(m->refs == refs);
    RIGHT(m->refs > 0);
    if (m->state == MOUNT_MOUNTED) {
        RIGHT(d->state == DISK_ATTACHED);
        RIGHT(m->guest_path[0] != '\0');
        RIGHT(m->doubtful || m->config.block_device || world.mounted[d->slot][m->partition]);
        RIGHT(m->doubtful || world.encrypted[d->slot][m->partition] == m->config.encrypted);
    } else {
        RIGHT(m->guest_path[0] == '\0' && !m->doubtful);
        RIGHT(m->state == MOUNT_UNMOUNTED || !world.mounted[d->slot][m->partition]);
    }
}

void books_are_right(void)
{
    size_t held = 0, dropped = 0;

    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        const struct disk *d = s->disks[slot];
        bool in_vm = d != NULL && (d->state == DISK_ATTACHED || d->state == DISK_EJECTED);
        RIGHT(d == NULL || d->slot == slot);
        RIGHT(in_vm || (d != NULL && d->leftover) || (!world.node[slot] && !world.device[slot]));
        RIGHT(!in_vm || d->state == DISK_EJECTED || (world.node[slot] && world.device[slot]));
        for (unsigned i = 0; d != NULL && i < d->n_mounts; i++) {
            mount_is_right(d, d->mounts[i]);
            RIGHT(i == 0 || d->mounts[i - 1]->partition < d->mounts[i]->partition);
            held += d->mounts[i]->refs;
        }
        for (unsigned i = 0; i < WORLD_PARTITIONS; i++)
            RIGHT(!world.mounted[slot][i] ||
                  (d != NULL && disk_find_mount(d, i) != NULL)); /* nobody else is left */
    }
    for (size_t i = 0; i < s->n_reservations; i++) {
        dropped += s->reservations[i].dropped;
        RIGHT(i == 0 || strcmp(s->reservations[i - 1].id, s->reservations[i].id) < 0);
    }
    RIGHT(held + dropped == s->n_reservations);
}

void nothing_is_left(void)
{
    static const struct world nothing;

    ck_assert_uint_eq(s->n_reservations, 0);
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++)
        ck_assert_ptr_null(s->disks[slot]);
    ck_assert(memcmp(&world, &nothing, sizeof(world)) == 0);
}

/* ---- Travelling ---- */

struct sf_bytes saved(void)
{
    struct sf_bytes section = {0};

    ck_assert_msg(CLS->save(&s->base, &section, &err), "%s", SF_WHY(err));
    return section;
}

bool import(const struct sf_bytes *section)
{
    return CLS->import(&s->base, section, SCSI_SECTION_VERSION, &err);
}

static char *reasons_of(bool (*ask)(struct sf_controller *c, struct sf_reasons *why,
                                    struct sf_error **err))
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    struct sf_text text = {0};

    sf_reasons_source(why, "scsi");
    ck_assert_msg(ask(&s->base, why, &err), "%s", SF_WHY(err));
    for (size_t i = 0; i < sf_reasons_kept(why); i++)
        sf_text_add(&text, "%s: %s\n", sf_reasons_get(why, i)->field, sf_reasons_get(why, i)->text);
    return sf_text_take(&text);
}

char *check(void)
{
    return reasons_of(CLS->check);
}

char *admit(void)
{
    return reasons_of(CLS->admit);
}

unsigned lines_of(const char *reasons)
{
    unsigned n = 0;

    for (; (reasons = strchr(reasons, '\n')) != NULL; reasons++)
        n++;
    return n;
}

struct sf_sandbox *to_another(void)
{
    struct sf_sandbox *old = sandbox;

    old_world = world;
    memset(world.node, 0, sizeof(world.node));
    memset(world.device, 0, sizeof(world.device));
    use(fake_sandbox_new("s2"));
    return old;
}

void back_to(struct sf_sandbox *old)
{
    fake_sandbox_free(sandbox);
    world = old_world;
    use(old);
}
