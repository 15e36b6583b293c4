#include "registry.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

void registry_init(struct registry *r)
{
    *r = (struct registry){0};
    pthread_mutex_init(&r->mutex, NULL);
}

void registry_done(struct registry *r)
{
    for (size_t i = 0; i < r->n; i++)
        sandbox_unref(r->all[i]);
    free(r->all);
    pthread_mutex_destroy(&r->mutex);
}

/* The place of ID, or where it would be. */
static size_t place_of(const struct registry *r, const char *id, bool *ret_there)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(r->all[middle]->id, id);
        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_there = false;
    return low;
}

static bool insert(struct registry *r, struct sf_sandbox *s, struct sf_error **err)
{
    bool there;
    size_t place = place_of(r, s->id, &there);
    if (there)
        return sf_fail(err, SF_ALREADY_EXISTS,
                       "there is one of that id here: delete '%s', or take another id", s->id);
    if (r->n == REGISTRY_SANDBOXES_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "there are %d sandboxes here, the most there can be: delete one",
                       REGISTRY_SANDBOXES_MAX);

    struct sf_sandbox **all = realloc(r->all, (r->n + 1) * sizeof(struct sf_sandbox *));
    if (all == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    r->all = all;
    memmove(&all[place + 1], &all[place], (r->n - place) * sizeof(struct sf_sandbox *));
    all[place] = sandbox_ref(s);
    r->n++;
    return true;
}

bool registry_add(struct registry *r, struct sf_sandbox *s, struct sf_error **err)
{
    pthread_mutex_lock(&r->mutex);
    bool ok = insert(r, s, err);
    pthread_mutex_unlock(&r->mutex);
    return ok;
}

void registry_remove(struct registry *r, struct sf_sandbox *s)
{
    bool there;

    pthread_mutex_lock(&r->mutex);
    size_t place = place_of(r, s->id, &there);
    there = there && r->all[place] == s;
    if (there) {
        r->n--;
        memmove(&r->all[place], &r->all[place + 1], (r->n - place) * sizeof(struct sf_sandbox *));
    }
    pthread_mutex_unlock(&r->mutex);
    if (there)
        sandbox_unref(s);
}

bool registry_check_id(const char *id, struct sf_error **err)
{
    if (sf_id_valid(id))
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT,
            "sandbox_id must be 1 to 64 letters, digits, '-', '_' and '.', the first a letter or "
            "digit");
    return sf_fail_detail(err, SF_DETAIL_FIELD, "sandbox_id", "not an id");
}

struct sf_sandbox *registry_find(struct registry *r, const char *id, struct sf_error **err)
{
    if (!registry_check_id(id, err))
        return NULL;

    bool there;
    pthread_mutex_lock(&r->mutex);
    size_t place = place_of(r, id, &there);
    struct sf_sandbox *s = there ? sandbox_ref(r->all[place]) : NULL;
    pthread_mutex_unlock(&r->mutex);
    if (s == NULL)
        sf_fail(err, SF_NOT_FOUND, "there is no sandbox '%s' here", id);
    return s;
}

bool registry_has(struct registry *r, const char *id)
{
    bool there;
    pthread_mutex_lock(&r->mutex);
    place_of(r, id, &there);
    pthread_mutex_unlock(&r->mutex);
    return there;
}

struct sf_sandbox **registry_list(struct registry *r)
{
    pthread_mutex_lock(&r->mutex);
    struct sf_sandbox **list = calloc(r->n + 1, sizeof(struct sf_sandbox *));
    for (size_t i = 0; list != NULL && i < r->n; i++)
        list[i] = sandbox_ref(r->all[i]);
    pthread_mutex_unlock(&r->mutex);
    return list;
}

void registry_list_free(struct sf_sandbox **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        sandbox_unref(list[i]);
    free(list);
}
