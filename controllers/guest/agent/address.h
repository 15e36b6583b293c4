#ifndef AGENT_ADDRESS_H
#define AGENT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses as the host writes them. */

#define MAC_SIZE 6

struct ip {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
    uint8_t prefix; /* length, in bits; all of them for an address without one */
};

size_t ip_size(int family); /* of an address, in bytes */

/* "10.0.0.2", "fd00::2". */
bool ip_parse(const char *text, struct ip *ret);
/* "10.0.0.2/24": the prefix length is a must. */
bool ip_parse_with_prefix(const char *text, struct ip *ret);
bool ip_equal(const struct ip *a, const struct ip *b);
/* Whether @address is in the network that @network is of. */
bool ip_is_in(const struct ip *network, const struct ip *address);
/* Whether nothing is set behind the prefix: a network, no address in it. */
bool ip_is_network(const struct ip *ip);
/* The network that it is of. */
struct ip ip_network(const struct ip *ip);

/* "02:00:00:00:00:01"; one machine's, and not all zeros. */
bool mac_parse(const char *text, uint8_t ret[MAC_SIZE]);

#endif
