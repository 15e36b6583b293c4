#ifndef SF_VALIDATE_H
#define SF_VALIDATE_H

#include <stdbool.h>

#include "base/reasons.h"
#include "sandferry/v1/snapshot.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sf_snapshot_validate() - everything that is wrong with what a snapshot says
 * @why: gets every problem, each with the path of its field, in the name of "snapshot"
 *
 * Asks, in this order: what each field may hold (fields.c, a table), enum values, order of lists
 * and references between sections (refs.c, two tables), and what cannot be true at the same time
 * (rules.c). Versions, digest and host are asked elsewhere. Changes nothing; thread-safe.
 */
void sf_snapshot_validate(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why);

/* The parts, for it and for tests. */
void sf_fields_check(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why);
/* Whether the table has a row for it: "scsi.disks[].host_path". */
bool sf_fields_has(const char *path_of_field);
void sf_enums_check(const ProtobufCMessage *m, struct sf_reasons *why);
void sf_rules_check(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why);

/*
 * Where the guest has things; the agent makes the same names. sf_guest_mount_path() is of a SCSI
 * mount: the slot gives controller and LUN. The caller's; NULL: no memory.
 */
char *sf_guest_mount_path(uint32_t slot, uint64_t partition);
char *sf_guest_rootfs_path(const char *guest_pod_id, const char *guest_container_id);
char *sf_guest_scratch_path(const char *mount_path, const char *guest_pod_id,
                            const char *guest_container_id);

#ifdef __cplusplus
}
#endif

#endif
