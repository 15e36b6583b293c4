#include "snapshot/wire.h"

#include "google/protobuf/descriptor.pb-c.h"
#include "snapshot/testing.h"

#define TYPE (&sandferry__v1__sandbox_snapshot__descriptor)

/* A small snapshot, byte by byte. */
// clang-format off
static const uint8_t small[] = {
    0x08, 0x01,                         /*  1 schema_version: 1                 */
    0x12, 0x02, 's', '1',               /*  2 sandbox_id: "s1"                  */
    0x22, 0x06,                         /*  4 created_at, 6 bytes               */
        0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06, /*  1 seconds: 1700000000           */
    0x5a, 0x17,                         /* 11 scsi, 23 bytes                    */
        0x08, 0x01,                     /*     1 schema_version: 1              */
        0x10, 0x02,                     /*     2 controllers: 2                 */
        0x1a, 0x0f,                     /*     3 disks[0], 15 bytes             */
            0x08, 0x41,                 /*         1 slot: 65                   */
            0x12, 0x02, '/', 'd',       /*         2 host_path: "/d"            */
            0x18, 0x01,                 /*         3 read_only: true            */
            0x30, 0x01,                 /*         6 stage: ATTACHED            */
            0x42, 0x03,                 /*         8 mounts[0], 3 bytes         */
                0x22, 0x01, 'x',        /*             4 options[0]: "x"        */
        0x1a, 0x00,                     /*     3 disks[1], nothing set          */
};
// clang-format on

START_TEST(small_is_read_as_the_comments_say)
{
    struct sf_error *err = NULL;
    CHECK_OK(sf_wire_check(TYPE, small, sizeof(small), &sf_wire_snapshot, &err), err);

    Sandferry__V1__SandboxSnapshot *s =
        sandferry__v1__sandbox_snapshot__unpack(NULL, sizeof(small), small);
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(s->schema_version, 1);
    ck_assert_str_eq(s->sandbox_id, "s1");
    ck_assert_int_eq(s->created_at->seconds, 1700000000);
    ck_assert_uint_eq(s->scsi->controllers, 2);
    ck_assert_uint_eq(s->scsi->n_disks, 2);
    ck_assert_uint_eq(s->scsi->disks[0]->slot, 65);
    ck_assert_str_eq(s->scsi->disks[0]->host_path, "/d");
    ck_assert_str_eq(s->scsi->disks[0]->mounts[0]->options[0], "x");
    sf_snapshot_free(s);
}
END_TEST

/* What passes the check unpacks, at every cut and with every byte changed. */
START_TEST(what_passes_can_be_unpacked)
{
    for (size_t i = 0; i < sizeof(small); i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t *copy = malloc(sizeof(small)); /* a heap block, so that ASan sees its end */
            memcpy(copy, small, sizeof(small));
            copy[i] = (uint8_t)byte;
            struct sf_error *err = NULL;
            if (sf_wire_check(TYPE, copy, sizeof(small), &sf_wire_snapshot, &err)) {
                Sandferry__V1__SandboxSnapshot *s =
                    sandferry__v1__sandbox_snapshot__unpack(NULL, sizeof(small), copy);
                ck_assert_ptr_nonnull(s);
                sf_snapshot_free(s);
            } else {
                ck_assert_ptr_nonnull(err);
                sf_error_free(err);
            }
            free(copy);
        }
    }
}
END_TEST

START_TEST(every_cut_is_survived)
{
    for (size_t size = 0; size < sizeof(small); size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, small, size);
        struct sf_error *err = NULL;
        /* Between two fields of the outermost message nothing shows the cut. */
        bool between = size == 0 || size == 2 || size == 6 || size == 14;
        ck_assert_int_eq(sf_wire_check(TYPE, copy, size, &sf_wire_snapshot, &err), between);
        sf_error_free(err);
        free(copy);
    }
}
END_TEST

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

