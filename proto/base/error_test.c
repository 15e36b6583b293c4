#include "base/suite.h"

#include <string.h>

#include "base/error.h"
#include "base/reasons.h"

START_TEST(failing_sets_code_and_message)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert(!sf_fail(&err, SF_NOT_FOUND, "disk '%s': there is none", "d1"));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
    ck_assert_str_eq(sf_error_message(err), "disk 'd1': there is none");
}
END_TEST

START_TEST(context_goes_before_the_message_and_keeps_the_code)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    sf_fail(&err, SF_DATA_LOSS, "digest differs");
    sf_fail_detail(&err, SF_DETAIL_FIELD, "digest", "is %d", 1);
    ck_assert(!sf_fail_in(&err, "sandbox '%s'", "s1"));
    ck_assert_str_eq(sf_error_message(err), "sandbox 's1': digest differs");
    ck_assert_int_eq(sf_error_code(err), SF_DATA_LOSS);
    ck_assert_uint_eq(sf_error_n_details(err), 1);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "digest");
    ck_assert_str_eq(sf_error_detail(err, 0)->text, "is 1");
}
END_TEST

START_TEST(details_are_bounded)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    sf_fail(&err, SF_INVALID_ARGUMENT, "many");
    for (int i = 0; i < 1500; i++)
        sf_fail_detail(&err, SF_DETAIL_FIELD, "f", "%d", i);
    ck_assert_uint_eq(sf_error_n_details(err), 1000);
}
END_TEST

START_TEST(every_code_has_a_name)
{
    for (int code = 0; code <= SF_UNAUTHENTICATED; code++)
        ck_assert(code == SF_UNKNOWN || strcmp(sf_code_name((enum sf_code)code), "UNKNOWN") != 0);
    ck_assert_str_eq(sf_code_name((enum sf_code)99), "UNKNOWN");
    ck_assert_str_eq(sf_code_name((enum sf_code) - 1), "UNKNOWN");
}
END_TEST

START_TEST(no_reason_is_no_failure)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    struct sf_error *err = NULL;

    ck_assert(sf_reasons_fail(why, SF_FAILED_PRECONDITION, "sandbox 's1'", &err));
    ck_assert_ptr_null(err);
}
END_TEST

START_TEST(all_reasons_are_in_one_error)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    sf_reasons_source(why, "scsi");
    for (int i = 0; i < 5; i++)
        sf_reasons_add(why, "disk '0:%d' is attaching", i);
    ck_assert(!sf_reasons_fail(why, SF_FAILED_PRECONDITION, "sandbox 's1' cannot be saved", &err));
    ck_assert_str_eq(sf_error_message(err),
                     "sandbox 's1' cannot be saved: scsi: disk '0:0' is attaching; scsi: disk "
                     "'0:1' is attaching; scsi: disk '0:2' is attaching; and 2 more");
    ck_assert_uint_eq(sf_error_n_details(err), 5);
    ck_assert_int_eq(sf_error_detail(err, 4)->kind, SF_DETAIL_REASON);
    ck_assert_str_eq(sf_error_detail(err, 4)->subject, "scsi");
}
END_TEST

START_TEST(fields_of_a_wrong_request_are_field_details)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    sf_reasons_source(why, "snapshot");
    sf_reasons_add_field(why, "scsi.disks[0].slot", "is 300; at most 255");
    sf_reasons_fail(why, SF_INVALID_ARGUMENT, "the snapshot is not valid", &err);
    ck_assert_int_eq(sf_error_detail(err, 0)->kind, SF_DETAIL_FIELD);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "scsi.disks[0].slot");
}
END_TEST

START_TEST(reasons_beyond_the_limit_count)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    for (int i = 0; i < 1200; i++)
        sf_reasons_add(why, "%d", i);
    ck_assert_uint_eq(sf_reasons_count(why), 1200);
    ck_assert_uint_eq(sf_reasons_kept(why), 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_error");
    TCase *error = tcase_create("error");
    tcase_add_test(error, failing_sets_code_and_message);
    tcase_add_test(error, context_goes_before_the_message_and_keeps_the_code);
    tcase_add_test(error, details_are_bounded);
    tcase_add_test(error, every_code_has_a_name);
    suite_add_tcase(suite, error);

    TCase *reasons = tcase_create("reasons");
    tcase_add_test(reasons, no_reason_is_no_failure);
    tcase_add_test(reasons, all_reasons_are_in_one_error);
    tcase_add_test(reasons, fields_of_a_wrong_request_are_field_details);
    tcase_add_test(reasons, reasons_beyond_the_limit_count);
    suite_add_tcase(suite, reasons);
    return sf_suite_run(suite);
}
