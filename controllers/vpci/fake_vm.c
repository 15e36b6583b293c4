#include "vpci/fake_vm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "sandferry/v1/agent.pb-c.h"
#include "vpci/host.h"

#define IDS_MAX 1024

typedef Sandferry__V1__AgentRequest request_t;
typedef Sandferry__V1__AgentReply reply_t;

struct sf_sandbox *sandbox;
struct vpci *v;
struct sf_error *err;
struct fake_port vm_ports[VPCI_PORTS];

static char ids[IDS_MAX][SF_GUID_SIZE];
static unsigned next_id;
static char sys_path[128], dev_path[128];

/* ---- the host's PCI functions ---- */

static void make_all(const char *path)
{
    char part[256];

    for (const char *slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        mkdir(part, 0700);
    }
    mkdir(path, 0700);
}

static const char *under(const char *root, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const char *under(const char *root, const char *fmt, ...)
{
    static char path[256];
    va_list args;

    int n = snprintf(path, sizeof(path), "%s/", root);
    va_start(args, fmt);
    vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, args);
    va_end(args);
    return path;
}

static void add_function(const char *address, const char *driver, const char *group)
{
    make_all(under(sys_path, "bus/pci/devices/%s", address));
    if (driver != NULL)
        ck_assert_int_eq(symlink(driver, under(sys_path, "bus/pci/devices/%s/driver", address)), 0);
    ck_assert_int_eq(symlink(group, under(sys_path, "bus/pci/devices/%s/iommu_group", address)), 0);
}

static void make_functions(void)
{
    snprintf(sys_path, sizeof(sys_path), "%s/sys", fake_host_root());
    snprintf(dev_path, sizeof(dev_path), "%s/dev", fake_host_root());
    make_all(under(dev_path, "vfio/vfio"));
    make_all(under(dev_path, "vfio/7"));
    make_all(under(dev_path, "vfio/8"));
    add_function(HOST_PLAIN, "../../drivers/vfio-pci", "../../groups/7");
    add_function(HOST_SRIOV, "../../drivers/vfio-pci", "../../groups/8");
    add_function(HOST_VF_1, "../../drivers/vfio-pci", "../../groups/8");
    add_function(HOST_VF_2, "../../drivers/vfio-pci", "../../groups/8");
    add_function(HOST_UNBOUND, "../../drivers/e1000e", "../../groups/7");
    ck_assert_int_eq(
        symlink("../" HOST_VF_1, under(sys_path, "bus/pci/devices/" HOST_SRIOV "/virtfn0")), 0);
    ck_assert_int_eq(
        symlink("../" HOST_VF_2, under(sys_path, "bus/pci/devices/" HOST_SRIOV "/virtfn1")), 0);
    host_sys = sys_path;
    host_dev = dev_path;
}

/* ---- the VM ---- */

static struct fake_port *port_of(const char *name)
{
    return strlen(name) == 5 && name[4] >= '0' && name[4] < '0' + VPCI_PORTS
               ? &vm_ports[name[4] - '0']
               : NULL;
}

static bool plug(const json_t *arguments, struct sf_error **ret)
{
    const char *driver = json_string_value(json_object_get(arguments, "driver"));
    const char *bus = json_string_value(json_object_get(arguments, "bus"));
    const char *host = json_string_value(json_object_get(arguments, "host"));
    struct fake_port *port = port_of(bus != NULL ? bus : "");

    ck_assert(driver != NULL && port != NULL);
    ck_assert_str_eq(json_string_value(json_object_get(arguments, "id")) + 5, bus + 4);
    if (port->driver[0] != '\0')
        return sf_fail(ret, SF_FAILED_PRECONDITION, "PCI: slot 0 function 0 already occupied");
    snprintf(port->driver, sizeof(port->driver), "%s", driver);
    snprintf(port->host, sizeof(port->host), "%s", host != NULL ? host : "");
    return true;
}

static bool qemu(const char *command, const char *text, char **ret_json, struct sf_error **ret)
{
    json_t *arguments = json_loads(text, 0, NULL);
    bool ok = true;

    ck_assert_ptr_nonnull(arguments);
    *ret_json = strdup("{}");
    if (strcmp(command, "device_add") == 0) {
        ok = plug(arguments, ret);
    } else if (strcmp(command, "device_del") == 0) {
        const char *id = json_string_value(json_object_get(arguments, "id"));
        ck_assert(strncmp(id, "vpci-", 5) == 0);
        vm_ports[atoi(id + 5)] = (struct fake_port){0};
    } else {
        ck_assert_str_eq(command, "device-list-properties");
    }
    json_decref(arguments);
    return ok;
}

