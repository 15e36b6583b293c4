#ifndef SF_SNAPSHOT_H
#define SF_SNAPSHOT_H

/*
 * The snapshot library: what may be done with a snapshot without a sandbox. Start here.
 *
 *     bytes -> sf_snapshot_decode() -> struct -> sf_snapshot_check() -> believed
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "snapshot/decode.h"
#include "snapshot/digest.h"
#include "snapshot/encode.h"
#include "snapshot/file.h"
#include "snapshot/limits.h"
#include "snapshot/sections.h"
#include "snapshot/validate.h"
#include "snapshot/versions.h"
#include "snapshot/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sf_snapshot_check() - whether a snapshot may be believed
 * @controllers: the names of those that can read a section, NULL at the end; NULL: any
 *
 * Asks, in this order, and stops at the first question with a bad answer: versions (UNIMPLEMENTED),
 * unknown fields (INVALID_ARGUMENT), sections that nobody here can read (UNIMPLEMENTED), what it
 * says (INVALID_ARGUMENT), digest (DATA_LOSS). One answer has every problem of its question, each
 * as an SF_DETAIL_FIELD.
 */
bool sf_snapshot_check(const Sandferry__V1__SandboxSnapshot *s, const char *const *controllers,
                       struct sf_error **err);

/* Validate alone, as an error: INVALID_ARGUMENT, with a detail for each problem. */
bool sf_snapshot_check_valid(const Sandferry__V1__SandboxSnapshot *s, struct sf_error **err);

/* Decode and check. The caller's, to be freed with sf_snapshot_free(); NULL with an error. */
Sandferry__V1__SandboxSnapshot *sf_snapshot_load(const uint8_t *data, size_t size,
                                                 const char *const *controllers,
                                                 struct sf_error **err);

/* The same of a file. Errors name the file. */
Sandferry__V1__SandboxSnapshot *
sf_snapshot_load_file(const char *path, const char *const *controllers, struct sf_error **err);

/* Encode and write, safely: see sf_file_write(). Mode 0600: a snapshot may hold secrets. */
bool sf_snapshot_write_file(const Sandferry__V1__SandboxSnapshot *s, const char *path,
                            struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
