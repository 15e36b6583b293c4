#ifndef SF_LIMITS_H
#define SF_LIMITS_H

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Every bound of a snapshot. README.md shows this table; a test compares the two.
 */
// clang-format off
#define SF_LIMITS(LIMIT)                                                                           \
    /*    name                        at most              of what                              */ \
    LIMIT(SF_SNAPSHOT_SIZE_MAX,       8 * 1024 * 1024,     "bytes of an encoded snapshot")         \
    LIMIT(SF_SNAPSHOT_DEPTH_MAX,      16,                  "messages within each other")           \
    LIMIT(SF_SNAPSHOT_ELEMENTS_MAX,   65536,               "messages and list elements in all")    \
    LIMIT(SF_SNAPSHOT_STRING_MAX,     1024 * 1024,         "bytes of any string")                  \
    LIMIT(SF_SNAPSHOT_BYTES_MAX,      4 * 1024 * 1024,     "bytes of any bytes field")             \
    LIMIT(SF_ID_MAX,                  64,                  "bytes of an id")                       \
    LIMIT(SF_PATH_MAX,                4095,                "bytes of a path, on host or in guest") \
    LIMIT(SF_WORD_MAX,                255,                 "bytes of a name, an option, a model")  \
    LIMIT(SF_PRODUCER_MAX,            128,                 "bytes of the producer's name")         \
    LIMIT(SF_LABEL_KEY_MAX,           128,                 "bytes of a label's key")               \
    LIMIT(SF_LABEL_VALUE_MAX,         1024,                "bytes of a label's value")             \
    LIMIT(SF_KERNEL_ARGUMENTS_MAX,    1024,                "bytes of kernel arguments")            \
    LIMIT(SF_SCSI_CONTROLLERS_MAX,    4,                   "SCSI controllers")                     \
    LIMIT(SF_SCSI_LUNS,               64,                  "LUNs of a SCSI controller")            \
    LIMIT(SF_PARTITION_MAX,           255,                 "number of a partition")                \
    LIMIT(SF_VIRTUAL_FUNCTION_MAX,    65535,               "number of a virtual function")         \
    LIMIT(SF_SHARE_MESSAGE_MAX,       1024 * 1024,         "bytes of a 9P message")                \
    LIMIT(SF_QID_TYPE_MAX,            255,                 "type of a file, as 9P has it")         \
    LIMIT(SF_EXIT_CODE_MAX,           255,                 "exit code")                            \
    LIMIT(SF_OUTPUT_HELD_MAX,         256 * 1024,          "bytes held of an output stream")
// clang-format on

enum sf_limit {
#define LIMIT(name, value, what) name = (value),
    SF_LIMITS(LIMIT)
#undef LIMIT
};

/* Write the table, as README.md shows it. */
void sf_limits_print(FILE *out);

#ifdef __cplusplus
}
#endif

#endif
