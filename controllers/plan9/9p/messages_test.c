/* Every message as Linux's client sends it, and every refusal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/suite.h"
#include "plan9/9p/test_client.h"

static struct client *c;

static void begin(void)
{
    c = client_new(NULL);
    client_attach(c);
}

static void begin_read_only(void)
{
    c = client_new(&(struct ninep_options){.read_only = true});
    client_attach(c);
}

static void begin_restricted(void)
{
    static const char *const names[] = {"f", "d", "new"};

    c = client_new(
        &(struct ninep_options){.restricted = true, .allowed_names = names, .n_allowed_names = 3});
    client_attach(c);
}

static void end(void)
{
    client_free(c);
}

static struct stat stat_of(const char *name)
{
    struct stat st;

    ck_assert_int_eq(lstat(at(c, name), &st), 0);
    return st;
}

/* ---- Beginning and ending ---- */

START_TEST(a_version_is_agreed)
{
    ck_assert_int_eq(call(c, P9_TVERSION, "ds", 1u << 30, P9_VERSION), 0);
    ck_assert_uint_eq(read_u32(&c->reply), NINEP_MSIZE_DEFAULT);
    struct span version = read_text(&c->reply);
    ck_assert_uint_eq(version.size, 8);
    ck_assert_mem_eq(version.data, P9_VERSION, 8);
    ck_assert(read_all(&c->reply));

    ck_assert_int_eq(call(c, P9_TVERSION, "ds", 8192, P9_VERSION), 0);
    ck_assert_uint_eq(read_u32(&c->reply), 8192);
    ck_assert_int_eq(call(c, P9_TVERSION, "ds", NINEP_MSIZE_MIN - 1, P9_VERSION), EMSGSIZE);
}
END_TEST

START_TEST(another_version_is_unknown)
{
    ck_assert_int_eq(call(c, P9_TVERSION, "ds", 8192, "9P2000"), 0);
    read_u32(&c->reply);
    struct span version = read_text(&c->reply);
    ck_assert_mem_eq(version.data, "unknown", version.size);
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 0, P9_NO_FID, "", "", 0), EPROTO);
}
END_TEST

START_TEST(a_new_version_begins_anew)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDONLY), 0);
    ck_assert_uint_eq(ninep_fids(c->s), 2);
    ck_assert_uint_eq(ninep_open_files(c->s), 1);
    client_attach(c);
    ck_assert_uint_eq(ninep_fids(c->s), 1);
    ck_assert_uint_eq(ninep_open_files(c->s), 0);
}
END_TEST

START_TEST(attach_gives_the_root)
{
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 7, P9_NO_FID, "u", "", 1000), 0);
    struct qid qid = read_qid(&c->reply);
    ck_assert(read_all(&c->reply));
    ck_assert_uint_eq(qid.type, P9_QID_DIR);
    ck_assert_uint_eq(qid.path, stat_of("").st_ino);

    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 7, P9_NO_FID, "u", "", 0), EINVAL);
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", P9_NO_FID, P9_NO_FID, "u", "", 0), EINVAL);
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 8, 3, "u", "", 0), EOPNOTSUPP);
    ck_assert_int_eq(call(c, P9_TAUTH, "dssd", 8, "u", "", 0), EOPNOTSUPP);
}
END_TEST

START_TEST(flush_finds_nothing_to_flush)
{
    ck_assert_int_eq(call(c, P9_TFLUSH, "h", 3), 0);
    ck_assert(read_all(&c->reply));
}
END_TEST

START_TEST(walk_leads_along_names)
{
    ck_assert_int_eq(walk(c, 0, 1, "d/e/g"), 0);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const paths[] = {"d", "d/e", "d/e/g"};
        struct qid qid = read_qid(&c->reply);
        ck_assert_uint_eq(qid.path, stat_of(paths[i]).st_ino);
        ck_assert_uint_eq(qid.type, i < 2 ? P9_QID_DIR : P9_QID_FILE);
    }
    ck_assert(read_all(&c->reply));
    ck_assert_int_eq(walk(c, 1, 2, ""), 0); /* the same again */
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 2, P9_O_RDONLY), 0);
    ck_assert_uint_eq(ninep_fids(c->s), 3);
    ck_assert_int_eq(walk(c, 0, 3, "out"), 0); /* a symbolic link is a thing of its own */
    ck_assert_uint_eq(read_qid(&c->reply).type, P9_QID_SYMLINK);
}
END_TEST

