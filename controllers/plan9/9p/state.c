/* What the guest holds, by name: given away, looked at, taken up. */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void ninep_state_done(struct ninep_state *state)
{
    for (size_t i = 0; i < state->n_fids; i++) {
        struct ninep_fid *f = &state->fids[i];
        for (size_t k = 0; k < f->n_locks; k++)
            free(f->locks[k].client);
        free(f->locks);
        free(f->path);
    }
    free(state->fids);
    sf_bytes_done(&state->partial);
    *state = (struct ninep_state){0};
}

/* ---- The source ---- */

static bool shown(const struct ninep *s, const char *path)
{
    char name[P9_NAME_MAX + 1];
    size_t size = strcspn(path, "/");

    if (size == 0)
        return true; /* the root */
    return name_take((struct span){path, size}, name) == 0 && name_visible(s, s->root, name);
}

/* NULL: the destination will find it at @path. Else why not; @path is then where it was last. */
static const char *misplaced(const struct ninep *s, const struct fid *f, char path[PATH_MAX])
{
    struct stat here, there;
    int problem = path_of(s, f->fd, path);

    if (fstat(f->fd, &here) != 0)
        return strerror(errno);
    if (here.st_nlink == 0)
        return f->io >= 0 ? "is open and has been deleted" : "is in use and has been deleted";
    if (problem == ENOENT)
        return "has been moved out of the share";
    if (problem != 0)
        return problem == ENAMETOOLONG ? "has too long a path" : strerror(problem);
    if (!sf_utf8_valid(path, strlen(path)))
        return "has a name that is not UTF-8";
    SF_CLEANUP(fd_close) int fd = lookup(s->root, path, 0);
    if (fd < 0 || fstat(fd, &there) != 0 || !same_file(&here, &there))
        return "has lost the name by which it was opened";
    return shown(s, path) ? NULL : "is not one of the share's names any more";
}

/* Linux lets go of a file right after it has removed its last name. */
static bool on_its_way(const struct fid *f)
{
    struct stat st;

    return f->io < 0 && fstat(f->fd, &st) == 0 && st.st_nlink == 0;
}

/* Files for which a reason has been given, by device and inode. */
struct told {
    struct file_number {
        dev_t device;
        ino_t inode;
    } * list;
    size_t n;
};

