/* What the guest holds: given away, looked at, taken up elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/suite.h"
#include "plan9/9p/test_client.h"

static struct client *c, *there; /* the source; another host, whose files have other numbers */

static void begin(void)
{
    there = client_new(NULL);
    put(there, "f-first", ""), put(there, "f-second", "");
    c = client_new(NULL);
    client_attach(c);
}

static void end(void)
{
    client_free(c);
    client_free(there);
}

static struct ninep_state export_of(struct client *from)
{
    struct ninep_state state = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert_msg(ninep_export(from->s, &state, &err), "%s", SF_WHY(err));
    return state;
}

static void check_same(const struct ninep_state *a, const struct ninep_state *b)
{
    ck_assert_uint_eq(a->msize, b->msize);
    ck_assert_uint_eq(a->partial.size, b->partial.size);
    if (a->partial.size > 0)
        ck_assert_mem_eq(a->partial.data, b->partial.data, a->partial.size);
    ck_assert_uint_eq(a->n_fids, b->n_fids);
    for (size_t i = 0; i < a->n_fids; i++) {
        const struct ninep_fid *x = &a->fids[i], *y = &b->fids[i];
        ck_assert_uint_eq(x->fid, y->fid);
        ck_assert_str_eq(x->path, y->path);
        ck_assert_uint_eq(x->flags, y->flags);
        ck_assert(x->open == y->open);
        ck_assert_uint_eq(x->qid_type, y->qid_type);
        ck_assert_uint_eq(x->qid_path, y->qid_path);
        ck_assert_uint_eq(x->user, y->user);
        ck_assert_uint_eq(x->n_locks, y->n_locks);
        for (size_t k = 0; k < x->n_locks; k++) {
            ck_assert(x->locks[k].exclusive == y->locks[k].exclusive);
            ck_assert_uint_eq(x->locks[k].start, y->locks[k].start);
            ck_assert_uint_eq(x->locks[k].length, y->locks[k].length);
            ck_assert_uint_eq(x->locks[k].process, y->locks[k].process);
            ck_assert_str_eq(x->locks[k].client, y->locks[k].client);
        }
    }
}

/* All reasons, one in a line. */
static const char *text_of(struct sf_reasons *why)
{
    static char text[8192];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sf_reasons_kept(why); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\n",
                                 sf_reasons_get(why, i)->text);
    return text;
}

static const char *check_of(struct client *from)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    ninep_check(from->s, "share '3'", true, why);
    return text_of(why);
}

static const char *admit_of(const struct ninep_state *state, struct client *to,
                            const struct ninep_options *options)
{
    static const struct ninep_options plain;
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    ninep_admit(state, to->root_fd, options != NULL ? options : &plain, "share '3'", why);
    return text_of(why);
}

static enum sf_code restore_to(const struct ninep_state *state, struct client *to)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    return ninep_restore(to->s, state, &err) ? SF_OK : sf_error_code(err);
}

static void lock_some(struct client *from, uint32_t fid, unsigned type, uint64_t start,
                      uint64_t length, uint32_t process)
{
    ck_assert_int_eq(
        call(from, P9_TLOCK, "dbdqqds", fid, type, 0, start, length, process, "guest-1"), 0);
    ck_assert_uint_eq(read_u8(&from->reply), P9_LOCK_SUCCESS);
}

/* Everything that there is to hold. */
static void hold_much(void)
{
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 10, P9_NO_FID, "u", "", 1000), 0);
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR | P9_O_APPEND | P9_O_TRUNC), 0);
    ck_assert_int_eq(open_at(c, 2, "d", P9_O_RDONLY | P9_O_DIRECTORY), 0);
    ck_assert_int_eq(open_at(c, 3, "d/e/g", P9_O_RDONLY), 0);
    ck_assert_int_eq(walk(c, 10, 4, "d/e"), 0);
    ck_assert_int_eq(walk(c, 0, 5, "out"), 0);
    ck_assert_int_eq(make(c, 6, "new", P9_O_WRONLY | P9_O_EXCL | P9_O_CREATE, 0644), 0);
    put(there, "new", "");
    lock_some(c, 1, P9_LOCK_EXCLUSIVE, 5, 5, 100);
    lock_some(c, 1, P9_LOCK_SHARED, 0, 5, 100);
    lock_some(c, 1, P9_LOCK_SHARED, 0, 1, 99);
    lock_some(c, 3, P9_LOCK_SHARED, 1, 0, 100);
}

