#include "guest/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"

/*
 * Two ends and a line between them that loses, tears and spoils bytes as a seed says. The line has
 * two pipes; what is in them when the line breaks is lost from some byte on.
 */
#define N_MESSAGES 60

struct pipe {
    uint8_t bytes[512 * 1024];
    size_t n;
};

struct end {
    struct channel *channel;
    struct pipe in; /* what the other end has written */
    unsigned sent, received;
};

static uint64_t seed;

static unsigned below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

/* The content of message I: its length and bytes depend on I alone. */
static size_t content(unsigned i, uint8_t *ret)
{
    static const size_t sizes[] = {1, 40, 1000, CHANNEL_FRAME_MAX, CHANNEL_FRAME_MAX + 1, 200000};
    size_t size = sizes[i % 6] + i % 3;

    for (size_t k = 0; k < size; k++)
        ret[k] = (uint8_t)(k * 7 + i * 13 + (k >> 8));
    /* What looks like a frame's beginning, inside a message. */
    if (size > 100)
        memcpy(ret + 50, "SFF1\3\0\0\0\0\377\0\0", 12);
    return size;
}

static uint8_t scratch[256 * 1024];

static void send_some(struct end *e)
{
    while (e->sent < N_MESSAGES && below(3) != 0) {
        size_t size = content(e->sent, scratch);
        if (!channel_send(e->channel, scratch, size))
            return;
        e->sent++;
    }
}

static void write_some(struct end *from, struct end *to)
{
    size_t size;
    const void *bytes;

    while ((bytes = channel_output(from->channel, &size)) != NULL && below(8) != 0) {
        size_t n = 1 + below((unsigned)size);
        if (n > sizeof(to->in.bytes) - to->in.n)
            return;
        memcpy(to->in.bytes + to->in.n, bytes, n);
        to->in.n += n;
        channel_wrote(from->channel, n);
    }
}

static void take_messages(struct end *e)
{
    struct channel_message m;
    enum channel_result result;

    while ((result = channel_receive(e->channel, &m)) == CHANNEL_MESSAGE) {
        size_t size = content(e->received, scratch);
        ck_assert_uint_eq(m.size, size);
        ck_assert_mem_eq(m.data, scratch, size);
        e->received++;
    }
    ck_assert_msg(result == CHANNEL_NOTHING, "%s", channel_problem(e->channel));
}

static void read_some(struct end *e)
{
    if (e->in.n == 0)
        return;
    size_t n = 1 + below((unsigned)e->in.n);
    ck_assert(channel_input(e->channel, e->in.bytes, n));
    memmove(e->in.bytes, e->in.bytes + n, e->in.n - n);
    e->in.n -= n;
    take_messages(e);
}

/* The line breaks. The other end may not notice, and then reads on as if nothing had been. */
static void cut(struct end *e, struct end *other)
{
    e->in.n = 0;
    other->in.n = other->in.n > 0 ? below((unsigned)other->in.n + 1) : 0;
    channel_connect(e->channel, ((uint64_t)below(1u << 30) << 32) | below(1u << 30));
    if (below(2) == 0) {
        other->in.n = 0;
        channel_connect(other->channel, ((uint64_t)below(1u << 30) << 32) | below(1u << 30));
    }
}

static void spoil(struct end *e)
{
    if (e->in.n > 0)
        e->in.bytes[below((unsigned)e->in.n)] ^= (uint8_t)(1 + below(255));
}

/* Replace the end by one that is built from its exported state, as a restore does. */
static void move_end(struct end *e, struct end *other)
{
    struct channel_message list[N_MESSAGES];
    size_t n = channel_n_unacknowledged(e->channel);
    struct channel *fresh = channel_new();

    for (size_t i = 0; i < n; i++)
        list[i] = channel_unacknowledged(e->channel, i);
    ck_assert(channel_import(fresh, channel_last_sent(e->channel),
                             channel_last_received(e->channel), list, n));
    channel_free(e->channel);
    e->channel = fresh;
    e->in.n = 0;
    other->in.n = other->in.n > 0 ? below((unsigned)other->in.n + 1) : 0;
    channel_connect(fresh, ((uint64_t)below(1u << 30) << 32) | below(1u << 30));
}

static void disturb(struct end *a, struct end *b)
{
    switch (below(5)) {
    case 0:
        cut(a, b);
        break;
    case 1:
        cut(b, a);
        break;
    case 2:
        spoil(a);
        break;
    case 3:
        spoil(b);
        break;
    default:
        move_end(a, b);
    }
}

static bool finished(const struct end *a, const struct end *b)
{
    return a->received == N_MESSAGES && b->received == N_MESSAGES &&
           channel_n_unacknowledged(a->channel) == 0 && channel_n_unacknowledged(b->channel) == 0;
}

static struct end ends[2];

static void ends_new(void)
{
    for (int i = 0; i < 2; i++) {
        ends[i].channel = channel_new();
        ends[i].in.n = 0;
        ends[i].sent = ends[i].received = 0;
        channel_connect(ends[i].channel, (uint64_t)i + 77);
    }
}

