#include "snapshot/sections.h"

#include "snapshot/testing.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;

static const char *const golden_names[] = {"vm",        "scsi",    "vpci",    "plan9", "network",
                                           "container", "process", "example", "timer"};
#define N_NAMES (sizeof(golden_names) / sizeof(golden_names[0]))

START_TEST(names_are_those_that_are_there)
{
    snapshot *s = golden();
    for (size_t i = 0; i < N_NAMES; i++)
        ck_assert_str_eq(sf_section_name(s, i), golden_names[i]);
    ck_assert_ptr_null(sf_section_name(s, N_NAMES));
    sf_snapshot_free(s);

    snapshot empty = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;
    ck_assert_ptr_null(sf_section_name(&empty, 0));
}
END_TEST

/* All sections taken out and put into an empty snapshot, last first, give the same bytes. */
START_TEST(sections_go_through_unchanged)
{
    snapshot *from = golden(), *to = golden();
    struct sf_error *err = NULL;
    for (size_t i = 0; i < 7; i++)
        set_field(to, golden_names[i], NULL);
    set_field(to, "extensions[1]", NULL);
    set_field(to, "extensions[0]", NULL);
    ck_assert_ptr_null(sf_section_name(to, 0));

    for (size_t i = N_NAMES; i-- > 0;) {
        SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
        uint32_t version;
        CHECK_OK(sf_section_get(from, golden_names[i], &section, &version, &err), err);
        ck_assert_uint_eq(version, i == 7 ? 2 : 1);
        CHECK_OK(sf_section_set(to, golden_names[i], version, i == 8, &section, &err), err);
    }
    CHECK_OK(sf_snapshot_digest_verify(to, &err), err);
    sf_snapshot_free(from);
    sf_snapshot_free(to);
}
END_TEST

START_TEST(a_section_takes_the_place_of_the_one_before)
{
    snapshot *s = golden();
    struct sf_error *err = NULL;
    struct sf_bytes vm = {.data = (uint8_t[]){0x08, 0x01}, .size = 2}, none = {0}, got;
    uint32_t version;

    CHECK_OK(sf_section_set(s, "vm", 1, true, &vm, &err), err);
    ck_assert_ptr_null(s->vm->memory);
    CHECK_OK(sf_section_set(s, "timer", 3, false, &none, &err), err);
    CHECK_OK(sf_section_get(s, "timer", &got, &version, &err), err);
    ck_assert_uint_eq(version, 3);
    ck_assert_uint_eq(got.size, 0);
    ck_assert_uint_eq(s->n_extensions, 2);
    ck_assert(!s->extensions[1]->critical);
    sf_bytes_done(&got);
    sf_snapshot_free(s);
}
END_TEST

