#ifndef SF_SNAPSHOT_TESTING_H
#define SF_SNAPSHOT_TESTING_H

/* For the tests of this folder: the golden snapshot, and changing a field of it by its path. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/path.h"
#include "snapshot/snapshot.h"

#define GOLDEN SOURCE_DIR "/tests/golden/snapshot-1.pb"

#define CHECK_OK(ok, err) ck_assert_msg(ok, "%s", (err) ? sf_error_message(err) : "no error")

static inline struct sf_bytes golden_bytes(void)
{
    struct sf_error *err = NULL;
    struct sf_bytes bytes = {0};

    CHECK_OK(sf_file_read(GOLDEN, SF_SNAPSHOT_SIZE_MAX, &bytes, &err), err);
    return bytes;
}

static inline Sandferry__V1__SandboxSnapshot *golden(void)
{
    struct sf_error *err = NULL;
    Sandferry__V1__SandboxSnapshot *s = sf_snapshot_load_file(GOLDEN, NULL, &err);

    CHECK_OK(s != NULL, err);
    return s;
}

static inline void set_value(const ProtobufCFieldDescriptor *field, void *at, const char *value)
{
    const char *text = value != NULL ? value : "";

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        if (*(char **)at != protobuf_c_empty_string)
            free(*(char **)at);
        *(char **)at = strdup(text);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = atoi(text);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)at = strtoull(text, NULL, 10);
        break;
    case PROTOBUF_C_TYPE_MESSAGE: /* only to take it away, or to be empty */
        if (*(ProtobufCMessage **)at != NULL)
            protobuf_c_message_free_unpacked(*(ProtobufCMessage **)at, NULL);
        *(ProtobufCMessage **)at = NULL;
        if (value != NULL)
            *(ProtobufCMessage **)at =
                protobuf_c_message_unpack(field->descriptor, NULL, 0, (const uint8_t *)"");
        break;
    default:
        *(uint32_t *)at = (uint32_t)strtoul(text, NULL, 10);
    }
}

/* Take one element out of a list of messages or strings. */
static inline void take_out(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field,
                            size_t i)
{
    size_t *n = (size_t *)((char *)(uintptr_t)m + field->quantifier_offset);
    void **list = *(void ***)((char *)(uintptr_t)m + field->offset);

    ck_assert_uint_lt(i, *n);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        protobuf_c_message_free_unpacked(list[i], NULL);
    else
        free(list[i]);
    memmove(&list[i], &list[i + 1], (*n - i - 1) * sizeof(void *));
    (*n)--;
}

/* set_field(s, "scsi.reservations[1].slot", "7"): enums by number; NULL takes a message, or an
 * element of a list, away. */
static inline void set_field(Sandferry__V1__SandboxSnapshot *s, const char *path, const char *value)
{
    ProtobufCMessage *m = &s->base;

    for (;;) {
        size_t size = strcspn(path, ".[");
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)size, path);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
        ck_assert_msg(field != NULL, "no field '%s'", name);
        char *at = (char *)m + field->offset;
        size_t i = 0;
        path += size;
        if (*path == '[') {
            char *end;
            i = strtoul(path + 1, &end, 10);
            path = end + 1;
            ck_assert_uint_lt(i, sf_field_count(m, field));
            at = *(char **)at + i * sizeof(void *); /* a list of messages or texts */
        }
        if (*path == '\0') {
            if (value == NULL && field->label == PROTOBUF_C_LABEL_REPEATED)
                take_out(m, field, i);
            else
                set_value(field, at, value);
            return;
        }
        path++;
        m = *(ProtobufCMessage **)at;
        ck_assert_ptr_nonnull(m);
    }
}

static inline int run_suite(const char *name, TCase *(*const *cases)(void))
{
    Suite *suite = suite_create(name);
    for (; *cases != NULL; cases++)
        suite_add_tcase(suite, (*cases)());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
