/* Reservations: handles on shares. Everything that happens to a share begins or ends here. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "plan9/plan9.h"

static void move(const struct sf_machine *machine, unsigned *state, unsigned on, const char *name)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *impossible = NULL;
    bool moved = sf_machine_move(machine, state, on, name, &impossible);

    assert(moved);
    (void)moved;
}

/* ---- What is asked for ---- */

bool plan9_forbids_writing(const struct plan9 *p)
{
    struct sf_controller *owner;
    const struct sf_machine_offer *machine =
        sf_sandbox_offer(p->base.sandbox, SF_MACHINE_OFFER, &owner);

    return p->no_writable_file_shares ||
           (machine != NULL &&
            machine->size >= offsetof(struct sf_machine_offer, no_writable_file_shares) +
                                 sizeof(machine->no_writable_file_shares) &&
            machine->no_writable_file_shares(owner));
}

/* What the request says by itself; nothing of the host has been looked at. */
static bool config_of(const struct plan9 *p, const struct sf_share_request *q,
                      struct share_config *ret, struct sf_error **err)
{
    *ret = (struct share_config){.read_only = q->read_only, .restricted = q->restricted};
    if (!share_config_set_path(ret, q->host_path, err))
        return false;
    if (!sf_utf8_valid(ret->path, strlen(ret->path))) {
        sf_fail(err, SF_INVALID_ARGUMENT, "a path of a share is not UTF-8");
        return sf_fail_detail(err, SF_DETAIL_FIELD, "host_path", "must be UTF-8");
    }
    if (!q->read_only && plan9_forbids_writing(p)) {
        sf_fail(err, SF_PERMISSION_DENIED,
                "share '%s': this sandbox refuses shares that the guest can write to "
                "(no_writable_file_shares); ask for it read-only",
                ret->path);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "read_only", "must be set in this sandbox");
    }
    if (!q->restricted && q->n_allowed_names > 0) {
        sf_fail(err, SF_INVALID_ARGUMENT, "share '%s' has allowed names, but is not restricted",
                ret->path);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "restricted", "must be set with allowed_names");
    }
    for (size_t i = 0; i < q->n_allowed_names; i++)
        if (!share_config_add_name(ret, q->allowed_names[i], err))
            return sf_fail_in(err, "share '%s'", ret->path);
    return true;
}

static bool check_config(const struct share_config *config, bool file, struct sf_error **err)
{
    if (file || !config->restricted || config->n_names > 0)
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT,
            "share '%s' is restricted to no name: there would be nothing in it; give allowed names",
            config->path);
    return sf_fail_detail(err, SF_DETAIL_FIELD, "allowed_names", "must not be empty");
}

/* ---- Reserve ---- */

void plan9_settle(struct plan9 *p)
{
    for (size_t i = 0; i < p->n_shares; i++) {
        struct share *sh = p->shares[i];
        if (sh->state == SHARE_ADDED && serve_lost(p, sh))
            move(&share_machine, &sh->state, SHARE_LOST, sh->name);
    }
}

static struct share *find_equal(const struct plan9 *p, const struct share_config *config)
{
    for (size_t i = 0; i < p->n_shares; i++)
        if (share_is_good(p->shares[i]) && share_config_equal(&p->shares[i]->config, config))
            return p->shares[i];
    return NULL;
}

static struct share *new_share(struct plan9 *p, const struct share_config *config,
                               struct sf_error **err)
{
    if (p->next_name > PLAN9_NUMBER_MAX) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "all names of shares have been used");
        return NULL;
    }
    struct share *sh = share_new(p->next_name, config);
    if (sh == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a share");
        return NULL;
    }
    if (plan9_add_share(p, sh, err))
        return sh;
    share_free(sh);
    return NULL;
}

static bool reserve(struct plan9 *p, const struct share_config *config, bool file,
                    char ret_id[SF_GUID_SIZE], struct sf_error **err)
{
    char id[SF_GUID_SIZE];

    plan9_settle(p);
    struct share *sh = find_equal(p, config);
    if (!sf_guid_new(id))
        return sf_fail(err, SF_UNAVAILABLE, "no random numbers for a reservation id");
    if (sh == NULL && (sh = new_share(p, config, err)) == NULL)
        return false;
    if (!plan9_add_reservation(p, id, sh, file, err)) {
        if (sh->refs == 0)
            plan9_drop_share(p, sh);
        return false;
    }
    if (sh->refs++ == 0)
        p->next_name++; /* nothing can fail any more: a name is used by a share, or not used */
    memcpy(ret_id, id, sizeof(id));
    return true;
}

