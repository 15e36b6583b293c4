/* The plan9 section: memory to wire and back, believing nothing. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan9/plan9.h"
#include "sandferry/v1/snapshot.pb-c.h"
#include "snapshot/limits.h"
#include "snapshot/wire.h"

/* A stage on the wire is a state in memory, number for number. */
#define SAME(state, stage) static_assert((int)(state) == (int)SANDFERRY__V1__##stage, "")
SAME(SHARE_RESERVED, PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_RESERVED);
SAME(SHARE_ADDED, PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_ADDED);
SAME(SHARE_INVALID, PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_INVALID);
SAME(SHARE_REMOVED, PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_REMOVED);
SAME(MOUNT_RESERVED, PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_RESERVED);
SAME(MOUNT_MOUNTED, PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_MOUNTED);
SAME(MOUNT_INVALID, PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_INVALID);
SAME(MOUNT_UNMOUNTED, PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_UNMOUNTED);

typedef Sandferry__V1__Plan9Section section_t;
typedef Sandferry__V1__Plan9Share share_t;
typedef Sandferry__V1__Plan9Mount mount_t;
typedef Sandferry__V1__Plan9Fid fid_t;
typedef Sandferry__V1__Plan9Lock lock_t;
typedef Sandferry__V1__Plan9Reservation reservation_t;

static void section_free(section_t *section)
{
    if (section != NULL)
        sandferry__v1__plan9_section__free_unpacked(section, NULL);
}
SF_DEFINE_CLEANUP(section_t, section_free)

/* ---- To the wire. What is allocated here hangs in the message, which frees it. ---- */

static char *copy(const char *text, bool *ok)
{
    char *copied = text[0] != '\0' ? strdup(text) : (char *)(uintptr_t)protobuf_c_empty_string;

    *ok = *ok && copied != NULL;
    return copied != NULL ? copied : (char *)(uintptr_t)protobuf_c_empty_string;
}

/* Room for a list; of none, NULL. */
static void *list_of(size_t n, bool *ok)
{
    void *list = n > 0 ? calloc(n, sizeof(void *)) : NULL;

    *ok = *ok && (list != NULL || n == 0);
    return list;
}

static void *message_of(size_t size, bool *ok)
{
    void *message = calloc(1, size);

    *ok = *ok && message != NULL;
    return message;
}

static void locks_to_wire(fid_t *wire, const struct ninep_fid *fid, bool *ok)
{
    wire->locks = list_of(fid->n_locks, ok);
    while (*ok && wire->n_locks < fid->n_locks) {
        const struct ninep_lock *lock = &fid->locks[wire->n_locks];
        lock_t *w = message_of(sizeof(*w), ok);
        if (w == NULL)
            return;
        sandferry__v1__plan9_lock__init(w);
        wire->locks[wire->n_locks++] = w;
        w->exclusive = lock->exclusive;
        w->start = lock->start;
        w->length = lock->length;
        w->process = lock->process;
        w->client = copy(lock->client, ok);
    }
}

static void fids_to_wire(share_t *wire, const struct ninep_state *open, bool *ok)
{
    wire->fids = list_of(open->n_fids, ok);
    while (*ok && wire->n_fids < open->n_fids) {
        const struct ninep_fid *fid = &open->fids[wire->n_fids];
        fid_t *w = message_of(sizeof(*w), ok);
        if (w == NULL)
            return;
        sandferry__v1__plan9_fid__init(w);
        wire->fids[wire->n_fids++] = w;
        w->fid = fid->fid;
        w->path = copy(fid->path, ok);
        w->flags = fid->flags;
        w->open = fid->open;
        w->qid_type = fid->qid_type;
        w->qid_path = fid->qid_path;
        w->user = fid->user;
        locks_to_wire(w, fid, ok);
    }
}

static void open_to_wire(share_t *wire, const struct ninep_state *open, bool *ok)
{
    fids_to_wire(wire, open, ok);
    wire->msize = open->msize;
    if (open->partial.size == 0)
        return;
    wire->partial.data = message_of(open->partial.size, ok);
    if (wire->partial.data == NULL)
        return;
    memcpy(wire->partial.data, open->partial.data, open->partial.size);
    wire->partial.len = open->partial.size;
}

static void names_to_wire(share_t *wire, const struct share_config *config, bool *ok)
{
    wire->allowed_names = list_of(config->n_names, ok);
    for (; *ok && wire->n_allowed_names < config->n_names; wire->n_allowed_names++)
        wire->allowed_names[wire->n_allowed_names] = copy(config->names[wire->n_allowed_names], ok);
}