START_TEST(a_state_comes_back_the_same)
{
    struct ninep_state first, second;
    uint8_t bytes[200];

    hold_much();
    size_t size = message(bytes, sizeof(bytes), P9_TREAD, 77, "dqd", 3, (uint64_t)0, 4);
    ck_assert(client_input(c, bytes, 9)); /* stands still in the midst of it */

    first = export_of(c);
    ck_assert_uint_eq(first.n_fids, 8);
    ck_assert_uint_eq(first.partial.size, 9);
    ck_assert_uint_eq(first.fids[1].flags, P9_O_RDWR | P9_O_APPEND);
    ck_assert_str_eq(first.fids[3].path, "d/e/g");
    ck_assert_str_eq(first.fids[0].path, "");
    ck_assert_uint_eq(first.fids[4].user, 1000);
    ck_assert_uint_eq(first.fids[6].flags, P9_O_WRONLY);
    ck_assert_uint_eq(first.fids[1].n_locks, 3);
    ck_assert_str_eq(admit_of(&first, there, NULL), "");
    ck_assert_int_eq(restore_to(&first, there), SF_OK);
    ck_assert_uint_eq(ninep_open_files(there->s), 4);
    second = export_of(there);
    check_same(&first, &second);

    /* And goes on where it was. */
    ck_assert(client_input(there, bytes + 9, size - 9));
    ck_assert_uint_eq(there->answers, 1);
    ck_assert_uint_eq(there->answer_size, P9_HEADER + 4 + 4);
    ck_assert_mem_eq(there->answer + 11, "deep", 4);
    ck_assert_int_eq(write_at(there, 1, 0, "more"), 0);
    ck_assert(has(there, "f", "hellomore")); /* nothing was emptied here */
    ninep_state_done(&first);
    ninep_state_done(&second);
}
END_TEST

START_TEST(every_cut_of_a_message_travels)
{
    uint8_t bytes[64];
    size_t size = message(bytes, sizeof(bytes), P9_TGETATTR, 5, "dq", 0, UINT64_MAX);

    for (size_t cut = 0; cut < size; cut++) {
        client_serve(there, NULL);
        client_serve(c, NULL);
        client_attach(c);
        ck_assert(client_input(c, bytes, cut));
        struct ninep_state state = export_of(c);
        ck_assert_str_eq(admit_of(&state, there, NULL), "");
        ck_assert_int_eq(restore_to(&state, there), SF_OK);
        ninep_state_done(&state);
        unsigned before = there->answers;
        ck_assert(client_input(there, bytes + cut, size - cut));
        ck_assert_uint_eq(there->answers, before + 1);
        ck_assert_uint_eq(there->answer[4], P9_TGETATTR + 1);
    }
}
END_TEST

START_TEST(nothing_travels_before_a_version)
{
    client_serve(c, NULL);
    struct ninep_state state = export_of(c);
    ck_assert_uint_eq(state.msize, 0);
    ck_assert_int_eq(restore_to(&state, there), SF_OK);
    client_attach(there);
    ck_assert_int_eq(restore_to(&state, there), SF_FAILED_PRECONDITION);
    ninep_state_done(&state);
}
END_TEST

/* The number of a file is what the guest knows, whatever it is on this host. */
START_TEST(numbers_of_files_stay)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    uint64_t told = read_qid(&c->reply).path;
    struct ninep_state state = export_of(c);
    struct stat st;

    ck_assert_int_eq(lstat(at(there, "f"), &st), 0);
    ck_assert_uint_ne(told, st.st_ino);
    ck_assert_int_eq(restore_to(&state, there), SF_OK);
    ninep_state_done(&state);
    ck_assert_int_eq(walk(there, 0, 2, "f"), 0);
    ck_assert_uint_eq(read_qid(&there->reply).path, told);
    ck_assert_int_eq(walk(there, 0, 3, "d"), 0);
    uint64_t other = read_qid(&there->reply).path;
    ck_assert_int_eq(lstat(at(there, "d"), &st), 0);
    ck_assert_uint_eq(other, st.st_ino);

    /* One that has just that number here gets another. */
    state = (struct ninep_state){.msize = NINEP_MSIZE_DEFAULT, .n_fids = 1};
    struct ninep_fid fid = {.fid = 1, .path = (char[]){"f"}, .qid_path = st.st_ino};
    state.fids = &fid;
    client_serve(there, NULL);
    ck_assert_int_eq(restore_to(&state, there), SF_OK);
    ck_assert_int_eq(call(there, P9_TATTACH, "ddssd", 0, P9_NO_FID, "", "", 0), 0);
    ck_assert_int_eq(walk(there, 0, 2, "f"), 0);
    ck_assert_uint_eq(read_qid(&there->reply).path, st.st_ino);
    ck_assert_int_eq(walk(there, 0, 3, "d"), 0);
    ck_assert_uint_ne(read_qid(&there->reply).path, st.st_ino);
}
END_TEST

