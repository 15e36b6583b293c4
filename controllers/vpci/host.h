#ifndef VPCI_HOST_H
#define VPCI_HOST_H

/* PCI functions of this host, as its kernel shows them. */

#include "vpci/device.h"

/* "0000:3b:00.0" */
bool host_address_valid(const char *text);

/* "0000:3b:00.0" or, with a virtual function, "0000:3b:00.0/2". False: neither. */
bool host_address_parse(const char *text, char ret_address[VPCI_ADDRESS_SIZE],
                        unsigned *ret_virtual_function);

/**
 * host_find() - which function that is, and whether a VM can have it
 * @ret: its own address: that of the virtual function
 *
 * Return: false with NOT_FOUND if this host has no such function, FAILED_PRECONDITION if it is not
 * vfio-pci's; the words say what to do.
 */
bool host_find(const struct device_config *config, char ret[VPCI_ADDRESS_SIZE],
               struct sf_error **err);

/* Where the kernel shows them: "/sys" and "/dev". A test has others. */
extern const char *host_sys, *host_dev;

#endif