static void ends_free(void)
{
    channel_free(ends[0].channel);
    channel_free(ends[1].channel);
}

static void turn(void)
{
    for (int i = 0; i < 2; i++) {
        send_some(&ends[i]);
        write_some(&ends[i], &ends[1 - i]);
        read_some(&ends[i]);
    }
}

START_TEST(nothing_is_lost_or_repeated)
{
    seed = (uint64_t)_i + 1;
    ends_new();
    for (unsigned turns = 0; !finished(&ends[0], &ends[1]); turns++) {
        ck_assert_msg(turns < 20000, "seed %d: %u and %u received", _i, ends[0].received,
                      ends[1].received);
        turn();
        if (turns < 3000 && below(20) == 0)
            disturb(&ends[0], &ends[1]);
    }
    ends_free();
}
END_TEST

/* Moves all that can be moved, undisturbed. */
static void settle(void)
{
    for (int rounds = 0; rounds < 1000; rounds++)
        for (int i = 0; i < 2; i++) {
            size_t size;
            const void *bytes = channel_output(ends[i].channel, &size);
            if (bytes == NULL)
                continue;
            ck_assert(channel_input(ends[1 - i].channel, bytes, size));
            channel_wrote(ends[i].channel, size);
            take_messages(&ends[1 - i]);
        }
}

START_TEST(a_frame_in_somebodys_output_is_not_believed)
{
    /* A whole frame, as the peer would send it, but from inside a message that is torn. */
    ends_new();
    seed = 1;
    settle();
    ck_assert(channel_in_step(ends[0].channel));

    size_t size = content(0, scratch);
    ck_assert(channel_send(ends[1].channel, scratch, size));
    size_t frame_size;
    const void *frame = channel_output(ends[1].channel, &frame_size);
    channel_connect(ends[0].channel, 4711); /* out of step now */
    ck_assert(channel_input(ends[0].channel, frame, frame_size));
    struct channel_message m;
    ck_assert_int_eq(channel_receive(ends[0].channel, &m), CHANNEL_NOTHING);
    ck_assert_uint_eq(channel_last_received(ends[0].channel), 0);

    settle(); /* and then it comes all the same */
    ck_assert_uint_eq(ends[0].received, 1);
    ends_free();
}
END_TEST

START_TEST(a_length_that_never_comes_does_not_stall)
{
    ends_new();
    settle();
    static const uint8_t header[40] = {'S', 'F', 'F', '1', 3,   0, 0, 0, 0, 0, 1, 0,
                                       0,   0,   0,   0,   255, 0, 1, 0, 9, 9, 9, 9};
    ck_assert(channel_input(ends[0].channel, header, sizeof(header)));
    take_messages(&ends[0]);
    /* The peer comes back: its zeros fill up what is waited for. */
    channel_connect(ends[1].channel, 99);
    ck_assert(channel_send(ends[1].channel, scratch, content(0, scratch)));
    settle();
    ck_assert_uint_eq(ends[0].received, 1);
    ends_free();
}
END_TEST

/* What goes out now is lost: it is on its way to a peer that is no more. */
static void lose_output(struct channel *c)
{
    size_t size;

    while (channel_output(c, &size) != NULL)
        channel_wrote(c, size);
}

START_TEST(a_hello_that_went_to_the_last_peer_is_said_again)
{
    ends_new();
    settle();
    ck_assert(channel_send(ends[0].channel, scratch, content(0, scratch)));
    ck_assert(channel_input(ends[0].channel, "torn", 4));
    take_messages(&ends[0]);
    ck_assert(!channel_in_step(ends[0].channel));
    lose_output(ends[0].channel);

    channel_connect(ends[1].channel, 4711); /* and the other end has not noticed */
    settle();
    ck_assert(channel_in_step(ends[0].channel));
    ck_assert(channel_in_step(ends[1].channel));
    ck_assert_uint_eq(ends[1].received, 1);
    ends_free();
}
END_TEST

START_TEST(an_answer_to_a_hello_takes_no_acknowledgement_along)
{
    struct channel *stranger = channel_new(); /* for its HELLO, without the zeros before it */
    size_t size;

    ends_new();
    settle();
    ck_assert(channel_send(ends[1].channel, scratch, content(0, scratch)));
    const void *bytes = channel_output(ends[1].channel, &size);
    ck_assert(channel_input(ends[0].channel, bytes, size));
    channel_wrote(ends[1].channel, size);
    channel_connect(stranger, 4711);
    channel_output(stranger, &size);
    channel_wrote(stranger, size);
    bytes = channel_output(stranger, &size);
    ck_assert(channel_input(ends[0].channel, bytes, size));
    take_messages(&ends[0]);
    settle();
    ck_assert_uint_eq(channel_n_unacknowledged(ends[1].channel), 0);
    channel_free(stranger);
    ends_free();
}
END_TEST

