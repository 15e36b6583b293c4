#include "base/suite.h"

#include "lib/grid.h"
#include "vpci/device.h"

/* clang-format off */
static const char *const devices[DEVICE_N_STATES] = {
    /*                   +---------- plug done
     *                   |+--------- plug failed
     *                   ||+-------- guest done
     *                   |||+------- guest failed
     *                   ||||+------ left out
     *                   |||||+----- unplug done
     *                   ||||||+---- unplug failed */
    [DEVICE_RESERVED] = "AM.....",
    [DEVICE_ASSIGNED] = "..RI...",
    [DEVICE_READY]    = "...IMMI",
    [DEVICE_INVALID]  = ".....MI",
    [DEVICE_REMOVED]  = ".......",
};
/* clang-format on */

START_TEST(cell)
{
    grid_check_cell(&device_machine, devices, "SARIM", (unsigned)_i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vpci_states");
    TCase *cells = tcase_create("cells");

    tcase_add_loop_test(cells, cell, 0, DEVICE_N_STATES * DEVICE_N_EVENTS);
    suite_add_tcase(suite, cells);
    return sf_suite_run(suite);
}
