/* Making, starting and deleting a container. What fails half way is taken back. */
#include "container/container.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "snapshot/limits.h"
#include "snapshot/validate.h"

static const struct sf_processes_offer *
processes_of(struct containers *c, struct sf_controller **ret_owner, struct sf_error **err)
{
    const struct sf_processes_offer *processes =
        sf_sandbox_offer(c->base.sandbox, SF_PROCESSES_OFFER, ret_owner);

    if (processes == NULL)
        sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_PROCESSES_OFFER);
    return processes;
}

static void move(struct container *container, unsigned event)
{
    struct sf_error *impossible = NULL;
    bool moved = sf_machine_move(&container_machine, &container->state, event,
                                 container->container_id, &impossible);

    assert(moved); /* the callers have looked */
    (void)moved;
}

/* ---- Create ---- */

static bool check_numbers(const struct wanted_container *wanted, struct sf_error **err)
{
    static_assert(HELD_MAX == LAYERS_MAX && LABELS_MAX == LAYERS_MAX, "one limit is named");
    const struct {
        const char *field;
        size_t n, least;
    } lists[] = {
        {"layers", wanted->n_layers, 1}, {"disks", wanted->n_disks, 0},
        {"shares", wanted->n_shares, 0}, {"devices", wanted->n_devices, 0},
        {"labels", wanted->n_labels, 0},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (lists[i].n >= lists[i].least && lists[i].n <= LAYERS_MAX)
            continue;
        sf_fail(err, SF_INVALID_ARGUMENT, "container '%s' has %zu %s; %zu to %d are allowed",
                wanted->container_id, lists[i].n, lists[i].field, lists[i].least, LAYERS_MAX);
        return sf_fail_detail(err, SF_DETAIL_FIELD, lists[i].field, "%zu to %d are allowed",
                              lists[i].least, LAYERS_MAX);
    }
    return true;
}

static bool check(struct containers *c, const struct wanted_container *wanted,
                  struct sf_error **err)
{
    if (!sf_id_valid(wanted->container_id) ||
        (wanted->pod_id[0] != '\0' && !sf_id_valid(wanted->pod_id))) {
        sf_fail(err, SF_INVALID_ARGUMENT,
                "'%.80s' is no container id, or '%.80s' no pod id: 1 to 64 "
                "letters, digits, '-', '_', '.', the first a letter or digit",
                wanted->container_id, wanted->pod_id);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "container_id", "must be an id");
    }
    if (container_find(c, wanted->container_id) != NULL)
        return sf_fail(err, SF_ALREADY_EXISTS,
                       "sandbox '%s' has a container '%s' already; delete it, or take another id",
                       sf_sandbox_id(c->base.sandbox), wanted->container_id);
    return check_numbers(wanted, err);
}

bool labels_check(const struct label *labels, size_t n, struct sf_error **err)
{
    if (n > LABELS_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "%zu labels; at most %d", n, LABELS_MAX);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "labels", "at most %d", LABELS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        const char *key = labels[i].key;
        bool twice = false;
        for (size_t k = 0; k < i && !twice; k++)
            twice = strcmp(labels[k].key, key) == 0;
        if (key[0] != '\0' && strlen(key) <= SF_LABEL_KEY_MAX && !twice &&
            strlen(labels[i].value) <= SF_LABEL_VALUE_MAX)
            continue;
        sf_fail(err, SF_INVALID_ARGUMENT,
                "labels[%zu]: the key '%.128s' %s; give each key once, with 1 to %d bytes, and a "
                "value of at most %d",
                i, key,
                twice ? "comes twice"
                      : "or its value has no good "
                        "length",
                SF_LABEL_KEY_MAX, SF_LABEL_VALUE_MAX);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "labels", "key twice, or of no good length");
    }
    return true;
}

static struct container *new_container(struct containers *c, const struct wanted_container *wanted,
                                       struct sf_error **err)
{
    const char *pod_id = wanted->pod_id[0] != '\0' ? wanted->pod_id : wanted->container_id;
    struct pod *pod = pod_find(c, pod_id);

    if (pod == NULL && (pod = pod_new(c, pod_id, err)) == NULL)
        return NULL;
    char guest_id[SF_ID_SIZE];
    container_guest_id(c, wanted->container_id, guest_id);
    struct container *container = container_add(c, wanted->container_id, pod_id, err);
    SF_CLEANUP(sf_freep) char *rootfs = sf_guest_rootfs_path(pod->guest_pod_id, guest_id);
    bool ok = container != NULL && rootfs != NULL && strlen(rootfs) < LAYER_PATH_SIZE;
    for (size_t i = 0; ok && i < wanted->n_labels; i++)
        ok = container_add_label(container, wanted->labels[i].key, wanted->labels[i].value);
    if (ok) {
        memcpy(container->guest_container_id, guest_id, sizeof(guest_id));
        snprintf(container->rootfs_path, LAYER_PATH_SIZE, "%s", rootfs);
        container->created_at_ns = sf_clock_realtime_ns();
        return container;
    }
    if (container != NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for container '%s'", wanted->container_id);
        container_remove(c, container);
    }
    pod_remove_if_empty(c, pod_id);
    return NULL;
}

