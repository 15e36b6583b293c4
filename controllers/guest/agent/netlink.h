#ifndef AGENT_NETLINK_H
#define AGENT_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The kernel's rtnetlink, as much as a handful of requests needs. Functions that return int return
 * 0, or an errno.
 */

struct netlink_request {
    union {
        struct nlmsghdr head;
        uint8_t room[512]; /* more than any of ours takes */
    };
};

/* For the network namespace of the caller; close() it. -1: errno. */
int netlink_open(void);

/* @header: what stands before the attributes, struct ifinfomsg and the like. */
void netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags, const void *header,
                   size_t size);
void netlink_add(struct netlink_request *r, uint16_t type, const void *data, size_t size);
void netlink_add_u32(struct netlink_request *r, uint16_t type, uint32_t value);
void netlink_add_text(struct netlink_request *r, uint16_t type, const char *text);

/* Asks, and waits for the answer. */
int netlink_do(int fd, struct netlink_request *r);

typedef void (*netlink_each_fn)(void *context, const struct nlmsghdr *message);
/* All there are of a kind; @type: RTM_GETLINK and the like. @each must ask nothing of @fd. */
int netlink_dump(int fd, uint16_t type, int family, netlink_each_fn each, void *context);

/* By type what stands behind a message's header of @size bytes; NULL: it has none. @room: of @ret,
 * greater than the largest type that is of interest. */
void netlink_attributes(const struct nlmsghdr *message, size_t size, const struct rtattr **ret,
                        size_t room);
/* An attribute's value; 0, if there is none. */
uint32_t netlink_u32(const struct rtattr *attribute);

#endif
