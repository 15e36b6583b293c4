/* What networks there are, and what may be said of one. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "network/network.h"

/* clang-format off */
static const char *const states[] = {"not configured", "configured", "invalid", "torn down"};
static const char *const events[] = {"setup done", "setup failed", "teardown done", "teardown failed"};
static const struct sf_step steps[] = {
    { NETWORK_NOT_CONFIGURED, NETWORK_SETUP_DONE,      NETWORK_CONFIGURED     },
    { NETWORK_NOT_CONFIGURED, NETWORK_SETUP_FAILED,    NETWORK_INVALID        },
    { NETWORK_NOT_CONFIGURED, NETWORK_TEARDOWN_DONE,   NETWORK_NOT_CONFIGURED },
    { NETWORK_CONFIGURED,     NETWORK_TEARDOWN_DONE,   NETWORK_TORN_DOWN      },
    { NETWORK_CONFIGURED,     NETWORK_TEARDOWN_FAILED, NETWORK_INVALID        },
    { NETWORK_INVALID,        NETWORK_TEARDOWN_DONE,   NETWORK_TORN_DOWN      },
    { NETWORK_INVALID,        NETWORK_TEARDOWN_FAILED, NETWORK_INVALID        },
    { NETWORK_TORN_DOWN,      NETWORK_TEARDOWN_DONE,   NETWORK_TORN_DOWN      },
};
/* clang-format on */

const struct sf_machine network_machine = {
    .noun = "network",
    .states = states,
    .n_states = NETWORK_N_STATES,
    .events = events,
    .n_events = NETWORK_N_EVENTS,
    .steps = steps,
    .n_steps = sizeof(steps) / sizeof(steps[0]),
};

struct network *network_find(const struct networks *all, const char *pod_id)
{
    for (unsigned i = 0; i < all->n; i++)
        if (strcmp(all->list[i]->pod_id, pod_id) == 0)
            return all->list[i];
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const struct network *const *x = a, *const *y = b;

    return strcmp((*x)->pod_id, (*y)->pod_id);
}

void networks_sort(struct networks *all)
{
    qsort(all->list, all->n, sizeof(all->list[0]), compare);
}

bool network_add(struct networks *all, struct network *n, struct sf_error **err)
{
    if (all->n == NETWORK_PORTS)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "a sandbox has %d NICs at most; tear a network down first", NETWORK_PORTS);
    all->list[all->n++] = n;
    networks_sort(all);
    return true;
}

void network_drop(struct networks *all, struct network *n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < all->n; i++)
        if (all->list[i] != n)
            all->list[kept++] = all->list[i];
    all->n = kept;
    free(n);
}

void networks_empty(struct networks *all)
{
    while (all->n > 0)
        free(all->list[--all->n]);
}

unsigned networks_ports(const struct networks *all)
{
    unsigned ports = 0;

    for (unsigned i = 0; i < all->n; i++)
        for (unsigned k = 0; k < all->list[i]->n_endpoints; k++)
            ports |= 1U << all->list[i]->endpoints[k].port;
    return ports;
}

/* ---- Checks ---- */