static bool find_network(struct containers *c, const char *pod_id, char ret[SF_ID_SIZE],
                         struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_networks_offer *networks =
        sf_sandbox_offer(c->base.sandbox, SF_NETWORKS_OFFER, &owner);
    const char *name = NULL;

    if (networks != NULL && !networks->guest_namespace(owner, pod_id, &name, err))
        return false;
    snprintf(ret, SF_ID_SIZE, "%s", name != NULL ? name : "");
    return true;
}

static bool make(struct containers *c, struct container *container,
                 const struct wanted_container *wanted, struct sf_error **err)
{
    SF_CLEANUP(spec_mounts_done) struct spec_mounts mounts = {0};
    struct sf_controller *owner;
    const struct sf_processes_offer *processes = processes_of(c, &owner, err);
    bool terminal;
    int32_t pid;

    if (processes == NULL || !find_network(c, container->pod_id, mounts.network, err) ||
        !hold_wanted(c, container, wanted, &mounts, err))
        return false;
    container->spec = spec_make(wanted, container, &mounts, &terminal, err);
    if (container->spec == NULL)
        return false;
    container->combined = true; /* even if the answer is lost: the guest may have made it */
    if (!guest_create(c, container, terminal, &pid, err))
        return false;
    return processes->add_init(owner, container->container_id, container->guest_container_id, pid,
                               terminal, err);
}

/* Takes back what there is of it. What cannot be taken back stays in the books, to be deleted. */
static void unmake(struct containers *c, struct container *container, struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *left = NULL;
    struct sf_controller *owner;
    const struct sf_processes_offer *processes =
        sf_sandbox_offer(c->base.sandbox, SF_PROCESSES_OFFER, &owner);

    if (container->combined && !guest_delete(c, container, &left))
        goto keep;
    container->combined = false;
    if (processes != NULL)
        processes->forget(owner, container->container_id);
    if (!hold_release(c, container, &left))
        goto keep;
    char pod_id[SF_ID_SIZE];
    memcpy(pod_id, container->pod_id, sizeof(pod_id));
    container_remove(c, container);
    pod_remove_if_empty(c, pod_id);
    return;
keep:
    move(container, CONTAINER_MAKE_FAILED);
    sf_fail_in(err, "container '%s' is left over (%s); delete it", container->container_id,
               sf_error_message(left));
}

bool container_create(struct containers *c, const struct wanted_container *wanted,
                      struct container **ret, struct sf_error **err)
{
    if (!check(c, wanted, err) || !labels_check(wanted->labels, wanted->n_labels, err) ||
        !spec_check(wanted, err))
        return false;
    struct container *container = new_container(c, wanted, err);
    if (container == NULL)
        return false;
    if (!make(c, container, wanted, err)) {
        sf_fail_in(err, "container '%s'", wanted->container_id);
        unmake(c, container, err);
        return false;
    }
    move(container, CONTAINER_MADE);
    sf_sandbox_event(c->base.sandbox, "container.created", "container '%s' is created",
                     container->container_id);
    *ret = container;
    return true;
}

/* ---- Start, delete ---- */

bool container_start(struct containers *c, struct container *container, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_processes_offer *processes = processes_of(c, &owner, err);

    if (processes == NULL)
        return false;
    if (container->state != CONTAINER_CREATED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "container '%s' is %s; only a created one can be started",
                       container->container_id, container_machine.states[container->state]);
    if (!guest_start(c, container, err)) {
        move(container, CONTAINER_START_FAILED);
        return sf_fail_in(err, "container '%s'", container->container_id);
    }
    if (container->state == CONTAINER_CREATED) /* it may have ended already */
        move(container, CONTAINER_STARTED);
    if (!processes->started(owner, container->container_id, err))
        return false;
    sf_sandbox_event(c->base.sandbox, "container.started", "container '%s' runs",
                     container->container_id);
    return true;
}

bool container_delete(struct containers *c, struct container *container, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_processes_offer *processes = processes_of(c, &owner, err);

    if (processes == NULL || !pod_lets_go(c, container, err))
        return false;
    if (container->combined && !guest_delete(c, container, err))
        return sf_fail_in(err, "container '%s'", container->container_id);
    container->combined = false;
    processes->forget(owner, container->container_id);
    if (!hold_release(c, container, err))
        return sf_fail_in(err, "container '%s' is half deleted; repeat the delete",
                          container->container_id);
    sf_sandbox_event(c->base.sandbox, "container.deleted", "container '%s' is deleted",
                     container->container_id);
    char pod_id[SF_ID_SIZE];
    memcpy(pod_id, container->pod_id, sizeof(pod_id));
    container_remove(c, container);
    pod_remove_if_empty(c, pod_id);
    return true;
}
