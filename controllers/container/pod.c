/* Pods: what their containers have in common, and ids that are others on this host than in the
 * guest. */
#include "container/container.h"

#include <stdio.h>
#include <string.h>

/* ---- Ids in the guest: never changed once given, so a new one may have to be another ---- */

typedef bool (*taken_fn)(const struct containers *c, const char *guest_id);

static bool pod_taken(const struct containers *c, const char *guest_id)
{
    for (size_t i = 0; i < c->n_pods; i++)
        if (strcmp(c->pods[i]->guest_pod_id, guest_id) == 0)
            return true;
    return false;
}

static bool container_taken(const struct containers *c, const char *guest_id)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i]->guest_container_id, guest_id) == 0)
            return true;
    return false;
}

/* The id itself, unless one that was renamed has it in the guest: then with a number. */
static void choose_guest_id(const struct containers *c, taken_fn taken, const char *id,
                            char ret[SF_ID_SIZE])
{
    snprintf(ret, SF_ID_SIZE, "%s", id);
    for (unsigned n = 2; taken(c, ret); n++) {
        char number[12];
        int size = snprintf(number, sizeof(number), ".%u", n);
        snprintf(ret, SF_ID_SIZE, "%.*s%s", SF_ID_SIZE - 1 - size, id, number);
    }
}

void container_guest_id(const struct containers *c, const char *container_id, char ret[SF_ID_SIZE])
{
    choose_guest_id(c, container_taken, container_id, ret);
}

/* ---- Create, delete ---- */

struct pod *pod_new(struct containers *c, const char *pod_id, struct sf_error **err)
{
    char guest_id[SF_ID_SIZE];

    choose_guest_id(c, pod_taken, pod_id, guest_id);
    return pod_add(c, pod_id, guest_id, err);
}

static bool check_id(const char *what, const char *id, struct sf_error **err)
{
    if (sf_id_valid(id))
        return true;
    return sf_fail(
        err, SF_INVALID_ARGUMENT,
        "'%.80s' is no %s id: 1 to 64 letters, digits, '-', '_', '.', the first a letter "
        "or digit",
        id, what);
}

bool pod_create(struct containers *c, const char *pod_id, const struct label *labels, size_t n,
                struct pod **ret, struct sf_error **err)
{
    if (!check_id("pod", pod_id, err))
        return sf_fail_detail(err, SF_DETAIL_FIELD, "pod_id", "must be an id");
    if (pod_find(c, pod_id) != NULL)
        return sf_fail(err, SF_ALREADY_EXISTS,
                       "sandbox '%s' has a pod '%s' already; delete it, or take another id",
                       sf_sandbox_id(c->base.sandbox), pod_id);
    if (!labels_check(labels, n, err))
        return false;
    struct pod *pod = pod_new(c, pod_id, err);
    if (pod == NULL)
        return false;
    pod->declared = true;
    for (size_t i = 0; i < n; i++)
        if (!pod_add_label(pod, labels[i].key, labels[i].value)) {
            pod_remove(c, pod);
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for pod '%s'", pod_id);
        }
    sf_sandbox_event(c->base.sandbox, "pod.created", "pod '%s' is created", pod_id);
    *ret = pod;
    return true;
}

bool pod_delete(struct containers *c, struct pod *pod, struct sf_error **err)
{
    size_t n = pod_size(c, pod->pod_id);
    struct sf_controller *owner;
    const struct sf_networks_offer *networks =
        sf_sandbox_offer(c->base.sandbox, SF_NETWORKS_OFFER, &owner);

    if (n > 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "pod '%s' has %zu container%s; delete %s first, or delete it with force",
                       pod->pod_id, n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
    if (networks != NULL && !networks->teardown(owner, pod->pod_id, err))
        return sf_fail_in(err, "pod '%s'", pod->pod_id);
    sf_sandbox_event(c->base.sandbox, "pod.deleted", "pod '%s' is deleted", pod->pod_id);
    pod_remove(c, pod);
    return true;
}

/* The sandbox container, the one with the pod's id, holds what the others share. */
bool pod_lets_go(const struct containers *c, const struct container *container,
                 struct sf_error **err)
{
    size_t others = pod_size(c, container->pod_id) - 1;

    return strcmp(container->container_id, container->pod_id) != 0 || others == 0 ||
           sf_fail(err, SF_FAILED_PRECONDITION,
                   "container '%s' is the sandbox container of its pod, which has %zu more; delete "
                   "those first, or the pod with force",
                   container->container_id, others);
}

/* ---- Other ids on this host ---- */

static bool rename_pod(struct containers *c, struct pod *pod, const char *new_id,
                       struct sf_error **err)
{
    char old_id[SF_ID_SIZE];
    struct sf_controller *owner;
    const struct sf_networks_offer *networks =
        sf_sandbox_offer(c->base.sandbox, SF_NETWORKS_OFFER, &owner);

    memcpy(old_id, pod->pod_id, sizeof(old_id));
    if (!check_id("pod", new_id, err))
        return false;
    if (pod_find(c, new_id) != NULL)
        return sf_fail(err, SF_ALREADY_EXISTS, "there is a pod '%s' in the snapshot", new_id);
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i]->pod_id, old_id) == 0)
            snprintf(c->list[i]->pod_id, SF_ID_SIZE, "%s", new_id);
    snprintf(pod->pod_id, SF_ID_SIZE, "%s", new_id);
    if (networks != NULL)
        networks->rename(owner, old_id, new_id);
    containers_sort(c);
    return true;
}

static bool rename_container(struct containers *c, struct container *container, const char *new_id,
                             struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_processes_offer *processes =
        sf_sandbox_offer(c->base.sandbox, SF_PROCESSES_OFFER, &owner);

    if (!check_id("container", new_id, err))
        return false;
    if (container_find(c, new_id) != NULL)
        return sf_fail(err, SF_ALREADY_EXISTS, "there is a container '%s' in the snapshot", new_id);
    if (processes == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_PROCESSES_OFFER);
    processes->rename(owner, container->container_id, new_id);
    snprintf(container->container_id, SF_ID_SIZE, "%s", new_id);
    containers_sort(c);
    return true;
}

bool containers_patch(struct containers *c, const char *object, const char *value,
                      struct sf_error **err)
{
    const char *id = strchr(object, '/');
    struct pod *pod = strncmp(object, "pod/", 4) == 0 ? pod_find(c, id + 1) : NULL;
    struct container *container =
        strncmp(object, "container/", 10) == 0 ? container_find(c, id + 1) : NULL;

    if (pod != NULL)
        return rename_pod(c, pod, value, err);
    if (container != NULL)
        return rename_container(c, container, value, err);
    return sf_fail(err, SF_NOT_FOUND,
                   "the snapshot has no '%.100s': give pod/ID or container/ID as the source has it",
                   object);
}
