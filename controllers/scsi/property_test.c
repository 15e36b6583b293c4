/* Random operations, each of which may fail anywhere, against a model that is a page long. To run
 * one seed again: SANDFERRY_SEED=7 scsi_property_test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/fixture.h"

#define OPERATIONS 10000
#define SEEDS      6
#define HELD_MAX   12 /* so there are at most as many disks */
#define PARTITIONS 3

static uint64_t dice;
static unsigned seed, turn;

static unsigned below(unsigned n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)(dice >> 11) % n;
}

#define SAY(condition)                                                                             \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("seed %u, operation %u: %s\n%s", seed, turn, #condition, fake_trace());   \
    } while (0)

/* ---- The model ---- */

struct model_mount {
    unsigned refs, state;
    bool doubtful;
};

static struct model_disk {
    int file; /* -1: the slot is free */
    unsigned state;
    struct model_mount mounts[PARTITIONS]; /* of no refs: none */
} disks[HELD_MAX];

static struct {
    char id[SF_GUID_SIZE]; /* "": none */
    unsigned slot, partition;
    bool dropped;
} held[HELD_MAX];

static unsigned holders(const struct model_disk *d)
{
    unsigned n = 0;

    for (unsigned i = 0; i < PARTITIONS; i++)
        n += d->mounts[i].refs;
    return n;
}

/* Where the file is, or would come to be. */
static unsigned model_slot(int file)
{
    unsigned room = HELD_MAX;

    for (unsigned slot = HELD_MAX; slot-- > 0;)
        if (disks[slot].file == file)
            return slot;
        else if (disks[slot].file < 0)
            room = slot;
    return room;
}

static bool model_reserve(int file, unsigned partition, bool failed)
{
    struct model_disk *d = &disks[model_slot(file)];
    struct model_mount *m = &d->mounts[partition];

    if (d->file >= 0 && (d->state > DISK_ATTACHED || (m->refs > 0 && m->state == MOUNT_UNMOUNTED)))
        return false;
    if (d->file < 0 && failed)
        return false;
    if (d->file < 0)
        *d = (struct model_disk){.file = file};
    if (m->refs++ == 0)
        *m = (struct model_mount){.refs = 1};
    return true;
}

static bool model_map(unsigned i, bool failed, bool asked)
{
    struct model_disk *d = &disks[held[i].slot];
    struct model_mount *m = &d->mounts[held[i].partition];

    if (held[i].dropped || d->state > DISK_ATTACHED)
        return false;
    if (d->state == DISK_RESERVED)
        d->state = failed && !asked ? DISK_DETACHED : DISK_ATTACHED;
    if (d->state == DISK_DETACHED)
        return false;
    if (m->state == MOUNT_RESERVED)
        m->state = failed ? MOUNT_UNMOUNTED : MOUNT_MOUNTED;
    else if (m->doubtful)
        m->doubtful = failed;
    return m->state == MOUNT_MOUNTED && !m->doubtful;
}

/* @failed: the command, or the question, whose failure counts; NULL: none. */
static bool model_release(unsigned i, const char *failed)
{
    struct model_disk *d = &disks[held[i].slot];
    struct model_mount *m = &d->mounts[held[i].partition];

    if (failed != NULL && strcmp(failed, "unmount") == 0) {
        m->doubtful = m->state == MOUNT_MOUNTED;
        return false;
    }
    if (!held[i].dropped)
        m->refs--;
    held[i].dropped = true;
    if (d->file >= 0 && holders(d) == 0) {
        if (failed != NULL) {
            d->state = strcmp(failed, "eject") == 0 ? d->state : DISK_EJECTED;
            return false;
        }
        d->file = -1;
    }
    held[i] = (typeof(held[i])){.id = ""};
    return true;
}

/* What stands against a save. */
static unsigned model_bad(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HELD_MAX; i++)
        n += held[i].dropped;
    for (unsigned slot = 0; slot < HELD_MAX; slot++) {
        n += disks[slot].file >= 0 && disks[slot].state > DISK_ATTACHED;
        for (unsigned i = 0; disks[slot].file >= 0 && i < PARTITIONS; i++)
            n += disks[slot].mounts[i].refs > 0 &&
                 (disks[slot].mounts[i].doubtful || disks[slot].mounts[i].state == MOUNT_UNMOUNTED);
    }
    return n;
}

/* ---- Beside it: the controller ---- */

static void arm(void)
{
    fake_trace_clear();
    fake_fail(below(3) == 0 ? 1 + below(6) : 0, below(2) ? FAKE_SILENT : FAKE_REFUSED);
}

static void took(bool ok, bool want)
{
    ck_assert_msg(ok == want, "seed %u, operation %u: %s\n%s", seed, turn, SF_WHY(err),
                  fake_trace());
    SAY(ok == (err == NULL));
    sf_error_free(err);
    err = NULL;
    fake_fail(0, FAKE_REFUSED);
}