unsigned vm_plugged(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < VPCI_PORTS; i++)
        n += vm_ports[i].driver[0] != '\0';
    return n;
}

/* ---- the guest ---- */

static void say_found(const struct fake_port *port, reply_t *reply)
{
    Sandferry__V1__AgentAddDeviceReply *found = calloc(1, sizeof(*found));

    sandferry__v1__agent_add_device_reply__init(found);
    found->pci_address = sf_format("0000:%02x:00.0", (unsigned)(port - vm_ports) + 1);
    if (strcmp(port->driver, "edu") != 0)
        found->driver = strdup(port->driver);
    if (strcmp(port->driver, "nvme") == 0) {
        found->nodes = calloc(1, sizeof(char *));
        found->nodes[found->n_nodes++] = sf_format("/dev/nvme%u", port->number);
        found->numbers = calloc(1, sizeof(found->numbers[0]));
        found->numbers[0] = calloc(1, sizeof(*found->numbers[0]));
        sandferry__v1__agent_device_number__init(found->numbers[0]);
        found->numbers[0]->major = 241;
        found->numbers[found->n_numbers++]->minor = port->number;
    }
    reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_ADD_DEVICE;
    reply->add_device = found;
}

/* As the guest's driver does: the lowest that is free. */
static unsigned free_number(void)
{
    for (unsigned number = 0;; number++) {
        bool taken = false;
        for (unsigned i = 0; i < VPCI_PORTS; i++)
            taken = taken || (vm_ports[i].bound && strcmp(vm_ports[i].driver, "nvme") == 0 &&
                              vm_ports[i].number == number);
        if (!taken)
            return number;
    }
}

static bool guest_adds(const struct fake_port *port, reply_t *reply, struct sf_error **ret)
{
    if (port->driver[0] == '\0')
        return sf_fail(ret, SF_NOT_FOUND, "no device appeared");
    if (!port->bound)
        vm_ports[port - vm_ports].number = free_number();
    vm_ports[port - vm_ports].bound = true;
    say_found(port, reply);
    return true;
}

static bool guest_removes(struct fake_port *port, const Sandferry__V1__AgentRemoveDevice *q,
                          struct sf_error **ret)
{
    if (port->driver[0] != '\0' && port->used && !q->force)
        return sf_fail(ret, SF_FAILED_PRECONDITION,
                       "process 7 ('sh') of container 'c1' has 'nvme0' open in the guest");
    if (!q->only_ask)
        port->bound = false;
    return true;
}

static bool guest(const void *request, void *reply, struct sf_error **ret)
{
    const request_t *q = request;

    if (q->body_case == SANDFERRY__V1__AGENT_REQUEST__BODY_ADD_DEVICE)
        return guest_adds(port_of(q->add_device->guest_address), reply, ret);
    ck_assert_int_eq(q->body_case, SANDFERRY__V1__AGENT_REQUEST__BODY_REMOVE_DEVICE);
    return guest_removes(port_of(q->remove_device->guest_address), q->remove_device, ret);
}

/* ---- the fixture ---- */

void fixture_next_sandbox(void)
{
    if (sandbox != NULL)
        fake_sandbox_free(sandbox);
    memset(vm_ports, 0, sizeof(vm_ports));
    sandbox = fake_sandbox_new("s1");
    v = (struct vpci *)sandbox->controller;
}

void fixture_make(void)
{
    ck_assert(fake_host_make());
    make_functions();
    fake_machine_answers(qemu);
    fake_guest_answers(guest);
    next_id = 0;
    fixture_next_sandbox();
}

void fixture_remove(void)
{
    sf_error_free(SF_STEAL(err));
    fake_sandbox_free(SF_STEAL(sandbox));
    fake_host_remove();
    host_sys = "/sys";
    host_dev = "/dev";
}

static const char *reserve(const struct sf_device_request *q)
{
    struct device_config config;

    ck_assert_uint_lt(next_id, IDS_MAX);
    ck_assert_msg(vpci_config(q, &config, &err), "%s", SF_WHY(err));
    ck_assert_msg(vpci_reserve(v, &config, ids[next_id], &err), "%s", SF_WHY(err));
    return ids[next_id++];
}

const char *reserve_model(const char *model)
{
    return reserve(&(struct sf_device_request){.model = model});
}

const char *reserve_host(const char *address, unsigned virtual_function)
{
    return reserve(
        &(struct sf_device_request){.host_address = address, .virtual_function = virtual_function});
}

