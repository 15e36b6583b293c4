/* Saves and restores: what travels, what cannot, and what nobody should believe. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan9/fixture.h"

static void read_text(const char *path, char text[64])
{
    FILE *in = fopen(at(path), "r");

    ck_assert_ptr_nonnull(in);
    text[fread(text, 1, 63, in)] = '\0';
    fclose(in);
}

/* Somebody else on this host wants to write to the file. */
static bool lock_is_free(const char *path)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(at(path), O_RDWR | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    bool is_free = fcntl(fd, F_OFD_SETLK, &lock) == 0;
    close(fd);
    return is_free;
}

/* ---- There and back ---- */

START_TEST(nothing_travels_too)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = saved(), second = {0};
    struct sf_sandbox *source = to_another();

    ck_assert(import(&first));
    no_reasons(admit);
    ck_assert(CLS->prepare(&p->base, &err));
    ck_assert_uint_eq(fake_trace_count("line listen"), 0);
    second = saved();
    same(&first, &second);
    back_to(source);
}
END_TEST

/* Upstream's bug 13: one share, or one reservation, and nothing can be saved. */
START_TEST(bug_13_open_files_travel_with_their_locks_in_the_midst_of_a_message)
{
    const struct message write = message(TWRITE, "dqdr", 1, UINT64_C(5), 3, "+++");
    const char *id = add("a", false);
    char text[64];

    open_file(0, "one", O_RDWR);
    lock_file(0, 3, 0);
    fake_line_say(sandbox, 0, write.data, 9, false);
    no_reasons(check);
    ck_assert(CLS->quiesce(&p->base, &err));

    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = saved(), second = {0};
    struct sf_sandbox *source = to_another();
    ck_assert_msg(import(&first), "%s", SF_WHY(err));
    no_reasons(admit);
    ck_assert_msg(CLS->prepare(&p->base, &err), "%s", SF_WHY(err));
    ck_assert(!lock_is_free("a/one"));
    ck_assert_str_eq(plan9_find(p, id)->guest_path, "/run/sandferry/mounts/plan9/0");
    second = saved();
    same(&first, &second);
    serve_wake(p); /* a save's thaw */

    ck_assert_int_eq(talk_part(0, &write, 9), TWRITE + 1); /* the rest of the message */
    read_text("a/one", text);
    ck_assert_str_eq(text, "a/one+++");
    ck_assert_uint_eq(fake_trace_count("guest mount_share"), 1); /* the source's, and no more */
    books_are_right();
    release(id);
    books_are_empty();
    ck_assert(lock_is_free("a/one"));
    back_to(source);
}
END_TEST

START_TEST(the_next_share_has_the_next_name_there_too)
{
    struct sf_share_request q = a_share("b");

    add("a", false);
    release(add("c", false));
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();
    ck_assert(import(&section));
    ck_assert(CLS->prepare(&p->base, &err));
    ck_assert_str_eq(map(reserve(&q)), "/run/sandferry/mounts/plan9/2");
    q = a_share("a");
    ck_assert_str_eq(map(reserve(&q)), "/run/sandferry/mounts/plan9/0");
    books_are_right();
    back_to(source);
}
END_TEST

START_TEST(what_is_only_reserved_travels_and_is_mapped_there)
{
    struct sf_share_request q = a_share("a/one");
    const char *file = reserve(&q), *again = reserve(&q);

    no_reasons(check);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();
    ck_assert(import(&section));
    no_reasons(admit);
    ck_assert(CLS->prepare(&p->base, &err));
    ck_assert_uint_eq(fake_trace_count("guest"), 0);
    ck_assert_str_eq(map(file),
                     "/run/sandferry/mounts/plan9/0/one"); /* the file, not its directory */
    release(file);
    ck_assert_str_eq(map(again), "/run/sandferry/mounts/plan9/0/one");
    back_to(source);
}
END_TEST

