#include "base/suite.h"

#include <string.h>

#include "guest/agent/modules.h"
#include "guest/agent/scratch_dir.h"

static char seen[1024];

static void note(void *context, const char *path)
{
    ck_assert_ptr_eq(context, seen);
    ck_assert(strncmp(path, scratch_dir, strlen(scratch_dir)) == 0);
    strcat(seen, strrchr(path, '/') + 1);
    strcat(seen, " ");
}

static void write_list(const char *text)
{
    ck_assert(write_file(scratch_path("boot.list"), text, strlen(text)));
    seen[0] = '\0';
    modules_each(scratch_dir, "boot", note, seen);
}

START_TEST(the_order_of_the_list_is_the_order_of_loading)
{
    write_list("virtio_ring.ko\nvirtio.ko\nvirtio_pci.ko\n");
    ck_assert_str_eq(seen, "virtio_ring.ko virtio.ko virtio_pci.ko ");
}
END_TEST

START_TEST(empty_lines_and_a_missing_last_newline_are_fine)
{
    write_list("\na.ko\n\nb.ko");
    ck_assert_str_eq(seen, "a.ko b.ko ");
}
END_TEST

START_TEST(nothing_outside_of_the_folder_is_loaded)
{
    write_list("../x.ko\n/y.ko\nz.ko\n");
    ck_assert_str_eq(seen, "z.ko ");
}
END_TEST

START_TEST(a_group_without_a_list_is_empty)
{
    seen[0] = '\0';
    modules_each(scratch_dir, "none", note, seen);
    ck_assert_str_eq(seen, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_modules");
    TCase *tc = tcase_create("modules");

    tcase_add_checked_fixture(tc, scratch_dir_make, scratch_dir_remove);
    tcase_add_test(tc, the_order_of_the_list_is_the_order_of_loading);
    tcase_add_test(tc, empty_lines_and_a_missing_last_newline_are_fine);
    tcase_add_test(tc, nothing_outside_of_the_folder_is_loaded);
    tcase_add_test(tc, a_group_without_a_list_is_empty);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
