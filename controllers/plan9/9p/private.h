#ifndef NINEP_PRIVATE_H
#define NINEP_PRIVATE_H

/*
 * What the files of this folder know of each other. A function that works for a message gives 0 or
 * an errno, which is what the guest gets; one that works for the daemon gives an sf_error.
 */

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "plan9/9p/protocol.h"
#include "plan9/9p/server.h"
#include "plan9/9p/wire.h"

struct lock_file;

/* A file that the guest holds. */
struct fid {
    uint32_t number;
    int fd;         /* owned; O_PATH */
    int io;         /* owned; what Tlopen gave, -1: not open */
    uint32_t flags; /* of the open; P9_O_KEPT */
    uint32_t user;
    uint32_t qid_type; /* as it was told */
    uint64_t qid_path;
    mode_t type;              /* S_IFMT's part */
    struct lock_file *locked; /* borrowed; NULL: it holds no lock */
};

/* A file of this host and the number that the guest knows it by. */
struct known_qid {
    dev_t device;
    ino_t inode;
    uint64_t path;
};

#define LISTINGS 4

/* A part of a directory in the order of the cookies. */
struct listing {
    const struct fid *of; /* borrowed; NULL: none */
    uint64_t used;        /* the larger, the later */
    struct listed *entries;
    size_t n_entries;
    uint64_t from, to; /* the cookies that it knows what comes after: from <= cookie < to */
};

struct ninep {
    int root; /* owned */
    dev_t root_device;
    ino_t root_inode;
    bool read_only, restricted;
    char **names; /* owned; sorted */
    size_t n_names;
    ninep_send_fn send;
    void *context;
    int fd_limit; /* descriptors from here on are the rest of the daemon's */

    uint32_t msize_max, msize; /* msize 0: no version yet */
    bool over;                 /* the conversation has ended */
    uint8_t *in, *out;         /* owned; msize_max bytes each */
    size_t in_size;

    struct fid **fids; /* owned; sorted by number */
    size_t n_fids, fids_room;
    struct known_qid *known; /* owned; sorted by device, inode */
    size_t n_known;
    uint64_t *known_paths; /* owned; sorted */

    struct lock_file *lock_files; /* owned; a list */
    size_t n_locks;
    bool resting; /* none of the locks is held on the host */

    struct listing listings[LISTINGS];
    uint64_t listings_used;
};

struct qid {
    uint32_t type;
    uint64_t path;
};

/* ---- fid.c: what the guest holds ---- */

struct fid *fid_find(const struct ninep *s, uint32_t number); /* NULL: there is none */
/* A fid for a file; takes @fd, also if it fails. */
int fid_add(struct ninep *s, uint32_t number, int fd, uint32_t user, struct fid **ret);
/* The fid, which is not open, is another file's from now on; takes @fd, and leaves @f if it fails.
 */
int fid_become(struct ninep *s, struct fid *f, int fd);
void fid_remove(struct ninep *s, struct fid *f); /* gives up its locks, closes it */
void fid_remove_all(struct ninep *s);
struct qid qid_of(const struct ninep *s, const struct stat *st);
void write_qid(struct writer *out, struct qid qid);
/* From now on that file has this number. The first one counts. False: no memory. */
bool qid_learn(struct ninep *s, const struct stat *st, uint64_t path);
bool is_root(const struct ninep *s, const struct stat *st);

/* ---- path.c: names and descriptors ---- */

/* A name of one file in a directory, as a text. EINVAL, ENAMETOOLONG. */
int name_take(struct span name, char ret[P9_NAME_MAX + 1]);
/* The guest may see, or make, that name in that directory. */
bool name_visible(const struct ninep *s, int directory, const char *name);
/* A descriptor that may be kept: *fd, or an errno (also where *fd is -1, from errno). */
int fd_keep(const struct ninep *s, int *fd);
/* O_PATH of what is at @path beneath @directory; no symbolic link is followed. -1 with errno. */
int lookup(int directory, const char *path, int flags);
/* Opens again what @fd is. -1 with errno. */
int reopen(int fd, int flags);
int fd_copy(int fd);
/* "/proc/self/fd/7": for calls that take no O_PATH descriptor. */
struct fd_path {
    char text[32];
};
struct fd_path fd_path(int fd);
/* Where the file is beneath the root, "" for the root itself: the kernel's word, and unproven.
 * ENOENT: not beneath it. @ret then has the path on the host. */
int path_of(const struct ninep *s, int fd, char ret[PATH_MAX]);
/* The directory of a file, and its name there, which have been proven just now. */
int parent_of(const struct ninep *s, const struct fid *f, int *ret_parent,
              char ret_name[P9_NAME_MAX + 1]);
/* '..' of a directory; the root's is the root. */
int parent_directory(const struct ninep *s, int fd, int *ret);
bool same_file(const struct stat *a, const struct stat *b);

/* ---- What the messages ask: one function for each ---- */

typedef int message_fn(struct ninep *s, struct reader *in, struct writer *out);

/* session.c */
message_fn do_version, do_auth, do_attach, do_flush, do_walk, do_clunk, do_remove;
/* file.c */
message_fn do_lopen, do_lcreate, do_read, do_write, do_fsync;
/* attr.c */
message_fn do_getattr, do_setattr, do_statfs, do_readlink, do_xattr;
/* tree.c */
message_fn do_symlink, do_mknod, do_mkdir, do_link, do_rename, do_renameat, do_unlinkat;
/* list.c */
message_fn do_readdir;
/* lock.c */
message_fn do_lock, do_getlock;

/* ---- file.c ---- */

/* Opens a fid, as the guest or a state asks. Only regular files and directories. */
int file_open(const struct ninep *s, const struct fid *f, uint32_t flags, int *ret);
/* Owner and mode of what was just made for the guest. */
int file_give(int fd, mode_t type, uint32_t user, uint32_t group, uint32_t mode);

/* ---- list.c ---- */

uint64_t name_hash(const char *name, size_t size); /* 63 bits */
void listing_drop(struct ninep *s, const struct fid *f);

/* ---- lock.c ---- */

/* EAGAIN: somebody on the host is in the way. */
int lock_set(struct ninep *s, struct fid *f, enum p9_lock_type type, const struct ninep_lock *lock);
void lock_drop(struct ninep *s, struct fid *f); /* all of a fid's */
bool lock_export(const struct fid *f, struct ninep_fid *ret);
bool lock_valid(uint64_t start, uint64_t length);
/* Whether the host would let it be taken. EAGAIN: no. Takes nothing. */
int lock_probe(const struct ninep *s, const struct fid *f, const struct ninep_lock *lock);

static inline void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

#endif
