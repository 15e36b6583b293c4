/* Namespaces, devices, addresses, routes and announcements, with the kernel of this machine. Needs
 * the right to make network namespaces; says so and passes without it. */
#include "base/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/veth.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/announce.h"
#include "guest/agent/interface.h"
#include "guest/agent/netlink.h"
#include "guest/agent/netns.h"
#include "guest/agent/nic.h"
#include "guest/agent/scratch_dir.h"

#define NO_RIGHT   77
#define HEARD_MS   10000
#define MAIN_TABLE 254

/* What a child finds wrong ends it, so that the namespaces it is in never become the test's. */
#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s is not so\n", __FILE__, __LINE__, #x);                      \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void own_namespaces(void)
{
    int own = geteuid() == 0 ? 0 : CLONE_NEWUSER;

    if (unshare(own | CLONE_NEWNET | CLONE_NEWNS) < 0 ||
        mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(NO_RIGHT);
}

static void in_child(void (*run)(void))
{
    int status = 0;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        own_namespaces();
        run();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_RIGHT)
        printf("not tried: no right to make a network namespace\n");
    else
        ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* A pair of devices that are each other's cable. False: this kernel has none. */
static bool add_pair(int fd, const char *a, const char *b)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct netlink_request r;
    struct {
        struct rtattr kind;
        char name[4];
        struct rtattr data, peer;
        struct ifinfomsg head;
        struct rtattr peer_name;
        char b[IFNAMSIZ];
    } nested = {.kind = {.rta_len = RTA_LENGTH(4), .rta_type = IFLA_INFO_KIND}, .name = "veth"};

    nested.peer_name = (struct rtattr){RTA_LENGTH(IFNAMSIZ), IFLA_IFNAME};
    snprintf(nested.b, sizeof(nested.b), "%s", b);
    nested.peer =
        (struct rtattr){RTA_LENGTH(sizeof(nested.head) + RTA_LENGTH(IFNAMSIZ)), VETH_INFO_PEER};
    nested.data = (struct rtattr){RTA_LENGTH(nested.peer.rta_len), IFLA_INFO_DATA};
    netlink_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
    netlink_add_text(&r, IFLA_IFNAME, a);
    netlink_add(&r, IFLA_LINKINFO, &nested, sizeof(nested));
    int error = netlink_do(fd, &r);
    if (error == EOPNOTSUPP)
        _exit(NO_RIGHT);
    return error == 0;
}

static struct link link_of(int fd, const char *name)
{
    static struct link links[LINKS_MAX];
    struct link none = {0};
    size_t n = 0;

    CHECK(links_get(fd, links, &n) == 0);
    for (size_t i = 0; i < n; i++)
        if (strcmp(links[i].name, name) == 0)
            return links[i];
    return none;
}

static struct ip ip_of(const char *text)
{
    struct ip ip = {0};

    CHECK(strchr(text, '/') != NULL ? ip_parse_with_prefix(text, &ip) : ip_parse(text, &ip));
    return ip;
}

static struct interface wanted(const char *address, const char *route, const char *gateway)
{
    struct interface to = {
        .name = "eth0", .mac = {2, 0, 0, 0, 0, 9}, .n_addresses = 1, .n_routes = 1, .table = 103};

    to.addresses[0] = ip_of(address);
    to.routes[0] = (struct route){.destination = ip_of(route), .has_gateway = gateway != NULL};
    if (gateway != NULL)
        to.routes[0].gateway = ip_of(gateway);
    return to;
}

static bool has_address(int fd, int device, const char *address)
{
    static struct interface_address all[INTERFACE_ALL_ADDRESSES_MAX];
    struct ip ip = ip_of(address);
    size_t n = 0;

    CHECK(interface_addresses(fd, all, INTERFACE_ALL_ADDRESSES_MAX, &n) == 0);
    for (size_t i = 0; i < n; i++)
        if (all[i].device == device && ip_equal(&all[i].ip, &ip))
            return true;
    return false;
}

/* ---- how many routes and rules of the agent's there are in a table ---- */

