/* Reservations: who holds what, each step made to fail, and the bugs that we do not have. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scsi/fixture.h"

static const char *path_of; /* what map gives */

static bool try_map(const char *id)
{
    return scsi_map(s, id, &path_of, &err);
}

/* ---- Slots ---- */

START_TEST(lowest_slot_first)
{
    const char *a = add("0", 0), *b = add("1", 0), *c = add("2", 1);

    ck_assert_uint_eq(scsi_find(s, a)->slot, 0);
    ck_assert_uint_eq(scsi_find(s, c)->slot, 2);
    ck_assert_str_eq(map(c), "/run/sandferry/mounts/scsi/0_2_1");
    release(b);
    ck_assert_uint_eq(scsi_find(s, add("3", 0))->slot, 1);
    books_are_right();
}
END_TEST

START_TEST(disk_257_changes_nothing)
{
    char name[16], id[SF_GUID_SIZE];

    for (unsigned i = 0; i < SCSI_SLOTS; i++) {
        snprintf(name, sizeof(name), "disk%u", i);
        write_disk(name, 512);
        add(name, 0);
    }
    SF_CLEANUP(sf_bytes_done) struct sf_bytes before = saved(), after = {0};
    write_disk("one-more", 512);
    struct sf_disk_request q = a_disk("one-more");
    ck_assert(!try_reserve(&q, id));
    expect(SF_RESOURCE_EXHAUSTED, "all 256 disk slots");
    after = saved();
    ck_assert(before.size == after.size && memcmp(before.data, after.data, before.size) == 0);
    ck_assert_str_eq(map(s->reservations[0].id),
                     s->disks[s->reservations[0].slot]->mounts[0]->guest_path);

    struct sf_sandbox *source = to_another(); /* the full one travels */
    ck_assert_msg(import(&before), "%s", SF_WHY(err));
    SF_CLEANUP(sf_freep) char *reasons = admit();
    ck_assert_str_eq(reasons, "");
    ck_assert_msg(CLS->prepare(&s->base, &err), "%s", SF_WHY(err));
    books_are_right();
    fake_sandbox_free(source);
}
END_TEST

START_TEST(one_disk_is_shared)
{
    const char *a = add("0", 1), *b = add("0", 1), *c = add("0", 2);

    ck_assert_uint_eq(s->disks[0]->n_mounts, 2);
    ck_assert_uint_eq(fake_trace_count("qmp device_add"), 1);
    ck_assert_uint_eq(fake_trace_count("guest mount_disk"), 2);
    release(a);
    release(c);
    ck_assert(world.mounted[0][1] && !world.mounted[0][2]);
    release(b);
    nothing_is_left();
}
END_TEST

/* ---- What is asked for ---- */

START_TEST(another_configuration_is_refused)
{
    static const char *const options[] = {"noatime"};
    struct sf_disk_request q = a_disk("0");
    char id[SF_GUID_SIZE];

    add("0", 0);
    q.read_only = true;
    ck_assert(!try_reserve(&q, id));
    expect(SF_ALREADY_EXISTS, "read-only flag");
    q = a_disk("0");
    q.options = options;
    q.n_options = 1;
    ck_assert(!try_reserve(&q, id));
    expect(SF_ALREADY_EXISTS, "other options");
    q.partition = 1; /* another partition may have others */
    ck_assert(try_reserve(&q, id));
    books_are_right();
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    static const struct {
        struct sf_disk_request q;
        enum sf_code code;
        const char *text;
    } bad[] = {
        {{.host_path = NULL}, SF_INVALID_ARGUMENT, "absolute"},
        {{.host_path = "disk"}, SF_INVALID_ARGUMENT, "absolute"},
        {{.host_path = "/a/../b"}, SF_INVALID_ARGUMENT, ".."},
        {{.host_path = "/a", .partition = 1 << 20}, SF_INVALID_ARGUMENT, "partition"},
        {{.host_path = "/a", .type = 9}, SF_INVALID_ARGUMENT, "unknown type"},
        {{.host_path = "/a", .format = 9}, SF_INVALID_ARGUMENT, "unknown type or format"},
        {{.host_path = "/a", .encrypted = true, .read_only = true},
         SF_INVALID_ARGUMENT,
         "encrypted"},
        {{.host_path = "/a"}, SF_PERMISSION_DENIED, "no root"},
    };
    char id[SF_GUID_SIZE];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert(!try_reserve(&bad[i].q, id));
        expect(bad[i].code, bad[i].text);
    }
    struct sf_disk_request q = a_disk("nowhere");
    ck_assert(!try_reserve(&q, id));
    expect(SF_NOT_FOUND, "nowhere");
    q = a_disk("0");
    q.type = DISK_TYPE_DEVICE;
    ck_assert(!try_reserve(&q, id));
    expect(SF_INVALID_ARGUMENT, "is a file");
    q = a_disk(".");
    ck_assert(!try_reserve(&q, id));
    sf_error_free(SF_STEAL(err));
    nothing_is_left();
}
END_TEST