START_TEST(walk_may_move_its_fid)
{
    ck_assert_int_eq(walk(c, 0, 1, "d"), 0);
    ck_assert_int_eq(walk(c, 1, 1, "e"), 0);
    ck_assert_int_eq(walk(c, 1, 1, "nothing"), ENOENT); /* and stays where it is */
    ck_assert_int_eq(walk(c, 1, 1, "g"), 0);
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 1, P9_O_RDONLY), 0);
    ck_assert_int_eq(walk(c, 1, 1, ""), EBUSY);
}
END_TEST

START_TEST(walk_answers_as_far_as_it_came)
{
    ck_assert_int_eq(call(c, P9_TWALK, "ddhsss", 0, 1, 3, "d", "e", "nothing"), 0);
    ck_assert_uint_eq(read_u16(&c->reply), 2);
    read_qid(&c->reply), read_qid(&c->reply);
    ck_assert(read_all(&c->reply));
    ck_assert_int_eq(clunk(c, 1), EBADF); /* no fid was made */
    ck_assert_int_eq(walk(c, 0, 1, "f/x"), ENOENT);
    ck_assert_int_eq(call(c, P9_TWALK, "ddhs", 0, 1, 1, "nothing"), ENOENT);
}
END_TEST

START_TEST(walk_is_refused)
{
    ck_assert_int_eq(walk(c, 9, 1, "f"), EBADF);
    ck_assert_int_eq(walk(c, 0, P9_NO_FID, "f"), EINVAL);
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(walk(c, 0, 1, "d"), EINVAL); /* in use */
    ck_assert_int_eq(walk(c, 1, 2, "x"), ENOTDIR);
    ck_assert_int_eq(walk(c, 1, 2, ".."), ENOTDIR);
    ck_assert_int_eq(call(c, P9_TWALK, "ddhs", 0, 2, 1, ""), EINVAL);
    ck_assert_int_eq(call(c, P9_TWALK, "ddhs", 0, 2, 1, "."), EINVAL);
    ck_assert_int_eq(call(c, P9_TWALK, "ddhs", 0, 2, 1, "d/e"), EINVAL);
    ck_assert_int_eq(call(c, P9_TWALK, "ddhhn", 0, 2, 1, 2, (size_t)2, "f\0"), EINVAL);
    char name[257] = "";
    memset(name, 'n', 256);
    ck_assert_int_eq(call(c, P9_TWALK, "ddhs", 0, 2, 1, name), ENAMETOOLONG);
    ck_assert_int_eq(walk(c, 0, 2, "d/../d/../d/../d/../d/../d/../d/../d/.."), 0); /* 16 */
    ck_assert_int_eq(walk(c, 0, 3, "d/../d/../d/../d/../d/../d/../d/../d/../d"), EINVAL);
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 1, P9_O_RDONLY), 0);
    ck_assert_int_eq(walk(c, 1, 4, ".."), EBUSY); /* open */
}
END_TEST

START_TEST(clunk_ends_a_fid)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(clunk(c, 1), 0);
    ck_assert(read_all(&c->reply));
    ck_assert_int_eq(clunk(c, 1), EBADF);
    ck_assert_int_eq(walk(c, 0, 1, "d"), 0); /* the number is free again */
}
END_TEST

START_TEST(remove_ends_file_and_fid)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 1), 0);
    ck_assert(!exists(c, "f"));
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 1), EBADF);
    ck_assert_int_eq(walk(c, 0, 1, "d"), 0);
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 1), ENOTEMPTY);
    ck_assert_int_eq(clunk(c, 1), EBADF);
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 0), EBUSY); /* the root */
    ck_assert(exists(c, "d/e/g"));
}
END_TEST

/* ---- Files ---- */

START_TEST(a_file_is_read)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDONLY), 0);
    ck_assert_uint_eq(read_qid(&c->reply).path, stat_of("f").st_ino);
    ck_assert_uint_eq(read_u32(&c->reply), 0);
    ck_assert(read_all(&c->reply));
    ck_assert_int_eq(read_at(c, 1, 0, 100), 0);
    ck_assert_str_eq(read_text_of(c), "hello");
    ck_assert_int_eq(read_at(c, 1, 1, 3), 0);
    ck_assert_str_eq(read_text_of(c), "ell");
    ck_assert_int_eq(read_at(c, 1, 5, 3), 0);
    ck_assert_str_eq(read_text_of(c), "");
    ck_assert_int_eq(read_at(c, 1, UINT64_MAX, 3), EINVAL);
    ck_assert_int_eq(write_at(c, 1, 0, "x"), EBADF);
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 1, P9_O_RDONLY), EBUSY);
}
END_TEST

