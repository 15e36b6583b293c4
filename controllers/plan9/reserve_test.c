/* Reservations, maps and releases, and every step of them made to fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan9/fixture.h"
#include "sandferry/v1/agent.pb-c.h"
#include "sandferry/v1/share.pb-c.h"

static const struct share *share_of(const char *id)
{
    const struct reservation *r = plan9_find(p, id);

    ck_assert_ptr_nonnull(r);
    return r->share;
}

/* ---- Reserve ---- */

START_TEST(a_new_share_has_a_name_and_a_place)
{
    struct sf_share_request q = a_share("a");
    const char *id = reserve(&q);

    ck_assert(sf_guid_valid(id));
    ck_assert_str_eq(share_of(id)->name, "0");
    ck_assert_uint_eq(share_of(id)->state, SHARE_RESERVED);
    ck_assert_uint_eq(share_of(id)->mount, MOUNT_RESERVED);
    ck_assert_uint_eq(fake_trace_count("guest"), 0); /* nothing has happened to the VM yet */
    ck_assert_uint_eq(fake_trace_count("line"), 0);
    books_are_right();
}
END_TEST

START_TEST(the_same_directory_is_the_same_share)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q);
    q = a_share("a//./"); /* said in another way */
    const char *two = reserve(&q);

    ck_assert_str_ne(one, two);
    ck_assert_ptr_eq(share_of(one), share_of(two));
    ck_assert_uint_eq(share_of(one)->refs, 2);
    ck_assert_uint_eq(p->n_shares, 1);
    books_are_right();
}
END_TEST

START_TEST(names_count_up)
{
    static const char *const paths[] = {"a", "b", "c"};
    char name[8];

    for (unsigned i = 0; i < 3; i++) {
        struct sf_share_request q = a_share(paths[i]);
        snprintf(name, sizeof(name), "%u", i);
        ck_assert_str_eq(share_of(reserve(&q))->name, name);
    }
    books_are_right();
}
END_TEST

START_TEST(another_way_of_sharing_is_another_share)
{
    static const char *const names[] = {"one"};
    struct sf_share_request q = a_share("a");

    reserve(&q);
    q.read_only = true;
    reserve(&q);
    q.restricted = true;
    q.allowed_names = names;
    q.n_allowed_names = 1;
    reserve(&q);
    ck_assert_uint_eq(p->n_shares, 3);
    books_are_right();
}
END_TEST

/* clang-format off */
static const struct {
    const char *path;
    bool restricted;
    const char *name;
    enum sf_code code;
    const char *text, *field;
} wrong[] = {
    { "a/b/../c", false, NULL,   SF_INVALID_ARGUMENT,  "without '..'",       "host_path"     },
    { "nothing",  false, NULL,   SF_NOT_FOUND,         "nothing",            NULL            },
    { "fifo",     false, NULL,   SF_INVALID_ARGUMENT,  "neither",            "host_path"     },
    { "link",     false, NULL,   SF_INVALID_ARGUMENT,  "is a link",          "host_path"     },
    { "a",        false, "one",  SF_INVALID_ARGUMENT,  "is not restricted",  "restricted"    },
    { "a",        true,  NULL,   SF_INVALID_ARGUMENT,  "no name",            "allowed_names" },
    { "a",        true,  "x/y",  SF_INVALID_ARGUMENT,  "no name of a file",  "allowed_names" },
    { "a",        true,  "\xff", SF_INVALID_ARGUMENT,  "no name of a file",  "allowed_names" },
    { "\xff",     false, NULL,   SF_INVALID_ARGUMENT,  "UTF-8",              "host_path"     },
    { "file",     true,  "file", SF_INVALID_ARGUMENT,  "is a file",          "restricted"    },
};
/* clang-format on */

START_TEST(what_cannot_be_is_refused_and_leaves_nothing)
{
    struct sf_share_request q = a_share(wrong[_i].path);
    char id[SF_GUID_SIZE] = "";

    q.restricted = wrong[_i].restricted;
    q.allowed_names = &wrong[_i].name;
    q.n_allowed_names = wrong[_i].name != NULL;
    ck_assert(!plan9_reserve(p, &q, id, &err));
    if (wrong[_i].field != NULL)
        ck_assert_str_eq(sf_error_detail(err, 0)->subject, wrong[_i].field);
    expect(wrong[_i].code, wrong[_i].text);
    books_are_empty();
    ck_assert_uint_eq(p->next_name, 0);
}
END_TEST

