#include "base/suite.h"

#include <string.h>
#include <unistd.h>

#include "guest/agent/scratch_dir.h"
#include "guest/agent/scsi.h"

/* A SCSI host as sysfs shows it: the class has a link to the device. */
static void add_host(int number, const char *device)
{
    char name[64], path[256];

    snprintf(path, sizeof(path), "devices/%s/host%d", device, number);
    ck_assert(make_directories(scratch_path(path)));
    ck_assert(make_directories(scratch_path("class/scsi_host")));
    snprintf(name, sizeof(name), "class/scsi_host/host%d", number);
    ck_assert_int_eq(symlink(scratch_path(path), scratch_path(name)), 0);
}

static void add_disk(const char *address, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "class/scsi_device/%s/device/block/%s", address, name);
    ck_assert(make_directories(scratch_path(path)));
}

START_TEST(controllers_are_counted_by_pci_address_not_by_number)
{
    add_host(3, "pci0000:00/0000:00:04.0/virtio2");
    add_host(1, "pci0000:00/0000:00:05.0/virtio7");
    add_host(0, "pci0000:00/0000:00:1f.2/ata1"); /* another kind */
    add_host(10, "pci0000:00/0000:00:10.0/0000:01:00.0/virtio9");

    ck_assert_int_eq(scsi_host_of(scratch_dir, 0), 3);
    ck_assert_int_eq(scsi_host_of(scratch_dir, 1), 1);
    ck_assert_int_eq(scsi_host_of(scratch_dir, 2), 10);
    ck_assert_int_eq(scsi_host_of(scratch_dir, 3), -1);
    ck_assert_int_eq(scsi_host_of(scratch_dir, UINT32_MAX), -1);
}
END_TEST

START_TEST(no_controller_is_no_crash)
{
    ck_assert_int_eq(scsi_host_of(scratch_dir, 0), -1);
    ck_assert_int_eq(scsi_host_of("/nowhere", 0), -1);
}
END_TEST

START_TEST(a_disk_is_found_by_host_and_lun)
{
    char name[SCSI_NAME_ROOM] = "";

    add_disk("3:0:0:0", "sda");
    add_disk("3:0:0:11", "sdaa");
    add_disk("1:0:0:1", "sdb");
    ck_assert(scsi_disk_of(scratch_dir, 3, 11, name));
    ck_assert_str_eq(name, "sdaa");
    ck_assert(scsi_disk_of(scratch_dir, 1, 1, name));
    ck_assert_str_eq(name, "sdb");
    ck_assert(!scsi_disk_of(scratch_dir, 3, 1, name));
    ck_assert(!scsi_disk_of(scratch_dir, 1, 0, name));
}
END_TEST

START_TEST(what_is_no_disk_does_not_count)
{
    char name[SCSI_NAME_ROOM] = "";

    add_disk("3:0:0:0", "sr0");
    ck_assert(!scsi_disk_of(scratch_dir, 3, 0, name));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_scsi");
    TCase *tc = tcase_create("scsi");

    tcase_add_checked_fixture(tc, scratch_dir_make, scratch_dir_remove);
    tcase_add_test(tc, controllers_are_counted_by_pci_address_not_by_number);
    tcase_add_test(tc, no_controller_is_no_crash);
    tcase_add_test(tc, a_disk_is_found_by_host_and_lun);
    tcase_add_test(tc, what_is_no_disk_does_not_count);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