START_TEST(a_read_ends_at_the_size_of_a_message)
{
    ck_assert_int_eq(truncate(at(c, "f"), 1 << 20), 0);
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDONLY), 0);
    ck_assert_int_eq(read_at(c, 1, 0, UINT32_MAX), 0);
    ck_assert_uint_eq(c->answer_size, NINEP_MSIZE_DEFAULT);
    ck_assert_uint_eq(read_u32(&c->reply), NINEP_MSIZE_DEFAULT - 11);
}
END_TEST

START_TEST(a_file_is_written)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(write_at(c, 1, 4, "-o!"), 0);
    ck_assert(has(c, "f", "hell-o!"));
    ck_assert_int_eq(write_at(c, 1, 0, ""), 0);
    ck_assert_int_eq(write_at(c, 1, UINT64_MAX, "x"), EFBIG);
    ck_assert_int_eq(call(c, P9_TFSYNC, "d", 1), 0);
    ck_assert_int_eq(call(c, P9_TFSYNC, "dd", 1, 1), 0);
    ck_assert_int_eq(open_at(c, 2, "f", P9_O_WRONLY | P9_O_TRUNC), 0);
    ck_assert(has(c, "f", ""));
    ck_assert_int_eq(read_at(c, 2, 0, 1), EBADF);
    ck_assert_int_eq(open_at(c, 3, "f", P9_O_WRONLY | P9_O_APPEND), 0);
    ck_assert_int_eq(write_at(c, 3, 0, "one"), 0);
    ck_assert_int_eq(write_at(c, 3, 0, "two"), 0);
    ck_assert(has(c, "f", "onetwo"));
}
END_TEST

START_TEST(opening_is_refused)
{
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 9, 0), EBADF);
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_ACCESS), EINVAL);
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_DIRECTORY), ENOTDIR);
    ck_assert_int_eq(open_at(c, 1, "d", P9_O_RDWR), EISDIR);
    ck_assert_int_eq(open_at(c, 1, "d", P9_O_TRUNC), EISDIR);
    ck_assert_int_eq(open_at(c, 1, "out", P9_O_RDONLY), ELOOP);
    ck_assert_int_eq(mkfifo(at(c, "fifo"), 0666), 0);
    ck_assert_int_eq(open_at(c, 1, "fifo", P9_O_RDONLY), EPERM);
    ck_assert_int_eq(open_at(c, 1, "fifo", P9_O_WRONLY), EPERM);
    if (mknod(at(c, "null"), S_IFCHR | 0666, makedev(1, 3)) == 0)
        ck_assert_int_eq(open_at(c, 1, "null", P9_O_RDWR), EPERM);

    ck_assert_int_eq(walk(c, 0, 1, "f"), 0); /* not open */
    ck_assert_int_eq(read_at(c, 1, 0, 1), EBADF);
    ck_assert_int_eq(write_at(c, 1, 0, "x"), EBADF);
    ck_assert_int_eq(call(c, P9_TFSYNC, "dd", 1, 0), EBADF);
    ck_assert_int_eq(call(c, P9_TREADDIR, "dqd", 1, (uint64_t)0, 4096), EBADF);
    ck_assert_int_eq(open_at(c, 2, "d", P9_O_RDONLY | P9_O_DIRECTORY), 0);
    ck_assert_int_eq(read_at(c, 2, 0, 1), EISDIR);
}
END_TEST

START_TEST(a_file_is_made)
{
    mode_t mask = umask(077); /* the daemon's is nothing to the guest */
    ck_assert_int_eq(make(c, 1, "new", P9_O_RDWR | P9_O_CREATE | P9_O_EXCL, 0100666), 0);
    umask(mask);
    ck_assert_uint_eq(read_qid(&c->reply).path, stat_of("new").st_ino);
    ck_assert_uint_eq(stat_of("new").st_mode, S_IFREG | 0666);
    ck_assert_int_eq(write_at(c, 1, 0, "made"), 0);
    ck_assert_int_eq(read_at(c, 1, 0, 10), 0);
    ck_assert_str_eq(read_text_of(c), "made");

    ck_assert_int_eq(make(c, 2, "new", P9_O_RDWR | P9_O_EXCL, 0644), EEXIST);
    ck_assert_int_eq(make(c, 2, "new", P9_O_RDONLY, 0600), 0); /* as it is */
    ck_assert_uint_eq(stat_of("new").st_mode, S_IFREG | 0666);
    ck_assert(has(c, "new", "made"));
    ck_assert_int_eq(make(c, 3, "new", P9_O_WRONLY | P9_O_TRUNC, 0600), 0);
    ck_assert(has(c, "new", ""));
    ck_assert_int_eq(make(c, 4, "read-only", P9_O_RDWR, 0444), 0);
    ck_assert_int_eq(write_at(c, 4, 0, "once"), 0);
}
END_TEST

