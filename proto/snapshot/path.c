#include "snapshot/path.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_FLOAT:
        return sizeof(float);
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(double);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return sizeof(uint32_t);
    }
}

static const void *member(const ProtobufCMessage *m, unsigned offset)
{
    return (const char *)m + offset;
}

static bool is_pointer(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
}

size_t sf_field_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)member(m, field->quantifier_offset);
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
        *(const uint32_t *)member(m, field->quantifier_offset) != field->id)
        return 0;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)member(m, field->offset) != NULL;
    return 1;
}

const void *sf_field_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field,
                           size_t i)
{
    const void *at = member(m, field->offset);

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        at = *(const char *const *)at + i * value_size(field);
    if (!is_pointer(field))
        return at;
    const void *value = *(void *const *)at;
    return value == NULL && field->type == PROTOBUF_C_TYPE_STRING ? "" : value;
}

static void print_enum(const ProtobufCFieldDescriptor *field, int number, struct sf_text *out)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(field->descriptor, number);

    if (value != NULL)
        sf_text_add(out, "%s", value->name);
    else
        sf_text_add(out, "%d", number);
}

void sf_field_print(const ProtobufCFieldDescriptor *field, const void *value, struct sf_text *out)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        sf_text_add(out, "%s", (const char *)value);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        print_enum(field, *(const int *)value, out);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        sf_text_add(out, "%s", *(const protobuf_c_boolean *)value ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        sf_text_add(out, "%" PRId32, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        sf_text_add(out, "%" PRIu32, *(const uint32_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        sf_text_add(out, "%" PRId64, *(const int64_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        sf_text_add(out, "%" PRIu64, *(const uint64_t *)value);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        sf_text_add(out, "%.9g", (double)*(const float *)value);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        sf_text_add(out, "%.17g", *(const double *)value);
        break;
    default:
        sf_text_add(out, "(%s)", field->name);
    }
}

/* The field that the next name of a path means; *path moves behind it. */
static const ProtobufCFieldDescriptor *next_field(const ProtobufCMessageDescriptor *type,
                                                  const char **path)
{
    size_t size = strcspn(*path, ".[");
    const ProtobufCFieldDescriptor *found = NULL;

    for (unsigned i = 0; i < type->n_fields && found == NULL; i++)
        if (strlen(type->fields[i].name) == size && memcmp(type->fields[i].name, *path, size) == 0)
            found = &type->fields[i];
    assert(found != NULL);
    *path += size;
    bool list = strncmp(*path, "[]", 2) == 0;
    assert(list == (found->label == PROTOBUF_C_LABEL_REPEATED));
    *path += list ? 2 : 0;
    *path += **path == '.';
    return found;
}

static void go(struct sf_place *place, const char *path, sf_place_visitor *visit, void *arg)
{
    const ProtobufCMessage *m = place->in[place->n];
    const char *rest = path;

    assert(place->n < SF_PATH_DEPTH && m != NULL);
    const ProtobufCFieldDescriptor *field = next_field(m->descriptor, &rest);
    place->fields[place->n++] = field;
    size_t n = sf_field_count(m, field);
    for (size_t i = 0; i < n; i++) {
        place->indexes[place->n - 1] = (uint32_t)i;
        place->value = sf_field_value(m, field, i);
        place->in[place->n] = field->type == PROTOBUF_C_TYPE_MESSAGE ? place->value : NULL;
        if (*rest == '\0')
            visit(place, arg);
        else
            go(place, rest, visit, arg);
    }
    place->n--;
}

void sf_path_each(const ProtobufCMessage *root, const char *path, sf_place_visitor *visit,
                  void *arg)
{
    struct sf_place place = {.in = {root}};

    go(&place, path, visit, arg);
}

void sf_place_print(const struct sf_place *place, struct sf_text *out)
{
    for (unsigned i = 0; i < place->n; i++) {
        sf_text_add(out, "%s%s", i > 0 ? "." : "", place->fields[i]->name);
        if (place->fields[i]->label == PROTOBUF_C_LABEL_REPEATED)
            sf_text_add(out, "[%u]", place->indexes[i]);
    }
}

const void *sf_place_beside(const struct sf_place *place, const char *path,
                            const ProtobufCFieldDescriptor **ret_field)
{
    unsigned level = 0;
    const char *name = path;

    for (const char *dot; (dot = strchr(name, '.')) != NULL; name = dot + 1)
        level++;
    if (level > place->n || place->in[level] == NULL)
        return NULL;
    const ProtobufCMessage *m = place->in[level];
    const ProtobufCFieldDescriptor *field = next_field(m->descriptor, &name);
    if (ret_field != NULL)
        *ret_field = field;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) /* the one that the place is in */
        return level < place->n && place->fields[level] == field
                   ? sf_field_value(m, field, place->indexes[level])
                   : NULL;
    return sf_field_count(m, field) > 0 ? sf_field_value(m, field, 0) : NULL;
}
