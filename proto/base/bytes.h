#ifndef SF_BYTES_H
#define SF_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes on the heap, owned by whoever holds the struct. */
struct sf_bytes {
    uint8_t *data;
    size_t size;
};

void sf_bytes_done(struct sf_bytes *b); /* frees and empties */
/* False: no memory, and *ret untouched. */
bool sf_bytes_copy(struct sf_bytes *ret, const void *data, size_t size);
bool sf_bytes_append(struct sf_bytes *b, const void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
