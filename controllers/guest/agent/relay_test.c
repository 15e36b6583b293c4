/* Between a socket and the shares' line. */
#include "guest/agent/relay.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/suite.h"
#include "guest/agent/port.h"
#include "sandferry/v1/agent.pb-c.h"

#define SHARE 7

/* ---- the line ---- */

static bool room;
static unsigned pieces, ends;
static uint8_t said[4 * 1024 * 1024];
static size_t n_said, sizes[100];

bool port_has_room(enum port port)
{
    ck_assert_int_eq(port, PORT_SHARES);
    return room;
}

bool port_send(enum port port, const uint8_t *data, size_t size)
{
    Sandferry__V1__AgentMessage *m = sandferry__v1__agent_message__unpack(NULL, size, data);

    ck_assert_int_eq(port, PORT_SHARES);
    ck_assert_ptr_nonnull(m);
    ck_assert_int_eq(m->event->body_case, SANDFERRY__V1__AGENT_EVENT__BODY_SHARE_DATA);
    const Sandferry__V1__AgentShareData *piece = m->event->share_data;
    ck_assert_uint_eq(piece->share, SHARE);
    ck_assert_uint_le(piece->data.len, 256 * 1024);
    if (piece->data.len > 0)
        memcpy(said + n_said, piece->data.data, piece->data.len);
    n_said += piece->data.len;
    ends += piece->closed ? 1 : 0;
    sizes[pieces++ % 100] = piece->data.len;
    sandferry__v1__agent_message__free_unpacked(m, NULL);
    return true;
}

/* ---- the kernel ---- */

static struct relay relay;
static int kernel;

static void set_up(void)
{
    room = true;
    pieces = ends = 0;
    n_said = 0;
    ck_assert(relay_open(&relay, SHARE, &kernel));
}

static void tear_down(void)
{
    relay_hang_up(&relay);
    if (kernel >= 0)
        close(kernel);
}

/* What the main loop does, until nothing is to be done. */
static void turn(void)
{
    struct pollfd fd;

    do {
        fd = (struct pollfd){.fd = relay.fd, .events = relay_wants(&relay)};
        if (fd.events == 0 || poll(&fd, 1, 0) != 1)
            return;
        relay_ready(&relay, fd.revents);
    } while (relay.fd >= 0);
}

static void kernel_says(const void *data, size_t size)
{
    ck_assert_int_eq(send(kernel, data, size, 0), (ssize_t)size);
}

/* A message of so many bytes, its head among them. */
static uint8_t *message(size_t size)
{
    uint8_t *m = malloc(size);

    for (size_t i = 0; i < size; i++)
        m[i] = (uint8_t)(i * 31 + size);
    for (int i = 0; i < 4; i++)
        m[i] = (uint8_t)(size >> (8 * i));
    return m;
}

START_TEST(each_message_is_a_piece)
{
    static const size_t lengths[] = {7, 23, 4, 5, 8192, 19, 100000};
    uint8_t all[200000];
    size_t n = 0;

    for (size_t i = 0; i < 7; i++) {
        uint8_t *m = message(lengths[i]);
        memcpy(all + n, m, lengths[i]);
        n += lengths[i];
        kernel_says(m, lengths[i]);
        free(m);
    }
    turn();
    ck_assert_uint_eq(n_said, n);
    ck_assert_mem_eq(said, all, n);
    ck_assert_uint_eq(pieces, 6); /* one of 4 bytes is none: what is next goes with it */
    ck_assert_uint_eq(sizes[0], 7);
    ck_assert_uint_eq(sizes[2], 9);
    ck_assert_uint_eq(sizes[5], 100000);
}
END_TEST

START_TEST(what_comes_in_parts_goes_in_parts)
{
    uint8_t *m = message(3000);

    unsigned times = 0;

    for (size_t i = 0; i < 3000; i += (size_t)_i) {
        size_t n = 3000 - i < (size_t)_i ? 3000 - i : (size_t)_i;
        kernel_says(m + i, n);
        if (times++ % 3 == 0)
            turn();
    }
    turn();
    ck_assert_uint_eq(n_said, 3000);
    ck_assert_mem_eq(said, m, 3000);
    kernel_says(m, 3000);
    kernel_says(m, 3000);
    unsigned before = pieces;
    turn();
    ck_assert_uint_eq(pieces, before + 2); /* it knows where messages begin */
    free(m);
}
END_TEST

