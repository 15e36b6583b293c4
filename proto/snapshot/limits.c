#include "snapshot/limits.h"

void sf_limits_print(FILE *out)
{
    static const struct {
        const char *name;
        unsigned value;
        const char *what;
    } rows[] = {
#define LIMIT(name, value, what) {#name, value, what},
        SF_LIMITS(LIMIT)
#undef LIMIT
    };

    fprintf(out, "| limit | at most | |\n|---|---|---|\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fprintf(out, "| `%s` | %u | %s |\n", rows[i].name, rows[i].value, rows[i].what);
}
