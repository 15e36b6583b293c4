/* What a file is: attributes, the file system's figures, the text of a symbolic link. */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void write_time(struct writer *out, struct timespec t)
{
    write_u64(out, (uint64_t)t.tv_sec);
    write_u64(out, (uint64_t)t.tv_nsec);
}

/* As Linux's client takes it apart: minor and major number, 20 and 12 bits. */
static uint64_t device_number(dev_t device)
{
    uint32_t high = major(device), low = minor(device);

    return (low & 0xff) | high << 8 | (low & ~0xffu) << 12;
}

/* All that is basic, whatever was asked for; no time of birth, generation or version. */
int do_getattr(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct stat st;

    read_u64(in); /* what is wanted */
    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    if (fstat(f->fd, &st) != 0)
        return errno;
    write_u64(out, P9_GETATTR_BASIC);
    write_qid(out, qid_of(s, &st));
    write_u32(out, st.st_mode);
    write_u32(out, st.st_uid);
    write_u32(out, st.st_gid);
    write_u64(out, st.st_nlink);
    write_u64(out, device_number(st.st_rdev));
    write_u64(out, (uint64_t)st.st_size);
    write_u64(out, (uint64_t)st.st_blksize);
    write_u64(out, (uint64_t)st.st_blocks);
    write_time(out, st.st_atim);
    write_time(out, st.st_mtim);
    write_time(out, st.st_ctim);
    write_time(out, (struct timespec){0});
    write_u64(out, 0);
    write_u64(out, 0);
    return 0;
}

struct change {
    uint32_t valid, mode, user, group;
    uint64_t size;
    struct timespec times[2]; /* of the last access, of the last change */
};

/* False: nanoseconds that are none. The kernel gives two such numbers a meaning of its own. */
static bool read_time(struct reader *in, struct timespec *ret)
{
    uint64_t seconds = read_u64(in), nanoseconds = read_u64(in);

    *ret = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds};
    return nanoseconds < 1000000000;
}

static void choose_time(struct timespec *t, bool change, bool given)
{
    if (!change)
        t->tv_nsec = UTIME_OMIT;
    else if (!given)
        t->tv_nsec = UTIME_NOW;
}

static int set_owner(const struct fid *f, const struct change *c)
{
    uid_t user = c->valid & P9_SETATTR_UID ? c->user : (uid_t)-1;
    gid_t group = c->valid & P9_SETATTR_GID ? c->group : (gid_t)-1;

    return fchownat(f->fd, "", user, group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

/* An open file is cut through what it was opened with: the mode may have changed since. */
static int set_size(const struct fid *f, const struct change *c)
{
    if (!S_ISREG(f->type))
        return S_ISDIR(f->type) ? EISDIR : EINVAL;
    if (c->size > INT64_MAX)
        return EFBIG;
    if (f->io >= 0 && (f->flags & P9_O_ACCESS) != P9_O_RDONLY)
        return ftruncate(f->io, (off_t)c->size) == 0 ? 0 : errno;
    return truncate(fd_path(f->fd).text, (off_t)c->size) == 0 ? 0 : errno;
}

static int set_mode(const struct fid *f, const struct change *c)
{
    if (S_ISLNK(f->type))
        return EOPNOTSUPP;
    return chmod(fd_path(f->fd).text, c->mode & 07777) == 0 ? 0 : errno;
}

static int set_times(const struct fid *f, struct change *c)
{
    choose_time(&c->times[0], c->valid & P9_SETATTR_ATIME, c->valid & P9_SETATTR_ATIME_SET);
    choose_time(&c->times[1], c->valid & P9_SETATTR_MTIME, c->valid & P9_SETATTR_MTIME_SET);
    return utimensat(AT_FDCWD, fd_path(f->fd).text, c->times, 0) == 0 ? 0 : errno;
}

/* In this order, for a new owner takes set-id bits away, and a new size sets the time. */
static int set_all(const struct fid *f, struct change *c)
{
    int problem = 0;

    if (c->valid & (P9_SETATTR_UID | P9_SETATTR_GID))
        problem = set_owner(f, c);
    if (problem == 0 && (c->valid & P9_SETATTR_SIZE))
        problem = set_size(f, c);
    if (problem == 0 && (c->valid & P9_SETATTR_MODE))
        problem = set_mode(f, c);
    if (problem == 0 && (c->valid & (P9_SETATTR_ATIME | P9_SETATTR_MTIME)))
        problem = set_times(f, c);
    return problem;
}

int do_setattr(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct change c = {.valid = read_u32(in)};
    c.mode = read_u32(in);
    c.user = read_u32(in);
    c.group = read_u32(in);
    c.size = read_u64(in);
    bool access_good = read_time(in, &c.times[0]), change_good = read_time(in, &c.times[1]);

    (void)out;
    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    if (((c.valid & P9_SETATTR_ATIME_SET) && !access_good) ||
        ((c.valid & P9_SETATTR_MTIME_SET) && !change_good))
        return EINVAL;
    return set_all(f, &c);
}

int do_statfs(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct statfs fs;

    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    if (fstatfs(f->fd, &fs) != 0)
        return errno;
    write_u32(out, P9_STATFS_TYPE);
    write_u32(out, (uint32_t)fs.f_bsize);
    write_u64(out, fs.f_blocks);
    write_u64(out, fs.f_bfree);
    write_u64(out, fs.f_bavail);
    write_u64(out, fs.f_files);
    write_u64(out, fs.f_ffree);
    write_u64(out, 0); /* the file system's id is the host's business, and does not travel */
    write_u32(out, P9_NAME_MAX);
    return 0;
}

int do_readlink(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    char text[PATH_MAX];

    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    if (!S_ISLNK(f->type))
        return EINVAL;
    ssize_t size = readlinkat(f->fd, "", text, sizeof(text));
    if (size < 0)
        return errno;
    write_text(out, text, (size_t)size);
    return 0;
}

int do_xattr(struct ninep *s, struct reader *in, struct writer *out)
{
    (void)s, (void)in, (void)out;
    return EOPNOTSUPP;
}
