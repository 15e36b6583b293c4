/* The container section: memory to wire and back, believing nothing. */
#include "container/container.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/snapshot.pb-c.h"
#include "snapshot/wire.h"

#define STAGE(name) SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_##name
static_assert((int)CONTAINER_NOT_CREATED == (int)STAGE(NOT_CREATED), "");
static_assert((int)CONTAINER_CREATED == (int)STAGE(CREATED), "");
static_assert((int)CONTAINER_RUNNING == (int)STAGE(RUNNING), "");
static_assert((int)CONTAINER_STOPPED == (int)STAGE(STOPPED), "");
static_assert((int)CONTAINER_INVALID == (int)STAGE(INVALID), "");

#define NS_PER_S 1000000000

typedef Sandferry__V1__ContainerSection section_t;
typedef Sandferry__V1__Container container_t;
typedef Sandferry__V1__ContainerLayer layer_t;
typedef Sandferry__V1__Pod pod_t;

static void section_free(section_t *section)
{
    if (section != NULL)
        sandferry__v1__container_section__free_unpacked(section, NULL);
}
SF_DEFINE_CLEANUP(section_t, section_free)

/* ---- To the wire. What a container's message points to is borrowed from the books. ---- */

struct wire_container {
    container_t message;
    Sandferry__V1__ContainerLayers layers;
    layer_t layer[LAYERS_MAX + 1];
    layer_t *layer_list[LAYERS_MAX];
    Sandferry__V1__Label label[LABELS_MAX];
    Sandferry__V1__Label *label_list[LABELS_MAX];
    char *held[HELD_KINDS][HELD_MAX];
    Google__Protobuf__Timestamp created_at;
};

static void layer_to_wire(const struct layer *layer, layer_t *wire)
{
    sandferry__v1__container_layer__init(wire);
    wire->reservation_id = (char *)(uintptr_t)layer->reservation_id;
    wire->guest_path = (char *)(uintptr_t)layer->guest_path;
}

static void layers_to_wire(const struct container *c, struct wire_container *w)
{
    sandferry__v1__container_layers__init(&w->layers);
    for (size_t i = 0; i < c->n_layers; i++) {
        layer_to_wire(&c->layers[i], &w->layer[i]);
        w->layer_list[i] = &w->layer[i];
    }
    w->layers.read_only = w->layer_list;
    w->layers.n_read_only = c->n_layers;
    if (c->scratch.reservation_id[0] != '\0') {
        layer_to_wire(&c->scratch, &w->layer[LAYERS_MAX]);
        w->layers.scratch = &w->layer[LAYERS_MAX];
    }
    w->layers.combined = c->combined;
    w->layers.rootfs_path = (char *)(uintptr_t)c->rootfs_path;
}

static void held_to_wire(const struct container *c, struct wire_container *w)
{
    for (unsigned kind = 0; kind < HELD_KINDS; kind++)
        for (size_t i = 0; i < c->held[kind].n; i++)
            w->held[kind][i] = (char *)(uintptr_t)c->held[kind].ids[i];
    w->message.scsi_reservation_ids = w->held[HELD_DISKS];
    w->message.n_scsi_reservation_ids = c->held[HELD_DISKS].n;
    w->message.plan9_reservation_ids = w->held[HELD_SHARES];
    w->message.n_plan9_reservation_ids = c->held[HELD_SHARES].n;
    w->message.vpci_reservation_ids = w->held[HELD_DEVICES];
    w->message.n_vpci_reservation_ids = c->held[HELD_DEVICES].n;
}

static size_t labels_to_wire(const struct label *labels, size_t n, Sandferry__V1__Label *wires,
                             Sandferry__V1__Label **list)
{
    for (size_t i = 0; i < n; i++) {
        sandferry__v1__label__init(&wires[i]);
        wires[i].key = labels[i].key;
        wires[i].value = labels[i].value;
        list[i] = &wires[i];
    }
    return n;
}

static void container_to_wire(const struct container *c, struct wire_container *w)
{
    container_t *m = &w->message;

    sandferry__v1__container__init(m);
    m->container_id = (char *)(uintptr_t)c->container_id;
    m->guest_container_id = (char *)(uintptr_t)c->guest_container_id;
    m->pod_id = (char *)(uintptr_t)c->pod_id;
    m->stage = (Sandferry__V1__ContainerStage)c->state;
    layers_to_wire(c, w);
    m->layers = &w->layers;
    held_to_wire(c, w);
    if (c->spec != NULL)
        m->spec = c->spec;
    m->n_labels = labels_to_wire(c->labels, c->n_labels, w->label, w->label_list);
    m->labels = w->label_list;
    google__protobuf__timestamp__init(&w->created_at);
    w->created_at.seconds = c->created_at_ns / NS_PER_S;
    w->created_at.nanos = (int32_t)(c->created_at_ns % NS_PER_S);
    m->created_at = &w->created_at;
}

