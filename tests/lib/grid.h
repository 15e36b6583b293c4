#ifndef LIB_GRID_H
#define LIB_GRID_H

/*
 * A state machine a second time, as a grid: one row a state, one column an event, one letter for
 * the state that it leads to, a dot where it is forbidden. What a test states so, it states apart
 * from the table that it checks.
 */

#include <check.h>
#include <string.h>

#include "base/error.h"
#include "machine.h"

static inline void grid_check_cell(const struct sf_machine *m, const char *const *grid,
                                   const char *letters, unsigned cell)
{
    unsigned from = cell / m->n_events, on = cell % m->n_events;
    unsigned state = from;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    bool moved = sf_machine_move(m, &state, on, "x1", &err);

    ck_assert_uint_eq(strlen(grid[from]), m->n_events);
    if (grid[from][on] == '.') {
        ck_assert_msg(!moved, "%s: %s, %s is allowed", m->noun, m->states[from], m->events[on]);
        ck_assert_uint_eq(state, from); /* a refused move changes nothing */
        ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'x1'"));
    } else {
        ck_assert_msg(moved, "%s", err != NULL ? sf_error_message(err) : "?");
        ck_assert_int_eq(letters[state], grid[from][on]);
    }
}

#endif
