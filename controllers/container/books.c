#include "container/container.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const states[] = {
    [CONTAINER_NOT_CREATED] = "not created", [CONTAINER_CREATED] = "created",
    [CONTAINER_RUNNING] = "running",         [CONTAINER_STOPPED] = "stopped",
    [CONTAINER_INVALID] = "invalid",
};
static_assert(COUNT(states) == CONTAINER_N_STATES, "every state has a name");

static const char *const events[] = {
    [CONTAINER_MADE] = "made",       [CONTAINER_MAKE_FAILED] = "make failed",
    [CONTAINER_STARTED] = "started", [CONTAINER_START_FAILED] = "start failed",
    [CONTAINER_EXITED] = "exited",
};
static_assert(COUNT(events) == CONTAINER_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step steps[] = {
    /* a container that is    when                     becomes            */
    { CONTAINER_NOT_CREATED,  CONTAINER_MADE,          CONTAINER_CREATED },
    { CONTAINER_NOT_CREATED,  CONTAINER_MAKE_FAILED,   CONTAINER_INVALID },

    { CONTAINER_CREATED,      CONTAINER_STARTED,       CONTAINER_RUNNING },
    { CONTAINER_CREATED,      CONTAINER_START_FAILED,  CONTAINER_INVALID },
    { CONTAINER_CREATED,      CONTAINER_EXITED,        CONTAINER_STOPPED },

    { CONTAINER_RUNNING,      CONTAINER_EXITED,        CONTAINER_STOPPED },

    { CONTAINER_INVALID,      CONTAINER_EXITED,        CONTAINER_INVALID },
};

const struct sf_machine container_machine = {
    .noun = "container",
    .states = states, .n_states = COUNT(states),
    .events = events, .n_events = COUNT(events),
    .steps  = steps,  .n_steps  = COUNT(steps),
};
/* clang-format on */

/* ---- Pods ---- */

static int by_pod_id(const void *a, const void *b)
{
    const struct pod *const *left = a, *const *right = b;

    return strcmp((*left)->pod_id, (*right)->pod_id);
}

static int by_container_id(const void *a, const void *b)
{
    const struct container *const *left = a, *const *right = b;

    return strcmp((*left)->container_id, (*right)->container_id);
}

void containers_sort(struct containers *c)
{
    if (c->n_pods > 1)
        qsort(c->pods, c->n_pods, sizeof(*c->pods), by_pod_id);
    if (c->n > 1)
        qsort(c->list, c->n, sizeof(*c->list), by_container_id);
}

struct pod *pod_find(const struct containers *c, const char *pod_id)
{
    for (size_t i = 0; i < c->n_pods; i++)
        if (strcmp(c->pods[i]->pod_id, pod_id) == 0)
            return c->pods[i];
    return NULL;
}

struct pod *pod_add(struct containers *c, const char *pod_id, const char *guest_pod_id,
                    struct sf_error **err)
{
    struct pod **grown =
        c->n_pods < CONTAINERS_MAX ? realloc(c->pods, (c->n_pods + 1) * sizeof(*grown)) : NULL;
    if (grown != NULL)
        c->pods = grown;
    struct pod *pod = grown != NULL ? calloc(1, sizeof(*pod)) : NULL;
    if (pod == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no room for another pod; at most %d", CONTAINERS_MAX);
        return NULL;
    }
    snprintf(pod->pod_id, sizeof(pod->pod_id), "%s", pod_id);
    snprintf(pod->guest_pod_id, sizeof(pod->guest_pod_id), "%s", guest_pod_id);
    size_t at = c->n_pods++;
    for (; at > 0 && strcmp(c->pods[at - 1]->pod_id, pod_id) > 0; at--)
        c->pods[at] = c->pods[at - 1];
    c->pods[at] = pod;
    return pod;
}

static void labels_free(struct label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(labels[i].key);
        free(labels[i].value);
    }
}

static void pod_free(struct pod *pod)
{
    labels_free(pod->labels, pod->n_labels);
    free(pod);
}