static void mount_to_wire(share_t *wire, const struct share *sh, bool *ok)
{
    mount_t *mount = message_of(sizeof(*mount), ok);
    if (mount == NULL)
        return;
    sandferry__v1__plan9_mount__init(mount);
    wire->mount = mount;
    mount->read_only = sh->config.read_only;
    mount->stage = (Sandferry__V1__Plan9MountStage)sh->mount;
    mount->refs = sh->refs;
    mount->guest_path = copy(sh->guest_path, ok);
}

/* NULL only if there is no memory at all. */
static share_t *share_to_wire(const struct share *sh, const struct ninep_state *open, bool *ok)
{
    share_t *wire = message_of(sizeof(*wire), ok);
    if (wire == NULL)
        return NULL;
    sandferry__v1__plan9_share__init(wire);
    wire->name = copy(sh->name, ok);
    wire->host_path = copy(sh->config.path, ok);
    wire->read_only = sh->config.read_only;
    wire->restricted = sh->config.restricted;
    wire->stage = (Sandferry__V1__Plan9ShareStage)sh->state;
    names_to_wire(wire, &sh->config, ok);
    mount_to_wire(wire, sh, ok);
    if (open != NULL)
        open_to_wire(wire, open, ok);
    return wire;
}

static bool no_memory(struct sf_error **err)
{
    return sf_fail(err, SF_UNAVAILABLE, "no memory for the section");
}

static bool add_share(struct plan9 *p, section_t *wire, struct share *sh, enum open_files open,
                      struct sf_error **err)
{
    SF_CLEANUP(ninep_state_done) struct ninep_state now = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *unsaid = NULL;
    bool ok = true, served = false;

    if (open != OPEN_LEFT_OUT &&
        !serve_export(p, sh, &now, &served, open == OPEN_ALL ? err : &unsaid)) {
        if (open == OPEN_ALL)
            return false;
        open = OPEN_LEFT_OUT;
    }
    share_t *one = share_to_wire(sh, open == OPEN_LEFT_OUT ? NULL : served ? &now : &sh->open, &ok);
    if (one != NULL)
        wire->shares[wire->n_shares++] = one;
    return ok || no_memory(err);
}

static bool add_reservation(section_t *wire, const struct reservation *r, struct sf_error **err)
{
    reservation_t *w = calloc(1, sizeof(*w));
    bool ok = true;

    if (w == NULL)
        return no_memory(err);
    sandferry__v1__plan9_reservation__init(w);
    wire->reservations[wire->n_reservations++] = w;
    w->id = copy(r->id, &ok);
    w->share = copy(r->share->name, &ok);
    w->file = r->file;
    return ok || no_memory(err);
}

static bool fill_wire(struct plan9 *p, section_t *wire, enum open_files open, struct sf_error **err)
{
    bool ok = true;

    wire->schema_version = PLAN9_SECTION_VERSION;
    wire->next_name = p->next_name;
    wire->no_writable_file_shares = plan9_forbids_writing(p);
    wire->shares = list_of(p->n_shares, &ok);
    wire->reservations = list_of(p->n_reservations, &ok);
    if (!ok)
        return no_memory(err);
    for (size_t i = 0; i < p->n_shares; i++)
        if (!add_share(p, wire, p->shares[i], open, err))
            return false;
    for (size_t i = 0; i < p->n_reservations; i++)
        if (!add_reservation(wire, p->reservations[i], err))
            return false;
    return true;
}

/* The guest decides how much it holds open: half of what a snapshot takes is for shares at most. */
static bool check_bounds(const struct sf_bytes *section, struct sf_error **err)
{
    struct sf_wire_limits limits = sf_wire_snapshot;
    SF_CLEANUP(sf_error_freep) struct sf_error *over = NULL;

    limits.size /= 2;
    limits.elements /= 2;
    if (sf_wire_check(&sandferry__v1__plan9_section__descriptor, section->data, section->size,
                      &limits, &over))
        return true;
    if (sf_error_code(over) != SF_RESOURCE_EXHAUSTED)
        return sf_fail(err, SF_INTERNAL, "the section is wrong: %s", sf_error_message(over));
    return sf_fail(
        err, SF_RESOURCE_EXHAUSTED,
        "the shares, and what the guest holds open of them, are more than a snapshot takes "
        "(%s); remove some, or close files",
        sf_error_message(over));
}

