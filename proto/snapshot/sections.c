#include "snapshot/sections.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "snapshot/path.h"
#include "snapshot/wire.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;
typedef Sandferry__V1__Extension extension;

bool sf_field_is_section(const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED)
        return false;
    const ProtobufCFieldDescriptor *version =
        protobuf_c_message_descriptor_get_field_by_name(field->descriptor, "schema_version");
    return version != NULL && version->type == PROTOBUF_C_TYPE_UINT32;
}

uint32_t sf_section_version(const ProtobufCMessage *section)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(section->descriptor, "schema_version");

    return *(const uint32_t *)sf_field_value(section, field, 0);
}

static const ProtobufCFieldDescriptor *typed_field(const char *controller)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(
        &sandferry__v1__sandbox_snapshot__descriptor, controller);

    return field != NULL && sf_field_is_section(field) ? field : NULL;
}

static ProtobufCMessage **typed_place(snapshot *s, const ProtobufCFieldDescriptor *field)
{
    return (ProtobufCMessage **)((char *)s + field->offset);
}

static bool set_typed(snapshot *s, const ProtobufCFieldDescriptor *field, uint32_t version,
                      const struct sf_bytes *section, struct sf_error **err)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    SF_CLEANUP(sf_error_freep) struct sf_error *why = NULL;

    if (!sf_wire_check(type, section->data, section->size, &sf_wire_snapshot, &why))
        return sf_fail(
            err, sf_error_code(why) == SF_RESOURCE_EXHAUSTED ? SF_RESOURCE_EXHAUSTED : SF_INTERNAL,
            "section '%s': %s", field->name, sf_error_message(why));
    ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, section->size, section->data);
    if (m == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "section '%s': out of memory", field->name);
    if (sf_section_version(m) != version) {
        sf_fail(err, SF_INTERNAL, "section '%s' holds schema_version %u; its controller writes %u",
                field->name, sf_section_version(m), version);
        protobuf_c_message_free_unpacked(m, NULL);
        return false;
    }

    ProtobufCMessage **place = typed_place(s, field);
    if (*place != NULL)
        protobuf_c_message_free_unpacked(*place, NULL);
    *place = m;
    return true;
}

static void extension_free(extension *e)
{
    if (e != NULL)
        sandferry__v1__extension__free_unpacked(e, NULL);
}
SF_DEFINE_CLEANUP(extension, extension_free)

static extension *extension_new(const char *controller, uint32_t version, bool critical,
                                const void *payload, size_t size)
{
    SF_CLEANUP(extension_freep) extension *e = malloc(sizeof(*e));
    if (e == NULL)
        return NULL;
    sandferry__v1__extension__init(e);
    e->controller = strdup(controller);
    e->version = version;
    e->critical = critical;
    if (e->controller == NULL) {
        e->controller = (char *)protobuf_c_empty_string;
        return NULL;
    }
    struct sf_bytes copy;
    if (size > 0) {
        if (!sf_bytes_copy(&copy, payload, size))
            return NULL;
        e->payload = (ProtobufCBinaryData){.len = copy.size, .data = copy.data};
    }
    return SF_STEAL(e);
}

/* Where the extension stands, or would stand. */
static size_t extension_index(const snapshot *s, const char *controller, bool *ret_found)
{
    size_t i = 0;

    while (i < s->n_extensions && strcmp(s->extensions[i]->controller, controller) < 0)
        i++;
    *ret_found = i < s->n_extensions && strcmp(s->extensions[i]->controller, controller) == 0;
    return i;
}

static bool set_extension(snapshot *s, const char *controller, uint32_t version, bool critical,
                          const void *payload, size_t size, struct sf_error **err)
{
    SF_CLEANUP(extension_freep)
    extension *e = extension_new(controller, version, critical, payload, size);
    if (e == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "section '%s': out of memory", controller);

    bool found;
    size_t i = extension_index(s, controller, &found);
    if (found) {
        extension_free(s->extensions[i]);
        s->extensions[i] = SF_STEAL(e);
        return true;
    }
    extension **grown = realloc(s->extensions, (s->n_extensions + 1) * sizeof(extension *));
    if (grown == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "section '%s': out of memory", controller);
    s->extensions = grown;
    memmove(&grown[i + 1], &grown[i], (s->n_extensions - i) * sizeof(extension *));
    grown[i] = SF_STEAL(e);
    s->n_extensions++;
    return true;
}