static bool address_valid(const char *text)
{
    unsigned char raw[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
}

static bool prefix_valid(const char *text)
{
    const char *slash = strchr(text, '/');
    char host[NETWORK_ADDRESS_SIZE];

    if (slash == NULL || (size_t)(slash - text) >= sizeof(host))
        return false;
    snprintf(host, sizeof(host), "%.*s", (int)(slash - text), text);
    size_t digits = strlen(slash + 1);
    return address_valid(host) && digits >= 1 && digits <= 3 &&
           strspn(slash + 1, "0123456789") == digits && (slash[1] != '0' || digits == 1) &&
           atoi(slash + 1) <= (strchr(host, ':') != NULL ? 128 : 32);
}

/* Lower case, of one station. */
static bool mac_valid(const char *text)
{
    bool good = strlen(text) == 17 && strcmp(text, "00:00:00:00:00:00") != 0;

    for (int i = 0; good && i < 17; i++)
        good = i % 3 == 2 ? text[i] == ':' : strchr("0123456789abcdef", text[i]) != NULL;
    return good && strchr("02468ace", text[1]) != NULL;
}

bool network_new_mac(char ret[NETWORK_MAC_SIZE])
{
    unsigned char r[5];

    if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return false;
    snprintf(ret, NETWORK_MAC_SIZE, "02:%02x:%02x:%02x:%02x:%02x", r[0], r[1], r[2], r[3], r[4]);
    return true;
}

static bool device_name_valid(const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++)
        if (!isgraph((unsigned char)name[i]) || strchr("/:%", name[i]) != NULL)
            return false;
    return size >= 1 && size < NETWORK_DEVICE_SIZE && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

bool network_device_check(const struct endpoint *e, struct sf_error **err)
{
    const char *device = e->host_device;

    switch (e->kind) {
    case ENDPOINT_TAP:
    case ENDPOINT_BRIDGE:
        return device_name_valid(device) ||
               sf_fail(err, SF_INVALID_ARGUMENT, "'%.100s' is no name of a network device", device);
    case ENDPOINT_SOCKET:
        return device[0] == '/' || sf_fail(err, SF_INVALID_ARGUMENT,
                                           "'%.100s' is no absolute path of a socket", device);
    case ENDPOINT_USER:
        return device[0] == '\0' ||
               sf_fail(err, SF_INVALID_ARGUMENT, "the user network has no device '%.100s'", device);
    default:
        return sf_fail(err, SF_INVALID_ARGUMENT, "there is no endpoint of kind %u", e->kind);
    }
}

bool network_namespace_check(const char *path, struct sf_error **err)
{
    bool named = strncmp(path, "/run/netns/", 11) == 0 && strchr(path + 11, '/') == NULL &&
                 path[11] != '\0' && path[11] != '.';
    bool of_process = false;

    if (strncmp(path, "/proc/", 6) == 0) {
        size_t digits = strspn(path + 6, "0123456789");
        of_process = digits > 0 && strcmp(path + 6 + digits, "/ns/net") == 0;
    }
    return path[0] == '\0' || named || of_process ||
           sf_fail(err, SF_INVALID_ARGUMENT,
                   "'%.200s' is no network namespace: give /run/netns/NAME or /proc/PID/ns/net",
                   path);
}

static bool check_endpoint(const struct endpoint *e, struct sf_error **err)
{
    if (!network_device_check(e, err))
        return false;
    if (!mac_valid(e->mac_address))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s' is no MAC address of one station, in lower case", e->mac_address);
    if (!device_name_valid(e->guest_device) || strcmp(e->guest_device, "lo") == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is no name of a NIC in the guest",
                       e->guest_device);
    for (unsigned i = 0; i < e->n_addresses; i++)
        if (!prefix_valid(e->addresses[i]))
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "'%s' is no IP address with a prefix length (10.0.0.2/24)",
                           e->addresses[i]);
    for (unsigned i = 0; i < e->n_routes; i++) {
        const struct route *r = &e->routes[i];
        if (!prefix_valid(r->destination) || (r->gateway[0] != '\0' && !address_valid(r->gateway)))
            return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' via '%s' is no route", r->destination,
                           r->gateway);
    }
    return (e->mtu == 0 || (e->mtu >= 68 && e->mtu <= 65535)) ||
           sf_fail(err, SF_INVALID_ARGUMENT, "%u is no MTU: 68 to 65535, or 0", e->mtu);
}

static bool check_twice(const struct network *n, unsigned i, struct sf_error **err)
{
    const struct endpoint *e = &n->endpoints[i];

    for (unsigned k = 0; k < i; k++) {
        const struct endpoint *other = &n->endpoints[k];
        if (strcmp(e->mac_address, other->mac_address) == 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "MAC address '%s' comes twice",
                           e->mac_address);
        if (strcmp(e->guest_device, other->guest_device) == 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "NIC '%s' comes twice", e->guest_device);
        if (e->kind == ENDPOINT_TAP && other->kind == ENDPOINT_TAP &&
            strcmp(e->host_device, other->host_device) == 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "tap '%s' comes twice", e->host_device);
    }
    return true;
}

static bool domain_valid(const char *text)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++)
        if (!isgraph((unsigned char)text[i]))
            return false;
    return size > 0;
}

bool network_check(const struct network *n, struct sf_error **err)
{
    if (n->n_endpoints == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "a network has 1 to %d endpoints", NETWORK_PORTS);
    if (!network_namespace_check(n->host_namespace, err))
        return false;
    for (unsigned i = 0; i < n->n_endpoints; i++)
        if (!check_endpoint(&n->endpoints[i], err) || !check_twice(n, i, err))
            return sf_fail_in(err, "endpoints[%u]", i);
    for (unsigned i = 0; i < n->n_name_servers; i++)
        if (!address_valid(n->name_servers[i]))
            return sf_fail(err, SF_INVALID_ARGUMENT, "name_servers[%u]: '%s' is no IP address", i,
                           n->name_servers[i]);
    for (unsigned i = 0; i < n->n_search_domains; i++)
        if (!domain_valid(n->search_domains[i]))
            return sf_fail(err, SF_INVALID_ARGUMENT, "search_domains[%u] is no domain", i);
    return true;
}
