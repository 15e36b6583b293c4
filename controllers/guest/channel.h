#ifndef GUEST_CHANNEL_H
#define GUEST_CHANNEL_H

/*
 * The bytes between the host and the agent in the guest. Both ends use this file; it does no I/O,
 * knows no message, and needs nothing but the C library.
 *
 * Promise: what one end sends, the other receives once, whole and in order, however often the
 * connection breaks, whatever of it is lost or torn, and though the end of the host is saved and
 * built anew somewhere else.
 *
 * A frame, little-endian:
 *
 *     offset  bytes  what
 *          0      4  magic "SFF1"
 *          4      4  type: 1 HELLO, 2 WELCOME, 3 DATA, 4 ACK
 *          8      4  size: bytes of content after this header; 0 unless DATA; at most 65,536
 *         12      4  offset: DATA: of the content in its message
 *         16      4  total: DATA: bytes of the whole message; at most 2 MiB
 *         20      8  number: DATA: of the message, from 1; HELLO: nonce; WELCOME: the HELLO's nonce
 *         28      8  ack: the number of the last message that the sender has received whole
 *         36      4  CRC-32 (IEEE 802.3) of bytes 0..35 and the content
 *         40         content
 *
 * Messages are numbered; a message larger than a frame goes out in several, in order. A message is
 * kept until it is acknowledged.
 *
 * An end that has (re)connected, or that meets bytes that make no sense, is out of step. It sends
 * zeros that fill up any frame that the peer may still wait for, then HELLO with a number that
 * nobody can guess, and takes nothing for true but HELLO and the WELCOME that has that number: so
 * nothing that looks like a frame inside of somebody's output is taken for one. The WELCOME says
 * what the peer has; the end is in step, and sends everything after that again. An end in step that
 * gets a HELLO answers it and does the same. An end that is out of step and gets a HELLO that is
 * not the last one's says its own again, once: the first may have gone to a peer that is no more.
 * Messages that the peer has already are dropped there.
 *
 * Not thread-safe. How an end uses it:
 *
 *     channel_connect(c, random);              on each connection
 *     on readable:  channel_input(c, bytes);   then channel_receive() until CHANNEL_NOTHING
 *     on writable:  channel_output(c) -> write -> channel_wrote(c, n), until it gives NULL
 *     channel_send(c, message)                 any time; then there is output
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_MESSAGE_MAX ((size_t)2 * 1024 * 1024) /* bytes of a message */
#define CHANNEL_FRAME_MAX   ((size_t)64 * 1024)       /* bytes of content in a frame */
#define CHANNEL_HEADER_SIZE ((size_t)40)
/* Bytes of messages that may be unacknowledged; one message is always taken. */
#define CHANNEL_WINDOW ((size_t)8 * 1024 * 1024)

enum channel_result {
    CHANNEL_NOTHING, /* more bytes are needed */
    CHANNEL_MESSAGE, /* one message */
    CHANNEL_BROKEN,  /* the peer is not the one that this end talked to: channel_problem() */
};

struct channel_message {
    const void *data; /* borrowed */
    size_t size;
};

struct channel;

/* Not connected, nothing sent, nothing received. NULL: no memory. */
struct channel *channel_new(void);
void channel_free(struct channel *c);

/* A connection is there, the first or a new one: forget torn frames of the old one, say HELLO.
 * @nonce: random; not what the peer or what passes through could guess. */
void channel_connect(struct channel *c, uint64_t nonce);

/* The connection is gone: there is no output until the next channel_connect(). */
void channel_disconnect(struct channel *c);

/* Whether both ends know where they are: the peer has answered since the last connect. */
bool channel_in_step(const struct channel *c);

/**
 * channel_send() - queue one message
 * @data: copied
 * @size: 1 to CHANNEL_MESSAGE_MAX
 *
 * Return: false if the window is full, the size is not allowed or there is no memory; nothing is
 * queued then.
 */
bool channel_send(struct channel *c, const void *data, size_t size);

/* Whether channel_send() of @size bytes has room in the window. */
bool channel_has_room(const struct channel *c, size_t size);

/* Bytes of messages that are not acknowledged. */
size_t channel_waiting(const struct channel *c);

/* The bytes to write next, borrowed until the next call of any function; NULL: none now. */
const void *channel_output(struct channel *c, size_t *ret_size);
/* So many of them have been written. */
void channel_wrote(struct channel *c, size_t size);

/* Take in bytes that were read; copied. False: no memory. Call channel_receive() until it says
 * CHANNEL_NOTHING before the next input: what is not parsed yet is kept, without bound. */
bool channel_input(struct channel *c, const void *data, size_t size);

/* The next message. *@ret: borrowed until the next call of any function. It counts as received. */
enum channel_result channel_receive(struct channel *c, struct channel_message *ret);

/* Why it is broken; static. NULL: it is not. */
const char *channel_problem(const struct channel *c);

/* Bytes that were skipped because they made no sense; zeros of a HELLO are not counted. */
uint64_t channel_garbage(const struct channel *c);

/* ---- The state that travels with a snapshot ---- */

uint64_t channel_last_sent(const struct channel *c);     /* number of the last message sent */
uint64_t channel_last_received(const struct channel *c); /* and of the last received whole */
size_t channel_n_unacknowledged(const struct channel *c);
/* Oldest first; the last one has number channel_last_sent(). Borrowed. */
struct channel_message channel_unacknowledged(const struct channel *c, size_t i);

/**
 * channel_import() - go on where another end stood
 * @c: fresh from channel_new()
 * @unacknowledged: oldest first; copied
 *
 * Return: false, and @c as it was, if the numbers cannot be (more unacknowledged than sent), a
 * message is empty or too large, all are more than the window, or there is no memory.
 */
bool channel_import(struct channel *c, uint64_t last_sent, uint64_t last_received,
                    const struct channel_message *unacknowledged, size_t n);

/* CRC-32 (IEEE 802.3) of more bytes; begin with 0. */
uint32_t channel_crc32(uint32_t crc, const void *data, size_t size);

#endif
