#include "snapshot/validate.h"

#include "base/text.h"
#include "snapshot/limits.h"
#include "snapshot/path.h"
#include "snapshot/refs.h"

struct enum_check {
    struct sf_text path;
    struct sf_reasons *why;
};

static void check_enum(struct enum_check *c, const ProtobufCFieldDescriptor *field, int number)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;

    if (protobuf_c_enum_descriptor_get_value(type, number) == NULL)
        sf_reasons_add_field(c->why, c->path.data != NULL ? c->path.data : "",
                             "%d is no %s that this version knows", number, type->short_name);
}

static void walk_enums(struct enum_check *c, const ProtobufCMessage *m)
{
    size_t here = c->path.size;

    for (unsigned f = 0; f < m->descriptor->n_fields; f++) {
        const ProtobufCFieldDescriptor *field = &m->descriptor->fields[f];
        if (field->type != PROTOBUF_C_TYPE_ENUM && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        size_t n = sf_field_count(m, field);
        for (size_t i = 0; i < n; i++) {
            const void *value = sf_field_value(m, field, i);
            sf_text_add(&c->path, "%s%s", here > 0 ? "." : "", field->name);
            if (field->label == PROTOBUF_C_LABEL_REPEATED)
                sf_text_add(&c->path, "[%zu]", i);
            if (field->type == PROTOBUF_C_TYPE_ENUM)
                check_enum(c, field, *(const int *)value);
            else
                walk_enums(c, value);
            c->path.size = here;
        }
    }
}

void sf_enums_check(const ProtobufCMessage *m, struct sf_reasons *why)
{
    struct enum_check c = {.why = why};

    walk_enums(&c, m);
    sf_text_done(&c.path);
}

void sf_snapshot_validate(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why)
{
    sf_reasons_source(why, "snapshot");
    sf_fields_check(s, why);
    sf_enums_check(&s->base, why);
    sf_lists_check(s, why);
    sf_refs_check(s, why);
    sf_rules_check(s, why);
}

char *sf_guest_mount_path(uint32_t slot, uint64_t partition)
{
    return sf_format("/run/sandferry/mounts/scsi/%u_%u_%llu", slot / SF_SCSI_LUNS,
                     slot % SF_SCSI_LUNS, (unsigned long long)partition);
}

char *sf_guest_rootfs_path(const char *guest_pod_id, const char *guest_container_id)
{
    return sf_format("/run/sandferry/pods/%s/%s/rootfs", guest_pod_id, guest_container_id);
}

char *sf_guest_scratch_path(const char *mount_path, const char *guest_pod_id,
                            const char *guest_container_id)
{
    return sf_format("%s/scratch/%s/%s", mount_path, guest_pod_id, guest_container_id);
}
