#include "events.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fakes.h"

static struct events events;
static struct sf_error *err;

static void setup(void)
{
    err = NULL;
    ck_assert(events_init(&events, &err));
}

static void teardown(void)
{
    events_done(&events);
    sf_error_free(err);
}

static void add(const char *sandbox, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        events_add(&events, sandbox, "test.happened", "number %u of '%s'", i, sandbox);
}

static struct event next(struct events_cursor *cursor, uint64_t want_lost)
{
    struct event event;
    uint64_t lost;
    ck_assert(events_next(&events, cursor, NULL, &event, &lost, &err));
    ck_assert_uint_eq(lost, want_lost);
    return event;
}

static bool is_empty(struct events_cursor *cursor)
{
    struct rpc_call call = FAKE_CALL_INIT;
    SF_CLEANUP(sf_error_freep) struct sf_error *ended = NULL;
    struct event event;
    uint64_t lost;
    call.cancelled = true; /* does not wait */
    return !events_next(&events, cursor, &call, &event, &lost, &ended);
}

START_TEST(from_now_on)
{
    struct events_cursor cursor;
    add("s1", 3);
    ck_assert(events_begin(&events, &cursor, "", false, 0, &err));
    ck_assert(is_empty(&cursor));
    add("s1", 1);
    ck_assert_uint_eq(next(&cursor, 0).number, 4);
    ck_assert(is_empty(&cursor));
}
END_TEST

START_TEST(from_the_start_and_after_a_number)
{
    struct events_cursor cursor;
    add("s1", 3);
    ck_assert(events_begin(&events, &cursor, "", true, 0, &err));
    for (unsigned i = 1; i <= 3; i++)
        ck_assert_uint_eq(next(&cursor, 0).number, i);
    ck_assert(events_begin(&events, &cursor, "", false, 2, &err));
    ck_assert_uint_eq(next(&cursor, 0).number, 3);
}
END_TEST

START_TEST(until_now)
{
    struct events_cursor cursor;
    struct event event;
    uint64_t lost;

    add("s1", 2);
    add("s2", 1);
    ck_assert(events_begin(&events, &cursor, "s1", true, 0, &err));
    cursor.ends = true;
    add("s1", 1);
    ck_assert_uint_eq(next(&cursor, 0).number, 1);
    ck_assert_uint_eq(next(&cursor, 0).number, 2);
    ck_assert(!events_next(&events, &cursor, NULL, &event, &lost, &err)); /* and does not wait */
    ck_assert_ptr_null(err);
}
END_TEST

START_TEST(of_one_sandbox)
{
    struct events_cursor cursor;
    ck_assert(events_begin(&events, &cursor, "s2", true, 0, &err));
    add("s1", 5);
    add("s2", 1);
    add("s1", 5);
    struct event event = next(&cursor, 0);
    ck_assert_str_eq(event.sandbox_id, "s2");
    ck_assert_str_eq(event.message, "number 0 of 's2'");
    ck_assert(is_empty(&cursor));
}
END_TEST

START_TEST(a_slow_reader_learns_how_many_it_lost)
{
    struct events_cursor cursor;
    add("s1", 1);
    ck_assert(events_begin(&events, &cursor, "", true, 0, &err));
    ck_assert_uint_eq(next(&cursor, 0).number, 1);
    add("s1", EVENTS_KEPT + 7);
    ck_assert_uint_eq(next(&cursor, 7).number, 9);
    ck_assert_uint_eq(next(&cursor, 0).number, 10); /* told once */
}
END_TEST

START_TEST(a_number_that_has_not_happened_is_refused)
{
    struct events_cursor cursor;
    add("s1", 3);
    ck_assert(!events_begin(&events, &cursor, "", false, 4, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "after");
}
END_TEST

START_TEST(a_long_message_is_cut_between_characters)
{
    struct events_cursor cursor;
    char text[EVENTS_MESSAGE_SIZE + 10] = "";
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        strcat(text, "\xc3\xa4");
    ck_assert(events_begin(&events, &cursor, "", true, 0, &err));
    events_add(&events, "s1", "test.happened", "x%s", text);
    events_add(&events, "s1", "test.happened", "\xff");
    struct event event = next(&cursor, 0);
    ck_assert(sf_utf8_valid(event.message, strlen(event.message)));
    ck_assert_uint_gt(strlen(event.message), EVENTS_MESSAGE_SIZE - 8);
    event = next(&cursor, 0);
    ck_assert(sf_utf8_valid(event.message, strlen(event.message)));
}
END_TEST

static void *add_later(void *arg)
{
    (void)arg;
    add("s1", 1);
    return NULL;
}

START_TEST(whoever_waits_is_woken)
{
    struct events_cursor cursor;
    pthread_t thread;
    ck_assert(events_begin(&events, &cursor, "", false, 0, &err));
    pthread_create(&thread, NULL, add_later, NULL);
    ck_assert_uint_eq(next(&cursor, 0).number, 1);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *cases = tcase_create("events");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, from_now_on);
    tcase_add_test(cases, until_now);
    tcase_add_test(cases, from_the_start_and_after_a_number);
    tcase_add_test(cases, of_one_sandbox);
    tcase_add_test(cases, a_slow_reader_learns_how_many_it_lost);
    tcase_add_test(cases, a_number_that_has_not_happened_is_refused);
    tcase_add_test(cases, a_long_message_is_cut_between_characters);
    tcase_add_test(cases, whoever_waits_is_woken);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
