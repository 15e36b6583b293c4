#ifndef SF_WIRE_H
#define SF_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What protobuf-c does not ask before it unpacks: how much memory the bytes will turn into, how
 * deep they go, whether a string hides a NUL, whether there is anything in them that this build
 * does not know. Bytes that pass can be unpacked without further thought.
 */
struct sf_wire_limits {
    size_t size;     /* bytes in all */
    unsigned depth;  /* messages within each other, the outermost counted */
    size_t elements; /* sub-messages and list elements in all: what memory is spent on */
    size_t string;   /* bytes of one string */
    size_t bytes;    /* bytes of one bytes field */
    /*
     * Refuse what would be lost or read differently elsewhere: fields that the descriptor does
     * not have, a singular field that comes twice, a number that does not fit its field.
     */
    bool strict;
};

extern const struct sf_wire_limits sf_wire_snapshot;         /* strict */
extern const struct sf_wire_limits sf_wire_snapshot_lenient; /* the same bounds, not strict */
extern const struct sf_wire_limits sf_wire_request;          /* of an ordinary RPC; not strict */

/**
 * sf_wire_check() - look at encoded bytes before they are unpacked
 * @type: the message that they claim to be
 *
 * Refused always: a size, depth, count or length beyond @limits (RESOURCE_EXHAUSTED); and with
 * INVALID_ARGUMENT: a cut, tag 0, a varint that is longer than need be, a wire type that does not
 * fit the field, a group, a string that is not UTF-8 or has a NUL, a singular sub-message that
 * comes twice. Refused if @limits is strict: see there.
 *
 * The error names the field by its path and has it as an SF_DETAIL_FIELD: "scsi.disks[2].field 99".
 * Allocates nothing unless it fails. Thread-safe.
 */
bool sf_wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                   const struct sf_wire_limits *limits, struct sf_error **err);

/*
 * The last value of a varint field of the outermost message, found without believing anything
 * else. False if there is none or the bytes are no message; *ret_value is then untouched.
 */
bool sf_wire_peek_varint(const uint8_t *data, size_t size, uint32_t field, uint64_t *ret_value);

#ifdef __cplusplus
}
#endif

#endif