// clang-format off
static const struct {
    const uint8_t *bytes;
    size_t size;
    bool only_strict; /* an ordinary request may have it */
    const char *path, *text;
} wrong[] = {
    { BYTES(0x00, 0x00),                         false, "message",        "field number 0"      },
    { BYTES(0x80),                               false, "message",        "cut off in a number" },
    { BYTES(0x08),                               false, "schema_version", "cut off in a number" },
    { BYTES(0x08, 0x81, 0x00),                   false, "schema_version", "longer than need be" },
    { BYTES(0x88, 0x00, 0x01),                   false, "message",        "longer than need be" },
    { BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0x02),       false, "schema_version", "longer than need be" },
    { BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0x10), true,  "schema_version", "does not fit"        },
    { BYTES(0x0d, 1, 0, 0, 0),                   false, "schema_version", "wire type 5; want 0" },
    { BYTES(0x10, 0x01),                         false, "sandbox_id",     "wire type 0; want 2" },
    { BYTES(0x12, 0x05, 's'),                    false, "sandbox_id",     "cut off"             },
    { BYTES(0x12, 0x02, 's', 0x00),              false, "sandbox_id",     "UTF-8"               },
    { BYTES(0x12, 0x02, 0xc3, 0x28),             false, "sandbox_id",     "UTF-8"               },
    { BYTES(0x12, 0x03, 0xed, 0xa0, 0x80),       false, "sandbox_id",     "UTF-8"               },
    { BYTES(0x12, 0x01, 'a', 0x12, 0x01, 'b'),   true,  "sandbox_id",     "comes twice"         },
    { BYTES(0x22, 0x00, 0x22, 0x00),             false, "created_at",     "comes twice"         },
    { BYTES(0x13, 0x14),                         false, "sandbox_id",     "wire type 3"         },
    { BYTES(0xfb, 0x07, 0xfc, 0x07),             false, "field 127",      "127"                 },
    { BYTES(0xf8, 0x07, 0x01),                   true,  "field 127",      "does not know"       },
    { BYTES(0x5a, 0x03, 0x98, 0x06, 0x01),       true,  "scsi.field 99",  "does not know"       },
    { BYTES(0x5a, 0x09, 0x1a, 0x00, 0x1a, 0x00, 0x1a, 0x03, 0x98, 0x06, 0x01),
                                                 true,  "scsi.disks[2].field 99", "does not know" },
    { BYTES(0x5a, 0x07, 0x1a, 0x00, 0x1a, 0x03, 0x42, 0x01, 0x08),
                                                 false, "scsi.disks[1].mounts[0].partition", "cut" },
    { BYTES(0x5a, 0x06, 0x1a, 0x04, 0x42, 0x02, 0x10, 0x02),
                                                 true,  "scsi.disks[0].mounts[0].read_only", "fit" },
};
// clang-format on

START_TEST(wrong_bytes_are_named_by_their_path)
{
    struct sf_error *err = NULL;
    ck_assert(!sf_wire_check(TYPE, wrong[_i].bytes, wrong[_i].size, &sf_wire_snapshot, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_uint_eq(sf_error_n_details(err), 1);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, wrong[_i].path);
    ck_assert_msg(strstr(sf_error_message(err), wrong[_i].text) != NULL, "%s",
                  sf_error_message(err));
    sf_error_free(err);

    err = NULL;
    bool taken = sf_wire_check(TYPE, wrong[_i].bytes, wrong[_i].size, &sf_wire_request, &err);
    ck_assert_int_eq(taken, wrong[_i].only_strict);
    sf_error_free(err);
}
END_TEST

static void check_limit(const struct sf_wire_limits *limits, bool good)
{
    struct sf_error *err = NULL;
    bool ok = sf_wire_check(TYPE, small, sizeof(small), limits, &err);

    ck_assert_int_eq(ok, good);
    if (!ok)
        ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    sf_error_free(err);
}

/* small has 4 messages within each other (disks[0].mounts[0]), 5 sub-messages (created_at, scsi,
 * two disks, a mount) and one option. */
START_TEST(limits_bind_at_their_number)
{
    struct sf_wire_limits limits = sf_wire_snapshot;
    limits.size = sizeof(small);
    limits.depth = 4;
    limits.elements = 6;
    limits.string = 2;
    check_limit(&limits, true);

    limits.size--;
    check_limit(&limits, false);
    limits.size++;
    limits.depth--;
    check_limit(&limits, false);
    limits.depth++;
    limits.elements--;
    check_limit(&limits, false);
    limits.elements++;
    limits.string--;
    check_limit(&limits, false);
}
END_TEST

/* Two bytes each on the wire, a hundred in memory. */
START_TEST(a_small_message_cannot_ask_for_much_memory)
{
    size_t n = SF_SNAPSHOT_ELEMENTS_MAX + 1, size = 2 * n;
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i += 2) {
        bytes[i] = 0x2a; /* labels */
        bytes[i + 1] = 0;
    }
    struct sf_error *err = NULL;
    ck_assert(!sf_wire_check(TYPE, bytes, size, &sf_wire_snapshot, &err));
    ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    sf_error_free(err);
    free(bytes);
}
END_TEST

