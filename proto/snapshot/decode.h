#ifndef SF_DECODE_H
#define SF_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "sandferry/v1/snapshot.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sf_snapshot_decode() - bytes from anywhere as a snapshot
 *
 * Bounded (limits.h). A version that this build does not read is refused before anything else in
 * the bytes is judged, for they may mean anything; then every field that it does not know. What
 * the fields say is not judged: see validate.h.
 *
 * Return: the caller's, to be freed with sf_snapshot_free(); NULL with UNIMPLEMENTED (version),
 * INVALID_ARGUMENT (with the field's path) or RESOURCE_EXHAUSTED (a limit, or no memory).
 */
Sandferry__V1__SandboxSnapshot *sf_snapshot_decode(const uint8_t *data, size_t size,
                                                   struct sf_error **err);

/* The same with another allocator, to count with or to fail with; free it with the same. */
Sandferry__V1__SandboxSnapshot *sf_snapshot_decode_with(const uint8_t *data, size_t size,
                                                        ProtobufCAllocator *allocator,
                                                        struct sf_error **err);

/* For a snapshot that came within a request: the fields that unpacking did not know, all of them
 * in one error. */
bool sf_snapshot_check_unknown(const Sandferry__V1__SandboxSnapshot *s, struct sf_error **err);

void sf_snapshot_free(Sandferry__V1__SandboxSnapshot *s); /* NULL is fine */
SF_DEFINE_CLEANUP(Sandferry__V1__SandboxSnapshot, sf_snapshot_free)

#ifdef __cplusplus
}
#endif

#endif