START_TEST(more_than_ten_shares_are_sorted_as_texts)
{
    char name[8];
    const char *names[] = {name};
    struct sf_share_request q = a_share("a");

    q.restricted = true;
    q.allowed_names = names;
    q.n_allowed_names = 1;
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        map(reserve(&q));
    }
    ck_assert_str_eq(p->shares[2]->name, "10");
    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = saved(), second = {0};
    struct sf_sandbox *source = to_another();
    ck_assert(import(&first));
    second = saved();
    same(&first, &second);
    back_to(source);
}
END_TEST

/* ---- The source ---- */

START_TEST(a_source_that_rests_gives_its_locks_up_and_takes_them_again)
{
    add("a", false);
    open_file(0, "one", O_RDWR);
    lock_file(0, 0, 0);
    ck_assert(!lock_is_free("a/one"));
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    ck_assert(lock_is_free("a/one"));
    CLS->thaw(&p->base);
    ck_assert(!lock_is_free("a/one"));
    CLS->thaw(&p->base);
    ck_assert(!lock_is_free("a/one"));
}
END_TEST

START_TEST(a_share_whose_locks_are_lost_comes_to_its_end)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    add("a", false);
    open_file(0, "one", O_RDWR);
    lock_file(0, 0, 0);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    int fd = open(at("a/one"), O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    CLS->thaw(&p->base);
    ck_assert_uint_eq(fake_trace_count("line send 0 closed"), 1);
    ck_assert_ptr_null(p->shares[0]->server);
    close(fd);
    books_are_right();
    one_reason(check, ": ", "share '0'", "release what holds it");
}
END_TEST

START_TEST(a_source_that_is_discarded_lets_go_of_its_files)
{
    add("a", false);
    open_file(0, "one", O_RDWR);
    lock_file(0, 0, 0);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    CLS->discard(&p->base);
    ck_assert_ptr_null(p->shares[0]->server);
    ck_assert_ptr_null(sandbox->listener_fn);
    ck_assert(lock_is_free("a/one"));
    ck_assert_uint_eq(fake_trace_count("closed"), 0); /* the guest goes on elsewhere */
}
END_TEST

START_TEST(a_guest_is_told_that_its_sandbox_ends)
{
    add("a", false);
    add("b", true);
    open_file(0, "one", O_RDWR);
    CLS->destroy(&p->base);
    ck_assert_uint_eq(fake_trace_count("line send 0 closed"), 1);
    ck_assert_uint_eq(fake_trace_count("line send 1 closed"), 1);
    CLS->destroy(&p->base);
    ck_assert_uint_eq(fake_trace_count("closed"), 2);
    books_are_empty();
}
END_TEST

START_TEST(a_guest_that_was_saved_is_told_nothing)
{
    add("a", false);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();
    ck_assert(import(&section));
    ck_assert(CLS->prepare(&p->base, &err));
    CLS->abandon(&p->base);
    back_to(source);
    CLS->destroy(&p->base);
    ck_assert_uint_eq(fake_trace_count("closed"), 0);
}
END_TEST

START_TEST(what_is_half_done_is_a_reason)
{
    struct sf_share_request q = a_share("a");
    const char *id = reserve(&q), *path;

    fake_fail(3, FAKE_SILENT); /* the mount */
    ck_assert(!plan9_map(p, id, &path, &err));
    sf_error_free(err);
    err = NULL;
    one_reason(check, ": ", "share '0'", "half done");
    release(id);
    no_reasons(check);
}
END_TEST

START_TEST(another_directory_at_the_path_is_a_reason)
{
    add("a", false);
    no_reasons(check);
    ck_assert_int_eq(rename(at("a"), at("away")), 0);
    one_reason(check, ": ", "share '0'", "a");
    ck_assert_int_eq(mkdir(at("a"), 0755), 0);
    one_reason(check, ": ", "share '0'", "put that one back");
    ck_assert_int_eq(rmdir(at("a")), 0);
    ck_assert_int_eq(rename(at("away"), at("a")), 0);
    no_reasons(check);
}
END_TEST

