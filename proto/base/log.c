#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

static const char *const names[] = {
    [SF_LOG_ERROR] = "error",
    [SF_LOG_WARNING] = "warning",
    [SF_LOG_INFO] = "info",
    [SF_LOG_DEBUG] = "debug",
};

static _Atomic unsigned shown = SF_LOG_INFO;

void sf_log_set_level(enum sf_log_level level)
{
    shown = (unsigned)level;
}

bool sf_log_parse_level(const char *name, enum sf_log_level *ret)
{
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = (enum sf_log_level)i;
            return true;
        }
    }
    return false;
}

/* What a guest or a caller wrote must not be able to forge a line or move the cursor. */
static void add_printable(struct sf_text *line, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            sf_text_add(line, "\\x%02x", c);
        else
            sf_text_add_bytes(line, text, 1);
    }
}

void sf_log(enum sf_log_level level, const char *fmt, ...)
{
    if ((unsigned)level > shown)
        return;

    SF_CLEANUP(sf_freep) char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int length = vasprintf(&text, fmt, args);
    va_end(args);
    if (length < 0) {
        text = NULL;
        return;
    }

    SF_CLEANUP(sf_text_done) struct sf_text line = {0};
    sf_text_add(&line, "%s ", names[level]);
    add_printable(&line, text);
    sf_text_add(&line, "\n");
    /* One write, so that lines of different threads do not mix. */
    if (!line.broken && write(STDERR_FILENO, line.data, line.size) < 0)
        return; /* nobody listens: there is nothing better to do */
}
