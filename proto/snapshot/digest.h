#ifndef SF_DIGEST_H
#define SF_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sandferry/v1/snapshot.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SF_DIGEST_SIZE 32

/* SHA-256 of the canonical encoding without the digest itself. */
bool sf_snapshot_digest(const Sandferry__V1__SandboxSnapshot *s, uint8_t ret[SF_DIGEST_SIZE],
                        struct sf_error **err);

/* Put the digest in. A repeat puts in that of the snapshot as it is by then. */
bool sf_snapshot_digest_set(Sandferry__V1__SandboxSnapshot *s, struct sf_error **err);

/* Return: false with DATA_LOSS if the digest is another, INVALID_ARGUMENT if it is none. */
bool sf_snapshot_digest_verify(const Sandferry__V1__SandboxSnapshot *s, struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
