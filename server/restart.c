/* What a daemon does with the journal when it ends, and the next one when it starts. */

#include "base/log.h"
#include "base/text.h"
#include "daemon.h"
#include "lifecycle.h"
#include "operations.h"
#include "sandbox.h"
#include "snapshot_work.h"

/* ---- the daemon ends ---- */

/* Its snapshot is in the journal since it was held: what is left is to let go of it here. */
static bool let_go_of_held(struct daemon *d, struct sf_sandbox *s, enum sandbox_state state,
                           struct sf_error **err)
{
    if (!journal_record(&d->journal, s->id, JOURNAL_HELD, &s->face, err))
        return false;
    if (state == SANDBOX_LOADED)
        lifecycle_abandon(s);
    else
        lifecycle_discard(s);
    lifecycle_destroy(s);
    operation_remove_directory(s->directory);
    sandbox_leave(s);
    registry_remove(&d->registry, s);
    return true;
}

static bool end_one(struct daemon *d, struct sf_sandbox *s)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    enum sandbox_state state = sandbox_state(s);
    bool ok = true;

    if (state == SANDBOX_RUNNING)
        ok = save_to_journal(d, s, &err);
    else if (state == SANDBOX_FROZEN || state == SANDBOX_LOADED)
        ok = let_go_of_held(d, s, state, &err);
    if (!ok)
        sf_warning("%s, its VM is left alone: the daemon will show it as INVALID",
                   sf_error_message(err));
    return ok && state != SANDBOX_INVALID;
}

bool save_all_to_journal(struct daemon *d)
{
    SF_CLEANUP(registry_list_freep) struct sf_sandbox **list = registry_list(&d->registry);
    bool all = list != NULL;

    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        sandbox_lock(list[i]);
        all = end_one(d, list[i]) && all;
        sandbox_unlock(list[i]);
    }
    return all;
}

/* ---- the daemon starts ---- */

/* Shows a sandbox that is not brought back. Its controllers are there, so that a stop can clean up
 * what they find of it on this host. */
static bool show(struct daemon *d, const char *id, const struct sf_bytes *face,
                 enum journal_word word, const char *problem, struct sf_error **err)
{
    SF_CLEANUP(operation_leavep) struct sf_sandbox *s = operation_new_sandbox(d, id, NULL, err);
    if (s == NULL)
        return false;

    Sandferry__V1__Sandbox bare = SANDFERRY__V1__SANDBOX__INIT;
    bare.sandbox_id = s->id;
    bool ok = word == JOURNAL_DAMAGED ? sandbox_set_face(s, &bare, err)
                                      : sf_bytes_copy(&s->face, face->data, face->size) ||
                                            sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    if (!ok || !lifecycle_init(s, &d->modules, err))
        return false;
    if (word == JOURNAL_STOPPED)
        return sandbox_move(s, SANDBOX_STOP, err) && registry_add(&d->registry, s, err);
    sandbox_lose(s, problem);
    sf_warning("sandbox '%s': invalid: %s, it waits to be deleted", id, problem);
    return registry_add(&d->registry, s, err);
}

static bool restore_from(struct daemon *d, struct sf_sandbox *s, enum journal_word word,
                         struct sf_error **err)
{
    struct sf_bytes packed = {0};
    if (!journal_get_snapshot(&d->journal, s->id, &packed, err))
        return false;
    Sandferry__V1__SandboxSnapshot *snapshot = snapshot_work_decode(&packed, err);
    sf_bytes_done(&packed);
    if (snapshot == NULL)
        return false;

    bool ok = restore_from_journal(d, s, snapshot, word, err);
    sandferry__v1__sandbox_snapshot__free_unpacked(snapshot, NULL);
    return ok;
}

/* A daemon that was killed may have left a VM that stands still, saved: what it stands for is in
 * the journal, and it goes. */
static bool end_what_is_left(struct daemon *d, const char *id, struct sf_error **err)
{
    SF_CLEANUP(operation_leavep) struct sf_sandbox *s = operation_new_sandbox(d, id, NULL, err);

    if (s == NULL || !lifecycle_init(s, &d->modules, err))
        return false;
    lifecycle_destroy(s);
    lifecycle_fini(s);
    return true;
}

static bool bring_back(struct daemon *d, const char *id, enum journal_word word,
                       const struct sf_bytes *face, struct sf_error **err)
{
    struct sf_error *why = NULL;
    if (!end_what_is_left(d, id, err))
        return false;
    struct sf_sandbox *s = operation_new_sandbox(d, id, NULL, err);
    if (s == NULL)
        return false;

    bool ok = restore_from(d, s, word, &why);
    operation_leave(s);
    if (ok)
        return true;
    SF_CLEANUP(sf_freep)
    char *problem =
        sf_format("it was saved when the daemon ended, and could not be restored: %s; the next "
                  "start tries again",
                  sf_error_message(why));
    sf_error_free(why);
    return show(d, id, face, word, problem == NULL ? "no memory" : problem, err);
}

static bool take_record(void *context, const char *id, enum journal_word word,
                        const struct sf_bytes *face, struct sf_error **err)
{
    struct daemon *d = context;

    switch (word) {
    case JOURNAL_SAVED:
    case JOURNAL_HELD:
        return bring_back(d, id, word, face, err);
    case JOURNAL_STOPPED:
        return show(d, id, face, word, NULL, err);
    case JOURNAL_DAMAGED:
        return show(d, id, face, word, "its record in the journal is damaged; stop cleans up", err);
    default:
        /* A snapshot beside the word: it was held, and did not run. */
        if (journal_has_snapshot(&d->journal, id))
            return bring_back(d, id, JOURNAL_HELD, face, err);
        return show(d, id, face, word,
                    "the daemon ended without saving it, and its VM has run unattended since, if "
                    "it runs; stop or delete cleans it up",
                    err);
    }
}

bool restore_all_from_journal(struct daemon *d, struct sf_error **err)
{
    return journal_walk(&d->journal, take_record, d, err);
}
