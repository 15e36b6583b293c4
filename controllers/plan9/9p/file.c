/* Opening, making, reading and writing. */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

static int host_flags(uint32_t flags)
{
    int host = (flags & P9_O_ACCESS) == P9_O_WRONLY ? O_WRONLY
               : (flags & P9_O_ACCESS) == P9_O_RDWR ? O_RDWR
                                                    : O_RDONLY;

    host |= flags & P9_O_TRUNC ? O_TRUNC : 0;
    host |= flags & P9_O_APPEND ? O_APPEND : 0;
    host |= flags & P9_O_DSYNC ? O_DSYNC : 0;
    host |= flags & P9_O_SYNC ? O_SYNC : 0;
    return host | (flags & P9_O_DIRECTORY ? O_DIRECTORY : 0);
}

static bool writes(uint32_t flags)
{
    return (flags & P9_O_ACCESS) != P9_O_RDONLY || (flags & P9_O_TRUNC) != 0;
}

int file_open(const struct ninep *s, const struct fid *f, uint32_t flags, int *ret)
{
    if ((flags & P9_O_ACCESS) == P9_O_ACCESS)
        return EINVAL;
    if (!S_ISREG(f->type) && !S_ISDIR(f->type))
        return S_ISLNK(f->type) ? ELOOP : EPERM;
    if (S_ISDIR(f->type) && writes(flags))
        return EISDIR;
    if (s->read_only && writes(flags))
        return EROFS;

    int host = host_flags(flags) | (S_ISDIR(f->type) ? O_DIRECTORY : 0);
    *ret = flags & P9_O_NOATIME ? reopen(f->fd, host | O_NOATIME) : -1;
    if (*ret < 0) /* only the owner may ask for that: a hint */
        *ret = reopen(f->fd, host);
    return fd_keep(s, ret);
}

static void answer_open(const struct fid *f, struct writer *out)
{
    write_qid(out, (struct qid){.type = f->qid_type, .path = f->qid_path});
    write_u32(out, 0); /* as much at once as fits into a message */
}

int do_lopen(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    uint32_t flags = read_u32(in);
    int fd;

    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    if (f->io >= 0)
        return EBUSY;
    int problem = file_open(s, f, flags, &fd);
    if (problem != 0)
        return problem;
    f->io = fd;
    f->flags = flags & P9_O_KEPT;
    answer_open(f, out);
    return 0;
}

/* A file system, or a daemon, that cannot give files away keeps them. */
static bool not_ours_to_give(int problem)
{
    return problem == EPERM || problem == EOPNOTSUPP || problem == ENOSYS;
}

int file_give(int fd, mode_t type, uint32_t user, uint32_t group, uint32_t mode)
{
    /* The mode comes last: a change of owner takes the set-id bits away. */
    if (fchownat(fd, "", user, group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 &&
        !not_ours_to_give(errno))
        return errno;
    if (!S_ISLNK(type) && chmod(fd_path(fd).text, mode & 07777) != 0 && !not_ours_to_give(errno))
        return errno;
    return 0;
}

struct create {
    char name[P9_NAME_MAX + 1];
    uint32_t flags, mode, group;
};

/* *@ret_fd is O_PATH, *@ret_io open. On failure both are -1. */
static int create_new(const struct ninep *s, const struct fid *f, const struct create *c,
                      int *ret_fd, int *ret_io)
{
    int host = host_flags(c->flags) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

    *ret_fd = -1;
    *ret_io = openat(f->fd, c->name, host, 0600);
    int problem = fd_keep(s, ret_io);
    if (problem == EEXIST)
        return problem;
    if (problem == 0)
        problem = file_give(*ret_io, S_IFREG, f->user, c->group, c->mode);
    if (problem == 0) {
        *ret_fd = reopen(*ret_io, O_PATH);
        problem = fd_keep(s, ret_fd);
    }
    if (problem != 0)
        fd_close(ret_io);
    return problem;
}

/* There is one by that name: what Tlopen would do. */
static int create_old(const struct ninep *s, const struct fid *f, const struct create *c,
                      int *ret_fd, int *ret_io)
{
    struct stat st;

    *ret_fd = lookup(f->fd, c->name, 0);
    int problem = fd_keep(s, ret_fd);
    if (problem == 0 && fstat(*ret_fd, &st) != 0)
        problem = errno;
    if (problem == 0) {
        const struct fid found = {.fd = *ret_fd, .type = st.st_mode & S_IFMT};
        problem = S_ISDIR(found.type) ? EISDIR : file_open(s, &found, c->flags, ret_io);
    }
    if (problem != 0)
        fd_close(ret_fd);
    return problem;
}

/* The fid of the directory becomes that of the file. */
int do_lcreate(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct span span = read_text(in);
    struct create c = {.flags = read_u32(in)};
    c.mode = read_u32(in);
    c.group = read_u32(in);
    int fd, io = -1;

    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    if (f->io >= 0)
        return EBUSY;
    if (!S_ISDIR(f->type))
        return ENOTDIR;
    int problem = (c.flags & P9_O_ACCESS) == P9_O_ACCESS || (c.flags & P9_O_DIRECTORY) != 0
                      ? EINVAL
                      : name_take(span, c.name);
    if (problem == 0 && !name_visible(s, f->fd, c.name))
        problem = EPERM;
    if (problem == 0)
        problem = create_new(s, f, &c, &fd, &io);
    if (problem == EEXIST && !(c.flags & P9_O_EXCL))
        problem = create_old(s, f, &c, &fd, &io);
    if (problem != 0)
        return problem;

    problem = fid_become(s, f, fd);
    if (problem != 0) {
        fd_close(&io);
        return problem;
    }
    f->io = io;
    f->flags = c.flags & P9_O_KEPT;
    answer_open(f, out);
    return 0;
}

int do_read(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    uint64_t offset = read_u64(in);
    uint32_t count = read_u32(in);

    if (!read_all(in))
        return EPROTO;
    if (f == NULL || f->io < 0)
        return EBADF;
    if (offset > INT64_MAX)
        return EINVAL;
    if (count > s->msize - P9_HEADER - P9_IO)
        count = s->msize - P9_HEADER - P9_IO;

    ssize_t n;
    do
        n = pread(f->io, out->data + out->at + P9_IO, count, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno;
    write_u32(out, (uint32_t)n);
    out->at += (size_t)n;
    return 0;
}

int do_write(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    uint64_t offset = read_u64(in);
    struct span bytes = read_bytes(in, read_u32(in));
    size_t done = 0;

    if (!read_all(in))
        return EPROTO;
    if (f == NULL || f->io < 0)
        return EBADF;
    if (offset > INT64_MAX - bytes.size)
        return EFBIG;
    while (done < bytes.size) {
        ssize_t n = pwrite(f->io, bytes.data + done, bytes.size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && done == 0)
            return errno;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    /* Nothing to write: say what is wrong with the descriptor, if anything. */
    if (bytes.size == 0 && pwrite(f->io, "", 0, (off_t)offset) < 0)
        return errno;
    write_u32(out, (uint32_t)done);
    return 0;
}

/* The last field is newer than the message. */
int do_fsync(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    bool data = in->at < in->size && read_u32(in) != 0;

    (void)out;
    if (!read_all(in))
        return EPROTO;
    if (f == NULL || f->io < 0)
        return EBADF;
    return (data ? fdatasync(f->io) : fsync(f->io)) == 0 ? 0 : errno;
}
