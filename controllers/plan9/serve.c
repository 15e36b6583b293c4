/* The 9P servers of the shares, and the line that the guest talks to them on. What is static here
 * and named _locked is called with line_lock held. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "plan9/plan9.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- Towards the guest ---- */

static bool send_answer(void *context, const void *data, size_t size)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct share *sh = context;

    if (sh->line->offer->send(sh->line->owner, sh->number, data, size, false, &err))
        return true;
    sf_warning("share '%s' ('%s'): an answer cannot be sent: %s", sh->name, sh->config.path,
               sf_error_message(err));
    return false;
}

/* The files are closed. The guest is not told: it has said so itself, or what it is told would be a
 * part of what a snapshot says. */
static void end_locked(struct share *sh)
{
    ninep_free(sh->server);
    sh->server = NULL;
    sh->resting = false;
}

/* By itself: the books learn of it later, under the sandbox's lock. */
static void lose_locked(struct share *sh)
{
    sh->lost = sh->lost || sh->server != NULL;
    end_locked(sh);
}

static void hang_up_locked(struct share *sh)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *gone = NULL; /* the guest may be */

    lose_locked(sh);
    sh->line->offer->send(sh->line->owner, sh->number, NULL, 0, true, &gone);
}

/* ---- From the guest ---- */

static struct share *find_locked(const struct plan9 *p, uint64_t number)
{
    for (size_t i = 0; i < p->n_shares; i++)
        if (p->shares[i]->number == number)
            return p->shares[i];
    return NULL;
}

static void wake_locked(struct share *sh)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (!sh->resting)
        return;
    sh->resting = false;
    if (ninep_wake(sh->server, &err))
        return;
    sf_warning("share '%s' ('%s') has lost its locks while its sandbox was saved: %s, ending it",
               sh->name, sh->config.path, sf_error_message(err));
    hang_up_locked(sh);
}

static void answer_locked(struct share *sh, const void *data, size_t size, bool closed)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (sh->server != NULL && size > 0 && !ninep_input(sh->server, data, size, &err)) {
        sf_warning("share '%s' ('%s'): %s, ending it", sh->name, sh->config.path,
                   sf_error_message(err));
        hang_up_locked(sh);
    }
    if (closed)
        lose_locked(sh);
}

/* On the line's thread. A guest that names a share that is not there talks to nobody. */
static void on_line(struct sf_controller *listener, uint64_t number, const void *data, size_t size,
                    bool closed)
{
    struct plan9 *p = plan9_of(listener);

    pthread_mutex_lock(&p->line_lock);
    struct share *sh = find_locked(p, number);
    if (sh != NULL) {
        wake_locked(sh); /* the VM runs again: thaw is on its way */
        answer_locked(sh, data, size, closed);
    }
    pthread_mutex_unlock(&p->line_lock);
}

static bool find_line(struct plan9 *p, struct sf_error **err)
{
    struct sf_controller *owner;
    if (p->line.offer != NULL)
        return true;
    const struct sf_share_line_offer *offer =
        sf_sandbox_offer(p->base.sandbox, SF_SHARE_LINE_OFFER, &owner);

    if (offer == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_SHARE_LINE_OFFER);
    p->line.offer = offer;
    p->line.owner = owner;
    return true;
}

bool serve_listen(struct plan9 *p, struct sf_error **err)
{
    if (p->line.listening)
        return true;
    if (!find_line(p, err) || !p->line.offer->listen(p->line.owner, &p->base, on_line, err))
        return false;
    p->line.listening = true;
    return true;
}

void serve_unlisten(struct plan9 *p)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (!p->line.listening)
        return;
    p->line.offer->listen(p->line.owner, &p->base, NULL, &err);
    p->line.listening = false;
}

/* ---- One share ---- */

