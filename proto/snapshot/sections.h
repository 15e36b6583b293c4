#ifndef SF_SECTIONS_H
#define SF_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "sandferry/v1/snapshot.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A snapshot's sections by their controllers' names, so that the daemon need name no controller. A
 * controller with a field of its name in SandboxSnapshot has its section there, typed; every other
 * one has an entry in extensions.
 */

/* A field of SandboxSnapshot that is a section, by its type: a message with a schema_version. */
bool sf_field_is_section(const ProtobufCFieldDescriptor *field);
/* The schema_version of a typed section. */
uint32_t sf_section_version(const ProtobufCMessage *section);

/**
 * sf_section_set() - put a controller's section into a snapshot
 * @version:  as the controller counts; a typed section has to hold the same number
 * @critical: of an extension; a typed section always is
 * @section:  encoded; stays the caller's
 *
 * Takes the place of the one that was there. Extensions stay sorted.
 *
 * Return: false, with the snapshot as it was: INTERNAL if a typed section does not hold what its
 * type allows (a controller's bug), INVALID_ARGUMENT for a bad name, RESOURCE_EXHAUSTED.
 */
bool sf_section_set(Sandferry__V1__SandboxSnapshot *s, const char *controller, uint32_t version,
                    bool critical, const struct sf_bytes *section, struct sf_error **err);

/**
 * sf_section_get() - a controller's section, encoded
 * @ret:         the caller's, to be emptied with sf_bytes_done()
 * @ret_version: as its writer counted
 *
 * Return: false with NOT_FOUND if the snapshot has none.
 */
bool sf_section_get(const Sandferry__V1__SandboxSnapshot *s, const char *controller,
                    struct sf_bytes *ret, uint32_t *ret_version, struct sf_error **err);

/* The names of the sections that are there: the typed ones in the order of their fields, then the
 * extensions. NULL beyond the last. Borrowed from the snapshot. */
const char *sf_section_name(const Sandferry__V1__SandboxSnapshot *s, size_t i);

/**
 * sf_sections_check_known() - refuse what nobody here could read
 * @controllers: names of those who can, NULL at the end
 *
 * Return: false with UNIMPLEMENTED and a detail for each typed section and each critical extension
 * whose controller is not among them. An extension that is not critical is nobody's business.
 */
bool sf_sections_check_known(const Sandferry__V1__SandboxSnapshot *s,
                             const char *const *controllers, struct sf_error **err);

/*
 * Copy the extensions that nobody here knows from the snapshot that was restored, so that a later
 * save hands them on as they came. Repeatable.
 */
bool sf_sections_keep_unknown(Sandferry__V1__SandboxSnapshot *to,
                              const Sandferry__V1__SandboxSnapshot *from,
                              const char *const *controllers, struct sf_error **err);

#ifdef __cplusplus
}
#endif

#endif
