#include "guest/agent/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/agent/interface.h"
#include "guest/agent/link.h"
#include "guest/agent/netlink.h"

#define HOPS 255 /* a neighbour's word is believed only if no router has passed it on */

struct arp {
    struct ethhdr eth;
    struct arphdr head;
    uint8_t sender_mac[MAC_SIZE], sender[4], target_mac[MAC_SIZE], target[4];
    uint8_t padding[18]; /* to the least that Ethernet takes */
} __attribute__((packed));

struct advertisement {
    struct ethhdr eth;
    struct ip6_hdr ip;
    struct nd_neighbor_advert advert;
    struct nd_opt_hdr option;
    uint8_t mac[MAC_SIZE];
} __attribute__((packed));

_Static_assert(sizeof(struct arp) == 60, "the least that Ethernet takes");
_Static_assert(sizeof(struct advertisement) <= ANNOUNCE_FRAME_ROOM, "there is room for it");

static size_t make_arp(const uint8_t mac[MAC_SIZE], const struct ip *ip, uint8_t *ret)
{
    struct arp frame = {.eth.h_proto = htons(ETH_P_ARP)};

    memset(frame.eth.h_dest, 0xff, ETH_ALEN);
    memcpy(frame.eth.h_source, mac, ETH_ALEN);
    frame.head.ar_hrd = htons(ARPHRD_ETHER);
    frame.head.ar_pro = htons(ETH_P_IP);
    frame.head.ar_hln = MAC_SIZE;
    frame.head.ar_pln = 4;
    frame.head.ar_op = htons(ARPOP_REQUEST);
    memcpy(frame.sender_mac, mac, MAC_SIZE);
    memcpy(frame.sender, ip->bytes, 4);
    memcpy(frame.target, ip->bytes, 4);
    memcpy(ret, &frame, sizeof(frame));
    return sizeof(frame);
}

static uint32_t sum_words(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

/* Of ICMPv6: over its bytes, both addresses, its size and its protocol number. */
static uint16_t checksum(const struct advertisement *frame)
{
    size_t size = sizeof(*frame) - offsetof(struct advertisement, advert);
    uint32_t sum = sum_words((const uint8_t *)frame + offsetof(struct advertisement, advert), size);

    sum += sum_words((const uint8_t *)frame + offsetof(struct advertisement, ip.ip6_src), 32);
    sum += (uint32_t)size + IPPROTO_ICMPV6;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static size_t make_advertisement(const uint8_t mac[MAC_SIZE], const struct ip *ip, uint8_t *ret)
{
    static const uint8_t all_nodes_mac[] = {0x33, 0x33, 0, 0, 0, 1};
    static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
    struct advertisement frame = {.eth.h_proto = htons(ETH_P_IPV6)};

    memcpy(frame.eth.h_dest, all_nodes_mac, ETH_ALEN);
    memcpy(frame.eth.h_source, mac, ETH_ALEN);
    frame.ip.ip6_vfc = 6 << 4;
    frame.ip.ip6_plen = htons(sizeof(frame) - offsetof(struct advertisement, advert));
    frame.ip.ip6_nxt = IPPROTO_ICMPV6;
    frame.ip.ip6_hlim = HOPS;
    memcpy(&frame.ip.ip6_src, ip->bytes, 16);
    memcpy(&frame.ip.ip6_dst, all_nodes, 16);
    frame.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
    frame.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
    memcpy(&frame.advert.nd_na_target, ip->bytes, 16);
    frame.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
    frame.option.nd_opt_len = 1;
    memcpy(frame.mac, mac, MAC_SIZE);
    frame.advert.nd_na_cksum = checksum(&frame);
    memcpy(ret, &frame, sizeof(frame));
    return sizeof(frame);
}

size_t announce_frame(const uint8_t mac[MAC_SIZE], const struct ip *ip,
                      uint8_t ret[ANNOUNCE_FRAME_ROOM])
{
    return ip->family == AF_INET ? make_arp(mac, ip, ret) : make_advertisement(mac, ip, ret);
}

static int send_frame(int raw, const struct link *link, const struct ip *ip)
{
    const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = link->index};
    uint8_t frame[ANNOUNCE_FRAME_ROOM];
    size_t size = announce_frame(link->mac, ip, frame);

    return sendto(raw, frame, size, 0, (const struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
}

static bool is_heard(const struct link *link)
{
    return link->has_mac && (link->flags & IFF_UP) != 0 && (link->flags & IFF_LOOPBACK) == 0;
}

static int announce(int netlink, int raw)
{
    static struct interface_address addresses[INTERFACE_ALL_ADDRESSES_MAX];
    static struct link links[LINKS_MAX];
    size_t n_links, n;
    int error = links_get(netlink, links, &n_links);
    if (error == 0)
        error = interface_addresses(netlink, addresses, INTERFACE_ALL_ADDRESSES_MAX, &n);
    if (error != 0)
        return error;

    for (size_t i = 0; i < n; i++)
        for (size_t l = 0; l < n_links; l++)
            if (links[l].index == addresses[i].device && is_heard(&links[l])) {
                int why = send_frame(raw, &links[l], &addresses[i].ip);
                error = error != 0 ? error : why;
            }
    return error;
}

int announce_all(void)
{
    int netlink = netlink_open();
    int raw = netlink >= 0 ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) : -1;
    int error = raw < 0 ? errno : announce(netlink, raw);

    if (netlink >= 0)
        close(netlink);
    if (raw >= 0)
        close(raw);
    return error;
}
