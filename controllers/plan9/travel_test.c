/* Saves and restores: what travels, what cannot, and what nobody should believe. */
#include "snapshot/testing.h" /* first: it has an err of its own */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan9/fixture.h"
#include "sandferry/v1/snapshot.pb-c.h"

#define CLS (p->base.cls)

static const char *add(const char *path, bool read_only)
{
    struct sf_share_request q = a_share(path);

    q.read_only = read_only;
    const char *id = reserve(&q);
    map(id);
    return id;
}

static void same(const struct sf_bytes *a, const struct sf_bytes *b)
{
    ck_assert_uint_eq(a->size, b->size);
    ck_assert(memcmp(a->data, b->data, a->size) == 0);
}

static void no_reasons(char *(*ask)(void))
{
    SF_CLEANUP(sf_freep) char *reasons = ask();

    ck_assert_str_eq(reasons, "");
}

/* Exactly one, which has these texts. */
static void one_reason(char *(*ask)(void), const char *field, const char *text, const char *more)
{
    SF_CLEANUP(sf_freep) char *reasons = ask();

    ck_assert_msg(strchr(reasons, '\n') == strrchr(reasons, '\n'), "%s", reasons);
    ck_assert_msg(strncmp(reasons, field, strlen(field)) == 0, "%s", reasons);
    ck_assert_msg(strstr(reasons, text) != NULL && strstr(reasons, more) != NULL, "%s", reasons);
}

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
    add("a", false);
    open_file(0, "one", O_RDWR);
    ck_assert_int_eq(unlink(at("a/one")), 0);
    one_reason(check, ": ", "share '0'", "one");
    struct sf_bytes section = {0};
    ck_assert(!CLS->save(&p->base, &section, &err)); /* where it happens after the check */
    expect(SF_FAILED_PRECONDITION, "share '0'");
    ck_assert_int_eq(plan9_to_section(p, OPEN_AS_FAR_AS, &section, &err), true); /* for a list */
    sf_bytes_done(&section);
    const struct message clunk = message(TCLUNK, "d", 1);
    ck_assert_int_eq(talk(0, &clunk), TCLUNK + 1);
    no_reasons(check);
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

/* A source with two shares, the first with a file open; and a destination that has its section. */
static struct sf_sandbox *two_shares(struct sf_bytes *ret)
{
    add("a", false);
    add("b/one", true);
    open_file(0, "one", O_RDWR);
    *ret = saved();
    struct sf_sandbox *source = to_another();
    ck_assert_msg(import(ret), "%s", SF_WHY(err));
    return source;
}

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
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);

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

/* ---- Patches ---- */

/* clang-format off */
static const struct {
    const char *object, *value; /* "@/x" is beneath the test's directory */
    const char *first, *second; /* where the two shares are then, "" being as before */
    enum sf_code code;
} patches[] = {
    { "0",           "@/new",       "@/new",      "",        SF_OK               },
    { "1",           "@/new",       "",           "@/new",   SF_OK               },
    { "@/a",         "@/new",       "@/new",      "",        SF_OK               },
    { "@/a",         "@/new//x/.",  "@/new/x",    "",        SF_OK               },
    { "@/b",         "@/c",         "",           "@/c",     SF_OK               },
    { "@/b/one",     "@/c/one",     "",           "@/c",     SF_OK               }, /* a file is its directory */
    { "@/b/one",     "@/new/one",   "",           "@/new",   SF_OK               },
    { "@/b/one",     "@/c",         "",           "@/c",     SF_OK               },
    { "1",           "@/c/one",     "",           "@/c",     SF_OK               },
    { "@/b/one",     "@/c/two",     NULL,         NULL,      SF_INVALID_ARGUMENT }, /* the guest knows its name */
    { "@/b/two",     "@/c",         NULL,         NULL,      SF_NOT_FOUND        },
    { "@/",          "/srv/new",    "/srv/new/a", "/srv/new/b", SF_OK            },
    { "@/",          "/srv/new/",   "/srv/new/a", "/srv/new/b", SF_OK            },
    { "@/a/",        "/srv",        "/srv",       "",        SF_OK               },
    { "/",           "/x/",         "/x@/a",      "/x@/b",   SF_OK               },
    { "@/aa/",       "/srv",        NULL,         NULL,      SF_NOT_FOUND        },
    { "@/nothing",   "/srv",        NULL,         NULL,      SF_NOT_FOUND        },
    { "2",           "/srv",        NULL,         NULL,      SF_NOT_FOUND        },
    { "",            "/srv",        NULL,         NULL,      SF_NOT_FOUND        },
    { "0",           "srv",         NULL,         NULL,      SF_INVALID_ARGUMENT },
    { "0",           "/srv/../x",   NULL,         NULL,      SF_INVALID_ARGUMENT },
    { "@/",          "/srv/../x",   NULL,         NULL,      SF_INVALID_ARGUMENT },
    { "0",           "",            NULL,         NULL,      SF_INVALID_ARGUMENT },
};
/* clang-format on */