START_TEST(a_path_must_be_beneath_a_root)
{
    const struct sf_share_request etc = {.host_path = "/etc"}, relative = {.host_path = "etc"};
    char id[SF_GUID_SIZE];

    ck_assert(!plan9_reserve(p, &etc, id, &err));
    expect(SF_PERMISSION_DENIED, "'/etc'");
    ck_assert(!plan9_reserve(p, &relative, id, &err));
    expect(SF_INVALID_ARGUMENT, "absolute");
    books_are_empty();
}
END_TEST

START_TEST(the_policy_refuses_what_the_guest_could_write_to)
{
    struct sf_share_request q = a_share("a");
    char id[SF_GUID_SIZE];

    fake_machine_forbids_writable_shares(true);
    ck_assert(!plan9_reserve(p, &q, id, &err));
    expect(SF_PERMISSION_DENIED, "no_writable_file_shares");
    ck_assert_uint_eq(fake_steps(), 0); /* before anything is touched */
    q.read_only = true;
    reserve(&q);
    books_are_right();
}
END_TEST

START_TEST(the_most_shares_there_can_be)
{
    struct sf_share_request q = a_share("a");
    char name[16], id[SF_GUID_SIZE];
    const char *names[] = {name};

    q.restricted = true;
    q.allowed_names = names;
    q.n_allowed_names = 1;
    for (unsigned i = 0; i < PLAN9_SHARES_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        reserve(&q);
    }
    books_are_right();
    snprintf(name, sizeof(name), "more");
    ck_assert(!plan9_reserve(p, &q, id, &err));
    expect(SF_RESOURCE_EXHAUSTED, "remove one first");
    ck_assert_uint_eq(p->next_name, PLAN9_SHARES_MAX);
    snprintf(name, sizeof(name), "n7");
    reserve(&q); /* one that is there has room for one more holder */
    books_are_right();
}
END_TEST

START_TEST(the_most_reservations_there_can_be)
{
    struct sf_share_request a = a_share("a"), b = a_share("b");
    char id[SF_GUID_SIZE];

    for (unsigned i = 0; i < PLAN9_RESERVATIONS_MAX; i++)
        reserve(&a);
    ck_assert(!plan9_reserve(p, &a, id, &err));
    expect(SF_RESOURCE_EXHAUSTED, "reservations");
    ck_assert(!plan9_reserve(p, &b, id, &err));
    expect(SF_RESOURCE_EXHAUSTED, "reservations");
    ck_assert_uint_eq(p->n_shares, 1); /* nothing is left of the other */
    ck_assert_uint_eq(p->next_name, 1);
    books_are_right();
}
END_TEST

START_TEST(the_most_names_there_can_be)
{
    char texts[PLAN9_NAMES_MAX + 1][8], id[SF_GUID_SIZE];
    const char *names[PLAN9_NAMES_MAX + 1];
    struct sf_share_request q = a_share("a");

    for (unsigned i = 0; i <= PLAN9_NAMES_MAX; i++) {
        snprintf(texts[i], sizeof(texts[i]), "n%u", i);
        names[i] = texts[i];
    }
    q.restricted = true;
    q.allowed_names = names;
    q.n_allowed_names = PLAN9_NAMES_MAX + 1;
    ck_assert(!plan9_reserve(p, &q, id, &err));
    expect(SF_INVALID_ARGUMENT, "names");
    q.n_allowed_names = PLAN9_NAMES_MAX;
    map(reserve(&q));
    books_are_right();
}
END_TEST

/* ---- Map ---- */

START_TEST(a_share_is_served_and_mounted)
{
    struct sf_share_request q = a_share("a");

    q.read_only = true;
    const char *id = reserve(&q);
    ck_assert_str_eq(map(id), "/run/sandferry/mounts/plan9/0");
    ck_assert_uint_eq(share_of(id)->state, SHARE_ADDED);
    ck_assert_uint_eq(share_of(id)->mount, MOUNT_MOUNTED);
    const Sandferry__V1__AgentRequest *asked = fake_guest_last();
    ck_assert_int_eq(asked->body_case, SANDFERRY__V1__AGENT_REQUEST__BODY_MOUNT_SHARE);
    ck_assert_uint_eq(asked->mount_share->share, 0);
    ck_assert_str_eq(asked->mount_share->guest_path, "/run/sandferry/mounts/plan9/0");
    ck_assert(asked->mount_share->read_only);
    ck_assert_uint_eq(asked->mount_share->msize, PLAN9_MSIZE);
    books_are_right();
}
END_TEST

