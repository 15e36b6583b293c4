#include "snapshot/wire.h"

#include <string.h>

#include "base/text.h"
#include "snapshot/limits.h"

const struct sf_wire_limits sf_wire_snapshot = {
    .size = SF_SNAPSHOT_SIZE_MAX,
    .depth = SF_SNAPSHOT_DEPTH_MAX,
    .elements = SF_SNAPSHOT_ELEMENTS_MAX,
    .string = SF_SNAPSHOT_STRING_MAX,
    .bytes = SF_SNAPSHOT_BYTES_MAX,
    .strict = true,
};

const struct sf_wire_limits sf_wire_snapshot_lenient = {
    .size = SF_SNAPSHOT_SIZE_MAX,
    .depth = SF_SNAPSHOT_DEPTH_MAX,
    .elements = SF_SNAPSHOT_ELEMENTS_MAX,
    .string = SF_SNAPSHOT_STRING_MAX,
    .bytes = SF_SNAPSHOT_BYTES_MAX,
};

/* A RestoreSandbox request holds a snapshot, as a message or as bytes, and some patches. */
const struct sf_wire_limits sf_wire_request = {
    .size = SF_SNAPSHOT_SIZE_MAX + 1024 * 1024,
    .depth = SF_SNAPSHOT_DEPTH_MAX + 2,
    .elements = SF_SNAPSHOT_ELEMENTS_MAX + 4096,
    .string = SF_SNAPSHOT_STRING_MAX,
    .bytes = SF_SNAPSHOT_SIZE_MAX,
};

enum wire_type { VARINT = 0, FIXED64 = 1, DELIMITED = 2, GROUP = 3, GROUP_END = 4, FIXED32 = 5 };

/* How often a field has come in one message; fields beyond this many are not counted. */
#define COUNTED_FIELDS 64

/* One message under way. They chain up to the outermost, which gives the path for an error. */
struct frame {
    const struct frame *up;
    const ProtobufCMessageDescriptor *type;
    uint32_t seen[COUNTED_FIELDS];
    const ProtobufCFieldDescriptor *field; /* under way; NULL: one that the type does not have */
    uint32_t tag;
};

struct check {
    const struct sf_wire_limits *limits;
    size_t elements;
    struct sf_error **err;
};

struct reader {
    const uint8_t *at, *end;
};

static uint32_t *count_of(struct frame *f)
{
    size_t i = (size_t)(f->field - f->type->fields);

    return i < COUNTED_FIELDS ? &f->seen[i] : NULL;
}

static void add_path(struct sf_text *path, const struct frame *f)
{
    if (f == NULL)
        return;
    add_path(path, f->up);
    if (f->tag == 0)
        return;
    const char *dot = path->size > 0 ? "." : "";
    if (f->field == NULL) {
        sf_text_add(path, "%sfield %u", dot, f->tag);
        return;
    }
    sf_text_add(path, "%s%s", dot, f->field->name);
    size_t i = (size_t)(f->field - f->type->fields);
    if (f->field->label == PROTOBUF_C_LABEL_REPEATED && i < COUNTED_FIELDS && f->seen[i] > 0)
        sf_text_add(path, "[%u]", f->seen[i] - 1);
}

static bool refuse(struct check *c, const struct frame *f, enum sf_code code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static bool refuse(struct check *c, const struct frame *f, enum sf_code code, const char *fmt, ...)
{
    SF_CLEANUP(sf_text_done) struct sf_text path = {0};
    add_path(&path, f);
    const char *where = path.size > 0 ? path.data : "message";

    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    va_list args;
    va_start(args, fmt);
    sf_text_addv(&text, fmt, args);
    va_end(args);
    const char *what = text.data != NULL ? text.data : "out of memory";

    sf_fail(c->err, code, "%s: %s", where, what);
    return sf_fail_detail(c->err, SF_DETAIL_FIELD, where, "%s", what);
}

enum varint { VARINT_GOOD, VARINT_CUT, VARINT_OVERLONG };

static enum varint read_varint(struct reader *r, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        if (shift == 63 && byte > 1)
            return VARINT_OVERLONG;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret = value;
            return byte == 0 && shift > 0 ? VARINT_OVERLONG : VARINT_GOOD;
        }
    }
    return VARINT_CUT;
}

