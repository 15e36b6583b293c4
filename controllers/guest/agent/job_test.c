#include "base/suite.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/job.h"
#include "guest/agent/reply.h"

static uint64_t answered;
static struct outcome answer;

/* In the place of reply.c. */
void reply_outcome(uint64_t id, const struct outcome *o)
{
    ck_assert_uint_eq(answered, 0);
    answered = id;
    answer = *o;
}

static bool says(const void *request, struct outcome *o)
{
    return strcmp(request, "well") == 0
               ? true
               : outcome_fail(o, SF_NOT_FOUND, "'%s'", (const char *)request);
}

static bool breaks(const void *request, struct outcome *o)
{
    (void)request;
    (void)o;
    _exit(3);
}

static bool takes_for_ever(const void *request, struct outcome *o)
{
    (void)request;
    (void)o;
    raise(SIGALRM); /* as its time limit does */
    return true;
}

static bool is_silent(const void *request, struct outcome *o)
{
    (void)request;
    (void)o;
    return false;
}

static void run(job_run what, const char *request)
{
    int status;

    answered = 0;
    job_start(7, what, request, NULL, NULL);
    job_finish();
    ck_assert_uint_eq(answered, 0); /* not before the child has ended */
    pid_t pid = wait(&status);
    ck_assert_int_gt(pid, 0);
    ck_assert(!job_child_ended(pid + 1, status));
    ck_assert(job_child_ended(pid, status));
    job_finish();
    ck_assert_uint_eq(answered, 7);
    job_finish(); /* once only: reply_outcome() looks */
}

START_TEST(what_the_child_finds_out_is_the_answer)
{
    run(says, "well");
    ck_assert_uint_eq(answer.code, SF_OK);
    run(says, "disk");
    ck_assert_uint_eq(answer.code, SF_NOT_FOUND);
    ck_assert_str_eq(answer.text, "'disk'");
}
END_TEST

START_TEST(a_child_that_breaks_or_is_silent_is_an_answer_too)
{
    run(breaks, "");
    ck_assert_uint_eq(answer.code, SF_INTERNAL);
    run(is_silent, "");
    ck_assert_uint_eq(answer.code, SF_INTERNAL);
    run(takes_for_ever, "");
    ck_assert_uint_eq(answer.code, SF_DEADLINE_EXCEEDED);
}
END_TEST

START_TEST(too_many_at_once_are_refused_and_the_places_come_back)
{
    unsigned under_way = 0;
    int status;

    for (answered = 0; answered == 0; under_way++)
        job_start(9, says, "well", NULL, NULL);
    ck_assert_uint_eq(answer.code, SF_RESOURCE_EXHAUSTED);
    for (unsigned i = 0; i < under_way - 1; i++) {
        ck_assert(job_child_ended(wait(&status), status));
        answered = 0;
        job_finish();
        ck_assert_uint_eq(answered, 9);
    }
    run(says, "well");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_job");
    TCase *tc = tcase_create("job");

    tcase_add_test(tc, what_the_child_finds_out_is_the_answer);
    tcase_add_test(tc, a_child_that_breaks_or_is_silent_is_an_answer_too);
    tcase_add_test(tc, too_many_at_once_are_refused_and_the_places_come_back);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
