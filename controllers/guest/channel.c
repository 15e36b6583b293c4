#include "channel.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC UINT32_C(0x31464653) /* "SFF1" */

enum frame_type { HELLO = 1, WELCOME = 2, DATA = 3, ACK = 4 };

struct header {
    uint32_t type, size, offset, total;
    uint64_t number, ack;
};

/* Bytes that grow at the end and are eaten at the front. */
struct buffer {
    uint8_t *data;
    size_t begin, end, room;
};

struct message {
    uint8_t *data;
    size_t size;
};

/* Messages that are not acknowledged, oldest first: a ring. */
struct window {
    struct message *ring;
    size_t first, n, room;
    size_t bytes;
};

struct channel {
    const char *problem; /* static; NULL: none */
    bool connected, in_step;
    uint64_t nonce;   /* of our last HELLO */
    uint64_t garbage; /* bytes skipped */

    /* Out. */
    uint64_t last_sent;
    struct window window;
    size_t next;        /* in the window: the message that goes out next */
    size_t next_offset; /* and how much of it has gone out */
    size_t zeros;       /* to go out before anything else */
    bool owe_hello, owe_welcome, owe_ack;
    uint64_t welcome_nonce; /* of the peer's last HELLO */
    uint8_t *frame;         /* the frame that goes out; CHANNEL_HEADER_SIZE + CHANNEL_FRAME_MAX */
    size_t frame_begin, frame_end;

    /* In. */
    uint64_t last_received;
    struct buffer input;
    struct buffer partial; /* of message last_received + 1 */
    bool delivered;        /* the caller has seen what is in partial: it goes at the next call */
};

static const uint8_t zeros[CHANNEL_HEADER_SIZE + CHANNEL_FRAME_MAX];

/* ---- CRC ---- */

static uint32_t crc_of_nibble(uint32_t crc)
{
    for (int bit = 0; bit < 4; bit++)
        crc = (crc >> 1) ^ (UINT32_C(0xEDB88320) & (0 - (crc & 1)));
    return crc;
}

static uint32_t crc_of_byte(uint32_t byte)
{
    return crc_of_nibble(crc_of_nibble(byte));
}

/* Four tables, so that four bytes go in one step. Filled by whoever comes first, with the same. */
static uint32_t crc_table[4][256];

static void __attribute__((constructor)) crc_fill(void)
{
    for (uint32_t i = 0; i < 256; i++)
        crc_table[0][i] = crc_of_byte(i);
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 4; t++) {
            uint32_t last = crc_table[t - 1][i];
            crc_table[t][i] = (last >> 8) ^ crc_table[0][last & 0xff];
        }
}

uint32_t channel_crc32(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (; size >= 4; size -= 4, p += 4) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = crc_table[3][crc & 0xff] ^ crc_table[2][(crc >> 8) & 0xff] ^
              crc_table[1][(crc >> 16) & 0xff] ^ crc_table[0][crc >> 24];
    }
    for (; size > 0; size--, p++)
        crc = (crc >> 8) ^ crc_table[0][(crc ^ *p) & 0xff];
    return ~crc;
}

/* ---- numbers on the wire ---- */

