/* Who uses a mount, in a /proc of the test's own. */
#include "base/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/scratch_dir.h"
#include "guest/agent/users.h"

#define PATH "/run/sandferry/mounts/plan9/3"
#define LINE "40 1 0:45 / " PATH " rw - 9p share-3 rw\n"

static void put(const char *process, const char *name, const char *text)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s", scratch_path(process), name);
    ck_assert(write_file(path, text, strlen(text)));
}

static void link_to(const char *process, const char *name, const char *target)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s", scratch_path(process), name);
    ck_assert_int_eq(symlink(target, path), 0);
}

static void add_process(const char *process, const char *space, const char *mounts)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/fd", scratch_path(process));
    ck_assert(make_directories(path));
    snprintf(path, sizeof(path), "%s/ns", scratch_path(process));
    ck_assert(make_directories(path));
    link_to(process, "ns/mnt", space);
    link_to(process, "cwd", "/");
    put(process, "mountinfo", mounts);
    put(process, "comm", "sh\n");
    put(process, "cgroup", "0::/c1/init\n");
}

static unsigned find(char *text, size_t room)
{
    char proc[300];

    snprintf(proc, sizeof(proc), "%s", scratch_path("."));
    return mount_users(proc, PATH, text, room);
}

static void begin(void)
{
    scratch_dir_make();
    add_process("self", "mnt:[1]", "1 0 0:1 / / rw - tmpfs tmpfs rw\n" LINE);
}

START_TEST(nobody_is_nobody)
{
    char text[500];

    add_process("12", "mnt:[1]", LINE); /* as all in our namespace have it */
    add_process("13", "mnt:[2]", "1 0 0:7 / " PATH " rw - tmpfs tmpfs rw\n");
    link_to("12", "fd/0", "/run/sandferry/mounts/plan9/33/x"); /* another */
    ck_assert_uint_eq(find(text, sizeof(text)), 0);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(whoever_has_it_is_named)
{
    char text[500];

    if (_i == 0)
        add_process("12", "mnt:[2]", "9 1 0:45 /a /in rw - 9p share-3 rw\n");
    else
        add_process("12", "mnt:[1]", LINE);
    if (_i == 1)
        link_to("12", "fd/3", PATH "/x");
    if (_i == 2)
        link_to("12", "root", PATH);
    ck_assert_uint_eq(find(text, sizeof(text)), 1);
    ck_assert_str_eq(text, _i == 0   ? "process 12 ('sh') of container 'c1' has it mounted"
                           : _i == 1 ? "process 12 ('sh') of container 'c1' has '" PATH "/x'"
                                     : "process 12 ('sh') of container 'c1' has '" PATH "'");
}
END_TEST

START_TEST(many_are_counted)
{
    char text[500];

    for (int i = 10; i < 15; i++) {
        char process[8];
        snprintf(process, sizeof(process), "%d", i);
        add_process(process, "mnt:[2]", LINE);
    }
    ck_assert_uint_eq(find(text, sizeof(text)), 5);
    ck_assert_ptr_nonnull(strstr(text, " and 2 more"));
    char small[20];
    ck_assert_uint_eq(find(small, sizeof(small)), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_users");
    TCase *tcase = tcase_create("users");
    tcase_add_checked_fixture(tcase, begin, scratch_dir_remove);
    tcase_add_test(tcase, nobody_is_nobody);
    tcase_add_loop_test(tcase, whoever_has_it_is_named, 0, 3);
    tcase_add_test(tcase, many_are_counted);
    suite_add_tcase(suite, tcase);
    return sf_suite_run(suite);
}
