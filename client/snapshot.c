/* The snapshot as an object: a thin cover of the snapshot library. */

#include <stdlib.h>

#include "result.h"
#include "snapshot/show.h"
#include "snapshot/snapshot.h"
#include "snapshot_object.h"

bool snapshot_new(Sandferry__V1__SandboxSnapshot *wire, struct sandferry_snapshot **ret,
                  struct sf_error **err)
{
    struct sandferry_snapshot *snapshot = malloc(sizeof(*snapshot));
    if (snapshot == NULL) {
        sf_snapshot_free(wire);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    }
    snapshot->wire = wire;
    *ret = snapshot;
    return true;
}

PUBLIC void sandferry_snapshot_free(struct sandferry_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    sf_snapshot_free(snapshot->wire);
    free(snapshot);
}

PUBLIC bool sandferry_snapshot_from_bytes(const void *data, size_t size,
                                          struct sandferry_snapshot **ret, struct sf_error **err)
{
    Sandferry__V1__SandboxSnapshot *wire = sf_snapshot_decode(data, size, err);
    return wire != NULL && snapshot_new(wire, ret, err);
}

PUBLIC bool sandferry_snapshot_read(const char *path, struct sandferry_snapshot **ret,
                                    struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes bytes = {0};

    return sf_file_read(path, SF_SNAPSHOT_SIZE_MAX, &bytes, err) &&
           (sandferry_snapshot_from_bytes(bytes.data, bytes.size, ret, err) ||
            sf_fail_in(err, "'%s'", path));
}

PUBLIC bool sandferry_snapshot_write(const struct sandferry_snapshot *snapshot, const char *path,
                                     struct sf_error **err)
{
    return sf_snapshot_write_file(snapshot->wire, path, err);
}

PUBLIC bool sandferry_snapshot_to_bytes(const struct sandferry_snapshot *snapshot, void **ret_data,
                                        size_t *ret_size, struct sf_error **err)
{
    struct sf_bytes bytes = {0};

    if (!sf_snapshot_encode(snapshot->wire, &bytes, err))
        return false;
    *ret_data = bytes.data;
    *ret_size = bytes.size;
    return true;
}

PUBLIC bool sandferry_snapshot_check(const struct sandferry_snapshot *snapshot,
                                     struct sf_error **err)
{
    return sf_snapshot_check(snapshot->wire, NULL, err);
}

PUBLIC bool sandferry_snapshot_view(const struct sandferry_snapshot *snapshot,
                                    enum sandferry_view view, char **ret, struct sf_error **err)
{
    char *text = NULL;

    switch (view) {
    case SANDFERRY_TREE:
        text = sf_snapshot_to_tree(snapshot->wire);
        break;
    case SANDFERRY_JSON:
        text = sf_snapshot_to_json_text(snapshot->wire);
        break;
    case SANDFERRY_DOT:
        text = sf_snapshot_to_dot(snapshot->wire);
        break;
    default:
        return sf_fail(err, SF_INVALID_ARGUMENT, "there is no view number %d", (int)view);
    }
    if (text == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    *ret = text;
    return true;
}

PUBLIC const char *sandferry_snapshot_sandbox(const struct sandferry_snapshot *snapshot)
{
    return snapshot->wire->sandbox_id;
}

PUBLIC int64_t sandferry_snapshot_created_at_ns(const struct sandferry_snapshot *snapshot)
{
    return time_ns(snapshot->wire->created_at);
}
