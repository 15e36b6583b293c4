/* Random operations, each of which may fail anywhere, against a model that is a page long. To run
 * one seed again: SANDFERRY_SEED=7 plan9_property_test. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan9/fixture.h"

#define OPERATIONS 10000
#define SEEDS      4
#define HELD_MAX   24

static uint64_t dice;
static unsigned seed, turn;

static unsigned below(unsigned n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)(dice >> 11) % n;
}

#define SAY(condition) ck_assert_msg(condition, "seed %u, operation %u: %s", seed, turn, #condition)

/* ---- The model ---- */

enum how { RESERVED, MOUNTED, UNSERVED, HALF_MOUNTED };

struct model_share {
    uint64_t name;
    unsigned what, refs;
    enum how how;
};

static struct {
    struct model_share shares[HELD_MAX]; /* of no refs: none */
    struct {
        char id[SF_GUID_SIZE]; /* "": none */
        struct model_share *share;
    } held[HELD_MAX];
    uint64_t next;
} model;

static struct model_share *model_reserve(unsigned what)
{
    struct model_share *room = NULL;

    for (unsigned i = 0; i < HELD_MAX; i++) {
        struct model_share *m = &model.shares[i];
        if (m->refs > 0 && m->what == what && m->how <= MOUNTED) {
            m->refs++;
            return m;
        }
        if (m->refs == 0)
            room = m;
    }
    *room = (struct model_share){.name = model.next++, .what = what, .refs = 1};
    return room;
}

/* True: it is mounted now. @failed: a step of it did; @asked: the guest was asked. */
static bool model_map(struct model_share *m, bool failed, bool asked)
{
    if (m->how == RESERVED)
        m->how = !failed ? MOUNTED : asked ? HALF_MOUNTED : UNSERVED;
    return m->how == MOUNTED;
}

static bool model_release(struct model_share *m, bool failed, enum fake_failure how)
{
    if (failed && m->how == MOUNTED && how == FAKE_SILENT)
        m->how = HALF_MOUNTED;
    if (!failed)
        m->refs--;
    return !failed;
}

static unsigned model_bad(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HELD_MAX; i++)
        n += model.shares[i].refs > 0 && model.shares[i].how > MOUNTED;
    return n;
}

/* ---- Beside it: the controller ---- */

/* Seven things to share, some of one directory. */
static struct sf_share_request thing(unsigned what)
{
    static const char *const names[] = {"two", "one"}, *const paths[] = {"a", "b",     "c",    "a",
                                                                         "b", "a/one", "a/two"};
    struct sf_share_request q = a_share(paths[what]);

    q.read_only = what == 3;
    if (what == 4) {
        q.restricted = true;
        q.allowed_names = names;
        q.n_allowed_names = 2;
    }
    return q;
}

static enum fake_failure arm(void)
{
    enum fake_failure how = below(2) ? FAKE_SILENT : FAKE_REFUSED;

