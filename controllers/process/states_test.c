#include "base/suite.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "lib/grid.h"
#include "process/process.h"

/* clang-format off */
static const char *const grid[PROCESS_N_STATES] = {
    /*                       +------ made
     *                       |+----- started
     *                       ||+---- exited */
    [PROCESS_NOT_CREATED] = "C..",
    [PROCESS_CREATED]     = ".RT",
    [PROCESS_RUNNING]     = "..T",
    [PROCESS_TERMINATED]  = "...",
};
/* clang-format on */

START_TEST(cell)
{
    grid_check_cell(&process_machine, grid, "NCRT", (unsigned)_i);
}
END_TEST

/* Byte N of a stream, so that a wrong one is seen wherever it is. */
static uint8_t byte_at(uint64_t n)
{
    return (uint8_t)(n * 31 + n / 251);
}

START_TEST(a_ring_holds_the_last_bytes)
{
    struct ring r = {0};
    uint8_t chunk[5000], out[5000];
    uint64_t written = 0;

    while (written < 3 * (uint64_t)RING_SIZE) {
        size_t n = 1 + (size_t)(written * 7919 % sizeof(chunk));
        for (size_t i = 0; i < n; i++)
            chunk[i] = byte_at(written + i);
        ck_assert(ring_add(&r, chunk, n));
        written += n;
        ck_assert_uint_eq(r.end, written);
        uint64_t from = ring_begin(&r);
        ck_assert_uint_eq(from, written > RING_SIZE ? written - RING_SIZE : 0);
        size_t got = ring_copy(&r, from, out, sizeof(out));
        for (size_t i = 0; i < got; i++)
            ck_assert_uint_eq(out[i], byte_at(from + i));
    }
    ck_assert_uint_eq(ring_copy(&r, r.end, out, sizeof(out)), 0);
    ring_done(&r);
}
END_TEST

static struct processes one_process(void)
{
    struct processes p = {0};
    struct sf_error *err = NULL;
    struct process *init = process_add(&p, "c1", "", &err);

    ck_assert_ptr_nonnull(init);
    snprintf(init->guest_container_id, SF_ID_SIZE, "c1");
    init->state = PROCESS_RUNNING;
    init->pid = 7;
    ck_assert(ring_add(&init->out[0], (const uint8_t *)"hello\n", 6));
    init->out[1].closed = true;
    return p;
}

START_TEST(output_travels_with_its_offset)
{
    struct processes in = one_process(), out = {0};
    struct sf_error *err = NULL;
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    uint8_t text[16];

    ck_assert(processes_to_section(&in, &section, &err));
    ck_assert_msg(processes_from_section(&out, &section, &err), "%s", SF_WHY(err));
    const struct process *p = process_find(&out, "c1", "");
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(p->out[0].end, 6);
    ck_assert_uint_eq(ring_copy(&p->out[0], 0, text, sizeof(text)), 6);
    ck_assert_mem_eq(text, "hello\n", 6);
    ck_assert(p->out[1].closed);
    ck_assert_uint_eq(p->exit_code, EXIT_UNKNOWN);
    processes_empty(&in);
    processes_empty(&out);
}
END_TEST

START_TEST(every_cut_is_survived)
{
    struct processes in = one_process();
    struct sf_error *none = NULL;
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};

    ck_assert(processes_to_section(&in, &section, &none));
    for (size_t size = 0; size < section.size; size++) {
        struct sf_bytes cut = {.data = section.data, .size = size};
        struct processes out = {0};
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        if (!processes_from_section(&out, &cut, &err))
            ck_assert_uint_eq(out.n, 0);
        processes_empty(&out);
    }
    processes_empty(&in);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("process_states");
    TCase *cells = tcase_create("cells");
    tcase_add_loop_test(cells, cell, 0, PROCESS_N_STATES * PROCESS_N_EVENTS);
    suite_add_tcase(suite, cells);
    TCase *section = tcase_create("section");
    tcase_add_test(section, a_ring_holds_the_last_bytes);
    tcase_add_test(section, output_travels_with_its_offset);
    tcase_add_test(section, every_cut_is_survived);
    suite_add_tcase(suite, section);
    return sf_suite_run(suite);
}
