#ifndef VPCI_FAKE_VM_H
#define VPCI_FAKE_VM_H

/*
 * For the tests of this folder: a sandbox with the vpci controller, and a VM with its guest, which
 * remember what has been plugged and what has a driver. The host has a few PCI functions, in a
 * sysfs of the test's own: see fake_vm.c.
 */

#include <check.h>

#include "base/suite.h"
#include "lib/fake_host.h"
#include "vpci/vpci.h"

/* Of the host: a function; one with two virtual functions, and those; one that is not vfio-pci's */
#define HOST_PLAIN   "0000:3b:00.0"
#define HOST_SRIOV   "0000:5e:00.0"
#define HOST_VF_1    "0000:5e:02.0"
#define HOST_VF_2    "0000:5e:02.1"
#define HOST_UNBOUND "0000:03:00.0"

extern struct sf_sandbox *sandbox;
extern struct vpci *v;       /* of the sandbox */
extern struct sf_error *err; /* of the last call that failed */

void fixture_make(void);
void fixture_remove(void);
/* Another sandbox, with another VM in which nothing is plugged: a destination, say. */
void fixture_next_sandbox(void);

/* ---- the VM and the guest ---- */

struct fake_port {
    char driver[32]; /* QEMU's; "": nothing is plugged */
    char host[16];
    bool bound;      /* the guest has it */
    bool used;       /* a process of the guest uses it */
    unsigned number; /* of an NVMe controller that it has */
};
extern struct fake_port vm_ports[VPCI_PORTS];

unsigned vm_plugged(void); /* how many are */

/* ---- calls ---- */

/* Check that they succeed. The ids are the fixture's, until it is removed. */
const char *reserve_model(const char *model);
const char *reserve_host(const char *address, unsigned virtual_function);
const struct device_found *map(const char *id);
void release(const char *id);
/* A device that is ready; its reservation. */
const char *add_model(const char *model);
struct device *device_of(const char *id); /* of a reservation */

/* True, and err is cleared, if the last call failed with that code and words. */
bool failed_with(enum sf_code code, const char *words);

struct sf_bytes saved_section(void);
/* Into a new sandbox, as lifecycle does it: import. */
void import_section(const struct sf_bytes *section);

/* Counts are as they should be; ports belong to one device each; the VM has what the books say;
 * what can be saved says the same after an import. */
void books_are_right(void);

int fixture_suite(const char *name, TCase *tc);

#endif