START_TEST(renames_are_followed)
{
    ck_assert_int_eq(open_at(c, 1, "d/e/g", P9_O_RDWR), 0);
    ck_assert_int_eq(walk(c, 0, 2, "d/e"), 0);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "d", 0, "moved"), 0); /* by the guest */
    ck_assert_int_eq(rename(at(c, "moved/e"), at(c, "moved/e2")), 0);       /* by the host */
    struct ninep_state state = export_of(c);
    ck_assert_str_eq(state.fids[1].path, "moved/e2/g");
    ck_assert_str_eq(state.fids[2].path, "moved/e2");
    ninep_state_done(&state);
    char other[128];
    snprintf(other, sizeof(other), "%s/elsewhere", c->top);
    ck_assert_int_eq(rename(c->root, other), 0); /* the share itself, by the host */
    state = export_of(c);
    ck_assert_str_eq(state.fids[1].path, "moved/e2/g");
    ninep_state_done(&state);
}
END_TEST

START_TEST(a_name_may_look_deleted)
{
    put(c, "x (deleted)", "here");
    ck_assert_int_eq(open_at(c, 1, "x (deleted)", P9_O_RDONLY), 0);
    struct ninep_state state = export_of(c);
    ck_assert_str_eq(state.fids[1].path, "x (deleted)");
    ninep_state_done(&state);
}
END_TEST

START_TEST(every_reason_against_leaving_is_told)
{
    ck_assert_str_eq(check_of(c), "");
    put(c, "gone", ""), put(c, "outside", ""), put(c, "two", ""), put(c, "b\xff", "");
    ck_assert_int_eq(link(at(c, "two"), at(c, "two-2")), 0);
    ck_assert_int_eq(mkdir(at(c, "dir"), 0755), 0);
    ck_assert_int_eq(open_at(c, 1, "gone", P9_O_RDWR), 0);
    ck_assert_int_eq(open_at(c, 2, "outside", P9_O_RDWR), 0);
    ck_assert_int_eq(open_at(c, 3, "two", P9_O_RDWR), 0);
    ck_assert_int_eq(walk(c, 0, 4, "dir"), 0);
    ck_assert_int_eq(walk(c, 0, 5, "b\xff"), 0);
    ck_assert_int_eq(open_at(c, 6, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 0, "gone", 0), 0);
    ck_assert_int_eq(rename(at(c, "outside"), at(c, "../outside")), 0);
    ck_assert_int_eq(unlink(at(c, "two")), 0);
    ck_assert_int_eq(rmdir(at(c, "dir")), 0);

    char *why = strdup(check_of(c)), want[256];
    ck_assert_ptr_nonnull(why);
    static const char *const reasons[] = {
        "share '3': 'gone (deleted)' (fid 1) is open and has been deleted\n",
        "(fid 2) has been moved out of the share\n",
        "share '3': 'two (deleted)' (fid 3) has lost the name by which it was opened\n",
        "share '3': 'dir (deleted)' (fid 4) is in use and has been deleted\n",
        "(fid 5) has a name that is not UTF-8\n",
    };
    for (unsigned i = 0; i < 5; i++)
        ck_assert_msg(strstr(why, reasons[i]) != NULL, "%s: %s", reasons[i], why);
    ck_assert_ptr_null(strstr(why, "fid 6"));
    /* While the guest runs, it may just be about to let go of what it deleted. */
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *running = sf_reasons_new();
    ninep_check(c->s, "share '3'", false, running);
    ck_assert_uint_eq(sf_reasons_count(running), 4);
    ck_assert_ptr_null(strstr(text_of(running), "fid 4"));
    /* Two fids of one file are one reason. */
    ck_assert_int_eq(walk(c, 1, 7, ""), 0);
    ck_assert_ptr_null(strstr(check_of(c), "fid 7"));
    ck_assert_int_eq(clunk(c, 7), 0);
    snprintf(want, sizeof(want), "share '3': '%s/outside' (fid 2)", c->top);
    ck_assert_msg(strstr(why, want) != NULL, "%s", why);
    free(why);

    struct ninep_state state;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    ck_assert(!ninep_export(c->s, &state, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_int_eq(write_at(c, 1, 0, "goes on"), 0);
    for (uint32_t fid = 1; fid <= 5; fid++)
        ck_assert_int_eq(clunk(c, fid), 0);
    ck_assert_str_eq(check_of(c), "");
}
END_TEST

START_TEST(a_path_may_be_too_long_to_name)
{
    char name[200] = "";

    memset(name, 'n', 190);
    ck_assert_int_eq(walk(c, 0, 1, ""), 0);
    for (unsigned i = 0; i < 25; i++) {
        ck_assert_int_eq(call(c, P9_TMKDIR, "dsdd", 1, name, 0755, 0), 0);
        ck_assert_int_eq(walk(c, 1, 1, name), 0);
    }
    ck_assert_int_eq(call(c, P9_TLCREATE, "dsddd", 1, "f", P9_O_RDWR, 0644, 0), 0);
    ck_assert_int_eq(write_at(c, 1, 0, "deep"), 0);
    ck_assert_str_eq(check_of(c), "share '3': '' (fid 1) has too long a path\n");
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 1), ENAMETOOLONG);
    ck_assert_str_eq(check_of(c), "");
}
END_TEST