bool sf_section_set(snapshot *s, const char *controller, uint32_t version, bool critical,
                    const struct sf_bytes *section, struct sf_error **err)
{
    const ProtobufCFieldDescriptor *field = typed_field(controller);

    if (field != NULL)
        return set_typed(s, field, version, section, err);
    if (!sf_id_valid(controller))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is no controller's name", controller);
    return set_extension(s, controller, version, critical, section->data, section->size, err);
}

static bool get_typed(const ProtobufCMessage *m, struct sf_bytes *ret, uint32_t *ret_version)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *data = malloc(size > 0 ? size : 1);

    if (data == NULL)
        return false;
    protobuf_c_message_pack(m, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    *ret_version = sf_section_version(m);
    return true;
}

bool sf_section_get(const snapshot *s, const char *controller, struct sf_bytes *ret,
                    uint32_t *ret_version, struct sf_error **err)
{
    const ProtobufCFieldDescriptor *field = typed_field(controller);
    bool found, ok;

    if (field != NULL) {
        found = sf_field_count(&s->base, field) > 0;
        ok = found && get_typed(sf_field_value(&s->base, field, 0), ret, ret_version);
    } else {
        size_t i = extension_index(s, controller, &found);
        ok = found &&
             sf_bytes_copy(ret, s->extensions[i]->payload.data, s->extensions[i]->payload.len);
        if (ok)
            *ret_version = s->extensions[i]->version;
    }
    if (!found)
        return sf_fail(err, SF_NOT_FOUND, "the snapshot has no section '%s'", controller);
    return ok || sf_fail(err, SF_RESOURCE_EXHAUSTED, "section '%s': out of memory", controller);
}

const char *sf_section_name(const snapshot *s, size_t i)
{
    const ProtobufCMessageDescriptor *type = s->base.descriptor;

    for (unsigned f = 0; f < type->n_fields; f++) {
        const ProtobufCFieldDescriptor *field = &type->fields[f];
        if (sf_field_is_section(field) && sf_field_count(&s->base, field) > 0 && i-- == 0)
            return field->name;
    }
    return i < s->n_extensions ? s->extensions[i]->controller : NULL;
}

static bool is_among(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static bool refuse_unknown(const char *path, const char *name, struct sf_error **err)
{
    if (*err == NULL)
        sf_fail(err, SF_UNIMPLEMENTED,
                "the snapshot has a section of controller '%s', which is not loaded here; "
                "install it",
                name);
    return sf_fail_detail(err, SF_DETAIL_FIELD, path, "controller '%s' is not loaded here", name);
}

bool sf_sections_check_known(const snapshot *s, const char *const *controllers,
                             struct sf_error **err)
{
    const ProtobufCMessageDescriptor *type = s->base.descriptor;
    struct sf_error *refused = NULL;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (sf_field_is_section(field) && sf_field_count(&s->base, field) > 0 &&
            !is_among(field->name, controllers))
            refuse_unknown(field->name, field->name, &refused);
    }
    for (size_t i = 0; i < s->n_extensions; i++) {
        const extension *e = s->extensions[i];
        SF_CLEANUP(sf_freep) char *path = sf_format("extensions[%zu]", i);
        if (e->critical && !is_among(e->controller, controllers))
            refuse_unknown(path != NULL ? path : "extensions", e->controller, &refused);
    }
    if (refused == NULL)
        return true;
    *err = refused;
    return false;
}

bool sf_sections_keep_unknown(snapshot *to, const snapshot *from, const char *const *controllers,
                              struct sf_error **err)
{
    for (size_t i = 0; i < from->n_extensions; i++) {
        const extension *e = from->extensions[i];
        if (is_among(e->controller, controllers))
            continue;
        if (!set_extension(to, e->controller, e->version, e->critical, e->payload.data,
                           e->payload.len, err))
            return false;
    }
    return true;
}
