/*
 * Linux's own client, on a socket pair, with all of torture.c on top; once as it is, and once with
 * what it holds taken up by a new server again and again, in the midst of messages. Only where
 * root may mount and the kernel has 9p; elsewhere this says that it was skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/suite.h"
#include "plan9/9p/private.h"

#define SKIPPED 77

struct served {
    char top[32], share[48], place[48];
    int line; /* ours; the kernel has the other end */
    struct ninep *s;
    unsigned every;         /* pieces between two journeys; 0: none */
    unsigned pieces, moved; /* so far */
    unsigned files_moved;   /* open ones */
};

static bool send_answer(void *context, const void *data, size_t size)
{
    const struct served *v = context;
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(v->line, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static struct ninep *serve(struct served *v)
{
    static const struct ninep_options plain;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(fd_close) int root = open(v->share, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct ninep *s = ninep_new(root, &plain, send_answer, v, &err);

    ck_assert_msg(s != NULL, "%s", SF_WHY(err));
    return s;
}

/* What has been deleted and is held still cannot go; then there is a next time. */
static void move(struct served *v)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    SF_CLEANUP(ninep_state_done) struct ninep_state state = {0};

    ninep_check(v->s, "share", true, why);
    if (sf_reasons_count(why) > 0)
        return;
    ck_assert_msg(ninep_export(v->s, &state, &err), "%s", SF_WHY(err));
    v->files_moved += (unsigned)ninep_open_files(v->s);
    ninep_rest(v->s);
    struct ninep *there = serve(v);
    ck_assert_msg(ninep_restore(there, &state, &err), "%s", SF_WHY(err));
    ninep_free(v->s);
    v->s = there;
    v->moved++;
}

/* Until the file system is no more. The pieces are cut where the messages are not. */
static void answer_all(struct served *v)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    static uint8_t bytes[40000];
    ssize_t size;

    while ((size = read(v->line, bytes, 1 + (v->pieces * 7919) % sizeof(bytes))) > 0) {
        if (!ninep_input(v->s, bytes, (size_t)size, &err)) /* libcheck writes down each assertion */
            ck_abort_msg("%s", SF_WHY(err));
        v->pieces++;
        if (v->every > 0 && v->pieces % v->every == 0)
            move(v);
    }
}

static int mount_and_torture(const struct served *v, int line)
{
    char options[200];

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return SKIPPED;
    snprintf(options, sizeof(options),
             "trans=fd,rfdno=%d,wfdno=%d,version=9p2000.L,cache=none,access=client,msize=%u", line,
             line, NINEP_MSIZE_DEFAULT);
    if (mount("share", v->place, "9p", 0, options) != 0)
        return errno == ENODEV || errno == EPERM || errno == EINVAL ? SKIPPED : 1;
    close(line);
    execl(TORTURE, TORTURE, v->place, (char *)NULL);
    return 1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

START_TEST(linux_is_served)
{
    struct served v = {.top = "/tmp/ninep-XXXXXX", .every = _i == 0 ? 0 : 13};
    int lines[2], status;

    ck_assert_ptr_nonnull(mkdtemp(v.top));
    snprintf(v.share, sizeof(v.share), "%s/share", v.top);
    snprintf(v.place, sizeof(v.place), "%s/place", v.top);
    ck_assert(mkdir(v.share, 0755) == 0 && mkdir(v.place, 0755) == 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, lines), 0);
    v.line = lines[0];
    v.s = serve(&v);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(v.line);
        _exit(mount_and_torture(&v, lines[1]));
    }
    close(lines[1]);
    answer_all(&v);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        printf("skipped: 9p cannot be mounted here\n");
    else
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    if (WEXITSTATUS(status) == 0 && v.every > 0)
        ck_assert(v.moved > 100 && v.files_moved > 100);
    ninep_free(v.s);
    close(v.line);
    ck_assert_int_eq(nftw(v.top, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ninep kernel");
    TCase *t = tcase_create("kernel");

    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, linux_is_served, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return sf_suite_run(suite());
}