/* A mount beneath the root: its files may have the numbers of others. */
START_TEST(another_device_has_numbers_of_its_own)
{
    struct stat st;

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", at(c, "d/e"), "tmpfs", 0, NULL) != 0)
        return;        /* root may, and not everywhere */
    close(c->root_fd); /* it knows nothing of the mount */
    c->root_fd = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    client_serve(c, NULL);
    client_attach(c);
    put(c, "d/e/g", "other");
    ck_assert_int_eq(walk(c, 0, 1, "d/e/g"), 0);
    read_qid(&c->reply), read_qid(&c->reply);
    ck_assert_int_eq(stat(at(c, "d/e/g"), &st), 0);
    ck_assert_uint_ne(read_qid(&c->reply).path, st.st_ino);
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 1, P9_O_RDWR), 0);
    ck_assert_int_eq(read_at(c, 1, 0, 10), 0);
    ck_assert_str_eq(read_text_of(c), "other");
    struct ninep_state state = export_of(c);
    ck_assert_str_eq(state.fids[1].path, "d/e/g");
    ck_assert_int_eq(restore_to(&state, there), SF_OK);
    ninep_state_done(&state);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 1, "f"), ENOTDIR);
    ck_assert_int_eq(walk(c, 0, 2, "d/e"), 0);
    ck_assert_int_eq(call(c, P9_TRENAMEAT, "dsds", 0, "f", 2, "f"), EXDEV);
    client_serve(c, NULL);
    ck_assert_int_eq(umount(at(c, "d/e")), 0);
}
END_TEST

START_TEST(a_share_moved_within_another_is_outside)
{
    /* "root" is a prefix of "root2", but not a part of its path. */
    char other[128];
    snprintf(other, sizeof(other), "%s2", c->root);
    ck_assert_int_eq(mkdir(other, 0755), 0);
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDONLY), 0);
    strcat(other, "/f");
    ck_assert_int_eq(rename(at(c, "f"), other), 0);
    ck_assert_ptr_nonnull(strstr(check_of(c), "has been moved out of the share"));
}
END_TEST

