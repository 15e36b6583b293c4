#include "paths.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakes.h"
#include "operations.h"

static char top[64];
static struct paths paths;
static struct sf_error *err;

/* top/in/{file, sub/file, fifo, links...}, top/out/secret, top/alias -> in */
static void setup(void)
{
    char command[1024];
    const char *allowed[1];
    char root[80];

    err = NULL;
    strcpy(top, "/tmp/sandferry-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(command, sizeof(command),
             "cd %s && mkdir -p in/sub out && echo x > in/file && echo x > in/sub/file && "
             "echo secret > out/secret && mkfifo in/fifo && ln -s in alias && "
             "ln -s ../out/secret in/up && ln -s %s/out/secret in/absolute && "
             "ln -s sub/file in/good && ln -s ../../out in/sub/dir && ln -s round in/round",
             top, top);
    ck_assert_int_eq(system(command), 0);
    snprintf(root, sizeof(root), "%s/alias", top);
    allowed[0] = root;
    ck_assert(paths_init(&paths, allowed, 1, &err));
}

static void teardown(void)
{
    paths_done(&paths);
    sf_error_free(err);
    operation_remove_directory(top);
}

static int open_at(const char *rest, int flags)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", top, rest);
    return paths_open(&paths, path, flags, &err);
}

/* clang-format off */
static const struct {
    const char *path;
    enum sf_code code;
} table[] = {
    /* beneath the top     what comes of it */
    { "in/file",           SF_OK },
    { "alias/file",        SF_OK },               /* as the flag named it */
    { "in//sub///file",    SF_OK },
    { "in/sub/../file",    SF_OK },
    { "in/good",           SF_OK },               /* a link that stays within */
    { "in",                SF_OK },
    { "in/absent",         SF_NOT_FOUND },
    { "in/file/x",         SF_NOT_FOUND },
    { "in/up",             SF_PERMISSION_DENIED },
    { "in/absolute",       SF_PERMISSION_DENIED },
    { "in/sub/dir/secret", SF_PERMISSION_DENIED },
    { "in/../out/secret",  SF_PERMISSION_DENIED },
    { "out/secret",        SF_PERMISSION_DENIED },
    { "inside",            SF_PERMISSION_DENIED }, /* begins like the root, is not beneath it */
    { "in/round",          SF_INVALID_ARGUMENT },
    { "in/fifo",           SF_INVALID_ARGUMENT },  /* and does not hang */
};
/* clang-format on */
#define N_ROWS (int)(sizeof(table) / sizeof(*table))

START_TEST(row)
{
    int fd = open_at(table[_i].path, O_RDONLY);
    if (table[_i].code == SF_OK) {
        ck_assert_msg(fd >= 0, "%s", err == NULL ? "?" : sf_error_message(err));
        ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        close(fd);
        return;
    }
    ck_assert_int_eq(fd, -1);
    ck_assert_msg(sf_error_code(err) == table[_i].code, "%s: %s", table[_i].path,
                  sf_error_message(err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), table[_i].path));
}
END_TEST

START_TEST(flags_are_kept)
{
    int fd = open_at("in/file", O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "y", 1), 1);
    close(fd);
    fd = open_at("in/made", O_RDWR | O_CREAT | O_EXCL);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(open_at("out/made", O_RDWR | O_CREAT), -1);
}
END_TEST

START_TEST(only_absolute_paths)
{
    ck_assert_int_eq(paths_open(&paths, "in/file", O_RDONLY, &err), -1);
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
}
END_TEST

START_TEST(without_roots_nothing_is_allowed)
{
    struct paths none = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/in/file", top);
    ck_assert_int_eq(paths_open(&none, path, O_RDONLY, &err), -1);
    ck_assert_int_eq(sf_error_code(err), SF_PERMISSION_DENIED);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "--allow"));
}
END_TEST

START_TEST(a_root_must_be_a_directory)
{
    struct paths other;
    char root[80];
    const char *allowed[] = {root};
    snprintf(root, sizeof(root), "%s/in/%s", top, _i == 0 ? "file" : "absent");
    ck_assert(!paths_init(&other, allowed, 1, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), root));
    paths_done(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("paths");
    TCase *cases = tcase_create("paths");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, row, 0, N_ROWS);
    tcase_add_test(cases, flags_are_kept);
    tcase_add_test(cases, only_absolute_paths);
    tcase_add_test(cases, without_roots_nothing_is_allowed);
    tcase_add_loop_test(cases, a_root_must_be_a_directory, 0, 2);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