struct count {
    uint32_t table;
    unsigned n;
};

static void count_route(void *context, const struct nlmsghdr *message)
{
    const struct rtattr *attributes[RTA_TABLE + 1];
    const struct rtmsg *m = NLMSG_DATA(message);
    struct count *count = context;

    netlink_attributes(message, sizeof(*m), attributes, RTA_TABLE + 1);
    count->n += message->nlmsg_type == RTM_NEWROUTE && m->rtm_protocol == RTPROT_STATIC &&
                netlink_u32(attributes[RTA_TABLE]) == count->table;
}

static void count_rule(void *context, const struct nlmsghdr *message)
{
    const struct rtattr *attributes[RTA_TABLE + 1]; /* as FRA_TABLE */
    struct count *count = context;

    netlink_attributes(message, sizeof(struct rtmsg), attributes, RTA_TABLE + 1);
    count->n +=
        message->nlmsg_type == RTM_NEWRULE && netlink_u32(attributes[RTA_TABLE]) == count->table;
}

static unsigned routes_in(int fd, uint32_t table)
{
    struct count count = {.table = table};

    CHECK(netlink_dump(fd, RTM_GETROUTE, AF_UNSPEC, count_route, &count) == 0);
    return count.n;
}

static unsigned rules_to(int fd, uint32_t table)
{
    struct count count = {.table = table};

    CHECK(netlink_dump(fd, RTM_GETRULE, AF_UNSPEC, count_rule, &count) == 0);
    return count.n;
}

/* ---- cases ---- */

static void make_twice_and_remove_twice(void)
{
    struct outcome o = {0};

    for (int i = 0; i < 2; i++) {
        CHECK(netns_make(scratch_dir, "pod-1", &o));
        int fd = netlink_open();
        CHECK((link_of(fd, "lo").flags & IFF_UP) != 0);
        close(fd);
    }
    int fd = netns_open(scratch_dir, "pod-1");
    CHECK(fd >= 0);
    close(fd);
    for (int i = 0; i < 2; i++) {
        CHECK(netns_remove(scratch_dir, "pod-1", &o));
        CHECK(netns_open(scratch_dir, "pod-1") < 0);
    }
    CHECK(!netns_enter(scratch_dir, "pod-1", &o) && o.code == SF_NOT_FOUND);
}

/* As if the agent's child had been killed after the file, and before the mount. */
static void make_over_what_is_half_done(void)
{
    struct outcome o = {0};

    CHECK(make_directories(scratch_path("pod-1")));
    CHECK(write_file(scratch_path("pod-1/netns"), "", 0));
    CHECK(netns_open(scratch_dir, "pod-1") < 0);
    CHECK(netns_make(scratch_dir, "pod-1", &o));
    CHECK(netns_enter(scratch_dir, "pod-1", &o));
    CHECK(netns_remove(scratch_dir, "pod-1", &o));
}

static void set_and_set_otherwise(void)
{
    struct interface to = wanted("10.0.0.2/24", "0.0.0.0/0", "10.0.0.1");
    struct outcome o = {0};
    int fd = netlink_open();

    CHECK(fd >= 0 && add_pair(fd, "a", "b"));
    struct link link = link_of(fd, "a");
    to.own_table = true;
    to.mtu = 1400;
    for (int i = 0; i < 2; i++) {
        CHECK(interface_set(fd, &link, &to, &o));
        link = link_of(fd, "eth0");
        CHECK(link.index != 0 && (link.flags & IFF_UP) != 0 && link.mtu == 1400);
        CHECK(memcmp(link.mac, to.mac, MAC_SIZE) == 0);
        CHECK(has_address(fd, link.index, "10.0.0.2/24"));
        CHECK(routes_in(fd, MAIN_TABLE) == 1 && routes_in(fd, 103) == 2 && rules_to(fd, 103) == 1);
    }
    to = wanted("10.0.0.3/24", "192.0.2.0/24", NULL);
    CHECK(interface_set(fd, &link, &to, &o));
    CHECK(!has_address(fd, link.index, "10.0.0.2/24"));
    CHECK(has_address(fd, link.index, "10.0.0.3/24"));
    CHECK(routes_in(fd, MAIN_TABLE) == 1 && routes_in(fd, 103) == 0 && rules_to(fd, 103) == 0);
    to.n_addresses = to.n_routes = 0;
    CHECK(interface_set(fd, &link, &to, &o));
    CHECK(!has_address(fd, link.index, "10.0.0.3/24") && routes_in(fd, MAIN_TABLE) == 0);
}