START_TEST(a_name_may_be_hidden_by_now)
{
    static const char *const names[] = {"f", "d"};

    client_serve(c, &(struct ninep_options){
                        .restricted = true, .allowed_names = names, .n_allowed_names = 2});
    client_attach(c);
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDONLY), 0);
    ck_assert_int_eq(open_at(c, 2, "d/e/g", P9_O_RDONLY), 0);
    ck_assert_str_eq(check_of(c), "");
    ck_assert_int_eq(rename(at(c, "f"), at(c, "hidden")), 0);
    ck_assert_str_eq(check_of(c),
                     "share '3': 'hidden' (fid 1) is not one of the share's names any more\n");
}
END_TEST

START_TEST(every_reason_against_coming_is_told)
{
    static const char *const names[] = {"d", "f", "out"};
    int host;

    hold_much();
    struct ninep_state state = export_of(c);
    put(there, "f", "other"); /* no matter */
    ck_assert_str_eq(admit_of(&state, there, NULL), "");

    ck_assert_int_eq(unlink(at(there, "new")), 0);
    ck_assert_int_eq(rename(at(there, "d"), at(there, "d2")), 0);
    ck_assert_int_eq(symlink("d2", at(there, "d")), 0); /* would lead to the very files */
    ck_assert_int_eq(unlink(at(there, "out")), 0);
    ck_assert_int_eq(mkdir(at(there, "out"), 0755), 0);
    host = open(at(there, "f"), O_RDWR | O_CLOEXEC);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
    ck_assert_int_eq(fcntl(host, F_OFD_SETLK, &l), 0);
    ck_assert_str_eq(
        admit_of(&state, there, NULL),
        "share '3': 'f' (fid 1): the lock bytes 5 to 9 cannot be had here: somebody else has it\n"
        "share '3': 'd' (fid 2) is a symbolic link here; it was a directory\n"
        "share '3': 'd/e/g' (fid 3) cannot be had here: a symbolic link leads there\n"
        "share '3': 'd/e' (fid 4) cannot be had here: a symbolic link leads there\n"
        "share '3': 'out' (fid 5) is a directory here; it was a symbolic link\n"
        "share '3': 'new' (fid 6) cannot be had here: No such file or directory\n");
    close(host);

    ck_assert_str_eq(admit_of(&state, c, &(struct ninep_options){.read_only = true}),
                     "share '3': 'f' (fid 1) cannot be opened here: Read-only file system\n"
                     "share '3': 'new' (fid 6) cannot be opened here: Read-only file system\n"
                     "");
    ck_assert_ptr_nonnull(
        strstr(admit_of(&state, there,
                        &(struct ninep_options){
                            .restricted = true, .allowed_names = names, .n_allowed_names = 3}),
               "share '3': 'new' (fid 6) is not one of the share's names\n"));
    ck_assert_int_eq(restore_to(&state, there), SF_FAILED_PRECONDITION);
    ck_assert_uint_eq(ninep_fids(there->s), 0);
    client_attach(there); /* as it was */
    ninep_state_done(&state);
}
END_TEST

START_TEST(admit_changes_nothing)
{
    struct stat before, after;

    hold_much();
    struct ninep_state state = export_of(c);
    ck_assert_int_eq(lstat(at(there, "f"), &before), 0);
    ck_assert_str_eq(admit_of(&state, there, NULL), "");
    ck_assert_int_eq(lstat(at(there, "f"), &after), 0);
    ck_assert_mem_eq(&before, &after, sizeof(before));
    ck_assert(has(there, "f", "hello"));
    int host = open(at(there, "f"), O_RDWR | O_CLOEXEC);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    ck_assert_int_eq(fcntl(host, F_OFD_SETLK, &l), 0); /* no lock is left */
    close(host);
    ninep_state_done(&state);
}
END_TEST