const struct device_found *map(const char *id)
{
    const struct device_found *found = NULL;

    ck_assert_msg(vpci_map(v, id, &found, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(device_of(id)->state, DEVICE_READY);
    return found;
}

void release(const char *id)
{
    ck_assert_msg(vpci_release(v, id, &err), "%s", SF_WHY(err));
    ck_assert_ptr_null(vpci_find_reservation(v, id));
}

const char *add_model(const char *model)
{
    const char *id = reserve_model(model);

    map(id);
    return id;
}

struct device *device_of(const char *id)
{
    const struct reservation *r = vpci_find_reservation(v, id);

    ck_assert_ptr_nonnull(r);
    struct device *d = vpci_find_device(v, r->device);
    ck_assert_ptr_nonnull(d);
    return d;
}

bool failed_with(enum sf_code code, const char *words)
{
    bool as_said =
        err != NULL && sf_error_code(err) == code && strstr(sf_error_message(err), words) != NULL;

    if (!as_said)
        printf("code %d: %s\n", err != NULL ? (int)sf_error_code(err) : 0, SF_WHY(err));
    sf_error_free(SF_STEAL(err));
    return as_said;
}

struct sf_bytes saved_section(void)
{
    struct sf_bytes section = {0};

    ck_assert_msg(vpci_to_section(v, &section, &err), "%s", SF_WHY(err));
    return section;
}

void import_section(const struct sf_bytes *section)
{
    fixture_next_sandbox();
    ck_assert_msg(v->base.cls->import(&v->base, section, VPCI_SECTION_VERSION, &err), "%s",
                  SF_WHY(err));
}

/* ---- what is always true ---- */

static void check_device(const struct device *d)
{
    uint32_t held = 0;
    bool in_vm = device_is_in_vm(d) && d->away != DEVICE_OUT;

    for (size_t i = 0; i < v->n_reservations; i++)
        held += strcmp(v->reservations[i].device, d->id) == 0;
    ck_assert_uint_eq(d->refs, held);
    ck_assert_uint_gt(d->refs, 0);
    ck_assert_uint_ne(d->state, DEVICE_ASSIGNED); /* only within a call */
    ck_assert(d->state == DEVICE_READY || d->away == DEVICE_HERE);
    ck_assert(!device_is_in_vm(d) || d->port != VPCI_NO_PORT);
    ck_assert(d->state != DEVICE_RESERVED || d->port == VPCI_NO_PORT);
    if (d->state == DEVICE_READY && d->away == DEVICE_HERE) {
        ck_assert(vm_ports[d->port].driver[0] != '\0');
        ck_assert(vm_ports[d->port].bound);
    }
    if (d->port != VPCI_NO_PORT && !in_vm && !d->leftover)
        ck_assert(vm_ports[d->port].driver[0] == '\0');
}

static void check_ports(void)
{
    for (int port = 0; port < VPCI_PORTS; port++) {
        unsigned owners = 0;
        for (size_t i = 0; i < v->n_devices; i++)
            owners += v->devices[i]->port == port;
        ck_assert_uint_le(owners, 1);
        ck_assert(owners == 1 || vm_ports[port].driver[0] == '\0'); /* nothing is forgotten there */
    }
}

static bool can_travel(void)
{
    for (size_t i = 0; i < v->n_devices; i++)
        if (v->devices[i]->state != DEVICE_RESERVED && v->devices[i]->state != DEVICE_READY)
            return false;
    return true;
}

static void check_section(void)
{
    struct sf_bytes one = saved_section(), two = {0};
    struct vpci other = {.base = v->base};

    ck_assert_msg(vpci_from_section(&other, &one, &err), "%s", SF_WHY(err));
    ck_assert_msg(vpci_to_section(&other, &two, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(one.size, two.size);
    ck_assert(one.size == 0 || memcmp(one.data, two.data, one.size) == 0);
    vpci_empty(&other);
    sf_bytes_done(&one);
    sf_bytes_done(&two);
}

void books_are_right(void)
{
    for (size_t i = 0; i < v->n_devices; i++) {
        check_device(v->devices[i]);
        ck_assert(i == 0 || strcmp(v->devices[i - 1]->id, v->devices[i]->id) < 0);
    }
    for (size_t i = 0; i < v->n_reservations; i++) {
        ck_assert_ptr_nonnull(vpci_find_device(v, v->reservations[i].device));
        ck_assert(i == 0 || strcmp(v->reservations[i - 1].id, v->reservations[i].id) < 0);
    }
    check_ports();
    if (can_travel())
        check_section();
}

int fixture_suite(const char *name, TCase *tc)
{
    Suite *suite = suite_create(name);

    tcase_add_checked_fixture(tc, fixture_make, fixture_remove);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
