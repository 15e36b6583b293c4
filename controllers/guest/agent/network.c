#include "guest/agent/network.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "guest/agent/announce.h"
#include "guest/agent/device.h"
#include "guest/agent/files.h"
#include "guest/agent/job.h"
#include "guest/agent/netlink.h"
#include "guest/agent/netns.h"
#include "guest/agent/network_request.h"
#include "guest/agent/nic.h"
#include "guest/agent/reply.h"

/* Everything below network_...() runs in a job's child, which has a network namespace to lose. */

/* One change at a time; the child's end lets go. */
static bool lock_networks(struct outcome *o)
{
    int fd = -1;

    if (make_directories(NETWORK_DIR))
        fd = open(NETWORK_DIR "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return (fd >= 0 && flock(fd, LOCK_EX) == 0) ||
           outcome_fail(o, SF_INTERNAL, "'" NETWORK_DIR "': %s", strerror(errno));
}

/* ---- namespaces ---- */

/* Written in place: containers see this very file. */
static bool write_resolv_conf(const char *name, const char *text, struct outcome *o)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), NETWORK_DIR "/%s/resolv.conf", name);
    return write_file(path, text, strlen(text)) ||
           outcome_fail(o, SF_INTERNAL, "'%s' cannot be written: %s", path, strerror(errno));
}

static bool add_namespace(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentAddNamespace *r = request;
    static char resolv_conf[RESOLV_CONF_ROOM];

    return network_namespace(r->name, o) && network_resolv_conf(r, resolv_conf, o) &&
           lock_networks(o) && netns_make(NETWORK_DIR, r->name, o) &&
           write_resolv_conf(r->name, resolv_conf, o);
}

static bool remove_namespace(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentRemoveNamespace *r = request;

    if (!network_namespace(r->name, o) || !lock_networks(o))
        return false;
    int network = netns_open(NETWORK_DIR, r->name);
    if (network >= 0) {
        close(network);
        if (!nics_return(NETWORK_DIR, r->name, o))
            return false;
    }
    return netns_remove(NETWORK_DIR, r->name, o);
}

/* ---- interfaces ---- */

/* Asked before a device is waited for. */
static bool is_there(const char *name, struct outcome *o)
{
    int network = netns_open(NETWORK_DIR, name);

    if (network >= 0)
        close(network);
    return network >= 0 ||
           outcome_fail(o, SF_NOT_FOUND, "the guest has no network namespace '%s'", name);
}

/* Text: the device's address. */
static bool add_interface(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentAddInterface *r = request;
    static struct interface to;
    char device[PCI_ADDRESS_ROOM];

    if (!network_interface(r, &to, o) || !is_there(r->namespace_, o) ||
        !device_wait(r->guest_address, device, o) || !lock_networks(o) ||
        !nic_set(NETWORK_DIR, r->namespace_, device, &to, o))
        return false;
    snprintf(o->text, sizeof(o->text), "%s", device);
    return true;
}

static void interface_added(uint64_t id, void *context, const struct outcome *o)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentAddInterfaceReply body = SANDFERRY__V1__AGENT_ADD_INTERFACE_REPLY__INIT;
    (void)context;

    body.pci_address = (char *)o->text;
    if (o->code == SF_OK) {
        reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_ADD_INTERFACE;
        reply.add_interface = &body;
    }
    reply_send(id, o, &reply);
}

/* What stays behind when a device goes. */
static bool forget_rules(const char *name, uint32_t table, struct outcome *o)
{
    int network = netns_open(NETWORK_DIR, name);
    if (network < 0)
        return true;
    close(network);
    if (!netns_enter(NETWORK_DIR, name, o))
        return false;
    int fd = netlink_open();
    bool ok = fd >= 0
                  ? rules_set(fd, table, NULL, 0, o)
                  : outcome_fail(o, SF_INTERNAL, "the guest has no netlink: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool remove_interface(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentRemoveInterface *r = request;
    char port[PCI_ADDRESS_ROOM], device[PCI_ADDRESS_ROOM];
    unsigned number;

    if (!network_port(r->guest_address, &number, o) || !network_namespace(r->namespace_, o) ||
        !network_device(r->device, o) || !device_find(r->guest_address, port, device, o) ||
        !lock_networks(o) || !forget_rules(r->namespace_, network_table(number), o))
        return false;
    return device[0] == '\0' || device_unbind(device, o);
}

/* ---- announcements ---- */

static void announce_in(void *context, const char *name)
{
    struct outcome *o = context;
    struct outcome why = {0};
    int error = 0;

    if (netns_enter(NETWORK_DIR, name, &why))
        error = announce_all();
    if (error != 0)
        outcome_fail(&why, SF_INTERNAL, "the addresses of namespace '%s' are not announced: %s",
                     name, strerror(error));
    if (o->code == SF_OK)
        *o = why;
}

static bool announce(const void *request, struct outcome *o)
{
    (void)request;
    netns_each(NETWORK_DIR, announce_in, o);
    return o->code == SF_OK;
}

/* ---- in the agent ---- */

void network_add_namespace(uint64_t id, const Sandferry__V1__AgentAddNamespace *request)
{
    job_start(id, add_namespace, request, NULL, NULL);
}

void network_remove_namespace(uint64_t id, const Sandferry__V1__AgentRemoveNamespace *request)
{
    job_start(id, remove_namespace, request, NULL, NULL);
}

void network_add_interface(uint64_t id, const Sandferry__V1__AgentAddInterface *request)
{
    job_start(id, add_interface, request, interface_added, NULL);
}

void network_remove_interface(uint64_t id, const Sandferry__V1__AgentRemoveInterface *request)
{
    job_start(id, remove_interface, request, NULL, NULL);
}

void network_announce(uint64_t id)
{
    job_start(id, announce, NULL, NULL, NULL);
}