START_TEST(making_is_refused)
{
    ck_assert_int_eq(make(c, 1, "d", P9_O_RDWR, 0644), EISDIR);
    ck_assert_int_eq(make(c, 1, "out", P9_O_RDWR, 0644), ELOOP); /* not what it points at */
    ck_assert_int_eq(make(c, 1, "a/b", P9_O_RDWR, 0644), EINVAL);
    ck_assert_int_eq(make(c, 1, "..", P9_O_RDWR, 0644), EINVAL);
    ck_assert_int_eq(make(c, 1, "", P9_O_RDWR, 0644), EINVAL);
    ck_assert_int_eq(make(c, 1, "x", P9_O_ACCESS, 0644), EINVAL);
    ck_assert_int_eq(mkfifo(at(c, "fifo"), 0666), 0);
    ck_assert_int_eq(make(c, 1, "fifo", P9_O_WRONLY, 0644), EPERM);
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(call(c, P9_TLCREATE, "dsddd", 1, "x", 0, 0644, 0), ENOTDIR);
    ck_assert_int_eq(open_at(c, 2, "d", 0), 0);
    ck_assert_int_eq(call(c, P9_TLCREATE, "dsddd", 2, "x", 0, 0644, 0), EBUSY);
    ck_assert_int_eq(call(c, P9_TLCREATE, "dsddd", 9, "x", 0, 0644, 0), EBADF);
}
END_TEST

START_TEST(what_is_made_is_the_attached_users)
{
    if (geteuid() != 0)
        return; /* only root gives files away */
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 1, P9_NO_FID, "u", "", 1234), 0);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 1, "dir", 042755, 55), 0);
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dssd", 1, "link", "to", 55), 0);
    ck_assert_int_eq(call(c, P9_TMKNOD, "dsdddd", 1, "node", S_IFSOCK | 0600, 0, 0, 55), 0);
    ck_assert_int_eq(call(c, P9_TLCREATE, "dsddd", 1, "file", P9_O_RDWR, 0104755, 55), 0);
    static const char *const names[] = {"dir", "link", "node", "file"};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(stat_of(names[i]).st_uid, 1234);
        ck_assert_uint_eq(stat_of(names[i]).st_gid, 55);
    }
    ck_assert_uint_eq(stat_of("dir").st_mode, S_IFDIR | 02755);
    ck_assert_uint_eq(stat_of("node").st_mode, S_IFSOCK | 0600);
    ck_assert_uint_eq(stat_of("file").st_mode, S_IFREG | 04755);
}
END_TEST

/* ---- Attributes ---- */

START_TEST(getattr_tells_what_is)
{
    struct stat st = stat_of("f");

    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(call(c, P9_TGETATTR, "dq", 1, UINT64_MAX), 0);
    ck_assert_uint_eq(read_u64(&c->reply), P9_GETATTR_BASIC);
    ck_assert_uint_eq(read_qid(&c->reply).path, st.st_ino);
    ck_assert_uint_eq(read_u32(&c->reply), st.st_mode);
    ck_assert_uint_eq(read_u32(&c->reply), st.st_uid);
    ck_assert_uint_eq(read_u32(&c->reply), st.st_gid);
    ck_assert_uint_eq(read_u64(&c->reply), st.st_nlink);
    ck_assert_uint_eq(read_u64(&c->reply), 0);
    ck_assert_uint_eq(read_u64(&c->reply), 5);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_blksize);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_blocks);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_atim.tv_sec);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_atim.tv_nsec);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_mtim.tv_sec);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_mtim.tv_nsec);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_ctim.tv_sec);
    ck_assert_uint_eq(read_u64(&c->reply), (uint64_t)st.st_ctim.tv_nsec);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(read_u64(&c->reply), 0);
    ck_assert(read_all(&c->reply));
    ck_assert_int_eq(call(c, P9_TGETATTR, "dq", 9, UINT64_MAX), EBADF);
}
END_TEST

