#include "base/reasons.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define KEPT_MAX    1000
#define SHOWN_FIRST 3

struct sf_reasons {
    char *source;
    struct sf_reason *list;
    size_t n_list;
    size_t count; /* the ones that were not kept included */
};

struct sf_reasons *sf_reasons_new(void)
{
    return calloc(1, sizeof(struct sf_reasons));
}

static void reason_done(struct sf_reason *reason)
{
    free(reason->source);
    free(reason->field);
    free(reason->text);
}

void sf_reasons_free(struct sf_reasons *why)
{
    if (why == NULL)
        return;
    for (size_t i = 0; i < why->n_list; i++)
        reason_done(&why->list[i]);
    free(why->list);
    free(why->source);
    free(why);
}

void sf_reasons_source(struct sf_reasons *why, const char *source)
{
    free(why->source);
    why->source = strdup(source);
}

/* Takes @text over. A reason that finds no memory still counts: it must not turn into consent. */
static void add(struct sf_reasons *why, const char *field, char *text)
{
    why->count++;
    struct sf_reason reason = {
        .source = strdup(why->source != NULL ? why->source : ""),
        .field = strdup(field),
        .text = text,
    };
    struct sf_reason *grown =
        why->n_list < KEPT_MAX ? realloc(why->list, (why->n_list + 1) * sizeof(*grown)) : NULL;
    if (grown != NULL)
        why->list = grown;
    if (grown == NULL || reason.source == NULL || reason.field == NULL || reason.text == NULL) {
        reason_done(&reason);
        return;
    }
    why->list[why->n_list++] = reason;
}

__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list args)
{
    char *text = NULL;

    return vasprintf(&text, fmt, args) >= 0 ? text : NULL;
}

void sf_reasons_add(struct sf_reasons *why, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(why, "", format(fmt, args));
    va_end(args);
}

void sf_reasons_add_field(struct sf_reasons *why, const char *field, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(why, field, format(fmt, args));
    va_end(args);
}

void sf_reasons_add_error(struct sf_reasons *why, const struct sf_error *err)
{
    size_t n = sf_error_n_details(err);

    for (size_t i = 0; i < n; i++) {
        const struct sf_detail *detail = sf_error_detail(err, i);
        add(why, detail->kind == SF_DETAIL_FIELD ? detail->subject : "", strdup(detail->text));
    }
    if (n == 0)
        add(why, "", strdup(sf_error_message(err)));
}

size_t sf_reasons_count(const struct sf_reasons *why)
{
    return why->count;
}

size_t sf_reasons_kept(const struct sf_reasons *why)
{
    return why->n_list;
}

const struct sf_reason *sf_reasons_get(const struct sf_reasons *why, size_t i)
{
    assert(i < why->n_list);
    return &why->list[i];
}

static void say_first(const struct sf_reasons *why, struct sf_text *text)
{
    for (size_t i = 0; i < why->n_list && i < SHOWN_FIRST; i++) {
        const struct sf_reason *reason = &why->list[i];
        sf_text_add(text, "%s", i > 0 ? "; " : "");
        if (reason->field[0] != '\0')
            sf_text_add(text, "%s: ", reason->field);
        else if (reason->source[0] != '\0')
            sf_text_add(text, "%s: ", reason->source);
        sf_text_add(text, "%s", reason->text);
    }
    if (why->count > SHOWN_FIRST)
        sf_text_add(text, "; and %zu more", why->count - SHOWN_FIRST);
}

bool sf_reasons_fail(const struct sf_reasons *why, enum sf_code code, const char *what,
                     struct sf_error **err)
{
    if (why->count == 0)
        return true;

    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    say_first(why, &text);
    sf_fail(err, code, "%s: %s", what, text.data != NULL ? text.data : "out of memory");
    for (size_t i = 0; i < why->n_list; i++) {
        const struct sf_reason *reason = &why->list[i];
        if (code == SF_INVALID_ARGUMENT && reason->field[0] != '\0')
            sf_fail_detail(err, SF_DETAIL_FIELD, reason->field, "%s", reason->text);
        else if (reason->field[0] != '\0')
            sf_fail_detail(err, SF_DETAIL_REASON, reason->source, "%s: %s", reason->field,
                           reason->text);
        else
            sf_fail_detail(err, SF_DETAIL_REASON, reason->source, "%s", reason->text);
    }
    return false;
}
