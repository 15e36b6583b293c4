#include "process/process.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Byte N of the stream stands at N modulo the size, so nothing is ever moved. */

uint64_t ring_begin(const struct ring *r)
{
    return r->end - r->size;
}

static void put(struct ring *r, const uint8_t *data, size_t size)
{
    size_t at = (size_t)(r->end % RING_SIZE);
    size_t first = size < RING_SIZE - at ? size : RING_SIZE - at;

    memcpy(r->data + at, data, first);
    memcpy(r->data, data + first, size - first);
    r->end += size;
    r->size = r->size + size < RING_SIZE ? r->size + size : RING_SIZE;
}

bool ring_add(struct ring *r, const uint8_t *data, size_t size)
{
    if (size == 0)
        return true;
    if (r->data == NULL && (r->data = malloc(RING_SIZE)) == NULL)
        return false;
    while (size > 0) {
        size_t n = size < RING_SIZE ? size : RING_SIZE;
        put(r, data, n);
        data += n;
        size -= n;
    }
    return true;
}

void ring_skip(struct ring *r, uint64_t offset)
{
    assert(offset >= r->end);

    r->end = offset;
    r->size = 0;
}

size_t ring_copy(const struct ring *r, uint64_t offset, uint8_t *ret, size_t room)
{
    assert(offset >= ring_begin(r) && offset <= r->end);

    size_t left = (size_t)(r->end - offset);
    size_t n = left < room ? left : room;
    size_t at = (size_t)(offset % RING_SIZE);
    size_t first = n < RING_SIZE - at ? n : RING_SIZE - at;
    if (n == 0)
        return 0;
    memcpy(ret, r->data + at, first);
    memcpy(ret + first, r->data, n - first);
    return n;
}

void ring_done(struct ring *r)
{
    free(r->data);
    *r = (struct ring){0};
}
