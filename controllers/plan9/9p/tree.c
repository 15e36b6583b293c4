/* Names: made, moved, taken away. */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* A name that the guest may have in a directory; @absent is for one that it may not see. */
static int take_name(const struct ninep *s, const struct fid *directory, struct span span,
                     int absent, char ret[P9_NAME_MAX + 1])
{
    if (directory == NULL)
        return EBADF;
    if (!S_ISDIR(directory->type))
        return ENOTDIR;
    int problem = name_take(span, ret);
    if (problem == 0 && !name_visible(s, directory->fd, ret))
        problem = absent;
    return problem;
}

/* Gives what was made to the guest's user, and tells what it is. */
static int settle(const struct ninep *s, const struct fid *directory, const char *name, mode_t type,
                  const uint32_t mode_group[2], struct writer *out)
{
    SF_CLEANUP(fd_close) int fd = lookup(directory->fd, name, 0);
    struct stat st;
    int problem = fd_keep(s, &fd);

    if (problem == 0 && fstat(fd, &st) != 0)
        problem = errno;
    if (problem == 0 && (st.st_mode & S_IFMT) != type)
        problem = ESTALE; /* somebody on the host was quicker */
    if (problem == 0)
        problem = file_give(fd, type, directory->user, mode_group[1], mode_group[0]);
    if (problem == 0)
        write_qid(out, qid_of(s, &st));
    return problem;
}

int do_symlink(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct span span = read_text(in), text = read_text(in);
    uint32_t group = read_u32(in);
    char name[P9_NAME_MAX + 1], target[PATH_MAX];

    if (!read_all(in))
        return EPROTO;
    int problem = take_name(s, f, span, EPERM, name);
    if (problem != 0)
        return problem;
    if (text.size >= sizeof(target))
        return ENAMETOOLONG;
    if (memchr(text.data, '\0', text.size) != NULL)
        return EINVAL;
    memcpy(target, text.data, text.size);
    target[text.size] = '\0';
    if (symlinkat(target, f->fd, name) != 0)
        return errno;
    return settle(s, f, name, S_IFLNK, (uint32_t[2]){0, group}, out);
}

/* FIFOs and sockets are the guest's among themselves; the host's devices are not the guest's. */
int do_mknod(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct span span = read_text(in);
    uint32_t mode = read_u32(in);
    read_u32(in), read_u32(in); /* the device's numbers */
    uint32_t group = read_u32(in);
    char name[P9_NAME_MAX + 1];
    mode_t type = mode & S_IFMT;

    if (!read_all(in))
        return EPROTO;
    int problem = take_name(s, f, span, EPERM, name);
    if (problem != 0)
        return problem;
    if (type == 0)
        type = S_IFREG;
    if (!S_ISREG(type) && !S_ISFIFO(type) && !S_ISSOCK(type))
        return EPERM;
    if (mknodat(f->fd, name, type | 0600, 0) != 0)
        return errno;
    return settle(s, f, name, type, (uint32_t[2]){mode, group}, out);
}

int do_mkdir(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct span span = read_text(in);
    uint32_t mode = read_u32(in), group = read_u32(in);
    char name[P9_NAME_MAX + 1];

    if (!read_all(in))
        return EPROTO;
    int problem = take_name(s, f, span, EPERM, name);
    if (problem != 0)
        return problem;
    if (mkdirat(f->fd, name, 0700) != 0)
        return errno;
    return settle(s, f, name, S_IFDIR, (uint32_t[2]){mode, group}, out);
}

int do_link(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *directory = fid_find(s, read_u32(in)), *f = fid_find(s, read_u32(in));
    struct span span = read_text(in);
    char name[P9_NAME_MAX + 1];

    (void)out;
    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    int problem = take_name(s, directory, span, EPERM, name);
    if (problem != 0)
        return problem;
    if (S_ISDIR(f->type))
        return EPERM;
    /* The kernel's own link leads to the very file, also if that is a symbolic link. */
    return linkat(AT_FDCWD, fd_path(f->fd).text, directory->fd, name, AT_SYMLINK_FOLLOW) == 0
               ? 0
               : errno;
}

static int move(int from, const char *old_name, int to, const char *new_name)
{
    return renameat(from, old_name, to, new_name) == 0 ? 0 : errno;
}

int do_rename(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in)), *directory = fid_find(s, read_u32(in));
    struct span span = read_text(in);
    char old_name[P9_NAME_MAX + 1], new_name[P9_NAME_MAX + 1];
    SF_CLEANUP(fd_close) int parent = -1;

    (void)out;
    if (!read_all(in))
        return EPROTO;
    if (f == NULL)
        return EBADF;
    int problem = take_name(s, directory, span, EPERM, new_name);
    if (problem == 0)
        problem = parent_of(s, f, &parent, old_name);
    return problem != 0 ? problem : move(parent, old_name, directory->fd, new_name);
}

int do_renameat(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *from = fid_find(s, read_u32(in));
    struct span old_span = read_text(in);
    struct fid *to = fid_find(s, read_u32(in));
    struct span new_span = read_text(in);
    char old_name[P9_NAME_MAX + 1], new_name[P9_NAME_MAX + 1];

    (void)out;
    if (!read_all(in))
        return EPROTO;
    int problem = take_name(s, from, old_span, ENOENT, old_name);
    if (problem == 0)
        problem = take_name(s, to, new_span, EPERM, new_name);
    return problem != 0 ? problem : move(from->fd, old_name, to->fd, new_name);
}

int do_unlinkat(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    struct span span = read_text(in);
    uint32_t flags = read_u32(in);
    char name[P9_NAME_MAX + 1];

    (void)out;
    if (!read_all(in))
        return EPROTO;
    if (flags & ~P9_AT_REMOVEDIR)
        return EINVAL;
    int problem = take_name(s, f, span, ENOENT, name);
    if (problem != 0)
        return problem;
    return unlinkat(f->fd, name, flags & P9_AT_REMOVEDIR ? AT_REMOVEDIR : 0) == 0 ? 0 : errno;
}
