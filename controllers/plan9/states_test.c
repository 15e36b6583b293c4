#include <stdio.h>
#include <string.h>

#include "base/suite.h"
#include "lib/grid.h"
#include "plan9/share.h"

/* clang-format off */
static const char *const shares[SHARE_N_STATES] = {
    /*                  +------- add done
     *                  |+------ add failed
     *                  ||+----- lost
     *                  |||+---- remove done */
    [SHARE_RESERVED] = "AI.X",
    [SHARE_ADDED]    = "..IX",
    [SHARE_INVALID]  = "...X",
    [SHARE_REMOVED]  = "....",
};
static const char *const mounts[MOUNT_N_STATES] = {
    /*                   +------- mount done
     *                   |+------ mount failed
     *                   ||+----- unmount done
     *                   |||+---- unmount lost */
    [MOUNT_RESERVED]  = "MIU.",
    [MOUNT_MOUNTED]   = "..UI",
    [MOUNT_INVALID]   = "..UI",
    [MOUNT_UNMOUNTED] = "....",
};
/* clang-format on */

START_TEST(share_cell)
{
    grid_check_cell(&share_machine, shares, "RAIX", (unsigned)_i);
}
END_TEST

START_TEST(mount_cell)
{
    grid_check_cell(&mount_machine, mounts, "RMIU", (unsigned)_i);
}
END_TEST

/* The README shows the tables as they are. */
START_TEST(readme_has_the_grids)
{
    static const struct sf_machine *const machines[] = {&share_machine, &mount_machine};
    FILE *readme = fopen(README, "r");
    static char text[65536];

    ck_assert_ptr_nonnull(readme);
    text[fread(text, 1, sizeof(text) - 1, readme)] = '\0';
    fclose(readme);
    for (size_t i = 0; i < 2; i++) {
        char *grid = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&grid, &size);
        sf_machine_print(machines[i], out);
        fclose(out);
        ck_assert_msg(strstr(text, grid) != NULL, "the README lacks this:\n%s", grid);
        free(grid);
    }
}
END_TEST

/* clang-format off */
static const struct {
    const char *given, *taken; /* NULL: refused */
} paths[] = {
    { "/",                "/"       },
    { "/a",               "/a"      },
    { "/a/",              "/a"      },
    { "//a///b/.//./c/.", "/a/b/c"  },
    { "/a/...",           "/a/..."  },
    { "/.a/..b",          "/.a/..b" },
    { "/..",              NULL      },
    { "/a/../b",          NULL      },
    { "/a/..",            NULL      },
    { "a/b",              NULL      },
    { "",                 NULL      },
};
/* clang-format on */

START_TEST(a_path_has_one_form)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    char path[PATH_MAX];
    bool ok = share_path_normalise(paths[_i].given, path, &err);

    ck_assert_msg(ok == (paths[_i].taken != NULL), "'%s'", paths[_i].given);
    if (ok)
        ck_assert_str_eq(path, paths[_i].taken);
    else
        ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
}
END_TEST

START_TEST(names_are_a_sorted_set)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/a"};
    struct share_config a = {.path = "/x", .restricted = true}, b;
    struct sf_error *err = NULL;

    ck_assert(share_config_add_name(&a, "b", &err) && share_config_add_name(&a, "a", &err) &&
              share_config_add_name(&a, "b", &err));
    ck_assert_uint_eq(a.n_names, 2);
    ck_assert_str_eq(a.names[0], "a");
    ck_assert(share_config_copy(&b, &a));
    ck_assert(share_config_equal(&a, &b));
    ck_assert(share_config_add_name(&b, "B", &err)); /* not as upstream: case matters here */
    ck_assert(!share_config_equal(&a, &b));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert(!share_config_add_name(&a, bad[i], &err));
        ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
        sf_error_free(err);
        err = NULL;
    }
    ck_assert_uint_eq(a.n_names, 2);
    share_config_done(&a);
    share_config_done(&b);
}
END_TEST

START_TEST(every_part_of_the_config_tells_shares_apart)
{
    const struct share_config a = {.path = "/x"};
    struct share_config b = a;

    ck_assert(share_config_equal(&a, &b));
    b.read_only = true;
    ck_assert(!share_config_equal(&a, &b));
    b = a;
    b.restricted = true;
    ck_assert(!share_config_equal(&a, &b));
    snprintf(b.path, sizeof(b.path), "/X");
    b.restricted = false;
    ck_assert(!share_config_equal(&a, &b));
}
END_TEST

START_TEST(a_name_is_a_number)
{
    static const char *const bad[] = {"", "01", "-1", "1a", " 1", "1000000000000000000"};
    const struct share_config config = {.path = "/x"};
    uint64_t number = 7;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!share_number(bad[i], &number), "'%s'", bad[i]);
    ck_assert(share_number("0", &number) && number == 0);
    ck_assert(share_number("999999999999999999", &number) && number == PLAN9_NUMBER_MAX);
    struct share *sh = share_new(number, &config);
    ck_assert_str_eq(sh->name, "999999999999999999");
    ck_assert_str_eq(sh->guest_path, "/run/sandferry/mounts/plan9/999999999999999999");
    free(sh);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan9_states");
    TCase *cells = tcase_create("cells");
    tcase_add_loop_test(cells, share_cell, 0, SHARE_N_STATES * SHARE_N_EVENTS);
    tcase_add_loop_test(cells, mount_cell, 0, MOUNT_N_STATES * MOUNT_N_EVENTS);
    tcase_add_test(cells, readme_has_the_grids);
    suite_add_tcase(suite, cells);
    TCase *share = tcase_create("share");
    tcase_add_loop_test(share, a_path_has_one_form, 0, (int)(sizeof(paths) / sizeof(paths[0])));
    tcase_add_test(share, names_are_a_sorted_set);
    tcase_add_test(share, every_part_of_the_config_tells_shares_apart);
    tcase_add_test(share, a_name_is_a_number);
    suite_add_tcase(suite, share);
    return sf_suite_run(suite);
}
