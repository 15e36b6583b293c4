#ifndef NETWORK_NETWORK_H
#define NETWORK_NETWORK_H

/*
 * The network controller: a network for each pod, which is a namespace in the guest and NICs of the
 * VM in it. Every step of a teardown may be repeated, whatever of it has been done already.
 */

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "base/text.h"
#include "controller.h"
#include "machine.h"
#include "offers.h"

#define NETWORK_SECTION_VERSION 1
#define NETWORK_PORTS           8 /* of the machine document: "nic0" to "nic7" */
#define NETWORK_WORD_SIZE       256
#define NETWORK_PATH_SIZE       256
#define NETWORK_ADDRESSES_MAX   16 /* of one endpoint */
#define NETWORK_ROUTES_MAX      32
#define NETWORK_SERVERS_MAX     3
#define NETWORK_DOMAINS_MAX     6
#define NETWORK_ADDRESS_SIZE    52 /* of IPv6, with its prefix length */
#define NETWORK_MAC_SIZE        18
#define NETWORK_DEVICE_SIZE     16

/* Numbers as on the wire. */
enum network_state {
    NETWORK_NOT_CONFIGURED, /* recorded; nothing has been done */
    NETWORK_CONFIGURED,     /* all NICs are in the VM and in the guest's namespace */
    NETWORK_INVALID,        /* half there: only a teardown helps */
    NETWORK_TORN_DOWN,
    NETWORK_N_STATES
};

enum network_event {
    NETWORK_SETUP_DONE,
    NETWORK_SETUP_FAILED,
    NETWORK_TEARDOWN_DONE,
    NETWORK_TEARDOWN_FAILED,
    NETWORK_N_EVENTS
};

extern const struct sf_machine network_machine;

/* Numbers as on the wire. */
enum endpoint_kind {
    ENDPOINT_TAP,
    ENDPOINT_BRIDGE,
    ENDPOINT_SOCKET,
    ENDPOINT_USER,
    ENDPOINT_KINDS
};

struct route {
    char destination[NETWORK_ADDRESS_SIZE], gateway[NETWORK_ADDRESS_SIZE];
    uint32_t metric;
};

struct endpoint {
    char nic_id[SF_GUID_SIZE];
    unsigned kind; /* enum endpoint_kind */
    char host_device[NETWORK_PATH_SIZE];
    char mac_address[NETWORK_MAC_SIZE]; /* lower case */
    char guest_device[NETWORK_DEVICE_SIZE];
    char addresses[NETWORK_ADDRESSES_MAX][NETWORK_ADDRESS_SIZE];
    unsigned n_addresses;
    struct route routes[NETWORK_ROUTES_MAX];
    unsigned n_routes;
    uint32_t mtu;
    unsigned port;
    bool slirp; /* the saved state has that of QEMU's user network */
};

struct network {
    char pod_id[SF_ID_SIZE], saved_pod_id[SF_ID_SIZE];
    char guest_namespace[SF_ID_SIZE];
    char host_namespace[NETWORK_PATH_SIZE]; /* "": the daemon's own */
    unsigned state;                         /* enum network_state */
    bool policy_based_routing;
    struct endpoint endpoints[NETWORK_PORTS]; /* "eth0" first */
    unsigned n_endpoints;
    char name_servers[NETWORK_SERVERS_MAX][NETWORK_ADDRESS_SIZE];
    unsigned n_name_servers;
    char search_domains[NETWORK_DOMAINS_MAX][NETWORK_WORD_SIZE];
    unsigned n_search_domains;
};

struct networks {
    struct sf_controller base; /* first */
    /* Owned; sorted by pod. Each has a NIC at least, so there are no more than ports. */
    struct network *list[NETWORK_PORTS];
    unsigned n;
};

/* ---- books.c ---- */

struct network *network_find(const struct networks *all, const char *pod_id); /* NULL: none */
/* Takes @n over if it succeeds. */
bool network_add(struct networks *all, struct network *n, struct sf_error **err);
void network_drop(struct networks *all, struct network *n);
void networks_empty(struct networks *all);
void networks_sort(struct networks *all);
/* Bit for bit: the ports that have a NIC. */
unsigned networks_ports(const struct networks *all);
/* What can be said of it alone, from a request or a section. */
bool network_check(const struct network *n, struct sf_error **err);
bool network_device_check(const struct endpoint *e, struct sf_error **err);
bool network_namespace_check(const char *path, struct sf_error **err);
bool network_new_mac(char ret[NETWORK_MAC_SIZE]);

/* ---- setup.c ---- */

/* Takes @n over, also on failure. A failure has taken everything back, or says what is left. */
bool network_setup(struct networks *all, struct network *n, struct sf_error **err);
/* Goes on after a failure, and tells of all of them. */
bool network_teardown(struct networks *all, const char *pod_id, struct sf_error **err);

/* ---- tap.c: the host's side ---- */

/* An open tap for QEMU; -1: *@err says why. Not for ENDPOINT_USER. The thread that opens it is in
 * the other namespace, the caller never is. */
int tap_open(const struct network *n, const struct endpoint *e, struct sf_error **err);
/* Whether it could be opened. Changes nothing. */
bool tap_check(const struct network *n, const struct endpoint *e, struct sf_error **err);

/* ---- plug.c: the NIC in the VM ---- */

bool nic_plug(struct networks *all, const struct network *n, const struct endpoint *e,
              struct sf_error **err);
/* What is not there is no error. */
bool nic_unplug(struct networks *all, const struct endpoint *e, struct sf_error **err);
bool nic_announce(struct networks *all, struct sf_error **err);

/* ---- guest.c: what the agent is asked ---- */

bool guest_add_namespace(struct networks *all, const struct network *n, struct sf_error **err);
bool guest_remove_namespace(struct networks *all, const struct network *n, struct sf_error **err);
bool guest_add_interface(struct networks *all, const struct network *n, const struct endpoint *e,
                         struct sf_error **err);
bool guest_remove_interface(struct networks *all, const struct network *n, const struct endpoint *e,
                            struct sf_error **err);
bool guest_announce(struct networks *all, struct sf_error **err);

/* ---- section.c ---- */

bool networks_to_section(const struct networks *all, struct sf_bytes *ret, struct sf_error **err);
bool networks_from_section(struct networks *all, const struct sf_bytes *section,
                           struct sf_error **err);
/* @wire: a Sandferry__V1__NetworkEndpoint. */
bool endpoint_from_wire(struct endpoint *e, const void *wire, struct sf_error **err);
/* A copy into a field of a given size. False: it is too long. */
bool network_put(char *ret, size_t size, const char *text, const char *field,
                 struct sf_error **err);

/* ---- patch.c ---- */

bool networks_patch(struct networks *all, const char *object, const char *value,
                    struct sf_error **err);
bool networks_admit(struct networks *all, struct sf_reasons *why, struct sf_error **err);

/* ---- rpcs.c ---- */

extern struct sf_service network_services[];

#endif