START_TEST(what_holds_a_disk_is_unknown_or_released)
{
    ck_assert(!try_map("7f9f8e3c-0000-4000-8000-000000000000"));
    expect(SF_NOT_FOUND, "no disk reservation");
    ck_assert(!scsi_release(s, "7f9f8e3c-0000-4000-8000-000000000000", &err));
    expect(SF_NOT_FOUND, "no disk reservation");
}
END_TEST

/* ---- Each step fails once: the call says so, a release leaves nothing behind ---- */

START_TEST(each_step_of_an_add_fails)
{
    enum fake_failure how = _i % 2 ? FAKE_SILENT : FAKE_REFUSED;
    struct sf_disk_request q = a_disk("0");
    char id[SF_GUID_SIZE];

    q.encrypted = _i / 2 % 2;
    q.block_device = _i / 4;
    for (unsigned nth = 1;; nth++) {
        fake_fail(nth, how);
        bool reserved = try_reserve(&q, id), ok = reserved && try_map(id), failed = fake_failed();
        fake_fail(0, how);
        ck_assert(ok != failed);
        books_are_right();
        sf_error_free(SF_STEAL(err));
        if (failed && reserved) {
            ck_assert(!try_map(id)); /* it says what to do */
            expect(SF_FAILED_PRECONDITION, "release it");
        }
        if (reserved)
            release(id);
        nothing_is_left();
        if (!failed) {
            ck_assert_uint_gt(nth, 5);
            return;
        }
        ck_assert(try_reserve(&q, id) && try_map(id)); /* the same then succeeds */
        release(id);
    }
}
END_TEST

START_TEST(each_step_of_a_release_fails)
{
    enum fake_failure how = _i % 2 ? FAKE_SILENT : FAKE_REFUSED;
    struct sf_disk_request q = a_disk("0");

    q.encrypted = _i / 2 % 2;
    q.block_device = _i / 4;
    for (unsigned nth = 1;; nth++) {
        const char *id = reserve(&q);
        map(id);
        fake_fail(nth, how);
        bool ok = scsi_release(s, id, &err), failed = fake_failed();
        fake_fail(0, how);
        ck_assert_msg(ok == (err == NULL) && (ok || failed), "%s", SF_WHY(err));
        books_are_right();
        if (!ok) {
            expect(how == FAKE_SILENT ? SF_UNAVAILABLE : SF_FAILED_PRECONDITION, id);
            SF_CLEANUP(sf_freep) char *reasons = check();
            ck_assert(how == FAKE_REFUSED || strstr(reasons, "repeat") != NULL);
            release(id);
        }
        nothing_is_left();
        if (!failed)
            return;
    }
}
END_TEST

/* An add fails, and so does what takes it back: the disk keeps its slot until it is out. */
START_TEST(leftovers_of_an_attach_go_with_the_release)
{
    struct sf_disk_request q = a_disk("0");
    const char *id = reserve(&q);

    fake_fail(4, FAKE_SILENT); /* open, add-fd, blockdev-add, device_add */
    ck_assert(!try_map(id));
    expect(SF_UNAVAILABLE, "disk '0:0'");
    s->disks[0]->leftover = true; /* as if QEMU had refused that, too */
    release(id);
    nothing_is_left();
}
END_TEST

/* ---- HCSSHIM.md 5.1: bugs of others ---- */

START_TEST(bug_1_a_reserved_disk_stays_reserved)
{
    struct sf_disk_request q = a_disk("0");
    const char *id = reserve(&q);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();

    ck_assert_msg(import(&section), "%s", SF_WHY(err));
    ck_assert_uint_eq(s->disks[0]->state, DISK_RESERVED);
    ck_assert_uint_eq(s->disks[0]->mounts[0]->state, MOUNT_RESERVED);
    ck_assert(CLS->prepare(&s->base, &err));
    ck_assert(!world.device[0]);
    ck_assert_str_eq(map(id), "/run/sandferry/mounts/scsi/0_0_0");
    ck_assert(world.device[0] && world.mounted[0][0]);
    back_to(source);
}
END_TEST