START_TEST(a_share_is_mounted_once)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q), *two = reserve(&q);

    ck_assert_str_eq(map(one), map(two));
    map(one); /* a repeat */
    ck_assert_uint_eq(fake_trace_count("guest mount_share"), 1);
    ck_assert_uint_eq(fake_trace_count("line listen"), 1);
    books_are_right();
}
END_TEST

START_TEST(who_is_not_there_is_named)
{
    const char *path, *id = "0d000000-0000-4000-8000-000000000001";

    ck_assert(!plan9_map(p, id, &path, &err));
    expect(SF_NOT_FOUND, id);
    ck_assert(!plan9_release(p, id, &err));
    expect(SF_NOT_FOUND, id);
}
END_TEST

START_TEST(a_directory_that_is_gone_is_not_served_and_its_holders_let_go)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q), *two = reserve(&q), *path;

    ck_assert_int_eq(rename(at("a"), at("away")), 0);
    ck_assert(!plan9_map(p, one, &path, &err));
    expect(SF_NOT_FOUND, "share '0'");
    ck_assert_uint_eq(share_of(one)->state, SHARE_INVALID);
    ck_assert(!plan9_map(p, two, &path, &err));
    expect(SF_FAILED_PRECONDITION, "could not be served");
    ck_assert_int_eq(rename(at("away"), at("a")), 0);
    const char *three = reserve(&q); /* a share of its own, which is good */
    map(three);
    books_are_right();
    release(one);
    release(two);
    ck_assert_uint_eq(fake_trace_count("guest unmount_share"), 0);
    ck_assert_uint_eq(p->n_shares, 1);
    release(three);
    books_are_empty();
}
END_TEST

START_TEST(a_mount_that_failed_is_not_tried_again_but_undone)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q), *two = reserve(&q), *path;

    fake_fail(3, FAKE_REFUSED); /* open, listen, mount */
    ck_assert(!plan9_map(p, one, &path, &err));
    expect(SF_FAILED_PRECONDITION, "share '0'");
    ck_assert(!plan9_map(p, one, &path, &err));
    expect(SF_FAILED_PRECONDITION, "release it");
    ck_assert(!plan9_map(p, two, &path, &err));
    expect(SF_FAILED_PRECONDITION, "release it");
    books_are_right();
    release(two);
    ck_assert_uint_eq(fake_trace_count("guest unmount_share"), 0);
    release(one); /* the guest may have mounted it all the same */
    ck_assert_uint_eq(fake_trace_count("guest unmount_share"), 1);
    books_are_empty();
}
END_TEST

/* ---- Release ---- */

START_TEST(the_last_release_unmounts)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q), *two = reserve(&q);

    map(one);
    map(two);
    release(one);
    ck_assert_uint_eq(fake_trace_count("guest unmount_share"), 0);
    ck_assert_uint_eq(share_of(two)->refs, 1);
    release(two);
    ck_assert_uint_eq(fake_trace_count("guest unmount_share"), 1);
    const Sandferry__V1__AgentRequest *asked = fake_guest_last();
    ck_assert_uint_eq(asked->unmount_share->share, 0);
    ck_assert_str_eq(asked->unmount_share->guest_path, "/run/sandferry/mounts/plan9/0");
    books_are_empty();
    ck_assert(!plan9_release(p, two, &err));
    expect(SF_NOT_FOUND, two);
}
END_TEST

START_TEST(what_was_released_can_be_had_again_under_a_new_name)
{
    struct sf_share_request q = a_share("a");

    for (unsigned i = 0; i < 12; i++) {
        char want[64];
        const char *id = reserve(&q);
        snprintf(want, sizeof(want), "/run/sandferry/mounts/plan9/%u", i);
        ck_assert_str_eq(map(id), want);
        release(id);
        books_are_empty();
    }
}
END_TEST

START_TEST(an_unmount_that_the_guest_refuses_changes_nothing)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q);

    map(one);
    fake_fail(1, FAKE_REFUSED);
    ck_assert(!plan9_release(p, one, &err));
    expect(SF_FAILED_PRECONDITION, one);
    ck_assert_uint_eq(share_of(one)->mount, MOUNT_MOUNTED);
    const char *two = reserve(&q); /* it is mounted, and may be shared */
    ck_assert_ptr_eq(share_of(one), share_of(two));
    map(two);
    release(one);
    books_are_right();
    release(two);
    books_are_empty();
}
END_TEST

