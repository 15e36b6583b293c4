#include "sandbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "lifecycle.h"
#include "wait.h"

/* ---- its states ---- */

static const char *const state_names[] = {
    [SANDBOX_NEW] = "new",       [SANDBOX_RUNNING] = "running", [SANDBOX_FROZEN] = "frozen",
    [SANDBOX_LOADED] = "loaded", [SANDBOX_STOPPED] = "stopped", [SANDBOX_INVALID] = "invalid",
};
static_assert(sizeof(state_names) / sizeof(*state_names) == SANDBOX_N_STATES, "a name for each");
static_assert(SANDBOX_INVALID + 1 == (int)SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_INVALID,
              "the wire's numbers are one more");

static const char *const event_names[] = {
    [SANDBOX_STARTED] = "started", [SANDBOX_HELD] = "held", [SANDBOX_LOAD] = "load",
    [SANDBOX_RESUMED] = "resumed", [SANDBOX_STOP] = "stop", [SANDBOX_LOST] = "lost",
};
static_assert(sizeof(event_names) / sizeof(*event_names) == SANDBOX_N_EVENTS, "a name for each");

/* clang-format off */
static const struct sf_step moves[] = {
    /* a sandbox that is   when               becomes         */
    { SANDBOX_NEW,         SANDBOX_STARTED,   SANDBOX_RUNNING },
    { SANDBOX_NEW,         SANDBOX_LOAD,      SANDBOX_LOADED  },
    { SANDBOX_NEW,         SANDBOX_STOP,      SANDBOX_STOPPED },
    { SANDBOX_NEW,         SANDBOX_LOST,      SANDBOX_INVALID },

    { SANDBOX_RUNNING,     SANDBOX_HELD,      SANDBOX_FROZEN  },
    { SANDBOX_RUNNING,     SANDBOX_STOP,      SANDBOX_STOPPED },
    { SANDBOX_RUNNING,     SANDBOX_LOST,      SANDBOX_INVALID },

    { SANDBOX_FROZEN,      SANDBOX_RESUMED,   SANDBOX_RUNNING },
    { SANDBOX_FROZEN,      SANDBOX_STOP,      SANDBOX_STOPPED },
    { SANDBOX_FROZEN,      SANDBOX_LOST,      SANDBOX_INVALID },

    { SANDBOX_LOADED,      SANDBOX_RESUMED,   SANDBOX_RUNNING },
    { SANDBOX_LOADED,      SANDBOX_STOP,      SANDBOX_STOPPED },
    { SANDBOX_LOADED,      SANDBOX_LOST,      SANDBOX_INVALID },

    { SANDBOX_STOPPED,     SANDBOX_STOP,      SANDBOX_STOPPED },

    { SANDBOX_INVALID,     SANDBOX_STOP,      SANDBOX_STOPPED },
    { SANDBOX_INVALID,     SANDBOX_LOST,      SANDBOX_INVALID },
};
/* clang-format on */

const struct sf_machine sandbox_machine = {
    .noun = "sandbox",
    .states = state_names,
    .n_states = SANDBOX_N_STATES,
    .events = event_names,
    .n_events = SANDBOX_N_EVENTS,
    .steps = moves,
    .n_steps = sizeof(moves) / sizeof(*moves),
};

enum sandbox_state sandbox_state(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->mutex);
    unsigned state = s->state;
    pthread_mutex_unlock(&s->mutex);
    return (enum sandbox_state)state;
}

bool sandbox_move(struct sf_sandbox *s, enum sandbox_event on, struct sf_error **err)
{
    pthread_mutex_lock(&s->mutex);
    bool broken = s->state == SANDBOX_INVALID && on != SANDBOX_STOP && on != SANDBOX_LOST;
    bool ok = broken ? sf_fail(err, SF_FAILED_PRECONDITION, "it cannot go on: %s",
                               s->problem == NULL ? "no memory to say why" : s->problem)
                     : sf_machine_move(&sandbox_machine, &s->state, on, s->id, err);
    if (ok && s->state != SANDBOX_INVALID) {
        free(s->problem);
        s->problem = NULL;
    }
    s->changes++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
    return ok;
}

bool sandbox_lose(struct sf_sandbox *s, const char *problem)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    pthread_mutex_lock(&s->mutex);
    bool first = s->state != SANDBOX_INVALID;
    bool lost = sf_machine_move(&sandbox_machine, &s->state, SANDBOX_LOST, s->id, &err);
    if (lost && first) { /* what broke first is the cause of the rest */
        free(s->problem);
        s->problem = strdup(problem);
    }
    s->changes++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
    return lost && first;
}

bool sandbox_require_running(struct sf_sandbox *s, struct sf_error **err)
{
    pthread_mutex_lock(&s->mutex);
    unsigned state = s->state;
    SF_CLEANUP(sf_freep) char *problem = s->problem == NULL ? NULL : strdup(s->problem);
    pthread_mutex_unlock(&s->mutex);

    switch (state) {
    case SANDBOX_RUNNING:
        return true;
    case SANDBOX_FROZEN:
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "sandbox '%s' is saved and held: resume it, or stop it", s->id);
    case SANDBOX_LOADED:
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "sandbox '%s' is restored and held: resume it first", s->id);
    case SANDBOX_STOPPED:
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "sandbox '%s' is stopped: it can only be deleted", s->id);
    case SANDBOX_INVALID:
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "sandbox '%s' is of no more use: %s; stop it, or delete it", s->id,
                       problem == NULL ? "no memory to say why" : problem);
    default:
        return sf_fail(err, SF_FAILED_PRECONDITION, "sandbox '%s' has not started yet: try later",
                       s->id);
    }
}

