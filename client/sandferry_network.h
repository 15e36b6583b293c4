#ifndef SANDFERRY_NETWORK_H
#define SANDFERRY_NETWORK_H

/**
 * Networks of pods. A pod has one at most, made before its first container. The fourth part of
 * sandferry.h, which includes it; what holds for every function is said at the heads of that file
 * and of sandferry_guest.h.
 */

#include "sandferry.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a NIC is connected to on the host. */
enum sandferry_nic_kind {
    SANDFERRY_NIC_TAP = 0,    /**< a tap device that is there */
    SANDFERRY_NIC_BRIDGE = 1, /**< a tap device that is made, put on a bridge, and gone with it */
    SANDFERRY_NIC_SOCKET = 2, /**< a tap that a unix socket gives as an open file (SCM_RIGHTS) */
    SANDFERRY_NIC_USER = 3,   /**< QEMU's user network: needs no device and no privilege */
};
const char *sandferry_nic_kind_name(enum sandferry_nic_kind kind); /**< static */

enum sandferry_network_stage {
    SANDFERRY_NETWORK_NOT_CONFIGURED = 0,
    SANDFERRY_NETWORK_CONFIGURED = 1, /**< all NICs are in the VM and in the pod's namespace */
    SANDFERRY_NETWORK_INVALID = 2,    /**< something failed; only a teardown helps */
    SANDFERRY_NETWORK_TORN_DOWN = 3,
};
const char *sandferry_network_stage_name(enum sandferry_network_stage stage); /**< static */

/** One route in the guest. Never grows. */
struct sandferry_route {
    const char *destination; /**< "0.0.0.0/0" is the default */
    const char *gateway;     /**< NULL or "": on the link */
    uint32_t metric;         /**< 0: the kernel's default */
};

/** A NIC to be made. */
struct sandferry_nic_spec {
    size_t size;
    enum sandferry_nic_kind kind;
    const char *host_device;  /**< the tap, the bridge or the path of the socket; NULL for USER */
    const char *mac_address;  /**< NULL: the daemon makes one */
    const char *guest_device; /**< NULL: eth0, eth1, ... in order */
    size_t n_addresses;
    const char *const *addresses; /**< with prefix length, "10.0.0.2/24" */
    size_t n_routes;
    const struct sandferry_route *routes;
    uint32_t mtu; /**< in bytes; 0: the device's default */
};
#define SANDFERRY_NIC_SPEC_INIT SANDFERRY_SIZED_(struct sandferry_nic_spec)

struct sandferry_network_options {
    size_t size;
    uint32_t timeout_ms;
    const char *host_namespace; /**< where the devices are: /run/netns/NAME or /proc/PID/ns/net;
                                     NULL: the daemon's own */
    size_t n_nics;              /**< 1 to 8 */
    const struct sandferry_nic_spec *const *nics;
    size_t n_name_servers; /**< at most 3 */
    const char *const *name_servers;
    size_t n_search_domains; /**< at most 6 */
    const char *const *search_domains;
    bool policy_based_routing; /**< route by source address */
};
#define SANDFERRY_NETWORK_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_network_options)

/** One NIC. New fields come at the end; made by the library alone. */
struct sandferry_nic {
    const char *id; /**< a GUID: what a patch names */
    enum sandferry_nic_kind kind;
    const char *host_device, *mac_address, *guest_device;
    size_t n_addresses;
    const char *const *addresses;
    size_t n_routes;
    const struct sandferry_route *routes;
    uint32_t mtu;
    uint32_t port; /**< the VM's root port, from 0 */
};

/** The network of one pod. New fields come at the end; made by the library alone. */
struct sandferry_network {
    const char *pod_id, *host_namespace, *guest_namespace;
    enum sandferry_network_stage stage;
    size_t n_nics;
    const struct sandferry_nic *const *nics;
    size_t n_name_servers, n_search_domains;
    const char *const *name_servers, *const *search_domains;
    bool policy_based_routing;
};

/** All networks of a sandbox, sorted by pod. */
struct sandferry_networks {
    size_t n;
    const struct sandferry_network *const *all;
};

/**
 * sandferry_network_setup() - give a pod without containers a network
 * @ret: sandferry_network_free(); may be NULL
 *
 * All of it is made, or nothing.
 *
 * Return: false, also with SF_NOT_FOUND (there is no such pod, or device), SF_ALREADY_EXISTS (it
 * has a network) and SF_FAILED_PRECONDITION (it has containers).
 */
bool sandferry_network_setup(struct sandferry *client, const char *sandbox, const char *pod,
                             const struct sandferry_network_options *options,
                             struct sandferry_network **ret, struct sf_error **err);

/**
 * sandferry_network_teardown() - take the network of a pod away
 *
 * A call that has failed can be repeated and goes on where it stopped. A pod without a network is
 * no error. sandferry_pod_delete() does it, too.
 */
bool sandferry_network_teardown(struct sandferry *client, const char *sandbox, const char *pod,
                                const struct sandferry_call_options *options,
                                struct sf_error **err);

/**
 * sandferry_network_list() - the networks of all pods
 * @ret: sandferry_networks_free()
 */
bool sandferry_network_list(struct sandferry *client, const char *sandbox,
                            const struct sandferry_call_options *options,
                            struct sandferry_networks **ret, struct sf_error **err);

/* ---- Results: freed, and as JSON; see sandferry.h ---- */

void sandferry_network_free(struct sandferry_network *result);
void sandferry_networks_free(struct sandferry_networks *result);

char *sandferry_network_json(const struct sandferry_network *result);
char *sandferry_networks_json(const struct sandferry_networks *result);

#ifdef __cplusplus
}
#endif

#endif
