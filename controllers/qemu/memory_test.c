#include "qemu/memory.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/suite.h"

#define SIZE ((uint64_t)4 << 20)

static char root[64];
static struct sf_error *err;
static const struct run_user as_we_are;

#define DO(call) ck_assert_msg((call), "%s", SF_WHY(err))

static void set_up(void)
{
    err = NULL;
    snprintf(root, sizeof(root), "/tmp/sandferry-memory-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void tear_down(void)
{
    sf_error_free(err);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct memory *make_one(void)
{
    struct memory *m = memory_create(root, SIZE, "s1", &as_we_are, &err);

    ck_assert_msg(m != NULL, "%s", SF_WHY(err));
    return m;
}

static void write_state(struct memory *m, const char *text)
{
    int fd = memory_state_create(m, &err);

    ck_assert_msg(fd >= 0, "%s", SF_WHY(err));
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* Saved and let go of; *ret is what a snapshot would have. */
static void save_one(struct memory *m, struct memory_reference *ret)
{
    write_state(m, "state");
    DO(memory_saved(m, NULL, &err));
    *ret = *memory_reference(m);
    memory_let_go(m);
}

static struct memory *open_one(const struct memory_reference *r)
{
    struct memory *m = memory_open(root, r, &err);

    ck_assert_msg(m != NULL, "%s", SF_WHY(err));
    return m;
}

/* What is said against it, in words; "": nothing. */
static void expect_admit(const struct memory_reference *r, const char *words)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    memory_admit(root, r, false, why);
    if (words[0] == '\0') {
        ck_assert_uint_eq(sf_reasons_count(why), 0);
        return;
    }
    for (size_t i = 0; i < sf_reasons_kept(why); i++)
        if (strstr(sf_reasons_get(why, i)->text, words) != NULL)
            return;
    ck_abort_msg("%zu reasons, none with '%s'", sf_reasons_count(why), words);
}

static void expect_error(enum sf_code code, const char *words)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code && strstr(sf_error_message(err), words) != NULL,
                  "%s: %s", sf_code_name(sf_error_code(err)), sf_error_message(err));
    sf_error_free(SF_STEAL(err));
}

START_TEST(new_memory_is_locked_and_cannot_be_restored)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();

    expect_admit(memory_reference(m), "in use by sandbox 's1'");
    expect_admit(memory_reference(m), "no saved device state");
    memory_remove(m);
    expect_admit(memory_reference(m), "is not beneath the memory directory");
    ck_assert_int_eq(rmdir(root), 0); /* nothing is left */
    ck_assert_int_eq(mkdir(root, 0700), 0);
}
END_TEST

START_TEST(saved_memory_has_one_taker)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;

    save_one(m, &r);
    expect_admit(&r, "");
    SF_CLEANUP(memory_freep) struct memory *first = open_one(&r);
    SF_CLEANUP(memory_freep) struct memory *second = open_one(&r);
    DO(memory_take(first, &err));
    DO(memory_take(first, &err)); /* a repeat does nothing */
    ck_assert(!memory_take(second, &err));
    expect_error(SF_FAILED_PRECONDITION, "in use");

    DO(memory_advance(first, "s2", &err));
    memory_let_go(first); /* its sandbox has ended without a save */
    ck_assert(!memory_take(second, &err));
    expect_error(SF_FAILED_PRECONDITION, "has been run since by sandbox 's2'");
    expect_admit(&r, "generation 2, the snapshot has 1");
}
END_TEST

START_TEST(the_source_cannot_take_back_what_has_run)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;

    save_one(m, &r);
    SF_CLEANUP(memory_freep) struct memory *there = open_one(&r);
    DO(memory_take(there, &err));
    ck_assert(!memory_take(m, &err));
    expect_error(SF_FAILED_PRECONDITION, "in use");
    memory_let_go(there); /* it was abandoned before it ran */
    DO(memory_take(m, &err));
    DO(memory_advance(m, "s1", &err));
    ck_assert_uint_eq(memory_reference(m)->generation, 2);
    ck_assert(!memory_take(there, &err));
    expect_error(SF_FAILED_PRECONDITION, "in use");
}
END_TEST

