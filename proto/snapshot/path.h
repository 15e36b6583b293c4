#ifndef SF_PATH_H
#define SF_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Fields by their path, so that what is true of a field can stand in a table. A path is the names
 * from the outermost message on, "[]" after each list: "scsi.disks[].mounts[].partition".
 */

/* How many values a field has: of a list its length, of an absent message or oneof member 0, else
 * 1 (proto3 does not tell a default from nothing). */
size_t sf_field_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field);

/* A value: of a message the ProtobufCMessage, of a string its char *, never NULL; else a pointer
 * to the C value (ProtobufCBinaryData for bytes). Borrowed from @m. */
const void *sf_field_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field,
                           size_t i);

/* A value in words: a string or a number as it is, an enum by name. */
void sf_field_print(const ProtobufCFieldDescriptor *field, const void *value, struct sf_text *out);

#define SF_PATH_DEPTH 8

/* One place in a message that a path leads to. */
struct sf_place {
    unsigned n; /* names in the path */
    const ProtobufCFieldDescriptor *fields[SF_PATH_DEPTH];
    uint32_t indexes[SF_PATH_DEPTH];               /* 0 where the field is no list */
    const ProtobufCMessage *in[SF_PATH_DEPTH + 1]; /* in[k] has fields[k]; in[n]: what is found */
    const void *value;
};

typedef void sf_place_visitor(const struct sf_place *place, void *arg);

/* Call @visit for every place in @root that @path leads to, in order. The path must fit the type:
 * a wrong one is our bug, and asserted. */
void sf_path_each(const ProtobufCMessage *root, const char *path, sf_place_visitor *visit,
                  void *arg);

/* "scsi.disks[2].slot": where the place is. */
void sf_place_print(const struct sf_place *place, struct sf_text *out);

/* The value of another field on the way: @path is that field's, and begins like the place's own.
 * NULL: the message that has it is not on the way. */
const void *sf_place_beside(const struct sf_place *place, const char *path,
                            const ProtobufCFieldDescriptor **ret_field);

#ifdef __cplusplus
}
#endif

#endif
