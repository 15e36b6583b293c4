#ifndef SF_ENCODE_H
#define SF_ENCODE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "sandferry/v1/snapshot.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sf_snapshot_encode() - a snapshot as bytes
 * @ret: the caller's, to be emptied with sf_bytes_done()
 *
 * Canonical: fields in the order of their numbers, defaults left out, lists in the order in which
 * they are (sorted, as the validator asks). The same snapshot gives the same bytes.
 *
 * Return: false with RESOURCE_EXHAUSTED: no memory, or more than SF_SNAPSHOT_SIZE_MAX.
 */
bool sf_snapshot_encode(const Sandferry__V1__SandboxSnapshot *s, struct sf_bytes *ret,
                        struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