static bool pack(section_t *section, struct sf_bytes *ret, struct sf_error **err)
{
    size_t size = sandferry__v1__container_section__get_packed_size(section);
    uint8_t *data = malloc(size);

    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a section of %zu bytes", size);
    sandferry__v1__container_section__pack(section, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    return true;
}

struct wire_pod {
    pod_t message;
    Sandferry__V1__Label label[LABELS_MAX];
    Sandferry__V1__Label *label_list[LABELS_MAX];
};

static void pod_to_wire(const struct pod *pod, struct wire_pod *w)
{
    sandferry__v1__pod__init(&w->message);
    w->message.pod_id = (char *)(uintptr_t)pod->pod_id;
    w->message.guest_pod_id = (char *)(uintptr_t)pod->guest_pod_id;
    w->message.declared = pod->declared;
    w->message.n_labels = labels_to_wire(pod->labels, pod->n_labels, w->label, w->label_list);
    w->message.labels = w->label_list;
}

bool containers_to_section(const struct containers *c, struct sf_bytes *ret, struct sf_error **err)
{
    section_t section = SANDFERRY__V1__CONTAINER_SECTION__INIT;
    struct wire_container *wires = calloc(c->n + 1, sizeof(*wires));
    container_t **list = calloc(c->n + 1, sizeof(*list));
    struct wire_pod *pods = calloc(c->n_pods + 1, sizeof(*pods));
    pod_t **pod_list = calloc(c->n_pods + 1, sizeof(*pod_list));
    bool ok = wires != NULL && list != NULL && pods != NULL && pod_list != NULL;

    for (size_t i = 0; ok && i < c->n_pods; i++) {
        pod_to_wire(c->pods[i], &pods[i]);
        pod_list[i] = &pods[i].message;
    }
    for (size_t i = 0; ok && i < c->n; i++) {
        container_to_wire(c->list[i], &wires[i]);
        list[i] = &wires[i].message;
    }
    section.schema_version = CONTAINER_SECTION_VERSION;
    section.pods = pod_list;
    section.n_pods = c->n_pods;
    section.containers = list;
    section.n_containers = c->n;
    ok = ok ? pack(&section, ret, err) : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    free(wires);
    free(list);
    free(pods);
    free(pod_list);
    return ok;
}

/* ---- From the wire ---- */

static bool layer_from_wire(struct layer *layer, const layer_t *wire, struct sf_error **err)
{
    if (!sf_guid_valid(wire->reservation_id) || strlen(wire->guest_path) >= LAYER_PATH_SIZE)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "reservation id '%.40s' is not a GUID, or the "
                       "guest path is too long",
                       wire->reservation_id);
    snprintf(layer->reservation_id, SF_GUID_SIZE, "%s", wire->reservation_id);
    snprintf(layer->guest_path, LAYER_PATH_SIZE, "%s", wire->guest_path);
    return true;
}

static bool layers_from_wire(struct container *c, const Sandferry__V1__ContainerLayers *wire,
                             struct sf_error **err)
{
    if (wire == NULL)
        return true;
    if (wire->n_read_only > LAYERS_MAX || strlen(wire->rootfs_path) >= LAYER_PATH_SIZE)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "%zu layers, at most %d; or the root path is too "
                       "long",
                       wire->n_read_only, LAYERS_MAX);
    for (size_t i = 0; i < wire->n_read_only; i++)
        if (!layer_from_wire(&c->layers[i], wire->read_only[i], err))
            return sf_fail_in(err, "layers.read_only[%zu]", i);
    c->n_layers = wire->n_read_only;
    if (wire->scratch != NULL && !layer_from_wire(&c->scratch, wire->scratch, err))
        return sf_fail_in(err, "layers.scratch");
    c->combined = wire->combined;
    snprintf(c->rootfs_path, LAYER_PATH_SIZE, "%s", wire->rootfs_path);
    return true;
}

