/* The messages that begin and end things: version, attach, walk, clunk, remove. */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Begins anew: nothing is left of what was before. */
int do_version(struct ninep *s, struct reader *in, struct writer *out)
{
    uint32_t msize = read_u32(in);
    struct span version = read_text(in);

    if (!read_all(in))
        return EPROTO;
    if (msize < NINEP_MSIZE_MIN)
        return EMSGSIZE;
    fid_remove_all(s);
    s->msize = 0;
    if (msize > s->msize_max)
        msize = s->msize_max;
    bool known =
        version.size == strlen(P9_VERSION) && memcmp(version.data, P9_VERSION, version.size) == 0;
    if (known)
        s->msize = msize;
    const char *answer = known ? P9_VERSION : "unknown";
    write_u32(out, msize);
    write_text(out, answer, strlen(answer));
    return 0;
}

int do_auth(struct ninep *s, struct reader *in, struct writer *out)
{
    (void)s, (void)in, (void)out;
    return EOPNOTSUPP; /* the connection says who it is */
}

int do_attach(struct ninep *s, struct reader *in, struct writer *out)
{
    uint32_t number = read_u32(in), auth = read_u32(in);
    read_text(in); /* the user's name */
    read_text(in); /* which tree: there is one */
    uint32_t user = read_u32(in);
    struct fid *f;

    if (!read_all(in))
        return EPROTO;
    if (auth != P9_NO_FID)
        return EOPNOTSUPP;
    int problem = fid_add(s, number, fd_copy(s->root), user, &f);
    if (problem == 0)
        write_qid(out, (struct qid){.type = f->qid_type, .path = f->qid_path});
    return problem;
}

/* Every message has been answered before the next is looked at. */
int do_flush(struct ninep *s, struct reader *in, struct writer *out)
{
    (void)s, (void)out;
    read_u16(in);
    return read_all(in) ? 0 : EPROTO;
}

/* One step from *fd, which becomes what is there. */
static int step(const struct ninep *s, int *fd, struct span span, struct qid *ret)
{
    char name[P9_NAME_MAX + 1];
    struct stat st;
    int next = -1, problem;

    if (span.size == 2 && memcmp(span.data, "..", 2) == 0) {
        problem = fstat(*fd, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
        if (problem == 0)
            problem = parent_directory(s, *fd, &next);
    } else {
        problem = name_take(span, name);
        if (problem == 0 && !name_visible(s, *fd, name))
            problem = ENOENT;
        if (problem == 0)
            next = lookup(*fd, name, 0);
        if (problem == 0)
            problem = fd_keep(s, &next);
    }
    if (problem == 0 && fstat(next, &st) != 0)
        problem = errno;
    if (problem != 0) {
        fd_close(&next);
        return problem;
    }
    fd_close(fd);
    *fd = next;
    *ret = qid_of(s, &st);
    return 0;
}

static int walk_answer(struct writer *out, const struct qid *qids, uint16_t n)
{
    write_u16(out, n);
    for (uint16_t i = 0; i < n; i++)
        write_qid(out, qids[i]);
    return 0;
}

/*
 * Without names: the same file again. As far as the names lead is an answer, too; a fid is made
 * only at the end of all of them. Open files may be cloned, but not left: Linux does so with a file
 * that has lost its name.
 */
int do_walk(struct ninep *s, struct reader *in, struct writer *out)
{
    uint32_t number = read_u32(in), target = read_u32(in);
    uint16_t n = read_u16(in), done = 0;
    struct span names[P9_WALK_MAX];
    struct qid qids[P9_WALK_MAX];
    struct fid *f = fid_find(s, number);
    int problem = 0;

    if (n > P9_WALK_MAX)
        return EINVAL;
    for (uint16_t i = 0; i < n; i++)
        names[i] = read_text(in);
    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    if (target == P9_NO_FID || (target != number && fid_find(s, target) != NULL))
        return EINVAL;
    if (f->io >= 0 && (n > 0 || target == number))
        return EBUSY;

    SF_CLEANUP(fd_close) int fd = fd_copy(f->fd);
    problem = fd_keep(s, &fd);
    while (problem == 0 && done < n) {
        problem = step(s, &fd, names[done], &qids[done]);
        done = (uint16_t)(done + (problem == 0));
    }
    if (done < n)
        return done == 0 ? problem : walk_answer(out, qids, done);
    if (problem != 0)
        return problem;

    int given = fd;
    fd = -1;
    problem = target == number ? fid_become(s, f, given) : fid_add(s, target, given, f->user, &f);
    return problem != 0 ? problem : walk_answer(out, qids, done);
}

int do_clunk(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));

    (void)out;
    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    fid_remove(s, f);
    return 0;
}

/* The fid is gone afterwards, whatever comes of it. */
int do_remove(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    char name[P9_NAME_MAX + 1];
    int parent = -1, problem;

    (void)out;
    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    problem = s->read_only ? EROFS : parent_of(s, f, &parent, name);
    if (problem == 0 && unlinkat(parent, name, S_ISDIR(f->type) ? AT_REMOVEDIR : 0) != 0)
        problem = errno;
    fd_close(&parent);
    fid_remove(s, f);
    return problem;
}