static void put32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static void put64(uint8_t *p, uint64_t value)
{
    put32(p, (uint32_t)value);
    put32(p + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* ---- buffers ---- */

static size_t buffer_size(const struct buffer *b)
{
    return b->end - b->begin;
}

static void buffer_eat(struct buffer *b, size_t size)
{
    b->begin += size;
    if (b->begin == b->end)
        b->begin = b->end = 0;
}

static bool buffer_add(struct buffer *b, const void *data, size_t size)
{
    if (b->room - b->end < size && b->begin > 0) {
        memmove(b->data, b->data + b->begin, buffer_size(b));
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->room - b->end < size) {
        size_t room = b->room * 2 > b->end + size ? b->room * 2 : b->end + size;
        uint8_t *grown = realloc(b->data, room);
        if (grown == NULL)
            return false;
        b->data = grown;
        b->room = room;
    }
    if (size > 0)
        memcpy(b->data + b->end, data, size);
    b->end += size;
    return true;
}

/* Forgets the content, and the memory if it was much. */
static void buffer_empty(struct buffer *b)
{
    b->begin = b->end = 0;
    if (b->room > 4 * CHANNEL_FRAME_MAX) {
        free(b->data);
        *b = (struct buffer){0};
    }
}

/* ---- the window ---- */

static struct message *window_at(const struct window *w, size_t i)
{
    return &w->ring[(w->first + i) % w->room];
}

static bool window_grow(struct window *w)
{
    size_t room = w->room == 0 ? 16 : w->room * 2;
    struct message *ring = calloc(room, sizeof(*ring));

    if (ring == NULL)
        return false;
    for (size_t i = 0; i < w->n; i++)
        ring[i] = *window_at(w, i);
    free(w->ring);
    w->ring = ring;
    w->first = 0;
    w->room = room;
    return true;
}

static bool window_add(struct window *w, const void *data, size_t size)
{
    if (w->n == w->room && !window_grow(w))
        return false;
    uint8_t *copy = malloc(size);
    if (copy == NULL)
        return false;
    memcpy(copy, data, size);
    *window_at(w, w->n++) = (struct message){.data = copy, .size = size};
    w->bytes += size;
    return true;
}

static void window_drop_first(struct window *w)
{
    struct message *m = window_at(w, 0);

    w->bytes -= m->size;
    free(m->data);
    *m = (struct message){0};
    w->first = (w->first + 1) % w->room;
    w->n--;
}

/* ---- making and ending ---- */

struct channel *channel_new(void)
{
    struct channel *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->frame = malloc(CHANNEL_HEADER_SIZE + CHANNEL_FRAME_MAX);
    if (c->frame == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void channel_free(struct channel *c)
{
    if (c == NULL)
        return;
    while (c->window.n > 0)
        window_drop_first(&c->window);
    free(c->window.ring);
    free(c->input.data);
    free(c->partial.data);
    free(c->frame);
    free(c);
}

static void forget_partial(struct channel *c)
{
    buffer_empty(&c->partial);
    c->delivered = false;
}

/* Out of step: nothing is believed until the peer has answered. */
static void lose_step(struct channel *c)
{
    c->in_step = false;
    c->owe_hello = true;
    c->owe_ack = false;
    c->zeros = sizeof(zeros);
    forget_partial(c);
}

void channel_connect(struct channel *c, uint64_t nonce)
{
    c->connected = true;
    c->nonce = nonce;
    c->frame_begin = c->frame_end = 0;
    c->owe_welcome = false;
    c->input.begin = c->input.end = 0;
    lose_step(c);
}

void channel_disconnect(struct channel *c)
{
    c->connected = false;
    c->in_step = false;
}

bool channel_in_step(const struct channel *c)
{
    return c->connected && c->in_step;
}

const char *channel_problem(const struct channel *c)
{
    return c->problem;
}

uint64_t channel_garbage(const struct channel *c)
{
    return c->garbage;
}

/* ---- out ---- */

size_t channel_waiting(const struct channel *c)
{
    return c->window.bytes;
}

bool channel_has_room(const struct channel *c, size_t size)
{
    return c->window.n == 0 || c->window.bytes + size <= CHANNEL_WINDOW;
}

bool channel_send(struct channel *c, const void *data, size_t size)
{
    if (size == 0 || size > CHANNEL_MESSAGE_MAX || !channel_has_room(c, size) ||
        !window_add(&c->window, data, size))
        return false;
    c->last_sent++;
    return true;
}

/* The number of the oldest message in the window. */
static uint64_t first_number(const struct channel *c)
{
    return c->last_sent - c->window.n + 1;
}

static void make_frame(struct channel *c, struct header h, const uint8_t *content)
{
    uint8_t *p = c->frame;

    put32(p, MAGIC);
    put32(p + 4, h.type);
    put32(p + 8, h.size);
    put32(p + 12, h.offset);
    put32(p + 16, h.total);
    put64(p + 20, h.number);
    put64(p + 28, c->last_received);
    if (h.size > 0)
        memcpy(p + CHANNEL_HEADER_SIZE, content, h.size);
    put32(p + 36, channel_crc32(channel_crc32(0, p, 36), p + CHANNEL_HEADER_SIZE, h.size));
    c->frame_begin = 0;
    c->frame_end = CHANNEL_HEADER_SIZE + h.size;
    if (h.type == DATA || h.type == ACK)
        c->owe_ack = false; /* a peer in step may not look into the others */
}

static void make_data_frame(struct channel *c)
{
    const struct message *m = window_at(&c->window, c->next);
    size_t rest = m->size - c->next_offset;
    struct header h = {
        .type = DATA,
        .size = (uint32_t)(rest < CHANNEL_FRAME_MAX ? rest : CHANNEL_FRAME_MAX),
        .offset = (uint32_t)c->next_offset,
        .total = (uint32_t)m->size,
        .number = first_number(c) + c->next,
    };

    make_frame(c, h, m->data + c->next_offset);
    c->next_offset += h.size;
    if (c->next_offset == m->size) {
        c->next++;
        c->next_offset = 0;
    }
}

/* Puts the next frame into c->frame. False: there is none. An end that is broken still answers, so
 * that its peer finds out too. */
static bool next_frame(struct channel *c)
{
    if (c->problem != NULL && !c->owe_welcome)
        return false;
    if (c->owe_hello && c->problem == NULL) {
        c->owe_hello = false;
        make_frame(c, (struct header){.type = HELLO, .number = c->nonce}, NULL);
    } else if (c->owe_welcome) {
        c->owe_welcome = false;
        make_frame(c, (struct header){.type = WELCOME, .number = c->welcome_nonce}, NULL);
    } else if (c->in_step && c->next < c->window.n) {
        make_data_frame(c);
    } else if (c->in_step && c->owe_ack) {
        make_frame(c, (struct header){.type = ACK}, NULL);
    } else {
        return false;
    }
    return true;
}

const void *channel_output(struct channel *c, size_t *ret_size)
{
    if (!c->connected)
        return NULL;
    if (c->frame_begin == c->frame_end) { /* a frame that was begun is ended first */
        if (c->zeros > 0) {
            *ret_size = c->zeros;
            return zeros;
        }
        if (!next_frame(c))
            return NULL;
    }
    *ret_size = c->frame_end - c->frame_begin;
    return c->frame + c->frame_begin;
}

void channel_wrote(struct channel *c, size_t size)
{
    if (c->frame_begin < c->frame_end)
        c->frame_begin += size;
    else
        c->zeros -= size;
}

/* ---- in ---- */

bool channel_input(struct channel *c, const void *data, size_t size)
{
    return buffer_add(&c->input, data, size);
}

static enum channel_result broken(struct channel *c, const char *problem)
{
    c->problem = problem;
    return CHANNEL_BROKEN;
}

/* The peer has everything up to here. */
static bool acknowledged(struct channel *c, uint64_t number)
{
    if (number > c->last_sent)
        return broken(c, "the peer acknowledges what was never sent to it"), false;
    while (c->window.n > 0 && first_number(c) <= number) {
        window_drop_first(&c->window);
        if (c->next > 0)
            c->next--;
        else
            c->next_offset = 0;
    }
    return true;
}

/* The peer wants everything after this one. */
static bool send_after(struct channel *c, uint64_t number)
{
    if (number + 1 < first_number(c))
        return broken(c, "the peer wants again what it has acknowledged"), false;
    if (!acknowledged(c, number))
        return false;
    c->next = 0;
    c->next_offset = 0;
    return true;
}

static enum channel_result take_hello(struct channel *c, const struct header *h)
{
    bool is_new = h->number != c->welcome_nonce;

    c->owe_welcome = true;
    c->welcome_nonce = h->number;
    if (!c->in_step) {          /* it may be forged; what it says is in the WELCOME too */
        c->owe_hello |= is_new; /* ours may have gone to a peer that is no more */
        return CHANNEL_NOTHING;
    }
    forget_partial(c);
    return send_after(c, h->ack) ? CHANNEL_NOTHING : CHANNEL_BROKEN;
}

static enum channel_result take_welcome(struct channel *c, const struct header *h)
{
    if (c->in_step || h->number != c->nonce)
        return CHANNEL_NOTHING; /* the answer to an older HELLO */
    c->in_step = true;
    c->owe_hello = false;
    /* What may be torn next time is another HELLO's: give it another number. */
    c->nonce = c->nonce * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return send_after(c, h->ack) ? CHANNEL_NOTHING : CHANNEL_BROKEN;
}

static enum channel_result take_data(struct channel *c, const struct header *h,
                                     const uint8_t *content, struct channel_message *ret)
{
    if (!acknowledged(c, h->ack))
        return CHANNEL_BROKEN;
    if (h->number <= c->last_received) {
        c->owe_ack = true; /* the peer does not know yet */
        return CHANNEL_NOTHING;
    }
    if (h->offset == 0)
        forget_partial(c);
    if (h->number != c->last_received + 1 || h->offset != buffer_size(&c->partial)) {
        lose_step(c);
        return CHANNEL_NOTHING;
    }
    if (!buffer_add(&c->partial, content, h->size))
        return broken(c, "no memory");
    if (buffer_size(&c->partial) < h->total)
        return CHANNEL_NOTHING;
    c->last_received++;
    c->owe_ack = true;
    c->delivered = true;
    *ret = (struct channel_message){.data = c->partial.data, .size = h->total};
    return CHANNEL_MESSAGE;
}

static enum channel_result take_frame(struct channel *c, const struct header *h,
                                      const uint8_t *content, struct channel_message *ret)
{
    if (h->type == HELLO)
        return take_hello(c, h);
    if (h->type == WELCOME)
        return take_welcome(c, h);
    if (!c->in_step)
        return CHANNEL_NOTHING;
    if (h->type == DATA)
        return take_data(c, h, content, ret);
    return acknowledged(c, h->ack) ? CHANNEL_NOTHING : CHANNEL_BROKEN;
}

static struct header get_header(const uint8_t *p)
{
    return (struct header){.type = get32(p + 4),
                           .size = get32(p + 8),
                           .offset = get32(p + 12),
                           .total = get32(p + 16),
                           .number = get64(p + 20),
                           .ack = get64(p + 28)};
}

/* Out of step only frames without content count, so that no length is waited for in vain. */
static bool header_makes_sense(const struct channel *c, const uint8_t *p, const struct header *h)
{
    if (get32(p) != MAGIC)
        return false;
    if (h->type == DATA)
        return c->in_step && h->size > 0 && h->size <= CHANNEL_FRAME_MAX &&
               h->total <= CHANNEL_MESSAGE_MAX && h->offset <= h->total &&
               h->size <= h->total - h->offset;
    return h->type >= HELLO && h->type <= ACK && h->size == 0;
}

/* Skips what cannot begin a frame. False: nothing is left that could. */
static bool find_frame(struct channel *c)
{
    const uint8_t *begin = c->input.data + c->input.begin;
    size_t size = buffer_size(&c->input), skip = 0;

    while (skip < size && begin[skip] == 0) /* a HELLO's zeros */
        skip++;
    size_t blank = skip;
    while (skip < size && begin[skip] != (MAGIC & 0xff))
        skip++;
    c->garbage += skip - blank;
    if (skip > 0) {
        buffer_eat(&c->input, skip);
        if (c->in_step)
            lose_step(c);
    }
    return skip < size;
}

static void skip_byte(struct channel *c)
{
    buffer_eat(&c->input, 1);
    c->garbage++;
    if (c->in_step)
        lose_step(c);
}

/* One frame, if it is there whole. *@ret_took: something was eaten; look again. */
static enum channel_result one_frame(struct channel *c, struct channel_message *ret, bool *ret_took)
{
    *ret_took = false;
    if (!find_frame(c) || buffer_size(&c->input) < CHANNEL_HEADER_SIZE)
        return CHANNEL_NOTHING;

    const uint8_t *p = c->input.data + c->input.begin;
    struct header h = get_header(p);
    *ret_took = true;
    if (!header_makes_sense(c, p, &h)) {
        skip_byte(c);
        return CHANNEL_NOTHING;
    }
    size_t size = CHANNEL_HEADER_SIZE + h.size;
    if (buffer_size(&c->input) < size) {
        *ret_took = false;
        return CHANNEL_NOTHING;
    }
    uint32_t crc = channel_crc32(channel_crc32(0, p, 36), p + CHANNEL_HEADER_SIZE, h.size);
    if (crc != get32(p + 36)) {
        skip_byte(c);
        return CHANNEL_NOTHING;
    }
    enum channel_result result = take_frame(c, &h, p + CHANNEL_HEADER_SIZE, ret);
    buffer_eat(&c->input, size);
    return result;
}

enum channel_result channel_receive(struct channel *c, struct channel_message *ret)
{
    bool took = true;

    if (c->problem != NULL)
        return CHANNEL_BROKEN;
    if (c->delivered)
        forget_partial(c);
    while (took) {
        enum channel_result result = one_frame(c, ret, &took);
        if (result != CHANNEL_NOTHING)
            return result;
    }
    return CHANNEL_NOTHING;
}

/* ---- the state that travels ---- */

uint64_t channel_last_sent(const struct channel *c)
{
    return c->last_sent;
}

uint64_t channel_last_received(const struct channel *c)
{
    return c->last_received;
}

size_t channel_n_unacknowledged(const struct channel *c)
{
    return c->window.n;
}

struct channel_message channel_unacknowledged(const struct channel *c, size_t i)
{
    const struct message *m = window_at(&c->window, i);

    return (struct channel_message){.data = m->data, .size = m->size};
}

bool channel_import(struct channel *c, uint64_t last_sent, uint64_t last_received,
                    const struct channel_message *unacknowledged, size_t n)
{
    bool ok = n <= last_sent && last_sent <= UINT64_MAX / 2 && last_received <= UINT64_MAX / 2;

    for (size_t i = 0; ok && i < n; i++)
        ok = unacknowledged[i].size > 0 && unacknowledged[i].size <= CHANNEL_MESSAGE_MAX &&
             channel_has_room(c, unacknowledged[i].size) &&
             window_add(&c->window, unacknowledged[i].data, unacknowledged[i].size);
    if (!ok) {
        while (c->window.n > 0)
            window_drop_first(&c->window);
        return false;
    }
    c->last_sent = last_sent;
    c->last_received = last_received;
    return true;
}
