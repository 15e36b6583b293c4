#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

/*
 * Options as one table for each command, which parses, and prints usage and help. A row says where
 * in a struct of the command its value goes:
 *
 *     struct flags { const char *file; bool hold; };
 *     static const struct option options[] = {
 *         { "output", 'o', OPTION_TEXT(struct flags, file), "FILE", "write the snapshot there" },
 *         { "hold",    0,  OPTION_FLAG(struct flags, hold), NULL,   "leave it standing still"  },
 *         { 0 },
 *     };
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

struct words {
    const char **all; /* the array is owned, the words are argv's */
    size_t n;
};
bool words_add(struct words *w, const char *word, struct sf_error **err);
void words_done(struct words *w);

enum option_kind {
    OPTION_IS_FLAG,     /* bool */
    OPTION_IS_TEXT,     /* const char *; the last one counts */
    OPTION_IS_WORDS,    /* struct words; each one counts */
    OPTION_IS_NUMBER,   /* uint64_t */
    OPTION_IS_SIZE,     /* uint64_t, in bytes: 512M, 2G */
    OPTION_IS_DURATION, /* uint32_t, in milliseconds: 500ms, 30s, 2m; without unit: seconds */
    OPTION_IS_CHOICE,   /* unsigned: which of those in `value`, "table|json", counted from 0 */
};

/* Where the value goes; does not compile if the member has another type. */
#define OPTION_AT(kind, type, member, of)                                                          \
    (kind), offsetof(type, member) + _Generic(((type *)0)->member, of : 0u)
#define OPTION_FLAG(type, member)     OPTION_AT(OPTION_IS_FLAG, type, member, bool)
#define OPTION_TEXT(type, member)     OPTION_AT(OPTION_IS_TEXT, type, member, const char *)
#define OPTION_WORDS(type, member)    OPTION_AT(OPTION_IS_WORDS, type, member, struct words)
#define OPTION_NUMBER(type, member)   OPTION_AT(OPTION_IS_NUMBER, type, member, uint64_t)
#define OPTION_SIZE(type, member)     OPTION_AT(OPTION_IS_SIZE, type, member, uint64_t)
#define OPTION_DURATION(type, member) OPTION_AT(OPTION_IS_DURATION, type, member, uint32_t)
#define OPTION_CHOICE(type, member)   OPTION_AT(OPTION_IS_CHOICE, type, member, unsigned)

struct option {
    const char *name; /* without the dashes; NULL ends the table */
    char letter;      /* 0: none */
    enum option_kind kind;
    size_t at;
    const char *value; /* its name in the help; NULL: a flag */
    const char *help;
};

/* A table with the struct that it fills. */
struct option_set {
    const struct option *options; /* NULL: none */
    void *values;
};

/**
 * options_parse() - a command line
 * @sets:     the first that knows an option takes it
 * @operands: gets what is no option; everything after "--" is none
 * @stop:     leave off at the first operand
 * @ret_used: how many of @args were looked at; may be NULL
 *
 * Return: false with INVALID_ARGUMENT, in words for the user; an option that is not known names the
 * nearest one that is.
 */
bool options_parse(const struct option_set *sets, size_t n_sets, size_t n_args, char *const *args,
                   bool stop, struct words *operands, size_t *ret_used, struct sf_error **err);
/* Empties the lists. */
void options_done(const struct option_set *sets, size_t n_sets);

/* "  -o, --output FILE        write the snapshot there", wrapped at 80 columns. */
void options_print(const struct option *options, FILE *out);
/* @text behind a column of 26 characters; what does not fit goes on in the next lines. */
void print_beside(const char *left, const char *text, FILE *out);
/* Paragraphs, an empty line between them; other ends of lines are spaces. */
void print_wrapped(const char *text, FILE *out);

/* The word of the list that is most like @word; NULL if none is. */
struct nearest {
    const char *word, *best;
    size_t distance;
};
void nearest_try(struct nearest *n, const char *candidate);

#endif