START_TEST(bug_2_a_mount_that_failed_is_released)
{
    struct sf_disk_request q = a_disk("0");
    const char *id = reserve(&q);

    fake_fail(5, FAKE_REFUSED);
    ck_assert(!try_map(id));
    expect(SF_FAILED_PRECONDITION, "disk '0:0'");
    ck_assert_uint_eq(s->disks[0]->mounts[0]->state, MOUNT_UNMOUNTED);
    release(id);
    nothing_is_left();
    release(add("0", 0)); /* and had again */
}
END_TEST

START_TEST(bug_3_two_hold_what_could_not_be_attached)
{
    struct sf_disk_request q = a_disk("0");
    const char *a = reserve(&q), *b = reserve(&q);

    fake_fail(3, FAKE_REFUSED);
    ck_assert(!try_map(a));
    expect(SF_FAILED_PRECONDITION, "disk '0:0'");
    release(a);
    ck_assert_uint_eq(scsi_find(s, add("1", 0))->slot, 1); /* b has its slot still */
    release(b);
    ck_assert(world.mounted[1][0]);
    books_are_right();
}
END_TEST

START_TEST(bug_4_reserved_and_never_mapped)
{
    struct sf_disk_request q = a_disk("0");

    release(reserve(&q));
    nothing_is_left();
    ck_assert_uint_eq(fake_trace_count("qmp"), 0);
    ck_assert_uint_eq(fake_trace_count("guest"), 0);
}
END_TEST

START_TEST(bug_5_a_repeat_takes_nothing_from_others)
{
    const char *a = add("0", 0);

    fake_fail(2, FAKE_REFUSED); /* unmounted; the guest does not let go of the disk */
    ck_assert(!scsi_release(s, a, &err));
    expect(SF_FAILED_PRECONDITION, a);
    const char *b = add("0", 0);
    release(a);
    ck_assert_uint_eq(s->disks[0]->mounts[0]->refs, 1);
    ck_assert(world.mounted[0][0]);
    books_are_right();
    release(b);
    nothing_is_left();
}
END_TEST

START_TEST(bug_6_one_file_under_two_names)
{
    struct sf_disk_request q = a_disk("again"), plain = a_disk("0");
    char id[SF_GUID_SIZE];

    add("0", 0);
    ck_assert_int_eq(link(at("0"), at("again")), 0);
    ck_assert(!try_reserve(&q, id));
    expect(SF_ALREADY_EXISTS, "the same file");
    ck_assert_int_eq(symlink("0", at("soft")), 0);
    q = a_disk("soft");
    ck_assert(!try_reserve(&q, id));
    expect(SF_ALREADY_EXISTS, "the same file");
    plain.host_path = at("./0");
    ck_assert(!try_reserve(&plain, id));
    expect(SF_ALREADY_EXISTS, "the same file");
    q = a_disk("again");
    q.read_only = true; /* one of the two writes */
    ck_assert(!try_reserve(&q, id));
    expect(SF_ALREADY_EXISTS, "the same file");
    books_are_right();
}
END_TEST

START_TEST(readers_may_have_one_file_twice)
{
    struct sf_disk_request a = a_disk("0"), b = a_disk("again");

    a.read_only = b.read_only = true;
    ck_assert_int_eq(link(at("0"), at("again")), 0);
    map(reserve(&a));
    ck_assert_uint_eq(scsi_find(s, reserve(&b))->slot, 1);
}
END_TEST

static bool pin(const char *path, unsigned controller, unsigned lun)
{
    const struct disk_config config = {.type = DISK_TYPE_FILE, .format = DISK_FORMAT_RAW};
    struct disk_config its = config;

    snprintf(its.path, sizeof(its.path), "%s", at(path));
    return scsi_pin(s, controller, lun, &its, &err);
}

START_TEST(bug_6_a_place_that_is_none)
{
    ck_assert(!pin("0", 0, 70)); /* would be 1:6 */
    expect(SF_INVALID_ARGUMENT, "'0:70'");
    ck_assert(!pin("0", 4, 0));
    expect(SF_INVALID_ARGUMENT, "'4:0'");
    nothing_is_left();
}
END_TEST

START_TEST(a_pinned_disk_stays_where_it_is)
{
    ck_assert_msg(pin("0", 0, 0) && pin("1", 1, 6), "%s", SF_WHY(err));
    ck_assert(!pin("2", 1, 6));
    expect(SF_ALREADY_EXISTS, "'1:6'");
    ck_assert(!pin("1", 2, 0));
    expect(SF_ALREADY_EXISTS, "'1:6'");
    const char *id = add("2", 0);
    ck_assert_uint_eq(scsi_find(s, id)->slot, 1);
    release(id);
    release(add("1", 2)); /* mounted and not mounted: it is there still */
    ck_assert(world.device[0] && world.device[SCSI_LUNS + 6]);
    books_are_right();
}
END_TEST

