#include "machine.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { CLOSED, OPEN, LOCKED, N_STATES };
enum { PUSH, PULL, TURN, N_EVENTS };

static const char *const states[] = {"closed", "open", "locked"};
static const char *const events[] = {"push", "pull", "turn"};

// clang-format off
static const struct sf_step steps[] = {
    { CLOSED, PUSH, OPEN   },
    { CLOSED, TURN, LOCKED },
    { OPEN,   PULL, CLOSED },
    { OPEN,   PUSH, OPEN   },
    { LOCKED, TURN, CLOSED },
};
/*                                  push
 *                                  |pull
 *                                  ||turn */
static const char *const want[] = { "O.L",    /* closed */
                                    "OC.",    /* open   */
                                    "..C" };  /* locked */
// clang-format on

static const struct sf_machine door = {
    .noun = "door",
    .states = states,
    .n_states = N_STATES,
    .events = events,
    .n_events = N_EVENTS,
    .steps = steps,
    .n_steps = sizeof(steps) / sizeof(steps[0]),
};

START_TEST(cell)
{
    unsigned from = (unsigned)_i / N_EVENTS, on = (unsigned)_i % N_EVENTS, state = from, to = 99;
    struct sf_error *err = NULL;
    bool moved = sf_machine_move(&door, &state, on, "d1", &err);

    ck_assert_int_eq(sf_machine_next(&door, from, on, &to), moved);
    if (want[from][on] == '.') {
        ck_assert(!moved);
        ck_assert_uint_eq(state, from);
        ck_assert_uint_eq(to, 99);
        ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "door 'd1' is "));
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), events[on]));
        sf_error_free(err);
    } else {
        ck_assert(moved);
        ck_assert_ptr_null(err);
        ck_assert_int_eq("COL"[state], want[from][on]);
        ck_assert_uint_eq(to, state);
    }
}
END_TEST

START_TEST(the_grid_shows_every_cell)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    sf_machine_print(&door, out);
    fclose(out);
    ck_assert_str_eq(text, "| door | push | pull | turn |\n"
                           "|---|---|---|---|\n"
                           "| **closed** | open | - | locked |\n"
                           "| **open** | open | closed | - |\n"
                           "| **locked** | - | - | closed |\n");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine");
    TCase *t = tcase_create("machine");
    tcase_add_loop_test(t, cell, 0, N_STATES * N_EVENTS);
    tcase_add_test(t, the_grid_shows_every_cell);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
