#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define LABELS_MAX      64
#define LABEL_KEY_MAX   128
#define LABEL_VALUE_MAX 1024

bool message_pack(const ProtobufCMessage *message, struct sf_bytes *ret, struct sf_error **err)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(size + 1); /* an empty message packs to nothing */
    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    *ret = (struct sf_bytes){.data = data, .size = protobuf_c_message_pack(message, data)};
    return true;
}

ProtobufCMessage *message_copy(const ProtobufCMessage *message)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sf_bytes packed = {0};
    if (!message_pack(message, &packed, &err))
        return NULL;
    ProtobufCMessage *copy =
        protobuf_c_message_unpack(message->descriptor, NULL, packed.size, packed.data);
    sf_bytes_done(&packed);
    return copy;
}

const ProtobufCMessage *message_field(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE ||
        field->label == PROTOBUF_C_LABEL_REPEATED)
        return NULL;
    const ProtobufCMessage *value;
    memcpy(&value, (const char *)message + field->offset, sizeof(value));
    return value;
}

const char *message_sandbox_id(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type->n_fields == 0 || type->fields[0].type != PROTOBUF_C_TYPE_STRING ||
        type->fields[0].label == PROTOBUF_C_LABEL_REPEATED ||
        strcmp(type->fields[0].name, "sandbox_id") != 0)
        return NULL;
    const char *id;
    memcpy(&id, (const char *)message + type->fields[0].offset, sizeof(id));
    return id;
}

Google__Protobuf__Timestamp *message_time(int64_t ns)
{
    Google__Protobuf__Timestamp *time = malloc(sizeof(*time));
    if (time == NULL)
        return NULL;
    google__protobuf__timestamp__init(time);
    time->seconds = ns / SF_NS_PER_S;
    time->nanos = (int32_t)(ns % SF_NS_PER_S);
    return time;
}

int64_t message_time_ns(const Google__Protobuf__Timestamp *time)
{
    int64_t ns;
    if (time == NULL || __builtin_mul_overflow(time->seconds, SF_NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)time->nanos, &ns))
        return 0;
    return ns;
}

Google__Protobuf__Duration *message_duration(int64_t ns)
{
    Google__Protobuf__Duration *duration = malloc(sizeof(*duration));
    if (duration == NULL)
        return NULL;
    google__protobuf__duration__init(duration);
    duration->seconds = ns / SF_NS_PER_S;
    duration->nanos = (int32_t)(ns % SF_NS_PER_S);
    return duration;
}

static Sandferry__V1__StepTime *step_time(const char *name, int64_t ns)
{
    Sandferry__V1__StepTime *one = malloc(sizeof(*one));
    if (one == NULL)
        return NULL;
    sandferry__v1__step_time__init(one);
    one->step = strdup(name);
    one->time = message_duration(ns);
    if (one->step != NULL && one->time != NULL)
        return one;
    free(one->step);
    free(one->time);
    free(one);
    return NULL;
}

Sandferry__V1__StepTime **message_step_times(const struct step_times *times, size_t *ret_n)
{
    *ret_n = 0;
    Sandferry__V1__StepTime **all = calloc(times->n + 1, sizeof(Sandferry__V1__StepTime *));
    for (unsigned i = 0; all != NULL && i < times->n; i++)
        if ((all[*ret_n] = step_time(times->at[i].name, times->at[i].ns)) != NULL)
            (*ret_n)++;
    return all;
}

/* ---- labels ---- */

static bool check_label(const Sandferry__V1__Label *label, const char *path, size_t i,
                        struct sf_error **problems)
{
    SF_CLEANUP(sf_freep) char *place = sf_format("%s[%zu]", path, i);
    const char *why = NULL;
    if (label->key[0] == '\0' || strlen(label->key) > LABEL_KEY_MAX)
        why = "key: 1 to 128 bytes";
    else if (strlen(label->value) > LABEL_VALUE_MAX)
        why = "value: at most 1024 bytes";
    if (why == NULL)
        return true;

    if (*problems == NULL)
        sf_fail(problems, SF_INVALID_ARGUMENT, "%s[%zu]: %s", path, i, why);
    return sf_fail_detail(problems, SF_DETAIL_FIELD, place == NULL ? path : place, "%s", why);
}

static int by_key(const void *a, const void *b)
{
    const Sandferry__V1__Label *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static void free_labels(Sandferry__V1__Label **labels, size_t n)
{
    for (size_t i = 0; labels != NULL && i < n; i++)
        if (labels[i] != NULL)
            sandferry__v1__label__free_unpacked(labels[i], NULL);
    free(labels);
}

static bool check_labels(Sandferry__V1__Label *const *labels, size_t n, const char *path,
                         struct sf_error **err)
{
    bool ok = true;
    if (n > LABELS_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "%zu %s; at most %d", n, path, LABELS_MAX);
        return sf_fail_detail(err, SF_DETAIL_FIELD, path, "at most %d", LABELS_MAX);
    }
    for (size_t i = 0; i < n; i++)
        ok = check_label(labels[i], path, i, err) && ok;
    return ok;
}

bool message_copy_labels(Sandferry__V1__Label *const *labels, size_t n, const char *path,
                         Sandferry__V1__Label ***ret, size_t *ret_n, struct sf_error **err)
{
    if (!check_labels(labels, n, path, err))
        return false;

    Sandferry__V1__Label **all = calloc(n + 1, sizeof(Sandferry__V1__Label *));
    bool ok = all != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        all[i] = (Sandferry__V1__Label *)message_copy(&labels[i]->base);
        ok = all[i] != NULL;
    }
    if (!ok) {
        free_labels(all, n);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }

    qsort(all, n, sizeof(*all), by_key);
    for (size_t i = 1; i < n; i++)
        if (strcmp(all[i - 1]->key, all[i]->key) == 0) {
            sf_fail(err, SF_INVALID_ARGUMENT, "%s: key '%s' occurs twice", path, all[i]->key);
            sf_fail_detail(err, SF_DETAIL_FIELD, path, "key '%s' occurs twice", all[i]->key);
            free_labels(all, n);
            return false;
        }
    *ret = all;
    *ret_n = n;
    return true;
}
