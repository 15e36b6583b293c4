#include "guest/agent/nic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/netlink.h"
#include "guest/agent/netns.h"

#define OWN           "/proc/thread-self/ns/net"
#define APPEAR_MS     10000 /* a driver has its device a little before the network device is there */
#define LOOK_EVERY_MS 5

bool nic_is_of(const char *sys, const struct link *link, const char *device)
{
    char path[PATH_MAX];

    if (link->parent[0] == '\0')
        return false;
    if (strcmp(link->parent, device) == 0)
        return true;
    if (strncmp(link->parent, "virtio", 6) != 0)
        return false;
    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", sys, device, link->parent);
    return access(path, F_OK) == 0;
}

/* Of the namespace that the caller is in. */
static int read_links(struct link ret[LINKS_MAX], size_t *n)
{
    int fd = netlink_open();
    if (fd < 0)
        return errno;

    int error = links_get(fd, ret, n);
    close(fd);
    return error;
}

/* ---- where it is ---- */

struct search {
    const char *root, *device;
    bool found;
    struct link link;
    int network; /* where it is, to close() */
};

static void look_here(struct search *search, int network)
{
    static struct link links[LINKS_MAX];
    size_t n = 0;

    if (search->found || read_links(links, &n) != 0)
        return;
    for (size_t i = 0; i < n && !search->found; i++) {
        search->found = nic_is_of("/sys", &links[i], search->device);
        search->link = links[i];
    }
    if (search->found)
        search->network = fcntl(network, F_DUPFD_CLOEXEC, 0);
}

static void look_in(void *context, const char *name)
{
    struct search *search = context;
    int network = netns_open(search->root, name);

    if (network >= 0 && setns(network, CLONE_NEWNET) == 0)
        look_here(search, network);
    if (network >= 0)
        close(network);
}

/* The caller is where it is, afterwards. */
static bool search(int own, struct search *ret)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};

    for (long waited = 0; waited < APPEAR_MS; waited += LOOK_EVERY_MS) {
        if (setns(own, CLONE_NEWNET) == 0)
            look_here(ret, own);
        if (!ret->found)
            netns_each(ret->root, look_in, ret);
        if (ret->found)
            return ret->network >= 0 && setns(ret->network, CLONE_NEWNET) == 0;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* ---- where it is to be ---- */

/* Of the namespace that the caller is in: ret, if the NIC is there. False: another has its name. */
static bool look_for(const char *device, const char *name, struct link *ret, struct outcome *o)
{
    static struct link links[LINKS_MAX];
    size_t n = 0;
    int error = read_links(links, &n);
    if (error != 0)
        return outcome_fail(o, SF_INTERNAL, "the guest's network devices cannot be listed: %s",
                            strerror(error));

    ret->index = 0;
    for (size_t i = 0; i < n; i++) {
        if (nic_is_of("/sys", &links[i], device))
            *ret = links[i];
        else if (strcmp(links[i].name, name) == 0)
            return outcome_fail(o, SF_ALREADY_EXISTS,
                                "there is a device '%s' in the namespace already", name);
    }
    return true;
}

static bool move(int own, int network, const char *root, const char *device, const char *name,
                 struct outcome *o)
{
    struct search at = {.root = root, .device = device, .network = -1};
    const struct link_change to = {.state = LINK_DOWN, .network = &network, .name = name};
    int error = 0;

    bool found = search(own, &at);
    int fd = found ? netlink_open() : -1;
    if (fd >= 0)
        error = link_change(fd, at.link.index, &to);
    else if (found)
        error = errno;
    if (fd >= 0)
        close(fd);
    if (at.network >= 0)
        close(at.network);
    if (!found)
        return outcome_fail(o, SF_UNAVAILABLE, "device %s is no network device in the guest",
                            device);
    return error == 0 ||
           outcome_fail(o, SF_INTERNAL, "device %s cannot be moved: %s", device, strerror(error));
}

static bool set(const char *device, const struct interface *to, struct outcome *o)
{
    struct link link = {0};

    if (!look_for(device, to->name, &link, o))
        return false;
    if (link.index == 0)
        return outcome_fail(o, SF_UNAVAILABLE, "device %s has gone", device);
    int fd = netlink_open();
    if (fd < 0)
        return outcome_fail(o, SF_INTERNAL, "the guest has no netlink: %s", strerror(errno));
    bool ok = interface_set(fd, &link, to, o);
    close(fd);
    return ok;
}

static bool bring(int own, int network, const char *root, const char *name, const char *device,
                  const struct interface *to, struct outcome *o)
{
    struct link link = {0};

    if (!netns_enter(root, name, o) || !look_for(device, to->name, &link, o))
        return false;
    if (link.index == 0 && !move(own, network, root, device, to->name, o))
        return false;
    return netns_enter(root, name, o) && set(device, to, o);
}

bool nic_set(const char *root, const char *name, const char *device, const struct interface *to,
             struct outcome *o)
{
    int own = open(OWN, O_RDONLY | O_CLOEXEC);
    int network = netns_open(root, name);
    bool ok;

    if (network < 0)
        ok = outcome_fail(o, SF_NOT_FOUND, "the guest has no network namespace '%s'", name);
    else if (own < 0)
        ok = outcome_fail(o, SF_INTERNAL, "'" OWN "': %s", strerror(errno));
    else
        ok = bring(own, network, root, name, device, to, o);
    if (network >= 0)
        close(network);
    if (own >= 0)
        close(own);
    return ok;
}

/* ---- the way back ---- */

static int return_links(int own)
{
    static struct link links[LINKS_MAX];
    const struct link_change to = {.state = LINK_DOWN, .network = &own, .name = "nic%d"};
    size_t n = 0;
    int error = read_links(links, &n);
    int fd = error == 0 ? netlink_open() : -1;
    if (fd < 0)
        return error != 0 ? error : errno;

    for (size_t i = 0; error == 0 && i < n; i++)
        if (links[i].parent[0] != '\0')
            error = link_change(fd, links[i].index, &to);
    close(fd);
    return error;
}

bool nics_return(const char *root, const char *name, struct outcome *o)
{
    int own = open(OWN, O_RDONLY | O_CLOEXEC);
    int error = own < 0 ? errno : 0;
    bool entered = error == 0 && netns_enter(root, name, o);

    if (entered)
        error = return_links(own);
    if (entered && setns(own, CLONE_NEWNET) < 0 && error == 0)
        error = errno;
    if (own >= 0)
        close(own);
    if (error != 0)
        return outcome_fail(o, SF_INTERNAL, "the devices of namespace '%s' do not leave it: %s",
                            name, strerror(error));
    return entered;
}
