#include "guest/agent/link.h"

#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "guest/agent/netlink.h"

struct list {
    struct link *links;
    size_t n;
};

static void copy_text(char *ret, size_t room, const struct rtattr *attribute)
{
    if (attribute != NULL)
        snprintf(ret, room, "%.*s", (int)RTA_PAYLOAD(attribute), (const char *)RTA_DATA(attribute));
}

static void add(void *context, const struct nlmsghdr *message)
{
    const struct rtattr *attributes[IFLA_PARENT_DEV_NAME + 1];
    const struct ifinfomsg *info = NLMSG_DATA(message);
    struct list *list = context;

    if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
        list->n == LINKS_MAX)
        return;
    netlink_attributes(message, sizeof(*info), attributes, IFLA_PARENT_DEV_NAME + 1);
    struct link *link = &list->links[list->n++];
    *link = (struct link){.index = info->ifi_index, .flags = info->ifi_flags};
    link->mtu = netlink_u32(attributes[IFLA_MTU]);
    copy_text(link->name, sizeof(link->name), attributes[IFLA_IFNAME]);
    copy_text(link->parent, sizeof(link->parent), attributes[IFLA_PARENT_DEV_NAME]);
    const struct rtattr *mac = attributes[IFLA_ADDRESS];
    link->has_mac = mac != NULL && RTA_PAYLOAD(mac) == MAC_SIZE;
    if (link->has_mac)
        memcpy(link->mac, RTA_DATA(mac), MAC_SIZE);
}

int links_get(int fd, struct link ret[LINKS_MAX], size_t *n)
{
    struct list list = {.links = ret};
    int error = netlink_dump(fd, RTM_GETLINK, AF_UNSPEC, add, &list);

    *n = list.n;
    return error;
}

int link_change(int fd, int index, const struct link_change *to)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    struct netlink_request r;

    if (to->state != LINK_STAYS) {
        info.ifi_change = IFF_UP;
        info.ifi_flags = to->state == LINK_UP ? IFF_UP : 0;
    }
    netlink_begin(&r, RTM_NEWLINK, 0, &info, sizeof(info));
    if (to->network != NULL)
        netlink_add_u32(&r, IFLA_NET_NS_FD, (uint32_t)*to->network);
    if (to->name != NULL)
        netlink_add_text(&r, IFLA_IFNAME, to->name);
    if (to->mac != NULL)
        netlink_add(&r, IFLA_ADDRESS, to->mac, MAC_SIZE);
    if (to->mtu != 0)
        netlink_add_u32(&r, IFLA_MTU, to->mtu);
    return netlink_do(fd, &r);
}
