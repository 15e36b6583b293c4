/* What a section says is not believed, and this host's paths are put in the place of the source's.
 */
#include "snapshot/testing.h" /* first: it has an err of its own */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan9/fixture.h"
#include "sandferry/v1/snapshot.pb-c.h"

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

/* Which may be the old one: somebody has said so. */
START_TEST(a_clone_is_told_where_it_may_write)
{
    add("a", false);
    add("b", true);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();

    sandbox->clone = true;
    ck_assert(import(&section));
    SF_CLEANUP(sf_freep) char *reasons = admit();
    ck_assert_msg(strstr(reasons, at("a")) != NULL && strstr(reasons, at("b")) == NULL, "%s",
                  reasons);
    ck_assert(CLS->patch(&p->base, at("a"), at("a"), &err));
    SF_CLEANUP(sf_freep) char *none = admit();
    ck_assert_str_eq(none, "");
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
    Suite *suite = suite_create("plan9_import");
    TCase *cases = tcase_create("import");
    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_loop_test(cases, a_patch_puts_another_path_in_place, 0,
                        (int)(sizeof(patches) / sizeof(patches[0])));
    tcase_add_test(cases, a_reservation_is_patched_as_its_share);
    tcase_add_test(cases, all_shares_of_a_directory_are_patched_together);
    tcase_add_test(cases, a_clone_is_told_where_it_may_write);
    tcase_add_test(cases, every_cut_is_survived);
    tcase_add_loop_test(cases, nothing_that_cannot_be_is_taken, 0,
                        (int)(sizeof(hostile) / sizeof(hostile[0])));
    tcase_add_loop_test(cases, what_the_guest_is_said_to_hold_is_not_believed_either, 0,
                        (int)(sizeof(doubtful) / sizeof(doubtful[0])));
    tcase_add_test(cases, what_comes_twice_without_a_meaning_is_refused);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
