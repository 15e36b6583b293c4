#include "snapshot/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "snapshot/path.h"

static json_t *text_to_json(struct sf_text *text)
{
    json_t *json = text->broken || text->data == NULL ? NULL : json_string(text->data);

    sf_text_done(text);
    return json;
}

/* ".5", ".000001": as many digits as need be, in threes, as the mapping asks. */
static void add_fraction(struct sf_text *text, int32_t nanos)
{
    if (nanos % 1000000 == 0 && nanos != 0)
        sf_text_add(text, ".%03d", nanos / 1000000);
    else if (nanos % 1000 == 0 && nanos != 0)
        sf_text_add(text, ".%06d", nanos / 1000);
    else if (nanos != 0)
        sf_text_add(text, ".%09d", nanos);
}

/* The years 1 to 9999, as the type has them. */
#define TIMESTAMP_LEAST INT64_C(-62135596800)
#define TIMESTAMP_MOST  INT64_C(253402300799)

static json_t *timestamp_to_json(const Google__Protobuf__Timestamp *at)
{
    struct sf_text text = {0};
    struct tm tm;
    time_t seconds = (time_t)at->seconds;

    if (at->seconds < TIMESTAMP_LEAST || at->seconds > TIMESTAMP_MOST || at->nanos < 0 ||
        at->nanos > 999999999 || gmtime_r(&seconds, &tm) == NULL) {
        sf_text_add(&text, "invalid: %lld s, %d ns", (long long)at->seconds, at->nanos);
        return text_to_json(&text);
    }
    sf_text_add(&text, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    add_fraction(&text, at->nanos);
    sf_text_add(&text, "Z");
    return text_to_json(&text);
}

static json_t *duration_to_json(const Google__Protobuf__Duration *d)
{
    struct sf_text text = {0};
    bool sane = d->nanos > -1000000000 && d->nanos < 1000000000 && d->seconds != INT64_MIN;

    if (!sane) {
        sf_text_add(&text, "invalid: %lld s, %d ns", (long long)d->seconds, d->nanos);
        return text_to_json(&text);
    }
    sf_text_add(&text, "%s%lld", d->seconds < 0 || d->nanos < 0 ? "-" : "",
                llabs((long long)d->seconds));
    add_fraction(&text, abs(d->nanos));
    sf_text_add(&text, "s");
    return text_to_json(&text);
}

static json_t *bytes_to_json(const ProtobufCBinaryData *bytes)
{
    size_t size = (bytes->len + 2) / 3 * 4;
    if (bytes->len > INT32_MAX / 2)
        return NULL;
    SF_CLEANUP(sf_freep) char *text = malloc(size + 1);
    if (text == NULL)
        return NULL;
    text[0] = '\0';
    if (bytes->len > 0)
        EVP_EncodeBlock((unsigned char *)text, bytes->data, (int)bytes->len);
    return json_string(text);
}

static json_t *enum_to_json(const ProtobufCFieldDescriptor *field, int number)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(field->descriptor, number);

    return value != NULL ? json_string(value->name) : json_integer(number);
}

static json_t *real_to_json(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    return json_real(value);
}

static json_t *message_to_json(const ProtobufCMessage *m)
{
    if (m->descriptor == &google__protobuf__timestamp__descriptor)
        return timestamp_to_json((const Google__Protobuf__Timestamp *)m);
    if (m->descriptor == &google__protobuf__duration__descriptor)
        return duration_to_json((const Google__Protobuf__Duration *)m);
    return sf_message_to_json(m);
}

static json_t *value_to_json(const ProtobufCFieldDescriptor *field, const void *value)
{
    struct sf_text text = {0};

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return json_string(value);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_to_json(value);
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_to_json(value);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_to_json(field, *(const int *)value);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)value);
    case PROTOBUF_C_TYPE_FLOAT:
        return real_to_json((double)*(const float *)value);
    case PROTOBUF_C_TYPE_DOUBLE:
        return real_to_json(*(const double *)value);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)value);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)value);
    default: /* 64 bits: more than a JSON reader need keep */
        sf_field_print(field, value, &text);
        return text_to_json(&text);
    }
}

/* A member of a oneof is there even with its default. */
static bool is_default(const ProtobufCFieldDescriptor *field, const void *value)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return false;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return *(const char *)value == '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)value)->len == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return false;
    case PROTOBUF_C_TYPE_BOOL:
        return !*(const protobuf_c_boolean *)value;
    case PROTOBUF_C_TYPE_FLOAT:
        return memcmp(value, &(float){0}, sizeof(float)) == 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        return memcmp(value, &(double){0}, sizeof(double)) == 0;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return *(const uint64_t *)value == 0;
    default:
        return *(const uint32_t *)value == 0;
    }
}

static char *camel_case(const char *name)
{
    char *camel = strdup(name), *to = camel;

    for (const char *from = name; camel != NULL && *from != '\0'; from++) {
        if (*from == '_' && from[1] >= 'a' && from[1] <= 'z')
            *to++ = (char)(*++from - 'a' + 'A');
        else if (*from != '_')
            *to++ = *from;
    }
    if (camel != NULL)
        *to = '\0';
    return camel;
}

static json_t *list_to_json(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field,
                            size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < n; i++) {
        if (json_array_append_new(list, value_to_json(field, sf_field_value(m, field, i))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool add_field(json_t *object, const ProtobufCMessage *m,
                      const ProtobufCFieldDescriptor *field)
{
    size_t n = sf_field_count(m, field);
    if (n == 0)
        return true;

    json_t *value;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        value = list_to_json(m, field, n);
    else if (is_default(field, sf_field_value(m, field, 0)))
        return true;
    else
        value = value_to_json(field, sf_field_value(m, field, 0));

    SF_CLEANUP(sf_freep) char *name = camel_case(field->name);
    if (name == NULL) {
        json_decref(value);
        return false;
    }
    return json_object_set_new(object, name, value) == 0; /* which refuses a NULL value */
}

json_t *sf_message_to_json(const ProtobufCMessage *m)
{
    json_t *object = json_object();

    for (unsigned i = 0; object != NULL && i < m->descriptor->n_fields; i++) {
        if (!add_field(object, m, &m->descriptor->fields[i])) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}