/* The caller's. */
static char *expand(const char *text)
{
    const char *mark = strchr(text, '@');

    return mark == NULL
               ? strdup(text)
               : sf_format("%.*s%s%s", (int)(mark - text), text, fake_host_root(), mark + 1);
}

START_TEST(a_patch_puts_another_path_in_place)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);
    SF_CLEANUP(sf_freep) char *object = expand(patches[_i].object);
    SF_CLEANUP(sf_freep) char *value = expand(patches[_i].value);
    bool ok = CLS->patch(&p->base, object, value, &err);

    ck_assert_msg(ok == (patches[_i].code == SF_OK), "%s", SF_WHY(err));
    if (!ok)
        expect(patches[_i].code, "");
    for (size_t i = 0; ok && i < 2; i++) {
        const char *want = i == 0 ? patches[_i].first : patches[_i].second;
        SF_CLEANUP(sf_freep) char *path = expand(want[0] ? want : i == 0 ? "@/a" : "@/b");
        ck_assert_str_eq(p->shares[i]->config.path, path);
    }
    back_to(source);
}
END_TEST

START_TEST(a_reservation_is_patched_as_its_share)
{
    const char *id = add("a", false);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();

    ck_assert(import(&section));
    ck_assert(CLS->patch(&p->base, id, at("c"), &err));
    ck_assert_str_eq(p->shares[0]->config.path, at("c"));
    ck_assert(CLS->prepare(&p->base, &err));
    back_to(source);
}
END_TEST

START_TEST(all_shares_of_a_directory_are_patched_together)
{
    add("a", false);
    add("a", true);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();

    ck_assert(import(&section));
    ck_assert(CLS->patch(&p->base, at("a"), at("c"), &err));
    ck_assert_str_eq(p->shares[0]->config.path, at("c"));
    ck_assert_str_eq(p->shares[1]->config.path, at("c"));
    back_to(source);
}
END_TEST

/* ---- Nothing is believed ---- */

START_TEST(every_cut_is_survived)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);

    CLS->abandon(&p->base);
    for (size_t size = 0; size < section.size; size++) {
        struct sf_bytes cut = {.data = malloc(size + 1), .size = size};
        memcpy(cut.data, section.data, size);
        if (import(&cut))
            CLS->abandon(&p->base); /* what is left may be a section too */
        sf_error_free(err);
        err = NULL;
        books_are_empty();
        sf_bytes_done(&cut);
    }
    ck_assert(import(&section));
    back_to(source);
}
END_TEST

#define S "plan9.shares[0]."
/* clang-format off */
static const struct {
    const char *field, *value, *text;
} hostile[] = {
    { S "name",                      "",           "shares[0]"           },
    { S "name",                      "00",         "no number"           },
    { S "name",                      "2",          "no number below 2"   },
    { S "name",                      "18446744073709551616", "no number" },
    { S "name",                      "1",          "not at"              },
    { "plan9.shares[1].name",        "0",          "comes twice"         },
    { S "host_path",                 "etc",        "absolute"            },
    { S "host_path",                 "/a/../b",    "'..'"                },
    { S "host_path",                 "",           "absolute"            },
    { S "stage",                     "2",          "cannot travel"       },
    { S "stage",                     "3",          "cannot travel"       },
    { S "stage",                     "4",          "cannot travel"       },
    { S "stage",                     "4294967295", "cannot travel"       },
    { S "stage",                     "0",          "not served"          },
    { S "mount",                     NULL,         "nobody holds it"     },
    { S "mount.refs",                "0",          "nobody holds it"     },
    { S "mount.refs",                "2",          "2 refs, and 1"       },
    { S "mount.refs",                "4294967295", "refs, and 1"         },
    { S "mount.stage",               "2",          "cannot travel"       },
    { S "mount.stage",               "3",          "cannot travel"       },
    { S "mount.stage",               "4294967295", "cannot travel"       },
    { S "mount.read_only",           "1",          "read-only"           },
    { S "mount.guest_path",          "/etc",       "not at"              },
    { S "mount.guest_path",          "",           "not at"              },
    { "plan9.shares[1].allowed_names[0]", "..",    "no name of a file"   },
    { "plan9.shares[1].allowed_names[0]", "a/b",   "no name of a file"   },
    { "plan9.shares[1].allowed_names[0]", NULL,    "0 names"             },
    { "plan9.shares[1].restricted",  "0",          "not restricted"      },
    { "plan9.reservations[0].id",    "x",          "not a GUID"          },
    { "plan9.reservations[0].id",    "=",          "comes twice"         },
    { "plan9.reservations[0].share", "7",          "which is not there"  },
    { "plan9.reservations[0].share", "~",          "hold"                },
    { "plan9.reservations[0]",       NULL,         "refs, and 0"         },
    { "plan9.shares[1]",             NULL,         "which is not there"  },
    { "plan9.next_name",             "1",          "no number below 1"   },
    { "plan9.next_name",             "18446744073709551615", "next_name" },
    { "plan9.no_writable_file_shares", "1",        "forbids it"          },
};
/* clang-format on */

