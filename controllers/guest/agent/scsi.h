#ifndef AGENT_SCSI_H
#define AGENT_SCSI_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/outcome.h"

/* Disks by their SCSI address. Controllers are counted in the order of their PCI addresses, which
 * is the order that the host's machine document gives them. */

#define SCSI_NAME_ROOM 32

/* The SCSI host that is the N-th virtio-scsi controller; -1: there is none. @sys: "/sys", or a
 * test's. */
int scsi_host_of(const char *sys, uint32_t controller);

/* The name of the disk at an address: "sda". */
bool scsi_disk_of(const char *sys, int host, uint32_t lun, char ret[SCSI_NAME_ROOM]);

/* Waits up to 10 s until the disk, and its partition (0: none), is there. Only in a job's child.
 * *@ret: its device, "/dev/sda1". */
bool scsi_wait(uint32_t controller, uint32_t lun, uint64_t partition, char ret[SCSI_NAME_ROOM],
               struct outcome *o);

/* Writes back what the disk holds and takes it away. One that is not there is no error. */
bool scsi_delete(uint32_t controller, uint32_t lun, struct outcome *o);

#endif
