#include "vm/state.h"

#include <stdio.h>
#include <string.h>

#include "base/suite.h"

/*
 * The whole machine a second time, as a grid: one row a state, one column an event, one letter for
 * the state that it leads to, a dot where it is forbidden.
 */
static const char letters[] = "NCRTI"; /* Not created, Created, Running, Terminated, Invalid */
/* clang-format off */
static const char want[VM_N_STATES][VM_N_EVENTS + 1] = {
    /*                   +------- started
     *                   |+------ answered
     *                   ||+----- lost
     *                   |||+---- ended */
    [VM_NOT_CREATED] = "C..T",
    [VM_CREATED]     = ".RIT",
    [VM_RUNNING]     = "..IT",
    [VM_TERMINATED]  = "...T",
    [VM_INVALID]     = "..IT",
};
/* clang-format on */

START_TEST(cell)
{
    unsigned from = (unsigned)_i / VM_N_EVENTS, on = (unsigned)_i % VM_N_EVENTS;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    unsigned state = from;
    bool moved = sf_machine_move(&vm_machine, &state, on, "s1", &err);

    if (want[from][on] == '.') {
        ck_assert(!moved);
        ck_assert_uint_eq(state, from); /* a refused move changes nothing */
        ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'s1'"));
    } else {
        ck_assert_msg(moved, "%s", SF_WHY(err));
        ck_assert_int_eq(letters[state], want[from][on]);
    }
}
END_TEST

START_TEST(the_readme_shows_it)
{
    static char readme[65536], grid[4096];
    FILE *file = fopen(README, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(readme, 1, sizeof(readme) - 1, file), 0);
    fclose(file);

    file = fmemopen(grid, sizeof(grid), "w");
    sf_machine_print(&vm_machine, file);
    fclose(file);
    ck_assert_msg(strstr(readme, grid) != NULL, "it should have:\n%s", grid);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vm_state");
    TCase *cells = tcase_create("cells");
    tcase_add_loop_test(cells, cell, 0, VM_N_STATES * VM_N_EVENTS);
    tcase_add_test(cells, the_readme_shows_it);
    suite_add_tcase(suite, cells);
    return sf_suite_run(suite);
}