/* ---- any wish after any other ---- */

/* Some of few, so that the same come again in other company. */
static struct interface any_wish(void)
{
    static const char *const addresses[] = {"10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24",
                                            "10.1.0.2/16", "fd00::2/64",  "fd00::3/64"};
    static const char *const routes[][2] = {{"192.0.2.0/24", NULL},
                                            {"0.0.0.0/0", "10.0.0.1"},
                                            {"192.0.2.0/24", "10.9.9.9"},
                                            {"2001:db8::/32", NULL},
                                            {"::/0", "fd00::1"}};
    struct interface to = {.name = "eth0", .mac = {2, 0, 0, 0, 0, 9}, .table = 103};

    for (size_t i = 0; i < 6; i++)
        if (rand() % 2 == 0)
            to.addresses[to.n_addresses++] = ip_of(addresses[i]);
    for (size_t i = 0; i < 5; i++) {
        struct route *route = &to.routes[to.n_routes];
        *route =
            (struct route){.has_gateway = routes[i][1] != NULL, .metric = (uint32_t)(rand() % 3)};
        route->destination = ip_of(routes[i][0]);
        if (route->has_gateway)
            route->gateway = ip_of(routes[i][1]);
        to.n_routes += rand() % 2 == 0;
    }
    to.own_table = rand() % 2 == 0;
    to.mac[5] = (uint8_t)(9 + rand() % 2);
    snprintf(to.name, sizeof(to.name), "eth%d", rand() % 2);
    return to;
}

static void is_exactly(int fd, const struct interface *to)
{
    static struct interface_address all[INTERFACE_ALL_ADDRESSES_MAX];
    struct link link = link_of(fd, to->name);
    size_t n = 0, n_ours = 0;

    CHECK(link.index != 0 && (link.flags & IFF_UP) != 0);
    CHECK(memcmp(link.mac, to->mac, MAC_SIZE) == 0);
    CHECK(interface_addresses(fd, all, INTERFACE_ALL_ADDRESSES_MAX, &n) == 0);
    for (size_t i = 0; i < n; i++)
        n_ours += all[i].device == link.index && !all[i].link_local;
    CHECK(n_ours == to->n_addresses);
    for (size_t i = 0; i < to->n_addresses; i++) {
        bool found = false;
        for (size_t j = 0; j < n; j++)
            found = found || ip_equal(&all[j].ip, &to->addresses[i]);
        CHECK(found);
    }
    CHECK(routes_in(fd, MAIN_TABLE) == to->n_routes);
    CHECK((routes_in(fd, 103) == 0) == (!to->own_table || to->n_addresses + to->n_routes == 0));
    CHECK(rules_to(fd, 103) == (to->own_table ? to->n_addresses : 0));
}

static void set_again_and_again(void)
{
    struct outcome o = {0};
    int fd = netlink_open();

    CHECK(fd >= 0 && add_pair(fd, "eth0", "b"));
    int index = link_of(fd, "eth0").index;
    srand(7);
    for (int i = 0; i < 200; i++) {
        struct interface to = any_wish();
        struct link link = link_of(fd, "eth0");
        if (link.index == 0)
            link = link_of(fd, "eth1");
        CHECK(link.index == index);
        if (!interface_set(fd, &link, &to, &o))
            fprintf(stderr, "wish %d: %s\n", i, o.text);
        CHECK(o.code == SF_OK);
        is_exactly(fd, &to);
    }
}

