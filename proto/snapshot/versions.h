#ifndef SF_VERSIONS_H
#define SF_VERSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sandferry/v1/snapshot.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The schema that this build writes, and the oldest that it reads. */
#define SF_SNAPSHOT_SCHEMA        1
#define SF_SNAPSHOT_SCHEMA_OLDEST 1

/**
 * sf_version_check() - whether a version can be read
 * @what: "snapshot", "scsi section"
 *
 * Return: true, or false with UNIMPLEMENTED and a message that names both numbers.
 */
bool sf_version_check(const char *what, uint32_t is, uint32_t oldest, uint32_t newest,
                      struct sf_error **err);

/*
 * The versions of the snapshot and of every section that has a field of its own. What a section's
 * controller takes is asked again, by the lifecycle, before its import.
 */
bool sf_snapshot_check_versions(const Sandferry__V1__SandboxSnapshot *s, struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