/* Upstream's bug 5: a release that is repeated took the ref of somebody who came in between. */
START_TEST(bug_5_a_repeated_release_takes_nothing_from_others)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q);

    map(one);
    fake_fail(1, FAKE_SILENT);
    ck_assert(!plan9_release(p, one, &err));
    expect(SF_UNAVAILABLE, one);
    const char *two = reserve(&q); /* nobody knows whether that is mounted: so this is another */
    ck_assert_ptr_ne(share_of(one), share_of(two));
    ck_assert_str_eq(map(two), "/run/sandferry/mounts/plan9/1");
    release(one);
    ck_assert_uint_eq(share_of(two)->refs, 1);
    ck_assert_uint_eq(share_of(two)->mount, MOUNT_MOUNTED);
    books_are_right();
}
END_TEST

/* ---- The bugs of HCSSHIM.md 5.2 ---- */

START_TEST(bug_16_what_was_never_mapped_is_let_go_of_by_each_holder)
{
    struct sf_share_request q = a_share("a");
    const char *one = reserve(&q), *two = reserve(&q);

    release(one);
    ck_assert_uint_eq(share_of(two)->state, SHARE_RESERVED);
    books_are_right();
    release(two);
    books_are_empty();
    ck_assert_uint_eq(fake_trace_count("guest"), 0);
}
END_TEST

START_TEST(bug_17_two_files_of_one_directory)
{
    struct sf_share_request q = a_share("a/one");
    const char *one = reserve(&q);
    q = a_share("a/two");
    const char *two = reserve(&q);

    ck_assert_str_eq(map(one), "/run/sandferry/mounts/plan9/0/one");
    ck_assert_str_eq(map(two), "/run/sandferry/mounts/plan9/1/two");
    ck_assert_str_eq(share_of(one)->config.path, at("a"));
    ck_assert(share_of(one)->config.restricted);
    ck_assert_uint_eq(share_of(one)->config.n_names, 1);
    q = a_share("a/one");
    const char *again = reserve(&q);
    ck_assert_ptr_eq(share_of(one), share_of(again));
    ck_assert_str_eq(map(again), "/run/sandferry/mounts/plan9/0/one");
    books_are_right();
    release(one);
    release(two);
    release(again);
    books_are_empty();
}
END_TEST

START_TEST(a_file_and_its_directory_restricted_to_it_are_one_share_at_two_paths)
{
    static const char *const names[] = {"one"};
    struct sf_share_request q = a_share("a/one");
    const char *file = reserve(&q);

    q = a_share("a");
    q.restricted = true;
    q.allowed_names = names;
    q.n_allowed_names = 1;
    const char *directory = reserve(&q);
    ck_assert_ptr_eq(share_of(file), share_of(directory));
    ck_assert_str_eq(map(file), "/run/sandferry/mounts/plan9/0/one");
    ck_assert_str_eq(map(directory), "/run/sandferry/mounts/plan9/0");
    books_are_right();
}
END_TEST

START_TEST(bug_18_a_reserve_that_fails_uses_up_no_name)
{
    struct sf_share_request good = a_share("a"), bad = a_share("nothing");
    char id[SF_GUID_SIZE];

    ck_assert(!plan9_reserve(p, &bad, id, &err));
    expect(SF_NOT_FOUND, "nothing");
    fake_fail(1, FAKE_REFUSED);
    ck_assert(!plan9_reserve(p, &good, id, &err));
    expect(SF_FAILED_PRECONDITION, "");
    ck_assert_uint_eq(p->next_name, 0);
    const char *first = reserve(&good);
    ck_assert_str_eq(share_of(first)->name, "0");
    release(first);
    ck_assert_uint_eq(p->next_name, 1); /* used once, never again */
    ck_assert_str_eq(share_of(reserve(&good))->name, "1");
}
END_TEST

/* ---- The offer ---- */

START_TEST(a_holder_is_named_and_forgotten)
{
    const struct sf_shares_offer *offer = p->base.cls->offers[0].ops;
    struct sf_share_request q = a_share("a");
    char id[SF_GUID_SIZE];

    ck_assert_str_eq(p->base.cls->offers[0].name, SF_SHARES_OFFER);
    ck_assert(offer->reserve(&p->base, &q, id, &err));
    ck_assert(offer->hold(&p->base, id, "container 'c1'", &err));
    ck_assert_str_eq(plan9_find(p, id)->holder, "container 'c1'");
    ck_assert(offer->hold(&p->base, id, NULL, &err));
    ck_assert_str_eq(plan9_find(p, id)->holder, "");
    const char *path;
    ck_assert(offer->map(&p->base, id, &path, &err));
    ck_assert_str_eq(path, "/run/sandferry/mounts/plan9/0");
    ck_assert(offer->release(&p->base, id, &err));
    ck_assert(!offer->hold(&p->base, id, "container 'c1'", &err));
    expect(SF_NOT_FOUND, id);
}
END_TEST

