/*
 * What cannot be true at the same time. Each rule looks at one kind of object and the objects that
 * it leans on; a reference that leads nowhere is refs.c's to tell, and is passed over here.
 */
#include "snapshot/validate.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "snapshot/limits.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;
typedef Sandferry__V1__ScsiDisk disk;
typedef Sandferry__V1__ScsiMount mount;
typedef Sandferry__V1__ScsiReservation reservation;
typedef Sandferry__V1__Container container;
typedef Sandferry__V1__ContainerLayer layer;
typedef Sandferry__V1__Pod pod;
typedef Sandferry__V1__Process process;
typedef Sandferry__V1__VpciDevice device;
typedef Sandferry__V1__VpciReservation device_reservation;
typedef Sandferry__V1__Plan9Share share;
typedef Sandferry__V1__Plan9Reservation share_reservation;

/* Pointers into one of the snapshot's lists, sorted by the key whatever the list is. */
struct index {
    void **list;
    size_t n;
    int (*compare)(const void *, const void *);
};

struct world {
    const snapshot *s;
    struct sf_reasons *why;
    struct index disks, reservations, containers, pods, processes, devices, device_holds, shares,
        share_holds;
};

#define BY(name, type, expression)                                                                 \
    static int name(const void *left, const void *right)                                           \
    {                                                                                              \
        const type *a = *(type *const *)left, *b = *(type *const *)right;                          \
        return expression;                                                                         \
    }

BY(by_slot, disk, (a->slot > b->slot) - (a->slot < b->slot))
BY(by_reservation, reservation, strcmp(a->id, b->id))
BY(by_container, container, strcmp(a->container_id, b->container_id))
BY(by_pod, pod, strcmp(a->pod_id, b->pod_id))
BY(by_device, device, strcmp(a->id, b->id))
BY(by_device_reservation, device_reservation, strcmp(a->id, b->id))
BY(by_port, device, strcmp(a->guest_address, b->guest_address))
BY(by_share, share, strcmp(a->name, b->name))
BY(by_share_reservation, share_reservation, strcmp(a->id, b->id))

static int by_host(const void *left, const void *right)
{
    const device *a = *(device *const *)left, *b = *(device *const *)right;
    int order = strcmp(a->host_address, b->host_address);

    return order != 0 ? order
                      : (a->virtual_function > b->virtual_function) -
                            (a->virtual_function < b->virtual_function);
}

static int by_process(const void *left, const void *right)
{
    const process *a = *(process *const *)left, *b = *(process *const *)right;
    int order = strcmp(a->container_id, b->container_id);

    return order != 0 ? order : strcmp(a->exec_id, b->exec_id);
}

static bool index_list(struct index *ret, void *list, size_t n,
                       int (*compare)(const void *, const void *))
{
    *ret = (struct index){.n = n, .compare = compare};
    if (n == 0)
        return true;
    ret->list = calloc(n, sizeof(void *));
    if (ret->list == NULL)
        return false;
    memcpy(ret->list, list, n * sizeof(void *));
    qsort(ret->list, n, sizeof(void *), compare);
    return true;
}

static const void *find(const struct index *index, const void *key)
{
    void *const *found =
        index->n > 0 ? bsearch(&key, index->list, index->n, sizeof(void *), index->compare) : NULL;

    return found != NULL ? *found : NULL;
}

static void index_done(struct index *index)
{
    free(index->list);
}

