#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The README shows the table as it is. */
START_TEST(readme_has_the_grid)
{
    static char text[16384];
    char *grid = NULL;
    size_t size = 0;
    FILE *readme = fopen(README, "r"), *out = open_memstream(&grid, &size);

    ck_assert_ptr_nonnull(readme);
    text[fread(text, 1, sizeof(text) - 1, readme)] = '\0';
    fclose(readme);
    sf_machine_print(&device_machine, out);
    fclose(out);
    ck_assert_msg(strstr(text, grid) != NULL, "the README lacks this:\n%s", grid);
    free(grid);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vpci_states");
    TCase *cells = tcase_create("cells");

    tcase_add_loop_test(cells, cell, 0, DEVICE_N_STATES * DEVICE_N_EVENTS);
    tcase_add_test(cells, readme_has_the_grid);
    suite_add_tcase(suite, cells);
    return sf_suite_run(suite);
}