START_TEST(an_open_file_without_a_name_is_a_reason)
{
    const struct message walk = message(TWALK, "ddws", 0, 2, 1, "one");

    add("a", false);
    open_file(0, "one", O_RDWR);
    ck_assert_int_eq(talk(0, &walk), TWALK + 1); /* as a kernel does, for the name */
    ck_assert_int_eq(unlink(at("a/one")), 0);
    one_reason(check, ": ", "share '0'", "one");
    ck_assert(!CLS->quiesce(&p->base, &err)); /* where it happens after the check */
    expect(SF_FAILED_PRECONDITION, "share '0'");
    struct sf_bytes section = {0};
    ck_assert(!CLS->save(&p->base, &section, &err));
    expect(SF_FAILED_PRECONDITION, "share '0'");
    ck_assert_int_eq(plan9_to_section(p, OPEN_AS_FAR_AS, &section, &err), true); /* for a list */
    sf_bytes_done(&section);
    const struct message clunk = message(TCLUNK, "d", 1), again = message(TCLUNK, "d", 2);
    ck_assert_int_eq(talk(0, &clunk), TCLUNK + 1);
    no_reasons(check); /* it may be about to be let go */
    ck_assert(!CLS->quiesce(&p->base, &err));
    expect(SF_FAILED_PRECONDITION, "in use");
    ck_assert_int_eq(talk(0, &again), TCLUNK + 1);
    no_reasons(check);
}
END_TEST

START_TEST(more_than_a_snapshot_takes_is_a_reason)
{
    char texts[PLAN9_NAMES_MAX][8];
    const char *names[PLAN9_NAMES_MAX];
    struct sf_share_request q = a_share("a");

    for (unsigned i = 0; i < PLAN9_NAMES_MAX; i++)
        names[i] = texts[i];
    q.restricted = true;
    q.allowed_names = names;
    q.n_allowed_names = PLAN9_NAMES_MAX;
    for (unsigned k = 0; k < 130; k++) { /* 33,280 names */
        for (unsigned i = 0; i < PLAN9_NAMES_MAX; i++)
            snprintf(texts[i], sizeof(texts[i]), "%u-%u", k, i);
        reserve(&q);
    }
    one_reason(check, ": ", "more than a snapshot takes", "remove some");
    release(p->reservations[0]->id);
    release(p->reservations[0]->id);
    release(p->reservations[0]->id);
    release(p->reservations[0]->id);
    no_reasons(check);
}
END_TEST

START_TEST(a_path_that_fails_for_once_is_a_reason_for_once)
{
    add("a", false);
    fake_fail(1, FAKE_REFUSED);
    one_reason(check, ": ", "share '0'", "a failure");
    no_reasons(check);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();
    ck_assert(import(&section));
    fake_fail(1, FAKE_REFUSED);
    one_reason(admit, "plan9.shares[0].host_path: ", "share '0'", "a failure");
    no_reasons(admit);
    back_to(source);
}
END_TEST

/* ---- The line ---- */

START_TEST(a_share_that_is_not_there_answers_nothing)
{
    const struct message version = message(TVERSION, "ds", PLAN9_MSIZE, "9P2000.L");
    char none[8];

    add("a", false);
    fake_line_say(sandbox, 7, version.data, version.size, false);
    ck_assert_uint_eq(fake_line_take(7, none, sizeof(none)), 0);
    fake_line_say(sandbox, UINT64_MAX, NULL, 0, true);
}
END_TEST

START_TEST(what_makes_no_sense_ends_the_share_and_no_other)
{
    const struct message version = message(TVERSION, "ds", PLAN9_MSIZE, "9P2000.L");

    add("a", false);
    add("b", false);
    fake_line_say(sandbox, 0, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, false);
    ck_assert_ptr_null(p->shares[0]->server);
    ck_assert_uint_eq(fake_trace_count("line send 0 closed"), 1);
    fake_line_say(sandbox, 0, version.data, version.size, false);
    ck_assert_uint_eq(fake_trace_count("line send 0\n"), 0);
    ck_assert_int_eq(talk(1, &version), TVERSION + 1);
    books_are_right();
}
END_TEST