/* ---- The service ---- */

static bool run(const char *name, const void *request, void *reply)
{
    for (const struct sf_method *m = plan9_services[0].methods; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0)
            return m->run(&p->base, NULL, request, reply, &err);
    ck_abort_msg("there is no method '%s'", name);
}

typedef Sandferry__V1__AddShareResponse added_t;

static void added_free(added_t *added)
{
    sandferry__v1__add_share_response__free_unpacked(added, NULL);
}
SF_DEFINE_CLEANUP(added_t, added_free)

/* Adds a share of "a"; false as the call. */
static bool call_add(added_t **ret)
{
    Sandferry__V1__AddShareRequest request = SANDFERRY__V1__ADD_SHARE_REQUEST__INIT;

    request.host_path = (char *)(uintptr_t)at("a");
    *ret = calloc(1, sizeof(**ret));
    sandferry__v1__add_share_response__init(*ret);
    return run("AddShare", &request, *ret);
}

static bool remove_one(const char *id)
{
    Sandferry__V1__RemoveShareRequest request = SANDFERRY__V1__REMOVE_SHARE_REQUEST__INIT;
    Sandferry__V1__RemoveShareResponse reply = SANDFERRY__V1__REMOVE_SHARE_RESPONSE__INIT;

    request.reservation_id = (char *)(uintptr_t)id;
    return run("RemoveShare", &request, &reply);
}

START_TEST(a_share_is_added_listed_and_removed)
{
    SF_CLEANUP(added_freep) added_t *added = NULL;
    Sandferry__V1__ListSharesRequest request = SANDFERRY__V1__LIST_SHARES_REQUEST__INIT;
    Sandferry__V1__ListSharesResponse *list = calloc(1, sizeof(*list));

    ck_assert_msg(call_add(&added), "%s", SF_WHY(err));
    ck_assert_str_eq(added->guest_path, "/run/sandferry/mounts/plan9/0");
    ck_assert_str_eq(added->share->host_path, at("a"));
    ck_assert_str_eq(added->share->mount->guest_path, added->guest_path);
    sandferry__v1__list_shares_response__init(list);
    ck_assert(run("ListShares", &request, list));
    ck_assert_uint_eq(list->n_shares, 1);
    ck_assert_uint_eq(list->n_reservations, 1);
    ck_assert_uint_eq(list->n_holders, 1);
    ck_assert_str_eq(list->reservations[0]->id, added->reservation_id);
    ck_assert_str_eq(list->holders[0], "");
    ck_assert_uint_eq(list->shares[0]->mount->refs, 1);
    sandferry__v1__list_shares_response__free_unpacked(list, NULL);
    ck_assert(remove_one(added->reservation_id));
    ck_assert_uint_eq(fake_trace_count("event share.added"), 1);
    ck_assert_uint_eq(fake_trace_count("event share.removed"), 1);
    books_are_empty();
}
END_TEST

START_TEST(what_a_container_holds_is_not_removed)
{
    const struct sf_shares_offer *offer = p->base.cls->offers[0].ops;
    SF_CLEANUP(added_freep) added_t *added = NULL;

    ck_assert(call_add(&added));
    ck_assert(offer->hold(&p->base, added->reservation_id, "container 'c1'", &err));
    ck_assert(!remove_one(added->reservation_id));
    expect(SF_FAILED_PRECONDITION, "container 'c1'");
    books_are_right();
}
END_TEST

/* ---- Every step made to fail once ---- */

static void start_anew(void)
{
    fixture_remove();
    fixture_make();
}

static const enum fake_failure failures[] = {FAKE_REFUSED, FAKE_SILENT};

START_TEST(an_add_that_fails_anywhere_is_gone_without_a_trace)
{
    for (unsigned nth = 1;; nth++) {
        SF_CLEANUP(added_freep) added_t *added = NULL, *again = NULL;
        start_anew();
        fake_fail(nth, failures[_i]);
        bool ok = call_add(&added);
        if (!fake_failed()) {
            ck_assert(ok && nth > 3); /* the path twice, the line, the mount */
            break;
        }
        ck_assert_msg(!ok, "step %u", nth);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "a failure that a test asked for"));
        sf_error_free(err);
        err = NULL;
        books_are_empty();
        ck_assert_uint_eq(fake_trace_count("guest mount_share"),
                          fake_trace_count("guest unmount_share"));
        ck_assert_msg(call_add(&again), "step %u: %s", nth, SF_WHY(err)); /* the same call */
        books_are_right();
    }
}
END_TEST

