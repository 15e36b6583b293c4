#include "qemu/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/suite.h"
#include "base/text.h"

static char path[64];
static int directory;
static struct sf_error *err;

static void set_up(void)
{
    err = NULL;
    snprintf(path, sizeof(path), "/tmp/sandferry-run-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(directory, 0);
}

static void tear_down(void)
{
    sf_error_free(err);
    unlinkat(directory, "qemu.log", 0);
    unlinkat(directory, "socket", 0);
    close(directory);
    rmdir(path);
}

/* A shell in QEMU's place. */
static struct run *start_shell(const char *script, const int *fds, size_t n_fds)
{
    const char *arguments[] = {"/bin/sh", "-c", script, NULL};
    struct run_options o = {
        .arguments = arguments, .fds = fds, .n_fds = n_fds, .directory_fd = directory};
    struct run *r = run_start(&o, &err);

    ck_assert_msg(r != NULL, "%s", SF_WHY(err));
    return r;
}

static void await_end(const struct run *r)
{
    for (int i = 0; !run_has_ended(r); i++) {
        ck_assert_int_lt(i, 1000);
        poll(NULL, 0, 10);
    }
}

START_TEST(its_last_words_are_kept)
{
    SF_CLEANUP(run_freep)
    struct run *r = start_shell("echo one; printf 'two\\033[1m\\n\\n' >&2", NULL, 0);

    await_end(r);
    SF_CLEANUP(sf_freep) char *words = run_last_words(r);
    ck_assert_str_eq(words, "two?[1m"); /* nothing that a terminal would act on */
}
END_TEST

START_TEST(its_log_is_bounded)
{
    SF_CLEANUP(run_freep)
    struct run *r = start_shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end", NULL, 0);
    struct stat st;

    await_end(r);
    SF_CLEANUP(sf_freep) char *words = run_last_words(r);
    ck_assert_str_eq(words, "end");
    ck_assert_int_eq(fstatat(directory, "qemu.log", &st, 0), 0);
    ck_assert_int_le(st.st_size, RUN_LOG_MAX);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_named)
{
    const char *arguments[] = {"/nowhere/qemu", NULL};
    struct run_options o = {.arguments = arguments, .directory_fd = directory};

    ck_assert_ptr_null(run_start(&o, &err));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'/nowhere/qemu'"));
    sf_error_free(SF_STEAL(err));

    ck_assert_ptr_null(run_find_program("no-such-qemu", &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'no-such-qemu' in PATH"));
    sf_error_free(SF_STEAL(err));
    SF_CLEANUP(sf_freep) char *shell = run_find_program("sh", &err);
    ck_assert_ptr_nonnull(shell);
    ck_assert_int_eq(shell[0], '/');
}
END_TEST

START_TEST(it_inherits_what_it_is_given_and_no_more)
{
    int given[2], kept[2];
    char script[128], byte;

    ck_assert_int_eq(pipe2(given, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe(kept), 0); /* not even close-on-exec */
    snprintf(script, sizeof(script),
             "echo x >&%d; if [ -e /proc/self/fd/%d ]; then echo more; else echo no more; fi",
             given[1], kept[1]);
    SF_CLEANUP(run_freep) struct run *r = start_shell(script, &given[1], 1);
    await_end(r);
    ck_assert_int_eq(read(given[0], &byte, 1), 1);
    SF_CLEANUP(sf_freep) char *words = run_last_words(r);
    ck_assert_str_eq(words, "no more");
    for (int i = 0; i < 2; i++) {
        close(given[i]);
        close(kept[i]);
    }
}
END_TEST

START_TEST(it_is_ended_and_waited_for)
{
    int hold[2];
    char script[64];

    ck_assert_int_eq(pipe2(hold, O_CLOEXEC), 0);
    snprintf(script, sizeof(script), "trap '' TERM INT HUP; read x <&%d", hold[0]);
    struct run *r = start_shell(script, &hold[0], 1);
    pid_t pid = run_pid(r);
    ck_assert(!run_has_ended(r));
    ck_assert_int_eq(getsid(pid) == getsid(0), 0); /* a terminal's signals do not reach it */
    run_free(r);
    ck_assert_int_ne(kill(pid, 0), 0); /* not even a zombie is left */
    close(hold[0]);
    close(hold[1]);
}
END_TEST

START_TEST(a_user_that_is_not_there_is_named)
{
    struct run_user user;

    if (geteuid() != 0)
        return; /* nobody else can drop anything */
    ck_assert(!run_user_find("no-such-user", &user, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'no-such-user'"));
    sf_error_free(SF_STEAL(err));
    ck_assert(run_user_find("root", &user, &err) && !user.drop);
    ck_assert(run_user_find("nobody", &user, &err) && user.drop && user.uid != 0);

    const char *arguments[] = {"/bin/sh", "-c", "id -u; grep NoNewPrivs /proc/self/status", NULL};
    struct run_options o = {.arguments = arguments, .user = user, .directory_fd = directory};
    SF_CLEANUP(run_freep) struct run *r = run_start(&o, &err);
    await_end(r);
    char log[128] = "";
    int fd = openat(directory, "qemu.log", O_RDONLY);
    ck_assert_int_gt(read(fd, log, sizeof(log) - 1), 0);
    close(fd);
    ck_assert_int_eq((int)strtol(log, NULL, 10), (int)user.uid);
    ck_assert_msg(strstr(log, "NoNewPrivs:\t1") != NULL, "%s", log);
}
END_TEST

START_TEST(a_long_path_is_no_trouble_for_a_socket)
{
    int listener = run_listen(directory, "socket", &err);
    ck_assert_msg(listener >= 0, "%s", SF_WHY(err));
    int fd = run_connect(directory, "socket", &err);
    ck_assert_msg(fd >= 0, "%s", SF_WHY(err));
    close(fd);
    close(listener);
    ck_assert_int_lt(run_connect(directory, "socket", &err), 0); /* nobody listens now */
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'socket'"));
    sf_error_free(SF_STEAL(err));
    listener =
        run_listen(directory, "socket", &err); /* what is left of the last one is no trouble */
    ck_assert_msg(listener >= 0, "%s", SF_WHY(err));
    close(listener);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qemu_run");
    TCase *life = tcase_create("life");
    tcase_set_timeout(life, 30);
    tcase_add_checked_fixture(life, set_up, tear_down);
    tcase_add_test(life, its_last_words_are_kept);
    tcase_add_test(life, its_log_is_bounded);
    tcase_add_test(life, a_program_that_is_not_there_is_named);
    tcase_add_test(life, it_inherits_what_it_is_given_and_no_more);
    tcase_add_test(life, it_is_ended_and_waited_for);
    tcase_add_test(life, a_user_that_is_not_there_is_named);
    tcase_add_test(life, a_long_path_is_no_trouble_for_a_socket);
    suite_add_tcase(suite, life);
    return sf_suite_run(suite);
}