static void bad(struct world *w, const char *text, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* @fmt gives the field's path. */
static void bad(struct world *w, const char *text, const char *fmt, ...)
{
    SF_CLEANUP(sf_text_done) struct sf_text path = {0};
    va_list args;

    va_start(args, fmt);
    sf_text_addv(&path, fmt, args);
    va_end(args);
    sf_reasons_add_field(w->why, path.data != NULL ? path.data : "", "%s", text);
}

static const char *name_of(const ProtobufCEnumDescriptor *type, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

    return value != NULL ? value->name : "unknown";
}

/* ---- vm ---- */

#define MEMORY_STEP (UINT64_C(2) * 1024 * 1024)

static void check_vm(struct world *w)
{
    const Sandferry__V1__VmSection *vm = w->s->vm;
    if (vm == NULL)
        return;

    if (vm->options != NULL && vm->options->memory_bytes % MEMORY_STEP != 0)
        bad(w, "is no multiple of 2 MiB", "vm.options.memory_bytes");
    if (vm->options != NULL && vm->memory != NULL && vm->options->memory_bytes != 0 &&
        vm->options->memory_bytes != vm->memory->size_bytes)
        bad(w, "differs from vm.options.memory_bytes", "vm.memory.size_bytes");
    if (vm->stage != SANDFERRY__V1__VM_STAGE__VM_STAGE_RUNNING)
        return;
    if (vm->machine_document[0] == '\0')
        bad(w, "is empty, but the VM runs", "vm.machine_document");
    if (vm->memory == NULL)
        bad(w, "is absent, but the VM runs", "vm.memory");
    if (vm->agent == NULL)
        bad(w, "is absent, but the VM runs", "vm.agent");
}

static bool vm_stands_still(const struct world *w)
{
    return w->s->vm != NULL && w->s->vm->stage != SANDFERRY__V1__VM_STAGE__VM_STAGE_RUNNING;
}

/* ---- scsi ---- */

static bool is_mounted(const mount *m)
{
    return m->stage == SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_MOUNTED;
}

static bool is_attached(const disk *d)
{
    return d->stage == SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_ATTACHED;
}

static void check_guest_path(struct world *w, const disk *d, const mount *m, size_t i, size_t k)
{
    if (m->guest_path[0] == '\0') {
        if (is_mounted(m))
            bad(w, "is empty, but the partition is mounted",
                "scsi.disks[%zu].mounts[%zu].guest_path", i, k);
        return;
    }
    if (m->block_device)
        return; /* the kernel's name of a device */

    SF_CLEANUP(sf_freep) char *want = sf_guest_mount_path(d->slot, m->partition);
    if (want == NULL || strcmp(want, m->guest_path) == 0)
        return;
    SF_CLEANUP(sf_freep) char *text = sf_format("is '%s'; must be '%s'", m->guest_path, want);
    bad(w, text != NULL ? text : "is another than its slot says",
        "scsi.disks[%zu].mounts[%zu].guest_path", i, k);
}

static void check_mount(struct world *w, const disk *d, const mount *m, size_t i, size_t k)
{
    if (is_mounted(m) && !is_attached(d)) {
        SF_CLEANUP(sf_freep)
        char *text = sf_format("is mounted on a disk that is %s",
                               name_of(&sandferry__v1__scsi_disk_stage__descriptor, (int)d->stage));
        bad(w, text != NULL ? text : "is mounted on a disk that is not attached",
            "scsi.disks[%zu].mounts[%zu].stage", i, k);
    }
    if (d->read_only && !m->read_only && !m->block_device)
        bad(w, "is writable on a disk that is not", "scsi.disks[%zu].mounts[%zu].read_only", i, k);
    check_guest_path(w, d, m, i, k);
}

static void check_scsi(struct world *w)
{
    const Sandferry__V1__ScsiSection *scsi = w->s->scsi;

    for (size_t i = 0; scsi != NULL && i < scsi->n_disks; i++) {
        const disk *d = scsi->disks[i];
        if (d->slot >= scsi->controllers * SF_SCSI_LUNS || d->slot / SF_SCSI_LUNS > 3) {
            SF_CLEANUP(sf_freep)
            char *text =
                sf_format("%u is beyond the slots of %u controllers", d->slot, scsi->controllers);
            bad(w, text != NULL ? text : "is out of range", "scsi.disks[%zu].slot", i);
        }
        if (is_attached(d) && vm_stands_still(w))
            bad(w, "is attached to a VM that does not run", "scsi.disks[%zu].stage", i);
        for (size_t k = 0; k < d->n_mounts; k++)
            check_mount(w, d, d->mounts[k], i, k);
    }
}

/* ---- plan9 ---- */

/* What the guest holds of a share, and the line that it says so on. */
static void check_fids(struct world *w, const share *sh, size_t i)
{
    bool served = sh->stage == SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_ADDED;

    if (!served && (sh->n_fids > 0 || sh->partial.len > 0))
        bad(w, "is not served, but the guest holds files of it", "plan9.shares[%zu].stage", i);
    if (served && sh->n_fids > 0 && w->s->vm != NULL && w->s->vm->shares == NULL)
        bad(w, "is absent, but the guest holds files of shares", "vm.shares");
    for (size_t k = 0; k < sh->n_fids; k++)
        if (!sh->fids[k]->open && sh->fids[k]->n_locks > 0)
            bad(w, "has locks, but is not open", "plan9.shares[%zu].fids[%zu].open", i, k);
}

static void check_share(struct world *w, const Sandferry__V1__Plan9Section *plan9, size_t i)
{
    const share *sh = plan9->shares[i];
    const Sandferry__V1__Plan9Mount *m = sh->mount;

    if (strtoull(sh->name, NULL, 10) >= plan9->next_name)
        bad(w, "is not below plan9.next_name", "plan9.shares[%zu].name", i);
    if (plan9->no_writable_file_shares && !sh->read_only)
        bad(w, "is writable, and plan9.no_writable_file_shares forbids it",
            "plan9.shares[%zu].read_only", i);
    if (!sh->restricted && sh->n_allowed_names > 0)
        bad(w, "has names, but the share is not restricted", "plan9.shares[%zu].allowed_names", i);
    check_fids(w, sh, i);
    if (m == NULL)
        return;
    if (sh->read_only && !m->read_only)
        bad(w, "is writable on a share that is not", "plan9.shares[%zu].mount.read_only", i);
    if (m->stage != SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_MOUNTED)
        return;
    if (sh->stage != SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_ADDED)
        bad(w, "is mounted from a share that is not served", "plan9.shares[%zu].mount.stage", i);
    if (m->guest_path[0] == '\0')
        bad(w, "is empty, but the share is mounted", "plan9.shares[%zu].mount.guest_path", i);
}

static void check_plan9(struct world *w)
{
    const Sandferry__V1__Plan9Section *plan9 = w->s->plan9;
    if (plan9 == NULL)
        return;

    for (size_t i = 0; i < plan9->n_shares; i++)
        check_share(w, plan9, i);
    for (size_t i = 0; i < plan9->n_reservations; i++) {
        const share key = {.name = plan9->reservations[i]->share};
        const share *held = find(&w->shares, &key);
        if (held != NULL && held->mount == NULL)
            bad(w, "holds a share that has no mount", "plan9.reservations[%zu].share", i);
        if (held != NULL && plan9->reservations[i]->file &&
            (!held->restricted || held->n_allowed_names != 1))
            bad(w, "holds a file, but its share is not restricted to that one name",
                "plan9.reservations[%zu].file", i);
    }
}

/* ---- vpci, network ---- */

static bool is_in_vm(const device *d)
{
    return d->stage == SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_ASSIGNED ||
           d->stage == SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY ||
           d->stage == SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_ASSIGNED_INVALID;
}

static void check_device(struct world *w, const device *d, size_t i)
{
    bool of_host = d->host_address[0] != '\0';

    if (of_host == (d->model[0] != '\0'))
        bad(w, "must be set if, and only if, model is not", "vpci.devices[%zu].host_address", i);
    if (!of_host && d->virtual_function != 0)
        bad(w, "is set, but host_address is not", "vpci.devices[%zu].virtual_function", i);
    if (of_host && d->n_properties > 0)
        bad(w, "are of a model, and this is the host's", "vpci.devices[%zu].properties", i);
    if (of_host && d->travels)
        bad(w, "is set, but no device of the host travels", "vpci.devices[%zu].travels", i);
    if (is_in_vm(d) && d->guest_address[0] == '\0')
        bad(w, "is empty, but the device is in the VM", "vpci.devices[%zu].guest_address", i);
    if (!is_in_vm(d) && d->guest_address[0] != '\0')
        bad(w, "is set, but the device is not in the VM", "vpci.devices[%zu].guest_address", i);
    if (d->stage == SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY && vm_stands_still(w))
        bad(w, "is ready in a VM that does not run", "vpci.devices[%zu].stage", i);
}

/* Of all devices that have the key at all, no two have the same. */
static void check_device_once(struct world *w, int (*compare)(const void *, const void *),
                              const char *what, bool (*has)(const device *))
{
    const Sandferry__V1__VpciSection *vpci = w->s->vpci;
    struct index sorted;
    if (!index_list(&sorted, vpci->devices, vpci->n_devices, compare)) {
        sf_reasons_add(w->why, "out of memory");
        return;
    }
    for (size_t i = 1; i < sorted.n; i++) {
        const device *d = sorted.list[i];
        if (!has(d) || compare(&sorted.list[i - 1], &sorted.list[i]) != 0)
            continue;
        SF_CLEANUP(sf_freep) char *text = sf_format("device '%s' %s of another", d->id, what);
        bad(w, text != NULL ? text : "comes twice", "vpci.devices");
    }
    index_done(&sorted);
}

static bool has_port(const device *d)
{
    return d->guest_address[0] != '\0';
}

static bool is_of_host(const device *d)
{
    return d->host_address[0] != '\0';
}

static void check_vpci(struct world *w)
{
    const Sandferry__V1__VpciSection *vpci = w->s->vpci;
    if (vpci == NULL)
        return;

    for (size_t i = 0; i < vpci->n_devices; i++)
        check_device(w, vpci->devices[i], i);
    check_device_once(w, by_port, "is in the root port", has_port);
    check_device_once(w, by_host, "is the function", is_of_host);
}

static void check_network(struct world *w)
{
    const Sandferry__V1__NetworkSection *network = w->s->network;

    for (size_t i = 0; network != NULL && i < network->n_namespaces; i++) {
        const Sandferry__V1__NetworkNamespace *ns = network->namespaces[i];
        bool has_none = ns->stage == SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_NOT_CONFIGURED ||
                        ns->stage == SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_TORN_DOWN;
        if (has_none && ns->n_endpoints > 0)
            bad(w, "has endpoints in a stage that has none", "network.namespaces[%zu].stage", i);
    }
}

/* ---- container ---- */

static bool lives(const container *c)
{
    return c->stage == SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_CREATED ||
           c->stage == SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_RUNNING;
}

/* The mount that a reservation holds; NULL: refs.c has said so. */
static const mount *held_mount(const struct world *w, const char *id)
{
    const reservation key = {.id = (char *)id};
    const reservation *r = find(&w->reservations, &key);
    if (r == NULL)
        return NULL;
    const disk slot = {.slot = r->slot};
    const disk *d = find(&w->disks, &slot);
    if (d == NULL)
        return NULL;
    /* A sound disk has no more; and nobody can make this loop long. */
    for (size_t i = 0; i < d->n_mounts && i <= SF_PARTITION_MAX; i++)
        if (d->mounts[i]->partition == r->partition)
            return d->mounts[i];
    return NULL;
}

static const char *const not_mounted = "is not mounted, but the container needs it";

/* Return: what is held, to ask more of; NULL: refs.c has said so. */
static const mount *check_held(struct world *w, const container *c, const char *id,
                               const char *path)
{
    const mount *m = held_mount(w, id);

    if (m != NULL && lives(c) && !is_mounted(m))
        bad(w, not_mounted, "%s", path);
    return m;
}

/* A scratch layer is a directory of the scratch disk's mount, or the mount itself. */
static bool is_layer_path(const char *path, const mount *m, const container *c, const pod *p,
                          bool scratch)
{
    if (path[0] == '\0' || m->guest_path[0] == '\0' || strcmp(path, m->guest_path) == 0)
        return true;
    if (!scratch || p == NULL)
        return false;
    SF_CLEANUP(sf_freep)
    char *want = sf_guest_scratch_path(m->guest_path, p->guest_pod_id, c->guest_container_id);
    return want == NULL || strcmp(path, want) == 0;
}

static void check_layer(struct world *w, const container *c, const pod *p, const layer *l,
                        const char *path, bool scratch)
{
    SF_CLEANUP(sf_freep) char *held = sf_format("%s.reservation_id", path);
    const mount *m = held != NULL ? check_held(w, c, l->reservation_id, held) : NULL;

    if (m == NULL)
        return;
    if (!is_layer_path(l->guest_path, m, c, p, scratch))
        bad(w, "is not where its reservation is mounted", "%s.guest_path", path);
    if (scratch && m->read_only)
        bad(w, "is mounted read-only, but the container writes to it", "%s.reservation_id", path);
}

static void check_layers(struct world *w, const container *c, const pod *p, size_t i)
{
    const Sandferry__V1__ContainerLayers *layers = c->layers;

    for (size_t k = 0; k < layers->n_read_only; k++) {
        SF_CLEANUP(sf_freep)
        char *path = sf_format("container.containers[%zu].layers.read_only[%zu]", i, k);
        if (path != NULL)
            check_layer(w, c, p, layers->read_only[k], path, false);
    }
    if (layers->scratch != NULL) {
        SF_CLEANUP(sf_freep) char *path = sf_format("container.containers[%zu].layers.scratch", i);
        if (path != NULL)
            check_layer(w, c, p, layers->scratch, path, true);
    }
    if (lives(c) && !layers->combined)
        bad(w, "is not mounted, but the container has been made",
            "container.containers[%zu].layers.combined", i);
    if (!layers->combined || p == NULL)
        return;
    SF_CLEANUP(sf_freep)
    char *want = sf_guest_rootfs_path(p->guest_pod_id, c->guest_container_id);
    if (want == NULL || strcmp(layers->rootfs_path, want) == 0)
        return;
    SF_CLEANUP(sf_freep) char *text = sf_format("is '%s'; must be '%s'", layers->rootfs_path, want);
    bad(w, text != NULL ? text : "is another than its ids say",
        "container.containers[%zu].layers.rootfs_path", i);
}

static void check_held_disks(struct world *w, const container *c, size_t i)
{
    for (size_t k = 0; k < c->n_scsi_reservation_ids; k++) {
        SF_CLEANUP(sf_freep)
        char *path = sf_format("container.containers[%zu].scsi_reservation_ids[%zu]", i, k);
        if (path != NULL)
            check_held(w, c, c->scsi_reservation_ids[k], path);
    }
}

static void check_held_shares(struct world *w, const container *c, size_t i)
{
    for (size_t k = 0; lives(c) && k < c->n_plan9_reservation_ids; k++) {
        const share_reservation key = {.id = c->plan9_reservation_ids[k]};
        const share_reservation *hold = find(&w->share_holds, &key);
        const share named = {.name = hold != NULL ? hold->share : (char *)""};
        const share *held = hold != NULL ? find(&w->shares, &named) : NULL;
        if (held != NULL && held->mount != NULL &&
            held->mount->stage != SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_MOUNTED)
            bad(w, not_mounted, "container.containers[%zu].plan9_reservation_ids[%zu]", i, k);
    }
}

static void check_held_devices(struct world *w, const container *c, size_t i)
{
    for (size_t k = 0; lives(c) && k < c->n_vpci_reservation_ids; k++) {
        const device_reservation key = {.id = c->vpci_reservation_ids[k]};
        const device_reservation *hold = find(&w->device_holds, &key);
        const device named = {.id = hold != NULL ? hold->device : (char *)""};
        const device *d = hold != NULL ? find(&w->devices, &named) : NULL;
        if (d != NULL && d->stage != SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY)
            bad(w, "is not ready, but the container needs it",
                "container.containers[%zu].vpci_reservation_ids[%zu]", i, k);
    }
}

/* What the init process must be for its container's stage. */
// clang-format off
static const struct {
    Sandferry__V1__ContainerStage container;
    Sandferry__V1__ProcessStage init;
    const char *text;
} init_stages[] = {
    { SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_CREATED,
      SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_CREATED,
      "is created, but its init process does not wait to be started" },
    { SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_RUNNING,
      SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_RUNNING,
      "runs, but its init process does not" },
    { SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_STOPPED,
      SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED,
      "has stopped, but its init process has not ended" },
};
// clang-format on

static void check_init(struct world *w, const container *c, size_t i)
{
    const process key = {.container_id = c->container_id, .exec_id = (char *)""};
    const process *init = find(&w->processes, &key);

    for (size_t k = 0; k < sizeof(init_stages) / sizeof(init_stages[0]); k++)
        if (init_stages[k].container == c->stage &&
            (init == NULL || init->stage != init_stages[k].init))
            bad(w, init_stages[k].text, "container.containers[%zu].stage", i);
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The key of no list, but the guest's names for things have to differ all the same. */
static void check_guest_ids(struct world *w, const char *field, char **ids, size_t n)
{
    if (ids == NULL)
        return;
    qsort(ids, n, sizeof(char *), by_string);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(ids[i - 1], ids[i]) != 0)
            continue;
        SF_CLEANUP(sf_freep) char *text = sf_format("'%s' comes twice", ids[i]);
        bad(w, text != NULL ? text : "comes twice", "%s", field);
    }
}

