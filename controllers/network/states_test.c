#include "base/suite.h"

#include "lib/grid.h"
#include "network/network.h"

/* clang-format off */
static const char *const cells_of[NETWORK_N_STATES] = {
    /*                          +---- setup done
     *                          |+--- setup failed
     *                          ||+-- teardown done
     *                          |||+- teardown failed */
    [NETWORK_NOT_CONFIGURED] = "CIN.",
    [NETWORK_CONFIGURED]     = "..TI",
    [NETWORK_INVALID]        = "..TI",
    [NETWORK_TORN_DOWN]      = "..T.",
};
/* clang-format on */

START_TEST(cell)
{
    grid_check_cell(&network_machine, cells_of, "NCIT", (unsigned)_i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network_states");
    TCase *cells = tcase_create("cells");

    tcase_add_loop_test(cells, cell, 0, NETWORK_N_STATES * NETWORK_N_EVENTS);
    suite_add_tcase(suite, cells);
    return sf_suite_run(suite);
}
