#include "base/suite.h"

#include "guest/agent/window.h"

START_TEST(sends_chunks_until_the_window_is_full)
{
    struct window w = {0};
    uint64_t sent = 0;

    for (size_t room; (room = window_room(&w)) > 0; sent += room) {
        ck_assert_uint_le(room, WINDOW_CHUNK);
        window_sent(&w, room);
    }
    ck_assert_uint_eq(sent, WINDOW_SIZE);
    ck_assert_uint_eq(w.sent, WINDOW_SIZE);
}
END_TEST

START_TEST(what_is_taken_makes_room_for_as_much)
{
    struct window w = {.sent = WINDOW_SIZE, .taken = 0};

    ck_assert_uint_eq(window_room(&w), 0);
    window_taken(&w, 1);
    ck_assert_uint_eq(window_room(&w), 1);
    window_taken(&w, 1000);
    ck_assert_uint_eq(window_room(&w), 1000);
    window_taken(&w, WINDOW_SIZE);
    ck_assert_uint_eq(window_room(&w), WINDOW_CHUNK);
}
END_TEST

START_TEST(the_host_cannot_take_back_nor_take_what_was_not_sent)
{
    struct window w = {.sent = 5000, .taken = 3000};

    window_taken(&w, 2999);
    ck_assert_uint_eq(w.taken, 3000);
    window_taken(&w, 5001);
    ck_assert_uint_eq(w.taken, 3000);
    window_taken(&w, UINT64_MAX);
    ck_assert_uint_eq(w.taken, 3000);
    window_taken(&w, 5000);
    ck_assert_uint_eq(w.taken, 5000);
}
END_TEST

START_TEST(offsets_beyond_4_gib_are_nothing_special)
{
    struct window w = {.sent = UINT64_C(1) << 40, .taken = (UINT64_C(1) << 40) - WINDOW_SIZE + 7};

    ck_assert_uint_eq(window_room(&w), 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_window");
    TCase *tc = tcase_create("window");

    tcase_add_test(tc, sends_chunks_until_the_window_is_full);
    tcase_add_test(tc, what_is_taken_makes_room_for_as_much);
    tcase_add_test(tc, the_host_cannot_take_back_nor_take_what_was_not_sent);
    tcase_add_test(tc, offsets_beyond_4_gib_are_nothing_special);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