static void check_all_guest_ids(struct world *w, const Sandferry__V1__ContainerSection *section)
{
    size_t most = section->n_pods > section->n_containers ? section->n_pods : section->n_containers;
    SF_CLEANUP(sf_freep) char **ids = calloc(most + 1, sizeof(char *));

    if (ids == NULL) {
        sf_reasons_add(w->why, "out of memory");
        return;
    }
    for (size_t i = 0; i < section->n_pods; i++)
        ids[i] = section->pods[i]->guest_pod_id;
    check_guest_ids(w, "container.pods[].guest_pod_id", ids, section->n_pods);
    for (size_t i = 0; i < section->n_containers; i++)
        ids[i] = section->containers[i]->guest_container_id;
    check_guest_ids(w, "container.containers[].guest_container_id", ids, section->n_containers);
}

static void check_containers(struct world *w)
{
    const Sandferry__V1__ContainerSection *section = w->s->container;
    if (section == NULL)
        return;

    check_all_guest_ids(w, section);
    for (size_t i = 0; i < section->n_containers; i++) {
        const container *c = section->containers[i];
        const pod key = {.pod_id = c->pod_id};
        const pod *p = find(&w->pods, &key);
        if (c->layers != NULL)
            check_layers(w, c, p, i);
        check_held_disks(w, c, i);
        check_held_shares(w, c, i);
        check_held_devices(w, c, i);
        check_init(w, c, i);
        if (lives(c) && vm_stands_still(w))
            bad(w, "lives in a VM that does not run", "container.containers[%zu].stage", i);
    }
}

