#include "snapshot/file.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "snapshot/testing.h"

static char directory[] = "/tmp/sandferry-file-XXXXXX";
static char path[64];

static void setup(void)
{
    strcpy(directory + sizeof(directory) - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/f", directory);
}

static void teardown(void)
{
    unlink(path);
    rmdir(path);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing is left beside */
}

static void check_content(const char *want)
{
    struct sf_error *err = NULL;
    struct sf_bytes bytes;

    CHECK_OK(sf_file_read(path, 100, &bytes, &err), err);
    ck_assert_uint_eq(bytes.size, strlen(want));
    ck_assert_mem_eq(bytes.data, want, bytes.size);
    sf_bytes_done(&bytes);
}

START_TEST(content_is_replaced)
{
    struct sf_error *err = NULL;
    struct stat st;

    CHECK_OK(sf_file_write(path, "old", 3, 0600, &err), err);
    check_content("old");
    CHECK_OK(sf_file_write(path, "newer", 5, 0640, &err), err);
    check_content("newer");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0640);
    CHECK_OK(sf_file_write(path, NULL, 0, 0600, &err), err);
    check_content("");
}
END_TEST

START_TEST(a_failure_leaves_nothing_behind)
{
    struct sf_error *err = NULL;

    ck_assert_int_eq(mkdir(path, 0700), 0); /* a file cannot take its place */
    ck_assert(!sf_file_write(path, "x", 1, 0600, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), path));
    sf_error_free(err);
}
END_TEST

/* Old content or new, and nothing beside it; the same call then succeeds. */
START_TEST(every_step_may_fail)
{
    static const char *const points[] = {"file: write", "file: sync", "file: rename",
                                         "file: sync directory"};
    for (size_t i = 0; i < 4; i++) {
        struct sf_error *err = NULL;
        CHECK_OK(sf_file_write(path, "old", 3, 0600, &err), err);
        sf_fault_arm(points[i]);
        ck_assert(!sf_file_write(path, "new", 3, 0600, &err));
        sf_error_free(err);
        err = NULL;
        check_content(i < 3 ? "old" : "new");
        CHECK_OK(sf_file_write(path, "new", 3, 0600, &err), err);
        check_content("new");
    }
}
END_TEST

START_TEST(missing_directories_are_named)
{
    struct sf_error *err = NULL;
    char deep[80];

    snprintf(deep, sizeof(deep), "%s/no/f", directory);
    ck_assert(!sf_file_write(deep, "x", 1, 0600, &err));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), deep));
    sf_error_free(err);
}
END_TEST

START_TEST(reading_is_bounded)
{
    struct sf_error *err = NULL;
    struct sf_bytes bytes;

    CHECK_OK(sf_file_write(path, "12345", 5, 0600, &err), err);
    CHECK_OK(sf_file_read(path, 5, &bytes, &err), err);
    sf_bytes_done(&bytes);
    ck_assert(!sf_file_read(path, 4, &bytes, &err));
    ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    sf_error_free(err);
    err = NULL;
    ck_assert(!sf_file_read(directory, 100, &bytes, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(err);
    err = NULL;
    ck_assert(!sf_file_read("/dev/zero", 100, &bytes, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(err);
    err = NULL;
    unlink(path);
    ck_assert(!sf_file_read(path, 100, &bytes, &err));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
    sf_error_free(err);
}
END_TEST

/* Nobody writes: a reader that waits would wait for ever. */
START_TEST(a_fifo_is_refused_at_once)
{
    struct sf_error *err = NULL;
    struct sf_bytes bytes;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert(!sf_file_read(path, 100, &bytes, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(err);
}
END_TEST

START_TEST(a_snapshot_goes_through_a_file)
{
    Sandferry__V1__SandboxSnapshot *s = golden();
    struct sf_error *err = NULL;

    CHECK_OK(sf_snapshot_write_file(s, path, &err), err);
    sf_snapshot_free(s);
    s = sf_snapshot_load_file(path, NULL, &err);
    CHECK_OK(s != NULL, err);
    sf_snapshot_free(s);

    CHECK_OK(sf_file_write(path, "\x08\x09", 2, 0600, &err), err);
    ck_assert_ptr_null(sf_snapshot_load_file(path, NULL, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), path));
    sf_error_free(err);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("file");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, content_is_replaced);
    tcase_add_test(t, a_failure_leaves_nothing_behind);
    tcase_add_test(t, every_step_may_fail);
    tcase_add_test(t, missing_directories_are_named);
    tcase_add_test(t, reading_is_bounded);
    tcase_add_test(t, a_fifo_is_refused_at_once);
    tcase_add_test(t, a_snapshot_goes_through_a_file);
    return t;
}

int main(void)
{
    return run_suite("snapshot file", (TCase * (*const[])(void)){cases, NULL});
}
