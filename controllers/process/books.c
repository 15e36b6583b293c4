#include "process/process.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const states[] = {
    [PROCESS_NOT_CREATED] = "not created",
    [PROCESS_CREATED] = "created",
    [PROCESS_RUNNING] = "running",
    [PROCESS_TERMINATED] = "terminated",
};
static_assert(COUNT(states) == PROCESS_N_STATES, "every state has a name");

static const char *const events[] = {
    [PROCESS_MADE] = "made",
    [PROCESS_STARTED] = "started",
    [PROCESS_EXITED] = "exited",
};
static_assert(COUNT(events) == PROCESS_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step steps[] = {
    /* a process that is    when               becomes             */
    { PROCESS_NOT_CREATED,  PROCESS_MADE,      PROCESS_CREATED    },

    { PROCESS_CREATED,      PROCESS_STARTED,   PROCESS_RUNNING    },
    { PROCESS_CREATED,      PROCESS_EXITED,    PROCESS_TERMINATED },

    { PROCESS_RUNNING,      PROCESS_EXITED,    PROCESS_TERMINATED },
};

const struct sf_machine process_machine = {
    .noun = "process",
    .states = states, .n_states = COUNT(states),
    .events = events, .n_events = COUNT(events),
    .steps  = steps,  .n_steps  = COUNT(steps),
};
/* clang-format on */

static int compare(const struct process *p, const char *container_id, const char *exec_id)
{
    int c = strcmp(p->container_id, container_id);

    return c != 0 ? c : strcmp(p->exec_id, exec_id);
}

static size_t place_of(const struct processes *p, const char *container_id, const char *exec_id)
{
    size_t at = 0;

    while (at < p->n && compare(p->list[at], container_id, exec_id) < 0)
        at++;
    return at;
}

struct process *process_find(const struct processes *p, const char *container_id,
                             const char *exec_id)
{
    size_t at = place_of(p, container_id, exec_id);

    return at < p->n && compare(p->list[at], container_id, exec_id) == 0 ? p->list[at] : NULL;
}

struct process *process_find_guest(const struct processes *p, const char *guest_container_id,
                                   const char *exec_id)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->list[i]->guest_container_id, guest_container_id) == 0 &&
            strcmp(p->list[i]->exec_id, exec_id) == 0)
            return p->list[i];
    return NULL;
}

struct process *process_add(struct processes *p, const char *container_id, const char *exec_id,
                            struct sf_error **err)
{
    if (process_find(p, container_id, exec_id) != NULL) {
        sf_fail(err, SF_ALREADY_EXISTS, "container '%s' has a process '%s' already", container_id,
                exec_id);
        return NULL;
    }
    struct process **grown =
        p->n < PROCESSES_MAX ? realloc(p->list, (p->n + 1) * sizeof(*grown)) : NULL;
    if (grown != NULL)
        p->list = grown;
    struct process *new = grown != NULL ? calloc(1, sizeof(*new)) : NULL;
    if (new == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no room for another process; at most %d",
                PROCESSES_MAX);
        return NULL;
    }
    snprintf(new->container_id, sizeof(new->container_id), "%s", container_id);
    snprintf(new->exec_id, sizeof(new->exec_id), "%s", exec_id);
    new->exit_code = EXIT_UNKNOWN;
    new->serial = ++p->last_serial;
    size_t at = place_of(p, container_id, exec_id);
    memmove(&p->list[at + 1], &p->list[at], (p->n - at) * sizeof(*p->list));
    p->list[at] = new;
    p->n++;
    return new;
}

static int by_id(const void *a, const void *b)
{
    const struct process *const *left = a, *const *right = b;

    return compare(*left, (*right)->container_id, (*right)->exec_id);
}

void process_rename(struct processes *p, const char *container_id, const char *new_id)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->list[i]->container_id, container_id) == 0)
            snprintf(p->list[i]->container_id, sizeof(p->list[i]->container_id), "%s", new_id);
    if (p->n > 1)
        qsort(p->list, p->n, sizeof(struct process *), by_id);
}

static void process_free(struct process *process)
{
    ring_done(&process->out[0]);
    ring_done(&process->out[1]);
    free(process->spec);
    free(process);
}

void process_remove(struct processes *p, struct process *process)
{
    size_t at = place_of(p, process->container_id, process->exec_id);

    p->n--;
    memmove(&p->list[at], &p->list[at + 1], (p->n - at) * sizeof(*p->list));
    process_free(process);
}

void processes_empty(struct processes *p)
{
    for (size_t i = 0; i < p->n; i++)
        process_free(p->list[i]);
    free(p->list);
    p->list = NULL;
    p->n = 0;
}
