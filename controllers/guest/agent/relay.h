#ifndef AGENT_RELAY_H
#define AGENT_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One share's 9P conversation: bytes between a socket that the guest's kernel talks 9P on and the
 * shares' line. Each whole message of the kernel's becomes a piece of its own, since the host hands
 * on a piece only if there is room for what is answered; one larger than a piece becomes several.
 */
struct relay {
    uint64_t share;
    int fd;        /* our end; -1: it is over */
    uint8_t *held; /* owned; what the kernel has not taken yet */
    size_t n_held;
    bool ending;     /* over when the kernel has taken what is held */
    uint8_t head[4]; /* the size of the message that the kernel is in the midst of */
    unsigned n_head;
    uint32_t rest;  /* bytes of it that have not come */
    uint64_t asked; /* whole messages of the kernel's */
    uint64_t answered;
    uint8_t answer_head[4]; /* as above, of the host's */
    unsigned n_answer_head;
    uint32_t answer_rest;
};

/* *ret_end: for the kernel; the caller's. False: errno. */
bool relay_open(struct relay *r, uint64_t share, int *ret_end);
/* Over at once: whoever waits in the kernel gets an error. */
void relay_hang_up(struct relay *r);

/* What the host says. @closed: and no more after it. */
void relay_give(struct relay *r, const uint8_t *data, size_t size, bool closed);

/* Whether somebody may wait for an answer. A request that was flushed counts as one for ever. */
bool relay_is_asked(const struct relay *r);

/* What poll() is to look for; 0: nothing now. */
short relay_wants(const struct relay *r);
/* What it said. An end of the kernel's is told to the host. */
void relay_ready(struct relay *r, short revents);
/* Reads once. False: there is nothing now, or it is over. */
bool relay_read(struct relay *r);

#endif
