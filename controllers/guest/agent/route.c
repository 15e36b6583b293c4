#include "guest/agent/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <stdio.h>
#include <string.h>

#include "guest/agent/netlink.h"

#define PRIORITY    1000 /* of a rule; those of the kernel are 0 and 32766 and more */
#define EXTRA_MAX   64   /* how many are taken away at a time */
#define METRIC_IPV6 1024 /* the kernel's default */

/* Messages of the kernel that name what is to go: sent back as a request, they take it away. */
struct extra {
    struct netlink_request requests[EXTRA_MAX];
    size_t n;
    /* What is to stay. */
    int device;
    uint32_t table;
    const struct route *routes;
    const struct ip *sources;
    size_t n_asked;
};

static void remember(struct extra *extra, const struct nlmsghdr *message, uint16_t type)
{
    struct netlink_request *r = &extra->requests[extra->n];

    if (extra->n == EXTRA_MAX || message->nlmsg_len > sizeof(r->room))
        return;
    memcpy(r->room, message, message->nlmsg_len);
    r->head.nlmsg_type = type;
    r->head.nlmsg_flags = NLM_F_REQUEST;
    extra->n++;
}

static bool take_away(int fd, struct extra *extra, int *error)
{
    for (size_t i = 0; i < extra->n; i++) {
        *error = netlink_do(fd, &extra->requests[i]);
        if (*error != 0 && *error != ESRCH && *error != ENOENT)
            return false;
    }
    return true;
}

/* An address of a message; all zeros if there is none. */
static struct ip take_ip(int family, const struct rtattr *attribute, uint8_t prefix)
{
    struct ip ip = {.family = family, .prefix = prefix};

    if (attribute != NULL && RTA_PAYLOAD(attribute) >= ip_size(family))
        memcpy(ip.bytes, RTA_DATA(attribute), ip_size(family));
    return ip;
}

/* ---- routes ---- */

static uint32_t metric_of(const struct route *r)
{
    return r->metric == 0 && r->destination.family == AF_INET6 ? METRIC_IPV6 : r->metric;
}

static bool route_equal(const struct route *a, const struct route *b)
{
    return ip_equal(&a->destination, &b->destination) && a->has_gateway == b->has_gateway &&
           a->far == b->far && (!a->has_gateway || ip_equal(&a->gateway, &b->gateway)) &&
           metric_of(a) == metric_of(b) && a->table == b->table;
}

