/* Random operations, with failures between them, against a model that is a page long. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vpci/fake_vm.h"

#define OPERATIONS 10000
#define SEEDS      4
#define HELD_MAX   16

/* splitmix64: small, and the same everywhere. */
static uint64_t state;

static uint32_t below(uint32_t n)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % n);
}

/* ---- the model: who holds what, and how far it is ---- */

enum where { NOWHERE, IN_VM, BROKEN };

static struct one {
    int host; /* of hosts; -1: a model */
    bool travels, used, takes_port;
    unsigned refs; /* 0: it is not there */
    enum where where;
} ones[VPCI_DEVICES_MAX];

static struct held {
    char id[SF_GUID_SIZE];
    unsigned one;
} held[HELD_MAX];
static unsigned n_held;

static const struct {
    const char *address;
    unsigned function;
} hosts[] = {{HOST_PLAIN, 0}, {HOST_SRIOV, 0}, {HOST_SRIOV, 1}, {HOST_SRIOV, 2}};
static const char *const models[] = {"nvme", "edu", "virtio-rng-pci"};

static unsigned n_ones(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < VPCI_DEVICES_MAX; i++)
        n += ones[i].refs > 0;
    return n;
}

static unsigned n_ports(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < VPCI_DEVICES_MAX; i++)
        n += ones[i].refs > 0 && ones[i].takes_port;
    return n;
}

/* The device of a function of the host, or room for another one; NULL: there is none. */
static struct one *one_for(int host)
{
    struct one *room = NULL;

    for (unsigned i = 0; i < VPCI_DEVICES_MAX; i++) {
        if (ones[i].refs > 0 && host >= 0 && ones[i].host == host)
            return &ones[i];
        if (ones[i].refs == 0 && room == NULL)
            room = &ones[i];
    }
    return room;
}

/* Something failed that the model does not look into: which of the ways out was it? */
static void learn(struct one *o, const char *id, bool may_stay)
{
    const struct device *d = device_of(id);

    ck_assert(d->state == DEVICE_INVALID || d->state == DEVICE_REMOVED ||
              (may_stay && d->state == DEVICE_READY));
    o->where = d->state == DEVICE_READY ? IN_VM : BROKEN;
    o->takes_port = d->port != VPCI_NO_PORT;
}

/* ---- operations: what is done, what must come of it ---- */

static void do_reserve(void)
{
    int host = below(2) == 0 ? (int)below(4) : -1;
    const char *model = models[below(3)];
    const struct sf_device_request q = {.host_address = host >= 0 ? hosts[host].address : "",
                                        .virtual_function = host >= 0 ? hosts[host].function : 0,
                                        .model = host >= 0 ? "" : model};
    struct one *o = one_for(host);
    struct device_config config;
    char id[SF_GUID_SIZE];
    if (n_held == HELD_MAX)
        return;

    ck_assert(vpci_config(&q, &config, &err));
    bool ok = vpci_reserve(v, &config, id, &err);
    ck_assert_int_eq(ok, o != NULL && !(o->refs > 0 && o->where == BROKEN));
    if (!ok) {
        ck_assert(failed_with(o == NULL ? SF_RESOURCE_EXHAUSTED : SF_FAILED_PRECONDITION, ""));
        return;
    }
    if (o->refs == 0)
        *o = (struct one){.host = host, .travels = host < 0 && strcmp(model, models[2]) == 0};
    o->refs++;
    memcpy(held[n_held].id, id, sizeof(id));
    held[n_held++].one = (unsigned)(o - ones);
}

static void do_map(const struct held *h)
{
    struct one *o = &ones[h->one];
    const struct device_found *found;
    bool full = o->where == NOWHERE && n_ports() == VPCI_PORTS;

    bool ok = vpci_map(v, h->id, &found, &err);
    if (ok) {
        ck_assert(o->where != BROKEN && !full);
        o->where = IN_VM;
        o->takes_port = true;
    } else if (fake_failed() && !full && o->where != BROKEN) {
        learn(o, h->id, o->where == IN_VM);
    } else {
        ck_assert(full || o->where == BROKEN);
        ck_assert_int_eq(sf_error_code(err), full ? SF_RESOURCE_EXHAUSTED : SF_FAILED_PRECONDITION);
    }
    sf_error_free(SF_STEAL(err));
}