struct ninep_options serve_options(const struct share_config *config,
                                   const char *names[PLAN9_NAMES_MAX])
{
    for (unsigned i = 0; i < config->n_names; i++)
        names[i] = config->names[i];
    return (struct ninep_options){
        .read_only = config->read_only,
        .restricted = config->restricted,
        .allowed_names = names,
        .n_allowed_names = config->n_names,
        .msize_max = PLAN9_MSIZE,
    };
}

static struct ninep *new_server(struct share *sh, int root, struct sf_error **err)
{
    const char *names[PLAN9_NAMES_MAX];
    const struct ninep_options options = serve_options(&sh->config, names);
    SF_CLEANUP(ninep_freep) struct ninep *server = ninep_new(root, &options, send_answer, sh, err);

    if (server == NULL || (sh->state == SHARE_ADDED && !ninep_restore(server, &sh->open, err)))
        return NULL;
    return SF_STEAL(server);
}

bool serve_share(struct plan9 *p, struct share *sh, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int root = open_root(&sh->config, err);
    struct stat at;

    if (root < 0 || !find_line(p, err))
        return false;
    if (fstat(root, &at) < 0)
        return sf_fail(err, SF_UNAVAILABLE, "'%s' cannot be looked at", sh->config.path);
    struct ninep *server = new_server(sh, root, err);
    if (server == NULL)
        return false;
    ninep_state_done(&sh->open);
    pthread_mutex_lock(&p->line_lock);
    sh->server = server;
    sh->resting = sh->lost = false;
    sh->line = &p->line;
    sh->device = at.st_dev;
    sh->inode = at.st_ino;
    pthread_mutex_unlock(&p->line_lock);
    return true;
}

void serve_end(struct plan9 *p, struct share *sh)
{
    pthread_mutex_lock(&p->line_lock);
    end_locked(sh);
    pthread_mutex_unlock(&p->line_lock);
}

void serve_hang_up(struct plan9 *p)
{
    pthread_mutex_lock(&p->line_lock);
    for (size_t i = 0; i < p->n_shares; i++)
        if (p->shares[i]->server != NULL && !p->shares[i]->resting)
            hang_up_locked(p->shares[i]);
    pthread_mutex_unlock(&p->line_lock);
}

bool serve_lost(struct plan9 *p, const struct share *sh)
{
    pthread_mutex_lock(&p->line_lock);
    bool lost = sh->lost;
    pthread_mutex_unlock(&p->line_lock);
    return lost;
}

/* ---- Travelling ---- */

bool serve_export(struct plan9 *p, const struct share *sh, struct ninep_state *ret,
                  bool *ret_served, struct sf_error **err)
{
    pthread_mutex_lock(&p->line_lock);
    *ret_served = sh->server != NULL;
    bool ok = sh->server == NULL || ninep_export(sh->server, ret, err);
    pthread_mutex_unlock(&p->line_lock);
    return ok || sf_fail_in(err, "share '%s' ('%s')", sh->name, sh->config.path);
}

void serve_check(struct plan9 *p, const struct share *sh, bool still, struct sf_reasons *why)
{
    SF_CLEANUP(sf_freep) char *name = sf_format("share '%s' ('%s')", sh->name, sh->config.path);

    pthread_mutex_lock(&p->line_lock);
    if (sh->server != NULL)
        ninep_check(sh->server, name != NULL ? name : sh->name, still, why);
    pthread_mutex_unlock(&p->line_lock);
}

void serve_rest(struct plan9 *p)
{
    pthread_mutex_lock(&p->line_lock);
    for (size_t i = 0; i < p->n_shares; i++)
        if (p->shares[i]->server != NULL) {
            ninep_rest(p->shares[i]->server);
            p->shares[i]->resting = true;
        }
    pthread_mutex_unlock(&p->line_lock);
}

void serve_wake(struct plan9 *p)
{
    pthread_mutex_lock(&p->line_lock);
    for (size_t i = 0; i < p->n_shares; i++)
        wake_locked(p->shares[i]);
    pthread_mutex_unlock(&p->line_lock);
}