bool plan9_to_section(struct plan9 *p, enum open_files open, struct sf_bytes *ret,
                      struct sf_error **err)
{
    SF_CLEANUP(section_freep) section_t *wire = calloc(1, sizeof(*wire));
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    if (wire == NULL)
        return no_memory(err);
    sandferry__v1__plan9_section__init(wire);
    if (!fill_wire(p, wire, open, err))
        return false;

    section.size = sandferry__v1__plan9_section__get_packed_size(wire);
    section.data = malloc(section.size);
    if (section.data == NULL)
        return no_memory(err);
    sandferry__v1__plan9_section__pack(wire, section.data);
    if (!check_bounds(&section, err))
        return false;
    *ret = section;
    section = (struct sf_bytes){0};
    return true;
}

/* ---- From the wire ---- */

static bool lock_from_wire(struct ninep_lock *lock, const lock_t *wire, struct sf_error **err)
{
    *lock = (struct ninep_lock){
        .exclusive = wire->exclusive,
        .start = wire->start,
        .length = wire->length,
        .process = wire->process,
        .client = strdup(wire->client),
    };
    return lock->client != NULL || no_memory(err);
}

static bool fid_from_wire(struct ninep_fid *fid, const fid_t *wire, struct sf_error **err)
{
    *fid = (struct ninep_fid){
        .fid = wire->fid,
        .path = strdup(wire->path),
        .flags = wire->flags,
        .open = wire->open,
        .qid_type = wire->qid_type,
        .qid_path = wire->qid_path,
        .user = wire->user,
        .locks = calloc(wire->n_locks + 1, sizeof(*fid->locks)),
    };
    if (fid->path == NULL || fid->locks == NULL)
        return no_memory(err);
    while (fid->n_locks < wire->n_locks) {
        size_t i = fid->n_locks++;
        if (!lock_from_wire(&fid->locks[i], wire->locks[i], err))
            return sf_fail_in(err, "locks[%zu]", i);
    }
    return true;
}

/* The server looks at the rest when it is given the state: see ninep_admit(), ninep_restore(). */
static bool open_from_wire(struct share *sh, const share_t *wire, struct sf_error **err)
{
    bool any = wire->n_fids > 0 || wire->partial.len > 0 || wire->msize > 0;

    if (any && sh->state != SHARE_ADDED)
        return sf_fail(err, SF_INVALID_ARGUMENT, "is not served, but the guest holds files of it");
    if (wire->n_fids > NINEP_FIDS_MAX || wire->partial.len > NINEP_MSIZE_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "the guest holds more than a share can have");
    sh->open.msize = wire->msize;
    if (!sf_bytes_copy(&sh->open.partial, wire->partial.data, wire->partial.len))
        return no_memory(err);
    sh->open.fids = calloc(wire->n_fids + 1, sizeof(*sh->open.fids));
    if (sh->open.fids == NULL)
        return no_memory(err);
    while (sh->open.n_fids < wire->n_fids) {
        size_t i = sh->open.n_fids++;
        if (!fid_from_wire(&sh->open.fids[i], wire->fids[i], err))
            return sf_fail_in(err, "fids[%zu]", i);
    }
    return true;
}

static bool config_from_wire(struct share_config *config, const share_t *wire, bool no_writable,
                             struct sf_error **err)
{
    *config = (struct share_config){.read_only = wire->read_only, .restricted = wire->restricted};
    if (!share_config_set_path(config, wire->host_path, err))
        return sf_fail_in(err, "host_path");
    if (no_writable && !wire->read_only)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "is writable, and no_writable_file_shares forbids it");
    if (wire->n_allowed_names > 0 && !wire->restricted)
        return sf_fail(err, SF_INVALID_ARGUMENT, "has allowed names, but is not restricted");
    for (size_t i = 0; i < wire->n_allowed_names; i++)
        if (!share_config_add_name(config, wire->allowed_names[i], err))
            return sf_fail_in(err, "allowed_names[%zu]", i);
    if (config->n_names != wire->n_allowed_names)
        return sf_fail(err, SF_INVALID_ARGUMENT, "a name is allowed twice");
    return true;
}

static bool mount_from_wire(struct share *sh, const mount_t *wire, struct sf_error **err)
{
    if (wire == NULL || wire->refs == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "nobody holds it");
    if ((unsigned)wire->stage > MOUNT_MOUNTED)
        return sf_fail(err, SF_INVALID_ARGUMENT, "mount: stage %d cannot travel", (int)wire->stage);
    if ((unsigned)wire->stage == MOUNT_MOUNTED && sh->state != SHARE_ADDED)
        return sf_fail(err, SF_INVALID_ARGUMENT, "is mounted, but not served");
    if (wire->read_only != sh->config.read_only)
        return sf_fail(err, SF_INVALID_ARGUMENT, "mount: read-only, and the share is not");
    if (strcmp(wire->guest_path, sh->guest_path) != 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "mount: is at '%.200s', not at '%s'",
                       wire->guest_path, sh->guest_path);
    sh->mount = (unsigned)wire->stage;
    sh->refs = wire->refs;
    return true;
}