START_TEST(each_step_of_a_pin_fails)
{
    for (unsigned nth = 1;; nth++) {
        fake_fail(nth, _i ? FAKE_SILENT : FAKE_REFUSED);
        bool ok = pin("0", 0, 3), failed = fake_failed();
        fake_fail(0, FAKE_REFUSED);
        ck_assert(ok != failed);
        sf_error_free(SF_STEAL(err));
        if (!failed)
            return;
        nothing_is_left();
    }
}
END_TEST

/* A path is a name of bytes; nothing is folded. */
START_TEST(bug_11_names_that_differ_in_case)
{
    write_disk("disk", 512);
    write_disk("DISK", 512);
    add("disk", 0);
    ck_assert_uint_eq(scsi_find(s, add("DISK", 0))->slot, 1);
}
END_TEST

START_TEST(bug_12_a_half_done_release_says_what_to_do)
{
    const char *id = add("0", 0);

    fake_fail(3, FAKE_REFUSED);
    ck_assert(!scsi_release(s, id, &err));
    expect(SF_FAILED_PRECONDITION, id);
    ck_assert_uint_eq(s->disks[0]->state, DISK_EJECTED);
    SF_CLEANUP(sf_freep) char *reasons = check();
    ck_assert_msg(strstr(reasons, id) != NULL && strstr(reasons, "repeat it") != NULL, "%s",
                  reasons);
    fake_trace_clear();
    release(id); /* only what is left of it */
    ck_assert_uint_eq(fake_trace_count("guest"), 0);
    nothing_is_left();
    SF_CLEANUP(sf_freep) char *none = check();
    ck_assert_str_eq(none, "");
}
END_TEST

/* ---- What of a release is not known ---- */

START_TEST(an_unmount_without_an_answer_is_no_mount)
{
    struct sf_disk_request q = a_disk("0");
    const char *a = add("0", 0);

    fake_fail(1, FAKE_SILENT);
    ck_assert(!scsi_release(s, a, &err));
    expect(SF_UNAVAILABLE, a);
    ck_assert(!world.mounted[0][0]);
    const char *b = reserve(&q);
    map(b); /* the guest is asked, and not only the books */
    ck_assert(world.mounted[0][0]);
    release(a);
    ck_assert(world.mounted[0][0]);
    release(b);
    nothing_is_left();
}
END_TEST

START_TEST(encrypted_devices_are_closed_in_the_guest)
{
    struct sf_disk_request q = a_disk("0");

    q.encrypted = q.block_device = true;
    q.partition = 2;
    const char *id = reserve(&q);
    ck_assert_str_eq(map(id), "/dev/sda");
    ck_assert(world.encrypted[0][2]);
    add("0", 1); /* the disk stays */
    release(id);
    ck_assert(!world.encrypted[0][2]);
    books_are_right();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scsi_reserve");
    TCase *cases = tcase_create("reserve");

    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_test(cases, lowest_slot_first);
    tcase_add_test(cases, disk_257_changes_nothing);
    tcase_add_test(cases, one_disk_is_shared);
    tcase_add_test(cases, another_configuration_is_refused);
    tcase_add_test(cases, what_cannot_be_is_refused);
    tcase_add_test(cases, what_holds_a_disk_is_unknown_or_released);
    tcase_add_loop_test(cases, each_step_of_an_add_fails, 0, 8);
    tcase_add_loop_test(cases, each_step_of_a_release_fails, 0, 8);
    tcase_add_test(cases, leftovers_of_an_attach_go_with_the_release);
    tcase_add_test(cases, bug_1_a_reserved_disk_stays_reserved);
    tcase_add_test(cases, bug_2_a_mount_that_failed_is_released);
    tcase_add_test(cases, bug_3_two_hold_what_could_not_be_attached);
    tcase_add_test(cases, bug_4_reserved_and_never_mapped);
    tcase_add_test(cases, bug_5_a_repeat_takes_nothing_from_others);
    tcase_add_test(cases, bug_6_one_file_under_two_names);
    tcase_add_test(cases, bug_6_a_place_that_is_none);
    tcase_add_test(cases, a_pinned_disk_stays_where_it_is);
    tcase_add_loop_test(cases, each_step_of_a_pin_fails, 0, 2);
    tcase_add_test(cases, readers_may_have_one_file_twice);
    tcase_add_test(cases, bug_11_names_that_differ_in_case);
    tcase_add_test(cases, bug_12_a_half_done_release_says_what_to_do);
    tcase_add_test(cases, an_unmount_without_an_answer_is_no_mount);
    tcase_add_test(cases, encrypted_devices_are_closed_in_the_guest);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
