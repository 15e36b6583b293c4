/* The books: shares by name, reservations by id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan9/plan9.h"

/* ---- Shares ---- */

/* Where a name is, or where it would have to go. */
static size_t place_of_share(const struct plan9 *p, const char *name)
{
    size_t low = 0, high = p->n_shares;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(p->shares[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct share *plan9_find_share(const struct plan9 *p, const char *name)
{
    size_t at = place_of_share(p, name);

    return at < p->n_shares && strcmp(p->shares[at]->name, name) == 0 ? p->shares[at] : NULL;
}

bool plan9_add_share(struct plan9 *p, struct share *sh, struct sf_error **err)
{
    if (p->n_shares == PLAN9_SHARES_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "there are %d shares, which is the most; remove one first",
                       PLAN9_SHARES_MAX);
    struct share **grown = malloc((p->n_shares + 1) * sizeof(*grown));
    if (grown == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a share");

    size_t at = place_of_share(p, sh->name);
    for (size_t i = 0; i < p->n_shares; i++)
        grown[i < at ? i : i + 1] = p->shares[i];
    grown[at] = sh;
    pthread_mutex_lock(&p->line_lock);
    struct share **old = p->shares;
    p->shares = grown;
    p->n_shares++;
    pthread_mutex_unlock(&p->line_lock);
    free(old);
    return true;
}

void plan9_drop_share(struct plan9 *p, struct share *sh)
{
    size_t at = place_of_share(p, sh->name);

    pthread_mutex_lock(&p->line_lock);
    p->n_shares--;
    memmove(&p->shares[at], &p->shares[at + 1], (p->n_shares - at) * sizeof(struct share *));
    pthread_mutex_unlock(&p->line_lock);
    share_free(sh);
}

/* ---- Reservations ---- */

static size_t place_of(const struct plan9 *p, const char *id)
{
    size_t low = 0, high = p->n_reservations;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(p->reservations[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct reservation *plan9_find(const struct plan9 *p, const char *id)
{
    size_t at = place_of(p, id);

    return at < p->n_reservations && strcmp(p->reservations[at]->id, id) == 0 ? p->reservations[at]
                                                                              : NULL;
}

bool plan9_add_reservation(struct plan9 *p, const char *id, struct share *sh, bool file,
                           struct sf_error **err)
{
    if (p->n_reservations == PLAN9_RESERVATIONS_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "there are %d reservations, which is the most",
                       PLAN9_RESERVATIONS_MAX);
    struct reservation *r = calloc(1, sizeof(*r));
    struct reservation **grown =
        r != NULL ? realloc(p->reservations, (p->n_reservations + 1) * sizeof(*grown)) : NULL;
    if (grown == NULL) {
        free(r);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a reservation");
    }

    p->reservations = grown;
    size_t at = place_of(p, id);
    memmove(&grown[at + 1], &grown[at], (p->n_reservations - at) * sizeof(*grown));
    grown[at] = r;
    p->n_reservations++;
    snprintf(r->id, sizeof(r->id), "%s", id);
    r->share = sh;
    r->file = file;
    snprintf(r->guest_path, sizeof(r->guest_path), "%s%s%s", sh->guest_path, file ? "/" : "",
             file ? sh->config.names[0] : "");
    return true;
}

void plan9_remove_reservation(struct plan9 *p, struct reservation *r)
{
    size_t at = place_of(p, r->id);

    p->n_reservations--;
    memmove(&p->reservations[at], &p->reservations[at + 1],
            (p->n_reservations - at) * sizeof(struct reservation *));
    free(r);
}

void plan9_empty(struct plan9 *p)
{
    while (p->n_reservations > 0)
        free(p->reservations[--p->n_reservations]);
    free(p->reservations);
    p->reservations = NULL;
    while (p->n_shares > 0) {
        struct share *last = p->shares[p->n_shares - 1];
        serve_end(p, last);
        plan9_drop_share(p, last);
    }
    free(p->shares);
    p->shares = NULL;
    p->next_name = 0;
    p->no_writable_file_shares = false;
}