static int setattr(uint32_t fid, uint32_t valid, uint32_t mode, uint64_t size, uint64_t seconds,
                   uint64_t nanoseconds)
{
    return call(c, P9_TSETATTR,
                "ddddd"
                "qqqqq",
                fid, valid, mode, 77u, 88u, size, seconds, nanoseconds, seconds, nanoseconds);
}

START_TEST(setattr_changes_what_is_valid)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(setattr(1, P9_SETATTR_MODE, 0100640, 3, 1, 1), 0);
    ck_assert_uint_eq(stat_of("f").st_mode, S_IFREG | 0640);
    ck_assert_int_eq(stat_of("f").st_size, 5);
    ck_assert_int_eq(setattr(1, P9_SETATTR_SIZE, 0, 3, 1, 1), 0);
    ck_assert(has(c, "f", "hel"));
    ck_assert_int_eq(
        setattr(1,
                P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET | P9_SETATTR_ATIME | P9_SETATTR_ATIME_SET,
                0, 0, 1000, 5),
        0);
    ck_assert_int_eq(stat_of("f").st_mtim.tv_sec, 1000);
    ck_assert_int_eq(stat_of("f").st_mtim.tv_nsec, 5);
    ck_assert_int_eq(stat_of("f").st_atim.tv_sec, 1000);
    ck_assert_int_eq(setattr(1, P9_SETATTR_MTIME, 0, 0, 1, 1), 0); /* now */
    ck_assert_int_gt(stat_of("f").st_mtim.tv_sec, 100000);
    ck_assert_int_eq(stat_of("f").st_atim.tv_sec, 1000);
    ck_assert_uint_eq(stat_of("f").st_mode, S_IFREG | 0640);
    ck_assert_int_eq(setattr(1, P9_SETATTR_CTIME, 0, 0, 0, 0), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(
            setattr(1, P9_SETATTR_UID | P9_SETATTR_GID | P9_SETATTR_MODE, 06755, 0, 0, 0), 0);
        ck_assert_uint_eq(stat_of("f").st_uid, 77);
        ck_assert_uint_eq(stat_of("f").st_gid, 88);
        ck_assert_uint_eq(stat_of("f").st_mode, S_IFREG | 06755);
    }
}
END_TEST

START_TEST(setattr_on_a_link_is_on_the_link)
{
    struct stat before = stat_of("..");

    ck_assert_int_eq(walk(c, 0, 1, "out"), 0);
    ck_assert_int_eq(setattr(1, P9_SETATTR_MODE, 0, 0, 0, 0), EOPNOTSUPP);
    ck_assert_int_eq(setattr(1, P9_SETATTR_SIZE, 0, 0, 0, 0), EINVAL);
    ck_assert_int_eq(setattr(1, P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET, 0, 0, 1000, 0), 0);
    ck_assert_int_eq(stat_of("out").st_mtim.tv_sec, 1000);
    if (geteuid() == 0) {
        ck_assert_int_eq(setattr(1, P9_SETATTR_UID, 0, 0, 0, 0), 0);
        ck_assert_uint_eq(stat_of("out").st_uid, 77);
    }
    struct stat after = stat_of("..");
    ck_assert_uint_eq(before.st_uid, after.st_uid);
    ck_assert_int_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    ck_assert_uint_eq(before.st_mode, after.st_mode);
}
END_TEST

START_TEST(setattr_is_refused)
{
    ck_assert_int_eq(setattr(9, P9_SETATTR_MODE, 0, 0, 0, 0), EBADF);
    ck_assert_int_eq(walk(c, 0, 1, "d"), 0);
    ck_assert_int_eq(setattr(1, P9_SETATTR_SIZE, 0, 0, 0, 0), EISDIR);
    ck_assert_int_eq(walk(c, 0, 2, "f"), 0);
    ck_assert_int_eq(setattr(2, P9_SETATTR_SIZE, 0, UINT64_MAX, 0, 0), EFBIG);
    for (uint64_t bad = 1000000000; bad <= UTIME_OMIT; bad += UTIME_OMIT - 1000000000)
        ck_assert_int_eq(setattr(2, P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET, 0, 0, 1, bad), EINVAL);
    ck_assert_int_eq(mkfifo(at(c, "fifo"), 0666), 0);
    ck_assert_int_eq(walk(c, 0, 3, "fifo"), 0);
    ck_assert_int_eq(setattr(3, P9_SETATTR_SIZE, 0, 0, 0, 0), EINVAL);
}
END_TEST