    fake_trace_clear();
    fake_fail(below(3) == 0 ? 1 + below(4) : 0, how);
    return how;
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

static void try_reserve(unsigned i)
{
    unsigned what = below(7);
    struct sf_share_request q = thing(what);

    arm();
    bool ok = plan9_reserve(p, &q, model.held[i].id, &err);
    if (!fake_failed())
        model.held[i].share = model_reserve(what);
    else
        model.held[i].id[0] = '\0';
    took(ok, !fake_failed());
}

static void try_map(unsigned i)
{
    const char *path = NULL;
    char want[64];

    arm();
    bool ok = plan9_map(p, model.held[i].id, &path, &err);
    took(ok, model_map(model.held[i].share, fake_failed(), fake_trace_count("guest") > 0));
    snprintf(want, sizeof(want), "/run/sandferry/mounts/plan9/%llu",
             (unsigned long long)model.held[i].share->name);
    SAY(!ok || strncmp(path, want, strlen(want)) == 0);
}

static void try_release(unsigned i)
{
    enum fake_failure how = arm();
    bool ok = plan9_release(p, model.held[i].id, &err);

    took(ok, model_release(model.held[i].share, fake_failed(), how));
    if (ok)
        model.held[i].id[0] = '\0';
}

static void try_open(unsigned i)
{
    const struct model_share *m = model.held[i].share;

    if (m->how == MOUNTED && m->what != 6)
        open_file(m->name, "one", m->what == 3 ? O_RDONLY : O_RDWR);
}

static void operate(void)
{
    unsigned i = below(HELD_MAX);

    if (model.held[i].id[0] == '\0')
        try_reserve(i);
    else if (below(3) == 0)
        try_release(i);
    else if (below(3) > 0)
        try_map(i);
    else
        try_open(i);
}

/* ---- After each ---- */

static void compare(void)
{
    size_t n = 0, held = 0;

    books_are_right();
    for (unsigned i = 0; i < HELD_MAX; i++) {
        const struct model_share *m = &model.shares[i];
        char name[24];
        held += model.held[i].id[0] != '\0';
        if (m->refs == 0)
            continue;
        n++;
        snprintf(name, sizeof(name), "%llu", (unsigned long long)m->name);
        const struct share *sh = plan9_find_share(p, name);
        SAY(sh != NULL && sh->refs == m->refs);
        SAY(sh->state == (m->how == RESERVED   ? SHARE_RESERVED
                          : m->how == UNSERVED ? SHARE_INVALID
                                               : SHARE_ADDED));
        SAY(sh->mount == (m->how == MOUNTED        ? MOUNT_MOUNTED
                          : m->how == HALF_MOUNTED ? MOUNT_INVALID
                                                   : MOUNT_RESERVED));
        SAY((sh->server != NULL) == (sh->state == SHARE_ADDED));
    }
    SAY(p->n_shares == n);
    SAY(p->n_reservations == held);
    SAY(p->next_name == model.next);
}

/* As often as it takes: what failed is abandoned, and nothing is left of it. */
static void prepare(const struct sf_bytes *section)
{
    for (;;) {
        arm();
        bool ok = p->base.cls->prepare(&p->base, &err);
        bool failed = fake_failed();
        took(ok, !failed);
        if (ok)
            return;
        p->base.cls->abandon(&p->base);
        books_are_empty();
        SAY(sandbox->listener_fn == NULL);
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
        p->base.cls->thaw(&p->base);
        return;
    }
    SF_CLEANUP(sf_freep) char *reasons = admit();
    ck_assert_msg(reasons[0] == '\0', "seed %u, operation %u: %s", seed, turn, reasons);
    prepare(&first);
    source->controller->cls->discard(source->controller);
    fake_sandbox_free(source);
}

static void try_to_travel(void)
{
    SF_CLEANUP(sf_freep) char *reasons = check();
    unsigned n = 0;

    for (const char *line = reasons; (line = strchr(line, '\n')) != NULL; line++)
        n++;
    ck_assert_msg(n == model_bad(), "seed %u, operation %u: %s", seed, turn, reasons);
    if (n == 0)
        travel(turn % 16 == 0);
}

START_TEST(random_operations)
{
    const char *only = getenv("SANDFERRY_SEED");

    seed = (unsigned)_i + 1;
    if (only != NULL && (unsigned)atoi(only) != seed)
        return;
    dice = UINT64_C(0x9e3779b97f4a7c15) * seed;
    memset(&model, 0, sizeof(model));
    for (turn = 0; turn < OPERATIONS; turn++) {
        operate();
        compare();
        try_to_travel();
    }
    for (unsigned i = 0; i < HELD_MAX; i++)
        if (model.held[i].id[0] != '\0')
            release(model.held[i].id);
    books_are_empty();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan9_property");
    TCase *cases = tcase_create("property");
    tcase_set_timeout(cases, 110);
    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_loop_test(cases, random_operations, 0, SEEDS);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