void pod_remove(struct containers *c, struct pod *pod)
{
    size_t at = 0;

    while (c->pods[at] != pod)
        at++;
    c->n_pods--;
    memmove(&c->pods[at], &c->pods[at + 1], (c->n_pods - at) * sizeof(*c->pods));
    pod_free(pod);
}

size_t pod_size(const struct containers *c, const char *pod_id)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += strcmp(c->list[i]->pod_id, pod_id) == 0;
    return n;
}

void pod_remove_if_empty(struct containers *c, const char *pod_id)
{
    struct pod *pod = pod_find(c, pod_id);

    if (pod != NULL && !pod->declared && pod_size(c, pod_id) == 0)
        pod_remove(c, pod);
}

/* ---- Containers ---- */

struct container *container_find(const struct containers *c, const char *container_id)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i]->container_id, container_id) == 0)
            return c->list[i];
    return NULL;
}

struct container *container_add(struct containers *c, const char *container_id, const char *pod_id,
                                struct sf_error **err)
{
    struct container **grown =
        c->n < CONTAINERS_MAX ? realloc(c->list, (c->n + 1) * sizeof(*grown)) : NULL;
    if (grown != NULL)
        c->list = grown;
    struct container *new = grown != NULL ? calloc(1, sizeof(*new)) : NULL;
    if (new == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no room for another container; at most %d",
                CONTAINERS_MAX);
        return NULL;
    }
    snprintf(new->container_id, sizeof(new->container_id), "%s", container_id);
    snprintf(new->guest_container_id, sizeof(new->guest_container_id), "%s", container_id);
    snprintf(new->pod_id, sizeof(new->pod_id), "%s", pod_id);
    new->serial = ++c->last_serial;
    size_t at = c->n++;
    for (; at > 0 && strcmp(c->list[at - 1]->container_id, container_id) > 0; at--)
        c->list[at] = c->list[at - 1];
    c->list[at] = new;
    return new;
}

static void container_free(struct container *container)
{
    labels_free(container->labels, container->n_labels);
    free(container->spec);
    free(container);
}

void container_remove(struct containers *c, struct container *container)
{
    size_t at = 0;

    while (c->list[at] != container)
        at++;
    c->n--;
    memmove(&c->list[at], &c->list[at + 1], (c->n - at) * sizeof(*c->list));
    container_free(container);
}

void containers_empty(struct containers *c)
{
    for (size_t i = 0; i < c->n; i++)
        container_free(c->list[i]);
    for (size_t i = 0; i < c->n_pods; i++)
        pod_free(c->pods[i]);
    free(c->list);
    free(c->pods);
    c->list = NULL;
    c->pods = NULL;
    c->n = c->n_pods = 0;
}

static bool add_label(struct label labels[LABELS_MAX], size_t *n, const char *key,
                      const char *value)
{
    struct label label = {.key = strdup(key), .value = strdup(value)};

    if (*n == LABELS_MAX || label.key == NULL || label.value == NULL) {
        labels_free(&label, 1);
        return false;
    }
    size_t at = (*n)++;
    for (; at > 0 && strcmp(labels[at - 1].key, key) > 0; at--)
        labels[at] = labels[at - 1];
    labels[at] = label;
    return true;
}

bool container_add_label(struct container *c, const char *key, const char *value)
{
    return add_label(c->labels, &c->n_labels, key, value);
}

bool pod_add_label(struct pod *pod, const char *key, const char *value)
{
    return add_label(pod->labels, &pod->n_labels, key, value);
}

bool held_add(struct held *held, const char *reservation_id)
{
    if (held->n == HELD_MAX)
        return false;
    size_t at = held->n++;
    for (; at > 0 && strcmp(held->ids[at - 1], reservation_id) > 0; at--)
        memcpy(held->ids[at], held->ids[at - 1], SF_GUID_SIZE);
    snprintf(held->ids[at], SF_GUID_SIZE, "%s", reservation_id);
    return true;
}
