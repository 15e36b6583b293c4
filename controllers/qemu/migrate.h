#ifndef QEMU_MIGRATE_H
#define QEMU_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "qemu/qmp.h"

/*
 * Device state out of a QEMU that stands still, and into one that was started as incoming. Guest
 * RAM is not in it: it stays in its shared file (x-ignore-shared, on both sides). A clone's is in
 * it (@with_ram, on both sides), since no file has it.
 */

/* @fd: the state file, open to write at its beginning; stays the caller's. */
bool migrate_out(struct qmp *q, int fd, bool with_ram, uint32_t timeout_ms, struct sf_error **err);

/* @fd: open to read at its beginning. A QEMU that does not like what it reads ends: UNAVAILABLE. */
bool migrate_in(struct qmp *q, int fd, bool with_ram, uint32_t timeout_ms, struct sf_error **err);

#endif