START_TEST(a_retreat_leaves_it_as_it_was)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;

    save_one(m, &r);
    for (int i = 0; i < 3; i++) {
        SF_CLEANUP(memory_freep) struct memory *there = open_one(&r);
        DO(memory_take(there, &err));
        DO(memory_advance(there, "s2", &err));
        DO(memory_retreat(there, &err));
        memory_let_go(there);
        expect_admit(&r, "");
    }
}
END_TEST

/* What is known of the files of memory that was saved there. */
static void expect_files(const struct memory_reference *r, const char *expected)
{
    SF_CLEANUP(sf_freep) char *files = memory_files(root, r);

    ck_assert_pstr_eq(files, expected);
}

START_TEST(a_step_back_makes_the_snapshot_fit_again)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;

    save_one(m, &r);
    SF_CLEANUP(memory_freep) struct memory *there = open_one(&r);
    DO(memory_take(there, &err));
    ck_assert_ptr_null(memory_conversation(there));
    DO(memory_advance(there, "s2", &err));
    memory_step_back(there);
    write_state(there, "another state");
    DO(memory_saved(there, &(struct memory_notes){"{\"x\": 1}", "[2]"}, &err));
    memory_let_go(there);

    SF_CLEANUP(memory_freep) struct memory *again = open_one(&r);
    DO(memory_take(again, &err));
    ck_assert_str_eq(memory_conversation(again), "{\"x\": 1}");
    expect_files(&r, "[2]");
    DO(memory_advance(again, "s3", &err));
    ck_assert_ptr_null(memory_conversation(again));
    expect_files(&r, NULL);
    DO(memory_retreat(again, &err));
    expect_files(&r, "[2]");
}
END_TEST

START_TEST(what_was_changed_is_noticed)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    SF_CLEANUP(memory_freep) struct memory *there = NULL;
    struct memory_reference r, other;
    char path[256];

    save_one(m, &r);
    there = open_one(&r);
    snprintf(path, sizeof(path), "%s/%s/state", root, r.memory_id);
    FILE *file = fopen(path, "w");
    fputs("statf", file);
    fclose(file);
    ck_assert(!memory_take(there, &err));
    expect_error(SF_DATA_LOSS, "SHA-256");
    expect_admit(&r, "SHA-256");
    unlink(path);
    expect_admit(&r, "is gone");

    other = r;
    other.size_bytes *= 2;
    expect_admit(&other, "instead of");
    other = r;
    memcpy(other.family_id, other.memory_id, sizeof(other.family_id));
    expect_admit(&other, "is that of another memory");
    snprintf(path, sizeof(path), "%s/%s/lease", root, r.memory_id);
    file = fopen(path, "w");
    fputs("{\"generation\": 1", file);
    fclose(file);
    expect_admit(&r, "makes no sense");
}
END_TEST

START_TEST(an_id_is_no_path)
{
    struct memory_reference r = {.memory_id = "../../../../etc", .family_id = "x"};

    ck_assert_ptr_null(memory_open(root, &r, &err));
    expect_error(SF_INVALID_ARGUMENT, "GUID");
}
END_TEST

