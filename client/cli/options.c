#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "values.h"

#define WIDTH  80
#define COLUMN 26

/* ---- words ---- */

bool words_add(struct words *w, const char *word, struct sf_error **err)
{
    const char **all = realloc(w->all, (w->n + 1) * sizeof(*all));
    if (all == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    w->all = all;
    w->all[w->n++] = word;
    return true;
}

void words_done(struct words *w)
{
    free(w->all);
    *w = (struct words){0};
}

/* ---- the nearest word ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters are to be put in, left out or changed. */
static size_t distance(const char *a, const char *b)
{
    size_t row[32];
    size_t n = strlen(b);
    if (n + 1 > sizeof(row) / sizeof(*row) || strlen(a) > 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t change = corner + (a[i] != b[j - 1]);
            corner = row[j];
            row[j] = smaller(change, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

void nearest_try(struct nearest *n, const char *candidate)
{
    size_t d = distance(n->word, candidate);
    size_t limit = strlen(n->word) / 3 + 1;
    if (d <= limit && (n->best == NULL || d < n->distance)) {
        n->best = candidate;
        n->distance = d;
    }
}

/* ---- parsing ---- */

/* The part of a command line that is left. */
struct cursor {
    const struct option_set *sets;
    size_t n_sets;
    char *const *args;
    size_t n, at;
};

struct found {
    const struct option *option;
    void *values;
};

static bool find_name(const struct cursor *c, const char *name, size_t size, struct found *ret)
{
    for (size_t s = 0; s < c->n_sets; s++)
        for (const struct option *o = c->sets[s].options; o != NULL && o->name != NULL; o++)
            if (strlen(o->name) == size && memcmp(o->name, name, size) == 0) {
                *ret = (struct found){o, c->sets[s].values};
                return true;
            }
    return false;
}

static bool find_letter(const struct cursor *c, char letter, struct found *ret)
{
    for (size_t s = 0; s < c->n_sets; s++)
        for (const struct option *o = c->sets[s].options; o != NULL && o->name != NULL; o++)
            if (o->letter == letter) {
                *ret = (struct found){o, c->sets[s].values};
                return true;
            }
    return false;
}

static bool fail_unknown(const struct cursor *c, const char *name, size_t size,
                         struct sf_error **err)
{
    char word[65] = "";
    memcpy(word, name, smaller(size, sizeof(word) - 1));
    struct nearest nearest = {.word = word};
    for (size_t s = 0; s < c->n_sets; s++)
        for (const struct option *o = c->sets[s].options; o != NULL && o->name != NULL; o++)
            nearest_try(&nearest, o->name);
    if (nearest.best != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "there is no option '--%s'; did you mean '--%s'?",
                       word, nearest.best);
    return sf_fail(err, SF_INVALID_ARGUMENT, "there is no option '--%s'", word);
}

static bool set_value(const struct found *f, const char *text, struct sf_error **err)
{
    char *at = (char *)f->values + f->option->at;
    switch (f->option->kind) {
    case OPTION_IS_FLAG:
        *(bool *)at = true;
        return true;
    case OPTION_IS_TEXT:
        *(const char **)at = text;
        return true;
    case OPTION_IS_WORDS:
        return words_add((struct words *)at, text, err);
    case OPTION_IS_NUMBER:
        return parse_number(text, UINT64_MAX, (uint64_t *)at, err);
    case OPTION_IS_SIZE:
        return parse_size(text, (uint64_t *)at, err);
    case OPTION_IS_DURATION:
        return parse_duration(text, (uint32_t *)at, err);
    case OPTION_IS_CHOICE:
        return parse_choice(text, f->option->value, (unsigned *)at, err);
    }
    return true;
}

/* @inside: the value that was given within the word; NULL: the next word is it. */
static bool take(struct cursor *c, const struct found *f, const char *inside, struct sf_error **err)
{
    const struct option *o = f->option;
    if (o->kind == OPTION_IS_FLAG)
        return inside == NULL ? set_value(f, NULL, err)
                              : sf_fail(err, SF_INVALID_ARGUMENT, "--%s takes no value", o->name);
    if (inside == NULL && c->at < c->n)
        inside = c->args[c->at++];
    if (inside == NULL || *inside == '\0')
        return sf_fail(err, SF_INVALID_ARGUMENT, "--%s needs %s", o->name, o->value);
    return set_value(f, inside, err) || sf_fail_in(err, "--%s", o->name);
}

static bool take_long(struct cursor *c, const char *word, struct sf_error **err)
{
    struct found f;
    size_t size = strcspn(word, "=");
    if (!find_name(c, word, size, &f))
        return fail_unknown(c, word, size, err);
    return take(c, &f, word[size] == '=' ? word + size + 1 : NULL, err);
}

/* "-f", "-fo FILE", "-oFILE" */
static bool take_letters(struct cursor *c, const char *letters, struct sf_error **err)
{
    struct found f;
    for (; *letters != '\0'; letters++) {
        if (!find_letter(c, *letters, &f))
            return sf_fail(err, SF_INVALID_ARGUMENT, "there is no option '-%c'",
                           isprint((unsigned char)*letters) ? *letters : '?');
        if (f.option->kind != OPTION_IS_FLAG)
            return take(c, &f, letters[1] != '\0' ? letters + 1 : NULL, err);
        if (!take(c, &f, NULL, err))
            return false;
    }
    return true;
}

bool options_parse(const struct option_set *sets, size_t n_sets, size_t n_args, char *const *args,
                   bool stop, struct words *operands, size_t *ret_used, struct sf_error **err)
{
    struct cursor c = {sets, n_sets, args, n_args, 0};
    bool only_operands = false;

    while (c.at < c.n) {
        const char *word = c.args[c.at];
        bool is_operand = only_operands || word[0] != '-' || word[1] == '\0';
        if (is_operand && stop)
            break;
        c.at++;
        bool ok;
        if (is_operand)
            ok = words_add(operands, word, err);
        else if (strcmp(word, "--") == 0)
            ok = only_operands = true;
        else if (word[1] == '-')
            ok = take_long(&c, word + 2, err);
        else
            ok = take_letters(&c, word + 1, err);
        if (!ok)
            return false;
    }
    if (ret_used != NULL)
        *ret_used = c.at;
    return true;
}

void options_done(const struct option_set *sets, size_t n_sets)
{
    for (size_t s = 0; s < n_sets; s++)
        for (const struct option *o = sets[s].options; o != NULL && o->name != NULL; o++)
            if (o->kind == OPTION_IS_WORDS)
                words_done((struct words *)((char *)sets[s].values + o->at));
}

/* ---- help ---- */

/* @at: where the cursor is; @indent: where the next lines begin. */
static void print_words(const char *text, size_t at, size_t indent, FILE *out)
{
    bool first = true;
    while (*text != '\0') {
        size_t word = strcspn(text, " \n");
        if (!first && at + 1 + word > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, word, out);
        at += word;
        text += word;
        first = strncmp(text, "\n\n", 2) == 0;
        if (first) {
            fprintf(out, "\n\n%*s", (int)indent, "");
            at = indent;
        }
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}

void print_wrapped(const char *text, FILE *out)
{
    print_words(text, 0, 0, out);
}

void print_beside(const char *left, const char *text, FILE *out)
{
    size_t at = strlen(left);
    fputs(left, out);
    if (at + 1 > COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", (int)(COLUMN - at), "");
    print_words(text, COLUMN, COLUMN, out);
}

void options_print(const struct option *options, FILE *out)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        char letter[5] = "    ";
        if (o->letter != 0)
            memcpy(letter, (char[]){'-', o->letter, ',', ' ', '\0'}, sizeof(letter));
        SF_CLEANUP(sf_freep)
        char *left = sf_format("  %s--%s%s%s", letter, o->name, o->value != NULL ? " " : "",
                               o->value != NULL ? o->value : "");
        print_beside(left != NULL ? left : o->name, o->help, out);
    }
}