/* ---- process ---- */

static void check_end(struct world *w, const process *p, size_t i)
{
    if (p->stage == SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED)
        return;
    if (p->exit_code != 255)
        bad(w, "must be 255 until the process has ended", "process.processes[%zu].exit_code", i);
    if (p->exited_at != NULL)
        bad(w, "is set, but the process has not ended", "process.processes[%zu].exited_at", i);
}

static void check_pid(struct world *w, const process *p, size_t i)
{
    bool none = p->stage == SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_NOT_CREATED;
    bool runs = p->stage == SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_RUNNING;

    if (p->pid < 0 || (runs && p->pid == 0) || (none && p->pid != 0))
        bad(w, "does not go with the stage", "process.processes[%zu].pid", i);
}

static void check_processes(struct world *w)
{
    const Sandferry__V1__ProcessSection *section = w->s->process;

    for (size_t i = 0; section != NULL && i < section->n_processes; i++) {
        const process *p = section->processes[i];
        const container key = {.container_id = p->container_id};
        const container *c = find(&w->containers, &key);
        check_end(w, p, i);
        check_pid(w, p, i);
        if (c == NULL)
            continue;
        if (strcmp(p->guest_container_id, c->guest_container_id) != 0)
            bad(w, "is another than its container's", "process.processes[%zu].guest_container_id",
                i);
        if (p->stage == SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_RUNNING &&
            c->stage != SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_RUNNING)
            bad(w, "runs in a container that does not", "process.processes[%zu].stage", i);
    }
}

