#include "result.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "snapshot/json.h"

struct block {
    struct block *next;
    max_align_t data[];
};

struct header {
    const ProtobufCMessage *shows;
    /* Of the outermost one alone: */
    ProtobufCMessage *reply;
    struct block *blocks;
    void (*on_free)(void *);
    void *argument;
    bool broken; /* no memory */
    max_align_t object[];
};

static struct header *header_of(const void *result)
{
    return (struct header *)((char *)result - offsetof(struct header, object));
}

void *result_new(size_t size, ProtobufCMessage *reply, const ProtobufCMessage *shows,
                 struct sf_error **err)
{
    struct header *h = calloc(1, sizeof(*h) + size);
    if (h == NULL) {
        if (reply != NULL)
            protobuf_c_message_free_unpacked(reply, NULL);
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
        return NULL;
    }
    h->shows = shows;
    h->reply = reply;
    return h->object;
}

static void *add_block(struct header *h, size_t size)
{
    struct block *b = h->broken ? NULL : calloc(1, sizeof(*b) + size);
    if (b == NULL) {
        h->broken = true;
        return NULL;
    }
    b->next = h->blocks;
    h->blocks = b;
    return b->data;
}

void *result_within(void *outermost, size_t size, const ProtobufCMessage *shows)
{
    struct header *inner = add_block(header_of(outermost), sizeof(*inner) + size);
    if (inner == NULL)
        return NULL;
    inner->shows = shows;
    return inner->object;
}

void *result_array(void *outermost, size_t n, size_t size)
{
    struct header *h = header_of(outermost);
    size_t bytes;
    if (n == 0)
        return NULL;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        h->broken = true;
        return NULL;
    }
    return add_block(h, bytes);
}

void result_on_free(void *outermost, void (*fn)(void *), void *argument)
{
    struct header *h = header_of(outermost);
    h->on_free = fn;
    h->argument = argument;
}

bool result_finish(void *outermost, struct sf_error **err)
{
    if (!header_of(outermost)->broken)
        return true;
    result_free(outermost);
    sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    return false;
}

bool result_give(void *outermost, void **ret, struct sf_error **err)
{
    if (!result_finish(outermost, err))
        return false;
    if (ret != NULL)
        *ret = outermost;
    else
        result_free(outermost);
    return true;
}

void result_free(void *outermost)
{
    if (outermost == NULL)
        return;
    struct header *h = header_of(outermost);
    while (h->blocks != NULL) {
        struct block *b = h->blocks;
        h->blocks = b->next;
        free(b);
    }
    if (h->on_free != NULL)
        h->on_free(h->argument);
    if (h->reply != NULL)
        protobuf_c_message_free_unpacked(h->reply, NULL);
    free(h);
}

/* A program that reads the JSON wants to find every list, the empty ones too. */
static bool add_empty_lists(json_t *json, const ProtobufCMessageDescriptor *type)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        if (f->label != PROTOBUF_C_LABEL_REPEATED)
            continue;
        char name[64];
        size_t size = 0;
        for (const char *c = f->name; *c != '\0' && size + 1 < sizeof(name); c++) {
            bool upper = *c == '_' && c[1] >= 'a' && c[1] <= 'z';
            name[size++] = upper ? (char)(*++c - 'a' + 'A') : *c;
        }
        name[size] = '\0';
        if (json_object_get(json, name) == NULL && json_object_set_new(json, name, json_array()))
            return false;
    }
    return true;
}

char *result_json(const void *result, size_t flags)
{
    const ProtobufCMessage *shows = header_of(result)->shows;
    json_t *json = sf_message_to_json(shows);
    char *text = NULL, *line = NULL;
    if (json != NULL && add_empty_lists(json, shows->descriptor))
        text = json_dumps(json, flags);
    json_decref(json);
    if (text != NULL)
        line = sf_format("%s\n", text);
    free(text);
    return line;
}

/* ---- messages as public structs ---- */

static int64_t in_ns(int64_t seconds, int32_t nanos)
{
    int64_t ns;
    if (__builtin_mul_overflow(seconds, SF_NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)nanos, &ns))
        return 0;
    return ns;
}

int64_t time_ns(const Google__Protobuf__Timestamp *time)
{
    return time != NULL ? in_ns(time->seconds, time->nanos) : 0;
}

int64_t duration_ns(const Google__Protobuf__Duration *duration)
{
    return duration != NULL ? in_ns(duration->seconds, duration->nanos) : 0;
}

const struct sandferry_label *labels_from(void *outermost, size_t n, Sandferry__V1__Label **wire)
{
    struct sandferry_label *all = result_array(outermost, n, sizeof(*all));
    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = (struct sandferry_label){wire[i]->key, wire[i]->value};
    return all;
}

const struct sandferry_step *steps_from(void *outermost, size_t n, Sandferry__V1__StepTime **wire)
{
    struct sandferry_step *all = result_array(outermost, n, sizeof(*all));
    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = (struct sandferry_step){wire[i]->step, duration_ns(wire[i]->time)};
    return all;
}

void sandbox_from(void *outermost, struct sandferry_sandbox *s, const Sandferry__V1__Sandbox *wire)
{
    static const Sandferry__V1__VmOptions no_vm = SANDFERRY__V1__VM_OPTIONS__INIT;
    const Sandferry__V1__VmOptions *vm = wire->vm != NULL ? wire->vm : &no_vm;

    *s = (struct sandferry_sandbox){
        .id = wire->sandbox_id,
        .state = (enum sandferry_state)wire->state,
        .problem = wire->problem,
        .created_at_ns = time_ns(wire->created_at),
        .memory_bytes = vm->memory_bytes,
        .processors = vm->processors,
        .image = vm->image,
        .cpu_model = vm->cpu_model,
        .kernel_arguments = vm->kernel_arguments,
        .n_labels = wire->n_labels,
        .labels = labels_from(outermost, wire->n_labels, wire->labels),
        .n_controllers = wire->n_controllers,
        .controllers = (const char *const *)wire->controllers,
    };
}

/* ---- the other way ---- */

bool wire_labels_make(struct wire_labels *ret, size_t n, const struct sandferry_label *labels,
                      struct sf_error **err)
{
    ret->labels = calloc(n + 1, sizeof(*ret->labels));
    ret->all = calloc(n + 1, sizeof(*ret->all));
    if (ret->labels == NULL || ret->all == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < n; i++) {
        sandferry__v1__label__init(&ret->labels[i]);
        ret->labels[i].key = wire_text(labels[i].key);
        ret->labels[i].value = wire_text(labels[i].value);
        ret->all[i] = &ret->labels[i];
    }
    return true;
}

void wire_labels_done(struct wire_labels *l)
{
    free(l->labels);
    free(l->all);
}
