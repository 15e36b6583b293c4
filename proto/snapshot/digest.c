#include "snapshot/digest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "snapshot/encode.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;

bool sf_snapshot_digest(const snapshot *s, uint8_t ret[SF_DIGEST_SIZE], struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = {0};
    snapshot without = *s; /* borrows all that hangs off it */

    without.digest = (ProtobufCBinaryData){0};
    if (!sf_snapshot_encode(&without, &bytes, err))
        return false;
    if (EVP_Digest(bytes.data, bytes.size, ret, NULL, EVP_sha256(), NULL) != 1)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "SHA-256 cannot be had from OpenSSL");
    return true;
}

bool sf_snapshot_digest_set(snapshot *s, struct sf_error **err)
{
    uint8_t digest[SF_DIGEST_SIZE];
    struct sf_bytes copy;

    if (!sf_snapshot_digest(s, digest, err))
        return false;
    if (!sf_bytes_copy(&copy, digest, sizeof(digest)))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    free(s->digest.data);
    s->digest = (ProtobufCBinaryData){.len = copy.size, .data = copy.data};
    return true;
}

bool sf_snapshot_digest_verify(const snapshot *s, struct sf_error **err)
{
    uint8_t want[SF_DIGEST_SIZE];

    if (s->digest.len != SF_DIGEST_SIZE) {
        sf_fail(err, SF_INVALID_ARGUMENT,
                "digest: %zu bytes; the snapshot of sandbox '%s' needs one of %d", s->digest.len,
                s->sandbox_id, SF_DIGEST_SIZE);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "digest", "%zu bytes; want %d", s->digest.len,
                              SF_DIGEST_SIZE);
    }
    if (!sf_snapshot_digest(s, want, err))
        return false;
    if (memcmp(want, s->digest.data, SF_DIGEST_SIZE) == 0)
        return true;
    sf_fail(err, SF_DATA_LOSS,
            "digest: the snapshot of sandbox '%s' has changed since it was written; save it again",
            s->sandbox_id);
    return sf_fail_detail(err, SF_DETAIL_FIELD, "digest", "does not match");
}
