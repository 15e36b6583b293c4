#ifndef AGENT_PCI_H
#define AGENT_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * PCI devices that were plugged into root ports, as sysfs shows them. @sys: "/sys", or a test's.
 *
 * Of the host's machine document (controllers/qemu), "portN" is the function 0000:00:10.N, and
 * "nicN" 0000:00:11.N.
 */

#define PCI_ADDRESS_ROOM 13 /* "0000:05:00.0" */
#define PCI_NAME_ROOM    64
#define PCI_NODES_MAX    16
#define PCI_FILES_MAX    16

/* The function of a root port: "port3", "nic3". False: there is no such name. */
bool pci_port_of(const char *name, char ret[PCI_ADDRESS_ROOM]);

/* What is plugged into it. False: nothing is. */
bool pci_device_at(const char *sys, const char *port, char ret[PCI_ADDRESS_ROOM]);

/* The name of its driver. False: it has none. */
bool pci_driver_of(const char *sys, const char *device, char ret[PCI_NAME_ROOM]);

/* What a kind of device needs before it can be used. */
struct pci_kind {
    const char *modules; /* group of them; NULL: none */
    /* A path beneath the device, the last part but one being any name that begins so, that is there
     * once it can be used ("nvme/nvme", "state"), and what its first word is then; NULL: is there
     * is enough. */
    const char *directory, *prefix, *file, *word;
};

/* NULL: nothing is known of it. */
const struct pci_kind *pci_kind_of(const char *sys, const char *device);
bool pci_is_ready(const char *sys, const char *device, const struct pci_kind *kind);

/* What a process can hold of a device. */
struct pci_handles {
    struct pci_node {
        char name[PCI_NAME_ROOM]; /* "nvme0" beneath /dev */
        bool block;
        dev_t number;
    } nodes[PCI_NODES_MAX]; /* sorted by name */
    size_t n_nodes;
    ino_t files[PCI_FILES_MAX]; /* resource0 and the like */
    size_t n_files;
};

/* False: it has more than there is room for. */
bool pci_handles_of(const char *sys, const char *device, struct pci_handles *ret);

/**
 * pci_users() - who uses a device, in words
 * @proc: "/proc", or a test's
 * @ret:  "process 117 ('sh') of container 'c1' has '/dev/nvme0' open"; the first three of them
 *
 * Return: how many do.
 */
unsigned pci_users(const char *proc, const char *device, const struct pci_handles *handles,
                   char *ret, size_t room);

#endif
