/*
 * Locks.
 *
 * The books have who holds what: ranges by fid and process. The host has, for each file, one open
 * file description that holds the sum of them: what somebody has exclusively is exclusive, what
 * somebody shares is shared. (A description for each fid would have the guest's processes lock each
 * other out on the host, which their kernel has let through: a process may lock by one descriptor
 * and again by another.) A change is made by comparing the sum before with the sum after.
 */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct range {
    const struct fid *fid; /* borrowed: whose it is */
    uint32_t process;
    bool exclusive;
    uint64_t start, end; /* both belong to it; end INT64_MAX: of the file */
    char *client;        /* owned */
};

struct ranges {
    struct range *list; /* owned */
    size_t n;
};

struct lock_file {
    struct lock_file *next;
    dev_t device;
    ino_t inode;
    int fd; /* owned */
    bool reads, writes;
    struct ranges held;
};

bool lock_valid(uint64_t start, uint64_t length)
{
    return start <= INT64_MAX && length <= (uint64_t)INT64_MAX &&
           (length == 0 || length - 1 <= (uint64_t)INT64_MAX - start);
}

static uint64_t end_of(const struct ninep_lock *lock)
{
    return lock->length == 0 ? (uint64_t)INT64_MAX : lock->start + lock->length - 1;
}

/* ---- The books ---- */

static void ranges_done(struct ranges *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->list[i].client);
    free(r->list);
    *r = (struct ranges){0};
}

/* False: no memory. The list has room for it. */
static bool ranges_put(struct ranges *r, const struct range *range, uint64_t start, uint64_t end)
{
    char *client = strdup(range->client);

    if (client == NULL)
        return false;
    r->list[r->n] = *range;
    r->list[r->n].start = start;
    r->list[r->n].end = end;
    r->list[r->n++].client = client;
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->process < y->process ? -1 : x->process > y->process;
}

static bool same_owner(const struct range *a, const struct range *b)
{
    return a->fid == b->fid && a->process == b->process;
}

/* Neighbours of one kind and owner are one range. */
static bool joins(const struct range *a, const struct range *b)
{
    return same_owner(a, b) && a->exclusive == b->exclusive && a->start <= b->end + 1 &&
           b->start <= a->end + 1;
}

/*
 * What is held once @change is made: what its owner had there is gone, and @change in its place
 * unless @unlock.
 */
static bool ranges_change(const struct ranges *old, const struct range *change, bool unlock,
                          struct ranges *ret)
{
    struct range added = *change;
    bool ok = (ret->list = calloc(old->n + 2, sizeof(struct range))) != NULL;

    for (size_t i = 0; ok && i < old->n; i++) {
        const struct range *r = &old->list[i];
        if (!unlock && joins(r, &added)) {
            added.start = r->start < added.start ? r->start : added.start;
            added.end = r->end > added.end ? r->end : added.end;
        } else if (!same_owner(r, change) || r->end < change->start || r->start > change->end) {
            ok = ranges_put(ret, r, r->start, r->end);
        } else {
            if (r->start < change->start)
                ok = ranges_put(ret, r, r->start, change->start - 1);
            if (ok && r->end > change->end)
                ok = ranges_put(ret, r, change->end + 1, r->end);
        }
    }
    if (ok && !unlock)
        ok = ranges_put(ret, &added, added.start, added.end);
    if (!ok) {
        ranges_done(ret);
        return false;
    }
    qsort(ret->list, ret->n, sizeof(struct range), by_start);
    return true;
}

/* ---- The host ---- */

enum strength { FREE, SHARED, EXCLUSIVE };

/* Where a range begins or ends. */
struct edge {
    uint64_t at;
    bool after; /* whose sum it changes: the one before, or the one after */
    bool exclusive;
    int by; /* +1 or -1 */
};

static int by_place(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

static size_t add_edges(struct edge *edges, size_t n, const struct ranges *r, bool after)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct range *range = &r->list[i];
        edges[n++] = (struct edge){range->start, after, range->exclusive, 1};
        edges[n++] = (struct edge){range->end + 1, after, range->exclusive, -1};
    }
    return n;
}

static short host_type(const struct lock_file *file, enum strength strength)
{
    if (strength == FREE)
        return F_UNLCK;
    if (strength == EXCLUSIVE)
        return file->writes ? F_WRLCK : F_RDLCK;
    return file->reads ? F_RDLCK : F_WRLCK;
}