static bool check_share(const struct plan9 *p, const share_t *wire, uint64_t *ret_number,
                        struct sf_error **err)
{
    if (!share_number(wire->name, ret_number) || *ret_number >= p->next_name)
        return sf_fail(err, SF_INVALID_ARGUMENT, "name '%.40s' is no number below %llu", wire->name,
                       (unsigned long long)p->next_name);
    if (plan9_find_share(p, wire->name) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "name '%s' comes twice", wire->name);
    if ((unsigned)wire->stage > SHARE_ADDED) /* no save leaves one so: see travel_check() */
        return sf_fail(err, SF_INVALID_ARGUMENT, "stage %d cannot travel", (int)wire->stage);
    return true;
}

static bool share_from_wire(struct plan9 *p, const share_t *wire, struct sf_error **err)
{
    SF_CLEANUP(share_config_done) struct share_config config = {0};
    uint64_t number;

    if (!check_share(p, wire, &number, err) ||
        !config_from_wire(&config, wire, plan9_forbids_writing(p), err))
        return false;
    SF_CLEANUP(share_freep) struct share *sh = share_new(number, &config);
    if (sh == NULL)
        return no_memory(err);
    sh->state = (unsigned)wire->stage;
    if (!mount_from_wire(sh, wire->mount, err) || !open_from_wire(sh, wire, err) ||
        !plan9_add_share(p, sh, err))
        return false;
    sh = NULL; /* the books' */
    return true;
}

static bool reservation_from_wire(struct plan9 *p, const reservation_t *wire, struct sf_error **err)
{
    struct share *sh = plan9_find_share(p, wire->share);

    if (!sf_guid_valid(wire->id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%.40s' is not a GUID", wire->id);
    if (plan9_find(p, wire->id) != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "id '%s' comes twice", wire->id);
    if (sh == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' holds share '%.40s', which is not there",
                       wire->id, wire->share);
    if (wire->file && sh->config.n_names != 1)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s' holds a file, but share '%s' has %u names, not one", wire->id,
                       sh->name, sh->config.n_names);
    return plan9_add_reservation(p, wire->id, sh, wire->file, err);
}

/* Every share has as many refs as reservations hold it. */
static bool check_refs(const struct plan9 *p, struct sf_error **err)
{
    for (size_t i = 0; i < p->n_shares; i++) {
        const struct share *sh = p->shares[i];
        uint32_t held = 0;
        for (size_t k = 0; k < p->n_reservations; k++)
            held += p->reservations[k]->share == sh;
        if (held != sh->refs)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "share '%s' says %u refs, and %u reservations hold it", sh->name,
                           sh->refs, held);
    }
    return true;
}

static bool fill_books(struct plan9 *p, const section_t *wire, struct sf_error **err)
{
    if (wire->next_name > PLAN9_NUMBER_MAX + 1)
        return sf_fail(err, SF_INVALID_ARGUMENT, "next_name: %llu is no name of a share",
                       (unsigned long long)wire->next_name);
    p->next_name = wire->next_name;
    p->no_writable_file_shares = wire->no_writable_file_shares;
    for (size_t i = 0; i < wire->n_shares; i++)
        if (!share_from_wire(p, wire->shares[i], err))
            return sf_fail_in(err, "shares[%zu]", i);
    for (size_t i = 0; i < wire->n_reservations; i++)
        if (!reservation_from_wire(p, wire->reservations[i], err))
            return sf_fail_in(err, "reservations[%zu]", i);
    return check_refs(p, err);
}

bool plan9_from_section(struct plan9 *p, const struct sf_bytes *section, struct sf_error **err)
{
    if (!sf_wire_check(&sandferry__v1__plan9_section__descriptor, section->data, section->size,
                       &sf_wire_snapshot, err))
        return false;
    SF_CLEANUP(section_freep)
    section_t *wire = sandferry__v1__plan9_section__unpack(NULL, section->size, section->data);
    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a Plan9Section");
    if (fill_books(p, wire, err))
        return true;
    plan9_empty(p);
    return false;
}
