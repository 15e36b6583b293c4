#ifndef CLIENT_WIRE_SPECS_H
#define CLIENT_WIRE_SPECS_H

#include "internal.h"
#include "sandferry/v1/device.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/share.pb-c.h"

/* Requests for what a sandbox, or a container, is to have; they borrow from @spec. Where it is part
 * of a container, @sandbox is NULL. */
bool wire_disk_make(Sandferry__V1__AddDiskRequest *ret, const char *sandbox,
                    const struct sandferry_disk_spec *spec, struct sf_error **err);
bool wire_share_make(Sandferry__V1__AddShareRequest *ret, const char *sandbox,
                     const struct sandferry_share_spec *spec, struct sf_error **err);
bool wire_device_make(Sandferry__V1__AddDeviceRequest *ret, const char *sandbox,
                      const struct sandferry_device_spec *spec, struct sf_error **err);

#endif