static void do_release(struct held *h)
{
    struct one *o = &ones[h->one];
    bool kept = o->refs == 1 && o->where == IN_VM && o->used;

    bool ok = vpci_release(v, h->id, &err);
    if (!ok) {
        ck_assert(o->refs == 1 && (kept || fake_failed())); /* one of many is always let go */
        if (o->where != NOWHERE)
            learn(o, h->id, o->where == IN_VM);
        sf_error_free(SF_STEAL(err));
        return;
    }
    ck_assert(!kept);
    o->refs--;
    *h = held[--n_held];
}

static void use(const struct held *h)
{
    struct one *o = &ones[h->one];
    const struct device *d = device_of(h->id);

    if (o->where == IN_VM && d->port != VPCI_NO_PORT)
        vm_ports[d->port].used = o->used = !o->used;
}

static bool is_kept(void)
{
    for (unsigned i = 0; i < VPCI_DEVICES_MAX; i++)
        if (ones[i].refs > 0 && ones[i].where == IN_VM && !ones[i].travels && ones[i].used)
            return true;
    return false;
}

static bool is_broken(void)
{
    for (unsigned i = 0; i < VPCI_DEVICES_MAX; i++)
        if (ones[i].refs > 0 && ones[i].where == BROKEN)
            return true;
    return false;
}

/* As the lifecycle does it: a check without reasons, a quiesce, and a thaw or a move. */
static void do_save(bool moves)
{
    struct sf_reasons *why = sf_reasons_new();

    ck_assert(vpci_check(&v->base, why, &err));
    bool clear = sf_reasons_count(why) == 0;
    sf_reasons_free(why);
    ck_assert(clear == (!is_kept() && !is_broken()) || fake_failed());
    if (!clear)
        return;
    bool quiet = vpci_quiesce(&v->base, &err);
    ck_assert(quiet || fake_failed());
    sf_error_free(SF_STEAL(err));
    if (!quiet || !moves) {
        vpci_thaw(&v->base);
        return;
    }
    struct sf_bytes section = saved_section();
    fake_fail(0, FAKE_REFUSED); /* restores that fail have a test of their own */
    import_section(&section);
    ck_assert_msg(vpci_prepare(&v->base, &err), "%s", SF_WHY(err));
    ck_assert_msg(vpci_resume(&v->base, &err), "%s", SF_WHY(err));
    sf_bytes_done(&section);
    for (unsigned i = 0; i < VPCI_DEVICES_MAX; i++) /* of a new VM nothing is used yet */
        ones[i].used = false;
}

static void compare(void)
{
    ck_assert_uint_eq(v->n_reservations, n_held);
    ck_assert_uint_eq(v->n_devices, n_ones());
    for (unsigned i = 0; i < n_held; i++) {
        const struct device *d = device_of(held[i].id);
        const struct one *o = &ones[held[i].one];
        ck_assert_uint_eq(d->refs, o->refs);
        ck_assert_int_eq(d->port != VPCI_NO_PORT, o->takes_port);
        ck_assert_int_eq(d->travels, o->travels);
        ck_assert_int_eq(d->state == DEVICE_RESERVED, o->where == NOWHERE);
        ck_assert_int_eq(d->state == DEVICE_READY, o->where == IN_VM);
    }
}

static void one_operation(void)
{
    uint32_t what = below(20);
    struct held *h = n_held > 0 ? &held[below(n_held)] : NULL;

    fake_fail(below(6) == 0 ? 1 + below(3) : 0, below(2) == 0 ? FAKE_REFUSED : FAKE_SILENT);
    if (what < 6 || h == NULL)
        do_reserve();
    else if (what < 11)
        do_map(h);
    else if (what < 17)
        do_release(h);
    else if (what == 17)
        use(h);
    else
        do_save(what == 18);
    fake_fail(0, FAKE_REFUSED);
    fake_trace_clear();
}

START_TEST(books_and_model_agree)
{
    state = (uint64_t)_i * 1000003;
    const char *seed = getenv("SANDFERRY_SEED");
    if (seed != NULL)
        state = strtoull(seed, NULL, 10);
    memset(ones, 0, sizeof(ones));
    n_held = 0;
    for (int i = 0; i < OPERATIONS; i++) {
        one_operation();
        compare();
        books_are_right();
    }
    while (n_held > 0) {
        for (int port = 0; port < VPCI_PORTS; port++)
            vm_ports[port].used = false;
        memset(&ones[held[0].one].used, 0, sizeof(bool));
        do_release(&held[0]);
    }
    compare();
    ck_assert_uint_eq(vm_plugged(), 0); /* everything is accounted for */
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("property");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, books_and_model_agree, 0, SEEDS);
    return fixture_suite("vpci_property", tc);
}