START_TEST(a_peer_that_forgot_is_noticed)
{
    ends_new();
    settle();
    ck_assert(channel_send(ends[0].channel, scratch, content(0, scratch)));
    settle();
    ck_assert_uint_eq(channel_n_unacknowledged(ends[0].channel), 0);

    channel_free(ends[1].channel); /* the guest was booted anew */
    ends[1].channel = channel_new();
    channel_connect(ends[1].channel, 5);
    channel_connect(ends[0].channel, 6);
    struct channel_message m;
    for (int i = 0; i < 8 && channel_problem(ends[0].channel) == NULL; i++) {
        size_t size;
        const void *bytes = channel_output(ends[0].channel, &size);
        if (bytes != NULL) {
            ck_assert(channel_input(ends[1].channel, bytes, size));
            channel_wrote(ends[0].channel, size);
            channel_receive(ends[1].channel, &m);
        }
        bytes = channel_output(ends[1].channel, &size);
        if (bytes != NULL) {
            ck_assert(channel_input(ends[0].channel, bytes, size));
            channel_wrote(ends[1].channel, size);
            channel_receive(ends[0].channel, &m);
        }
    }
    ck_assert_ptr_nonnull(channel_problem(ends[0].channel));
    ck_assert_int_eq(channel_receive(ends[0].channel, &m), CHANNEL_BROKEN);
    ends_free();
}
END_TEST

START_TEST(any_bytes_do_no_harm)
{
    struct channel *c = channel_new();
    struct channel_message m;

    seed = (uint64_t)_i + 1000;
    channel_connect(c, seed);
    for (int round = 0; round < 200; round++) {
        size_t n = below(600);
        for (size_t k = 0; k < n; k++)
            scratch[k] = (uint8_t)below(256);
        if (n > 60) /* something that looks right at first */
            memcpy(scratch + below(20), "SFF1\1\0\0\0\0\0\0\0", 12);
        ck_assert(channel_input(c, scratch, n));
        ck_assert_int_eq(channel_receive(c, &m), CHANNEL_NOTHING);
    }
    ck_assert_uint_gt(channel_garbage(c), 0);
    channel_free(c);
}
END_TEST

START_TEST(the_window_bounds_what_is_kept)
{
    struct channel *c = channel_new();
    static uint8_t big[CHANNEL_MESSAGE_MAX + 1];
    unsigned taken = 0;

    ck_assert(!channel_send(c, big, 0));
    ck_assert(!channel_send(c, big, sizeof(big)));
    while (channel_send(c, big, CHANNEL_MESSAGE_MAX))
        taken++;
    ck_assert_uint_eq(taken, CHANNEL_WINDOW / CHANNEL_MESSAGE_MAX);
    ck_assert_uint_eq(channel_last_sent(c), taken);
    ck_assert(!channel_has_room(c, 1));
    channel_free(c);
}
END_TEST

START_TEST(import_refuses_what_cannot_be)
{
    struct channel *c = channel_new();
    struct channel_message one = {"x", 1}, empty = {"x", 0};

    ck_assert(!channel_import(c, 0, 0, &one, 1)); /* more unacknowledged than sent */
    ck_assert(!channel_import(c, 5, 0, &empty, 1));
    ck_assert(!channel_import(c, UINT64_MAX, 0, &one, 1));
    ck_assert_uint_eq(channel_last_sent(c), 0);
    ck_assert(channel_import(c, 5, 7, &one, 1));
    ck_assert_uint_eq(channel_last_sent(c), 5);
    ck_assert_uint_eq(channel_last_received(c), 7);
    ck_assert_uint_eq(channel_n_unacknowledged(c), 1);
    channel_free(c);
}
END_TEST

START_TEST(crc_is_the_common_one)
{
    ck_assert_uint_eq(channel_crc32(0, "123456789", 9), 0xCBF43926u);
    ck_assert_uint_eq(channel_crc32(channel_crc32(0, "1234", 4), "56789", 5), 0xCBF43926u);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guest_channel");
    TCase *line = tcase_create("line");
    tcase_set_timeout(line, 60);
    tcase_add_loop_test(line, nothing_is_lost_or_repeated, 0, 40);
    tcase_add_loop_test(line, any_bytes_do_no_harm, 0, 20);
    tcase_add_test(line, a_frame_in_somebodys_output_is_not_believed);
    tcase_add_test(line, a_length_that_never_comes_does_not_stall);
    tcase_add_test(line, a_hello_that_went_to_the_last_peer_is_said_again);
    tcase_add_test(line, an_answer_to_a_hello_takes_no_acknowledgement_along);
    tcase_add_test(line, a_peer_that_forgot_is_noticed);
    tcase_add_test(line, the_window_bounds_what_is_kept);
    tcase_add_test(line, import_refuses_what_cannot_be);
    tcase_add_test(line, crc_is_the_common_one);
    suite_add_tcase(suite, line);
    return sf_suite_run(suite);
}