static bool take_varint(struct check *c, const struct frame *f, struct reader *r, uint64_t *ret)
{
    switch (read_varint(r, ret)) {
    case VARINT_GOOD:
        return true;
    case VARINT_CUT:
        return refuse(c, f, SF_INVALID_ARGUMENT, "cut off in a number");
    default:
        return refuse(c, f, SF_INVALID_ARGUMENT, "a number longer than need be");
    }
}

static bool count_element(struct check *c, const struct frame *f, size_t n)
{
    if (n > c->limits->elements - c->elements)
        return refuse(c, f, SF_RESOURCE_EXHAUSTED, "more than %zu messages and list elements",
                      c->limits->elements);
    c->elements += n;
    return true;
}

/* protobuf-c cuts what does not fit; another reader may not. */
static bool fits(const ProtobufCFieldDescriptor *field, uint64_t value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return value <= 1;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_SINT32:
        return value <= UINT32_MAX;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM: /* less than zero travels as 64 bits */
        return (int64_t)value >= INT32_MIN && (int64_t)value <= INT32_MAX;
    default:
        return true;
    }
}

static bool check_number(struct check *c, const struct frame *f, uint64_t value)
{
    if (c->limits->strict && f->field != NULL && !fits(f->field, value))
        return refuse(c, f, SF_INVALID_ARGUMENT, "%llu does not fit the field",
                      (unsigned long long)value);
    return true;
}

static enum wire_type wire_type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return DELIMITED;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return FIXED32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return FIXED64;
    default:
        return VARINT;
    }
}

static bool check_packed(struct check *c, const struct frame *f, struct reader r)
{
    enum wire_type element = wire_type_of(f->field);

    if (element != VARINT) {
        size_t width = element == FIXED32 ? 4 : 8, size = (size_t)(r.end - r.at);
        if (size % width != 0)
            return refuse(c, f, SF_INVALID_ARGUMENT, "cut off in a number");
        return count_element(c, f, size / width);
    }
    while (r.at < r.end) {
        uint64_t value;
        if (!count_element(c, f, 1) || !take_varint(c, f, &r, &value) || !check_number(c, f, value))
            return false;
    }
    return true;
}

static bool check_message(struct check *c, const struct frame *up, unsigned depth,
                          const ProtobufCMessageDescriptor *type, struct reader r);

static bool check_delimited(struct check *c, const struct frame *f, unsigned depth,
                            struct reader inner)
{
    size_t size = (size_t)(inner.end - inner.at);

    if (f->field == NULL)
        return true;
    switch (f->field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return count_element(c, f, 1) &&
               check_message(c, f, depth + 1, f->field->descriptor, inner);
    case PROTOBUF_C_TYPE_BYTES:
        if (size > c->limits->bytes)
            return refuse(c, f, SF_RESOURCE_EXHAUSTED, "%zu bytes; at most %zu", size,
                          c->limits->bytes);
        return true;
    case PROTOBUF_C_TYPE_STRING:
        if (size > c->limits->string)
            return refuse(c, f, SF_RESOURCE_EXHAUSTED, "%zu bytes; at most %zu", size,
                          c->limits->string);
        if (!sf_utf8_valid((const char *)inner.at, size))
            return refuse(c, f, SF_INVALID_ARGUMENT, "not UTF-8 without NUL");
        return true;
    default:
        return check_packed(c, f, inner);
    }
}

static bool check_repeat(struct check *c, struct frame *f)
{
    uint32_t *seen = count_of(f);
    bool singular = f->field->label != PROTOBUF_C_LABEL_REPEATED;

    if (seen != NULL)
        (*seen)++;
    /* protobuf-c merges a message that comes twice in another way than other readers do. */
    if (singular && seen != NULL && *seen > 1 &&
        (c->limits->strict || f->field->type == PROTOBUF_C_TYPE_MESSAGE))
        return refuse(c, f, SF_INVALID_ARGUMENT, "comes twice");
    return true;
}

