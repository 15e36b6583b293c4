#include "base/suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/text.h"

START_TEST(text_grows_and_is_taken)
{
    struct sf_text t = {0};

    for (int i = 0; i < 1000; i++)
        sf_text_add(&t, "%d,", i);
    SF_CLEANUP(sf_freep) char *text = sf_text_take(&t);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(strlen(text), 3890); /* 10*2 + 90*3 + 900*4 */
    ck_assert_ptr_null(t.data);
}
END_TEST

START_TEST(nothing_added_is_an_empty_text)
{
    struct sf_text t = {0};
    SF_CLEANUP(sf_freep) char *text = sf_text_take(&t);

    ck_assert_str_eq(text, "");
}
END_TEST

static const struct {
    const char *id;
    bool valid;
} ids[] = {
    {"s1", true},
    {"A.b-c_9", true},
    {"", false},
    {"-a", false},
    {".a", false},
    {"a/b", false},
    {"a b", false},
    {"a\n", false},
    {"0123456789012345678901234567890123456789012345678901234567890123", true},
    {"01234567890123456789012345678901234567890123456789012345678901234", false},
};

START_TEST(ids_are_checked)
{
    ck_assert_msg(sf_id_valid(ids[_i].id) == ids[_i].valid, "'%s'", ids[_i].id);
}
END_TEST

START_TEST(guids_are_valid_and_differ)
{
    char a[SF_GUID_SIZE], b[SF_GUID_SIZE];

    ck_assert(sf_guid_new(a) && sf_guid_new(b));
    ck_assert(sf_guid_valid(a) && sf_guid_valid(b));
    ck_assert_str_ne(a, b);
    ck_assert(!sf_guid_valid("F47AC10B-58CC-4372-A567-0E02B2C3D479")); /* upper case */
    ck_assert(!sf_guid_valid("short"));
    ck_assert(!sf_guid_valid("f47ac10b-58cc-4372-a567-0e02b2c3d4790"));
}
END_TEST

static const struct {
    const char *bytes;
    size_t size;
    bool valid;
} utf8[] = {
    {"", 0, true},
    {"abc", 3, true},
    {"a\0c", 3, false}, /* NUL */
    {"\xc3\xa4", 2, true},
    {"\xe2\x82\xac", 3, true},
    {"\xf0\x9f\x98\x80", 4, true},
    {"\xc0\x80", 2, false},         /* NUL in two bytes */
    {"\xc1\xbf", 2, false},         /* longer than need be */
    {"\xe0\x9f\xbf", 3, false},     /* longer than need be */
    {"\xed\xa0\x80", 3, false},     /* surrogate */
    {"\xf4\x90\x80\x80", 4, false}, /* above U+10FFFF */
    {"\x80", 1, false},
    {"\xc3", 1, false}, /* cut */
    {"\xff", 1, false},
};

START_TEST(utf8_is_checked)
{
    ck_assert_int_eq(sf_utf8_valid(utf8[_i].bytes, utf8[_i].size), utf8[_i].valid);
}
END_TEST

START_TEST(bytes_append_and_empty)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes b = {0};

    ck_assert(sf_bytes_append(&b, "ab", 2) && sf_bytes_append(&b, "", 0));
    ck_assert(sf_bytes_append(&b, "cd", 2));
    ck_assert_uint_eq(b.size, 4);
    ck_assert_mem_eq(b.data, "abcd", 4);
}
END_TEST

START_TEST(a_fault_fires_once)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    sf_fault_arm("save: freeze");
    ck_assert(sf_fault("save: stop", &err));
    ck_assert(!sf_fault("save: freeze", &err));
    ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
    struct sf_error *none = NULL;
    ck_assert(sf_fault("save: freeze", &none));
}
END_TEST

START_TEST(a_fault_file_is_used_up)
{
    char path[] = "/tmp/sandferry-fault-XXXXXX";
    int fd = mkstemp(path);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert_int_eq(write(fd, "scsi: import\n", 13), 13);
    close(fd);
    sf_fault_file(path);
    ck_assert(sf_fault("vm: import", &err));
    ck_assert(!sf_fault("scsi: import", &err));
    ck_assert_int_ne(access(path, F_OK), 0);
    sf_fault_file(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_text");
    TCase *text = tcase_create("text");
    tcase_add_test(text, text_grows_and_is_taken);
    tcase_add_test(text, nothing_added_is_an_empty_text);
    tcase_add_loop_test(text, ids_are_checked, 0, sizeof(ids) / sizeof(ids[0]));
    tcase_add_test(text, guids_are_valid_and_differ);
    tcase_add_loop_test(text, utf8_is_checked, 0, sizeof(utf8) / sizeof(utf8[0]));
    tcase_add_test(text, bytes_append_and_empty);
    suite_add_tcase(suite, text);

    TCase *fault = tcase_create("fault");
    tcase_add_test(fault, a_fault_fires_once);
    tcase_add_test(fault, a_fault_file_is_used_up);
    suite_add_tcase(suite, fault);
    return sf_suite_run(suite);
}