static void look_at_route(void *context, const struct nlmsghdr *message)
{
    const struct rtattr *attributes[RTA_TABLE + 1];
    const struct rtmsg *m = NLMSG_DATA(message);
    struct extra *extra = context;

    if (message->nlmsg_type != RTM_NEWROUTE || message->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
        m->rtm_protocol != RTPROT_STATIC || (m->rtm_flags & RTM_F_CLONED) != 0 ||
        (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
        return;
    netlink_attributes(message, sizeof(*m), attributes, RTA_TABLE + 1);
    if ((int)netlink_u32(attributes[RTA_OIF]) != extra->device)
        return;
    struct route it = {.destination = take_ip(m->rtm_family, attributes[RTA_DST], m->rtm_dst_len),
                       .has_gateway = attributes[RTA_GATEWAY] != NULL,
                       .far = (m->rtm_flags & RTNH_F_ONLINK) != 0,
                       .metric = netlink_u32(attributes[RTA_PRIORITY]),
                       .table = netlink_u32(attributes[RTA_TABLE])};
    it.gateway =
        take_ip(m->rtm_family, attributes[RTA_GATEWAY], (uint8_t)(ip_size(m->rtm_family) * 8));
    for (size_t i = 0; i < extra->n_asked; i++)
        if (route_equal(&it, &extra->routes[i]))
            return;
    remember(extra, message, RTM_DELROUTE);
}

static int add_route(int fd, int device, const struct route *route)
{
    const struct ip *to = &route->destination;
    struct rtmsg m = {.rtm_family = (unsigned char)to->family,
                      .rtm_dst_len = to->prefix,
                      .rtm_table = RT_TABLE_UNSPEC, /* RTA_TABLE has it */
                      .rtm_protocol = RTPROT_STATIC,
                      .rtm_scope = RT_SCOPE_LINK,
                      .rtm_type = RTN_UNICAST};
    struct netlink_request r;

    if (route->has_gateway || to->family == AF_INET6)
        m.rtm_scope = RT_SCOPE_UNIVERSE;
    if (route->has_gateway && route->far)
        m.rtm_flags = RTNH_F_ONLINK;
    netlink_begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, &m, sizeof(m));
    netlink_add(&r, RTA_DST, to->bytes, ip_size(to->family));
    netlink_add_u32(&r, RTA_OIF, (uint32_t)device);
    netlink_add_u32(&r, RTA_TABLE, route->table);
    if (route->has_gateway)
        netlink_add(&r, RTA_GATEWAY, route->gateway.bytes, ip_size(to->family));
    if (route->metric != 0)
        netlink_add_u32(&r, RTA_PRIORITY, route->metric);
    int error = netlink_do(fd, &r);
    return error == EEXIST ? 0 : error; /* the very same */
}

bool routes_set(int fd, int device, const struct route *routes, size_t n, struct outcome *o)
{
    static struct extra extra;
    char text[INET6_ADDRSTRLEN] = "?";

    extra = (struct extra){.device = device, .routes = routes, .n_asked = n};
    int error = netlink_dump(fd, RTM_GETROUTE, AF_UNSPEC, look_at_route, &extra);
    if (error != 0 || !take_away(fd, &extra, &error))
        return outcome_fail(o, SF_INTERNAL, "old routes cannot be taken away: %s", strerror(error));
    for (size_t i = 0; i < n; i++) {
        const struct ip *to = &routes[i].destination;
        error = add_route(fd, device, &routes[i]);
        if (error == 0)
            continue;
        inet_ntop(to->family, to->bytes, text, sizeof(text));
        return outcome_fail(o, error == EINVAL ? SF_INVALID_ARGUMENT : SF_FAILED_PRECONDITION,
                            "the guest's kernel takes no route to '%s/%u' like that: %s", text,
                            to->prefix, strerror(error));
    }
    return true;
}

/* ---- rules ---- */

static void look_at_rule(void *context, const struct nlmsghdr *message)
{
    const struct rtattr *attributes[FRA_TABLE + 1];
    const struct fib_rule_hdr *m = NLMSG_DATA(message);
    struct extra *extra = context;

    if (message->nlmsg_type != RTM_NEWRULE || message->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
        (m->family != AF_INET && m->family != AF_INET6))
        return;
    netlink_attributes(message, sizeof(*m), attributes, FRA_TABLE + 1);
    if (netlink_u32(attributes[FRA_TABLE]) != extra->table)
        return;
    struct ip source = take_ip(m->family, attributes[FRA_SRC], m->src_len);
    for (size_t i = 0; i < extra->n_asked; i++)
        if (ip_equal(&source, &extra->sources[i]))
            return;
    remember(extra, message, RTM_DELRULE);
}

static int add_rule(int fd, uint32_t table, const struct ip *source)
{
    const struct fib_rule_hdr m = {
        .family = (uint8_t)source->family, .src_len = source->prefix, .action = FR_ACT_TO_TBL};
    const uint8_t protocol = RTPROT_STATIC;
    struct netlink_request r;

    netlink_begin(&r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
    netlink_add(&r, FRA_SRC, source->bytes, ip_size(source->family));
    netlink_add_u32(&r, FRA_PRIORITY, PRIORITY);
    netlink_add_u32(&r, FRA_TABLE, table);
    netlink_add(&r, FRA_PROTOCOL, &protocol, sizeof(protocol));
    int error = netlink_do(fd, &r);
    return error == EEXIST ? 0 : error;
}

bool rules_set(int fd, uint32_t table, const struct ip *sources, size_t n, struct outcome *o)
{
    static struct extra extra;

    extra = (struct extra){.table = table, .sources = sources, .n_asked = n};
    int error = netlink_dump(fd, RTM_GETRULE, AF_UNSPEC, look_at_rule, &extra);
    bool ok = error == 0 && take_away(fd, &extra, &error);
    for (size_t i = 0; ok && i < n; i++) {
        error = add_rule(fd, table, &sources[i]);
        ok = error == 0;
    }
    return ok || outcome_fail(o, SF_INTERNAL, "rules for table %u cannot be set: %s", table,
                              strerror(error));
}
