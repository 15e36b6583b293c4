#include "base/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/agent/pci.h"
#include "guest/agent/scratch_dir.h"

#define PORT3  "devices/pci0000:00/0000:00:10.3"
#define DEVICE PORT3 "/0000:04:00.0"

/* A link of a directory that may not be there yet; what it leads to is made, too. */
static void link_to(const char *target, const char *name)
{
    char from[256], to[256];

    snprintf(from, sizeof(from), "%s", scratch_path(target));
    snprintf(to, sizeof(to), "%s", scratch_path(name));
    ck_assert(make_directories(from));
    char *slash = strrchr(to, '/');
    *slash = '\0';
    ck_assert(make_directories(to));
    *slash = '/';
    ck_assert_int_eq(symlink(from, to), 0);
}

static void put(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s", scratch_path(name));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    ck_assert(make_directories(path));
    *slash = '/';
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

/* Root port 3 with a device in it, as sysfs shows them. */
static void plug(const char *class_code, const char *vendor, const char *number)
{
    link_to(PORT3, "bus/pci/devices/0000:00:10.3");
    link_to(DEVICE, "bus/pci/devices/0000:04:00.0");
    put(DEVICE "/class", class_code);
    put(DEVICE "/vendor", vendor);
    put(DEVICE "/device", number);
}

static void plug_nvme(void)
{
    plug("0x010802\n", "0x1b36\n", "0x0010\n");
    link_to("bus/pci/drivers/nvme", DEVICE "/driver");
    put(DEVICE "/nvme/nvme0/state", "live\n");
    put(DEVICE "/nvme/nvme0/dev", "241:0\n");
    put(DEVICE "/nvme/nvme0/uevent", "MAJOR=241\nMINOR=0\nDEVNAME=nvme0\n");
    put(DEVICE "/nvme/nvme0/nvme0n1/dev", "259:0\n");
    put(DEVICE "/nvme/nvme0/nvme0n1/uevent", "DEVNAME=nvme0n1\nMAJOR=259\n");
    link_to("class/block", DEVICE "/nvme/nvme0/nvme0n1/subsystem");
    put(DEVICE "/nvme/nvme0/ng0n1/dev", "240:0\n");
    put(DEVICE "/nvme/nvme0/ng0n1/uevent", "DEVNAME=ng0n1\n");
    put(DEVICE "/resource0", "");
    put(DEVICE "/resource", "");
    put(DEVICE "/config", "");
}

START_TEST(ports_have_the_names_of_the_machine_document)
{
    static const char *const none[] = {"port", "port8",    "port10",   "Port1", "port-",
                                       "",     "../port1", "nic",      "nic8",  "nic00",
                                       "nick", "nic/",     "port3nic3"};
    char port[PCI_ADDRESS_ROOM];

    ck_assert(pci_port_of("port0", port));
    ck_assert_str_eq(port, "0000:00:10.0");
    ck_assert(pci_port_of("port7", port));
    ck_assert_str_eq(port, "0000:00:10.7");
    ck_assert(pci_port_of("nic0", port));
    ck_assert_str_eq(port, "0000:00:11.0");
    ck_assert(pci_port_of("nic7", port));
    ck_assert_str_eq(port, "0000:00:11.7");
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert_msg(!pci_port_of(none[i], port), "%s", none[i]);
}
END_TEST

START_TEST(a_device_is_found_by_its_port)
{
    char device[PCI_ADDRESS_ROOM];

    ck_assert(!pci_device_at(scratch_dir, "0000:00:10.3", device));
    plug_nvme();
    put(PORT3 "/0000:04:00.1/class", "0x010802\n"); /* a second function */
    put(PORT3 "/0000:00:10.3:pcie004/uevent", "");  /* a service of the port, no device */
    ck_assert(pci_device_at(scratch_dir, "0000:00:10.3", device));
    ck_assert_str_eq(device, "0000:04:00.0");
    ck_assert(!pci_device_at(scratch_dir, "0000:00:10.2", device));
    ck_assert(!pci_device_at("/nowhere", "0000:00:10.3", device));
}
END_TEST

START_TEST(an_nvme_controller_is_ready_when_it_is_live)
{
    plug_nvme();
    const struct pci_kind *kind = pci_kind_of(scratch_dir, "0000:04:00.0");
    char driver[PCI_NAME_ROOM];

    ck_assert_ptr_nonnull(kind);
    ck_assert_str_eq(kind->modules, "nvme");
    ck_assert(pci_is_ready(scratch_dir, "0000:04:00.0", kind));
    put(DEVICE "/nvme/nvme0/state", "connecting\n");
    ck_assert(!pci_is_ready(scratch_dir, "0000:04:00.0", kind));
    ck_assert(pci_driver_of(scratch_dir, "0000:04:00.0", driver));
    ck_assert_str_eq(driver, "nvme");
}
END_TEST

START_TEST(a_virtio_rng_is_ready_when_its_driver_is_bound)
{
    plug("0x00ff00\n", "0x1af4\n", "0x1044\n");
    put(DEVICE "/virtio9/features", "");
    const struct pci_kind *kind = pci_kind_of(scratch_dir, "0000:04:00.0");

    ck_assert_ptr_nonnull(kind);
    ck_assert_str_eq(kind->modules, "rng");
    ck_assert(!pci_is_ready(scratch_dir, "0000:04:00.0", kind));
    link_to("bus/virtio/drivers/virtio_rng", DEVICE "/virtio9/driver");
    ck_assert(pci_is_ready(scratch_dir, "0000:04:00.0", kind));
}
END_TEST

START_TEST(of_another_device_nothing_is_waited_for)
{
    char driver[PCI_NAME_ROOM];

    plug("0x00ff00\n", "0x1234\n", "0x11e8\n");
    ck_assert_ptr_null(pci_kind_of(scratch_dir, "0000:04:00.0"));
    ck_assert(!pci_driver_of(scratch_dir, "0000:04:00.0", driver));
}
END_TEST

START_TEST(nodes_are_found_and_sorted)
{
    static const char *const names[] = {"ng0n1", "nvme0", "nvme0n1"};
    struct pci_handles handles;

    plug_nvme();
    put(DEVICE "/0000:05:00.0/misc/other/dev", "10:1\n"); /* behind a bridge: another device's */
    put(DEVICE "/0000:05:00.0/misc/other/uevent", "DEVNAME=other\n");
    link_to("devices/elsewhere", DEVICE "/subsystem"); /* not through links */
    put("devices/elsewhere/dev", "10:2\n");
    put("devices/elsewhere/uevent", "DEVNAME=elsewhere\n");
    ck_assert(pci_handles_of(scratch_dir, "0000:04:00.0", &handles));
    ck_assert_uint_eq(handles.n_nodes, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(handles.nodes[i].name, names[i]);
    ck_assert(!handles.nodes[1].block && handles.nodes[2].block);
    ck_assert(handles.nodes[1].number == makedev(241, 0));
    ck_assert_uint_eq(handles.n_files, 1); /* resource0; neither config nor resource */
}
END_TEST

START_TEST(too_many_nodes_are_no_crash)
{
    struct pci_handles handles;

    plug("0x020000\n", "0x8086\n", "0x1\n");
    for (int i = 0; i <= PCI_NODES_MAX; i++) {
        char name[128], text[64];
        snprintf(name, sizeof(name), DEVICE "/x/x%d/dev", i);
        snprintf(text, sizeof(text), "10:%d\n", i);
        put(name, text);
        snprintf(name, sizeof(name), DEVICE "/x/x%d/uevent", i);
        snprintf(text, sizeof(text), "DEVNAME=x%d\n", i);
        put(name, text);
    }
    ck_assert(!pci_handles_of(scratch_dir, "0000:04:00.0", &handles));
    ck_assert_uint_eq(handles.n_nodes, PCI_NODES_MAX);
}
END_TEST

/* ---- users: this process is one ---- */

static char words[700];

static bool names_this_process(const struct pci_handles *handles)
{
    char process[32];

    snprintf(process, sizeof(process), "process %d ('", (int)getpid());
    return pci_users("/proc", "0000:04:00.0", handles, words, sizeof(words)) > 0 &&
           strstr(words, process) != NULL;
}

START_TEST(an_open_node_is_used)
{
    struct pci_handles handles = {.n_nodes = 1};
    struct stat at;

    ck_assert_int_eq(stat("/dev/full", &at), 0);
    handles.nodes[0] = (struct pci_node){.name = "full", .number = at.st_rdev};
    ck_assert(!names_this_process(&handles));
    int fd = open("/dev/full", O_RDONLY | O_CLOEXEC);
    ck_assert(names_this_process(&handles));
    ck_assert_ptr_nonnull(strstr(words, "has 'full' open"));
    close(fd);
    ck_assert(!names_this_process(&handles));
}
END_TEST

START_TEST(a_resource_that_is_open_or_mapped_is_used)
{
    struct pci_handles handles;

    plug_nvme();
    put(DEVICE "/resource0", "some bytes");
    ck_assert(pci_handles_of(scratch_dir, "0000:04:00.0", &handles));
    handles.n_nodes = 0;
    ck_assert(!names_this_process(&handles));
    int fd = open(scratch_path(DEVICE "/resource0"), O_RDONLY | O_CLOEXEC);
    ck_assert(names_this_process(&handles));
    void *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert(memory != MAP_FAILED);
    close(fd);
    if (getuid() == 0) { /* the kernel tells nobody else what a mapping is of */
        ck_assert(names_this_process(&handles));
        ck_assert_ptr_nonnull(strstr(words, "has 'resource0' mapped"));
    }
    munmap(memory, 4096);
    ck_assert(!names_this_process(&handles));
}
END_TEST

START_TEST(a_user_is_named_with_its_container)
{
    struct pci_handles handles = {.n_nodes = 1};
    struct stat at;

    ck_assert_int_eq(stat("/dev/full", &at), 0);
    handles.nodes[0] = (struct pci_node){.name = "full", .number = at.st_rdev};
    put("proc/117/comm", "sh\n");
    put("proc/117/cgroup", "0::/c1/inner\n");
    put("proc/117/fd/.keep", "");
    ck_assert_int_eq(symlink("/dev/full", scratch_path("proc/117/fd/3")), 0);
    put("proc/self-made/comm", "no process\n");
    ck_assert_uint_eq(
        pci_users(scratch_path("proc"), "0000:04:00.0", &handles, words, sizeof(words)), 1);
    ck_assert_str_eq(words, "process 117 ('sh') of container 'c1' has 'full' open");
}
END_TEST

START_TEST(of_many_users_three_are_named)
{
    struct pci_handles handles = {.n_nodes = 1};
    struct stat at;

    ck_assert_int_eq(stat("/dev/full", &at), 0);
    handles.nodes[0] = (struct pci_node){.name = "full", .number = at.st_rdev};
    for (int pid = 1; pid <= 5; pid++) {
        char name[64];
        snprintf(name, sizeof(name), "proc/%d/fd/.keep", pid);
        put(name, "");
        snprintf(name, sizeof(name), "proc/%d/fd/0", pid);
        ck_assert_int_eq(symlink("/dev/full", scratch_path(name)), 0);
    }
    ck_assert_uint_eq(
        pci_users(scratch_path("proc"), "0000:04:00.0", &handles, words, sizeof(words)), 5);
    ck_assert_ptr_nonnull(strstr(words, " and 2 more"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_pci");
    TCase *tc = tcase_create("pci");

    tcase_add_checked_fixture(tc, scratch_dir_make, scratch_dir_remove);
    tcase_add_test(tc, ports_have_the_names_of_the_machine_document);
    tcase_add_test(tc, a_device_is_found_by_its_port);
    tcase_add_test(tc, an_nvme_controller_is_ready_when_it_is_live);
    tcase_add_test(tc, a_virtio_rng_is_ready_when_its_driver_is_bound);
    tcase_add_test(tc, of_another_device_nothing_is_waited_for);
    tcase_add_test(tc, nodes_are_found_and_sorted);
    tcase_add_test(tc, too_many_nodes_are_no_crash);
    tcase_add_test(tc, an_open_node_is_used);
    tcase_add_test(tc, a_resource_that_is_open_or_mapped_is_used);
    tcase_add_test(tc, a_user_is_named_with_its_container);
    tcase_add_test(tc, of_many_users_three_are_named);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