START_TEST(whoever_inherits_the_lock_has_it_after_a_crash)
{
    struct memory_reference r;
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    int hold[2];

    save_one(m, &r);
    ck_assert_int_eq(pipe(hold), 0);
    SF_CLEANUP(memory_freep) struct memory *daemon = open_one(&r);
    DO(memory_take(daemon, &err));
    pid_t qemu = fork(); /* shares the open file description, as QEMU does */
    if (qemu == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(hold[0]);
    memory_free(SF_STEAL(daemon)); /* the daemon is killed: it does not let go */
    expect_admit(&r, "in use");
    close(hold[1]); /* QEMU ends */
    ck_assert_int_eq(waitpid(qemu, NULL, 0), qemu);
    expect_admit(&r, "");

    daemon = open_one(&r);
    DO(memory_take(daemon, &err));
    memory_let_go(daemon); /* a held save lets go though QEMU has the description still */
    expect_admit(&r, "");
}
END_TEST

START_TEST(a_crash_at_any_write_leaves_a_lease)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;
    char path[256];

    save_one(m, &r);
    snprintf(path, sizeof(path), "%s/%s/lease.new", root, r.memory_id); /* half-written */
    FILE *file = fopen(path, "w");
    fputs("{\"mem", file);
    fclose(file);
    expect_admit(&r, "");
    DO(memory_take(m, &err));
    DO(memory_advance(m, "s1", &err));
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_copy_is_sparse_and_of_the_same_family)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;
    char page[4096];
    struct stat st;

    memset(page, 0x5a, sizeof(page));
    ck_assert_int_eq(pwrite(memory_ram(m), page, sizeof(page), 0), 4096);
    ck_assert_int_eq(pwrite(memory_ram(m), page, sizeof(page), (off_t)SIZE - 4096), 4096);
    memset(page, 0, sizeof(page)); /* written, but zero */
    ck_assert_int_eq(pwrite(memory_ram(m), page, sizeof(page), 2 << 20), 4096);
    save_one(m, &r);
    SF_CLEANUP(memory_freep) struct memory *copy = memory_copy(m, &err);
    ck_assert_msg(copy != NULL, "%s", SF_WHY(err));
    ck_assert_str_eq(memory_reference(copy)->family_id, r.family_id);
    ck_assert_str_ne(memory_reference(copy)->memory_id, r.memory_id);
    expect_admit(memory_reference(copy), "");

    ck_assert_int_eq(fstat(memory_ram(copy), &st), 0);
    ck_assert_int_eq(st.st_size, (off_t)SIZE);
    ck_assert_int_le(st.st_blocks * 512, 4 * 65536);
    ck_assert_int_eq(pread(memory_ram(copy), page, sizeof(page), (off_t)SIZE - 4096), 4096);
    ck_assert_int_eq(page[4095], 0x5a);

    DO(memory_take(m, &err)); /* one of the family runs: the other cannot */
    expect_admit(memory_reference(copy), "in use");
    memory_remove(m);
    DO(memory_take(copy, &err)); /* the lock file stays as long as one of them is there */
    memory_remove(copy);
    ck_assert_int_eq(rmdir(root), 0);
    ck_assert_int_eq(mkdir(root, 0700), 0);
}
END_TEST

START_TEST(what_was_removed_leaves_nothing_behind)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one(); /* a held source */
    struct memory_reference r;

    save_one(m, &r);
    SF_CLEANUP(memory_freep) struct memory *there = open_one(&r);
    DO(memory_take(there, &err));
    DO(memory_advance(there, "s2", &err));
    memory_remove(there); /* it ran elsewhere, and has ended */
    ck_assert(!memory_take(m, &err));
    expect_error(SF_NOT_FOUND, "no lease");
    ck_assert_int_eq(rmdir(root), 0);
    ck_assert_int_eq(mkdir(root, 0700), 0);
}
END_TEST

START_TEST(no_room_is_told_before_anything_is_made)
{
    ck_assert_ptr_null(memory_create(root, UINT64_C(1) << 50, "s1", &as_we_are, &err));
    expect_error(SF_RESOURCE_EXHAUSTED, root);
    ck_assert_int_eq(rmdir(root), 0);
    ck_assert_int_eq(mkdir(root, 0700), 0);
}
END_TEST