START_TEST(a_guest_that_takes_no_answers_loses_its_share)
{
    const struct message version = message(TVERSION, "ds", PLAN9_MSIZE, "9P2000.L");

    add("a", false);
    for (unsigned i = 0; p->shares[0]->server != NULL; i++) {
        ck_assert_uint_lt(i, 1000);
        fake_line_say(sandbox, 0, version.data, version.size, false);
    }
    one_reason(check, ": ", "share '0'", "release what holds it");
    release(p->reservations[0]->id);
    no_reasons(check);
}
END_TEST

START_TEST(a_guest_that_hangs_up_has_its_files_closed)
{
    const char *id = add("a", false);

    open_file(0, "one", O_RDWR);
    lock_file(0, 0, 0);
    fake_line_say(sandbox, 0, NULL, 0, true);
    ck_assert(lock_is_free("a/one"));
    ck_assert_uint_eq(fake_trace_count("closed"), 0); /* it knows */
    one_reason(check, ": ", "share '0'", "invalid");
    ck_assert(!CLS->save(&p->base, &(struct sf_bytes){0}, &err)); /* had it been after the check */
    expect(SF_FAILED_PRECONDITION, "served no more");
    ck_assert(!plan9_map(p, id, &(const char *){NULL}, &err));
    expect(SF_FAILED_PRECONDITION, "served no more");
    const char *another = add("a", false); /* who comes now gets one that is good */
    ck_assert_ptr_ne(plan9_find(p, id)->share, plan9_find(p, another)->share);
    books_are_right();
    release(id);
    no_reasons(check);
    release(another);
    books_are_empty();
}
END_TEST

START_TEST(a_read_only_share_is_read)
{
    const struct message unlinked = message(TUNLINKAT, "dsd", 0, "one", 0);

    add("a", true);
    open_file(0, "one", O_RDONLY);
    ck_assert_int_eq(talk(0, &unlinked), -EROFS);
}
END_TEST

START_TEST(a_single_file_is_alone_in_its_share)
{
    const struct message walk = message(TWALK, "ddws", 0, 2, 1, "two");

    add("a/one", false);
    open_file(0, "one", O_RDWR);
    ck_assert_int_eq(talk(0, &walk), -ENOENT);
}
END_TEST

/* ---- The destination ---- */

START_TEST(a_path_that_is_not_here_is_one_reason_and_a_patch_helps)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);

    no_reasons(admit);
    ck_assert_int_eq(rename(at("a"), at("new")), 0);
    one_reason(admit, "plan9.shares[0].host_path: ", "share '0'", at("a"));
    ck_assert(CLS->patch(&p->base, at("a"), at("new"), &err));
    no_reasons(admit);
    ck_assert(CLS->patch(&p->base, "0", "/etc", &err));
    one_reason(admit, "plan9.shares[0].host_path: ", "share '0'", "beneath no root");
    ck_assert(CLS->patch(&p->base, "0", at("file"), &err));
    one_reason(admit, "plan9.shares[0].host_path: ", "share '0'", "not a directory");
    back_to(source);
}
END_TEST

START_TEST(a_file_that_is_not_here_is_one_reason)
{
    const struct message walk = message(TWALK, "ddws", 0, 2, 1, "one");

    add("a", false);
    open_file(0, "one", O_RDWR);
    ck_assert_int_eq(talk(0, &walk), TWALK + 1);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();
    ck_assert(import(&section));
    ck_assert_int_eq(unlink(at("a/one")), 0);
    one_reason(admit, "plan9.shares[0].host_path: ", "share '0'", "one");
    ck_assert(!CLS->prepare(&p->base, &err));
    expect(SF_FAILED_PRECONDITION, "share '0'");
    CLS->abandon(&p->base);
    books_are_empty();
    back_to(source);
}
END_TEST

