#ifndef SERVER_SNAPSHOT_WORK_H
#define SERVER_SNAPSHOT_WORK_H

/*
 * Between controllers and the snapshot library: which controller's bytes go where. Names no
 * controller: a section is found by its class's name.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "controller.h"
#include "sandferry/v1/snapshot.pb-c.h"

struct modules;

/* ---- save ---- */

/* The head: id, producer, labels, and stopped_ns as its time. The caller's; NULL: no memory. */
Sandferry__V1__SandboxSnapshot *snapshot_work_new(struct sf_sandbox *s, struct sf_error **err);
bool snapshot_work_put(Sandferry__V1__SandboxSnapshot *snapshot,
                       const struct sf_controller_class *cls, const struct sf_bytes *section,
                       struct sf_error **err);
/* What a restore found and nobody here understood. */
bool snapshot_work_add_kept(Sandferry__V1__SandboxSnapshot *snapshot, struct sf_sandbox *s,
                            struct sf_error **err);
/* INTERNAL: what our controllers wrote is not sound. */
bool snapshot_work_validate(const Sandferry__V1__SandboxSnapshot *snapshot, struct sf_error **err);
/* Sets the digest. */
bool snapshot_work_seal(Sandferry__V1__SandboxSnapshot *snapshot, struct sf_error **err);
/* Canonical bytes; the caller's. */
bool snapshot_work_encode(const Sandferry__V1__SandboxSnapshot *snapshot, struct sf_bytes *ret,
                          struct sf_error **err);

/* ---- restore ---- */

/* Bytes of a file. The caller's; NULL: as the library says. */
Sandferry__V1__SandboxSnapshot *snapshot_work_decode(const struct sf_bytes *packed,
                                                     struct sf_error **err);
/* Versions, unknown fields, sections without a controller here, every rule, digest. */
bool snapshot_work_check(const Sandferry__V1__SandboxSnapshot *snapshot,
                         const struct modules *modules, struct sf_error **err);
/* Keeps extensions without a controller, byte for byte, for the next save. */
bool snapshot_work_keep_unknown(struct sf_sandbox *s,
                                const Sandferry__V1__SandboxSnapshot *snapshot,
                                const struct modules *modules, struct sf_error **err);
/* Labels and options as they were at the source; created now. */
bool snapshot_work_set_face(struct sf_sandbox *s, const Sandferry__V1__SandboxSnapshot *snapshot,
                            struct sf_error **err);
bool snapshot_work_get(const Sandferry__V1__SandboxSnapshot *snapshot,
                       const struct sf_controller_class *cls, struct sf_bytes *ret,
                       uint32_t *ret_version, bool *ret_there, struct sf_error **err);

#endif