START_TEST(waste_is_what_nobody_can_run)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;

    memory_let_go(m); /* its sandbox was killed */
    SF_CLEANUP(memory_freep) struct memory *found = open_one(memory_reference(m));
    ck_assert(!memory_take_waste(found, "s2", &err)); /* another's */
    expect_error(SF_FAILED_PRECONDITION, "another sandbox's");
    DO(memory_take_waste(found, "s1", &err));
    memory_let_go(found);

    save_one(m, &r);
    ck_assert(!memory_take_waste(found, "s1", &err)); /* a snapshot needs it */
    expect_error(SF_FAILED_PRECONDITION, "was saved");
}
END_TEST

/* ---- clones ---- */

static struct memory *clone_one(const struct memory_reference *r, const char *sandbox)
{
    SF_CLEANUP(memory_freep) struct memory *origin = memory_open(root, r, &err);
    ck_assert_msg(origin != NULL, "%s", SF_WHY(err));
    struct memory *m = memory_clone(origin, sandbox, &as_we_are, &err);

    if (m != NULL)
        origin = NULL; /* the clone's */
    return m;
}

static void end_clone(struct memory *m)
{
    memory_remove(m);
    memory_free(m);
}

static void expect_admit_clone(const struct memory_reference *r, const char *words)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    memory_admit(root, r, true, why);
    ck_assert_uint_eq(sf_reasons_count(why), words[0] == '\0' ? 0 : 1);
    if (words[0] != '\0')
        ck_assert_msg(strstr(sf_reasons_get(why, 0)->text, words) != NULL, "%s",
                      sf_reasons_get(why, 0)->text);
}

static void expect_taken(const struct memory_reference *r)
{
    SF_CLEANUP(memory_freep) struct memory *m = open_one(r);

    DO(memory_take(m, &err));
    memory_let_go(m);
}

START_TEST(clones_run_together_and_nobody_else)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;
    save_one(m, &r);
    struct memory *a = clone_one(&r, "a"), *b = clone_one(&r, "b");

    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_nonnull(memory_origin(a));
    ck_assert_str_ne(memory_reference(a)->memory_id, memory_reference(b)->memory_id);
    ck_assert_str_ne(memory_reference(a)->family_id, memory_reference(b)->family_id);
    ck_assert_str_ne(memory_reference(a)->family_id, r.family_id);
    expect_admit_clone(&r, "");
    expect_admit(&r, "in use by clone");
    ck_assert(!memory_take(m, &err));
    expect_error(SF_FAILED_PRECONDITION, "stop them first");
    ck_assert(!memory_has_no_clones(m, &err));
    expect_error(SF_FAILED_PRECONDITION, "'a'");
    end_clone(a);
    ck_assert(!memory_has_no_clones(m, &err));
    expect_error(SF_FAILED_PRECONDITION, "clone 'b'");
    end_clone(b);
    DO(memory_has_no_clones(m, &err));
    expect_taken(&r);
    memory_remove(m);
}
END_TEST

START_TEST(what_runs_cannot_be_cloned)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;

    save_one(m, &r);
    DO(memory_take(m, &err));
    ck_assert_ptr_null(clone_one(&r, "a"));
    expect_error(SF_FAILED_PRECONDITION, "in use by sandbox 's1'");
    expect_admit_clone(&r, "in use by sandbox 's1'");
    DO(memory_advance(m, "s1", &err));
    memory_let_go(m); /* as if it had ended without a save */
    ck_assert_ptr_null(clone_one(&r, "a"));
    expect_error(SF_FAILED_PRECONDITION, "has been run since");
    memory_remove(m);
}
END_TEST

START_TEST(a_clone_changes_nothing_of_its_origin)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;
    save_one(m, &r);
    struct memory *a = clone_one(&r, "a");
    ck_assert_ptr_nonnull(a);

    DO(memory_advance(a, "a", &err));
    int fd = memory_clone_file(a, "disk-0.qcow2", &err);
    ck_assert_int_ge(fd, 0);
    close(fd);
    end_clone(a); /* with its files */
    expect_admit(&r, "");
    expect_taken(&r);
    DO(memory_take(m, &err));
    memory_remove(m);
    ck_assert_int_eq(rmdir(root), 0); /* nothing is left */
    ck_assert_int_eq(mkdir(root, 0700), 0);
}
END_TEST

