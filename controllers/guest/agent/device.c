#include "guest/agent/device.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/job.h"
#include "guest/agent/modules.h"
#include "guest/agent/pci.h"
#include "guest/agent/reply.h"

#define APPEAR_MS     10000
#define RESCAN_MS     500 /* if the kernel has not said by itself that there is a new device */
#define SETTLE_MS     60  /* nodes may come after the device can be used */
#define LOOK_EVERY_MS 5

typedef Sandferry__V1__AgentAddDevice AddDevice;
typedef Sandferry__V1__AgentRemoveDevice RemoveDevice;

static void wait_a_little(void)
{
    struct timespec t = {.tv_nsec = LOOK_EVERY_MS * 1000000L};

    nanosleep(&t, NULL);
}

/* Into a file of a device, or of the bus. What the kernel does for it is done when this returns. */
static bool tell(const char *device, const char *file, const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "/sys/bus/pci/%s%s%s", device != NULL ? "devices/" : "",
             device != NULL ? device : "", file);
    return write_file(path, text, strlen(text));
}

/* A device can be seen before all of it is there. A rescan of its bus waits for whoever is adding
 * it. */
static void wait_until_added(const char *device)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "/sys/class/pci_bus/%.7s/rescan", device);
    write_file(path, "1", 1);
}

/* ---- a device that was plugged ---- */

bool device_find(const char *name, char port[PCI_ADDRESS_ROOM], char ret[PCI_ADDRESS_ROOM],
                 struct outcome *o)
{
    char path[PATH_MAX];

    if (!pci_port_of(name, port))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.64s' is no root port", name);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", port);
    if (access(path, F_OK) < 0)
        return outcome_fail(o, SF_NOT_FOUND, "the guest has no root port '%.64s' (%s)", name, port);
    if (!pci_device_at("/sys", port, ret))
        ret[0] = '\0';
    return true;
}

static bool wait_for_device(const char *name, char ret[PCI_ADDRESS_ROOM], struct outcome *o)
{
    char port[PCI_ADDRESS_ROOM];

    for (long waited = 0; waited < APPEAR_MS; waited += LOOK_EVERY_MS) {
        if (!device_find(name, port, ret, o))
            return false;
        if (ret[0] != '\0') {
            wait_until_added(ret);
            return true;
        }
        if (waited % RESCAN_MS == RESCAN_MS - LOOK_EVERY_MS)
            tell(port, "/rescan", "1");
        wait_a_little();
    }
    return outcome_fail(o, SF_NOT_FOUND,
                        "no device appeared at '%.64s' (%s) in the guest within %d s", name, port,
                        APPEAR_MS / 1000);
}

/* Asking the bus for a driver comes back when one has the device, or none wants it. */
static bool wait_for_driver(const char *device, struct outcome *o)
{
    const struct pci_kind *kind = pci_kind_of("/sys", device);
    char driver[PCI_NAME_ROOM];

    if (kind != NULL && kind->modules != NULL)
        modules_load(kind->modules);
    if (!pci_driver_of("/sys", device, driver))
        tell(NULL, "drivers_probe", device);
    if (kind == NULL)
        return true;
    for (long waited = 0; waited < APPEAR_MS; waited += LOOK_EVERY_MS) {
        if (pci_is_ready("/sys", device, kind))
            return true;
        wait_a_little();
    }
    return outcome_fail(o, SF_UNAVAILABLE,
                        "device %s is in the guest, but its driver did not come up within %d s",
                        device, APPEAR_MS / 1000);
}

/* Whoever uses a device without a driver maps its memory, which has to answer then. */
static void enable(const char *device)
{
    char path[PATH_MAX], is[8] = "";

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", device);
    if (read_file(path, is, sizeof(is)) > 0 && is[0] == '0' && !tell(device, "/enable", "1"))
        agent_log("device %s cannot be enabled: %s, continuing", device, strerror(errno));
}

static bool wait_for_nodes(const char *device, struct pci_handles *ret, struct outcome *o)
{
    size_t last = SIZE_MAX;

    for (long same = 0; same < SETTLE_MS; same += LOOK_EVERY_MS) {
        if (!pci_handles_of("/sys", device, ret))
            return outcome_fail(o, SF_RESOURCE_EXHAUSTED,
                                "device %s has more than %d device nodes in the guest", device,
                                PCI_NODES_MAX);
        if (ret->n_nodes != last)
            same = 0;
        last = ret->n_nodes;
        wait_a_little();
    }
    return true;
}

