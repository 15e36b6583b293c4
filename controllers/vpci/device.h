#ifndef VPCI_DEVICE_H
#define VPCI_DEVICE_H

/* A PCI function of the VM: what it is and which moves it may make. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "machine.h"
#include "offers.h"

#define VPCI_PORTS          8 /* of the machine document: "port0" to "port7" */
#define VPCI_MODEL_SIZE     32
#define VPCI_ADDRESS_SIZE   13 /* "0000:3b:00.0" */
#define VPCI_PROPERTIES_MAX 8  /* of one device */
#define VPCI_PROPERTY_SIZE  128
#define VPCI_DRIVER_SIZE    64
#define VPCI_NODES_MAX      16 /* of one device */
#define VPCI_NODE_SIZE      64
#define VPCI_NO_PORT        (-1)

/* Numbers as on the wire. */
enum device_state {
    DEVICE_RESERVED, /* recorded; neither the VM nor the guest knows of it */
    DEVICE_ASSIGNED, /* in the VM; the guest has not answered yet */
    DEVICE_READY,    /* in the VM, and the guest has it */
    DEVICE_INVALID,  /* in the VM, but unusable: only a release helps */
    DEVICE_REMOVED,  /* not in the VM; its holders have not let go yet */
    DEVICE_N_STATES
};

enum device_event {
    DEVICE_PLUG_DONE,
    DEVICE_PLUG_FAILED,
    DEVICE_GUEST_DONE,
    DEVICE_GUEST_FAILED,
    DEVICE_LEFT_OUT, /* it had been unplugged for a save, and could not be plugged again */
    DEVICE_UNPLUG_DONE,
    DEVICE_UNPLUG_FAILED,
    DEVICE_N_EVENTS
};

extern const struct sf_machine device_machine;

/* How far a device that is ready has been taken out, by a save, or by a release that failed. */
enum device_away {
    DEVICE_HERE,
    DEVICE_LET_GO, /* the guest may have let go of it: it is asked again before it is used */
    DEVICE_ASKED,  /* so may QEMU */
    DEVICE_OUT,    /* it is unplugged until the save, or the restore, is over */
};

/* A function of the host, or one of QEMU's own. */
struct device_config {
    char host_address[VPCI_ADDRESS_SIZE]; /* "": a model */
    unsigned virtual_function;            /* of it, from 1; 0: the function itself */
    char model[VPCI_MODEL_SIZE];          /* "": the host's */
    char properties[VPCI_PROPERTIES_MAX][VPCI_PROPERTY_SIZE]; /* "serial=a1"; sorted */
    unsigned n_properties;
};

/* What the guest has said of it; nothing of it is on the wire. */
struct device_found {
    char pci_address[VPCI_ADDRESS_SIZE]; /* "": it has not been asked, or has let go */
    char driver[VPCI_DRIVER_SIZE];
    char nodes[VPCI_NODES_MAX][VPCI_NODE_SIZE];
    const char *node_list[VPCI_NODES_MAX]; /* into nodes */
    struct sf_device_number numbers[VPCI_NODES_MAX];
    unsigned n_nodes;
};

/* What the guest calls it: that stays, whatever happens to the device meanwhile. */
struct device_names {
    char nodes[VPCI_NODES_MAX][VPCI_NODE_SIZE]; /* sorted */
    unsigned n;
};

struct device {
    char id[SF_GUID_SIZE];
    struct device_config config;
    unsigned state; /* enum device_state */
    uint32_t refs;  /* reservations that hold it */
    int port;       /* VPCI_NO_PORT: none */
    bool travels;   /* its state is part of the VM's */
    unsigned away;  /* enum device_away; only of one that is ready */
    bool leftover;  /* QEMU may still hold what a plug began that has failed */
    struct device_found found;
    struct device_names names;        /* of one that is ready */
    char function[VPCI_ADDRESS_SIZE]; /* the host's, virtual_function resolved; "": not looked at */
    char saved_address[VPCI_ADDRESS_SIZE]; /* as it was imported, whatever patches say since */
    unsigned saved_virtual_function;
};

struct device *device_new(const char *id, const struct device_config *config); /* NULL: no memory */

bool device_is_of_host(const struct device *d);
bool device_is_in_vm(const struct device *d); /* by its state */
/* A state that a move has been proven to be allowed from. */
void device_move(struct device *d, enum device_event on);

bool device_node_valid(
    const char *node); /* "/dev/nvme0": as it may be, from a guest or a section */

/* "nvme in port2", "0000:3b:00.0/2": for messages. */
const char *device_name(const struct device *d, char ret[64]);

#endif