bool plan9_reserve(struct plan9 *p, const struct sf_share_request *request,
                   char ret_id[SF_GUID_SIZE], struct sf_error **err)
{
    SF_CLEANUP(share_config_done) struct share_config config = {0};
    bool file = false;

    return config_of(p, request, &config, err) && resolve_file(&config, &file, err) &&
           check_config(&config, file, err) && reserve(p, &config, file, ret_id, err);
}

/* ---- Map ---- */

static struct reservation *find_held(const struct plan9 *p, const char *id, struct sf_error **err)
{
    struct reservation *r = plan9_find(p, id);

    if (r == NULL)
        sf_fail(err, SF_NOT_FOUND, "there is no share reservation '%s'", id);
    return r;
}

static bool ensure_served(struct plan9 *p, struct share *sh, struct sf_error **err)
{
    if (sh->state == SHARE_ADDED)
        return true;
    if (sh->state != SHARE_RESERVED)
        return sf_fail(
            err, SF_FAILED_PRECONDITION,
            "share '%s' ('%s') could not be served, or is served no more; release it and "
            "add it again",
            sh->name, sh->config.path);
    bool ok = serve_share(p, sh, err) && serve_listen(p, err);
    if (!ok) {
        serve_end(p, sh);
        sf_fail_in(err, "share '%s' ('%s')", sh->name, sh->config.path);
    }
    move(&share_machine, &sh->state, ok ? SHARE_ADD_DONE : SHARE_ADD_FAILED, sh->name);
    return ok;
}

static bool ensure_mounted(struct plan9 *p, struct share *sh, struct sf_error **err)
{
    if (sh->mount == MOUNT_MOUNTED)
        return true;
    if (sh->mount != MOUNT_RESERVED)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "share '%s' ('%s') could not be mounted, or is being unmounted; release it "
                       "and add it again",
                       sh->name, sh->config.path);
    bool ok = guest_mount(p, sh, err);
    move(&mount_machine, &sh->mount, ok ? MOUNT_MOUNT_DONE : MOUNT_MOUNT_FAILED, sh->name);
    return ok;
}

bool plan9_map(struct plan9 *p, const char *id, const char **ret_guest_path, struct sf_error **err)
{
    struct reservation *r = find_held(p, id, err);

    plan9_settle(p);
    if (r == NULL || !ensure_served(p, r->share, err) || !ensure_mounted(p, r->share, err))
        return false;
    *ret_guest_path = r->guest_path;
    return true;
}

/* ---- Release ---- */

/* One that failed may have been done all the same, and its answer lost: so an invalid one is
 * unmounted, too; the agent does not mind that there is nothing. */
static bool unmount(struct plan9 *p, struct share *sh, struct sf_error **err)
{
    if (sh->mount != MOUNT_RESERVED && !guest_unmount(p, sh, err)) {
        if (sf_error_code(*err) == SF_UNAVAILABLE || sf_error_code(*err) == SF_DEADLINE_EXCEEDED)
            move(&mount_machine, &sh->mount, MOUNT_UNMOUNT_LOST, sh->name);
        return false;
    }
    move(&mount_machine, &sh->mount, MOUNT_UNMOUNT_DONE, sh->name);
    return true;
}

bool plan9_release(struct plan9 *p, const char *id, struct sf_error **err)
{
    struct reservation *r = find_held(p, id, err);
    if (r == NULL)
        return false;

    struct share *sh = r->share;
    if (sh->refs == 1) {
        if (!unmount(p, sh, err))
            return sf_fail_in(err, "release of '%s'", id);
        serve_end(p, sh);
        move(&share_machine, &sh->state, SHARE_REMOVE_DONE, sh->name);
    }
    /* Nothing can fail any more. */
    plan9_remove_reservation(p, r);
    if (--sh->refs == 0)
        plan9_drop_share(p, sh);
    return true;
}
