#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "qemu/memory_private.h"

#define LOCK_PATIENCE_MS 500 /* somebody may just be looking */

/* ---- files ---- */

static int open_root(const char *root, bool make, struct sf_error **err)
{
    if (make && mkdir(root, 0700) != 0 && errno != EEXIST) {
        sf_fail(err, SF_FAILED_PRECONDITION,
                "the memory directory '%s' cannot be made: %s; make it, or name another with "
                "--memory-dir",
                root, strerror(errno));
        return -1;
    }
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        sf_fail(err, SF_NOT_FOUND, "the memory directory '%s' cannot be opened: %s", root,
                strerror(errno));
    return fd;
}

static void lock_name(const struct memory_reference *r, char ret[64])
{
    snprintf(ret, 64, "%s.lock", r->family_id);
}

struct memory *memory_make(const struct memory_reference *reference, const char *root,
                           struct sf_error **err)
{
    struct memory *m = calloc(1, sizeof(*m));
    char *path = strdup(root);

    if (m == NULL || path == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        free(path);
        free(m);
        return NULL;
    }
    m->path = path;
    m->reference = *reference;
    m->root = m->directory = m->ram = m->lock = -1;
    return m;
}

void memory_free(struct memory *m)
{
    if (m == NULL)
        return;
    closep(&m->lock);
    closep(&m->ram);
    closep(&m->directory);
    closep(&m->root);
    lease_done(&m->lease);
    lease_done(&m->before);
    memory_free(m->origin);
    free(m->path);
    free(m);
}

/* ---- the lock ---- */

