#include "plan9/plan9.h"

#include <stdio.h>

/* ---- What it offers ---- */

static bool offer_reserve(struct sf_controller *owner, const struct sf_share_request *request,
                          char ret_id[37], struct sf_error **err)
{
    return plan9_reserve(plan9_of(owner), request, ret_id, err);
}

static bool offer_map(struct sf_controller *owner, const char *id, const char **ret_guest_path,
                      struct sf_error **err)
{
    return plan9_map(plan9_of(owner), id, ret_guest_path, err);
}

static bool offer_release(struct sf_controller *owner, const char *id, struct sf_error **err)
{
    return plan9_release(plan9_of(owner), id, err);
}

static bool offer_hold(struct sf_controller *owner, const char *id, const char *holder,
                       struct sf_error **err)
{
    struct reservation *r = plan9_find(plan9_of(owner), id);

    if (r == NULL)
        return sf_fail(err, SF_NOT_FOUND, "there is no share reservation '%s'", id);
    snprintf(r->holder, sizeof(r->holder), "%s", holder != NULL ? holder : "");
    return true;
}

static const struct sf_shares_offer shares_offer = {
    .size = sizeof(shares_offer),
    .reserve = offer_reserve,
    .map = offer_map,
    .release = offer_release,
    .hold = offer_hold,
};

static const struct sf_offer offers[] = {{SF_SHARES_OFFER, &shares_offer}, {0}};

/* ---- Its life ---- */

static bool plan9_init(struct sf_controller *c, struct sf_error **err)
{
    (void)err;
    pthread_mutex_init(&plan9_of(c)->line_lock, NULL);
    return true;
}

/* What was imported can be imported again. The guest hears nothing of it: what it is told is a part
 * of what the snapshot says. */
static void plan9_abandon(struct sf_controller *c)
{
    struct plan9 *p = plan9_of(c);

    serve_unlisten(p);
    plan9_empty(p);
}

/* A guest that is about to shut down writes its files back: it must not wait for answers that do
 * not come. */
static void plan9_destroy(struct sf_controller *c)
{
    serve_hang_up(plan9_of(c));
    plan9_abandon(c);
}

static void plan9_fini(struct sf_controller *c)
{
    plan9_abandon(c);
    pthread_mutex_destroy(&plan9_of(c)->line_lock);
}

static bool plan9_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    (void)err;
    travel_check(plan9_of(c), false, why);
    return true;
}

/* The processes of the guest stand still, and may have deleted since the check what they hold open:
 * that is found before anything else stops. */
static bool plan9_quiesce(struct sf_controller *c, struct sf_error **err)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    if (why == NULL)
        return sf_fail(err, SF_UNAVAILABLE, "no memory to look at the shares");

    sf_reasons_source(why, c->cls->name);
    travel_check(plan9_of(c), true, why);
    return sf_reasons_fail(why, SF_FAILED_PRECONDITION, "the shares cannot be saved now", err);
}

/* The VM stands still, and its line with it: the servers have answered all that the guest said.
 * Their locks on the host would be in the way of a destination on this host. */
static bool plan9_save(struct sf_controller *c, struct sf_bytes *ret_section, struct sf_error **err)
{
    struct plan9 *p = plan9_of(c);

    plan9_settle(p);
    for (size_t i = 0; i < p->n_shares; i++)
        if (!share_is_good(p->shares[i]))
            return sf_fail(err, SF_FAILED_PRECONDITION,
                           "share '%s' ('%s') is served no more; release what holds it",
                           p->shares[i]->name, p->shares[i]->config.path);
    if (!plan9_to_section(p, OPEN_ALL, ret_section, err))
        return false;
    serve_rest(p);
    return true;
}

static void plan9_thaw(struct sf_controller *c)
{
    serve_wake(plan9_of(c));
}

/* The books stay; the files are let go of. */
static void plan9_discard(struct sf_controller *c)
{
    struct plan9 *p = plan9_of(c);

    serve_unlisten(p);
    for (size_t i = 0; i < p->n_shares; i++)
        serve_end(p, p->shares[i]);
}

static bool plan9_import(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                         struct sf_error **err)
{
    (void)version; /* there is one */
    return plan9_from_section(plan9_of(c), section, err);
}

static bool do_patch(struct sf_controller *c, const char *object, const char *value,
                     struct sf_error **err)
{
    return plan9_patch(plan9_of(c), object, value, err);
}

static bool do_admit(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    (void)err;
    travel_admit(plan9_of(c), why);
    return true;
}

/* The guest goes on with the files that it holds: they are there before it runs. */
static bool plan9_prepare(struct sf_controller *c, struct sf_error **err)
{
    struct plan9 *p = plan9_of(c);
    bool served = false;

    for (size_t i = 0; i < p->n_shares; i++) {
        struct share *sh = p->shares[i];
        if (sh->state != SHARE_ADDED)
            continue;
        if (!serve_share(p, sh, err))
            return sf_fail_in(err, "share '%s' ('%s')", sh->name, sh->config.path);
        served = true;
    }
    return !served || serve_listen(p, err);
}

static const char *const depends[] = {"vm", NULL};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "plan9",
    .instance_size   = sizeof(struct plan9),
    .section_version = PLAN9_SECTION_VERSION,
    .section_oldest  = PLAN9_SECTION_VERSION,
    .critical        = true,
    .depends         = depends,
    .services        = plan9_services,
    .offers          = offers,

    .init    = plan9_init,
    .fini    = plan9_fini,
    .destroy = plan9_destroy,
    .check   = plan9_check,
    .quiesce = plan9_quiesce,
    .save    = plan9_save,
    .thaw    = plan9_thaw,
    .discard = plan9_discard,
    .import  = plan9_import,
    .patch   = do_patch,
    .admit   = do_admit,
    .prepare = plan9_prepare,
    .abandon = plan9_abandon)
/* clang-format on */
