/* The fids of a server, and the numbers that the guest knows its files by. */
#include "plan9/9p/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a number is, or would be. */
static size_t place_of(const struct ninep *s, uint32_t number)
{
    size_t low = 0, high = s->n_fids;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->fids[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct fid *fid_find(const struct ninep *s, uint32_t number)
{
    size_t at = place_of(s, number);

    return at < s->n_fids && s->fids[at]->number == number ? s->fids[at] : NULL;
}

static bool make_room(struct ninep *s)
{
    if (s->n_fids < s->fids_room)
        return true;
    size_t room = s->fids_room > 0 ? 2 * s->fids_room : 64;
    struct fid **more = realloc(s->fids, room * sizeof(struct fid *));
    if (more == NULL)
        return false;
    s->fids = more;
    s->fids_room = room;
    return true;
}

static int fid_check(const struct ninep *s, uint32_t number)
{
    if (number == P9_NO_FID || fid_find(s, number) != NULL)
        return EINVAL;
    return s->n_fids >= NINEP_FIDS_MAX ? ENFILE : 0;
}

int fid_add(struct ninep *s, uint32_t number, int fd, uint32_t user, struct fid **ret)
{
    struct stat st;
    int problem = fd_keep(s, &fd);

    if (problem == 0)
        problem = fid_check(s, number);
    if (problem == 0 && fstat(fd, &st) != 0)
        problem = errno;
    struct fid *f = problem == 0 && make_room(s) ? calloc(1, sizeof(*f)) : NULL;
    if (f == NULL) {
        fd_close(&fd);
        return problem != 0 ? problem : ENOMEM;
    }

    struct qid qid = qid_of(s, &st);
    *f = (struct fid){.number = number,
                      .fd = fd,
                      .io = -1,
                      .user = user,
                      .qid_type = qid.type,
                      .qid_path = qid.path,
                      .type = st.st_mode & S_IFMT};
    size_t at = place_of(s, number);
    memmove(s->fids + at + 1, s->fids + at, (s->n_fids - at) * sizeof(struct fid *));
    s->fids[at] = f;
    s->n_fids++;
    *ret = f;
    return 0;
}

int fid_become(struct ninep *s, struct fid *f, int fd)
{
    struct stat st;
    int problem = fd_keep(s, &fd);

    if (problem == 0 && fstat(fd, &st) != 0)
        problem = errno;
    if (problem != 0) {
        fd_close(&fd);
        return problem;
    }
    struct qid qid = qid_of(s, &st);
    lock_drop(s, f);
    listing_drop(s, f);
    fd_close(&f->fd);
    f->fd = fd;
    f->qid_type = qid.type;
    f->qid_path = qid.path;
    f->type = st.st_mode & S_IFMT;
    return 0;
}

static void fid_free(struct ninep *s, struct fid *f)
{
    lock_drop(s, f);
    listing_drop(s, f);
    fd_close(&f->io);
    fd_close(&f->fd);
    free(f);
}

void fid_remove(struct ninep *s, struct fid *f)
{
    size_t at = place_of(s, f->number);

    s->n_fids--;
    memmove(s->fids + at, s->fids + at + 1, (s->n_fids - at) * sizeof(struct fid *));
    fid_free(s, f);
}

void fid_remove_all(struct ninep *s)
{
    while (s->n_fids > 0)
        fid_free(s, s->fids[--s->n_fids]);
}

size_t ninep_fids(const struct ninep *server)
{
    return server->n_fids;
}

size_t ninep_open_files(const struct ninep *server)
{
    size_t n = 0;

    for (size_t i = 0; i < server->n_fids; i++)
        n += server->fids[i]->io >= 0;
    return n;
}

bool is_root(const struct ninep *s, const struct stat *st)
{
    return st->st_dev == s->root_device && st->st_ino == s->root_inode;
}

/*
 * Numbers. The guest shows a qid's number as the inode's, and knows two names for one file by it.
 * On the root's device it is the inode's number; on another (a mount beneath the root) it is mixed
 * with the device's. A file that travelled keeps the number that it had, and no other file gets
 * that.
 */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static int by_file(const void *a, const void *b)
{
    const struct known_qid *x = a, *y = b;

    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

struct qid qid_of(const struct ninep *s, const struct stat *st)
{
    struct known_qid key = {.device = st->st_dev, .inode = st->st_ino};
    const struct known_qid *known =
        s->n_known == 0 ? NULL : bsearch(&key, s->known, s->n_known, sizeof(key), by_file);
    struct qid qid = {.type = P9_QID_FILE, .path = st->st_ino};

    if (S_ISDIR(st->st_mode))
        qid.type = P9_QID_DIR;
    else if (S_ISLNK(st->st_mode))
        qid.type = P9_QID_SYMLINK;

    if (known != NULL) {
        qid.path = known->path;
        return qid;
    }
    if (st->st_dev != s->root_device)
        qid.path = mix(st->st_ino ^ mix(st->st_dev));
    while (s->n_known > 0 &&
           bsearch(&qid.path, s->known_paths, s->n_known, sizeof(qid.path), by_number) != NULL)
        qid.path = mix(qid.path);
    return qid;
}

/* The version is 0: "do not keep copies of this", to the clients that ask. */
void write_qid(struct writer *out, struct qid qid)
{
    write_u8(out, (uint8_t)qid.type);
    write_u32(out, 0);
    write_u64(out, qid.path);
}

bool qid_learn(struct ninep *s, const struct stat *st, uint64_t path)
{
    struct known_qid entry = {.device = st->st_dev, .inode = st->st_ino, .path = path};
    size_t n = s->n_known, at = 0;

    if (n > 0 && bsearch(&entry, s->known, n, sizeof(entry), by_file) != NULL)
        return true;
    struct known_qid *known = realloc(s->known, (n + 1) * sizeof(*known));
    if (known == NULL)
        return false;
    s->known = known;
    uint64_t *paths = realloc(s->known_paths, (n + 1) * sizeof(*paths));
    if (paths == NULL)
        return false;
    s->known_paths = paths;

    while (at < n && by_file(&known[at], &entry) < 0)
        at++;
    memmove(known + at + 1, known + at, (n - at) * sizeof(*known));
    known[at] = entry;
    for (at = 0; at < n && paths[at] < path; at++)
        ;
    memmove(paths + at + 1, paths + at, (n - at) * sizeof(*paths));
    paths[at] = path;
    s->n_known++;
    return true;
}
