#include "snapshot/decode.h"

#include "base/reasons.h"
#include "base/text.h"
#include "snapshot/path.h"
#include "snapshot/versions.h"
#include "snapshot/wire.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;

void sf_snapshot_free(snapshot *s)
{
    if (s != NULL)
        sandferry__v1__sandbox_snapshot__free_unpacked(s, NULL);
}

snapshot *sf_snapshot_decode(const uint8_t *data, size_t size, struct sf_error **err)
{
    return sf_snapshot_decode_with(data, size, NULL, err);
}

snapshot *sf_snapshot_decode_with(const uint8_t *data, size_t size, ProtobufCAllocator *allocator,
                                  struct sf_error **err)
{
    const ProtobufCMessageDescriptor *type = &sandferry__v1__sandbox_snapshot__descriptor;
    uint64_t version = 0;

    /* Before the types are checked: a newer schema may have other types. */
    if (size <= sf_wire_snapshot.size &&
        sf_wire_peek_varint(data, size, 1 /* schema_version */, &version) &&
        !sf_version_check("snapshot", version > UINT32_MAX ? UINT32_MAX : (uint32_t)version,
                          SF_SNAPSHOT_SCHEMA_OLDEST, SF_SNAPSHOT_SCHEMA, err)) {
        sf_fail_detail(err, SF_DETAIL_FIELD, "schema_version", "%s", sf_error_message(*err));
        return NULL;
    }
    if (!sf_wire_check(type, data, size, &sf_wire_snapshot_lenient, err))
        return NULL;

    snapshot *s = sandferry__v1__sandbox_snapshot__unpack(allocator, size, data);
    if (s == NULL) { /* the bytes are good: they have just been checked */
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
        return NULL;
    }
    if (!sf_snapshot_check_versions(s, err) || !sf_snapshot_check_unknown(s, err) ||
        !sf_wire_check(type, data, size, &sf_wire_snapshot, err)) {
        sandferry__v1__sandbox_snapshot__free_unpacked(s, allocator);
        return NULL;
    }
    return s;
}

static void find_unknown(const ProtobufCMessage *m, struct sf_text *path, struct sf_reasons *why)
{
    size_t here = path->size;

    for (unsigned i = 0; i < m->n_unknown_fields; i++) {
        sf_text_add(path, "%sfield %u", here > 0 ? "." : "", m->unknown_fields[i].tag);
        sf_reasons_add_field(why, path->data != NULL ? path->data : "",
                             "this version does not know the field; use one that does");
        path->size = here;
    }
    for (unsigned f = 0; f < m->descriptor->n_fields; f++) {
        const ProtobufCFieldDescriptor *field = &m->descriptor->fields[f];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        size_t n = sf_field_count(m, field);
        for (size_t i = 0; i < n; i++) {
            sf_text_add(path, "%s%s", here > 0 ? "." : "", field->name);
            if (field->label == PROTOBUF_C_LABEL_REPEATED)
                sf_text_add(path, "[%zu]", i);
            find_unknown(sf_field_value(m, field, i), path, why);
            path->size = here;
        }
    }
}

bool sf_snapshot_check_unknown(const snapshot *s, struct sf_error **err)
{
    SF_CLEANUP(sf_text_done) struct sf_text path = {0};
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    if (why == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    find_unknown(&s->base, &path, why);
    if (path.broken)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    return sf_reasons_fail(why, SF_INVALID_ARGUMENT, "the snapshot has unknown fields", err);
}
