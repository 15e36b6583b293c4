#include "snapshot/snapshot.h"

#include "base/reasons.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;

bool sf_snapshot_check_valid(const snapshot *s, struct sf_error **err)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    if (why == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    sf_snapshot_validate(s, why);
    return sf_reasons_fail(why, SF_INVALID_ARGUMENT, "the snapshot is not sound", err);
}

bool sf_snapshot_check(const snapshot *s, const char *const *controllers, struct sf_error **err)
{
    return sf_snapshot_check_versions(s, err) && sf_snapshot_check_unknown(s, err) &&
           (controllers == NULL || sf_sections_check_known(s, controllers, err)) &&
           sf_snapshot_check_valid(s, err) && sf_snapshot_digest_verify(s, err);
}

snapshot *sf_snapshot_load(const uint8_t *data, size_t size, const char *const *controllers,
                           struct sf_error **err)
{
    SF_CLEANUP(sf_snapshot_freep) snapshot *s = sf_snapshot_decode(data, size, err);

    if (s == NULL || !sf_snapshot_check(s, controllers, err))
        return NULL;
    return SF_STEAL(s);
}

snapshot *sf_snapshot_load_file(const char *path, const char *const *controllers,
                                struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = {0};

    if (!sf_file_read(path, SF_SNAPSHOT_SIZE_MAX, &bytes, err))
        return NULL;
    snapshot *s = sf_snapshot_load(bytes.data, bytes.size, controllers, err);
    if (s == NULL)
        sf_fail_in(err, "'%s'", path);
    return s;
}

bool sf_snapshot_write_file(const snapshot *s, const char *path, struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = {0};

    return sf_snapshot_encode(s, &bytes, err) &&
           sf_file_write(path, bytes.data, bytes.size, 0600, err);
}
