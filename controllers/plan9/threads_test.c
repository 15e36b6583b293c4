/* The guest reads and writes while shares come, go and are saved: as in a daemon, the line has a
 * thread of its own. Says most under ThreadSanitizer. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "plan9/fixture.h"

#define ROUNDS 300

static atomic_bool over;
static atomic_uint answered;

/* What a guest says that mounts, opens, reads, locks and closes, over and over, on shares that are
 * there or not; now and then it hangs up, and now and then it makes no sense. */
static void *be_a_guest(void *arg)
{
    struct sf_sandbox *s = arg;
    const struct message all[] = {
        message(TVERSION, "ds", PLAN9_MSIZE, "9P2000.L"),
        message(TATTACH, "ddssd", 0, ~0u, "", "0", 0),
        message(TWALK, "ddws", 0, 1, 1, "one"),
        message(TLOPEN, "dd", 1, O_RDWR),
        message(TLOCK, "dbdqqds", 1, 1, 0, UINT64_C(0), UINT64_C(0), 1, "guest"),
        message(TREAD, "dqd", 1, UINT64_C(0), 5),
        message(TCLUNK, "d", 1),
    };
    char answer[4096];

    for (unsigned turn = 0; !atomic_load(&over); turn++) {
        uint64_t share = turn / 7 % (2 * ROUNDS);
        const struct message *m = &all[turn % 7];
        fake_line_say(s, share, m->data, m->size, turn % 97 == 0);
        if (turn % 101 == 0)
            fake_line_say(s, share, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, false);
        if (fake_line_take(share, answer, sizeof(answer)) > 0)
            atomic_fetch_add(&answered, 1);
    }
    return NULL;
}

/* The guest may have hung up what was shared already. */
static void map_or_not(const char *id)
{
    const char *path;

    if (!plan9_map(p, id, &path, &err))
        expect(SF_FAILED_PRECONDITION, "is served no more");
}

static void save_or_not(void)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};

    if (p->base.cls->save(&p->base, &section, &err))
        p->base.cls->thaw(&p->base);
    else
        expect(SF_FAILED_PRECONDITION, "served no more");
}

static void come_and_go(unsigned turn)
{
    struct sf_share_request q = a_share(turn % 2 == 0 ? "a" : "b");
    const char *id = reserve(&q);

    map_or_not(id);
    save_or_not();
    SF_CLEANUP(sf_freep) char *reasons = check();
    if (turn % 3 > 0)
        release(id);
    else
        map_or_not(id);
    if (turn % 16 == 0)
        while (p->n_reservations > 0)
            release(p->reservations[0]->id);
    books_are_right();
}

START_TEST(shares_come_and_go_while_the_guest_talks)
{
    pthread_t guest;

    ck_assert_int_eq(pthread_create(&guest, NULL, be_a_guest, sandbox), 0);
    for (unsigned turn = 0; turn < ROUNDS || atomic_load(&answered) < 100; turn++)
        come_and_go(turn);
    p->base.cls->destroy(&p->base); /* under the guest's very feet */
    books_are_empty();
    atomic_store(&over, true);
    pthread_join(guest, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan9_threads");
    TCase *cases = tcase_create("threads");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_test(cases, shares_come_and_go_while_the_guest_talks);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