START_TEST(a_controller_that_breaks_its_type_is_found_out)
{
    snapshot *s = golden();
    const struct {
        const char *controller;
        uint32_t version;
        struct sf_bytes section;
        enum sf_code code;
        const char *text;
    } bad[] = {
        {"scsi", 1, {(uint8_t[]){0x08}, 1}, SF_INTERNAL, "schema_version: cut off"},
        {"scsi", 1, {(uint8_t[]){0x08, 0x01, 0x98, 0x06, 0x01}, 5}, SF_INTERNAL, "field 99"},
        {"scsi", 2, {(uint8_t[]){0x08, 0x01}, 2}, SF_INTERNAL, "schema_version 1; its"},
        {"scsi", 1, {NULL, 0}, SF_INTERNAL, "schema_version 0"},
        {"a/b", 1, {NULL, 0}, SF_INVALID_ARGUMENT, "no controller's name"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sf_error *err = NULL;
        ck_assert(
            !sf_section_set(s, bad[i].controller, bad[i].version, false, &bad[i].section, &err));
        ck_assert_int_eq(sf_error_code(err), bad[i].code);
        ck_assert_msg(strstr(sf_error_message(err), bad[i].text) != NULL, "%s",
                      sf_error_message(err));
        sf_error_free(err);
    }
    struct sf_error *err = NULL; /* and nothing has changed */
    CHECK_OK(sf_snapshot_digest_verify(s, &err), err);
    sf_snapshot_free(s);
}
END_TEST

/* Names of fields that are no sections are controllers' names like any other. */
START_TEST(what_is_no_section_is_an_extension)
{
    snapshot *s = golden();
    struct sf_error *err = NULL;
    struct sf_bytes bytes = {.data = (uint8_t[]){1}, .size = 1};

    CHECK_OK(sf_section_set(s, "labels", 1, false, &bytes, &err), err);
    CHECK_OK(sf_section_set(s, "created_at", 1, false, &bytes, &err), err);
    ck_assert_uint_eq(s->n_extensions, 4);
    ck_assert_str_eq(s->extensions[0]->controller, "created_at");
    ck_assert_str_eq(s->extensions[2]->controller, "labels");
    sf_snapshot_free(s);
}
END_TEST

START_TEST(nothing_there_is_not_found)
{
    snapshot s = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;
    static const char *const names[] = {"vm", "example"};

    for (size_t i = 0; i < 2; i++) {
        struct sf_error *err = NULL;
        struct sf_bytes bytes;
        uint32_t version;
        ck_assert(!sf_section_get(&s, names[i], &bytes, &version, &err));
        ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), names[i]));
        sf_error_free(err);
    }
}
END_TEST

START_TEST(what_nobody_here_can_read_is_refused)
{
    snapshot *s = golden();
    const char *all[] = {"vm",        "scsi",    "vpci",  "plan9", "network",
                         "container", "process", "timer", NULL};
    const char *few[] = {"vm", "scsi", "vpci", "network", "container", "process", NULL};
    struct sf_error *err = NULL;

    /* "example" is not critical. */
    CHECK_OK(sf_sections_check_known(s, all, &err), err);
    ck_assert(!sf_sections_check_known(s, few, &err));
    ck_assert_int_eq(sf_error_code(err), SF_UNIMPLEMENTED);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'plan9'"));
    ck_assert_uint_eq(sf_error_n_details(err), 2);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "plan9");
    ck_assert_str_eq(sf_error_detail(err, 1)->subject, "extensions[1]");
    sf_error_free(err);
    sf_snapshot_free(s);
}
END_TEST

START_TEST(what_nobody_here_knows_is_handed_on)
{
    snapshot *from = golden();
    SF_CLEANUP(sf_snapshot_freep)
    snapshot *to = sandferry__v1__sandbox_snapshot__unpack(NULL, 0, (const uint8_t *)"");
    const char *known[] = {"timer", NULL};
    struct sf_error *err = NULL;

    for (int repeat = 0; repeat < 2; repeat++)
        CHECK_OK(sf_sections_keep_unknown(to, from, known, &err), err);
    ck_assert_uint_eq(to->n_extensions, 1);
    ck_assert_str_eq(to->extensions[0]->controller, "example");
    ck_assert_uint_eq(to->extensions[0]->version, 2);
    ck_assert_uint_eq(to->extensions[0]->payload.len, 7);
    ck_assert_mem_eq(to->extensions[0]->payload.data, "\0\377state", 7);
    sf_snapshot_free(from);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("sections");
    tcase_add_test(t, names_are_those_that_are_there);
    tcase_add_test(t, sections_go_through_unchanged);
    tcase_add_test(t, a_section_takes_the_place_of_the_one_before);
    tcase_add_test(t, a_controller_that_breaks_its_type_is_found_out);
    tcase_add_test(t, what_is_no_section_is_an_extension);
    tcase_add_test(t, nothing_there_is_not_found);
    tcase_add_test(t, what_nobody_here_can_read_is_refused);
    tcase_add_test(t, what_nobody_here_knows_is_handed_on);
    return t;
}

int main(void)
{
    return run_suite("snapshot sections", (TCase * (*const[])(void)){cases, NULL});
}
