#include "guest/agent/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t ip_size(int family)
{
    return family == AF_INET ? 4 : 16;
}

static unsigned bits(int family)
{
    return (unsigned)ip_size(family) * 8;
}

bool ip_parse(const char *text, struct ip *ret)
{
    struct ip ip = {.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};

    if (inet_pton(ip.family, text, ip.bytes) != 1)
        return false;
    ip.prefix = (uint8_t)bits(ip.family);
    *ret = ip;
    return true;
}

/* One to three digits and no zero before others. */
static bool parse_prefix(const char *text, unsigned most, uint8_t *ret)
{
    size_t size = strlen(text);

    if (size < 1 || size > 3 || strspn(text, "0123456789") != size || (size > 1 && text[0] == '0'))
        return false;
    unsigned long value = strtoul(text, NULL, 10);
    *ret = (uint8_t)value;
    return value <= most;
}

bool ip_parse_with_prefix(const char *text, struct ip *ret)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');

    if (slash == NULL || (size_t)(slash - text) >= sizeof(address))
        return false;
    snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
    return ip_parse(address, ret) && parse_prefix(slash + 1, bits(ret->family), &ret->prefix);
}

struct ip ip_network(const struct ip *ip)
{
    struct ip network = *ip;

    for (size_t i = 0; i < ip_size(ip->family); i++) {
        unsigned before = (unsigned)i * 8;
        unsigned kept = ip->prefix <= before ? 0 : ip->prefix - before;
        if (kept < 8)
            network.bytes[i] &= (uint8_t)(0xff00 >> kept);
    }
    return network;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && a->prefix == b->prefix &&
           memcmp(a->bytes, b->bytes, ip_size(a->family)) == 0;
}

bool ip_is_network(const struct ip *ip)
{
    struct ip network = ip_network(ip);

    return ip_equal(&network, ip);
}

bool ip_is_in(const struct ip *network, const struct ip *address)
{
    struct ip of = *address;
    struct ip first = ip_network(network);

    of.prefix = network->prefix;
    if (of.family != network->family)
        return false;
    of = ip_network(&of);
    return ip_equal(&first, &of);
}

bool mac_parse(const char *text, uint8_t ret[MAC_SIZE])
{
    static const uint8_t none[MAC_SIZE];

    if (strlen(text) != 3 * MAC_SIZE - 1)
        return false;
    for (size_t i = 0; i < MAC_SIZE; i++) {
        const char *at = text + 3 * i;
        if (strspn(at, "0123456789abcdefABCDEF") != 2 || (i < MAC_SIZE - 1 && at[2] != ':'))
            return false;
        ret[i] = (uint8_t)strtoul(at, NULL, 16);
    }
    return (ret[0] & 1) == 0 && memcmp(ret, none, MAC_SIZE) != 0;
}