START_TEST(every_reason_is_given)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);

    ck_assert(CLS->patch(&p->base, "0", at("nothing"), &err));
    ck_assert(CLS->patch(&p->base, "1", "/etc", &err));
    SF_CLEANUP(sf_freep) char *reasons = admit();
    ck_assert_ptr_nonnull(strstr(reasons, "plan9.shares[0].host_path: share '0'"));
    ck_assert_ptr_nonnull(strstr(reasons, "plan9.shares[1].host_path: share '1'"));
    back_to(source);
}
END_TEST

START_TEST(a_prepare_that_fails_anywhere_is_abandoned_and_done_again)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);

    for (unsigned nth = 1;; nth++) {
        fake_fail(nth, FAKE_REFUSED);
        bool ok = CLS->prepare(&p->base, &err);
        if (!fake_failed()) {
            ck_assert_msg(ok && nth > 3, "%s", SF_WHY(err)); /* two paths, the line */
            break;
        }
        ck_assert(!ok);
        expect(SF_FAILED_PRECONDITION, "a failure");
        CLS->abandon(&p->base);
        books_are_empty();
        ck_assert_ptr_null(sandbox->listener_fn);
        ck_assert_uint_eq(fake_trace_count("closed"), 0);
        ck_assert_msg(import(&section), "%s", SF_WHY(err));
    }
    books_are_right();
    const struct message read = message(TREAD, "dqd", 1, UINT64_C(0), 5);
    ck_assert_int_eq(talk(0, &read), TREAD + 1);
    ck_assert(memcmp(answer_bytes() + 4, "a/one", 5) == 0);
    back_to(source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan9_travel");
    TCase *cases = tcase_create("travel");
    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_test(cases, nothing_travels_too);
    tcase_add_test(cases, bug_13_open_files_travel_with_their_locks_in_the_midst_of_a_message);
    tcase_add_test(cases, the_next_share_has_the_next_name_there_too);
    tcase_add_test(cases, what_is_only_reserved_travels_and_is_mapped_there);
    tcase_add_test(cases, more_than_ten_shares_are_sorted_as_texts);
    tcase_add_test(cases, a_source_that_rests_gives_its_locks_up_and_takes_them_again);
    tcase_add_test(cases, a_share_whose_locks_are_lost_comes_to_its_end);
    tcase_add_test(cases, a_source_that_is_discarded_lets_go_of_its_files);
    tcase_add_test(cases, a_guest_is_told_that_its_sandbox_ends);
    tcase_add_test(cases, a_guest_that_was_saved_is_told_nothing);
    tcase_add_test(cases, what_is_half_done_is_a_reason);
    tcase_add_test(cases, another_directory_at_the_path_is_a_reason);
    tcase_add_test(cases, an_open_file_without_a_name_is_a_reason);
    tcase_add_test(cases, a_share_that_is_not_there_answers_nothing);
    tcase_add_test(cases, what_makes_no_sense_ends_the_share_and_no_other);
    tcase_add_test(cases, more_than_a_snapshot_takes_is_a_reason);
    tcase_add_test(cases, a_path_that_fails_for_once_is_a_reason_for_once);
    tcase_add_test(cases, a_guest_that_takes_no_answers_loses_its_share);
    tcase_add_test(cases, a_guest_that_hangs_up_has_its_files_closed);
    tcase_add_test(cases, a_read_only_share_is_read);
    tcase_add_test(cases, a_single_file_is_alone_in_its_share);
    tcase_add_test(cases, a_path_that_is_not_here_is_one_reason_and_a_patch_helps);
    tcase_add_test(cases, a_file_that_is_not_here_is_one_reason);
    tcase_add_test(cases, every_reason_is_given);
    tcase_add_test(cases, a_prepare_that_fails_anywhere_is_abandoned_and_done_again);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
