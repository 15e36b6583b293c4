/* Locks: what the books say, and what others on the host meet. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"
#include "plan9/9p/test_client.h"

static struct client *c;
static int host; /* somebody on the host who has the file open */

static void begin(void)
{
    c = client_new(NULL);
    client_attach(c);
    host = open(at(c, "f"), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(host, 0);
}

static void begin_read_only(void)
{
    c = client_new(&(struct ninep_options){.read_only = true});
    client_attach(c);
    host = open(at(c, "f"), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(host, 0);
}

static void end(void)
{
    close(host);
    client_free(c);
}

/* "ok", "blocked", or an errno. */
static int lock(uint32_t fid, unsigned type, uint64_t start, uint64_t length, uint32_t process)
{
    int problem = call(c, P9_TLOCK, "dbdqqds", fid, type, 1, start, length, process, "guest");

    if (problem != 0)
        return problem;
    unsigned status = read_u8(&c->reply);
    ck_assert(read_all(&c->reply));
    return status == P9_LOCK_BLOCKED ? EAGAIN : 0;
}

static int host_lock(short type, off_t start, off_t length)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

    return fcntl(host, F_OFD_SETLK, &l) == 0 ? 0 : errno;
}

/* What the host would meet at each of the first 20 bytes: '.' nothing, 'r' shared, 'W' exclusive.
 */
static const char *host_sees(void)
{
    static char text[21];

    for (unsigned i = 0; i < 20; i++) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1};
        ck_assert_int_eq(fcntl(host, F_OFD_GETLK, &l), 0);
        text[i] = l.l_type == F_UNLCK ? '.' : l.l_type == F_RDLCK ? 'r' : 'W';
    }
    return text;
}

/* What the books say: "1:W0-4 ..." by fid. */
static const char *books(void)
{
    static char text[512];
    struct ninep_state state = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    size_t used = 0;

    text[0] = '\0';
    ck_assert_msg(ninep_export(c->s, &state, &err), "%s", SF_WHY(err));
    for (size_t i = 0; i < state.n_fids; i++)
        for (size_t k = 0; k < state.fids[i].n_locks; k++) {
            const struct ninep_lock *l = &state.fids[i].locks[k];
            ck_assert_str_eq(l->client, "guest");
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u/%u:%c%llu+%llu",
                                     used > 0 ? " " : "", state.fids[i].fid, l->process,
                                     l->exclusive ? 'W' : 'r', (unsigned long long)l->start,
                                     (unsigned long long)l->length);
        }
    ninep_state_done(&state);
    return text;
}

START_TEST(a_lock_is_held_against_the_host)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 2, 3, 7), 0);
    ck_assert_str_eq(books(), "1/7:W2+3");
    ck_assert_str_eq(host_sees(), "..WWW...............");
    ck_assert_int_eq(host_lock(F_RDLCK, 0, 5), EAGAIN);
    ck_assert_int_eq(lock(1, P9_LOCK_NONE, 0, 0, 7), 0);
    ck_assert_str_eq(books(), "");
    ck_assert_int_eq(host_lock(F_WRLCK, 0, 5), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 4, 2, 7), EAGAIN);
    ck_assert_str_eq(books(), "");
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 5, 2, 7), 0);
    ck_assert_str_eq(host_sees(), ".....rr.............");
}
END_TEST

/* The guest's kernel has judged between its processes already. */
START_TEST(fids_of_one_file_do_not_meet)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(open_at(c, 2, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 0, 10, 7), 0);
    ck_assert_int_eq(lock(2, P9_LOCK_EXCLUSIVE, 5, 10, 7), 0);
    ck_assert_int_eq(lock(2, P9_LOCK_SHARED, 2, 1, 8), 0);
    ck_assert_str_eq(books(), "1/7:W0+10 2/8:r2+1 2/7:W5+10");
    ck_assert_str_eq(host_sees(), "WWWWWWWWWWWWWWW.....");
    ck_assert_int_eq(clunk(c, 1), 0); /* and the others stay */
    ck_assert_str_eq(books(), "2/8:r2+1 2/7:W5+10");
    ck_assert_str_eq(host_sees(), "..r..WWWWWWWWWW.....");
    ck_assert_int_eq(clunk(c, 2), 0);
    ck_assert_str_eq(host_sees(), "....................");
}
END_TEST

