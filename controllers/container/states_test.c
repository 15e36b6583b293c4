#include "base/suite.h"

#include <stdio.h>
#include <string.h>

#include "container/container.h"
#include "lib/grid.h"

/* clang-format off */
static const char *const grid[CONTAINER_N_STATES] = {
    /*                         +-------- made
     *                         |+------- make failed
     *                         ||+------ started
     *                         |||+----- start failed
     *                         ||||+---- exited */
    [CONTAINER_NOT_CREATED] = "CI...",
    [CONTAINER_CREATED]     = "..RIS",
    [CONTAINER_RUNNING]     = "....S",
    [CONTAINER_STOPPED]     = ".....",
    [CONTAINER_INVALID]     = "....I",
};
/* clang-format on */

START_TEST(cell)
{
    grid_check_cell(&container_machine, grid, "NCRSI", (unsigned)_i);
}
END_TEST

static struct containers two_containers(void)
{
    struct containers c = {0};
    struct sf_error *err = NULL;

    ck_assert_ptr_nonnull(pod_add(&c, "p", "guest-p", &err));
    struct container *b = container_add(&c, "b", "p", &err);
    struct container *a = container_add(&c, "a", "p", &err);
    ck_assert(a != NULL && b != NULL);
    a->state = CONTAINER_RUNNING;
    a->combined = true;
    a->n_layers = 1;
    snprintf(a->layers[0].reservation_id, SF_GUID_SIZE, "11111111-2222-3333-4444-555555555555");
    snprintf(a->layers[0].guest_path, LAYER_PATH_SIZE, "/run/sandferry/mounts/scsi/0_0_0");
    snprintf(a->rootfs_path, LAYER_PATH_SIZE, "/run/sandferry/pods/guest-p/a/rootfs");
    a->spec = strdup("{}");
    b->spec = strdup("{}");
    ck_assert(held_add(&a->held[HELD_DISKS], "22222222-2222-3333-4444-555555555555"));
    ck_assert(held_add(&a->held[HELD_SHARES], "44444444-2222-3333-4444-555555555555"));
    ck_assert(held_add(&a->held[HELD_SHARES], "33333333-2222-3333-4444-555555555555"));
    ck_assert(held_add(&a->held[HELD_DEVICES], "55555555-2222-3333-4444-555555555555"));
    a->created_at_ns = 1234567890123456789;
    ck_assert(container_add_label(a, "z", "1") && container_add_label(a, "k", "2"));
    return c;
}

START_TEST(what_goes_in_comes_out)
{
    struct containers in = two_containers(), out = {0};
    struct sf_error *err = NULL;
    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = {0};
    SF_CLEANUP(sf_bytes_done) struct sf_bytes second = {0};

    ck_assert(containers_to_section(&in, &first, &err));
    ck_assert_msg(containers_from_section(&out, &first, &err), "%s", SF_WHY(err));
    ck_assert(containers_to_section(&out, &second, &err));
    ck_assert_uint_eq(first.size, second.size);
    ck_assert_mem_eq(first.data, second.data, first.size);
    const struct container *a = container_find(&out, "a");
    ck_assert_uint_eq(a->state, CONTAINER_RUNNING);
    ck_assert_str_eq(a->labels[0].key, "k"); /* sorted */
    ck_assert_int_eq(a->created_at_ns, 1234567890123456789);
    ck_assert_uint_eq(a->held[HELD_DISKS].n, 1);
    ck_assert_uint_eq(a->held[HELD_SHARES].n, 2);
    ck_assert_uint_eq(a->held[HELD_DEVICES].n, 1);
    ck_assert_str_eq(a->held[HELD_SHARES].ids[0], "33333333-2222-3333-4444-555555555555");
    containers_empty(&in);
    containers_empty(&out);
}
END_TEST

/* What is held twice would be released twice. */
START_TEST(an_id_that_is_none_or_comes_twice_is_refused)
{
    static const char *const bad[] = {"33333333-2222-3333-4444-555555555555", "no guid"};

    for (unsigned kind = 0; kind < HELD_KINDS; kind++) {
        struct containers in = two_containers(), out = {0};
        struct held *held = &container_find(&in, "a")->held[kind];
        SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
        struct sf_error *none = NULL;
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

        held->n = 0;
        ck_assert(held_add(held, "33333333-2222-3333-4444-555555555555"));
        ck_assert(held_add(held, bad[_i]));
        ck_assert(containers_to_section(&in, &section, &none));
        ck_assert(!containers_from_section(&out, &section, &err));
        ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), bad[_i]));
        ck_assert_uint_eq(out.n, 0);
        containers_empty(&in);
    }
}
END_TEST

START_TEST(every_cut_is_survived)
{
    struct containers in = two_containers();
    struct sf_error *none = NULL;
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};

    ck_assert(containers_to_section(&in, &section, &none));
    for (size_t size = 0; size < section.size; size++) {
        struct sf_bytes cut = {.data = section.data, .size = size};
        struct containers out = {0};
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        if (!containers_from_section(&out, &cut, &err))
            ck_assert(out.n == 0 && out.n_pods == 0);
        containers_empty(&out);
    }
    containers_empty(&in);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("container_states");
    TCase *cells = tcase_create("cells");
    tcase_add_loop_test(cells, cell, 0, CONTAINER_N_STATES * CONTAINER_N_EVENTS);
    suite_add_tcase(suite, cells);
    TCase *section = tcase_create("section");
    tcase_add_test(section, what_goes_in_comes_out);
    tcase_add_loop_test(section, an_id_that_is_none_or_comes_twice_is_refused, 0, 2);
    tcase_add_test(section, every_cut_is_survived);
    suite_add_tcase(suite, section);
    return sf_suite_run(suite);
}