static bool world_init(struct world *w, const snapshot *s, struct sf_reasons *why)
{
    *w = (struct world){.s = s, .why = why};
    bool ok = true;

    if (s->scsi != NULL)
        ok = index_list(&w->disks, s->scsi->disks, s->scsi->n_disks, by_slot) &&
             index_list(&w->reservations, s->scsi->reservations, s->scsi->n_reservations,
                        by_reservation);
    if (ok && s->vpci != NULL)
        ok = index_list(&w->devices, s->vpci->devices, s->vpci->n_devices, by_device) &&
             index_list(&w->device_holds, s->vpci->reservations, s->vpci->n_reservations,
                        by_device_reservation);
    if (ok && s->plan9 != NULL)
        ok = index_list(&w->shares, s->plan9->shares, s->plan9->n_shares, by_share) &&
             index_list(&w->share_holds, s->plan9->reservations, s->plan9->n_reservations,
                        by_share_reservation);
    if (ok && s->container != NULL)
        ok = index_list(&w->pods, s->container->pods, s->container->n_pods, by_pod) &&
             index_list(&w->containers, s->container->containers, s->container->n_containers,
                        by_container);
    if (ok && s->process != NULL)
        ok = index_list(&w->processes, s->process->processes, s->process->n_processes, by_process);
    return ok;
}

static void world_done(struct world *w)
{
    index_done(&w->disks);
    index_done(&w->reservations);
    index_done(&w->containers);
    index_done(&w->pods);
    index_done(&w->processes);
    index_done(&w->devices);
    index_done(&w->device_holds);
    index_done(&w->shares);
    index_done(&w->share_holds);
}

void sf_rules_check(const snapshot *s, struct sf_reasons *why)
{
    SF_CLEANUP(world_done) struct world w;

    if (!world_init(&w, s, why)) {
        sf_reasons_add(why, "out of memory");
        return;
    }
    check_vm(&w);
    check_scsi(&w);
    check_plan9(&w);
    check_vpci(&w);
    check_network(&w);
    check_containers(&w);
    check_processes(&w);
}