/* Whether the file that is locked is still the one that has the name. */
static bool lock_is_the_named_one(const struct memory *m)
{
    struct stat held, named;
    char name[64];

    lock_name(&m->reference, name);
    return fstat(m->lock, &held) == 0 && fstatat(m->root, name, &named, 0) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static bool open_lock(struct memory *m)
{
    char name[64];

    lock_name(&m->reference, name);
    closep(&m->lock);
    m->lock = openat(m->root, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return m->lock >= 0;
}

static bool try_lock(struct memory *m)
{
    if (m->lock < 0 && !open_lock(m))
        return false;
    if (flock(m->lock, (m->shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
        return false;
    if (lock_is_the_named_one(m))
        return true;
    flock(m->lock, LOCK_UN); /* removed under our hands: the next try opens the new one */
    closep(&m->lock);
    m->lock = -1;
    return false;
}

static bool held_by_another(const struct memory *m, struct sf_error **err)
{
    struct lease now;
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    SF_CLEANUP(sf_freep) char *clones = m->shared ? NULL : memory_clones(m);

    if (clones != NULL)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the RAM of memory '%s' is in use by %s: stop them first, or restore one "
                       "more clone",
                       m->reference.memory_id, clones);
    bool known = lease_read(m->directory, &now, &ignored);
    sf_fail(err, SF_FAILED_PRECONDITION,
            "memory '%s' is in use%s%s%s: it runs, or a copy of it does; stop that one first",
            m->reference.memory_id, known ? " by sandbox '" : "", known ? now.sandbox : "",
            known ? "'" : "");
    if (known)
        lease_done(&now);
    return false;
}

bool memory_lock_now(struct memory *m, struct sf_error **err)
{
    for (int tries = 0; !m->locked && tries <= LOCK_PATIENCE_MS / 10; tries++) {
        if (tries > 0)
            poll(NULL, 0, 10);
        m->locked = try_lock(m);
    }
    return m->locked || held_by_another(m, err);
}

void memory_let_go(struct memory *m)
{
    if (m->locked)
        flock(m->lock, LOCK_UN); /* for QEMU, too: it shares the description */
    m->locked = false;
}

/* ---- making ---- */

/* A guest that touches a page for which there is no room would end its QEMU, without a word. */
bool memory_check_room(int root, const char *path, uint64_t needed, struct sf_error **err)
{
    struct statvfs fs;

    if (fstatvfs(root, &fs) != 0)
        return sf_fail(err, SF_UNAVAILABLE, "the memory directory '%s' cannot be looked at: %s",
                       path, strerror(errno));
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    return room >= needed ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED,
                   "the memory directory '%s' has %llu MiB left, %llu MiB are needed: end other "
                   "sandboxes, ask for less memory, or name another directory with --memory-dir",
                   path, (unsigned long long)(room >> 20), (unsigned long long)(needed >> 20));
}

bool memory_make_files(struct memory *m, struct sf_error **err)
{
    const char *id = m->reference.memory_id;

    if (mkdirat(m->root, id, 0700) != 0)
        return sf_fail(err, SF_UNAVAILABLE, "memory '%s' cannot be made: %s", id, strerror(errno));
    m->directory = openat(m->root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    m->ram = openat(m->directory, "ram", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (m->directory < 0 || m->ram < 0 || ftruncate(m->ram, (off_t)m->reference.size_bytes) != 0 ||
        (m->user.drop && fchown(m->ram, m->user.uid, m->user.gid) != 0))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "%llu bytes of guest memory cannot be made: %s",
                       (unsigned long long)m->reference.size_bytes, strerror(errno));
    return true;
}

void memory_fill_lease(struct memory *m, const char *sandbox)
{
    const struct memory_reference *r = &m->reference;

    memcpy(m->lease.memory_id, r->memory_id, sizeof(r->memory_id));
    memcpy(m->lease.family_id, r->family_id, sizeof(r->family_id));
    m->lease.size_bytes = r->size_bytes;
    m->lease.generation = r->generation;
    if (sandbox != NULL)
        snprintf(m->lease.sandbox, sizeof(m->lease.sandbox), "%s", sandbox);
}

struct memory *memory_create(const char *root, uint64_t size_bytes, const char *sandbox,
                             const struct run_user *user, struct sf_error **err)
{
    struct memory_reference reference = {.size_bytes = size_bytes, .generation = 1};

    if (!sf_guid_new(reference.memory_id) || !sf_guid_new(reference.family_id)) {
        sf_fail(err, SF_UNAVAILABLE, "no entropy");
        return NULL;
    }
    SF_CLEANUP(memory_freep) struct memory *m = memory_make(&reference, root, err);
    if (m == NULL || (m->root = open_root(root, true, err)) < 0)
        return NULL;
    m->user = *user;
    if (!memory_check_room(m->root, root, size_bytes, err))
        return NULL;
    if (!memory_make_files(m, err) || !memory_lock_now(m, err))
        goto remove;
    memory_fill_lease(m, sandbox);
    if (lease_write(m->directory, &m->lease, err))
        return SF_STEAL(m);
remove:
    memory_remove(m);
    return NULL;
}

struct memory *memory_open(const char *root, const struct memory_reference *reference,
                           struct sf_error **err)
{
    if (!sf_guid_valid(reference->memory_id) || !sf_guid_valid(reference->family_id)) {
        sf_fail(err, SF_INVALID_ARGUMENT, "the memory's ids are no GUIDs");
        return NULL;
    }
    SF_CLEANUP(memory_freep) struct memory *m = memory_make(reference, root, err);
    if (m == NULL || (m->root = open_root(root, false, err)) < 0)
        return NULL;
    m->directory =
        openat(m->root, reference->memory_id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    m->ram = m->directory < 0 ? -1 : openat(m->directory, "ram", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (m->ram < 0) {
        sf_fail(err, SF_NOT_FOUND,
                "memory '%s' is not beneath the memory directory '%s': restore where the sandbox "
                "was saved, or bring the memory here",
                reference->memory_id, root);
        return NULL;
    }
    return SF_STEAL(m);
}

const struct memory_reference *memory_reference(const struct memory *m)
{
    return &m->reference;
}

int memory_ram(const struct memory *m)
{
    return m->origin != NULL ? m->origin->ram : m->ram;
}

struct memory *memory_origin(const struct memory *m)
{
    return m->origin;
}

bool memory_ram_is_in_state(const struct memory *m)
{
    return m->lease.ram_in_state;
}

int memory_lock(const struct memory *m)
{
    return m->lock;
}

const char *memory_conversation(const struct memory *m)
{
    return m->lease.conversation;
}

/* ---- whether it may run ---- */

static bool check_size(const struct memory *m, struct sf_error **err)
{
    struct stat st;

    if (fstat(m->ram, &st) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size == m->reference.size_bytes)
        return true;
    return sf_fail(err, SF_DATA_LOSS, "the RAM of memory '%s' has %lld bytes instead of %llu",
                   m->reference.memory_id, (long long)st.st_size,
                   (unsigned long long)m->reference.size_bytes);
}

static bool check_lease(const struct memory *m, const struct lease *l, struct sf_error **err)
{
    const struct memory_reference *r = &m->reference;

    if (strcmp(l->memory_id, r->memory_id) != 0 || strcmp(l->family_id, r->family_id) != 0 ||
        l->size_bytes != r->size_bytes)
        return sf_fail(err, SF_DATA_LOSS, "the lease of memory '%s' is that of another memory",
                       r->memory_id);
    if (l->generation != r->generation)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "memory '%s' has been run since by sandbox '%s' (generation %llu, the "
                       "snapshot has %llu): save that one instead",
                       r->memory_id, l->sandbox, (unsigned long long)l->generation,
                       (unsigned long long)r->generation);
    if (l->state_sha256[0] == '\0')
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "memory '%s' has no saved device state: sandbox '%s' runs it, or has ended "
                       "without a save",
                       r->memory_id, l->sandbox);
    return true;
}

int memory_state_open(struct memory *m, struct sf_error **err)
{
    int fd = openat(m->directory, "state", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        sf_fail(err, SF_DATA_LOSS, "the device state of memory '%s' is gone: %s",
                m->reference.memory_id, strerror(errno));
    return fd;
}

static bool check_state(struct memory *m, const struct lease *l, struct sf_error **err)
{
    char digest[65];
    SF_CLEANUP(closep) int fd = memory_state_open(m, err);

    if (fd < 0 || !lease_digest(fd, digest, err))
        return false;
    if (strcmp(digest, l->state_sha256) == 0)
        return true;
    return sf_fail(err, SF_DATA_LOSS,
                   "the device state of memory '%s' is not the one that was saved: its SHA-256 is "
                   "%.16s..., the lease has %.16s...",
                   m->reference.memory_id, digest, l->state_sha256);
}

static bool check_all(struct memory *m, struct lease *ret, struct sf_error **err)
{
    if (!lease_read(m->directory, ret, err))
        return sf_fail_in(err, "memory '%s'", m->reference.memory_id);
    if (check_size(m, err) && check_lease(m, ret, err) && check_state(m, ret, err))
        return true;
    lease_done(ret);
    return false;
}

/* Each reason by itself. */
static void admit_parts(struct memory *m, struct sf_reasons *why)
{
    struct lease l;
    struct sf_error *err = NULL;

    if (!check_size(m, &err)) {
        sf_reasons_add_error(why, err);
        sf_error_free(SF_STEAL(err));
    }
    if (!lease_read(m->directory, &l, &err)) {
        sf_fail_in(&err, "memory '%s'", m->reference.memory_id);
    } else {
        bool ok = check_lease(m, &l, &err) && check_state(m, &l, &err);
        (void)ok;
        lease_done(&l);
    }
    if (err != NULL)
        sf_reasons_add_error(why, err);
    sf_error_free(err);
}

void memory_admit(const char *root, const struct memory_reference *reference, bool clone,
                  struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(memory_freep) struct memory *m = memory_open(root, reference, &err);

    if (m == NULL) {
        sf_reasons_add_error(why, err);
        return;
    }
    m->shared = clone;
    admit_parts(m, why);
    if (!memory_lock_now(m, &err))
        sf_reasons_add_error(why, err);
    memory_let_go(m);
}

char *memory_files(const char *root, const struct memory_reference *reference)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
    SF_CLEANUP(memory_freep) struct memory *m = memory_open(root, reference, &ignored);
    SF_CLEANUP(lease_done) struct lease l = {0};

    if (m == NULL || !lease_read(m->directory, &l, &ignored) || !check_lease(m, &l, &ignored))
        return NULL;
    return SF_STEAL(l.files);
}

/* Whether another memory of the family is there. */
static bool family_lives(const struct memory *m)
{
    int fd = openat(m->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool lives = dir == NULL;

    for (struct dirent *e; !lives && (e = readdir(dir)) != NULL;) {
        SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
        struct lease l;
        SF_CLEANUP(closep) int sub = -1;
        if (!sf_guid_valid(e->d_name) || strcmp(e->d_name, m->reference.memory_id) == 0)
            continue;
        sub = openat(m->root, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (sub < 0 || !lease_read(sub, &l, &ignored))
            continue;
        lives = strcmp(l.family_id, m->reference.family_id) == 0;
        lease_done(&l);
    }
    if (dir != NULL)
        closedir(dir);
    return lives;
}

/* Needs the lock. */
static void remove_lock(struct memory *m)
{
    char name[64];

    lock_name(&m->reference, name);
    if (!family_lives(m))
        unlinkat(m->root, name, 0);
}

static bool is_removed(const struct memory *m)
{
    return faccessat(m->root, m->reference.memory_id, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

/* A saved clone has its RAM still to be put into the file; some of it may be there already. */
static bool check_room_for_ram(const struct memory *m, const struct lease *l, struct sf_error **err)
{
    struct stat st;
    uint64_t there = fstat(m->ram, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;

    if (m->shared || !l->ram_in_state || there >= m->reference.size_bytes)
        return true;
    return memory_check_room(m->root, m->path, m->reference.size_bytes - there, err);
}

bool memory_take(struct memory *m, struct sf_error **err)
{
    struct lease l;

    if (m->locked)
        return true;
    if (!memory_lock_now(m, err))
        return false;
    bool read = check_all(m, &l, err);
    if (!read || !check_room_for_ram(m, &l, err)) {
        if (read)
            lease_done(&l);
        if (is_removed(m)) /* who ran it since has ended: the lock file was made by us just now */
            remove_lock(m);
        memory_let_go(m);
        return false;
    }
    lease_done(&m->lease);
    m->lease = l;
    return true;
}

bool memory_take_waste(struct memory *m, const char *sandbox, struct sf_error **err)
{
    struct lease l;

    if (!memory_lock_now(m, err))
        return false;
    bool read = lease_read(m->directory, &l, err);
    bool waste = read && l.state_sha256[0] == '\0' && strcmp(l.sandbox, sandbox) == 0;
    if (read)
        lease_done(&l);
    if (waste)
        return true;
    memory_let_go(m);
    return !read
               ? false
               : sf_fail(err, SF_FAILED_PRECONDITION,
                         "memory '%s' was saved, or is another sandbox's", m->reference.memory_id);
}

/* ---- running and saving ---- */

bool memory_advance(struct memory *m, const char *sandbox, struct sf_error **err)
{
    struct lease next = m->lease;

    next.generation++;
    next.state_sha256[0] = '\0';
    next.ram_in_state = false;
    next.conversation = next.files = NULL;
    snprintf(next.sandbox, sizeof(next.sandbox), "%s", sandbox);
    if (!lease_write(m->directory, &next, err))
        return false;
    lease_done(&m->before);
    m->before = m->lease;
    m->lease = next;
    m->reference.generation = next.generation;
    return true;
}

bool memory_retreat(struct memory *m, struct sf_error **err)
{
    if (!lease_write(m->directory, &m->before, err))
        return false;
    lease_done(&m->lease);
    m->lease = m->before;
    m->before = (struct lease){0};
    m->reference.generation = m->lease.generation;
    return true;
}

void memory_step_back(struct memory *m)
{
    m->reference.generation--;
}

int memory_state_create(struct memory *m, struct sf_error **err)
{
    unlinkat(m->directory, "state", 0);
    int fd = openat(m->directory, "state", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        sf_fail(err, SF_UNAVAILABLE, "the device state of memory '%s' cannot be written: %s",
                m->reference.memory_id, strerror(errno));
    return fd;
}

static bool take_notes(struct memory *m, const struct memory_notes *notes)
{
    char *conversation = NULL, *files = NULL;
    bool ok =
        notes == NULL ||
        ((notes->conversation == NULL || (conversation = strdup(notes->conversation)) != NULL) &&
         (notes->files == NULL || (files = strdup(notes->files)) != NULL));

    free(m->lease.conversation);
    free(m->lease.files);
    m->lease.conversation = conversation;
    m->lease.files = files;
    return ok;
}

bool memory_saved(struct memory *m, const struct memory_notes *notes, struct sf_error **err)
{
    return memory_seal(m, notes, m->origin != NULL, err);
}

bool memory_seal(struct memory *m, const struct memory_notes *notes, bool ram_in_state,
                 struct sf_error **err)
{
    SF_CLEANUP(closep) int fd = memory_state_open(m, err);
    if (fd < 0)
        return false;
    if (fdatasync(fd) != 0)
        return sf_fail(err, SF_UNAVAILABLE, "the device state of memory '%s' cannot be synced: %s",
                       m->reference.memory_id, strerror(errno));
    if (!take_notes(m, notes))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    memory_fill_lease(m, NULL);
    m->lease.ram_in_state = ram_in_state;
    lease_done(&m->before);
    if (lease_digest(fd, m->lease.state_sha256, err) && lease_write(m->directory, &m->lease, err))
        return true;
    m->lease.state_sha256[0] = '\0';
    return false;
}

/* ---- removing ---- */

/* Also what a clone has written of disks. */
static void remove_files(const struct memory *m)
{
    int fd = m->directory < 0 ? -1 : openat(m->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(m->directory, e->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    else
        closep(&fd);
}

void memory_remove(struct memory *m)
{
    remove_files(m);
    if (unlinkat(m->root, m->reference.memory_id, AT_REMOVEDIR) != 0 && errno != ENOENT)
        sf_warning("memory '%s': cannot be removed: %s, continuing", m->reference.memory_id,
                   strerror(errno));
    if (m->locked)
        remove_lock(m);
    memory_let_go(m);
}
