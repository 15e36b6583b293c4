#include "base/suite.h"

#include "lib/grid.h"
#include "scsi/disk.h"

/* clang-format off */
static const char *const disks[DISK_N_STATES] = {
    /*                 +------- attach done
     *                 |+------ attach failed
     *                 ||+----- eject done
     *                 |||+---- remove done */
    [DISK_RESERVED] = "AD..",
    [DISK_ATTACHED] = "..E.",
    [DISK_EJECTED]  = "...D",
    [DISK_DETACHED] = "....",
};
static const char *const mounts[MOUNT_N_STATES] = {
    /*                   +------ mount done
     *                   |+----- mount failed
     *                   ||+---- unmount done */
    [MOUNT_RESERVED]  = "MU.",
    [MOUNT_MOUNTED]   = "..U",
    [MOUNT_UNMOUNTED] = "...",
};
/* clang-format on */

START_TEST(disk_cell)
{
    grid_check_cell(&disk_machine, disks, "RAED", (unsigned)_i);
}
END_TEST

START_TEST(mount_cell)
{
    grid_check_cell(&mount_machine, mounts, "RMU", (unsigned)_i);
}
END_TEST

START_TEST(options_are_a_multiset)
{
    struct mount_config a = {0}, b = {0};

    ck_assert(mount_config_add_option(&a, "noatime") && mount_config_add_option(&a, "nodev"));
    ck_assert(mount_config_add_option(&b, "nodev") && mount_config_add_option(&b, "noatime"));
    ck_assert(mount_config_equal(&a, &b));
    ck_assert(mount_config_add_option(&b, "nodev"));
    ck_assert(!mount_config_equal(&a, &b)); /* twice is not once */
}
END_TEST

START_TEST(mounts_are_sorted_by_partition)
{
    const struct disk_config config = {.path = "/d"};
    const struct mount_config mount = {0};
    struct disk *d = disk_new(67, &config);
    char name[16];

    ck_assert_ptr_nonnull(disk_add_mount(d, 2, &mount));
    ck_assert_ptr_nonnull(disk_add_mount(d, 0, &mount));
    struct disk_mount *one = disk_add_mount(d, 1, &mount);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(d->mounts[i]->partition, i);
    disk_drop_mount(d, one);
    ck_assert_ptr_null(disk_find_mount(d, 1));
    ck_assert_uint_eq(d->n_mounts, 2);
    ck_assert_str_eq(disk_name(d, name), "1:3");
    disk_free(d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scsi_states");
    TCase *cells = tcase_create("cells");
    tcase_add_loop_test(cells, disk_cell, 0, DISK_N_STATES * DISK_N_EVENTS);
    tcase_add_loop_test(cells, mount_cell, 0, MOUNT_N_STATES * MOUNT_N_EVENTS);
    suite_add_tcase(suite, cells);
    TCase *disk = tcase_create("disk");
    tcase_add_test(disk, options_are_a_multiset);
    tcase_add_test(disk, mounts_are_sorted_by_partition);
    suite_add_tcase(suite, disk);
    return sf_suite_run(suite);
}
