/* Memory that is made from another: copies, which are saved too, and what a clone has. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/memory_private.h"

/* ---- copies ---- */

static bool is_zero(const char *bytes, size_t n)
{
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static bool copy_extent(int from, int to, off_t begin, off_t end)
{
    static const size_t block = 65536;
    SF_CLEANUP(sf_freep) char *buffer = malloc(block);

    while (buffer != NULL && begin < end) {
        size_t want = (size_t)(end - begin) < block ? (size_t)(end - begin) : block;
        ssize_t n = pread(from, buffer, want, begin);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return false;
        if (n > 0 && !is_zero(buffer, (size_t)n) && pwrite(to, buffer, (size_t)n, begin) != n)
            return false;
        begin += n > 0 ? n : 0;
    }
    return buffer != NULL;
}

/* Holes stay holes. */
static bool copy_sparse(int from, int to, off_t size)
{
    off_t begin = lseek(from, 0, SEEK_DATA);

    while (begin >= 0 && begin < size) {
        off_t end = lseek(from, begin, SEEK_HOLE);
        if (end < 0 || !copy_extent(from, to, begin, end))
            return false;
        begin = lseek(from, end, SEEK_DATA);
    }
    return begin >= 0 || errno == ENXIO; /* no more data */
}

static bool copy_files(struct memory *from, struct memory *to, struct sf_error **err)
{
    SF_CLEANUP(closep) int state_from = memory_state_open(from, err);
    if (state_from < 0)
        return false;
    SF_CLEANUP(closep) int state_to = memory_state_create(to, err);
    struct stat st;
    if (state_to < 0)
        return false;
    if (fstat(state_from, &st) == 0 &&
        copy_sparse(from->ram, to->ram, (off_t)from->reference.size_bytes) &&
        ftruncate(state_to, st.st_size) == 0 && copy_sparse(state_from, state_to, st.st_size) &&
        fdatasync(to->ram) == 0)
        return true;
    return sf_fail(err, SF_RESOURCE_EXHAUSTED, "memory '%s' cannot be copied: %s",
                   from->reference.memory_id, strerror(errno));
}

struct memory *memory_copy(struct memory *m, struct sf_error **err)
{
    struct memory_reference reference = m->reference;

    if (!sf_guid_new(reference.memory_id)) {
        sf_fail(err, SF_UNAVAILABLE, "no entropy");
        return NULL;
    }
    SF_CLEANUP(memory_freep) struct memory *copy = memory_make(&reference, m->path, err);
    if (copy == NULL)
        return NULL;
    copy->root = fcntl(m->root, F_DUPFD_CLOEXEC, 0);
    struct stat st;
    if (copy->root < 0 || fstat(m->ram, &st) != 0) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "memory '%s' cannot be copied: %s",
                m->reference.memory_id, strerror(errno));
        return NULL;
    }
    if (!memory_check_room(m->root, m->path, (uint64_t)st.st_blocks * 512, err))
        return NULL;
    copy->user = (struct run_user){.drop = geteuid() == 0, .uid = st.st_uid, .gid = st.st_gid};
    if (memory_make_files(copy, err) && copy_files(m, copy, err)) {
        memory_fill_lease(copy, m->lease.sandbox);
        if (memory_seal(copy, &(struct memory_notes){m->lease.conversation, m->lease.files},
                        m->lease.ram_in_state, err))
            return SF_STEAL(copy);
    }
    memory_remove(copy);
    return NULL;
}

/* ---- clones ---- */

#define CLONES_NAMED 3

static void add_name(struct sf_text *text, const struct lease *l, size_t n)
{
    if (n < CLONES_NAMED)
        sf_text_add(text, "%s'%s'", n == 0 ? "clone " : ", ", l->sandbox);
}

char *memory_clones(const struct memory *m)
{
    int fd = openat(m->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct sf_text text = {0};
    size_t n = 0;

    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        SF_CLEANUP(sf_error_freep) struct sf_error *ignored = NULL;
        SF_CLEANUP(lease_done) struct lease l = {0};
        SF_CLEANUP(closep) int sub = -1;
        if (!sf_guid_valid(e->d_name))
            continue;
        sub = openat(m->root, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (sub >= 0 && lease_read(sub, &l, &ignored) &&
            strcmp(l.clone_of, m->reference.family_id) == 0)
            add_name(&text, &l, n++);
    }
    if (dir != NULL)
        closedir(dir);
    if (n > CLONES_NAMED)
        sf_text_add(&text, " and %zu more", n - CLONES_NAMED);
    SF_CLEANUP(sf_freep) char *words = sf_text_take(&text);
    return n == 0 ? NULL : SF_STEAL(words);
}

struct memory *memory_clone(struct memory *origin, const char *sandbox, const struct run_user *user,
                            struct sf_error **err)
{
    struct memory_reference reference = {.size_bytes = origin->reference.size_bytes,
                                         .generation = 1};

    origin->shared = true;
    if (!memory_take(origin, err))
        return NULL;
    if (!sf_guid_new(reference.memory_id) || !sf_guid_new(reference.family_id)) {
        sf_fail(err, SF_UNAVAILABLE, "no entropy");
        return NULL;
    }
    SF_CLEANUP(memory_freep) struct memory *m = memory_make(&reference, origin->path, err);
    if (m == NULL)
        return NULL;
    m->user = *user;
    m->root = fcntl(origin->root, F_DUPFD_CLOEXEC, 0);
    if (m->root < 0) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no descriptor is left: %s", strerror(errno));
        return NULL;
    }
    if (memory_make_files(m, err) && memory_lock_now(m, err)) {
        memory_fill_lease(m, sandbox);
        memcpy(m->lease.clone_of, origin->reference.family_id, sizeof(m->lease.clone_of));
        if (lease_write(m->directory, &m->lease, err)) {
            m->origin = origin;
            return SF_STEAL(m);
        }
    }
    memory_remove(m);
    return NULL;
}

int memory_clone_file(struct memory *m, const char *name, struct sf_error **err)
{
    int fd = openat(m->directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        sf_fail(err, SF_UNAVAILABLE, "'%s' of memory '%s' cannot be made: %s", name,
                m->reference.memory_id, strerror(errno));
    return fd;
}

bool memory_has_no_clones(struct memory *m, struct sf_error **err)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *held = NULL;
    SF_CLEANUP(sf_freep) char *clones = NULL;

    if (m->locked)
        return true;
    if (memory_lock_now(m, &held)) {
        memory_let_go(m);
        return true;
    }
    clones = memory_clones(m);
    if (clones == NULL)
        return true; /* somebody runs it: the take will say who */
    return sf_fail(err, SF_FAILED_PRECONDITION, "%s", sf_error_message(held));
}
