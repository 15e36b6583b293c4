#ifndef SCSI_IMAGE_H
#define SCSI_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/**
 * image_size() - the size of a disk, as the VM sees it
 * @fd:     of the file or block device
 * @format: enum disk_format; the image must have it
 * @path:   for messages
 *
 * An image that needs another file is refused: it would name that file, and whoever wrote the
 * image would choose it.
 *
 * Return: false with INVALID_ARGUMENT if it is no such image; UNAVAILABLE if it cannot be read.
 */
bool image_size(int fd, unsigned format, const char *path, uint64_t *ret, struct sf_error **err);

#endif
