#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

void sf_bytes_done(struct sf_bytes *b)
{
    free(b->data);
    *b = (struct sf_bytes){0};
}

bool sf_bytes_copy(struct sf_bytes *ret, const void *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* no bytes are not no memory */

    if (copy == NULL)
        return false;
    if (size > 0)
        memcpy(copy, data, size);
    *ret = (struct sf_bytes){.data = copy, .size = size};
    return true;
}

bool sf_bytes_append(struct sf_bytes *b, const void *data, size_t size)
{
    if (size == 0)
        return true;
    if (size > SIZE_MAX - b->size)
        return false;

    uint8_t *grown = realloc(b->data, b->size + size);
    if (grown == NULL)
        return false;
    memcpy(grown + b->size, data, size);
    b->data = grown;
    b->size += size;
    return true;
}