START_TEST(nothing_is_read_while_the_line_is_full)
{
    uint8_t *m = message(100);

    room = false;
    kernel_says(m, 100);
    ck_assert_int_eq(relay_wants(&relay), 0);
    turn();
    ck_assert_uint_eq(pieces, 0);
    relay_give(&relay, m, 100, false); /* the other way there is room */
    uint8_t got[200];
    ck_assert_int_eq(recv(kernel, got, sizeof(got), MSG_DONTWAIT), 100);
    room = true;
    turn();
    ck_assert_uint_eq(n_said, 100);
    free(m);
}
END_TEST

START_TEST(it_is_known_whether_an_answer_is_waited_for)
{
    uint8_t *m = message(50), *a = message(9);

    ck_assert(!relay_is_asked(&relay));
    kernel_says(m, 20);
    turn();
    ck_assert(!relay_is_asked(&relay)); /* nobody answers a half */
    kernel_says(m + 20, 30);
    kernel_says(m, 50);
    turn();
    for (size_t i = 0; i < 18; i++) {
        ck_assert(relay_is_asked(&relay));
        relay_give(&relay, a + i % 9, 1, false);
    }
    ck_assert(!relay_is_asked(&relay));
    kernel_says(m, 50);
    turn();
    relay_hang_up(&relay);
    ck_assert(!relay_is_asked(&relay));
    free(m);
    free(a);
}
END_TEST

START_TEST(what_the_kernel_does_not_take_is_held)
{
    enum { N = 40, SIZE = 65536 };
    static uint8_t data[SIZE], got[N * SIZE];
    size_t n = 0;

    for (int i = 0; i < N; i++) {
        memset(data, i, SIZE);
        relay_give(&relay, data, SIZE, i == N - 1);
    }
    ck_assert_uint_gt(relay.n_held, SIZE);
    ck_assert_int_ne(relay_wants(&relay) & POLLOUT, 0);
    for (ssize_t k = 1; k > 0; n += (size_t)k) {
        turn();
        k = recv(kernel, got + n, sizeof(got) - n, MSG_DONTWAIT);
        ck_assert(k >= 0 || n == sizeof(got));
        k = k < 0 ? 0 : k;
    }
    ck_assert_uint_eq(n, sizeof(got));
    for (size_t i = 0; i < sizeof(got); i += SIZE / 2)
        ck_assert_uint_eq(got[i], i / SIZE);
    turn();
    ck_assert_int_lt(relay.fd, 0); /* that was the last */
}
END_TEST

START_TEST(an_end_of_the_kernels_is_told_after_what_it_said)
{
    uint8_t *m = message(50);

    kernel_says(m, 50);
    close(kernel);
    kernel = -1;
    relay_give(&relay, m, 50, false); /* goes nowhere */
    turn();
    ck_assert_uint_eq(n_said, 50);
    ck_assert_uint_eq(ends, 1);
    ck_assert_int_lt(relay.fd, 0);
    relay_give(&relay, m, 50, true);
    turn();
    ck_assert_uint_eq(ends, 1);
    free(m);
}
END_TEST

START_TEST(a_hung_up_kernel_sees_it_though_others_have_the_end)
{
    int copy = dup(relay.fd);
    uint8_t byte;

    if (_i == 0)
        relay_give(&relay, NULL, 0, true);
    else
        relay_hang_up(&relay);
    ck_assert_int_lt(relay.fd, 0);
    ck_assert_int_eq(recv(kernel, &byte, 1, MSG_DONTWAIT), 0);
    ck_assert_int_lt(send(kernel, &byte, 1, MSG_NOSIGNAL), 0);
    close(copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_relay");
    TCase *tcase = tcase_create("relay");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, each_message_is_a_piece);
    tcase_add_loop_test(tcase, what_comes_in_parts_goes_in_parts, 1, 9);
    tcase_add_test(tcase, nothing_is_read_while_the_line_is_full);
    tcase_add_test(tcase, it_is_known_whether_an_answer_is_waited_for);
    tcase_add_test(tcase, what_the_kernel_does_not_take_is_held);
    tcase_add_test(tcase, an_end_of_the_kernels_is_told_after_what_it_said);
    tcase_add_loop_test(tcase, a_hung_up_kernel_sees_it_though_others_have_the_end, 0, 2);
    suite_add_tcase(suite, tcase);
    return sf_suite_run(suite);
}