static bool check_known(struct check *c, struct frame *f, enum wire_type type)
{
    enum wire_type want = wire_type_of(f->field);
    bool list = f->field->label == PROTOBUF_C_LABEL_REPEATED;
    bool packed = list && type == DELIMITED && want != DELIMITED;

    if (type != want && !packed)
        return refuse(c, f, SF_INVALID_ARGUMENT, "wire type %u; want %u", type, want);
    if (list && !packed && f->field->type != PROTOBUF_C_TYPE_MESSAGE && !count_element(c, f, 1))
        return false;
    return check_repeat(c, f);
}

static bool check_value(struct check *c, const struct frame *f, unsigned depth, enum wire_type type,
                        struct reader *r)
{
    uint64_t value;

    switch (type) {
    case VARINT:
        return take_varint(c, f, r, &value) && check_number(c, f, value);
    case FIXED32:
    case FIXED64:
        value = type == FIXED32 ? 4 : 8;
        break;
    case DELIMITED:
        if (!take_varint(c, f, r, &value))
            return false;
        break;
    default:
        return refuse(c, f, SF_INVALID_ARGUMENT, "wire type %u; groups are not taken", type);
    }
    if (value > (uint64_t)(r->end - r->at))
        return refuse(c, f, SF_INVALID_ARGUMENT, "cut off");

    struct reader inner = {r->at, r->at + value};
    r->at = inner.end;
    return type != DELIMITED || check_delimited(c, f, depth, inner);
}

static bool check_message(struct check *c, const struct frame *up, unsigned depth,
                          const ProtobufCMessageDescriptor *type, struct reader r)
{
    struct frame f = {.up = up, .type = type};

    if (depth > c->limits->depth)
        return refuse(c, &f, SF_RESOURCE_EXHAUSTED, "more than %u messages within each other",
                      c->limits->depth);
    while (r.at < r.end) {
        uint64_t key;
        f.tag = 0;
        if (!take_varint(c, &f, &r, &key))
            return false;
        if (key >> 3 == 0 || key > UINT32_MAX)
            return refuse(c, &f, SF_INVALID_ARGUMENT, "field number %llu",
                          (unsigned long long)(key >> 3));

        f.tag = (uint32_t)(key >> 3);
        f.field = protobuf_c_message_descriptor_get_field(type, f.tag);
        if (f.field == NULL && c->limits->strict)
            return refuse(c, &f, SF_INVALID_ARGUMENT,
                          "this version does not know the field; use one that does");
        if (f.field == NULL && !count_element(c, &f, 1))
            return false;
        if (f.field != NULL && !check_known(c, &f, (enum wire_type)(key & 7)))
            return false;
        if (!check_value(c, &f, depth, (enum wire_type)(key & 7), &r))
            return false;
    }
    return true;
}

bool sf_wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                   const struct sf_wire_limits *limits, struct sf_error **err)
{
    struct check c = {.limits = limits, .err = err};

    if (size > limits->size)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "%s: %zu bytes; at most %zu", type->short_name,
                       size, limits->size);
    if (size == 0)
        return true; /* @data may be NULL */
    return check_message(&c, NULL, 1, type, (struct reader){data, data + size});
}

bool sf_wire_peek_varint(const uint8_t *data, size_t size, uint32_t field, uint64_t *ret_value)
{
    struct reader r = {data, data + size};
    uint64_t found = 0;
    bool any = false;

    while (size > 0 && r.at < r.end) {
        uint64_t key, value;
        if (read_varint(&r, &key) != VARINT_GOOD)
            return false;
        switch (key & 7) {
        case VARINT:
            if (read_varint(&r, &value) != VARINT_GOOD)
                return false;
            if (key >> 3 == field) {
                found = value;
                any = true;
            }
            continue;
        case FIXED32:
        case FIXED64:
            value = (key & 7) == FIXED32 ? 4 : 8;
            break;
        case DELIMITED:
            if (read_varint(&r, &value) != VARINT_GOOD)
                return false;
            break;
        default:
            return false;
        }
        if (value > (uint64_t)(r.end - r.at))
            return false;
        r.at += value;
    }
    if (any)
        *ret_value = found;
    return any;
}