static struct sf_bytes changed(const struct sf_bytes *section, const char *field, const char *value)
{
    Sandferry__V1__SandboxSnapshot *s = malloc(sizeof(*s));
    struct sf_bytes packed;

    sandferry__v1__sandbox_snapshot__init(s);
    s->plan9 = sandferry__v1__plan9_section__unpack(NULL, section->size, section->data);
    ck_assert_ptr_nonnull(s->plan9);
    if (value != NULL && strcmp(value, "=") == 0)
        value = s->plan9->reservations[1]->id;
    if (value != NULL && strcmp(value, "~") == 0)
        value = strcmp(s->plan9->reservations[0]->share, "0") == 0 ? "1" : "0";
    set_field(s, field, value);
    packed.data = malloc(sandferry__v1__plan9_section__get_packed_size(s->plan9) + 1);
    packed.size = sandferry__v1__plan9_section__pack(s->plan9, packed.data);
    sandferry__v1__sandbox_snapshot__free_unpacked(s, NULL);
    return packed;
}

START_TEST(nothing_that_cannot_be_is_taken)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);

    CLS->abandon(&p->base);
    SF_CLEANUP(sf_bytes_done)
    struct sf_bytes bad = changed(&section, hostile[_i].field, hostile[_i].value);
    ck_assert_msg(!import(&bad), "%s = %s", hostile[_i].field, hostile[_i].value);
    expect(SF_INVALID_ARGUMENT, hostile[_i].text);
    books_are_empty();
    ck_assert(import(&section)); /* the good one still is */
    back_to(source);
}
END_TEST

/* clang-format off */
static const struct {
    const char *field, *value;
} doubtful[] = {
    { S "fids[1].path",     "../b/one" },
    { S "fids[1].path",     "/etc/passwd" },
    { S "fids[1].path",     "two/three" },
    { S "fids[1].path",     "nothing"  },
    { S "fids[1].qid_type", "128"      },
    { S "fids[1].fid",      "0"        },
    { S "msize",            "17"       },
    { S "msize",            "1048576"  },
};
/* clang-format on */

/* What only the server can tell: a reason, and no prepare. */
START_TEST(what_the_guest_is_said_to_hold_is_not_believed_either)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    struct sf_sandbox *source = two_shares(&section);

    CLS->abandon(&p->base);
    SF_CLEANUP(sf_bytes_done)
    struct sf_bytes bad = changed(&section, doubtful[_i].field, doubtful[_i].value);
    if (import(&bad)) {
        SF_CLEANUP(sf_freep) char *reasons = admit();
        ck_assert_msg(reasons[0] != '\0', "%s = %s", doubtful[_i].field, doubtful[_i].value);
        ck_assert(!CLS->prepare(&p->base, &err));
        CLS->abandon(&p->base);
    }
    sf_error_free(err);
    err = NULL;
    books_are_empty();
    back_to(source);
}
END_TEST

START_TEST(what_comes_twice_without_a_meaning_is_refused)
{
    static const uint8_t unknown[] = {0xf8, 0x7f, 0x01}; /* field 2047 */
    const struct sf_bytes bytes = {.data = (uint8_t *)(uintptr_t)unknown, .size = sizeof(unknown)};

    ck_assert(!import(&bytes));
    expect(SF_INVALID_ARGUMENT, "2047");
    books_are_empty();
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
    tcase_add_test(cases, what_is_half_done_is_a_reason);
    tcase_add_test(cases, another_directory_at_the_path_is_a_reason);
    tcase_add_test(cases, an_open_file_without_a_name_is_a_reason);
    tcase_add_test(cases, a_share_that_is_not_there_answers_nothing);
    tcase_add_test(cases, what_makes_no_sense_ends_the_share_and_no_other);
    tcase_add_test(cases, a_guest_that_hangs_up_has_its_files_closed);
    tcase_add_test(cases, a_read_only_share_is_read);
    tcase_add_test(cases, a_single_file_is_alone_in_its_share);
    tcase_add_test(cases, a_path_that_is_not_here_is_one_reason_and_a_patch_helps);
    tcase_add_test(cases, a_file_that_is_not_here_is_one_reason);
    tcase_add_test(cases, every_reason_is_given);
    tcase_add_test(cases, a_prepare_that_fails_anywhere_is_abandoned_and_done_again);
    tcase_add_loop_test(cases, a_patch_puts_another_path_in_place, 0,
                        (int)(sizeof(patches) / sizeof(patches[0])));
    tcase_add_test(cases, a_reservation_is_patched_as_its_share);
    tcase_add_test(cases, all_shares_of_a_directory_are_patched_together);
    tcase_add_test(cases, every_cut_is_survived);
    tcase_add_loop_test(cases, nothing_that_cannot_be_is_taken, 0,
                        (int)(sizeof(hostile) / sizeof(hostile[0])));
    tcase_add_loop_test(cases, what_the_guest_is_said_to_hold_is_not_believed_either, 0,
                        (int)(sizeof(doubtful) / sizeof(doubtful[0])));
    tcase_add_test(cases, what_comes_twice_without_a_meaning_is_refused);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