/* Ten files: one is only read, one is encrypted, one is not mounted. */
static void reserve_one(unsigned i)
{
    char name[2] = {(char)('0' + below(10)), '\0'};
    struct sf_disk_request q = a_disk(name);

    q.type = DISK_TYPE_FILE;
    q.partition = below(PARTITIONS);
    q.read_only = name[0] == '3';
    q.encrypted = name[0] == '5';
    q.block_device = name[0] == '7';
    arm();
    unsigned slot = model_slot(name[0] - '0');
    bool ok = try_reserve(&q, held[i].id),
         want = model_reserve(name[0] - '0', (unsigned)q.partition, fake_failed());
    if (want) {
        held[i].slot = slot;
        held[i].partition = (unsigned)q.partition;
    } else {
        held[i].id[0] = '\0';
    }
    took(ok, want);
}

static void map_one(unsigned i)
{
    const char *path;

    arm();
    bool ok = scsi_map(s, held[i].id, &path, &err);
    took(ok, model_map(i, fake_failed(), fake_trace_count("guest mount_disk") > 0));
}

static void release_one(unsigned i)
{
    const char *failed = NULL;

    arm();
    bool ok = scsi_release(s, held[i].id, &err);
    if (fake_trace_count("unmount_disk (fails)") > 0)
        failed = "unmount";
    else if (fake_trace_count("eject_disk (fails)") > 0)
        failed = "eject";
    else if (fake_failed() && strstr(fake_trace(), "qmp remove-fd") == NULL)
        failed = "remove";
    took(ok, model_release(i, failed));
}

static void operate(void)
{
    unsigned i = below(HELD_MAX);

    if (held[i].id[0] == '\0')
        reserve_one(i);
    else if (below(3) == 0)
        release_one(i);
    else
        map_one(i);
}

/* ---- After each ---- */

static void compare(void)
{
    size_t n = 0;

    books_are_right();
    for (unsigned slot = 0; slot < SCSI_SLOTS; slot++) {
        const struct model_disk *d = slot < HELD_MAX && disks[slot].file >= 0 ? &disks[slot] : NULL;
        SAY((s->disks[slot] != NULL) == (d != NULL));
        if (d == NULL)
            continue;
        SAY(s->disks[slot]->state == d->state);
        SAY(s->disks[slot]->config.path[strlen(fake_host_root()) + 1] == '0' + d->file);
        for (unsigned i = 0; i < PARTITIONS; i++) {
            const struct disk_mount *m = disk_find_mount(s->disks[slot], i);
            SAY((m != NULL ? m->refs : 0) == d->mounts[i].refs);
            SAY(m == NULL ||
                (m->state == d->mounts[i].state && m->doubtful == d->mounts[i].doubtful));
        }
    }
    for (unsigned i = 0; i < HELD_MAX; i++)
        n += held[i].id[0] != '\0';
    SAY(s->n_reservations == n);
}

/* As often as it takes: what failed is abandoned, and nothing is left of it. */
static void prepare(const struct sf_bytes *section)
{
    for (;;) {
        arm();
        bool ok = CLS->prepare(&s->base, &err), failed = fake_failed();
        took(ok, !failed);
        if (ok)
            return;
        CLS->abandon(&s->base);
        memset(world.node, 0, sizeof(world.node)); /* QEMU ends with the restore */
        memset(world.device, 0, sizeof(world.device));
        SAY(s->n_reservations == 0);
        ck_assert_msg(import(section), "seed %u, operation %u: %s", seed, turn, SF_WHY(err));
    }
}

/* Save, import, save: the same bytes. Now and then the sandbox goes on there. */
static void travel(bool for_good)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = saved(), second = {0};
    struct sf_sandbox *source = to_another();

    ck_assert_msg(import(&first), "seed %u, operation %u: %s", seed, turn, SF_WHY(err));
    second = saved();
    SAY(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    if (!for_good) {
        back_to(source);
        return;
    }
    SF_CLEANUP(sf_freep) char *reasons = admit();
    ck_assert_msg(reasons[0] == '\0', "seed %u, operation %u: %s", seed, turn, reasons);
    prepare(&first);
    fake_sandbox_free(source);
}

static void try_to_travel(void)
{
    SF_CLEANUP(sf_freep) char *reasons = check();

    ck_assert_msg(lines_of(reasons) == model_bad(), "seed %u, operation %u: %s", seed, turn,
                  reasons);
    if (model_bad() == 0)
        travel(turn % 16 == 0);
}

START_TEST(random_operations)
{
    const char *only = getenv("SANDFERRY_SEED");

    seed = (unsigned)_i + 1;
    if (only != NULL && (unsigned)atoi(only) != seed)
        return;
    dice = UINT64_C(0x9e3779b97f4a7c15) * seed;
    memset(held, 0, sizeof(held));
    for (unsigned slot = 0; slot < HELD_MAX; slot++)
        disks[slot] = (struct model_disk){.file = -1};
    for (turn = 0; turn < OPERATIONS; turn++) {
        operate();
        compare();
        try_to_travel();
    }
    for (unsigned i = 0; i < HELD_MAX; i++)
        if (held[i].id[0] != '\0')
            release(held[i].id);
    nothing_is_left();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scsi_property");
    TCase *cases = tcase_create("property");
    tcase_set_timeout(cases, 110);
    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_loop_test(cases, random_operations, 0, SEEDS);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
