/* Random sound snapshots, and what becomes of them when they are broken. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "snapshot/path.h"
#include "snapshot/show.h"
#include "snapshot/snapshot.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;

#define ROUNDS 150

/* splitmix64: small, and the same everywhere. */
static uint64_t state;

static uint64_t any(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
    return n > 0 ? (uint32_t)(any() % n) : 0;
}

static bool often(void)
{
    return below(4) != 0;
}

static uint64_t number_in(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- building: everything on the heap, as if it had been unpacked ---- */

#define NEW(prefix)                                                                                \
    ((void *)protobuf_c_message_unpack(&sandferry__v1__##prefix##__descriptor, NULL, 0,            \
                                       (const uint8_t *)""))

#define APPEND(owner, list, element)                                                               \
    do {                                                                                           \
        (owner)->list = realloc((owner)->list, ((owner)->n_##list + 1) * sizeof(*(owner)->list));  \
        ck_assert_ptr_nonnull((owner)->list);                                                      \
        (owner)->list[(owner)->n_##list++] = (element);                                            \
    } while (0)

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *fmt, ...)
{
    struct sf_text t = {0};
    va_list args;

    va_start(args, fmt);
    sf_text_addv(&t, fmt, args);
    va_end(args);
    char *taken = sf_text_take(&t);
    ck_assert_ptr_nonnull(taken);
    return taken;
}

/* Counting up, so that lists are sorted as they are made. */
static char *guid(unsigned kind, unsigned n)
{
    return text("%08x-%04x-4000-8000-%012llx", kind, n, (unsigned long long)(any() >> 16));
}

static ProtobufCBinaryData some_bytes(uint32_t most)
{
    uint32_t size = below(most);
    if (size == 0)
        return (ProtobufCBinaryData){0};
    ProtobufCBinaryData b = {.len = size, .data = malloc(size)};
    for (uint32_t i = 0; i < size; i++)
        b.data[i] = (uint8_t)any();
    return b;
}

static Google__Protobuf__Timestamp *some_time(void)
{
    Google__Protobuf__Timestamp *at = (void *)protobuf_c_message_unpack(
        &google__protobuf__timestamp__descriptor, NULL, 0, (const uint8_t *)"");
    at->seconds = (int64_t)below(UINT32_MAX);
    at->nanos = (int32_t)below(1000000000);
    return at;
}

static void add_vm(snapshot *s)
{
    s->vm = NEW(vm_section);
    s->vm->schema_version = 1;
    s->vm->stage = SANDFERRY__V1__VM_STAGE__VM_STAGE_RUNNING;
    s->vm->machine_document = text("{\"n\":%u}", below(100));
    s->vm->memory = NEW(memory_reference);
    s->vm->memory->memory_id = guid(1, 0);
    s->vm->memory->family_id = guid(1, 1);
    s->vm->memory->size_bytes = (uint64_t)(1 + below(512)) << 21;
    s->vm->memory->generation = any();
    s->vm->agent = NEW(agent_floors);
    s->vm->agent->next_call_id = any();
    s->vm->shares = NEW(agent_floors);
    s->vm->shares->last_received = any();
    for (uint32_t n = below(4); n > 0; n--)
        APPEND(s->vm->agent, unacknowledged, some_bytes(100));
    if (often()) {
        s->vm->options = NEW(vm_options);
        s->vm->options->memory_bytes = s->vm->memory->size_bytes;
        s->vm->options->processors = below(8);
    }
}

/* A mount and one holder of it; the reservation's id is the caller's to hand to a container. */
static char *add_mount(snapshot *s, Sandferry__V1__ScsiDisk *d, uint64_t partition)
{
    Sandferry__V1__ScsiMount *m = NEW(scsi_mount);
    Sandferry__V1__ScsiReservation *r = NEW(scsi_reservation);

    m->partition = r->partition = partition;
    m->read_only = d->read_only;
    m->stage = SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_MOUNTED;
    m->refs = 1;
    m->guest_path = sf_guest_mount_path(d->slot, partition);
    for (uint32_t n = below(3); n > 0; n--)
        APPEND(m, options, text("option-%u", below(9)));
    APPEND(d, mounts, m);

    r->slot = d->slot;
    r->id = guid(2, (unsigned)s->scsi->n_reservations);
    APPEND(s->scsi, reservations, r);
    return r->id;
}

static Sandferry__V1__ScsiDisk *add_disk(snapshot *s, bool read_only)
{
    uint32_t free_slot = s->scsi->n_disks > 0 ? s->scsi->disks[s->scsi->n_disks - 1]->slot + 1 : 0;
    Sandferry__V1__ScsiDisk *d = NEW(scsi_disk);

    d->slot = free_slot + below(3);
    d->host_path = text("/srv/disks/%u.raw", d->slot);
    d->read_only = read_only;
    d->stage = SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_ATTACHED;
    d->type = (Sandferry__V1__ScsiDisk__Type)below(3);
    d->format = (Sandferry__V1__ScsiDisk__Format)below(5);
    d->size_bytes = any();
    d->modified_ns = (int64_t)any();
    APPEND(s->scsi, disks, d);
    return d;
}

static Sandferry__V1__ContainerLayer *layer_on(snapshot *s, bool read_only)
{
    Sandferry__V1__ContainerLayer *l = NEW(container_layer);
    Sandferry__V1__ScsiDisk *d = add_disk(s, read_only);

    l->reservation_id = text("%s", add_mount(s, d, below(5)));
    l->guest_path = text("%s", d->mounts[0]->guest_path);
    return l;
}

static void hold_device(snapshot *s, Sandferry__V1__Container *c)
{
    if (s->vpci->n_devices == 0 || below(2) == 0) {
        Sandferry__V1__VpciDevice *d = NEW(vpci_device);
        d->id = guid(3, (unsigned)s->vpci->n_devices);
        if (often()) {
            d->model = text("nvme");
            d->travels = below(2) == 1;
            for (uint32_t i = 0, n = below(3); i < n; i++)
                APPEND(d, properties, text("p%u=%u", i, below(9)));
        } else {
            d->host_address = text("0000:%02x:00.0", (unsigned)s->vpci->n_devices);
            d->virtual_function = below(3);
        }
        d->stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY;
        d->guest_address = text("port%zu", s->vpci->n_devices);
        APPEND(s->vpci, devices, d);
    }
    Sandferry__V1__VpciDevice *d = s->vpci->devices[below((uint32_t)s->vpci->n_devices)];
    Sandferry__V1__VpciReservation *r = NEW(vpci_reservation);
    d->refs++;
    r->id = guid(6, (unsigned)s->vpci->n_reservations);
    r->device = text("%s", d->id);
    APPEND(c, vpci_reservation_ids, text("%s", r->id));
    APPEND(s->vpci, reservations, r);
}

static void hold_share(snapshot *s, Sandferry__V1__Container *c)
{
    Sandferry__V1__Plan9Share *share = NEW(plan9_share);
    Sandferry__V1__Plan9Reservation *r = NEW(plan9_reservation);

    share->name = text("%llu", (unsigned long long)s->plan9->next_name++);
    share->host_path = text("/srv/shares/%s", share->name);
    share->stage = SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_ADDED;
    share->mount = NEW(plan9_mount);
    share->mount->stage = SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_MOUNTED;
    share->mount->refs = 1;
    share->mount->guest_path = text("/run/%s", share->name);
    for (uint32_t i = 0, n = below(4); i < n; i++) {
        Sandferry__V1__Plan9Fid *fid = NEW(plan9_fid);
        fid->fid = 10 * i + below(10);
        fid->path = text("file-%u", i);
        fid->qid_path = any();
        fid->open = often();
        for (uint32_t k = 0, locks = fid->open ? below(3) : 0; k < locks; k++) {
            Sandferry__V1__Plan9Lock *lock = NEW(plan9_lock);
            lock->exclusive = below(2) == 1;
            lock->start = 100 * k + below(100);
            lock->length = below(50);
            lock->process = below(30000);
            lock->client = text("g-c%u", below(9));
            APPEND(fid, locks, lock);
        }
        APPEND(share, fids, fid);
    }
    share->msize = 1u << (12 + below(6));
    share->partial = some_bytes(100);
    r->share = text("%s", share->name);
    r->id = guid(4, (unsigned)s->plan9->n_reservations);
    APPEND(c, plan9_reservation_ids, text("%s", r->id));
    APPEND(s->plan9, shares, share);
    APPEND(s->plan9, reservations, r);
}

static void add_process(snapshot *s, const Sandferry__V1__Container *c, char *exec_id,
                        Sandferry__V1__ProcessStage stage)
{
    Sandferry__V1__Process *p = NEW(process);

    p->container_id = text("%s", c->container_id);
    p->guest_container_id = text("%s", c->guest_container_id);
    p->exec_id = exec_id;
    p->stage = stage;
    p->pid = stage == SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_NOT_CREATED
                 ? 0
                 : (int32_t)(1 + below(30000));
    p->exit_code = 255;
    if (stage == SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED) {
        p->exit_code = below(256);
        p->exited_at = some_time();
    }
    if (often()) {
        p->stdout = NEW(process_output);
        p->stdout->offset = any();
        p->stdout->held = some_bytes(300);
    }
    APPEND(s->process, processes, p);
}

static void add_container(snapshot *s, const char *pod_id, const char *guest_pod_id, unsigned n)
{
    Sandferry__V1__Container *c = NEW(container);

    c->container_id = text("c%04u", n);
    c->guest_container_id = text("g-c%u", n);
    c->pod_id = text("%s", pod_id);
    c->stage = (Sandferry__V1__ContainerStage)below(5);
    c->spec = text("{}");
    if (often()) {
        c->layers = NEW(container_layers);
        for (uint32_t i = 1 + below(3); i > 0; i--)
            APPEND(c->layers, read_only, layer_on(s, true));
        if (often())
            c->layers->scratch = layer_on(s, false);
        c->layers->combined = true;
        c->layers->rootfs_path = sf_guest_rootfs_path(guest_pod_id, c->guest_container_id);
    }
    if (often())
        APPEND(c, scsi_reservation_ids, text("%s", add_mount(s, add_disk(s, true), 0)));
    if (often())
        hold_device(s, c);
    if (often() && s->plan9->n_shares < 9) /* sorted as texts: "10" would stand before "2" */
        hold_share(s, c);
    APPEND(s->container, containers, c);

    static const Sandferry__V1__ProcessStage init[] = {
        SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_NOT_CREATED,
        SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_CREATED,
        SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_RUNNING,
        SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED,
        SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_NOT_CREATED,
    };
    add_process(s, c, text("%s", ""), init[c->stage]);
    for (uint32_t i = 0, more = below(4); i < more; i++)
        add_process(s, c, text("x%u", i),
                    c->stage == SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_RUNNING
                        ? (Sandferry__V1__ProcessStage)below(4)
                        : SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED);
}

static void add_pod(snapshot *s, unsigned n)
{
    Sandferry__V1__Pod *p = NEW(pod);
    Sandferry__V1__NetworkNamespace *ns = NEW(network_namespace);

    p->pod_id = text("p%u", n);
    p->guest_pod_id = text("g-p%u", n);
    APPEND(s->container, pods, p);
    for (uint32_t i = below(4); i > 0; i--)
        add_container(s, p->pod_id, p->guest_pod_id, (unsigned)s->container->n_containers);

    ns->pod_id = text("%s", p->pod_id);
    ns->stage = SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_CONFIGURED;
    for (uint32_t i = 0, ends = below(3); i < ends; i++) {
        Sandferry__V1__NetworkEndpoint *e = NEW(network_endpoint);
        e->nic_id = guid(5, i);
        e->mac_address = text("02:00:00:00:%02x:%02x", n, i);
        APPEND(e, addresses, text("10.%u.0.%u/16", n, 2 + i));
        APPEND(ns, endpoints, e);
    }
    APPEND(s->network, namespaces, ns);
}

static snapshot *some_snapshot(void)
{
    struct sf_error *err = NULL;
    snapshot *s = NEW(sandbox_snapshot);

    s->schema_version = 1;
    s->sandbox_id = text("s%u", below(1000));
    s->created_at = some_time();
    add_vm(s);
    s->scsi = NEW(scsi_section);
    s->vpci = NEW(vpci_section);
    s->plan9 = NEW(plan9_section);
    s->network = NEW(network_section);
    s->container = NEW(container_section);
    s->process = NEW(process_section);
    s->scsi->schema_version = s->vpci->schema_version = s->plan9->schema_version = 1;
    s->network->schema_version = s->container->schema_version = s->process->schema_version = 1;
    s->scsi->controllers = 4;
    s->plan9->next_name = 1;
    for (unsigned i = 0, n = below(4); i < n; i++)
        add_pod(s, i);
    for (uint32_t i = 0, n = below(3); i < n; i++) {
        Sandferry__V1__Extension *e = NEW(extension);
        e->controller = text("e%u", i);
        e->version = below(9);
        e->critical = below(2) == 1;
        e->payload = some_bytes(50);
        APPEND(s, extensions, e);
    }
    ck_assert(sf_snapshot_digest_set(s, &err));
    return s;
}

static struct sf_bytes encoded(const snapshot *s)
{
    struct sf_error *err = NULL;
    struct sf_bytes bytes;

    ck_assert_msg(sf_snapshot_encode(s, &bytes, &err), "%s", err ? sf_error_message(err) : "");
    return bytes;
}

static bool same(const struct sf_bytes *a, const struct sf_bytes *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static uint64_t begin_round(uint64_t i)
{
    uint64_t seed = number_in("SANDFERRY_PROPERTY_SEED", 1) + i;

    state = seed;
    return seed;
}

static uint64_t rounds(void)
{
    return number_in("SANDFERRY_PROPERTY_ROUNDS", ROUNDS);
}

START_TEST(a_sound_snapshot_goes_through_unchanged)
{
    for (uint64_t i = 0; i < rounds(); i++) {
        unsigned long long seed = begin_round(i);
        snapshot *s = some_snapshot();
        struct sf_bytes first = encoded(s);
        struct sf_error *err = NULL;
        snapshot *t = sf_snapshot_load(first.data, first.size, NULL, &err);
        ck_assert_msg(t != NULL, "seed %llu: %s", seed, err ? sf_error_message(err) : "");
        struct sf_bytes second = encoded(t);
        ck_assert_msg(same(&first, &second), "seed %llu", seed);
        sf_bytes_done(&first);
        sf_bytes_done(&second);
        sf_snapshot_free(s);
        sf_snapshot_free(t);
    }
}
END_TEST

START_TEST(sections_go_through_unchanged)
{
    for (uint64_t i = 0; i < rounds(); i++) {
        unsigned long long seed = begin_round(i);
        snapshot *s = some_snapshot(), *t = NEW(sandbox_snapshot);
        struct sf_error *err = NULL;
        const char *name;
        for (size_t k = 0; (name = sf_section_name(s, k)) != NULL; k++) {
            struct sf_bytes section;
            uint32_t version;
            ck_assert(sf_section_get(s, name, &section, &version, &err));
            bool critical = k >= 7 && s->extensions[k - 7]->critical;
            ck_assert_msg(sf_section_set(t, name, version, critical, &section, &err),
                          "seed %llu: %s", seed, err ? sf_error_message(err) : "");
            sf_bytes_done(&section);
        }
        t->schema_version = s->schema_version;
        t->sandbox_id = text("%s", s->sandbox_id);
        t->created_at = s->created_at;
        s->created_at = NULL;
        ck_assert(sf_snapshot_digest_set(t, &err));
        ck_assert_msg(memcmp(s->digest.data, t->digest.data, SF_DIGEST_SIZE) == 0, "seed %llu",
                      seed);
        sf_snapshot_free(s);
        sf_snapshot_free(t);
    }
}
END_TEST

/* Whatever can be decoded can be judged and shown. */
static void use(const snapshot *s)
{
    struct sf_error *err = NULL;

    sf_snapshot_check(s, NULL, &err);
    sf_error_free(err);
    free(sf_snapshot_to_tree(s));
    free(sf_snapshot_to_dot(s));
    free(sf_snapshot_to_json_text(s));
}

START_TEST(broken_bytes_are_survived)
{
    for (uint64_t i = 0; i < rounds(); i++) {
        begin_round(i);
        snapshot *s = some_snapshot();
        struct sf_bytes whole = encoded(s);
        sf_snapshot_free(s);
        for (int k = 0; k < 20; k++) {
            struct sf_bytes bytes;
            ck_assert(sf_bytes_copy(&bytes, whole.data, whole.size));
            for (uint32_t n = 1 + below(4); n > 0; n--)
                bytes.data[below((uint32_t)bytes.size)] = (uint8_t)any();
            size_t size = often() ? bytes.size : below((uint32_t)bytes.size);
            struct sf_error *err = NULL;
            snapshot *t = sf_snapshot_decode(bytes.data, size, &err);
            ck_assert((t == NULL) == (err != NULL));
            if (t != NULL)
                use(t);
            sf_error_free(err);
            sf_snapshot_free(t);
            sf_bytes_done(&bytes);
        }
        sf_bytes_done(&whole);
    }
}
END_TEST

/* Numbers, texts and messages anywhere become others, or go. */
static void break_something(ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *type = m->descriptor;
    const ProtobufCFieldDescriptor *field = &type->fields[below(type->n_fields)];
    size_t n = sf_field_count(m, field);
    void *at = (char *)m + field->offset;

    if (field->type == PROTOBUF_C_TYPE_MESSAGE && n > 0) {
        void *inner = (void *)(uintptr_t)sf_field_value(m, field, below((uint32_t)n));
        if (field->label == PROTOBUF_C_LABEL_REPEATED || often()) {
            break_something(inner);
        } else {
            protobuf_c_message_free_unpacked(inner, NULL);
            *(void **)at = NULL;
        }
    } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return;
    } else if (field->type == PROTOBUF_C_TYPE_STRING) {
        static const char *const texts[] = {"", "/", "..", "{", "é", "255", "p0", "c0000"};
        if (*(char **)at != protobuf_c_empty_string)
            free(*(char **)at);
        *(char **)at = text("%s", texts[below(8)]);
    } else if (field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_ENUM ||
               field->type == PROTOBUF_C_TYPE_INT32) {
        *(uint32_t *)at = often() ? below(300) : (uint32_t)any();
    }
}

START_TEST(broken_fields_are_survived)
{
    for (uint64_t i = 0; i < rounds(); i++) {
        begin_round(i);
        snapshot *s = some_snapshot();
        for (int k = 0; k < 30; k++) {
            break_something(&s->base);
            use(s);
        }
        sf_snapshot_free(s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot properties");
    TCase *t = tcase_create("snapshot");
    tcase_set_timeout(t, 100);
    tcase_add_test(t, a_sound_snapshot_goes_through_unchanged);
    tcase_add_test(t, sections_go_through_unchanged);
    tcase_add_test(t, broken_bytes_are_survived);
    tcase_add_test(t, broken_fields_are_survived);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