START_TEST(a_saved_clone_has_its_ram_in_its_state)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r, its;
    save_one(m, &r);
    struct memory *a = clone_one(&r, "a");
    ck_assert_ptr_nonnull(a);

    ck_assert(!memory_ram_is_in_state(memory_origin(a)));
    save_one(a, &its);
    SF_CLEANUP(memory_freep) struct memory *copy = memory_copy(a, &err);
    ck_assert_ptr_nonnull(copy);
    memory_free(a);
    struct memory_reference both[] = {its, *memory_reference(copy)};
    for (int i = 0; i < 2; i++) {
        SF_CLEANUP(memory_freep) struct memory *again = open_one(&both[i]);
        DO(memory_take(again, &err));
        ck_assert(memory_ram_is_in_state(again));
        ck_assert_ptr_null(memory_origin(again));
        DO(memory_advance(again, "a", &err)); /* from now on it is in the file */
        ck_assert(!memory_ram_is_in_state(again));
        memory_remove(again);
    }
    expect_taken(&r);
    DO(memory_take(m, &err));
    memory_remove(m);
}
END_TEST

START_TEST(many_clones_are_counted)
{
    SF_CLEANUP(memory_freep) struct memory *m = make_one();
    struct memory_reference r;
    struct memory *clones[5];
    save_one(m, &r);

    for (int i = 0; i < 5; i++)
        ck_assert_ptr_nonnull(clones[i] = clone_one(&r, "x"));
    ck_assert(!memory_take(m, &err));
    expect_error(SF_FAILED_PRECONDITION, "clone 'x', 'x', 'x' and 2 more");
    for (int i = 0; i < 5; i++)
        end_clone(clones[i]);
    DO(memory_take(m, &err));
    memory_remove(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qemu_memory");
    TCase *lease = tcase_create("lease");
    tcase_set_timeout(lease, 30);
    tcase_add_checked_fixture(lease, set_up, tear_down);
    tcase_add_test(lease, new_memory_is_locked_and_cannot_be_restored);
    tcase_add_test(lease, saved_memory_has_one_taker);
    tcase_add_test(lease, the_source_cannot_take_back_what_has_run);
    tcase_add_test(lease, a_retreat_leaves_it_as_it_was);
    tcase_add_test(lease, a_step_back_makes_the_snapshot_fit_again);
    tcase_add_test(lease, what_was_changed_is_noticed);
    tcase_add_test(lease, an_id_is_no_path);
    tcase_add_test(lease, whoever_inherits_the_lock_has_it_after_a_crash);
    tcase_add_test(lease, a_crash_at_any_write_leaves_a_lease);
    tcase_add_test(lease, a_copy_is_sparse_and_of_the_same_family);
    tcase_add_test(lease, what_was_removed_leaves_nothing_behind);
    tcase_add_test(lease, no_room_is_told_before_anything_is_made);
    tcase_add_test(lease, waste_is_what_nobody_can_run);
    suite_add_tcase(suite, lease);
    TCase *clones = tcase_create("clones");
    tcase_set_timeout(clones, 30);
    tcase_add_checked_fixture(clones, set_up, tear_down);
    tcase_add_test(clones, clones_run_together_and_nobody_else);
    tcase_add_test(clones, what_runs_cannot_be_cloned);
    tcase_add_test(clones, a_clone_changes_nothing_of_its_origin);
    tcase_add_test(clones, a_saved_clone_has_its_ram_in_its_state);
    tcase_add_test(clones, many_clones_are_counted);
    suite_add_tcase(suite, clones);
    return sf_suite_run(suite);
}
