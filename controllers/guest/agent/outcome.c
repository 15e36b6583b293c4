#include "guest/agent/outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool outcome_fail(struct outcome *o, enum sf_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(o->text, sizeof(o->text), fmt, args);
    va_end(args);
    o->code = (uint32_t)code;
    return false;
}

/* Other than ASCII is rare in what a kernel says, and not worth a decoder: it becomes '?'. */
void outcome_clean(struct outcome *o)
{
    size_t size = strnlen(o->text, sizeof(o->text) - 1);

    o->text[size] = '\0';
    while (size > 0 && (o->text[size - 1] == '\n' || o->text[size - 1] == ' '))
        o->text[--size] = '\0';
    for (char *c = o->text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '\n' || byte == '\t')
            *c = ' ';
        else if (byte < 0x20 || byte >= 0x7f)
            *c = '?';
    }
}

void agent_log(const char *fmt, ...)
{
    char line[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    fprintf(stderr, "sandferry-agent: %s\n", line);
}