static int host_set(const struct lock_file *file, enum strength strength, uint64_t start,
                    uint64_t end)
{
    struct flock lock = {
        .l_type = host_type(file, strength),
        .l_whence = SEEK_SET,
        .l_start = (off_t)start,
        .l_len = end >= INT64_MAX ? 0 : (off_t)(end - start + 1),
    };

    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EACCES ? EAGAIN : errno;
}

static enum strength strength_of(const int counts[2])
{
    return counts[true] > 0 ? EXCLUSIVE : counts[false] > 0 ? SHARED : FREE;
}

/* One pass over the file from its begin to its end: either what gets stronger, or what weaker. */
static int host_pass(const struct lock_file *file, const struct edge *edges, size_t n,
                     bool stronger)
{
    int counts[2][2] = {{0}}; /* [after][exclusive] */
    int problem = 0;

    for (size_t i = 0; problem == 0 && i < n;) {
        uint64_t start = edges[i].at;
        for (; i < n && edges[i].at == start; i++)
            counts[edges[i].after][edges[i].exclusive] += edges[i].by;
        if (i == n)
            break;
        enum strength old = strength_of(counts[false]), now = strength_of(counts[true]);
        if (stronger ? now > old : now < old)
            problem = host_set(file, now, start, edges[i].at - 1);
    }
    return problem;
}

/* Stronger first: only that can be refused, and what it has done is then taken back by the pass
 * that makes weaker. */
static int host_change(const struct lock_file *file, const struct ranges *old,
                       const struct ranges *now)
{
    size_t n = 0;
    struct edge *edges = calloc(2 * (old->n + now->n) + 1, sizeof(*edges));

    if (edges == NULL)
        return ENOMEM;
    n = add_edges(edges, n, old, false);
    n = add_edges(edges, n, now, true);
    qsort(edges, n, sizeof(*edges), by_place);
    int problem = host_pass(file, edges, n, true);
    for (size_t i = 0; problem != 0 && i < n; i++)
        edges[i].after = !edges[i].after;
    host_pass(file, edges, n, false);
    free(edges);
    return problem;
}

/* ---- Files that have locks ---- */

/* Exclusive locks want a descriptor that may write; a share, or a file, may forbid that. */
static int lock_file_open(const struct ninep *s, const struct fid *f, struct lock_file *ret)
{
    struct stat st;

    *ret = (struct lock_file){.fd = -1};
    if (f->io < 0)
        return EBADF;
    if (!S_ISREG(f->type))
        return EINVAL;
    if (fstat(f->fd, &st) != 0)
        return errno;
    ret->device = st.st_dev;
    ret->inode = st.st_ino;
    ret->fd = s->read_only ? -1 : reopen(f->fd, O_RDWR);
    ret->reads = true;
    ret->writes = ret->fd >= 0;
    if (ret->fd < 0)
        ret->fd = reopen(f->fd, O_RDONLY);
    if (ret->fd < 0 && !s->read_only) {
        ret->fd = reopen(f->fd, O_WRONLY);
        ret->reads = false;
        ret->writes = true;
    }
    return fd_keep(s, &ret->fd);
}

static struct lock_file *lock_file_find(const struct ninep *s, const struct fid *f)
{
    struct lock_file *file = s->lock_files;
    struct stat st;

    if (f->locked != NULL)
        return f->locked;
    if (fstat(f->fd, &st) != 0)
        return NULL;
    while (file != NULL && (file->device != st.st_dev || file->inode != st.st_ino))
        file = file->next;
    return file;
}

static int lock_file_make(struct ninep *s, const struct fid *f, struct lock_file **ret)
{
    struct lock_file *file = malloc(sizeof(*file));

    if (file == NULL)
        return ENOMEM;
    int problem = lock_file_open(s, f, file);
    if (problem != 0) {
        free(file);
        return problem;
    }
    file->next = s->lock_files;
    s->lock_files = *ret = file;
    return 0;
}

static bool holds(const struct lock_file *file, const struct fid *f)
{
    for (size_t i = 0; i < file->held.n; i++)
        if (file->held.list[i].fid == f)
            return true;
    return false;
}

