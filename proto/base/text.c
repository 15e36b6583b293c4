#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool make_room(struct sf_text *t, size_t more)
{
    if (t->broken || more >= SIZE_MAX / 2 - t->size) {
        t->broken = true;
        return false;
    }
    size_t needed = t->size + more + 1;
    if (needed <= t->room)
        return true;

    size_t room = t->room * 2 > needed ? t->room * 2 : needed + 64;
    char *grown = realloc(t->data, room);
    if (grown == NULL) {
        t->broken = true;
        return false;
    }
    t->data = grown;
    t->room = room;
    return true;
}

void sf_text_add_bytes(struct sf_text *t, const char *data, size_t size)
{
    if (!make_room(t, size))
        return;
    if (size > 0)
        memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
}

void sf_text_addv(struct sf_text *t, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, fmt, again);
    va_end(again);

    if (size < 0)
        t->broken = true;
    else if (make_room(t, (size_t)size))
        t->size += (size_t)vsnprintf(t->data + t->size, (size_t)size + 1, fmt, args);
}

void sf_text_add(struct sf_text *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    sf_text_addv(t, fmt, args);
    va_end(args);
}

char *sf_text_take(struct sf_text *t)
{
    sf_text_add_bytes(t, "", 0);
    char *data = t->broken ? NULL : t->data;
    if (data != NULL)
        *t = (struct sf_text){0};
    else
        sf_text_done(t);
    return data;
}

void sf_text_done(struct sf_text *t)
{
    free(t->data);
    *t = (struct sf_text){0};
}

char *sf_format(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int size = vasprintf(&text, fmt, args);
    va_end(args);
    return size >= 0 ? text : NULL;
}

void sf_freep(void *pointer)
{
    free(*(void **)pointer);
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool sf_id_valid(const char *id)
{
    size_t size = strnlen(id, SF_ID_SIZE);

    if (size == 0 || size == SF_ID_SIZE || !is_alphanumeric(id[0]))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_alphanumeric(id[i]) && strchr("-_.", id[i]) == NULL)
            return false;
    return true;
}

bool sf_guid_new(char ret[SF_GUID_SIZE])
{
    unsigned char r[16];

    if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return false;
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40); /* version 4 */
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80); /* variant of RFC 4122 */
    snprintf(ret, SF_GUID_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
             r[15]);
    return true;
}

bool sf_guid_valid(const char *guid)
{
    if (strnlen(guid, SF_GUID_SIZE) != SF_GUID_SIZE - 1)
        return false;
    for (size_t i = 0; i < SF_GUID_SIZE - 1; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? guid[i] != '-' : strchr("0123456789abcdef", guid[i]) == NULL)
            return false;
    }
    return true;
}

/* Bytes of the sequence that begins with @lead, and the smallest code point that needs them. */
static size_t sequence(unsigned char lead, uint32_t *ret_bits, uint32_t *ret_least)
{
    if (lead < 0x80)
        return *ret_bits = lead, *ret_least = 1, 1; /* NUL is too small */
    if ((lead & 0xe0) == 0xc0)
        return *ret_bits = lead & 0x1fu, *ret_least = 0x80, 2;
    if ((lead & 0xf0) == 0xe0)
        return *ret_bits = lead & 0x0fu, *ret_least = 0x800, 3;
    if ((lead & 0xf8) == 0xf0)
        return *ret_bits = lead & 0x07u, *ret_least = 0x10000, 4;
    return 0;
}

bool sf_utf8_valid(const char *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint32_t code, least;
        size_t n = sequence((unsigned char)data[i], &code, &least);
        if (n == 0 || n > size - i)
            return false;
        for (size_t k = 1; k < n; k++) {
            unsigned char c = (unsigned char)data[i + k];
            if ((c & 0xc0) != 0x80)
                return false;
            code = code << 6 | (c & 0x3fu);
        }
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += n;
    }
    return true;
}
