#include "snapshot/decode.h"

#include "snapshot/testing.h"

START_TEST(golden_is_read_and_written_the_same)
{
    struct sf_bytes bytes = golden_bytes(), again;
    struct sf_error *err = NULL;
    Sandferry__V1__SandboxSnapshot *s = sf_snapshot_decode(bytes.data, bytes.size, &err);
    CHECK_OK(s != NULL, err);

    CHECK_OK(sf_snapshot_encode(s, &again, &err), err);
    ck_assert_uint_eq(again.size, bytes.size);
    ck_assert_mem_eq(again.data, bytes.data, bytes.size);
    ck_assert_str_eq(s->scsi->disks[1]->mounts[1]->guest_path, "/run/sandferry/mounts/scsi/1_1_2");
    ck_assert_uint_eq(s->extensions[0]->payload.len, 7);
    sf_bytes_done(&again);
    sf_bytes_done(&bytes);
    sf_snapshot_free(s);
}
END_TEST

START_TEST(every_cut_is_survived)
{
    struct sf_bytes bytes = golden_bytes();
    unsigned decoded = 0;

    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, bytes.data, size);
        struct sf_error *err = NULL;
        Sandferry__V1__SandboxSnapshot *s = sf_snapshot_decode(copy, size, &err);
        ck_assert((s == NULL) == (err != NULL));
        decoded += s != NULL;
        /* A cut between two fields can be decoded; the digest then tells. */
        SF_CLEANUP(sf_error_freep) struct sf_error *why = NULL;
        if (s != NULL)
            ck_assert(!sf_snapshot_check(s, NULL, &why));
        sf_snapshot_free(s);
        sf_error_free(err);
        free(copy);
    }
    ck_assert_uint_gt(decoded, 5);
    sf_bytes_done(&bytes);
}
END_TEST

struct failing {
    unsigned left;
    unsigned out; /* blocks not given back */
};

static void *fail_alloc(void *data, size_t size)
{
    struct failing *f = data;

    if (f->left == 0)
        return NULL;
    f->left--;
    f->out++;
    return malloc(size);
}

static void fail_free(void *data, void *block)
{
    struct failing *f = data;

    f->out -= block != NULL;
    free(block);
}

START_TEST(every_allocation_may_fail)
{
    struct sf_bytes bytes = golden_bytes();
    bool done = false;
    unsigned n = 0;

    for (; !done; n++) {
        struct failing f = {.left = n};
        ProtobufCAllocator allocator = {fail_alloc, fail_free, &f};
        struct sf_error *err = NULL;
        Sandferry__V1__SandboxSnapshot *s =
            sf_snapshot_decode_with(bytes.data, bytes.size, &allocator, &err);
        done = s != NULL;
        if (done)
            sandferry__v1__sandbox_snapshot__free_unpacked(s, &allocator);
        else
            ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
        ck_assert_uint_eq(f.out, 0);
        sf_error_free(err);
    }
    ck_assert_uint_gt(n, 100);
    sf_bytes_done(&bytes);
}
END_TEST

static void refused(const uint8_t *data, size_t size, enum sf_code code, const char *field,
                    const char *text)
{
    struct sf_error *err = NULL;
    ck_assert_ptr_null(sf_snapshot_decode(data, size, &err));
    ck_assert_int_eq(sf_error_code(err), code);
    ck_assert_uint_ge(sf_error_n_details(err), 1);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, field);
    ck_assert_msg(strstr(sf_error_message(err), text) != NULL, "%s", sf_error_message(err));
    sf_error_free(err);
}

/* A newer writer may have changed anything: its number is what the reader has to hear. */
START_TEST(a_newer_version_is_told_first)
{
    static const uint8_t newer[] = {0x08, 0x02, 0x12, 0x01, 's', 0xf8, 0x07, 0x01};
    static const uint8_t other_type[] = {0x08, 0x02, 0x10, 0x05};
    static const uint8_t section[] = {0x08, 0x01, 0x5a, 0x05, 0x08, 0x09, 0x98, 0x06, 0x01};

    refused(newer, sizeof(newer), SF_UNIMPLEMENTED, "schema_version",
            "snapshot has version 2; this build reads version 1");
    refused(other_type, sizeof(other_type), SF_UNIMPLEMENTED, "schema_version", "version 2");
    refused(section, sizeof(section), SF_UNIMPLEMENTED, "scsi.schema_version",
            "scsi section has version 9; this build reads version 1");
}
END_TEST

START_TEST(no_version_is_a_version_too)
{
    static const uint8_t none[] = {0x12, 0x01, 's'};

    refused(none, sizeof(none), SF_UNIMPLEMENTED, "schema_version", "version 0");
}
END_TEST

START_TEST(unknown_fields_are_all_named)
{
    static const uint8_t bytes[] = {0x08, 0x01, 0x12, 0x01, 's',  0x5a, 0x09, 0x08, 0x01, 0x98,
                                    0x06, 0x01, 0x1a, 0x02, 0x60, 0x01, 0xf8, 0x07, 0x01};
    struct sf_error *err = NULL;

    ck_assert_ptr_null(sf_snapshot_decode(bytes, sizeof(bytes), &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_uint_eq(sf_error_n_details(err), 3);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "field 127");
    ck_assert_str_eq(sf_error_detail(err, 1)->subject, "scsi.field 99");
    ck_assert_str_eq(sf_error_detail(err, 2)->subject, "scsi.disks[0].field 12");
    sf_error_free(err);
}
END_TEST

START_TEST(too_many_bytes_are_refused)
{
    uint8_t *bytes = calloc(1, SF_SNAPSHOT_SIZE_MAX + 1);
    struct sf_error *err = NULL;

    ck_assert_ptr_null(sf_snapshot_decode(bytes, SF_SNAPSHOT_SIZE_MAX + 1, &err));
    ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    sf_error_free(err);
    free(bytes);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("decode");
    tcase_add_test(t, golden_is_read_and_written_the_same);
    tcase_add_test(t, every_cut_is_survived);
    tcase_add_test(t, every_allocation_may_fail);
    tcase_add_test(t, a_newer_version_is_told_first);
    tcase_add_test(t, no_version_is_a_version_too);
    tcase_add_test(t, unknown_fields_are_all_named);
    tcase_add_test(t, too_many_bytes_are_refused);
    return t;
}

int main(void)
{
    return run_suite("snapshot decode", (TCase * (*const[])(void)){cases, NULL});
}
