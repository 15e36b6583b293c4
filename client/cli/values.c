#include "values.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits alone: no sign, no space. *ret_rest is what follows them. */
static bool digits(const char *text, uint64_t *ret, const char **ret_rest)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *ret = value;
    *ret_rest = end;
    return errno == 0;
}

bool parse_number(const char *text, uint64_t max, uint64_t *ret, struct sf_error **err)
{
    uint64_t value;
    const char *rest;
    if (!digits(text, &value, &rest) || *rest != '\0' || value > max)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is not a number from 0 to %llu", text,
                       (unsigned long long)max);
    *ret = value;
    return true;
}

bool parse_size(const char *text, uint64_t *ret, struct sf_error **err)
{
    static const char units[] = "KMGT";
    uint64_t value;
    const char *rest;
    unsigned shift = 0;

    bool ok = digits(text, &value, &rest);
    const char *unit = ok && *rest != '\0' ? strchr(units, toupper((unsigned char)*rest)) : NULL;
    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        rest++;
        if (strcmp(rest, "iB") == 0)
            rest += 2;
    }
    if (!ok || *rest != '\0' || value > UINT64_MAX >> shift)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "'%s' is not a size in bytes, like 536870912, 512M or 2G", text);
    *ret = value << shift;
    return true;
}

bool parse_duration(const char *text, uint32_t *ret_ms, struct sf_error **err)
{
    static const struct {
        const char *name;
        uint32_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
    uint64_t value;
    const char *rest;

    if (digits(text, &value, &rest))
        for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
            if (strcmp(rest, units[i].name) == 0 && value <= UINT32_MAX / units[i].ms) {
                *ret_ms = (uint32_t)value * units[i].ms;
                return true;
            }
    return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is not a time, like 500ms, 30s, 2m or 1h", text);
}

bool parse_choice(const char *text, const char *choices, unsigned *ret, struct sf_error **err)
{
    unsigned i = 0;
    for (const char *c = choices; *c != '\0'; i++) {
        size_t size = strcspn(c, "|");
        if (strlen(text) == size && memcmp(text, c, size) == 0) {
            *ret = i;
            return true;
        }
        c += size;
        c += *c == '|';
    }
    return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is none of %s", text, choices);
}

bool parse_signal(const char *text, uint32_t *ret, struct sf_error **err)
{
    uint64_t number;
    const char *rest;
    if (digits(text, &number, &rest) && *rest == '\0' && number >= 1 && number <= 64) {
        *ret = (uint32_t)number;
        return true;
    }
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (int i = 1; i <= 31; i++) {
        const char *known = sigabbrev_np(i);
        if (known != NULL && strcasecmp(known, name) == 0) {
            *ret = (uint32_t)i;
            return true;
        }
    }
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "'%s' is not a signal: give a name like TERM, or a number from 1 to 64", text);
}
