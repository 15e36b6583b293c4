/* Sections, patches, admission: disks that travel. */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandferry/v1/snapshot.pb-c.h"
#include "scsi/fixture.h"
#include "scsi/image.h"

typedef Sandferry__V1__ScsiSection section_t;

/* The sandbox is another one now, with the section of the first in its books. */
static struct sf_sandbox *move_books(void)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = saved();
    struct sf_sandbox *source = to_another();

    ck_assert_msg(import(&section), "%s", SF_WHY(err));
    return source;
}

static bool patch(const char *object, const char *value)
{
    return CLS->patch(&s->base, object, value, &err);
}

static void admits(const char *text)
{
    SF_CLEANUP(sf_freep) char *reasons = admit();

    if (text == NULL)
        ck_assert_str_eq(reasons, "");
    else
        ck_assert_msg(lines_of(reasons) == 1 && strstr(reasons, text) != NULL, "%s", reasons);
}

static const char *path_of(unsigned slot)
{
    return s->disks[slot]->config.path + strlen(fake_host_root()) + 1;
}

static void put(const char *path, uint64_t offset, const void *data, size_t size)
{
    int fd = open(at(path), O_CREAT | O_WRONLY, 0600);

    ck_assert_int_eq(pwrite(fd, data, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

/* ---- There and back ---- */

START_TEST(all_of_it_comes_back)
{
    static const char *const options[] = {"nodev", "noatime"};
    struct sf_disk_request q = a_disk("0");

    q.partition = 2;
    q.options = options;
    q.n_options = 2;
    q.ensure_filesystem = true;
    q.filesystem = "xfs";
    map(reserve(&q));
    q = a_disk("1");
    q.block_device = q.encrypted = true;
    map(reserve(&q));
    q = a_disk("2");
    q.read_only = true;
    reserve(&q);
    release(add("3", 0));
    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = saved(), second = {0};
    struct sf_sandbox *source = to_another();
    ck_assert_msg(import(&first), "%s", SF_WHY(err));
    admits(NULL);
    ck_assert_msg(CLS->prepare(&s->base, &err), "%s", SF_WHY(err));
    books_are_right();
    second = saved();
    ck_assert(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    ck_assert_uint_eq(scsi_find(s, add("4", 0))->slot, 3); /* the next, as on the source */
    fake_sandbox_free(source);
}
END_TEST

START_TEST(bug_8_empty_controllers_are_kept)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = saved();
    section_t *wire = sandferry__v1__scsi_section__unpack(NULL, bytes.size, bytes.data);

    ck_assert_uint_eq(wire->controllers, SCSI_CONTROLLERS);
    ck_assert_uint_eq(wire->n_disks, 0);
    sandferry__v1__scsi_section__free_unpacked(wire, NULL);
    back_to(move_books());
}
END_TEST

START_TEST(boot_disks_stay)
{
    struct sf_sandbox *source;

    add("0", 0);
    s->disks[0]->boot = true;
    source = move_books();
    ck_assert(s->disks[0]->boot);
    ck_assert(CLS->prepare(&s->base, &err));
    release(s->reservations[0].id);
    ck_assert_ptr_nonnull(s->disks[0]);
    ck_assert(world.device[0] && !world.mounted[0][0]);
    fake_sandbox_free(source);
    source = move_books(); /* with nobody that holds it */
    ck_assert(s->disks[0]->boot && s->disks[0]->n_mounts == 0);
    fake_sandbox_free(source);
}
END_TEST

/* Upstream's scsi could be taken back only once it had been saved. */
START_TEST(bug_10_what_was_never_saved_goes_on)
{
    map(add("0", 0));
    SF_CLEANUP(sf_freep) char *none = check();
    ck_assert_str_eq(none, "");
    ck_assert_ptr_null(CLS->thaw); /* a save that fails anywhere has nothing to take back here */
    map(add("1", 0));
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = saved();
    map(add("2", 0));
    release(s->reservations[0].id);
    books_are_right();
}
END_TEST

START_TEST(what_is_replaced_cannot_be_saved)
{
    add("0", 0);
    ck_assert_int_eq(rename(at("1"), at("0")), 0);
    SF_CLEANUP(sf_freep) char *reasons = check();
    ck_assert_msg(strstr(reasons, "not the file any more") != NULL, "%s", reasons);
}
END_TEST

/* ---- Sections that nobody would write: bug 7 ---- */

static void break_it(section_t *w, int how)
{
    switch (how) {
    case 0:
        w->controllers = 5;
        break;
    case 1:
        w->controllers = UINT32_MAX;
        break;
    case 2:
        w->disks[0]->slot = SCSI_SLOTS;
        break;
    case 3:
        w->disks[1]->slot = 0;
        break;
    case 4:
        w->reservations[0]->slot = SCSI_SLOTS;
        break;
    case 5:
        w->reservations[0]->slot = 9;
        break;
    case 6:
        w->reservations[0]->partition = 9;
        break;
    case 7:
        strcpy(w->reservations[0]->id, w->reservations[1]->id);
        break;
    case 8:
        w->reservations[0]->id[0] = 'x';
        break;
    case 9:
        w->disks[0]->mounts[0]->refs = 2;
        break;
    case 10:
        w->disks[0]->mounts[0]->refs = 0;
        break;
    case 11:
        strcpy(w->disks[1]->host_path, w->disks[0]->host_path);
        break;
    case 12:
        w->disks[0]->host_path[0] = 'x';
        break;
    case 13:
        w->disks[0]->type = 7;
        break;
    case 14:
        w->disks[0]->format = 7;
        break;
    case 15:
        w->disks[0]->stage = 2;
        break;
    case 16:
        w->disks[0]->stage = 77;
        break;
    case 17:
        w->disks[0]->mounts[0]->stage = 2;
        break;
    case 18:
        w->disks[0]->stage = 0;
        break; /* and is mounted */
    case 19:
        w->disks[0]->mounts[0]->guest_path[30] = 'x';
        break;
    case 20:
        w->disks[0]->mounts[0]->stage = 0;
        break; /* and is somewhere */
    case 21:
        w->disks[0]->mounts[0]->partition = 1;
        break;
    default:
        ck_abort();
    }
}

#define BROKEN 22

START_TEST(bug_7_what_cannot_be_is_not_imported)
{
    add("0", 0);
    add("1", 0);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = saved();
    section_t *wire = sandferry__v1__scsi_section__unpack(NULL, bytes.size, bytes.data);

    break_it(wire, _i);
    SF_CLEANUP(sf_bytes_done)
    struct sf_bytes broken = {.size = sandferry__v1__scsi_section__get_packed_size(wire)};
    broken.data = malloc(broken.size);
    sandferry__v1__scsi_section__pack(wire, broken.data);
    sandferry__v1__scsi_section__free_unpacked(wire, NULL);
    struct sf_sandbox *source = to_another();
    ck_assert(!import(&broken));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(SF_STEAL(err));
    ck_assert_uint_eq(s->n_reservations, 0);
    ck_assert_msg(import(&bytes), "%s", SF_WHY(err)); /* the good one still can be */
    back_to(source);
}
END_TEST

START_TEST(cut_and_flipped_sections_do_no_harm)
{
    add("0", 1);
    add("1", 0);
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = saved();
    struct sf_sandbox *source = to_another();

    for (size_t size = 0; size < bytes.size; size++) {
        struct sf_bytes cut = {.data = bytes.data, .size = size};
        import(&cut);
        sf_error_free(SF_STEAL(err));
        scsi_empty(s);
    }
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (import(&bytes))
            for (size_t i = 0; i < s->n_reservations; i++)
                ck_assert_ptr_nonnull(disk_find_mount(s->disks[s->reservations[i].slot],
                                                      s->reservations[i].partition));
        sf_error_free(SF_STEAL(err));
        scsi_empty(s);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    back_to(source);
}
END_TEST

/* ---- Patches ---- */

START_TEST(a_disk_is_patched_by_any_of_its_names)
{
    add("0", 0);
    add("1", 0);
    add("2", 0);
    struct sf_sandbox *source = move_books();

    for (size_t i = 0; i < s->n_reservations; i++)
        if (s->reservations[i].slot == 0)
            ck_assert(patch(s->reservations[i].id, at("5")));
    ck_assert(patch("0:1", at("6")));
    ck_assert(patch(at("2"), at("7")));
    ck_assert_str_eq(path_of(0), "5");
    ck_assert_str_eq(path_of(1), "6");
    ck_assert_str_eq(path_of(2), "7");
    admits(NULL);
    ck_assert(!patch("0:9", at("5")));
    expect(SF_NOT_FOUND, "0:9");
    ck_assert(!patch(at("9"), at("5")));
    expect(SF_NOT_FOUND, "no disk");
    ck_assert(!patch("0:1", "relative"));
    expect(SF_INVALID_ARGUMENT, "absolute");
    ck_assert(!patch("/elsewhere/", at("")));
    expect(SF_NOT_FOUND, "beneath");
    ck_assert(patch("0:1", at("6"))); /* again */
    fake_sandbox_free(source);
}
END_TEST

START_TEST(disks_change_places)
{
    add("0", 0);
    add("1", 0);
    struct sf_sandbox *source = move_books();

    ck_assert(patch(at("0"), at("1")) && patch(at("1"), at("0")));
    ck_assert_str_eq(path_of(0), "1");
    ck_assert_str_eq(path_of(1), "0");
    admits(NULL);
    fake_sandbox_free(source);
}
END_TEST

START_TEST(a_prefix_leaves_what_is_named)
{
    add("0", 0);
    add("1", 0);
    struct sf_sandbox *source = move_books();

    ck_assert_int_eq(mkdir(at("there"), 0700), 0);
    write_disk("there/1", 4096);
    ck_assert(patch("0:0", at("5")) && patch(at(""), at("there")));
    ck_assert_str_eq(path_of(0), "5");
    ck_assert_str_eq(path_of(1), "there/1");
    admits(NULL);
    fake_sandbox_free(source);
}
END_TEST

START_TEST(bug_9_no_two_disks_on_one_file)
{
    struct sf_disk_request a = a_disk("0"), b = a_disk("1");

    a.read_only = b.read_only = true;
    map(reserve(&a));
    map(reserve(&b));
    struct sf_sandbox *source = move_books();
    ck_assert(patch("0:1", at("0"))); /* both are only read, but a path is a name */
    admits("same file");
    ck_assert_int_eq(link(at("0"), at("again")), 0);
    ck_assert(patch("0:1", at("again")));
    admits(NULL);
    fake_sandbox_free(source);
}
END_TEST

/* ---- Admission ---- */

START_TEST(every_reason_is_told)
{
    struct sf_disk_request q = a_disk("3");

    add("0", 0);
    add("1", 0);
    add("2", 0);
    reserve(&q); /* the VM has not seen it, but its file is to be there */
    struct sf_sandbox *source = move_books();
    ck_assert_int_eq(unlink(at("0")), 0);
    write_disk("1", 512);
    write_disk("2", 4096);
    ck_assert_int_eq(unlink(at("3")), 0);
    SF_CLEANUP(sf_freep) char *reasons = admit();
    ck_assert_uint_eq(lines_of(reasons), 4);
    ck_assert_ptr_nonnull(strstr(reasons, "scsi.disks[0].host_path: disk '0:0'"));
    ck_assert_ptr_nonnull(strstr(reasons, "has 512 bytes, and had 4096"));
    ck_assert_ptr_nonnull(strstr(reasons, "scsi.disks[2].host_path: disk '0:2'"));
    ck_assert_ptr_nonnull(strstr(reasons, "has been written since the save"));
    ck_assert_ptr_nonnull(strstr(reasons, "scsi.disks[3].host_path: disk '0:3'"));
    fake_sandbox_free(source);
}
END_TEST

START_TEST(a_reserved_disk_is_known_by_its_file_after_a_restore)
{
    struct sf_disk_request q = a_disk("0");
    char id[SF_GUID_SIZE];

    reserve(&q);
    struct sf_sandbox *source = move_books();
    admits(NULL);
    ck_assert_int_eq(link(at("0"), at("again")), 0);
    q = a_disk("again");
    ck_assert(!try_reserve(&q, id));
    expect(SF_ALREADY_EXISTS, "the same file");
    fake_sandbox_free(source);
}
END_TEST

/* ---- Images ---- */

static void put64(const char *path, uint64_t offset, uint64_t big)
{
    big = htobe64(big);
    put(path, offset, &big, sizeof(big));
}

static bool size_of(const char *path, unsigned format, uint64_t *ret)
{
    int fd = open(at(path), O_RDONLY);
    bool ok = image_size(fd, format, path, ret, &err);

    close(fd);
    return ok;
}

static void make_qcow2(const char *path, uint64_t size)
{
    write_disk(path, 128);
    put(path, 0, "QFI\xfb\0\0\0\3", 8);
    put64(path, 24, size);
}

START_TEST(an_image_is_as_large_as_what_it_holds)
{
    struct sf_disk_request q = a_disk("image");

    make_qcow2("image", 1 << 20);
    q.format = DISK_FORMAT_QCOW2;
    map(reserve(&q));
    struct sf_sandbox *source = move_books();
    ck_assert_uint_eq(s->disks[0]->size_bytes, 1 << 20);
    make_qcow2("copy", 1 << 20); /* with a file of another size */
    put("copy", 4000, "more", 4);
    ck_assert(patch("0:0", at("copy")));
    admits(NULL);
    make_qcow2("copy", 1 << 21);
    admits("has 2097152 bytes, and had 1048576");
    ck_assert(patch("0:0", at("1")));
    admits("is not a qcow2 image");
    fake_sandbox_free(source);
}
END_TEST

START_TEST(images_that_need_another_file_are_refused)
{
    uint64_t size;

    make_qcow2("image", 1 << 20);
    put64("image", 8, 104); /* a backing file */
    ck_assert(!size_of("image", DISK_FORMAT_QCOW2, &size));
    expect(SF_INVALID_ARGUMENT, "another file");
    make_qcow2("image", 1 << 20);
    put64("image", 72, 4); /* its data */
    ck_assert(!size_of("image", DISK_FORMAT_QCOW2, &size));
    expect(SF_INVALID_ARGUMENT, "another file");
    write_disk("vhd", 1536);
    put("vhd", 1024, "conectix", 8);
    put("vhd", 1024 + 60, "\0\0\0\2", 4);
    put64("vhd", 1024 + 48, 1024);
    ck_assert(size_of("vhd", DISK_FORMAT_VPC, &size) && size == 1024);
    put("vhd", 1024 + 60, "\0\0\0\4", 4); /* differences to another */
    ck_assert(!size_of("vhd", DISK_FORMAT_VPC, &size));
    expect(SF_INVALID_ARGUMENT, "another file");
}
END_TEST

START_TEST(what_is_no_image_is_refused)
{
    struct sf_disk_request q = a_disk("0");
    char id[SF_GUID_SIZE];

    for (q.format = DISK_FORMAT_QCOW2; q.format < DISK_N_FORMATS; q.format++) {
        ck_assert(!try_reserve(&q, id));
        expect(SF_INVALID_ARGUMENT, "image");
    }
    nothing_is_left();
}
END_TEST

/* ---- Clones ---- */

START_TEST(only_what_a_clone_writes_goes_elsewhere)
{
    struct sf_disk_request q = a_disk("1");

    add("0", 1);
    q.read_only = true;
    map(reserve(&q));
    struct sf_sandbox *source = move_books();
    sandbox->clone = true;
    ck_assert(overlay_wanted(s, s->disks[0]));
    ck_assert(!overlay_wanted(s, s->disks[1]));
    admits(NULL);
    SF_CLEANUP(sf_freep) char *reasons = check();
    ck_assert_msg(lines_of(reasons) == 1 && strstr(reasons, "ends with it") != NULL, "%s", reasons);
    ck_assert(!CLS->prepare(&s->base, &err)); /* this machine has nowhere to put it */
    expect(SF_FAILED_PRECONDITION, "patch the disk");
    CLS->abandon(&s->base);
    back_to(source);
}
END_TEST

START_TEST(a_clone_writes_to_the_disk_that_it_is_given)
{
    add("0", 1);
    struct sf_sandbox *source = move_books();
    sandbox->clone = true;
    ck_assert(patch("0:0", at("2")));
    ck_assert(!overlay_wanted(s, s->disks[0]));
    admits(NULL);
    ck_assert_msg(CLS->prepare(&s->base, &err), "%s", SF_WHY(err));
    SF_CLEANUP(sf_freep) char *reasons = check();
    ck_assert_str_eq(reasons, "");
    CLS->abandon(&s->base);
    back_to(source);
}
END_TEST

START_TEST(a_new_overlay_is_an_empty_image)
{
    static const uint64_t sizes[] = {512, UINT64_C(64) << 20, UINT64_C(3) << 40,
                                     UINT64_C(200) << 40};
    int fd = open(at("overlay"), O_RDWR | O_CREAT | O_EXCL, 0600);
    uint64_t size = 0;

    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_msg(overlay_format(fd, sizes[i], &err), "%s", SF_WHY(err));
        ck_assert(image_size(fd, DISK_FORMAT_QCOW2, "overlay", &size, &err));
        ck_assert_uint_eq(size, sizes[i]);
    }
    ck_assert(!overlay_format(fd, UINT64_C(1) << 60, &err));
    expect(SF_INVALID_ARGUMENT, "too large");
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scsi_travel");
    TCase *cases = tcase_create("travel");

    tcase_add_checked_fixture(cases, fixture_make, fixture_remove);
    tcase_add_test(cases, all_of_it_comes_back);
    tcase_add_loop_test(cases, bug_7_what_cannot_be_is_not_imported, 0, BROKEN);
    tcase_add_test(cases, bug_8_empty_controllers_are_kept);
    tcase_add_test(cases, boot_disks_stay);
    tcase_add_test(cases, bug_10_what_was_never_saved_goes_on);
    tcase_add_test(cases, what_is_replaced_cannot_be_saved);
    tcase_add_test(cases, cut_and_flipped_sections_do_no_harm);
    tcase_add_test(cases, a_disk_is_patched_by_any_of_its_names);
    tcase_add_test(cases, disks_change_places);
    tcase_add_test(cases, a_prefix_leaves_what_is_named);
    tcase_add_test(cases, bug_9_no_two_disks_on_one_file);
    tcase_add_test(cases, every_reason_is_told);
    tcase_add_test(cases, a_reserved_disk_is_known_by_its_file_after_a_restore);
    tcase_add_test(cases, an_image_is_as_large_as_what_it_holds);
    tcase_add_test(cases, images_that_need_another_file_are_refused);
    tcase_add_test(cases, what_is_no_image_is_refused);
    tcase_add_test(cases, only_what_a_clone_writes_goes_elsewhere);
    tcase_add_test(cases, a_clone_writes_to_the_disk_that_it_is_given);
    tcase_add_test(cases, a_new_overlay_is_an_empty_image);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
