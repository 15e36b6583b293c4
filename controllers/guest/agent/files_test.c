#include "base/suite.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/scratch_dir.h"

static const struct {
    const char *path;
    bool beneath;
} paths[] = {
    {RUN_DIR "/mounts/scsi/0_1_0", true},
    {RUN_DIR "/pods/p-1/c.2/rootfs", true},
    {RUN_DIR "/a..b", true},
    {RUN_DIR "/...", true},
    {RUN_DIR "/.hidden", true},
    {RUN_DIR, false},
    {RUN_DIR "/", false},
    {RUN_DIR "x/a", false},
    {RUN_DIR "/a/", false},
    {RUN_DIR "/a//b", false},
    {RUN_DIR "/../etc", false},
    {RUN_DIR "/a/..", false},
    {RUN_DIR "/./a", false},
    {RUN_DIR "/a/.", false},
    {RUN_DIR "/a,upperdir=/etc", false},
    {RUN_DIR "/a:b", false},
    {RUN_DIR "/a\\b", false},
    {RUN_DIR "/a\nb", false},
    {"/etc", false},
    {"run/sandferry/a", false},
    {"", false},
};

START_TEST(paths_stay_beneath_their_root)
{
    ck_assert_msg(path_beneath(paths[_i].path, RUN_DIR) == paths[_i].beneath, "'%s'",
                  paths[_i].path);
}
END_TEST

START_TEST(a_path_without_end_is_refused)
{
    char path[8192];

    snprintf(path, sizeof(path), "%s/", RUN_DIR);
    memset(path + strlen(path), 'a', 300);
    path[strlen(RUN_DIR) + 301] = '\0';
    ck_assert(!path_beneath(path, RUN_DIR)); /* one name */
    for (size_t i = strlen(RUN_DIR); i < sizeof(path) - 1; i++)
        path[i] = i % 2 == strlen(RUN_DIR) % 2 ? '/' : 'a';
    path[sizeof(path) - 1] = '\0';
    ck_assert(!path_beneath(path, RUN_DIR));
}
END_TEST

START_TEST(ids_become_file_names_only_if_they_are_harmless)
{
    char longest[NAME_ROOM + 1];

    memset(longest, 'a', sizeof(longest));
    longest[NAME_ROOM] = '\0';
    ck_assert(!name_valid(longest));
    longest[NAME_ROOM - 1] = '\0';
    ck_assert(name_valid(longest));
    ck_assert(name_valid("pod-1.c_2+x"));
    ck_assert(!name_valid(""));
    ck_assert(!name_valid("."));
    ck_assert(!name_valid(".."));
    ck_assert(!name_valid("-rf"));
    ck_assert(!name_valid("a/b"));
    ck_assert(!name_valid("a b"));
    ck_assert(!name_valid("\xc3\xa4"));
}
END_TEST

START_TEST(a_file_is_written_and_read_back_cut_to_the_room)
{
    char text[6];

    ck_assert(make_directories(scratch_path("a/b/c")));
    ck_assert(make_directories(scratch_path("a/b/c")));
    ck_assert(write_file(scratch_path("a/b/c/f"), "0123456789", 10));
    ck_assert_int_eq(read_file(scratch_path("a/b/c/f"), text, sizeof(text)), 5);
    ck_assert_str_eq(text, "01234");
    ck_assert_int_eq(read_file(scratch_path("none"), text, sizeof(text)), -1);
    ck_assert_str_eq(text, "");
    ck_assert(!make_directories(scratch_path("a/b/c/f/g")));
}
END_TEST

START_TEST(a_tree_is_removed_and_links_are_not_followed)
{
    ck_assert(make_directories(scratch_path("keep")));
    ck_assert(write_file(scratch_path("keep/f"), "x", 1));
    ck_assert(make_directories(scratch_path("tree/a/b")));
    ck_assert(write_file(scratch_path("tree/a/b/f"), "x", 1));
    ck_assert_int_eq(symlink(scratch_path("keep"), scratch_path("tree/a/link")), 0);
    ck_assert(remove_tree(scratch_path("tree")));
    ck_assert(access(scratch_path("tree"), F_OK) < 0 && errno == ENOENT);
    ck_assert_int_eq(access(scratch_path("keep/f"), F_OK), 0);
    ck_assert(remove_tree(scratch_path("tree"))); /* again */
}
END_TEST

START_TEST(a_tree_too_deep_is_left_without_a_crash)
{
    char path[2048];
    size_t size = (size_t)snprintf(path, sizeof(path), "%s", scratch_path("deep"));

    for (int i = 0; i < 250; i++)
        size += (size_t)snprintf(path + size, sizeof(path) - size, "/d");
    ck_assert(make_directories(path));
    ck_assert(!remove_tree(scratch_path("deep")));
    ck_assert_int_eq(errno, ELOOP);
    for (int i = 0; i < 100; i++) { /* so that the fixture can */
        ck_assert_int_eq(rmdir(path), 0);
        *strrchr(path, '/') = '\0';
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_files");
    TCase *names = tcase_create("names"), *trees = tcase_create("trees");

    tcase_add_loop_test(names, paths_stay_beneath_their_root, 0,
                        (int)(sizeof(paths) / sizeof(paths[0])));
    tcase_add_test(names, a_path_without_end_is_refused);
    tcase_add_test(names, ids_become_file_names_only_if_they_are_harmless);
    tcase_add_checked_fixture(trees, scratch_dir_make, scratch_dir_remove);
    tcase_add_test(trees, a_file_is_written_and_read_back_cut_to_the_room);
    tcase_add_test(trees, a_tree_is_removed_and_links_are_not_followed);
    tcase_add_test(trees, a_tree_too_deep_is_left_without_a_crash);
    suite_add_tcase(suite, names);
    suite_add_tcase(suite, trees);
    return sf_suite_run(suite);
}
