#ifndef AGENT_WINDOW_H
#define AGENT_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that may be sent beyond what has been taken. With what a pipe has at the end of its process
 * that is as much as the host holds for its readers. */
#define WINDOW_SIZE  ((uint64_t)192 * 1024)
#define WINDOW_CHUNK ((size_t)32 * 1024) /* bytes of output in one message */

/* How far a stream of output is, in bytes since its beginning. All zero at first. */
struct window {
    uint64_t sent, taken;
    uint64_t size; /* 0: WINDOW_SIZE */
};

/* How much may be sent now: 0 to WINDOW_CHUNK. */
size_t window_room(const struct window *w);
void window_sent(struct window *w, size_t size);
/* The host says so. What it cannot have taken, or has taken already, changes nothing. */
void window_taken(struct window *w, uint64_t offset);

#endif
