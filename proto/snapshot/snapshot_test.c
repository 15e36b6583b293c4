#include "snapshot/snapshot.h"

#include <glob.h>

#include "snapshot/testing.h"

static void refused(Sandferry__V1__SandboxSnapshot *s, const char *const *controllers,
                    enum sf_code code, const char *text)
{
    struct sf_error *err = NULL;
    ck_assert(!sf_snapshot_check(s, controllers, &err));
    ck_assert_msg(sf_error_code(err) == code && strstr(sf_error_message(err), text) != NULL,
                  "%s: %s", sf_code_name(sf_error_code(err)), sf_error_message(err));
    ck_assert_uint_ge(sf_error_n_details(err), 1);
    sf_error_free(err);
}

/* Everything is wrong; each answer in its turn, once what was before it has been put right. */
START_TEST(questions_are_asked_in_order)
{
    Sandferry__V1__SandboxSnapshot *s = golden();
    const char *none[] = {NULL};

    set_field(s, "schema_version", "2");
    set_field(s, "scsi.schema_version", "3");
    set_field(s, "scsi.reservations[0].slot", "9");
    refused(s, none, SF_UNIMPLEMENTED, "snapshot has version 2");
    set_field(s, "schema_version", "1");
    refused(s, none, SF_UNIMPLEMENTED, "scsi section has version 3");
    set_field(s, "scsi.schema_version", "1");
    refused(s, none, SF_UNIMPLEMENTED, "controller 'vm'");
    refused(s, NULL, SF_INVALID_ARGUMENT, "scsi.reservations[0].slot");
    set_field(s, "scsi.reservations[0].slot", "0");
    struct sf_error *err = NULL;
    CHECK_OK(sf_snapshot_check(s, NULL, &err), err);
    set_field(s, "producer", "somebody else");
    refused(s, NULL, SF_DATA_LOSS, "'s1' has changed");
    sf_snapshot_free(s);
}
END_TEST

/* A snapshot within a request: the unpacked message keeps what it did not know. */
START_TEST(unknown_fields_within_a_request_are_refused)
{
    static const uint8_t bytes[] = {0x08, 0x01, 0xf8, 0x07, 0x01};
    Sandferry__V1__SandboxSnapshot *s =
        sandferry__v1__sandbox_snapshot__unpack(NULL, sizeof(bytes), bytes);

    refused(s, NULL, SF_INVALID_ARGUMENT, "field 127");
    sf_snapshot_free(s);
}
END_TEST

START_TEST(the_digest_covers_every_byte)
{
    struct sf_bytes bytes = golden_bytes();

    for (size_t i = 0; i < bytes.size; i++) {
        struct sf_error *err = NULL;
        bytes.data[i] ^= 0x01;
        ck_assert_ptr_null(sf_snapshot_load(bytes.data, bytes.size, NULL, &err));
        sf_error_free(err);
        bytes.data[i] ^= 0x01;
    }
    sf_bytes_done(&bytes);
}
END_TEST

START_TEST(a_digest_can_be_set_again)
{
    Sandferry__V1__SandboxSnapshot *s = golden();
    struct sf_error *err = NULL;
    uint8_t before[SF_DIGEST_SIZE];

    memcpy(before, s->digest.data, SF_DIGEST_SIZE);
    CHECK_OK(sf_snapshot_digest_set(s, &err), err); /* OpenSSL's own tool made the first one */
    ck_assert_mem_eq(before, s->digest.data, SF_DIGEST_SIZE);

    set_field(s, "producer", "somebody else");
    CHECK_OK(sf_snapshot_digest_set(s, &err), err);
    ck_assert_mem_ne(before, s->digest.data, SF_DIGEST_SIZE);
    CHECK_OK(sf_snapshot_digest_verify(s, &err), err);

    s->digest.len = 31;
    ck_assert(!sf_snapshot_digest_verify(s, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(err);
    sf_snapshot_free(s);
}
END_TEST

START_TEST(versions_are_refused_with_both_numbers)
{
    struct sf_error *err = NULL;

    ck_assert(sf_version_check("x section", 2, 2, 4, &err));
    ck_assert(sf_version_check("x section", 4, 2, 4, &err));
    ck_assert(!sf_version_check("x section", 5, 2, 4, &err));
    ck_assert_int_eq(sf_error_code(err), SF_UNIMPLEMENTED);
    ck_assert_str_eq(sf_error_message(err),
                     "x section has version 5; this build reads versions 2 to 4");
    sf_error_free(err);
}
END_TEST

START_TEST(too_large_to_encode)
{
    Sandferry__V1__SandboxSnapshot s = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;
    struct sf_error *err = NULL;
    struct sf_bytes bytes;

    s.digest.len = SF_SNAPSHOT_SIZE_MAX;
    s.digest.data = calloc(1, SF_SNAPSHOT_SIZE_MAX);
    ck_assert(!sf_snapshot_encode(&s, &bytes, &err));
    ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
    sf_error_free(err);
    free(s.digest.data);
}
END_TEST

/* README.md shows the table of limits. */
START_TEST(the_limits_are_documented)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    sf_limits_print(out);
    fclose(out);

    struct sf_bytes readme;
    struct sf_error *err = NULL;
    CHECK_OK(sf_file_read(SOURCE_DIR "/proto/README.md", 1024 * 1024, &readme, &err), err);
    bool found = memmem(readme.data, readme.size, text, size) != NULL;
    ck_assert_msg(found, "proto/README.md has not this table:\n%s", text);
    sf_bytes_done(&readme);
    free(text);
}
END_TEST

/* Every snapshot that was ever released. */
START_TEST(kept_snapshots_load_for_ever)
{
    glob_t found;
    ck_assert_int_eq(glob(SOURCE_DIR "/tests/golden/snapshot-*.pb", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct sf_error *err = NULL;
        Sandferry__V1__SandboxSnapshot *s = sf_snapshot_load_file(found.gl_pathv[i], NULL, &err);
        CHECK_OK(s != NULL, err);
        struct sf_bytes kept, again;
        CHECK_OK(sf_file_read(found.gl_pathv[i], SF_SNAPSHOT_SIZE_MAX, &kept, &err), err);
        CHECK_OK(sf_snapshot_encode(s, &again, &err), err);
        ck_assert_uint_eq(kept.size, again.size);
        ck_assert_mem_eq(kept.data, again.data, kept.size);
        sf_bytes_done(&kept);
        sf_bytes_done(&again);
        sf_snapshot_free(s);
    }
    ck_assert_uint_ge(found.gl_pathc, 2);
    globfree(&found);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("snapshot");
    tcase_add_test(t, questions_are_asked_in_order);
    tcase_add_test(t, unknown_fields_within_a_request_are_refused);
    tcase_add_test(t, the_digest_covers_every_byte);
    tcase_add_test(t, a_digest_can_be_set_again);
    tcase_add_test(t, versions_are_refused_with_both_numbers);
    tcase_add_test(t, too_large_to_encode);
    tcase_add_test(t, kept_snapshots_load_for_ever);
    tcase_add_test(t, the_limits_are_documented);
    return t;
}

int main(void)
{
    return run_suite("snapshot", (TCase * (*const[])(void)){cases, NULL});
}