static int by_number(const void *a, const void *b)
{
    const struct file_number *x = a, *y = b;

    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static bool told_of(const struct told *told, const struct fid *f)
{
    struct stat st;

    if (told->n == 0 || fstat(f->fd, &st) != 0)
        return false;
    const struct file_number key = {.device = st.st_dev, .inode = st.st_ino};
    return bsearch(&key, told->list, told->n, sizeof(key), by_number) != NULL;
}

static void tell_of(struct told *told, const struct fid *f)
{
    struct stat st;

    if (told->list != NULL && fstat(f->fd, &st) == 0)
        told->list[told->n++] = (struct file_number){.device = st.st_dev, .inode = st.st_ino};
}

/* The guest's kernel holds a fid that it walked for each file that it holds open: of a file that
 * cannot be kept, that is one reason. So the open ones are first. */
void ninep_check(const struct ninep *server, const char *share, bool still, struct sf_reasons *why)
{
    struct told told = {.list = calloc(server->n_fids + 1, sizeof(struct file_number))};
    char path[PATH_MAX];

    for (unsigned open = 2; open-- > 0;) {
        for (size_t i = 0; i < server->n_fids; i++) {
            const struct fid *f = server->fids[i];
            const char *problem = (f->io >= 0) == (open != 0) ? misplaced(server, f, path) : NULL;
            if (problem == NULL || (!open && told_of(&told, f)) || (!still && on_its_way(f)))
                continue;
            sf_reasons_add(why, "%s: '%s' (fid %u) %s", share, path, f->number, problem);
            if (open)
                tell_of(&told, f);
        }
        if (open && told.n > 0)
            qsort(told.list, told.n, sizeof(struct file_number), by_number);
    }
    free(told.list);
}

static bool fid_export(const struct ninep *s, const struct fid *f, struct ninep_fid *ret,
                       struct sf_error **err)
{
    char path[PATH_MAX];
    const char *problem = misplaced(s, f, path);

    if (problem != NULL)
        return sf_fail(err, SF_FAILED_PRECONDITION, "'%s' (fid %u) %s", path, f->number, problem);
    *ret = (struct ninep_fid){.fid = f->number,
                              .path = strdup(path),
                              .flags = f->flags,
                              .open = f->io >= 0,
                              .qid_type = f->qid_type,
                              .qid_path = f->qid_path,
                              .user = f->user};
    if (!lock_export(f, ret) || ret->path == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the files of a share");
    return true;
}

bool ninep_export(const struct ninep *server, struct ninep_state *ret, struct sf_error **err)
{
    SF_CLEANUP(ninep_state_done) struct ninep_state state = {.msize = server->msize};

    if (server->in_size > 0 && !sf_bytes_copy(&state.partial, server->in, server->in_size))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a 9P message");
    if (server->n_fids > 0 && (state.fids = calloc(server->n_fids, sizeof(*state.fids))) == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the files of a share");
    for (size_t i = 0; i < server->n_fids; i++) {
        state.n_fids++; /* what it has so far is freed with the others */
        if (!fid_export(server, server->fids[i], &state.fids[i], err))
            return false;
    }
    *ret = state;
    state = (struct ninep_state){0};
    return true;
}

/* ---- What somebody says that a source has given away ---- */

static bool path_valid(const char *path)
{
    char name[P9_NAME_MAX + 1];

    if (path == NULL || strlen(path) >= PATH_MAX || !sf_utf8_valid(path, strlen(path)))
        return false;
    for (const char *at = path; *path != '\0';) {
        size_t size = strcspn(at, "/");
        if (name_take((struct span){at, size}, name) != 0)
            return false;
        if (at[size] == '\0')
            return true;
        at += size + 1;
    }
    return true;
}

static bool locks_valid(const struct ninep_fid *f)
{
    for (size_t i = 0; i < f->n_locks; i++) {
        const struct ninep_lock *lock = &f->locks[i], *before = i > 0 ? lock - 1 : NULL;
        if (!lock_valid(lock->start, lock->length) || lock->client == NULL ||
            strlen(lock->client) > P9_NAME_MAX)
            return false;
        if (before != NULL && (lock->start < before->start ||
                               (lock->start == before->start && lock->process <= before->process)))
            return false;
    }
    return f->n_locks == 0 || (f->open && f->n_locks <= NINEP_LOCKS_MAX);
}

/* NULL: it is good. */
static const char *fid_wrong(const struct ninep_fid *f, const struct ninep_fid *before)
{
    if (f->fid == P9_NO_FID || (before != NULL && f->fid <= before->fid))
        return "is out of order";
    if (!path_valid(f->path))
        return "has a path that is none";
    if ((f->flags & ~P9_O_KEPT) != 0 || (!f->open && f->flags != 0))
        return "has unknown flags";
    if (f->qid_type != P9_QID_FILE && f->qid_type != P9_QID_DIR && f->qid_type != P9_QID_SYMLINK)
        return "has an unknown type";
    return locks_valid(f) ? NULL : "has locks that make no sense";
}

/* A message is run when it is whole, so a state has less of it. */
static const char *stream_wrong(const struct ninep_state *state)
{
    struct reader r = {.data = state->partial.data, .size = state->partial.size};
    uint32_t most = state->msize != 0 ? state->msize : NINEP_MSIZE_MAX;

    if (state->msize != 0 && (state->msize < NINEP_MSIZE_MIN || state->msize > NINEP_MSIZE_MAX))
        return "its messages are of a size that cannot be";
    if (state->msize == 0 && state->n_fids > 0)
        return "it has files, but no version was agreed";
    if (state->n_fids > NINEP_FIDS_MAX)
        return "it has too many files";
    if (r.size < 4)
        return NULL;
    uint32_t size = read_u32(&r);
    return size < P9_HEADER || size > most || size <= r.size
               ? "the message that it breaks off in makes no sense"
               : NULL;
}

/* ---- The destination ---- */

static uint32_t type_of(const struct stat *st)
{
    return S_ISDIR(st->st_mode) ? P9_QID_DIR : S_ISLNK(st->st_mode) ? P9_QID_SYMLINK : P9_QID_FILE;
}

static const char *type_name(uint32_t type)
{
    return type == P9_QID_DIR ? "directory" : type == P9_QID_SYMLINK ? "symbolic link" : "file";
}

static bool fid_fail(const struct ninep_fid *f, const char *what, struct sf_error **err)
{
    return sf_fail(err, SF_FAILED_PRECONDITION, "'%s' (fid %u) %s", f->path, f->fid, what);
}

/* Finds the file, and opens it as it was. */
static bool fid_open(struct ninep *s, const struct ninep_fid *from, struct fid **ret,
                     struct sf_error **err)
{
    struct stat st;
    int fd = shown(s, from->path) ? lookup(s->root, from->path, 0) : -1;

    if (fd < 0 && !shown(s, from->path))
        return fid_fail(from, "is not one of the share's names", err);
    if (fd < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "'%s' (fid %u) cannot be had here: %s",
                       from->path, from->fid,
                       errno == ELOOP ? "a symbolic link leads there" : strerror(errno));
    if (fstat(fd, &st) != 0) {
        fd_close(&fd);
        return fid_fail(from, "cannot be looked at here", err);
    }
    if (type_of(&st) != from->qid_type) {
        fd_close(&fd);
        return sf_fail(err, SF_FAILED_PRECONDITION, "'%s' (fid %u) is a %s here; it was a %s",
                       from->path, from->fid, type_name(type_of(&st)), type_name(from->qid_type));
    }
    struct fid *f;
    int problem = fid_add(s, from->fid, fd, from->user, &f);
    if (problem == 0 && from->open) {
        problem = file_open(s, f, from->flags, &f->io);
        f->flags = from->flags;
    }
    if (problem != 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "'%s' (fid %u) cannot be opened here: %s",
                       from->path, from->fid, strerror(problem));
    f->qid_path = from->qid_path;
    if (!qid_learn(s, &st, from->qid_path))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the files of a share");
    *ret = f;
    return true;
}

static void lock_text(const struct ninep_lock *lock, struct sf_text *ret)
{
    if (lock->length == 0)
        sf_text_add(ret, "from byte %llu", (unsigned long long)lock->start);
    else
        sf_text_add(ret, "bytes %llu to %llu", (unsigned long long)lock->start,
                    (unsigned long long)(lock->start + lock->length - 1));
}

static bool lock_fail(const struct ninep_fid *f, const struct ninep_lock *lock, int problem,
                      struct sf_error **err)
{
    struct sf_text text = {0};

    lock_text(lock, &text);
    SF_CLEANUP(sf_freep) char *range = sf_text_take(&text);
    return sf_fail(err, SF_FAILED_PRECONDITION, "'%s' (fid %u): the lock %s cannot be had here: %s",
                   f->path, f->fid, range != NULL ? range : "",
                   problem == EAGAIN ? "somebody else has it" : strerror(problem));
}

/* See ninep_check(). */
static bool told_by_open(const struct ninep_state *state, const struct ninep_fid *f)
{
    for (size_t i = 0; !f->open && i < state->n_fids; i++) {
        const struct ninep_fid *other = &state->fids[i];
        if (other->open && other->path != NULL && strcmp(other->path, f->path) == 0 &&
            other->qid_type == f->qid_type)
            return true;
    }
    return false;
}

void ninep_admit(const struct ninep_state *state, int root_fd, const struct ninep_options *options,
                 const char *share, struct sf_reasons *why)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(ninep_freep) struct ninep *s = ninep_new(root_fd, options, NULL, NULL, &err);
    const char *wrong = stream_wrong(state);

    if (s == NULL)
        sf_reasons_add(why, "%s: %s", share, sf_error_message(err));
    if (wrong != NULL)
        sf_reasons_add(why, "%s: %s", share, wrong);
    for (size_t i = 0; s != NULL && wrong == NULL && i < state->n_fids; i++) {
        SF_CLEANUP(sf_error_freep) struct sf_error *problem = NULL;
        const struct ninep_fid *from = &state->fids[i];
        const char *bad = fid_wrong(from, i > 0 ? from - 1 : NULL);
        struct fid *f = NULL;
        if (bad != NULL)
            sf_reasons_add(why, "%s: fid %u %s", share, from->fid, bad);
        else if (!fid_open(s, from, &f, &problem) && !told_by_open(state, from))
            sf_reasons_add(why, "%s: %s", share, sf_error_message(problem));
        for (size_t k = 0; f != NULL && k < from->n_locks; k++) {
            SF_CLEANUP(sf_error_freep) struct sf_error *taken = NULL;
            int held = lock_probe(s, f, &from->locks[k]);
            if (held != 0 && !lock_fail(from, &from->locks[k], held, &taken))
                sf_reasons_add(why, "%s: %s", share, sf_error_message(taken));
        }
        fid_remove_all(s); /* one at a time: many files need not be open twice */
    }
}

static bool fid_restore(struct ninep *s, const struct ninep_fid *from,
                        const struct ninep_fid *before, struct sf_error **err)
{
    const char *wrong = fid_wrong(from, before);
    struct fid *f;

    if (wrong != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "fid %u %s", from->fid, wrong);
    if (!fid_open(s, from, &f, err))
        return false;
    for (size_t i = 0; i < from->n_locks; i++) {
        const struct ninep_lock *lock = &from->locks[i];
        int problem = lock_set(s, f, lock->exclusive ? P9_LOCK_EXCLUSIVE : P9_LOCK_SHARED, lock);
        if (problem != 0)
            return lock_fail(from, lock, problem, err);
    }
    return true;
}

/* The agreement may allow larger messages than this server would have agreed to. */
static bool grow(struct ninep *s, const struct ninep_state *state, struct sf_error **err)
{
    size_t size = state->msize > s->msize_max ? state->msize : s->msize_max;

    if (state->msize == 0 && state->partial.size > 0)
        size = NINEP_MSIZE_MAX;
    uint8_t *in = realloc(s->in, size);
    if (in != NULL)
        s->in = in;
    uint8_t *out = realloc(s->out, size);
    if (out != NULL)
        s->out = out;
    if (in == NULL || out == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for 9P messages of %zu bytes", size);
    s->msize_max = (uint32_t)size;
    return true;
}

static bool fids_restore(struct ninep *s, const struct ninep_state *state, struct sf_error **err)
{
    for (size_t i = 0; i < state->n_fids; i++)
        if (!fid_restore(s, &state->fids[i], i > 0 ? &state->fids[i - 1] : NULL, err))
            return false;
    return true;
}

bool ninep_restore(struct ninep *server, const struct ninep_state *state, struct sf_error **err)
{
    const char *wrong = stream_wrong(state);

    if (server->over || server->msize != 0 || server->in_size > 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "the 9P server is in use");
    if (wrong != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%s", wrong);
    if (!grow(server, state, err))
        return false;
    if (!fids_restore(server, state, err)) {
        fid_remove_all(server);
        free(server->known);
        free(server->known_paths);
        server->known = NULL;
        server->known_paths = NULL;
        server->n_known = 0;
        return false;
    }
    server->msize = state->msize;
    if (state->partial.size > 0)
        memcpy(server->in, state->partial.data, state->partial.size);
    server->in_size = state->partial.size;
    return true;
}