/* In a process of its own, which is nobody from then on. */
START_TEST(what_may_not_be_opened_is_told)
{
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    struct ninep_state state = export_of(c);
    ck_assert_int_eq(chmod(at(there, "f"), 0600), 0);
    ck_assert_int_eq(chmod(there->top, 0755) | chmod(there->root, 0755), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        bool good =
            setegid(65534) == 0 && seteuid(65534) == 0 &&
            strcmp(admit_of(&state, there, NULL),
                   "share '3': 'f' (fid 1) cannot be opened here: Permission denied\n") == 0;
        _exit(good ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ninep_state_done(&state);
}
END_TEST

START_TEST(a_source_at_rest_is_not_in_the_way)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    lock_some(c, 1, P9_LOCK_EXCLUSIVE, 0, 0, 1);
    struct ninep_state state = export_of(c);
    struct client *same = calloc(1, sizeof(*same));
    ck_assert_ptr_nonnull(same);
    same->root_fd = c->root_fd;
    client_serve(same, NULL);
    ck_assert_ptr_nonnull(strstr(admit_of(&state, same, NULL), "somebody else has it"));
    ck_assert_int_eq(restore_to(&state, same), SF_FAILED_PRECONDITION);
    ninep_rest(c->s);
    ck_assert_str_eq(admit_of(&state, same, NULL), "");
    ck_assert_int_eq(restore_to(&state, same), SF_OK);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    ck_assert(!ninep_wake(c->s, &err)); /* it is the other's now */
    ninep_free(same->s);
    free(same);
    ninep_state_done(&state);
}
END_TEST

/* ---- States that somebody has made up ---- */

static struct ninep_lock locks[2];
static struct ninep_fid fids[2];

/* What is changed in a good state; each is refused. */
enum wrong {
    GOOD,
    MSIZE_SMALL,
    MSIZE_LARGE,
    NO_VERSION,
    FID_TWICE,
    FID_UNSORTED,
    FID_NONE,
    PATH_UP,
    PATH_UP_IN_IT,
    PATH_ABSOLUTE,
    PATH_EMPTY_PART,
    PATH_SLASH_LAST,
    PATH_DOT,
    PATH_LONG_PART,
    PATH_BYTES,
    FLAGS_CREATE,
    FLAGS_TRUNC,
    FLAGS_CLOSED,
    TYPE_UNKNOWN,
    LOCK_CLOSED,
    LOCK_TWICE,
    LOCK_UNSORTED,
    LOCK_OVER,
    LOCK_CLIENT,
    PARTIAL_WHOLE,
    PARTIAL_MORE,
    PARTIAL_SMALL,
    PARTIAL_LARGE,
    ACCESS_BOTH,
    OPEN_LINK,
    WRONG_MAX
};

static void spoil_fids(enum wrong wrong, char *path)
{
    static char client[300];
    static const struct {
        enum wrong wrong;
        const char *path;
    } paths[] = {
        {PATH_UP, ".."},       {PATH_UP_IN_IT, "d/../f"}, {PATH_ABSOLUTE, "/f"},
        {PATH_DOT, "./f"},     {PATH_EMPTY_PART, "d//e"}, {PATH_SLASH_LAST, "d/"},
        {PATH_BYTES, "b\xff"},
    };

    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (paths[i].wrong == wrong)
            strcpy(path, paths[i].path);
    if (wrong == PATH_LONG_PART)
        memset(path, 'x', 256);
    fids[1].fid = wrong == FID_TWICE ? 1 : wrong == FID_UNSORTED ? 0 : wrong == FID_NONE ? ~0u : 2;
    fids[0].flags |= wrong == FLAGS_CREATE ? P9_O_CREATE : wrong == FLAGS_TRUNC ? P9_O_TRUNC : 0;
    fids[0].flags |= wrong == ACCESS_BOTH ? P9_O_ACCESS : 0;
    fids[1].flags = wrong == FLAGS_CLOSED ? P9_O_APPEND : 0;
    fids[1].open = wrong == OPEN_LINK;
    if (wrong == TYPE_UNKNOWN)
        fids[0].qid_type = 1;
    if (wrong == LOCK_CLOSED)
        fids[1].locks = locks, fids[1].n_locks = 1;
    locks[1].start = wrong == LOCK_TWICE ? 0 : 4;
    locks[0].start = wrong == LOCK_UNSORTED ? 5 : 0;
    locks[1].length = wrong == LOCK_OVER ? UINT64_MAX : 2;
    if (wrong == LOCK_CLIENT)
        locks[1].client = memset(client, 'x', 256);
}

START_TEST(a_state_that_makes_no_sense_is_refused)
{
    enum wrong wrong = (enum wrong)_i;
    char path[300] = "f", link_path[] = "out", client[] = "guest";
    uint8_t bytes[64];
    struct ninep_state state = {.msize = 8192, .fids = fids, .n_fids = 2};
    size_t whole = message(bytes, sizeof(bytes), P9_TCLUNK, 1, "d", 1);

    for (unsigned i = 0; i < 2; i++)
        locks[i] = (struct ninep_lock){.start = 4 * i, .length = 2, .process = 1, .client = client};
    fids[0] = (struct ninep_fid){
        .fid = 1, .path = path, .open = true, .flags = P9_O_RDONLY, .locks = locks, .n_locks = 2};
    fids[1] = (struct ninep_fid){.fid = 2, .path = link_path, .qid_type = P9_QID_SYMLINK};
    spoil_fids(wrong, path);
    state.msize = wrong == MSIZE_SMALL   ? NINEP_MSIZE_MIN - 1
                  : wrong == MSIZE_LARGE ? NINEP_MSIZE_MAX + 1
                  : wrong == NO_VERSION  ? 0
                                         : 8192;
    state.partial = (struct sf_bytes){.data = bytes, .size = 6};
    if (wrong == PARTIAL_WHOLE || wrong == PARTIAL_MORE)
        state.partial.size = whole + (wrong == PARTIAL_MORE);
    if (wrong == PARTIAL_SMALL)
        memcpy(bytes, "\6\0\0", 4), state.partial.size = 4;
    if (wrong == PARTIAL_LARGE)
        memcpy(bytes, "\1\40\0", 4); /* 8193 */

    enum sf_code code = restore_to(&state, there);
    const char *why = admit_of(&state, there, NULL);
    if (wrong == GOOD) {
        ck_assert_str_eq(why, "");
        ck_assert_int_eq(code, SF_OK);
        return;
    }
    ck_assert_str_ne(why, "");
    ck_assert_int_eq(code, wrong == OPEN_LINK || wrong == ACCESS_BOTH ? SF_FAILED_PRECONDITION
                                                                      : SF_INVALID_ARGUMENT);
    ck_assert_uint_eq(ninep_fids(there->s), 0);
}
END_TEST

START_TEST(options_are_looked_at)
{
    static const char *const bad[] = {"", ".", "..", "a/b"};
    static const uint32_t sizes[] = {1, NINEP_MSIZE_MIN - 1, NINEP_MSIZE_MAX + 1};
    static const char *const good[] = {"f"};

    for (unsigned i = 0; i < 4 + 3 + 2; i++) {
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        struct ninep_options options = {.restricted = i < 4};
        if (i < 4)
            options.allowed_names = &bad[i], options.n_allowed_names = 1;
        else if (i < 7)
            options.msize_max = sizes[i - 4];
        else if (i == 7)
            options.allowed_names = good, options.n_allowed_names = 1;
        int fd = i < 8 ? c->root_fd : open(at(c, "f"), O_RDONLY | O_CLOEXEC);
        ck_assert_ptr_null(ninep_new(fd, &options, NULL, NULL, &err));
        ck_assert_int_eq(sf_error_code(err), i < 8 ? SF_INVALID_ARGUMENT : SF_FAILED_PRECONDITION);
        if (i == 8)
            close(fd);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ninep state");
    TCase *t = tcase_create("state");

    tcase_add_checked_fixture(t, begin, end);
    tcase_add_test(t, a_state_comes_back_the_same);
    tcase_add_test(t, every_cut_of_a_message_travels);
    tcase_add_test(t, nothing_travels_before_a_version);
    tcase_add_test(t, numbers_of_files_stay);
    tcase_add_test(t, renames_are_followed);
    tcase_add_test(t, a_name_may_look_deleted);
    tcase_add_test(t, every_reason_against_leaving_is_told);
    tcase_add_test(t, a_path_may_be_too_long_to_name);
    tcase_add_test(t, another_device_has_numbers_of_its_own);
    tcase_add_test(t, a_share_moved_within_another_is_outside);
    tcase_add_test(t, a_name_may_be_hidden_by_now);
    tcase_add_test(t, every_reason_against_coming_is_told);
    tcase_add_test(t, admit_changes_nothing);
    tcase_add_test(t, what_may_not_be_opened_is_told);
    tcase_add_test(t, a_source_at_rest_is_not_in_the_way);
    tcase_add_loop_test(t, a_state_that_makes_no_sense_is_refused, 0, WRONG_MAX);
    tcase_add_test(t, options_are_looked_at);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return sf_suite_run(suite());
}
