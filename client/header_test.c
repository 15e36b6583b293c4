/* Options structs: what their macros give, and what becomes of those of another age. */

#include "sandferry.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"

/* clang-format off */
#define OPTIONS(ROW)                                                                               \
    ROW(sandferry_connect_options,   SANDFERRY_CONNECT_OPTIONS_INIT)                               \
    ROW(sandferry_call_options,      SANDFERRY_CALL_OPTIONS_INIT)                                  \
    ROW(sandferry_create_options,    SANDFERRY_CREATE_OPTIONS_INIT)                                \
    ROW(sandferry_delete_options,    SANDFERRY_DELETE_OPTIONS_INIT)                                \
    ROW(sandferry_save_options,      SANDFERRY_SAVE_OPTIONS_INIT)                                  \
    ROW(sandferry_restore_options,   SANDFERRY_RESTORE_OPTIONS_INIT)                               \
    ROW(sandferry_watch_options,     SANDFERRY_WATCH_OPTIONS_INIT)                                 \
    ROW(sandferry_disk_spec,         SANDFERRY_DISK_SPEC_INIT)                                     \
    ROW(sandferry_share_spec,        SANDFERRY_SHARE_SPEC_INIT)                                    \
    ROW(sandferry_device_spec,       SANDFERRY_DEVICE_SPEC_INIT)                                   \
    ROW(sandferry_pod_options,       SANDFERRY_POD_OPTIONS_INIT)                                   \
    ROW(sandferry_container_options, SANDFERRY_CONTAINER_OPTIONS_INIT)                             \
    ROW(sandferry_process_options,   SANDFERRY_PROCESS_OPTIONS_INIT)                               \
    ROW(sandferry_exec_options,      SANDFERRY_EXEC_OPTIONS_INIT)                                  \
    ROW(sandferry_attach_options,    SANDFERRY_ATTACH_OPTIONS_INIT)                                \
    ROW(sandferry_process_delete_options, SANDFERRY_PROCESS_DELETE_OPTIONS_INIT)                   \
    ROW(sandferry_read_options,      SANDFERRY_READ_OPTIONS_INIT)                                  \
    ROW(sandferry_write_options,     SANDFERRY_WRITE_OPTIONS_INIT)
/* clang-format on */

START_TEST(every_macro_gives_the_size_and_nothing_else){
#define CHECK_INIT(type, init)                                                                     \
    {                                                                                              \
        struct type made = init, zero;                                                             \
        memset(&zero, 0, sizeof(zero));                                                            \
        zero.size = sizeof(struct type);                                                           \
        ck_assert_msg(offsetof(struct type, size) == 0, #type);                                    \
        ck_assert_msg(memcmp(&made, &zero, sizeof(zero)) == 0, #type);                             \
    }
    OPTIONS(CHECK_INIT)
#undef CHECK_INIT
} END_TEST

    /* A struct with one more field than the library knows. */
    struct newer {
    struct sandferry_connect_options known;
    const char *more;
};

static enum sf_code connect_with(const struct sandferry_connect_options *o)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry *client;
    if (!sandferry_connect(o, &client, &err))
        return sf_error_code(err);
    sandferry_close(client);
    return SF_OK;
}

START_TEST(options_of_any_age_are_taken)
{
    struct newer newer;
    memset(&newer, 0, sizeof(newer));
    newer.known.address = "unix:/x";

    ck_assert_int_eq(connect_with(NULL), SF_OK);
    ck_assert_int_eq(connect_with(&newer.known), SF_INVALID_ARGUMENT); /* no size */

    newer.known.size = sizeof(newer.known);
    ck_assert_int_eq(connect_with(&newer.known), SF_OK);
    newer.known.tls_key_file = "/key"; /* looked at: TLS in part */
    ck_assert_int_eq(connect_with(&newer.known), SF_INVALID_ARGUMENT);
    newer.known.size = offsetof(struct sandferry_connect_options, tls_key_file);
    ck_assert_int_eq(connect_with(&newer.known), SF_OK); /* older: not looked at */

    newer.known.tls_key_file = NULL;
    newer.known.size = sizeof(newer);
    ck_assert_int_eq(connect_with(&newer.known), SF_OK); /* newer, but says nothing new */
    newer.more = "something";
    ck_assert_int_eq(connect_with(&newer.known), SF_UNIMPLEMENTED);
}
END_TEST

/* A field that was added to a struct that ended in padding must not lie in it: an older program has
 * never set it to anything. */
START_TEST(no_new_field_lies_where_padding_was)
{
    ck_assert_uint_ge(offsetof(struct sandferry_disk_spec, encrypted),
                      (offsetof(struct sandferry_disk_spec, block_device) + sizeof(void *)) /
                          sizeof(void *) * sizeof(void *));
}
END_TEST

START_TEST(the_address_is_chosen)
{
    struct sandferry_connect_options o = SANDFERRY_CONNECT_OPTIONS_INIT;
    struct sf_error *err = NULL;
    struct sandferry *client;

    unsetenv("SANDFERRY_HOST");
    ck_assert(sandferry_connect(NULL, &client, &err));
    ck_assert_str_eq(sandferry_address(client), SANDFERRY_DEFAULT_ADDRESS);
    sandferry_close(client);
    setenv("SANDFERRY_HOST", "unix:/from/environment", 1);
    ck_assert(sandferry_connect(NULL, &client, &err));
    ck_assert_str_eq(sandferry_address(client), "unix:/from/environment");
    sandferry_close(client);
    o.address = "unix:/from/options";
    ck_assert(sandferry_connect(&o, &client, &err));
    ck_assert_str_eq(sandferry_address(client), "unix:/from/options");
    sandferry_close(client);
    unsetenv("SANDFERRY_HOST");
    o.address = "neither";
    ck_assert_int_eq(connect_with(&o), SF_INVALID_ARGUMENT);
}
END_TEST

START_TEST(a_value_without_a_name_is_its_number)
{
    ck_assert_str_eq(sandferry_state_name(SANDFERRY_INVALID), "invalid");
    ck_assert_str_eq(sandferry_state_name((enum sandferry_state)7), "7");
    ck_assert_str_eq(sandferry_container_stage_name((enum sandferry_container_stage)5), "5");
    ck_assert_str_eq(sandferry_share_stage_name((enum sandferry_share_stage)4), "4");
    ck_assert_str_eq(sandferry_device_stage_name(SANDFERRY_DEVICE_INVALID), "invalid");
    ck_assert_str_eq(sandferry_process_stage_name((enum sandferry_process_stage)9999), "unknown");
}
END_TEST

START_TEST(free_takes_null)
{
    sandferry_close(NULL);
    sandferry_snapshot_free(NULL);
    sandferry_sandbox_free(NULL);
    sandferry_saved_free(NULL);
    sandferry_processes_free(NULL);
}
END_TEST

static Suite *header_suite(void)
{
    Suite *suite = suite_create("client_header");
    TCase *cases = tcase_create("options");
    tcase_add_test(cases, every_macro_gives_the_size_and_nothing_else);
    tcase_add_test(cases, options_of_any_age_are_taken);
    tcase_add_test(cases, no_new_field_lies_where_padding_was);
    tcase_add_test(cases, the_address_is_chosen);
    tcase_add_test(cases, a_value_without_a_name_is_its_number);
    tcase_add_test(cases, free_takes_null);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(header_suite());
}