START_TEST(ranges_are_cut_and_joined)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 0, 10, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 3, 3, 7), 0); /* a hole of another kind */
    ck_assert_str_eq(books(), "1/7:W0+3 1/7:r3+3 1/7:W6+4");
    ck_assert_str_eq(host_sees(), "WWWrrrWWWW..........");
    ck_assert_int_eq(lock(1, P9_LOCK_NONE, 4, 1, 7), 0);
    ck_assert_str_eq(books(), "1/7:W0+3 1/7:r3+1 1/7:r5+1 1/7:W6+4");
    ck_assert_str_eq(host_sees(), "WWWr.rWWWW..........");
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 3, 3, 7), 0);
    ck_assert_str_eq(books(), "1/7:W0+10"); /* neighbours of one kind */
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 12, 0, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_NONE, 14, 2, 7), 0);
    ck_assert_str_eq(books(), "1/7:W0+10 1/7:r12+2 1/7:r16+0");
    ck_assert_str_eq(host_sees(), "WWWWWWWWWW..rr..rrrr");
    ck_assert_int_eq(lock(1, P9_LOCK_NONE, 0, 0, 8), 0); /* another process has none */
    ck_assert_str_eq(host_sees(), "WWWWWWWWWW..rr..rrrr");
}
END_TEST

START_TEST(what_is_refused_leaves_all_as_it_was)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 0, 5, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 7, 2, 7), 0);
    ck_assert_int_eq(host_lock(F_WRLCK, 12, 2), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 0, 20, 7), EAGAIN);
    ck_assert_str_eq(books(), "1/7:r0+5 1/7:W7+2");
    ck_assert_str_eq(host_sees(), "rrrrr..WW...........");
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 0, 20, 7), EAGAIN);
    ck_assert_str_eq(host_sees(), "rrrrr..WW...........");
}
END_TEST

START_TEST(a_file_opened_for_reading_may_be_locked_exclusively)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDONLY), 0); /* flock() in the guest */
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 0, 0, 7), 0);
    ck_assert_str_eq(host_sees(), "WWWWWWWWWWWWWWWWWWWW");
}
END_TEST

START_TEST(what_is_read_only_is_kept_from_writers)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDONLY), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 0, 3, 7), 0);
    ck_assert_str_eq(books(), "1/7:W0+3");
    ck_assert_str_eq(host_sees(), "rrr.................");
}
END_TEST

START_TEST(getlock_names_who_is_in_the_way)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(host_lock(F_RDLCK, 4, 4), 0);
    for (unsigned type = P9_LOCK_SHARED; type <= P9_LOCK_EXCLUSIVE; type++) {
        ck_assert_int_eq(call(c, P9_TGETLOCK, "dbqqds", 1, type, (uint64_t)0, (uint64_t)6, 7, "me"),
                         0);
        bool blocked = type == P9_LOCK_EXCLUSIVE;
        ck_assert_uint_eq(read_u8(&c->reply), blocked ? P9_LOCK_SHARED : P9_LOCK_NONE);
        ck_assert_uint_eq(read_u64(&c->reply), blocked ? 4 : 0);
        ck_assert_uint_eq(read_u64(&c->reply), blocked ? 4 : 6);
        ck_assert_uint_eq(read_u32(&c->reply), blocked ? 0 : 7);
        struct span name = read_text(&c->reply);
        ck_assert_mem_eq(name.data, blocked ? "host" : "me", name.size);
        ck_assert(read_all(&c->reply));
    }
    ck_assert_str_eq(books(), "");
}
END_TEST

START_TEST(wrong_locks_are_refused)
{
    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(walk(c, 0, 2, "f"), 0);
    ck_assert_int_eq(open_at(c, 3, "d", P9_O_RDONLY), 0);
    ck_assert_int_eq(lock(2, P9_LOCK_SHARED, 0, 1, 7), EBADF);
    ck_assert_int_eq(lock(9, P9_LOCK_SHARED, 0, 1, 7), EBADF);
    ck_assert_int_eq(lock(3, P9_LOCK_SHARED, 0, 1, 7), EINVAL);
    ck_assert_int_eq(lock(1, 3, 0, 1, 7), EINVAL);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, UINT64_MAX, 1, 7), EINVAL);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 1, INT64_MAX, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 2, INT64_MAX, 7), EINVAL);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, INT64_MAX, 1, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, INT64_MAX, 2, 7), EINVAL);
    ck_assert_int_eq(call(c, P9_TLOCK, "dbdqqds", 1, 0, 0, (uint64_t)0, (uint64_t)0, 1, "\xff"),
                     EINVAL);
    ck_assert_int_eq(call(c, P9_TGETLOCK, "dbqqds", 1, 2, (uint64_t)0, (uint64_t)0, 1, ""), EINVAL);
    ck_assert_int_eq(call(c, P9_TGETLOCK, "dbqqds", 2, 0, (uint64_t)0, (uint64_t)0, 1, ""), EBADF);
}
END_TEST