START_TEST(an_open_file_is_cut_though_its_mode_forbids_it)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(setattr(1, P9_SETATTR_MODE, 0, 0, 0, 0), 0);
    ck_assert_int_eq(setattr(1, P9_SETATTR_SIZE, 0, 2, 0, 0), 0);
    ck_assert_int_eq(stat_of("f").st_size, 2);
}
END_TEST

START_TEST(statfs_tells_of_the_file_system)
{
    ck_assert_int_eq(call(c, P9_TSTATFS, "d", 0), 0);
    ck_assert_uint_eq(read_u32(&c->reply), P9_STATFS_TYPE);
    ck_assert_uint_gt(read_u32(&c->reply), 0);
    ck_assert_uint_gt(read_u64(&c->reply), 0);
    for (unsigned i = 0; i < 5; i++)
        read_u64(&c->reply);
    ck_assert_uint_eq(read_u32(&c->reply), 255);
    ck_assert(read_all(&c->reply));
    ck_assert_int_eq(call(c, P9_TSTATFS, "d", 9), EBADF);
}
END_TEST

START_TEST(a_link_is_made_and_read)
{
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dssd", 0, "l", "/etc/../x", 0), 0);
    ck_assert_uint_eq(read_qid(&c->reply).type, P9_QID_SYMLINK);
    ck_assert_int_eq(walk(c, 0, 1, "l"), 0);
    ck_assert_int_eq(call(c, P9_TREADLINK, "d", 1), 0);
    struct span text = read_text(&c->reply);
    ck_assert_uint_eq(text.size, 9);
    ck_assert_mem_eq(text.data, "/etc/../x", 9);
    ck_assert_int_eq(call(c, P9_TREADLINK, "d", 0), EINVAL);
    ck_assert_int_eq(call(c, P9_TREADLINK, "d", 9), EBADF);
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dssd", 0, "l", "x", 0), EEXIST);
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dssd", 0, "..", "x", 0), EINVAL);
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dshnd", 0, "z", 2, (size_t)2, "x\0", 0), EINVAL);
    char longest[PATH_MAX + 1] = "";
    memset(longest, 'x', PATH_MAX);
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dssd", 0, "z", longest, 0), ENAMETOOLONG);
}
END_TEST

START_TEST(extended_attributes_are_not_there)
{
    ck_assert_int_eq(call(c, P9_TXATTRWALK, "dds", 0, 1, "user.x"), EOPNOTSUPP);
    ck_assert_int_eq(call(c, P9_TXATTRCREATE, "dsqd", 0, "user.x", (uint64_t)1, 0), EOPNOTSUPP);
    ck_assert_uint_eq(ninep_fids(c->s), 1);
}
END_TEST

/* ---- Names ---- */

START_TEST(directories_are_made_and_unmade)
{
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 0, "n", 0750, 0), 0);
    ck_assert_uint_eq(read_qid(&c->reply).type, P9_QID_DIR);
    ck_assert_uint_eq(stat_of("n").st_mode, S_IFDIR | 0750);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 0, "n", 0750, 0), EEXIST);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 9, "n", 0750, 0), EBADF);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 0, ".", 0750, 0), EINVAL);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "n", 0), EISDIR);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "n", 1), EINVAL);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "n", P9_AT_REMOVEDIR), 0);
    ck_assert(!exists(c, "n"));
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "f", P9_AT_REMOVEDIR), ENOTDIR);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "..", P9_AT_REMOVEDIR), EINVAL);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "f", 0), 0);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "f", 0), ENOENT);
}
END_TEST

START_TEST(nodes_are_made_but_no_devices)
{
    ck_assert_int_eq(call(c, P9_TMKNOD, "dsdddd", 0, "fifo", S_IFIFO | 0622, 0, 0, 0), 0);
    ck_assert_uint_eq(read_qid(&c->reply).type, P9_QID_FILE);
    ck_assert_uint_eq(stat_of("fifo").st_mode, S_IFIFO | 0622);
    ck_assert_int_eq(call(c, P9_TMKNOD, "dsdddd", 0, "file", S_IFREG | 0644, 0, 0, 0), 0);
    ck_assert_uint_eq(stat_of("file").st_mode, S_IFREG | 0644);
    static const uint32_t types[] = {S_IFCHR, S_IFBLK, S_IFDIR, S_IFLNK, 0170000, 0030000};
    for (unsigned i = 0; i < 6; i++)
        ck_assert_int_eq(call(c, P9_TMKNOD, "dsdddd", 0, "no", types[i] | 0644, 1, 3, 0), EPERM);
    ck_assert_int_eq(call(c, P9_TMKNOD, "dsdddd", 0, "no/no", S_IFREG, 0, 0, 0), EINVAL);
    ck_assert(!exists(c, "no"));
}
END_TEST

