#ifndef AGENT_CRYPT_H
#define AGENT_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/outcome.h"

/*
 * Encrypted disks: dm-crypt, with a key that is made here and is nowhere but in the kernel of the
 * guest. A save takes it along in guest RAM; with the guest it is gone, and what is on the disk
 * with it. A mapping is named after what is beneath it, so that it is found again without any
 * books.
 */

#define CRYPT_DEVICE_ROOM 32
#define CRYPT_NAME_ROOM   32

/* "sf-1_4_0": controller, LUN, partition. */
void crypt_name(uint32_t controller, uint32_t lun, uint64_t partition, char ret[CRYPT_NAME_ROOM]);

/* The device of a mapping that is there: "/dev/dm-0". */
bool crypt_find(const char *name, char ret_device[CRYPT_DEVICE_ROOM]);

/**
 * crypt_open() - the encrypted view of a device; only in a job's child
 * @name:       of the mapping
 * @device:     what is beneath: "/dev/sda"
 * @ret_device: "/dev/dm-0"
 *
 * With a new key: what it shows is noise. There must be no mapping of the name.
 */
bool crypt_open(const char *name, const char *device, char ret_device[CRYPT_DEVICE_ROOM],
                struct outcome *o);

/* One that is not there is no error. FAILED_PRECONDITION if it is in use. */
bool crypt_close(const char *name, struct outcome *o);

/* The same for all mappings of a disk. */
bool crypt_close_disk(uint32_t controller, uint32_t lun, struct outcome *o);

/* The name that belongs to a mount point ".../scsi/1_4_0"; false: it is none of ours. */
bool crypt_name_of_path(const char *guest_path, char ret[CRYPT_NAME_ROOM]);

/* The table's line for the device mapper: aes-xts-plain64 over all of @device. @key is 64 bytes.
 * False: no room. */
bool crypt_parameters(const uint8_t key[64], const char *device, char *ret, size_t room);

#endif