static void set_with_a_far_gateway(void)
{
    struct interface to = wanted("10.0.0.2/32", "0.0.0.0/0", "192.0.2.1");
    struct outcome o = {0};
    int fd = netlink_open();

    CHECK(fd >= 0 && add_pair(fd, "a", "b"));
    struct link link = link_of(fd, "a");
    CHECK(interface_set(fd, &link, &to, &o));
    CHECK(routes_in(fd, MAIN_TABLE) == 1);
}

static void refuse_what_the_kernel_refuses(void)
{
    struct interface to = wanted("10.0.0.2/24", "0.0.0.0/0", "224.0.0.1"); /* nobody */
    struct outcome o = {0};
    int fd = netlink_open();

    CHECK(fd >= 0 && add_pair(fd, "a", "b"));
    struct link link = link_of(fd, "a");
    CHECK(!interface_set(fd, &link, &to, &o) && strstr(o.text, "0.0.0.0/0") != NULL);
    CHECK(has_address(fd, link.index, "10.0.0.2/24")); /* half-way: what comes next goes on there */
    to.routes[0].gateway = ip_of("10.0.0.1");
    link = link_of(fd, "eth0");
    CHECK(interface_set(fd, &link, &to, &o));
    is_exactly(fd, &to);
    to.routes[0].gateway = ip_of("224.0.0.1");
    snprintf(to.name, sizeof(to.name), "b");
    CHECK(!interface_set(fd, &link, &to, &o) && o.code == SF_ALREADY_EXISTS);
}

/* Reads frames until one is as announced. */
static bool hears(int raw, const uint8_t *frame, size_t size)
{
    struct pollfd fd = {.fd = raw, .events = POLLIN};
    uint8_t data[2048];

    while (poll(&fd, 1, HEARD_MS) == 1) {
        ssize_t n = recv(raw, data, sizeof(data), 0);
        if (n >= (ssize_t)size && memcmp(data, frame, size) == 0)
            return true;
    }
    return false;
}

static void announce_to_the_other_end(void)
{
    struct interface to = wanted("10.0.0.2/24", "0.0.0.0/0", "10.0.0.1");
    struct ip six = ip_of("fd00::2/64");
    struct outcome o = {0};
    int fd = netlink_open();
    uint8_t frame[ANNOUNCE_FRAME_ROOM];

    CHECK(fd >= 0 && add_pair(fd, "a", "b"));
    struct link link = link_of(fd, "a"), other = link_of(fd, "b");
    CHECK(link_change(fd, other.index, &(struct link_change){.state = LINK_UP}) == 0);
    to.addresses[to.n_addresses++] = six;
    CHECK(interface_set(fd, &link, &to, &o));

    int raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    const struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = other.index};
    CHECK(raw >= 0 && bind(raw, (const struct sockaddr *)&at, sizeof(at)) == 0);
    CHECK(announce_all() == 0);
    CHECK(hears(raw, frame, announce_frame(to.mac, &to.addresses[0], frame)));
    CHECK(announce_all() == 0);
    CHECK(hears(raw, frame, announce_frame(to.mac, &six, frame)));
}

START_TEST(a_namespace_is_made_and_taken_away_as_often_as_asked)
{
    in_child(make_twice_and_remove_twice);
}
END_TEST

START_TEST(a_namespace_that_is_half_made_is_made)
{
    in_child(make_over_what_is_half_done);
}
END_TEST

START_TEST(a_device_becomes_what_is_asked)
{
    in_child(set_and_set_otherwise);
}
END_TEST

START_TEST(any_wish_is_met_after_any_other)
{
    in_child(set_again_and_again);
}
END_TEST

START_TEST(a_gateway_may_be_outside_of_the_device_s_networks)
{
    in_child(set_with_a_far_gateway);
}
END_TEST

START_TEST(what_cannot_be_is_said)
{
    in_child(refuse_what_the_kernel_refuses);
}
END_TEST

START_TEST(addresses_are_announced)
{
    in_child(announce_to_the_other_end);
}
END_TEST

/* ---- without a namespace ---- */