/* A file without locks is closed, which on the host gives up what was left of them. */
static void lock_file_tidy(struct ninep *s, struct lock_file *file)
{
    if (file->held.n > 0)
        return;
    for (struct lock_file **at = &s->lock_files; *at != NULL; at = &(*at)->next) {
        if (*at == file) {
            *at = file->next;
            break;
        }
    }
    ranges_done(&file->held);
    fd_close(&file->fd);
    free(file);
}

static void take_over(struct ninep *s, struct lock_file *file, struct ranges *now)
{
    s->n_locks = s->n_locks - file->held.n + now->n;
    ranges_done(&file->held);
    file->held = *now;
    *now = (struct ranges){0};
}

static int change_file(struct ninep *s, struct lock_file *file, const struct range *change,
                       bool unlock)
{
    SF_CLEANUP(ranges_done) struct ranges now = {0};

    if (!ranges_change(&file->held, change, unlock, &now))
        return ENOMEM;
    if (s->n_locks - file->held.n + now.n > NINEP_LOCKS_MAX && now.n > file->held.n)
        return ENOLCK;
    int problem = s->resting ? 0 : host_change(file, &file->held, &now);
    if (problem == 0)
        take_over(s, file, &now);
    return problem;
}

int lock_set(struct ninep *s, struct fid *f, enum p9_lock_type type, const struct ninep_lock *lock)
{
    struct range change = {.fid = f,
                           .process = lock->process,
                           .exclusive = type == P9_LOCK_EXCLUSIVE,
                           .start = lock->start,
                           .end = end_of(lock),
                           .client = lock->client};
    struct lock_file *file = lock_file_find(s, f);
    int problem;

    if (file == NULL && type == P9_LOCK_NONE)
        return 0;
    problem = file == NULL ? lock_file_make(s, f, &file) : 0;
    if (problem != 0)
        return problem;
    problem = change_file(s, file, &change, type == P9_LOCK_NONE);
    f->locked = holds(file, f) ? file : NULL;
    lock_file_tidy(s, file);
    return problem;
}

/* Those of others first. Returns how many these are. */
static size_t part(struct ranges *held, const struct fid *f)
{
    size_t kept = 0;

    for (size_t i = 0; i < held->n; i++) {
        if (held->list[i].fid == f)
            continue;
        struct range r = held->list[i];
        held->list[i] = held->list[kept];
        held->list[kept++] = r;
    }
    return kept;
}

void lock_drop(struct ninep *s, struct fid *f)
{
    struct lock_file *file = f->locked;

    if (file == NULL)
        return;
    f->locked = NULL;
    const struct ranges now = {.list = file->held.list, .n = part(&file->held, f)};
    if (!s->resting && now.n > 0)
        host_change(file, &file->held, &now);
    for (; file->held.n > now.n; s->n_locks--)
        free(file->held.list[--file->held.n].client);
    if (now.n > 0)
        qsort(now.list, now.n, sizeof(struct range), by_start);
    lock_file_tidy(s, file);
}

/* ---- What travels ---- */

bool lock_export(const struct fid *f, struct ninep_fid *ret)
{
    const struct ranges *held = f->locked != NULL ? &f->locked->held : NULL;

    if (held == NULL)
        return true;
    ret->locks = calloc(held->n, sizeof(ret->locks[0]));
    if (ret->locks == NULL)
        return false;
    for (size_t i = 0; i < held->n; i++) {
        const struct range *r = &held->list[i];
        if (r->fid != f)
            continue;
        struct ninep_lock *lock = &ret->locks[ret->n_locks++];
        *lock = (struct ninep_lock){.exclusive = r->exclusive,
                                    .start = r->start,
                                    .length = r->end == INT64_MAX ? 0 : r->end - r->start + 1,
                                    .process = r->process,
                                    .client = strdup(r->client)};
        if (lock->client == NULL)
            return false;
    }
    return true;
}

static int probe(const struct lock_file *file, const struct ninep_lock *lock, struct flock *ret)
{
    uint64_t end = end_of(lock);

    *ret = (struct flock){
        .l_type = host_type(file, lock->exclusive ? EXCLUSIVE : SHARED),
        .l_whence = SEEK_SET,
        .l_start = (off_t)lock->start,
        .l_len = end >= INT64_MAX ? 0 : (off_t)(end - lock->start + 1),
    };
    if (fcntl(file->fd, F_OFD_GETLK, ret) != 0)
        return errno;
    return ret->l_type == F_UNLCK ? 0 : EAGAIN;
}

