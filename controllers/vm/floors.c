/* A conversation as text, for the lease of memory that ran for a moment and was taken back. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "base/text.h"
#include "vm.h"

/* ---- out ---- */

static json_t *bytes_to_json(const struct sf_bytes *b)
{
    SF_CLEANUP(sf_freep) char *text = malloc(4 * ((b->size + 2) / 3) + 1);

    if (text == NULL)
        return NULL;
    EVP_EncodeBlock((unsigned char *)text, b->data, (int)b->size);
    return json_string(text);
}

static json_t *list_to_json(const struct sf_bytes *list, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; array != NULL && i < n; i++)
        if (json_array_append_new(array, bytes_to_json(&list[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

char *vm_floors_to_text(const struct guest_floors *f, struct sf_error **err)
{
    json_t *unacknowledged = list_to_json(f->unacknowledged, f->n_unacknowledged);
    json_t *undelivered = list_to_json(f->undelivered, f->n_undelivered);
    SF_CLEANUP(json_decrefp)
    json_t *object = json_pack("{s:I, s:I, s:I, s:o, s:o}", "next_call_id",
                               (json_int_t)f->next_call_id, "last_sent", (json_int_t)f->last_sent,
                               "last_received", (json_int_t)f->last_received, "unacknowledged",
                               unacknowledged, "undelivered", undelivered);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

    if (text == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return text;
}

/* ---- in ---- */

static bool bytes_from_json(struct sf_bytes *ret, const json_t *json)
{
    const char *text = json_string_value(json);
    size_t size = text == NULL ? 1 : strlen(text);

    if (size % 4 != 0 || size == 0)
        return false;
    uint8_t *data = malloc(size / 4 * 3);
    if (data == NULL || EVP_DecodeBlock(data, (const unsigned char *)text, (int)size) < 0) {
        free(data);
        return false;
    }
    size_t padding = (size_t)(text[size - 1] == '=') + (size_t)(text[size - 2] == '=');
    *ret = (struct sf_bytes){.data = data, .size = size / 4 * 3 - padding};
    return true;
}

static bool list_from_json(struct sf_bytes **ret, size_t *ret_n, const json_t *array)
{
    size_t n = json_array_size(array);

    *ret = calloc(n + 1, sizeof(**ret));
    *ret_n = 0;
    for (size_t i = 0; *ret != NULL && i < n; i++) {
        if (!bytes_from_json(&(*ret)[i], json_array_get(array, i)))
            return false;
        ++*ret_n;
    }
    return *ret != NULL;
}

bool vm_floors_from_text(struct guest_floors *ret, const char *text, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *object = json_loads(text, 0, NULL);
    struct guest_floors f = {0};
    json_int_t next, sent, received;
    json_t *unacknowledged, *undelivered;

    if (json_unpack(object, "{s:I, s:I, s:I, s:o, s:o}", "next_call_id", &next, "last_sent", &sent,
                    "last_received", &received, "unacknowledged", &unacknowledged, "undelivered",
                    &undelivered) == 0 &&
        next > 0 && sent >= 0 && received >= 0 &&
        list_from_json(&f.unacknowledged, &f.n_unacknowledged, unacknowledged) &&
        list_from_json(&f.undelivered, &f.n_undelivered, undelivered)) {
        f.next_call_id = (uint64_t)next;
        f.last_sent = (uint64_t)sent;
        f.last_received = (uint64_t)received;
        guest_floors_done(ret);
        *ret = f;
        return true;
    }
    guest_floors_done(&f);
    return sf_fail(err, SF_DATA_LOSS, "the conversation in the memory's lease makes no sense");
}
