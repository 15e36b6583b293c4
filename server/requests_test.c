#include "requests.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes.h"
#include "sandferry/v1/sandbox.pb-c.h"

static struct requests requests;
static struct sf_error *err;
static enum requests_turn turn;
static struct request *ticket;
static struct sf_bytes answer;

static void setup(void)
{
    err = NULL;
    requests_init(&requests);
}

static void teardown(void)
{
    requests_done(&requests);
    sf_bytes_done(&answer);
    sf_error_free(err);
}

/* A request whose content is TEXT. */
static bool begin(const char *id, const char *method, const char *text)
{
    Sandferry__V1__StopSandboxRequest request = SANDFERRY__V1__STOP_SANDBOX_REQUEST__INIT;
    request.sandbox_id = (char *)(uintptr_t)text;
    return requests_begin(&requests, id, method, &request.base, NULL, &turn, &ticket, &answer,
                          &err);
}

static void end_with(struct request *of, const char *text)
{
    Sandferry__V1__StopSandboxRequest reply = SANDFERRY__V1__STOP_SANDBOX_REQUEST__INIT;
    reply.sandbox_id = (char *)(uintptr_t)text;
    requests_end(&requests, of, text == NULL ? NULL : &reply.base);
}

static void is_answered(const char *text)
{
    ck_assert_int_eq(turn, REQUESTS_REPEAT);
    ck_assert_uint_eq(answer.size, strlen(text) + 2); /* tag, length */
    ck_assert_mem_eq(answer.data + 2, text, strlen(text));
    sf_bytes_done(&answer);
}

START_TEST(a_repeat_gets_the_first_answer)
{
    ck_assert(begin("r1", "Stop", "s1"));
    ck_assert_int_eq(turn, REQUESTS_RUN);
    end_with(ticket, "first");
    ck_assert(begin("r1", "Stop", "s1"));
    is_answered("first");
    ck_assert(begin("r1", "Stop", "s1"));
    is_answered("first");
}
END_TEST

START_TEST(other_content_is_refused)
{
    ck_assert(begin("r1", "Stop", "s1"));
    end_with(ticket, "first");
    ck_assert(!begin("r1", _i == 0 ? "Stop" : "Save", _i == 0 ? "s2" : "s1"));
    ck_assert_int_eq(sf_error_code(err), SF_ALREADY_EXISTS);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'r1'"));
}
END_TEST

START_TEST(what_failed_is_tried_again)
{
    ck_assert(begin("r1", "Stop", "s1"));
    end_with(ticket, NULL);
    ck_assert(begin("r1", "Stop", "s2")); /* the id stands for nothing yet */
    ck_assert_int_eq(turn, REQUESTS_RUN);
    end_with(ticket, "second");
}
END_TEST

START_TEST(without_an_id_nothing_is_kept)
{
    ck_assert(begin("", "Stop", "s1"));
    ck_assert_ptr_null(ticket);
    end_with(ticket, "first");
    ck_assert(begin("", "Stop", "s1"));
    ck_assert_int_eq(turn, REQUESTS_RUN);
}
END_TEST

START_TEST(an_id_has_a_bound)
{
    char id[REQUESTS_ID_SIZE + 1];
    memset(id, 'x', sizeof(id));
    id[REQUESTS_ID_SIZE] = '\0';
    ck_assert(!begin(id, "Stop", "s1"));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "request_id");
}
END_TEST

START_TEST(the_oldest_answers_go)
{
    char id[16];
    for (unsigned i = 0; i < REQUESTS_KEPT + 5; i++) {
        snprintf(id, sizeof(id), "r%u", i);
        ck_assert(begin(id, "Stop", "s1"));
        end_with(ticket, id);
    }
    ck_assert_uint_eq(requests.n, REQUESTS_KEPT);
    ck_assert(begin("r4", "Stop", "s1"));
    ck_assert_int_eq(turn, REQUESTS_RUN);
    end_with(ticket, NULL);
    ck_assert(begin(id, "Stop", "s1"));
    is_answered(id);
}
END_TEST

START_TEST(an_answer_too_large_to_keep_is_not_kept)
{
    char *large = malloc(REQUESTS_KEPT_BYTES + 1);
    memset(large, 'x', REQUESTS_KEPT_BYTES);
    large[REQUESTS_KEPT_BYTES] = '\0';
    ck_assert(begin("r1", "Stop", "s1"));
    end_with(ticket, large);
    free(large);
    ck_assert_uint_eq(requests.n, 0);
    ck_assert_uint_eq(requests.bytes, 0);
}
END_TEST

/* A second one with the same id, on a thread of its own. */
struct second {
    pthread_t thread;
    struct rpc_call call;
    bool ok;
    enum requests_turn turn;
    struct sf_bytes answer;
    struct sf_error *err;
};

static void *run_second(void *arg)
{
    struct second *s = arg;
    struct request *mine;
    Sandferry__V1__StopSandboxRequest request = SANDFERRY__V1__STOP_SANDBOX_REQUEST__INIT;
    request.sandbox_id = (char *)(uintptr_t) "s1";
    s->ok = requests_begin(&requests, "r1", "Stop", &request.base, &s->call, &s->turn, &mine,
                           &s->answer, &s->err);
    if (s->ok && s->turn == REQUESTS_RUN)
        end_with(mine, "mine");
    return NULL;
}

static void start_second(struct second *s)
{
    *s = (struct second){.call = FAKE_CALL_INIT};
    ck_assert(begin("r1", "Stop", "s1"));
    pthread_create(&s->thread, NULL, run_second, s);
}

START_TEST(a_second_one_waits_for_the_first)
{
    struct second s;
    start_second(&s);
    end_with(ticket, "first");
    pthread_join(s.thread, NULL);
    ck_assert(s.ok);
    ck_assert_int_eq(s.turn, REQUESTS_REPEAT);
    ck_assert_mem_eq(s.answer.data + 2, "first", 5);
    sf_bytes_done(&s.answer);
}
END_TEST

START_TEST(a_second_one_runs_if_the_first_fails)
{
    struct second s;
    start_second(&s);
    end_with(ticket, NULL);
    pthread_join(s.thread, NULL);
    ck_assert(s.ok);
    ck_assert_int_eq(s.turn, REQUESTS_RUN);
}
END_TEST

START_TEST(a_second_one_that_is_cancelled_goes)
{
    struct second s;
    start_second(&s);
    fake_call_cancel(&s.call);
    pthread_join(s.thread, NULL);
    ck_assert(!s.ok);
    ck_assert_int_eq(sf_error_code(s.err), SF_CANCELLED);
    sf_error_free(s.err);
    end_with(ticket, "first");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("requests");
    TCase *cases = tcase_create("requests");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_repeat_gets_the_first_answer);
    tcase_add_loop_test(cases, other_content_is_refused, 0, 2);
    tcase_add_test(cases, what_failed_is_tried_again);
    tcase_add_test(cases, without_an_id_nothing_is_kept);
    tcase_add_test(cases, an_id_has_a_bound);
    tcase_add_test(cases, the_oldest_answers_go);
    tcase_add_test(cases, an_answer_too_large_to_keep_is_not_kept);
    tcase_add_test(cases, a_second_one_waits_for_the_first);
    tcase_add_test(cases, a_second_one_runs_if_the_first_fails);
    tcase_add_test(cases, a_second_one_that_is_cancelled_goes);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