/* google.protobuf.DescriptorProto holds itself. */
START_TEST(depth_is_bounded)
{
    enum { LEVELS = 60 };
    uint8_t bytes[2 * LEVELS];
    for (int i = 0; i < LEVELS; i++) {
        bytes[2 * i] = 0x1a; /* nested_type */
        bytes[2 * i + 1] = (uint8_t)(2 * (LEVELS - i - 1));
    }
    struct sf_error *err = NULL;
    ck_assert(!sf_wire_check(&google__protobuf__descriptor_proto__descriptor, bytes, sizeof(bytes),
                             &sf_wire_request, &err));
    ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "nested_type[0].nested_type[0]"));
    sf_error_free(err);
}
END_TEST

/* SourceCodeInfo.Location.path is packed. */
START_TEST(packed_lists_are_counted_and_checked)
{
    const ProtobufCMessageDescriptor *type =
        &google__protobuf__source_code_info__location__descriptor;
    static const uint8_t good[] = {0x0a, 0x03, 0x01, 0x02, 0x03}, cut[] = {0x0a, 0x02, 0x01, 0x82};
    struct sf_wire_limits limits = sf_wire_request;
    limits.elements = 3;

    struct sf_error *err = NULL;
    CHECK_OK(sf_wire_check(type, good, sizeof(good), &limits, &err), err);
    ck_assert(!sf_wire_check(type, cut, sizeof(cut), &limits, &err));
    sf_error_free(err);
    err = NULL;
    limits.elements = 2;
    ck_assert(!sf_wire_check(type, good, sizeof(good), &limits, &err));
    ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    sf_error_free(err);
}
END_TEST

START_TEST(a_version_is_found_without_believing_the_rest)
{
    static const uint8_t later[] = {0x5a, 0x01, 0xff, 0x08, 0x07};
    uint64_t version = 0;

    ck_assert(sf_wire_peek_varint(small, sizeof(small), 1, &version));
    ck_assert_uint_eq(version, 1);
    ck_assert(sf_wire_peek_varint(later, sizeof(later), 1, &version));
    ck_assert_uint_eq(version, 7);
    ck_assert(!sf_wire_peek_varint(NULL, 0, 1, &version));
    ck_assert(!sf_wire_peek_varint(later, sizeof(later), 2, &version));
    for (size_t size = 0; size < sizeof(small); size++)
        sf_wire_peek_varint(small, size, 1, &version);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("wire");
    tcase_add_test(t, small_is_read_as_the_comments_say);
    tcase_add_test(t, what_passes_can_be_unpacked);
    tcase_add_test(t, every_cut_is_survived);
    tcase_add_loop_test(t, wrong_bytes_are_named_by_their_path, 0,
                        sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(t, limits_bind_at_their_number);
    tcase_add_test(t, a_small_message_cannot_ask_for_much_memory);
    tcase_add_test(t, depth_is_bounded);
    tcase_add_test(t, packed_lists_are_counted_and_checked);
    tcase_add_test(t, a_version_is_found_without_believing_the_rest);
    return t;
}

int main(void)
{
    return run_suite("snapshot wire", (TCase * (*const[])(void)){cases, NULL});
}