bool device_wait(const char *name, char ret[PCI_ADDRESS_ROOM], struct outcome *o)
{
    return wait_for_device(name, ret, o) && wait_for_driver(ret, o);
}

/* In a job's child. Text: the address, the driver and the nodes with their numbers, a line each. */
static bool add(const void *request, struct outcome *o)
{
    const AddDevice *r = request;
    char device[PCI_ADDRESS_ROOM], driver[PCI_NAME_ROOM] = "";
    struct pci_handles handles = {0};

    if (!device_wait(r->guest_address, device, o))
        return false;
    if (!pci_driver_of("/sys", device, driver))
        enable(device);
    else if (!wait_for_nodes(device, &handles, o))
        return false;
    size_t size = (size_t)snprintf(o->text, sizeof(o->text), "%s\n%s\n", device, driver);
    for (size_t i = 0; i < handles.n_nodes && size < sizeof(o->text); i++)
        size += (size_t)snprintf(o->text + size, sizeof(o->text) - size, "/dev/%s %c %u %u\n",
                                 handles.nodes[i].name, handles.nodes[i].block ? 'b' : 'c',
                                 major(handles.nodes[i].number), minor(handles.nodes[i].number));
    return size < sizeof(o->text) ||
           outcome_fail(o, SF_RESOURCE_EXHAUSTED, "device %s has too long names", device);
}

/* "/dev/nvme0 c 245 0": the text ends behind the name. */
static void take_number(char *line, Sandferry__V1__AgentDeviceNumber *ret)
{
    char kind = 'c', *rest = strchr(line, ' ');

    sandferry__v1__agent_device_number__init(ret);
    if (rest == NULL)
        return;
    sscanf(rest, " %c %" SCNu32 " %" SCNu32, &kind, &ret->major, &ret->minor);
    ret->block = kind == 'b';
    *rest = '\0';
}

static void added(uint64_t id, void *context, const struct outcome *o)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentAddDeviceReply body = SANDFERRY__V1__AGENT_ADD_DEVICE_REPLY__INIT;
    Sandferry__V1__AgentDeviceNumber numbers[PCI_NODES_MAX], *all_numbers[PCI_NODES_MAX];
    char text[sizeof(o->text)], *lines[PCI_NODES_MAX + 2] = {text};
    size_t n = 0;
    (void)context;

    snprintf(text, sizeof(text), "%s", o->text);
    for (char *at = text, *end; n < PCI_NODES_MAX + 2 && (end = strchr(at, '\n')) != NULL; n++) {
        *end = '\0';
        lines[n] = at;
        at = end + 1;
    }
    if (o->code == SF_OK && n >= 2) {
        body.pci_address = lines[0];
        body.driver = lines[1];
        body.nodes = lines + 2;
        body.n_nodes = body.n_numbers = n - 2;
        body.numbers = all_numbers;
        for (size_t i = 0; i < body.n_nodes; i++) {
            take_number(body.nodes[i], &numbers[i]);
            all_numbers[i] = &numbers[i];
        }
        reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_ADD_DEVICE;
        reply.add_device = &body;
    }
    reply_send(id, o, &reply);
}

void device_add(uint64_t id, const AddDevice *request)
{
    job_start(id, add, request, added, NULL);
}

/* ---- a device that is to be unplugged ---- */

bool device_unbind(const char *device, struct outcome *o)
{
    char driver[PCI_NAME_ROOM];

    if (!pci_driver_of("/sys", device, driver) || tell(device, "/driver/unbind", device) ||
        !pci_driver_of("/sys", device, driver))
        return true;
    return outcome_fail(o, SF_UNAVAILABLE,
                        "driver '%s' does not let go of device %s: %s; try again", driver, device,
                        strerror(errno));
}

/* In a job's child. */
static bool let_go(const void *request, struct outcome *o)
{
    const RemoveDevice *r = request;
    char port[PCI_ADDRESS_ROOM], device[PCI_ADDRESS_ROOM], users[700];
    struct pci_handles handles;

    if (!device_find(r->guest_address, port, device, o))
        return false;
    if (device[0] == '\0')
        return true;
    pci_handles_of("/sys", device, &handles); /* as many as there is room for */
    if (!r->force && pci_users("/proc", device, &handles, users, sizeof(users)) > 0)
        return outcome_fail(o, SF_FAILED_PRECONDITION, "%s in the guest; end that first", users);
    return r->only_ask || device_unbind(device, o);
}

void device_remove(uint64_t id, const RemoveDevice *request)
{
    job_start(id, let_go, request, NULL, NULL);
}
