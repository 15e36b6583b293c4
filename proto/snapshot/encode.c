#include "snapshot/encode.h"

#include <stdlib.h>

#include "snapshot/limits.h"

bool sf_snapshot_encode(const Sandferry__V1__SandboxSnapshot *s, struct sf_bytes *ret,
                        struct sf_error **err)
{
    size_t size = protobuf_c_message_get_packed_size(&s->base);

    if (size > SF_SNAPSHOT_SIZE_MAX)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED,
                       "the snapshot of sandbox '%s' has %zu bytes; at most %d", s->sandbox_id,
                       size, SF_SNAPSHOT_SIZE_MAX);
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    protobuf_c_message_pack(&s->base, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    return true;
}
