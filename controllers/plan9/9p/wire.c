#include "wire.h"

#include <assert.h>
#include <string.h>

static uint64_t read_number(struct reader *r, size_t size)
{
    uint64_t value = 0;
    struct span bytes = read_bytes(r, size);

    for (size_t i = bytes.size; i > 0; i--)
        value = value << 8 | (uint8_t)bytes.data[i - 1];
    return value;
}

uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_number(r, 1);
}

uint16_t read_u16(struct reader *r)
{
    return (uint16_t)read_number(r, 2);
}

uint32_t read_u32(struct reader *r)
{
    return (uint32_t)read_number(r, 4);
}

uint64_t read_u64(struct reader *r)
{
    return read_number(r, 8);
}

struct span read_bytes(struct reader *r, size_t size)
{
    if (r->cut || size > r->size - r->at) {
        r->cut = true;
        return (struct span){"", 0};
    }
    r->at += size;
    return (struct span){(const char *)r->data + r->at - size, size};
}

struct span read_text(struct reader *r)
{
    return read_bytes(r, read_u16(r));
}

bool read_all(const struct reader *r)
{
    return !r->cut && r->at == r->size;
}

static void write_bytes(struct writer *w, const void *data, size_t size)
{
    if (w->full || size > w->room - w->at) {
        w->full = true;
        return;
    }
    memcpy(w->data + w->at, data, size);
    w->at += size;
}

static void write_number(struct writer *w, uint64_t value, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    write_bytes(w, bytes, size);
}

void write_u8(struct writer *w, uint8_t value)
{
    write_number(w, value, 1);
}

void write_u16(struct writer *w, uint16_t value)
{
    write_number(w, value, 2);
}

void write_u32(struct writer *w, uint32_t value)
{
    write_number(w, value, 4);
}

void write_u64(struct writer *w, uint64_t value)
{
    write_number(w, value, 8);
}

void write_text(struct writer *w, const char *text, size_t size)
{
    assert(size <= UINT16_MAX);
    write_u16(w, (uint16_t)size);
    write_bytes(w, text, size);
}