START_TEST(hard_links_are_to_the_very_file)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(walk(c, 0, 2, "d"), 0);
    ck_assert_int_eq(walk(c, 0, 3, "out"), 0);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 2, 1, "h"), 0);
    ck_assert_uint_eq(stat_of("d/h").st_ino, stat_of("f").st_ino);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 2, 3, "o"), 0);
    ck_assert_uint_eq(stat_of("d/o").st_ino, stat_of("out").st_ino); /* not what it points at */
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 2, 1, "h"), EEXIST);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 0, 2, "x"), EPERM); /* a directory */
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 1, 1, "x"), ENOTDIR);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 0, 9, "x"), EBADF);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 9, 1, "x"), EBADF);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 0, 1, ".."), EINVAL);
}
END_TEST

START_TEST(names_are_moved)
{
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 0, "f2"), 0);
    ck_assert(has(c, "f2", "hello"));
    ck_assert_int_eq(walk(c, 0, 1, "f2"), 0);
    ck_assert_int_eq(walk(c, 0, 2, "d/e"), 0);
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 1, 2, "f3"), 0);
    ck_assert(has(c, "d/e/f3", "hello"));
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 1, 0, "f"), 0); /* it knows where it is */
    ck_assert(has(c, "f", "hello"));
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "d", 2, "x"), EINVAL); /* into itself */
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "no", 0, "x"), ENOENT);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "..", 0, "x"), EINVAL);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 0, "../x"), EINVAL);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 1, "x"), ENOTDIR);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 9, "f", 0, "x"), EBADF);
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 0, 2, "x"), EBUSY); /* the root */
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 9, 2, "x"), EBADF);
    ck_assert_int_eq(unlink(at(c, "f")), 0);
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 1, 2, "x"), ENOENT);
}
END_TEST

/* ---- A share that is read-only ---- */

START_TEST(nothing_is_changed_that_is_read_only)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(setattr(1, P9_SETATTR_MODE, 0, 0, 0, 0), EROFS);
    static const uint32_t flags[] = {P9_O_WRONLY, P9_O_RDWR, P9_O_TRUNC, P9_O_RDWR | P9_O_APPEND};
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 1, flags[i]), EROFS);
    ck_assert_int_eq(make(c, 2, "new", P9_O_RDWR, 0644), EROFS);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 0, "n", 0755, 0), EROFS);
    ck_assert_int_eq(call(c, P9_TMKNOD, "dsdddd", 0, "n", S_IFREG, 0, 0, 0), EROFS);
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dssd", 0, "n", "x", 0), EROFS);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 0, 1, "n"), EROFS);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 0, "n"), EROFS);
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 1, 0, "n"), EROFS);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "f", 0), EROFS);
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 1, P9_O_RDONLY), 0);
    ck_assert_int_eq(write_at(c, 1, 0, "x"), EROFS);
    ck_assert_int_eq(read_at(c, 1, 0, 9), 0);
    ck_assert_str_eq(read_text_of(c), "hello");
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 1), EROFS);
    ck_assert_int_eq(clunk(c, 1), EBADF);
    ck_assert(has(c, "f", "hello"));
    ck_assert(!exists(c, "n"));
}
END_TEST

/* ---- A share of some names ---- */