START_TEST(frames_are_as_the_standards_say)
{
    static const uint8_t mac[MAC_SIZE] = {2, 0, 0, 0, 0, 9};
    static const char arp[] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x09\x08\x06" /* to all */
                              "\0\x01\x08\0\x06\x04\0\x01"                       /* a question */
                              "\x02\0\0\0\0\x09\x0a\0\0\x02"                     /* of 10.0.0.2 */
                              "\0\0\0\0\0\0\x0a\0\0\x02";                        /* for 10.0.0.2 */
    uint8_t frame[ANNOUNCE_FRAME_ROOM];
    uint32_t sum = 32 + 58;
    struct ip ip;

    ck_assert(ip_parse("10.0.0.2", &ip));
    ck_assert_uint_eq(announce_frame(mac, &ip, frame), 60);
    ck_assert_mem_eq(frame, arp, sizeof(arp) - 1);
    ck_assert(ip_parse("fd00::2", &ip));
    ck_assert_uint_eq(announce_frame(mac, &ip, frame), 86);
    ck_assert_mem_eq(frame, "\x33\x33\0\0\0\x01", MAC_SIZE);
    ck_assert_uint_eq(frame[21], 255);                           /* hops */
    ck_assert_mem_eq(frame + 62, ip.bytes, 16);                  /* whose */
    ck_assert_mem_eq(frame + 78, "\x02\x01\x02\0\0\0\0\x09", 8); /* where */
    for (size_t i = 22; i < 86; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    ck_assert_uint_eq((sum & 0xffff) + (sum >> 16), 0xffff);
}
END_TEST

START_TEST(a_nic_is_known_by_its_device)
{
    const char *device = "0000:05:00.0";
    struct link link = {.parent = "virtio7"};

    ck_assert(make_directories(scratch_path("bus/pci/devices/0000:05:00.0/virtio7")));
    ck_assert(nic_is_of(scratch_dir, &link, device));
    ck_assert(!nic_is_of(scratch_dir, &link, "0000:06:00.0"));
    snprintf(link.parent, sizeof(link.parent), "virtio8");
    ck_assert(!nic_is_of(scratch_dir, &link, device));
    snprintf(link.parent, sizeof(link.parent), "%s", device);
    ck_assert(nic_is_of(scratch_dir, &link, device));
    link.parent[0] = '\0';
    ck_assert(!nic_is_of(scratch_dir, &link, device));
}
END_TEST

START_TEST(names_of_namespaces_are_plain)
{
    static const char *const none[] = {"", ".lock", "-a", "_a", "..", "a/b", "a b", "a+b", "\xc3"};
    char name[66];

    memset(name, 'a', sizeof(name));
    name[64] = '\0';
    ck_assert(netns_name_valid(name));
    ck_assert(netns_name_valid("0-a_b.c"));
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert_msg(!netns_name_valid(none[i]), "%s", none[i]);
    name[64] = 'a';
    name[65] = '\0';
    ck_assert(!netns_name_valid(name));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_network");
    TCase *tc = tcase_create("in a namespace");
    tcase_add_checked_fixture(tc, scratch_dir_make, scratch_dir_remove);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_namespace_is_made_and_taken_away_as_often_as_asked);
    tcase_add_test(tc, a_namespace_that_is_half_made_is_made);
    tcase_add_test(tc, a_device_becomes_what_is_asked);
    tcase_add_test(tc, any_wish_is_met_after_any_other);
    tcase_add_test(tc, a_gateway_may_be_outside_of_the_device_s_networks);
    tcase_add_test(tc, what_cannot_be_is_said);
    tcase_add_test(tc, addresses_are_announced);
    suite_add_tcase(s, tc);

    tc = tcase_create("anywhere");
    tcase_add_checked_fixture(tc, scratch_dir_make, scratch_dir_remove);
    tcase_add_test(tc, frames_are_as_the_standards_say);
    tcase_add_test(tc, a_nic_is_known_by_its_device);
    tcase_add_test(tc, names_of_namespaces_are_plain);
    suite_add_tcase(s, tc);
    return sf_suite_run(s);
}
