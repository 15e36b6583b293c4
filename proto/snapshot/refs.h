#ifndef SF_REFS_H
#define SF_REFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/reasons.h"
#include "sandferry/v1/snapshot.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sf_ref_kind {
    SF_REF_NAMES,  /* the value is one that the other list has */
    SF_REF_OWNS,   /* likewise, and nobody else names the same one */
    SF_REF_COUNTS, /* the value is how many entries of the other list name this one */
};

/* Where the values are: a path to visit, and the one or two fields on the way that make the key. */
struct sf_ref_key {
    const char *visit;
    const char *parts[2];
};

/* A row of the table of cross-references. */
struct sf_ref {
    const char *field, *names; /* as the head of snapshot.proto has them */
    enum sf_ref_kind kind;
    struct sf_ref_key from, to;
};

extern const struct sf_ref sf_refs[];
extern const size_t sf_n_refs;

/* A list, and the fields that it is sorted by; without any: by its own values. */
struct sf_list {
    const char *list;
    const char *parts[2];
};

extern const struct sf_list sf_lists[];
extern const size_t sf_n_lists;

/* Add every reference that leads nowhere, every wrong count, everything that is owned twice. */
void sf_refs_check(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why);

/* Add every entry that is out of order or comes twice. */
void sf_lists_check(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why);

#ifdef __cplusplus
}
#endif

#endif