START_TEST(only_its_names_are_there)
{
    put(c, "hidden", "x");
    ck_assert_int_eq(walk(c, 0, 1, "hidden"), ENOENT);
    ck_assert_int_eq(walk(c, 0, 1, "d/../hidden"), ENOENT);
    ck_assert_int_eq(walk(c, 0, 1, "d/e/g"), 0); /* beneath a name, everything */
    ck_assert_int_eq(clunk(c, 1), 0);
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(walk(c, 0, 2, "d"), 0);
    ck_assert_int_eq(walk(c, 2, 3, ".."), 0);
    ck_assert_int_eq(walk(c, 3, 4, "hidden"), ENOENT);
    ck_assert_int_eq(make(c, 4, "other", P9_O_RDWR, 0644), EPERM);
    ck_assert_int_eq(make(c, 4, "hidden", P9_O_RDWR, 0644), EPERM);
    ck_assert_int_eq(make(c, 4, "new", P9_O_RDWR, 0644), 0);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 0, "n", 0755, 0), EPERM);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 2, "n", 0755, 0), 0);
    ck_assert_int_eq(call(c, P9_TMKNOD, "dsdddd", 0, "n", S_IFREG, 0, 0, 0), EPERM);
    ck_assert_int_eq(call(c, P9_TSYMLINK, "dssd", 0, "n", "x", 0), EPERM);
    ck_assert_int_eq(call(c, P9_TLINK, "dds", 0, 1, "n"), EPERM);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 0, "n"), EPERM);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "hidden", 2, "h"), ENOENT);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 0, "hidden"), EPERM);
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 1, 0, "hidden"), EPERM);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "hidden", 0), ENOENT);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 2, "f"), 0);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 2, "f", 0, "f"), 0);
    ck_assert(has(c, "hidden", "x"));
}
END_TEST

/* ---- Descriptors ---- */

START_TEST(the_fids_have_a_bound)
{
    int problem = 0;
    uint32_t n = 1;

    for (; problem == 0 && n <= NINEP_FIDS_MAX; n++)
        problem = walk(c, 0, n, "");
    ck_assert_int_eq(problem, ENFILE); /* of the table, or of the daemon's descriptors */
    ck_assert_int_eq(walk(c, 0, 1u << 20, ""), ENFILE);
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the daemon has some left */
    ck_assert_int_ge(spare, 0);
    close(spare);
    ck_assert_int_eq(clunk(c, 1), 0);
    ck_assert_int_eq(walk(c, 0, 1, ""), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ninep messages");
    TCase *plain = tcase_create("messages"), *ro = tcase_create("read-only"),
          *names = tcase_create("restricted");

    tcase_add_checked_fixture(plain, begin, end);
    tcase_add_checked_fixture(ro, begin_read_only, end);
    tcase_add_checked_fixture(names, begin_restricted, end);
    tcase_set_timeout(plain, 60);
    tcase_add_test(plain, a_version_is_agreed);
    tcase_add_test(plain, another_version_is_unknown);
    tcase_add_test(plain, a_new_version_begins_anew);
    tcase_add_test(plain, attach_gives_the_root);
    tcase_add_test(plain, flush_finds_nothing_to_flush);
    tcase_add_test(plain, walk_leads_along_names);
    tcase_add_test(plain, walk_may_move_its_fid);
    tcase_add_test(plain, walk_answers_as_far_as_it_came);
    tcase_add_test(plain, walk_is_refused);
    tcase_add_test(plain, clunk_ends_a_fid);
    tcase_add_test(plain, remove_ends_file_and_fid);
    tcase_add_test(plain, a_file_is_read);
    tcase_add_test(plain, a_read_ends_at_the_size_of_a_message);
    tcase_add_test(plain, a_file_is_written);
    tcase_add_test(plain, opening_is_refused);
    tcase_add_test(plain, a_file_is_made);
    tcase_add_test(plain, making_is_refused);
    tcase_add_test(plain, what_is_made_is_the_attached_users);
    tcase_add_test(plain, getattr_tells_what_is);
    tcase_add_test(plain, setattr_changes_what_is_valid);
    tcase_add_test(plain, setattr_on_a_link_is_on_the_link);
    tcase_add_test(plain, setattr_is_refused);
    tcase_add_test(plain, an_open_file_is_cut_though_its_mode_forbids_it);
    tcase_add_test(plain, statfs_tells_of_the_file_system);
    tcase_add_test(plain, a_link_is_made_and_read);
    tcase_add_test(plain, extended_attributes_are_not_there);
    tcase_add_test(plain, directories_are_made_and_unmade);
    tcase_add_test(plain, nodes_are_made_but_no_devices);
    tcase_add_test(plain, hard_links_are_to_the_very_file);
    tcase_add_test(plain, names_are_moved);
    tcase_add_test(plain, the_fids_have_a_bound);
    tcase_add_test(ro, nothing_is_changed_that_is_read_only);
    tcase_add_test(names, only_its_names_are_there);
    suite_add_tcase(s, plain);
    suite_add_tcase(s, ro);
    suite_add_tcase(s, names);
    return s;
}

int main(void)
{
    return sf_suite_run(suite());
}
