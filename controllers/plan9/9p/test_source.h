#ifndef NINEP_TEST_SOURCE_H
#define NINEP_TEST_SOURCE_H

/* Messages that a client might send, made from bytes of any kind: for random tests, and for a
 * fuzzer. Fids and names are few, so that they meet. */

#include <stddef.h>
#include <stdint.h>

struct source {
    const uint8_t *data; /* borrowed; zeros follow */
    size_t size, at;
};

unsigned draw(struct source *s, unsigned below);

/* A message whose fields make some sense; its length is right. Returns its size, up to 2,048. */
size_t draw_message(struct source *s, uint8_t ret[2048]);

#define SOURCE_SECRET "what the host keeps to itself"

#endif