static bool check(const struct containers *c, const container_t *wire, struct sf_error **err)
{
    if (!sf_id_valid(wire->container_id) || !sf_id_valid(wire->guest_container_id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.80s' or '%.80s' is no container id",
                       wire->container_id, wire->guest_container_id);
    if (container_find(c, wire->container_id) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' comes twice", wire->container_id);
    if (!sf_id_valid(wire->pod_id) || pod_find(c, wire->pod_id) == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "pod '%.80s' is not there", wire->pod_id);
    if ((unsigned)wire->stage >= CONTAINER_N_STATES)
        return sf_fail(err, SF_INVALID_ARGUMENT, "unknown stage %d", (int)wire->stage);
    if (wire->n_labels > LABELS_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%zu labels; at most %d", wire->n_labels,
                       LABELS_MAX);
    if (wire->created_at != NULL &&
        (wire->created_at->seconds < 0 || wire->created_at->seconds > INT64_MAX / NS_PER_S - 1 ||
         wire->created_at->nanos < 0 || wire->created_at->nanos >= NS_PER_S))
        return sf_fail(err, SF_INVALID_ARGUMENT, "created_at is no time");
    return true;
}

/* Each once: what is held twice would be released twice. */
static bool ids_from_wire(struct held *held, size_t n, char *const *ids, struct sf_error **err)
{
    if (n > HELD_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%zu ids; at most %d", n, HELD_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!sf_guid_valid(ids[i]))
            return sf_fail(err, SF_INVALID_ARGUMENT, "[%zu]: '%.40s' is not a GUID", i, ids[i]);
        for (size_t k = 0; k < held->n; k++)
            if (strcmp(held->ids[k], ids[i]) == 0)
                return sf_fail(err, SF_INVALID_ARGUMENT, "[%zu]: '%s' comes twice", i, ids[i]);
        held_add(held, ids[i]);
    }
    return true;
}

static bool held_from_wire(struct container *c, const container_t *wire, struct sf_error **err)
{
    if (!ids_from_wire(&c->held[HELD_DISKS], wire->n_scsi_reservation_ids,
                       wire->scsi_reservation_ids, err))
        return sf_fail_in(err, "scsi_reservation_ids");
    if (!ids_from_wire(&c->held[HELD_SHARES], wire->n_plan9_reservation_ids,
                       wire->plan9_reservation_ids, err))
        return sf_fail_in(err, "plan9_reservation_ids");
    if (!ids_from_wire(&c->held[HELD_DEVICES], wire->n_vpci_reservation_ids,
                       wire->vpci_reservation_ids, err))
        return sf_fail_in(err, "vpci_reservation_ids");
    return true;
}

static bool container_from_wire(struct containers *c, const container_t *wire,
                                struct sf_error **err)
{
    if (!check(c, wire, err))
        return false;
    struct container *new = container_add(c, wire->container_id, wire->pod_id, err);
    if (new == NULL)
        return false;

    snprintf(new->guest_container_id, SF_ID_SIZE, "%s", wire->guest_container_id);
    new->state = (unsigned)wire->stage;
    if (wire->created_at != NULL)
        new->created_at_ns = wire->created_at->seconds *NS_PER_S + wire->created_at->nanos;
    if (!layers_from_wire(new, wire->layers, err))
        return false;
    if (!held_from_wire(new, wire, err))
        return false;
    for (size_t i = 0; i < wire->n_labels; i++)
        if (!container_add_label(new, wire->labels[i]->key, wire->labels[i]->value))
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    new->spec = strdup(wire->spec);
    return new->spec != NULL ? true : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static bool pod_from_wire(struct containers *c, const pod_t *wire, struct sf_error **err)
{
    if (!sf_id_valid(wire->pod_id) || !sf_id_valid(wire->guest_pod_id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.80s' or '%.80s' is no pod id", wire->pod_id,
                       wire->guest_pod_id);
    if (pod_find(c, wire->pod_id) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' comes twice", wire->pod_id);
    struct pod *pod = pod_add(c, wire->pod_id, wire->guest_pod_id, err);
    if (pod == NULL)
        return false;
    pod->declared = wire->declared;
    if (wire->n_labels > LABELS_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%zu labels; at most %d", wire->n_labels,
                       LABELS_MAX);
    for (size_t i = 0; i < wire->n_labels; i++)
        if (!pod_add_label(pod, wire->labels[i]->key, wire->labels[i]->value))
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return true;
}

static bool fill(struct containers *c, const section_t *wire, struct sf_error **err)
{
    for (size_t i = 0; i < wire->n_pods; i++)
        if (!pod_from_wire(c, wire->pods[i], err))
            return sf_fail_in(err, "pods[%zu]", i);
    for (size_t i = 0; i < wire->n_containers; i++)
        if (!container_from_wire(c, wire->containers[i], err))
            return sf_fail_in(err, "containers[%zu]", i);
    return true;
}

bool containers_from_section(struct containers *c, const struct sf_bytes *bytes,
                             struct sf_error **err)
{
    if (!sf_wire_check(&sandferry__v1__container_section__descriptor, bytes->data, bytes->size,
                       &sf_wire_snapshot, err))
        return false;
    SF_CLEANUP(section_freep)
    section_t *wire = sandferry__v1__container_section__unpack(NULL, bytes->size, bytes->data);
    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a ContainerSection");
    if (fill(c, wire, err))
        return true;
    containers_empty(c);
    return false;
}