START_TEST(locks_have_a_bound)
{
    int problem = 0;
    uint64_t n = 0;

    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    for (; problem == 0 && n <= NINEP_LOCKS_MAX; n++)
        problem = lock(1, P9_LOCK_SHARED, 2 * n, 1, 7);
    ck_assert_int_eq(problem, ENOLCK);
    ck_assert_uint_eq(n, NINEP_LOCKS_MAX + 1);
    ck_assert_int_eq(lock(1, P9_LOCK_NONE, 0, 1, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 0, 1, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_NONE, 0, 0, 7), 0);
    ck_assert_str_eq(host_sees(), "....................");
}
END_TEST

START_TEST(at_rest_the_host_has_none)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert_int_eq(open_at(c, 1, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_EXCLUSIVE, 0, 4, 7), 0);
    ck_assert_int_eq(lock(1, P9_LOCK_SHARED, 6, 4, 7), 0);
    ninep_rest(c->s);
    ninep_rest(c->s);
    ck_assert_str_eq(host_sees(), "....................");
    ck_assert_str_eq(books(), "1/7:W0+4 1/7:r6+4");
    ck_assert_int_eq(host_lock(F_WRLCK, 8, 1), 0);
    ck_assert(!ninep_wake(c->s, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_msg(strstr(sf_error_message(err), "'f'") != NULL, "%s", sf_error_message(err));
    ck_assert_int_eq(host_lock(F_UNLCK, 0, 0), 0);
    ck_assert_str_eq(host_sees(), "....................");
    sf_error_free(SF_STEAL(err));
    ck_assert_msg(ninep_wake(c->s, &err), "%s", SF_WHY(err));
    ck_assert(ninep_wake(c->s, &err));
    ck_assert_str_eq(host_sees(), "WWWW..rrrr..........");
}
END_TEST

/* Random changes by many owners, against an array of bytes for each. */
enum { FIDS = 4, PROCESSES = 3, BYTES = 20 };

START_TEST(the_host_sees_the_sum)
{
    char want[FIDS][PROCESSES][BYTES];
    unsigned random = (unsigned)_i * 7919 + 1;

    memset(want, '.', sizeof(want));
    for (unsigned i = 0; i < FIDS; i++)
        ck_assert_int_eq(open_at(c, i + 1, "f", P9_O_RDWR), 0);
    for (unsigned step = 0; step < 400; step++) {
        char sum[BYTES + 1];
        random = random * 1103515245 + 12345;
        unsigned fid = random >> 16 & 3, process = (random >> 18) % PROCESSES;
        unsigned type = (random >> 20) % 3, start = (random >> 22) % BYTES;
        unsigned length = 1 + (random >> 4) % (BYTES - start);
        if (random % 41 == 0) {
            ck_assert_int_eq(clunk(c, fid + 1), 0);
            ck_assert_int_eq(open_at(c, fid + 1, "f", P9_O_RDWR), 0);
            memset(want[fid], '.', sizeof(want[fid]));
        } else {
            ck_assert_int_eq(lock(fid + 1, type, start, length, process), 0);
            memset(want[fid][process] + start, "rW."[type], length);
        }
        memset(sum, '.', sizeof(sum));
        for (unsigned i = 0; i < FIDS * PROCESSES * BYTES; i++) {
            char one = ((const char *)want)[i], *all = &sum[i % BYTES];
            *all = one == 'W' || *all == 'W' ? 'W' : one == 'r' || *all == 'r' ? 'r' : '.';
        }
        sum[BYTES] = '\0';
        ck_assert_str_eq(host_sees(), sum);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ninep locks");
    TCase *t = tcase_create("locks"), *ro = tcase_create("read-only");

    tcase_add_checked_fixture(t, begin, end);
    tcase_add_checked_fixture(ro, begin_read_only, end);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_lock_is_held_against_the_host);
    tcase_add_test(t, fids_of_one_file_do_not_meet);
    tcase_add_test(t, ranges_are_cut_and_joined);
    tcase_add_test(t, what_is_refused_leaves_all_as_it_was);
    tcase_add_test(t, a_file_opened_for_reading_may_be_locked_exclusively);
    tcase_add_test(t, getlock_names_who_is_in_the_way);
    tcase_add_test(t, wrong_locks_are_refused);
    tcase_add_test(t, locks_have_a_bound);
    tcase_add_test(t, at_rest_the_host_has_none);
    tcase_add_loop_test(t, the_host_sees_the_sum, 0, 20);
    tcase_add_test(ro, what_is_read_only_is_kept_from_writers);
    suite_add_tcase(s, t);
    suite_add_tcase(s, ro);
    return s;
}

int main(void)
{
    return sf_suite_run(suite());
}