static int lock_probe_into(const struct ninep *s, const struct fid *f,
                           const struct ninep_lock *lock, struct flock *ret)
{
    const struct lock_file *file = lock_file_find(s, f);
    struct lock_file own;

    if (file != NULL)
        return probe(file, lock, ret);
    int problem = lock_file_open(s, f, &own);
    if (problem == 0)
        problem = probe(&own, lock, ret);
    fd_close(&own.fd);
    return problem;
}

int lock_probe(const struct ninep *s, const struct fid *f, const struct ninep_lock *lock)
{
    struct flock found;

    return lock_probe_into(s, f, lock, &found);
}

static const struct ranges nothing;

void ninep_rest(struct ninep *server)
{
    if (server->resting)
        return;
    server->resting = true;
    for (const struct lock_file *file = server->lock_files; file != NULL; file = file->next)
        host_set(file, FREE, 0, INT64_MAX);
}

bool ninep_wake(struct ninep *server, struct sf_error **err)
{
    char path[PATH_MAX];

    if (!server->resting)
        return true;
    server->resting = false;
    for (const struct lock_file *file = server->lock_files; file != NULL; file = file->next) {
        int problem = host_change(file, &nothing, &file->held);
        if (problem == 0)
            continue;
        if (path_of(server, file->fd, path) != 0)
            path[0] = '\0';
        ninep_rest(server);
        return sf_fail(err, SF_FAILED_PRECONDITION, "'%.200s': %s", path,
                       problem == EAGAIN ? "somebody else has locked it by now"
                                         : strerror(problem));
    }
    return true;
}

/* ---- The messages ---- */

static bool read_lock(struct reader *in, struct ninep_lock *ret, char client[P9_NAME_MAX + 1])
{
    ret->start = read_u64(in);
    ret->length = read_u64(in);
    ret->process = read_u32(in);
    struct span span = read_text(in);
    size_t size = span.size <= P9_NAME_MAX ? span.size : 0;
    memcpy(client, span.data, size);
    client[size] = '\0';
    ret->client = client;
    return span.size <= P9_NAME_MAX && sf_utf8_valid(span.data, span.size);
}

int do_lock(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    uint8_t type = read_u8(in);
    char client[P9_NAME_MAX + 1];
    struct ninep_lock lock;

    read_u32(in); /* whether the client will ask again */
    bool good = read_lock(in, &lock, client);
    if (!read_all(in))
        return EPROTO;
    if (f == NULL || f->io < 0)
        return EBADF;
    if (!good || type > P9_LOCK_NONE || !S_ISREG(f->type) || !lock_valid(lock.start, lock.length))
        return EINVAL;
    int problem = lock_set(s, f, type, &lock);
    if (problem != 0 && problem != EAGAIN)
        return problem;
    write_u8(out, problem == EAGAIN ? P9_LOCK_BLOCKED : P9_LOCK_SUCCESS);
    return 0;
}

/* Who on the host is in the way. */
int do_getlock(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    uint8_t type = read_u8(in);
    char client[P9_NAME_MAX + 1];
    struct ninep_lock lock;
    struct flock found = {0};

    bool good = read_lock(in, &lock, client);
    if (!read_all(in))
        return EPROTO;
    if (f == NULL || f->io < 0)
        return EBADF;
    if (!good || type >= P9_LOCK_NONE || !S_ISREG(f->type) || !lock_valid(lock.start, lock.length))
        return EINVAL;
    lock.exclusive = type == P9_LOCK_EXCLUSIVE;
    int problem = lock_probe_into(s, f, &lock, &found);
    if (problem != 0 && problem != EAGAIN)
        return problem;

    bool blocked = problem == EAGAIN;
    const char *name = blocked ? "host" : client;
    write_u8(out, !blocked                  ? P9_LOCK_NONE
                  : found.l_type == F_WRLCK ? P9_LOCK_EXCLUSIVE
                                            : P9_LOCK_SHARED);
    write_u64(out, blocked ? (uint64_t)found.l_start : lock.start);
    write_u64(out, blocked ? (uint64_t)found.l_len : lock.length);
    write_u32(out, !blocked ? lock.process : found.l_pid > 0 ? (uint32_t)found.l_pid : 0);
    write_text(out, name, strlen(name));
    return 0;
}
