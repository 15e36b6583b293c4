#include "output.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* ---- texts ---- */

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

static void add_safe(struct sf_text *t, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        bool c1 = (unsigned char)c[0] == 0xc2 && (unsigned char)c[1] >= 0x80 &&
                  (unsigned char)c[1] < 0xa0; /* U+0080 to U+009F */
        if (c1 || is_control((unsigned char)*c))
            sf_text_add(t, "\\x%02x", (unsigned char)(c1 ? *++c : *c));
        else
            sf_text_add_bytes(t, c, 1);
    }
}

static char *safe(const char *text)
{
    SF_CLEANUP(sf_text_done) struct sf_text t = {0};
    add_safe(&t, text);
    return sf_text_take(&t);
}

void print_safe(FILE *out, const char *text)
{
    SF_CLEANUP(sf_freep) char *clean = safe(text);
    fputs(clean != NULL ? clean : "?", out);
}

void print_field(FILE *out, const char *name, const char *fmt, ...)
{
    SF_CLEANUP(sf_text_done) struct sf_text t = {0};
    va_list args;
    va_start(args, fmt);
    sf_text_addv(&t, fmt, args);
    va_end(args);
    fprintf(out, "%-12s", name);
    print_safe(out, t.data == NULL || *t.data == '\0' ? "-" : t.data);
    fputc('\n', out);
}

/* ---- tables ---- */

static void add_cell(struct table *t, char *cell)
{
    char **cells =
        t->broken || cell == NULL ? NULL : realloc(t->cells, (t->n_cells + 1) * sizeof(*cells));
    if (cells == NULL) {
        t->broken = true;
        free(cell);
        return;
    }
    t->cells = cells;
    t->cells[t->n_cells++] = cell;
}

void table_begin(struct table *t, const char *const *heads)
{
    *t = (struct table){0};
    for (; heads[t->n_columns] != NULL && t->n_columns < TABLE_COLUMNS; t->n_columns++)
        add_cell(t, strdup(heads[t->n_columns]));
}

void table_add(struct table *t, const char *fmt, ...)
{
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};
    va_list args;
    va_start(args, fmt);
    sf_text_addv(&text, fmt, args);
    va_end(args);
    add_cell(t, safe(text.data == NULL || *text.data == '\0' ? "-" : text.data));
}

/* How many characters, as far as UTF-8 tells. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void table_print(const struct table *t, FILE *out)
{
    size_t widths[TABLE_COLUMNS] = {0};
    if (t->broken) {
        fputs("(no memory to print this)\n", out);
        return;
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t w = width(t->cells[i]);
        if (w > widths[i % t->n_columns])
            widths[i % t->n_columns] = w;
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        bool last = i % t->n_columns == t->n_columns - 1;
        fputs(t->cells[i], out);
        if (last)
            fputc('\n', out);
        else
            fprintf(out, "%*s", (int)(widths[i % t->n_columns] - width(t->cells[i]) + 2), "");
    }
}

void table_done(struct table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
}

/* ---- times and sizes ---- */

static const char *format_time(int64_t ns, bool with_ms, char buffer[TIME_TEXT_SIZE])
{
    time_t seconds = (time_t)(ns / SF_NS_PER_S);
    struct tm tm;
    if (ns <= 0 || gmtime_r(&seconds, &tm) == NULL)
        return "-";
    size_t n = strftime(buffer, TIME_TEXT_SIZE - 8, "%Y-%m-%d %H:%M:%S", &tm);
    if (with_ms)
        snprintf(buffer + n, TIME_TEXT_SIZE - n, ".%03dZ", (int)(ns % SF_NS_PER_S / SF_NS_PER_MS));
    else
        snprintf(buffer + n, TIME_TEXT_SIZE - n, "Z");
    return buffer;
}

const char *time_text(int64_t ns, char buffer[TIME_TEXT_SIZE])
{
    return format_time(ns, false, buffer);
}

const char *time_text_ms(int64_t ns, char buffer[TIME_TEXT_SIZE])
{
    return format_time(ns, true, buffer);
}

const char *size_text(uint64_t bytes, char buffer[SIZE_TEXT_SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    double value = (double)bytes;
    for (; value >= 1024 && unit + 1 < sizeof(units) / sizeof(*units); unit++)
        value /= 1024;
    bool whole = value == (double)(uint64_t)value;
    snprintf(buffer, SIZE_TEXT_SIZE, whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return buffer;
}

const char *memory_text(uint64_t bytes, char buffer[SIZE_TEXT_SIZE])
{
    return bytes == 0 ? "default" : size_text(bytes, buffer);
}

const char *cpus_text(uint32_t n, char buffer[SIZE_TEXT_SIZE])
{
    snprintf(buffer, SIZE_TEXT_SIZE, "%u", n);
    return n == 0 ? "default" : buffer;
}

void print_steps(FILE *out, size_t n, const struct sandferry_step *steps)
{
    static const char *const heads[] = {"STEP", "TIME", NULL};
    SF_CLEANUP(table_done) struct table t = {0};
    int64_t sum = 0;

    table_begin(&t, heads);
    for (size_t i = 0; i < n; i++) {
        table_add(&t, "%s", steps[i].name);
        table_add(&t, "%9.1f ms", (double)steps[i].time_ns / (double)SF_NS_PER_MS);
        sum += steps[i].time_ns;
    }
    table_add(&t, "in all");
    table_add(&t, "%9.1f ms", (double)sum / (double)SF_NS_PER_MS);
    table_print(&t, out);
}

bool print_json(FILE *out, char *json, struct sf_error **err)
{
    if (json == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    fputs(json, out);
    free(json);
    return true;
}
