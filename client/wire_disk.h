#ifndef CLIENT_WIRE_DISK_H
#define CLIENT_WIRE_DISK_H

#include "internal.h"
#include "sandferry/v1/disk.pb-c.h"

/* A request for a disk; borrows from @spec. Where it is part of a container, @sandbox is NULL. */
bool wire_disk_make(Sandferry__V1__AddDiskRequest *ret, const char *sandbox,
                    const struct sandferry_disk_spec *spec, struct sf_error **err);

#endif
