#ifndef NINEP_WIRE_H
#define NINEP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The fields of a message, one after the other. A reader that comes to the end of the message gives
 * zeros from then on, and a writer that comes to the end of its room drops what does not fit; both
 * remember, and are asked once, when all has been read or written.
 */
struct reader {
    const uint8_t *data; /* borrowed */
    size_t size, at;
    bool cut;
};

/* Borrowed from the message; not NUL-terminated. */
struct span {
    const char *data;
    size_t size;
};

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
struct span read_text(struct reader *r);
struct span read_bytes(struct reader *r, size_t size);
bool read_all(const struct reader *r); /* every field was there, and nothing else */

struct writer {
    uint8_t *data; /* borrowed */
    size_t room, at;
    bool full;
};

void write_u8(struct writer *w, uint8_t value);
void write_u16(struct writer *w, uint16_t value);
void write_u32(struct writer *w, uint32_t value);
void write_u64(struct writer *w, uint64_t value);
void write_text(struct writer *w, const char *text, size_t size); /* at most 65,535 bytes */

#endif
