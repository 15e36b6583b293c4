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

void pod_remove_if_empty(struct containers *c, const char *pod_id)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i]->pod_id, pod_id) == 0)
            return;
    for (size_t i = 0; i < c->n_pods; i++) {
        if (strcmp(c->pods[i]->pod_id, pod_id) != 0)
            continue;
        free(c->pods[i]);
        c->n_pods--;
        memmove(&c->pods[i], &c->pods[i + 1], (c->n_pods - i) * sizeof(*c->pods));
        return;
    }
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
    for (size_t i = 0; i < container->n_labels; i++) {
        free(container->labels[i].key);
        free(container->labels[i].value);
    }
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
        free(c->pods[i]);
    free(c->list);
    free(c->pods);
    c->list = NULL;
    c->pods = NULL;
    c->n = c->n_pods = 0;
}

bool container_add_label(struct container *c, const char *key, const char *value)
{
    struct label label = {.key = strdup(key), .value = strdup(value)};

    if (c->n_labels == LABELS_MAX || label.key == NULL || label.value == NULL) {
        free(label.key);
        free(label.value);
        return false;
    }
    size_t at = c->n_labels++;
    for (; at > 0 && strcmp(c->labels[at - 1].key, key) > 0; at--)
        c->labels[at] = c->labels[at - 1];
    c->labels[at] = label;
    return true;
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
