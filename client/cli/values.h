#ifndef CLI_VALUES_H
#define CLI_VALUES_H

/* Texts of the command line as values. All fail with INVALID_ARGUMENT, and say what is expected. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

bool parse_number(const char *text, uint64_t max, uint64_t *ret, struct sf_error **err);
/* In bytes: "512M", "2G", "2GiB"; powers of 1024. */
bool parse_size(const char *text, uint64_t *ret, struct sf_error **err);
/* "500ms", "30s", "2m", "1h"; without unit: seconds. */
bool parse_duration(const char *text, uint32_t *ret_ms, struct sf_error **err);
/* Which of "a|b|c", counted from 0. */
bool parse_choice(const char *text, const char *choices, unsigned *ret, struct sf_error **err);
/* "KILL", "SIGKILL", "9". */
bool parse_signal(const char *text, uint32_t *ret, struct sf_error **err);

#endif
