#include "snapshot/versions.h"

#include <string.h>

#include "snapshot/path.h"
#include "snapshot/sections.h"

// clang-format off
static const struct {
    const char *section;
    uint32_t oldest, newest;
} sections[] = {
    { "vm",        1, 1 },
    { "scsi",      1, 1 },
    { "vpci",      1, 1 },
    { "plan9",     1, 1 },
    { "network",   1, 1 },
    { "container", 1, 1 },
    { "process",   1, 1 },
};
// clang-format on

bool sf_version_check(const char *what, uint32_t is, uint32_t oldest, uint32_t newest,
                      struct sf_error **err)
{
    if (is >= oldest && is <= newest)
        return true;
    if (oldest == newest)
        return sf_fail(err, SF_UNIMPLEMENTED, "%s has version %u; this build reads version %u",
                       what, is, newest);
    return sf_fail(err, SF_UNIMPLEMENTED, "%s has version %u; this build reads versions %u to %u",
                   what, is, oldest, newest);
}

static bool check_section(const char *name, uint32_t version, struct sf_error **err)
{
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (strcmp(sections[i].section, name) != 0)
            continue;
        SF_CLEANUP(sf_freep) char *what = sf_format("%s section", name);
        if (sf_version_check(what != NULL ? what : name, version, sections[i].oldest,
                             sections[i].newest, err))
            return true;
        SF_CLEANUP(sf_freep) char *field = sf_format("%s.schema_version", name);
        return sf_fail_detail(err, SF_DETAIL_FIELD, field != NULL ? field : name, "%s",
                              sf_error_message(*err));
    }
    return sf_fail(err, SF_INTERNAL, "versions.c does not know section '%s'", name);
}

bool sf_snapshot_check_versions(const Sandferry__V1__SandboxSnapshot *s, struct sf_error **err)
{
    if (!sf_version_check("snapshot", s->schema_version, SF_SNAPSHOT_SCHEMA_OLDEST,
                          SF_SNAPSHOT_SCHEMA, err))
        return sf_fail_detail(err, SF_DETAIL_FIELD, "schema_version", "%s", sf_error_message(*err));

    const ProtobufCMessageDescriptor *type = s->base.descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (!sf_field_is_section(field) || sf_field_count(&s->base, field) == 0)
            continue;
        const ProtobufCMessage *section = sf_field_value(&s->base, field, 0);
        if (!check_section(field->name, sf_section_version(section), err))
            return false;
    }
    return true;
}
