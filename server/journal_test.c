#include "journal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "fakes.h"
#include "operations.h"

static char directory[64];
static struct journal journal;
static struct sf_error *err;
static char seen[256]; /* "s1=running:face " */

static void setup(void)
{
    err = NULL;
    strcpy(directory, "/tmp/sandferry-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert(journal_open(&journal, directory, &err));
}

static void teardown(void)
{
    journal_close(&journal);
    sf_error_free(err);
    sf_fault_arm(NULL);
    operation_remove_directory(directory);
}

static bool record(const char *id, enum journal_word word, const char *face)
{
    struct sf_bytes bytes = {.data = (uint8_t *)(uintptr_t)face, .size = strlen(face)};
    return journal_record(&journal, id, word, &bytes, &err);
}

static bool note(void *context, const char *id, enum journal_word word, const struct sf_bytes *face,
                 struct sf_error **unused)
{
    static const char *const names[] = {"running", "saved", "held", "stopped", "damaged"};
    char one[64];
    (void)context;
    (void)unused;
    snprintf(one, sizeof(one), "%s=%s:%.*s ", id, names[word], (int)face->size,
             face->data == NULL ? "" : (const char *)face->data);
    strcat(seen, one);
    return true;
}

/* As the next daemon finds it. */
static const char *reopened(void)
{
    journal_close(&journal);
    ck_assert(journal_open(&journal, directory, &err));
    seen[0] = '\0';
    ck_assert(journal_walk(&journal, note, NULL, &err));
    return seen;
}

static void leave_file(const char *name, const char *content)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    fclose(file);
}

static bool has_file(const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

START_TEST(what_was_written_is_found)
{
    ck_assert(record("s2", JOURNAL_STOPPED, "two"));
    ck_assert(record("s1", JOURNAL_RUNNING, "one"));
    ck_assert(record("s1", JOURNAL_SAVED, "One\nwith a line"));
    ck_assert_str_eq(reopened(), "s1=saved:One\nwith a line s2=stopped:two ");
    journal_forget(&journal, "s1");
    journal_forget(&journal, "s1");
    ck_assert_str_eq(reopened(), "s2=stopped:two ");
}
END_TEST

START_TEST(ids_that_look_like_file_names)
{
    ck_assert(record("a", JOURNAL_RUNNING, "1"));
    ck_assert(record("a.record", JOURNAL_RUNNING, "2"));
    ck_assert(record("a.snapshot", JOURNAL_RUNNING, "3"));
    ck_assert_str_eq(reopened(), "a=running:1 a.record=running:2 a.snapshot=running:3 ");
    journal_forget(&journal, "a");
    ck_assert_str_eq(reopened(), "a.record=running:2 a.snapshot=running:3 ");
}
END_TEST

START_TEST(a_write_that_fails_leaves_the_old_record)
{
    ck_assert(record("s1", JOURNAL_RUNNING, "old"));
    sf_fault_arm("journal: write");
    ck_assert(!record("s1", JOURNAL_SAVED, "new"));
    ck_assert_str_eq(reopened(), "s1=running:old ");
    sf_error_free(err);
    err = NULL;
    ck_assert(record("s1", JOURNAL_SAVED, "new"));
    ck_assert_str_eq(reopened(), "s1=saved:new ");
}
END_TEST

START_TEST(a_half_written_file_is_swept_up) /* the daemon ended before the rename */
{
    ck_assert(record("s1", JOURNAL_RUNNING, "old"));
    leave_file("sandboxes/s1.record.Ab12Cd", "sandferry-rec");
    leave_file("sandboxes/s1.snapshot.Ab12Cd", "half");
    leave_file("given/s1.snapshot.Ab12Cd", "half");
    ck_assert_str_eq(reopened(), "s1=running:old ");
    ck_assert(!has_file("sandboxes/s1.record.Ab12Cd"));
    ck_assert(!has_file("sandboxes/s1.snapshot.Ab12Cd"));
    ck_assert(!has_file("given/s1.snapshot.Ab12Cd"));
}
END_TEST

START_TEST(a_snapshot_counts_only_with_its_record)
{
    struct sf_bytes bytes = {.data = (uint8_t *)(uintptr_t) "snap", .size = 4}, got = {0};
    ck_assert(journal_put_snapshot(&journal, "s1", &bytes, &err)); /* ended before the record */
    ck_assert_str_eq(reopened(), "");
    ck_assert(!has_file("sandboxes/s1.snapshot"));

    ck_assert(record("s1", JOURNAL_SAVED, "x"));
    ck_assert(journal_put_snapshot(&journal, "s1", &bytes, &err));
    reopened();
    ck_assert(journal_get_snapshot(&journal, "s1", &got, &err));
    ck_assert_uint_eq(got.size, 4);
    ck_assert_mem_eq(got.data, "snap", 4);
    sf_bytes_done(&got);
}
END_TEST

START_TEST(an_altered_record_is_damaged)
{
    static const char *const contents[] = {
        "",
        "x",
        "\n",
        "sandferry-record 1 running\nface",
        "sandferry-record 2 running 00\nface",
        "sandferry-record 1 running "
        "0000000000000000000000000000000000000000000000000000000000000000\nface",
    };
    leave_file("sandboxes/s1.record", contents[_i]);
    ck_assert_str_eq(reopened(), "s1=damaged: ");
}
END_TEST

START_TEST(one_daemon_at_a_time)
{
    struct journal second;
    ck_assert(!journal_open(&second, directory, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), directory));
    journal_close(&second);
}
END_TEST

START_TEST(what_is_given_out_is_bounded)
{
    struct sf_bytes bytes = {.data = (uint8_t *)(uintptr_t) "snap", .size = 4};
    char id[16], command[160];
    for (unsigned i = 0; i < JOURNAL_GIVEN_MAX + 3; i++) {
        snprintf(id, sizeof(id), "s%u", i);
        ck_assert(journal_give(&journal, id, &bytes, &err));
    }
    snprintf(command, sizeof(command), "test $(ls %s/given | wc -l) -eq %d", directory,
             JOURNAL_GIVEN_MAX);
    ck_assert_int_eq(system(command), 0);
    ck_assert(has_file("given/s66.snapshot"));
    journal_drop_given(&journal, "s66");
    ck_assert(!has_file("given/s66.snapshot"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *cases = tcase_create("journal");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, what_was_written_is_found);
    tcase_add_test(cases, ids_that_look_like_file_names);
    tcase_add_test(cases, a_write_that_fails_leaves_the_old_record);
    tcase_add_test(cases, a_half_written_file_is_swept_up);
    tcase_add_test(cases, a_snapshot_counts_only_with_its_record);
    tcase_add_loop_test(cases, an_altered_record_is_damaged, 0, 6);
    tcase_add_test(cases, one_daemon_at_a_time);
    tcase_add_test(cases, what_is_given_out_is_bounded);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