static bool guest_is_gone(const void *request, void *reply, struct sf_error **e)
{
    (void)request;
    (void)reply;
    return sf_fail(e, SF_UNAVAILABLE, "the guest does not answer");
}

START_TEST(an_add_to_a_guest_that_is_silent_leaves_a_reservation_that_is_named)
{
    SF_CLEANUP(added_freep) added_t *added = NULL;

    fake_guest_answers(guest_is_gone);
    ck_assert(!call_add(&added));
    ck_assert_uint_eq(p->n_reservations, 1);
    const char *id = p->reservations[0]->id;
    char left[SF_GUID_SIZE];
    memcpy(left, id, sizeof(left));
    expect(SF_UNAVAILABLE, left);
    ck_assert(!remove_one(left));
    expect(SF_UNAVAILABLE, "does not answer");
    books_are_right();
    fake_guest_answers(NULL);
    ck_assert(remove_one(left));
    books_are_empty();
}
END_TEST

START_TEST(a_remove_that_fails_anywhere_is_repeated)
{
    for (unsigned nth = 1;; nth++) {
        SF_CLEANUP(added_freep) added_t *added = NULL;
        start_anew();
        ck_assert(call_add(&added));
        fake_fail(nth, failures[_i]);
        bool ok = remove_one(added->reservation_id);
        if (!fake_failed()) {
            ck_assert(ok && nth > 1); /* the unmount */
            break;
        }
        ck_assert(!ok);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), added->reservation_id));
        sf_error_free(err);
        err = NULL;
        books_are_right();
        ck_assert(remove_one(added->reservation_id));
        books_are_empty();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan9_reserve");
    TCase *cases = tcase_create("reserve");
    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_test(cases, a_new_share_has_a_name_and_a_place);
    tcase_add_test(cases, the_same_directory_is_the_same_share);
    tcase_add_test(cases, names_count_up);
    tcase_add_test(cases, another_way_of_sharing_is_another_share);
    tcase_add_loop_test(cases, what_cannot_be_is_refused_and_leaves_nothing, 0,
                        (int)(sizeof(wrong) / sizeof(wrong[0])));
    tcase_add_test(cases, a_path_must_be_beneath_a_root);
    tcase_add_test(cases, the_policy_refuses_what_the_guest_could_write_to);
    tcase_add_test(cases, the_most_shares_there_can_be);
    tcase_add_test(cases, the_most_reservations_there_can_be);
    tcase_add_test(cases, the_most_names_there_can_be);
    tcase_add_test(cases, a_share_is_served_and_mounted);
    tcase_add_test(cases, a_share_is_mounted_once);
    tcase_add_test(cases, who_is_not_there_is_named);
    tcase_add_test(cases, a_directory_that_is_gone_is_not_served_and_its_holders_let_go);
    tcase_add_test(cases, a_mount_that_failed_is_not_tried_again_but_undone);
    tcase_add_test(cases, the_last_release_unmounts);
    tcase_add_test(cases, what_was_released_can_be_had_again_under_a_new_name);
    tcase_add_test(cases, an_unmount_that_the_guest_refuses_changes_nothing);
    tcase_add_test(cases, bug_5_a_repeated_release_takes_nothing_from_others);
    tcase_add_test(cases, bug_16_what_was_never_mapped_is_let_go_of_by_each_holder);
    tcase_add_test(cases, bug_17_two_files_of_one_directory);
    tcase_add_test(cases, a_file_and_its_directory_restricted_to_it_are_one_share_at_two_paths);
    tcase_add_test(cases, bug_18_a_reserve_that_fails_uses_up_no_name);
    tcase_add_test(cases, a_holder_is_named_and_forgotten);
    tcase_add_test(cases, a_share_is_added_listed_and_removed);
    tcase_add_test(cases, what_a_container_holds_is_not_removed);
    tcase_add_loop_test(cases, an_add_that_fails_anywhere_is_gone_without_a_trace, 0, 2);
    tcase_add_test(cases, an_add_to_a_guest_that_is_silent_leaves_a_reservation_that_is_named);
    tcase_add_loop_test(cases, a_remove_that_fails_anywhere_is_repeated, 0, 2);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
