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

static json_t *floors_to_json(const struct guest_floors *f)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "next_call_id", (json_int_t)f->next_call_id,
                     "last_sent", (json_int_t)f->last_sent, "last_received",
                     (json_int_t)f->last_received, "unacknowledged",
                     list_to_json(f->unacknowledged, f->n_unacknowledged), "undelivered",
                     list_to_json(f->undelivered, f->n_undelivered));
}

/* The agent's at the top, as it was before there was another; the shares' line in it. */
char *vm_floors_to_text(const struct vm_floors *f, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *object = floors_to_json(&f->agent);
    bool ok =
        object != NULL && (f->shares.next_call_id == 0 ||
                           json_object_set_new(object, "shares", floors_to_json(&f->shares)) == 0);
    char *text = ok ? json_dumps(object, JSON_COMPACT) : NULL;

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

static bool floors_from_json(struct guest_floors *ret, json_t *object)
{
    json_int_t next, sent, received;
    json_t *unacknowledged, *undelivered;

    if (json_unpack(object, "{s:I, s:I, s:I, s:o, s:o}", "next_call_id", &next, "last_sent", &sent,
                    "last_received", &received, "unacknowledged", &unacknowledged, "undelivered",
                    &undelivered) != 0 ||
        next <= 0 || sent < 0 || received < 0)
        return false;
    ret->next_call_id = (uint64_t)next;
    ret->last_sent = (uint64_t)sent;
    ret->last_received = (uint64_t)received;
    return list_from_json(&ret->unacknowledged, &ret->n_unacknowledged, unacknowledged) &&
           list_from_json(&ret->undelivered, &ret->n_undelivered, undelivered);
}

bool vm_floors_from_text(struct vm_floors *ret, const char *text, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *object = json_loads(text, 0, NULL);
    struct vm_floors f = {0};
    json_t *shares = json_object_get(object, "shares");

    if (floors_from_json(&f.agent, object) &&
        (shares == NULL || floors_from_json(&f.shares, shares))) {
        vm_floors_done(ret);
        *ret = f;
        return true;
    }
    vm_floors_done(&f);
    return sf_fail(err, SF_DATA_LOSS, "the conversation in the memory's lease makes no sense");
}
