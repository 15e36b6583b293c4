#include "guest/agent/netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_S 30 /* the kernel answers at once; a child that waits for good helps nobody */

int netlink_open(void)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    const struct timeval limit = {.tv_sec = ANSWER_S};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && (connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void append(struct netlink_request *r, const void *data, size_t size)
{
    size_t at = r->head.nlmsg_len;

    if (NLMSG_ALIGN(at + size) > sizeof(r->room))
        return; /* the kernel refuses what is cut short */
    if (size > 0)
        memcpy(r->room + at, data, size);
    r->head.nlmsg_len = (uint32_t)NLMSG_ALIGN(at + size);
}

void netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags, const void *header,
                   size_t size)
{
    memset(r, 0, sizeof(*r));
    r->head.nlmsg_len = NLMSG_HDRLEN;
    r->head.nlmsg_type = type;
    r->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    append(r, header, size);
}

void netlink_add(struct netlink_request *r, uint16_t type, const void *data, size_t size)
{
    const struct rtattr head = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};

    append(r, &head, sizeof(head));
    append(r, data, size);
}

void netlink_add_u32(struct netlink_request *r, uint16_t type, uint32_t value)
{
    netlink_add(r, type, &value, sizeof(value));
}

void netlink_add_text(struct netlink_request *r, uint16_t type, const char *text)
{
    netlink_add(r, type, text, strlen(text) + 1);
}

static int send_request(int fd, struct netlink_request *r)
{
    static uint32_t sequence;

    r->head.nlmsg_seq = ++sequence;
    return send(fd, r->room, r->head.nlmsg_len, 0) < 0 ? errno : 0;
}

/* One answer's messages, until the one that ends it. Return: true: it has come; *error says how. */
static bool take(const struct nlmsghdr *m, size_t size, uint32_t sequence, netlink_each_fn each,
                 void *context, int *error)
{
    for (; NLMSG_OK(m, size); m = NLMSG_NEXT(m, size)) {
        if (m->nlmsg_seq != sequence)
            continue;
        if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
            *error = m->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) ? -*(const int *)NLMSG_DATA(m) : 0;
            return true;
        }
        if (each != NULL)
            each(context, m);
    }
    return false;
}

static int receive(int fd, uint32_t sequence, netlink_each_fn each, void *context)
{
    static union {
        struct nlmsghdr head;
        uint8_t room[65536];
    } answer;
    int error = 0;

    for (;;) {
        ssize_t size = recv(fd, answer.room, sizeof(answer.room), MSG_TRUNC);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return errno == EAGAIN ? ETIMEDOUT : errno;
        if ((size_t)size > sizeof(answer.room))
            return EMSGSIZE;
        if (take(&answer.head, (size_t)size, sequence, each, context, &error))
            return error;
    }
}

int netlink_do(int fd, struct netlink_request *r)
{
    r->head.nlmsg_flags |= NLM_F_ACK;
    int error = send_request(fd, r);
    return error != 0 ? error : receive(fd, r->head.nlmsg_seq, NULL, NULL);
}

int netlink_dump(int fd, uint16_t type, int family, netlink_each_fn each, void *context)
{
    const struct rtgenmsg header = {.rtgen_family = (unsigned char)family};
    struct netlink_request r;

    netlink_begin(&r, type, NLM_F_DUMP, &header, sizeof(header));
    int error = send_request(fd, &r);
    return error != 0 ? error : receive(fd, r.head.nlmsg_seq, each, context);
}

void netlink_attributes(const struct nlmsghdr *message, size_t size, const struct rtattr **ret,
                        size_t room)
{
    for (size_t i = 0; i < room; i++)
        ret[i] = NULL;
    if (message->nlmsg_len < NLMSG_SPACE(size))
        return;
    const struct rtattr *at = (const struct rtattr *)((const uint8_t *)message + NLMSG_SPACE(size));
    size_t left = message->nlmsg_len - NLMSG_SPACE(size);

    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        size_t type = at->rta_type & (unsigned)NLA_TYPE_MASK;
        if (type < room)
            ret[type] = at;
    }
}

uint32_t netlink_u32(const struct rtattr *attribute)
{
    uint32_t value = 0;

    if (attribute != NULL && RTA_PAYLOAD(attribute) >= sizeof(value))
        memcpy(&value, RTA_DATA(attribute), sizeof(value));
    return value;
}
