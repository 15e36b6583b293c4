#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

/* How results are printed. What comes from a daemon, a snapshot or a guest may hold anything:
 * control characters are printed as \xNN, so that none reaches the terminal. */

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "sandferry.h"

void print_safe(FILE *out, const char *text);

#define TABLE_COLUMNS 10

/* Rows are collected, then printed with aligned columns, two spaces apart. */
struct table {
    size_t n_columns;
    char **cells; /* owned; row by row */
    size_t n_cells;
    bool broken; /* no memory */
};

/* The column heads, NULL at the end. */
void table_begin(struct table *t, const char *const *heads);
/* One cell; the row is full after n_columns. "" is printed as "-". */
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *t, FILE *out);
void table_done(struct table *t);

/* "state    running" */
void print_field(FILE *out, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "2026-11-23 05:12:27Z"; "-" for 0. */
#define TIME_TEXT_SIZE 40
const char *time_text(int64_t ns, char buffer[TIME_TEXT_SIZE]);
const char *time_text_ms(int64_t ns, char buffer[TIME_TEXT_SIZE]); /* with milliseconds */
/* "512 MiB" */
#define SIZE_TEXT_SIZE 32
const char *size_text(uint64_t bytes, char buffer[SIZE_TEXT_SIZE]);
/* What a sandbox was asked to have; 0: the daemon's default. */
const char *memory_text(uint64_t bytes, char buffer[SIZE_TEXT_SIZE]);
const char *cpus_text(uint32_t n, char buffer[SIZE_TEXT_SIZE]);

/* The steps of a save or restore, with their sum. */
void print_steps(FILE *out, size_t n, const struct sandferry_step *steps);

/* What a sandferry_..._json() gave, and frees it. */
bool print_json(FILE *out, char *json, struct sf_error **err);

#endif