/* ---- its life ---- */

struct sf_sandbox *sandbox_new(const char *id, const char *directory, struct daemon *daemon,
                               struct sf_error **err)
{
    struct sf_sandbox *s = calloc(1, sizeof(*s));
    if (s == NULL || (s->directory = strdup(directory)) == NULL) {
        free(s);
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }
    assert(strlen(id) < sizeof(s->id));
    strcpy(s->id, id);
    s->daemon = daemon;
    s->state = SANDBOX_NEW;
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->cond, NULL);
    return s;
}

struct sf_sandbox *sandbox_ref(struct sf_sandbox *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void sandbox_unref(struct sf_sandbox *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
        return;

    lifecycle_fini(s);
    if (s->kept != NULL)
        sandferry__v1__sandbox_snapshot__free_unpacked(s->kept, NULL);
    sf_bytes_done(&s->face);
    free(s->directory);
    free(s->problem);
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

void sandbox_leave(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->mutex);
    s->gone = true;
    s->changes++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

/* ---- its lock ---- */

void sandbox_lock(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->mutex);
    while (s->locked)
        pthread_cond_wait(&s->cond, &s->mutex);
    s->locked = true;
    pthread_mutex_unlock(&s->mutex);
}

void sandbox_unlock(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->mutex);
    assert(s->locked);
    s->locked = false;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

bool sandbox_enter(struct sf_sandbox *s, struct rpc_call *call, struct sf_error **err)
{
    struct wait wait;
    wait_begin(&wait, call, &s->mutex, &s->cond);
    pthread_mutex_lock(&s->mutex);
    while (s->locked && wait_goes_on(&wait))
        pthread_cond_wait(&s->cond, &s->mutex);
    bool entered = !s->locked && wait_goes_on(&wait);
    bool gone = s->gone;
    s->locked = s->locked || (entered && !gone);
    pthread_mutex_unlock(&s->mutex);
    wait_end(&wait);

    if (!entered)
        return wait_fail(&wait, err);
    return !gone || sf_fail(err, SF_NOT_FOUND, "there is no sandbox '%s' here", s->id);
}

static bool ended(const struct sf_sandbox *s)
{
    return s->gone || s->state == SANDBOX_STOPPED || s->state == SANDBOX_INVALID;
}

bool sandbox_wait_change(struct sf_sandbox *s, struct rpc_call *call, uint64_t *seen,
                         struct sf_error **err)
{
    struct wait wait;
    wait_begin(&wait, call, &s->mutex, &s->cond);
    pthread_mutex_lock(&s->mutex);
    s->locked = false;
    pthread_cond_broadcast(&s->cond);
    while (s->changes == *seen && !ended(s) && wait_goes_on(&wait))
        pthread_cond_wait(&s->cond, &s->mutex);
    bool woken = wait_goes_on(&wait);
    while (s->locked)
        pthread_cond_wait(&s->cond, &s->mutex);
    s->locked = true;
    *seen = s->changes;
    bool over = ended(s), gone = s->gone;
    const char *state = state_names[s->state];
    pthread_mutex_unlock(&s->mutex);
    wait_end(&wait);

    if (!woken)
        return wait_fail(&wait, err);
    return !over || sf_fail(err, SF_UNAVAILABLE, "sandbox '%s' %s%s", s->id,
                            gone ? "has left this host" : "is ", gone ? "" : state);
}

uint64_t sandbox_changes(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->mutex);
    uint64_t changes = s->changes;
    pthread_mutex_unlock(&s->mutex);
    return changes;
}

void sandbox_changed(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->mutex);
    s->changes++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

/* ---- how it looks ---- */

bool sandbox_set_face(struct sf_sandbox *s, const Sandferry__V1__Sandbox *face,
                      struct sf_error **err)
{
    size_t size = sandferry__v1__sandbox__get_packed_size(face);
    uint8_t *data = malloc(size + 1);
    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    sf_bytes_done(&s->face);
    s->face = (struct sf_bytes){.data = data, .size = sandferry__v1__sandbox__pack(face, data)};
    return true;
}

static bool add_controllers(Sandferry__V1__Sandbox *face, const struct modules *modules)
{
    face->controllers = calloc(modules->n + 1, sizeof(char *));
    for (size_t i = 0; face->controllers != NULL && i < modules->n; i++) {
        face->controllers[i] = strdup(modules->all[i].cls.name);
        if (face->controllers[i] == NULL)
            return false;
        face->n_controllers++;
    }
    return face->controllers != NULL;
}

Sandferry__V1__Sandbox *sandbox_describe(struct sf_sandbox *s, struct sf_error **err)
{
    Sandferry__V1__Sandbox *face = sandferry__v1__sandbox__unpack(NULL, s->face.size, s->face.data);
    bool ok = face != NULL && add_controllers(face, &s->daemon->modules);

    pthread_mutex_lock(&s->mutex);
    if (ok)
        face->state = (Sandferry__V1__SandboxState)(s->state + 1);
    if (ok && s->problem != NULL)
        ok = (face->problem = strdup(s->problem)) != NULL;
    pthread_mutex_unlock(&s->mutex);
    if (ok)
        return face;

    if (face != NULL)
        sandferry__v1__sandbox__free_unpacked(face, NULL);
    sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return NULL;
}
