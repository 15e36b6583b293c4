/* What speaks against a save, and against a restore on this host. */
#include <sys/stat.h>
#include <unistd.h>

#include "plan9/plan9.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- The source ---- */

/* The destination opens the path: it would serve another directory than the guest has. */
static void check_path(const struct share *sh, struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(close_fd) int root = open_root(&sh->config, &err);
    struct stat at;

    if (root < 0)
        sf_reasons_add(why, "share '%s': %s", sh->name, sf_error_message(err));
    else if (fstat(root, &at) < 0 || at.st_dev != sh->device || at.st_ino != sh->inode)
        sf_reasons_add(why,
                       "share '%s': '%s' is not the directory any more that is served; put that "
                       "one back",
                       sh->name, sh->config.path);
}

/* What is half done cannot travel: its end is on this host. */
static void check_share(struct plan9 *p, const struct share *sh, bool still, struct sf_reasons *why)
{
    if (!share_is_good(sh)) {
        sf_reasons_add(why,
                       "share '%s' ('%s') is half done: %s, its mount %s; release what holds it",
                       sh->name, sh->config.path, share_machine.states[sh->state],
                       mount_machine.states[sh->mount]);
        return;
    }
    if (sh->state != SHARE_ADDED)
        return;
    check_path(sh, why);
    serve_check(p, sh, still, why);
}

/* A snapshot has bounds. (What cannot be named has been said already.) */
static void check_size(struct plan9 *p, struct sf_reasons *why)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (!plan9_to_section(p, OPEN_AS_FAR_AS, &section, &err) &&
        sf_error_code(err) == SF_RESOURCE_EXHAUSTED)
        sf_reasons_add_error(why, err);
}

void travel_check(struct plan9 *p, bool still, struct sf_reasons *why)
{
    plan9_settle(p);
    for (size_t i = 0; i < p->n_shares; i++)
        check_share(p, p->shares[i], still, why);
    check_size(p, why);
}

/* ---- The destination ---- */

/* What the server says, with the field that a patch can change. */
static void take_reasons(const struct sf_reasons *from, const char *field, struct sf_reasons *why)
{
    for (size_t i = 0; i < sf_reasons_kept(from); i++)
        sf_reasons_add_field(why, field, "%s", sf_reasons_get(from, i)->text);
    if (sf_reasons_count(from) > sf_reasons_kept(from))
        sf_reasons_add_field(why, field, "and %zu more",
                             sf_reasons_count(from) - sf_reasons_kept(from));
}

static void admit_open(const struct share *sh, int root, const char *field, struct sf_reasons *why)
{
    SF_CLEANUP(sf_freep) char *name = sf_format("share '%s' ('%s')", sh->name, sh->config.path);
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *found = sf_reasons_new();
    const char *names[PLAN9_NAMES_MAX];
    const struct ninep_options options = serve_options(&sh->config, names);

    if (name == NULL || found == NULL) {
        sf_reasons_add_field(why, field, "share '%s': no memory to look at it", sh->name);
        return;
    }
    ninep_admit(&sh->open, root, &options, name, found);
    take_reasons(found, field, why);
}

/* @index: the place of the share in the section, for paths of fields. */
static void admit_share(const struct plan9 *p, const struct share *sh, size_t index,
                        struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_freep) char *path = sf_format("plan9.shares[%zu].host_path", index);
    const char *field = path != NULL ? path : "plan9.shares";
    SF_CLEANUP(close_fd) int root = open_root(&sh->config, &err);

    if (root < 0)
        sf_reasons_add_field(why, field, "share '%s': %s", sh->name, sf_error_message(err));
    else if (sh->state == SHARE_ADDED)
        admit_open(sh, root, field, why);
    if (sf_sandbox_is_clone(p->base.sandbox) && !sh->config.read_only && !sh->patched)
        sf_reasons_add_field(why, field,
                             "share '%s' ('%s') can be written, and clones would write into each "
                             "other's files: give this one a directory by a patch, which may be "
                             "the same",
                             sh->name, sh->config.path);
}

void travel_admit(struct plan9 *p, struct sf_reasons *why)
{
    for (size_t i = 0; i < p->n_shares; i++)
        admit_share(p, p->shares[i], i, why);
}
