#ifndef SF_LOG_H
#define SF_LOG_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One line per event on standard error: `level subject: event key=value ...`. Ids in single
 * quotes; a warning ends in what happens next (", continuing"). Control characters in arguments
 * are printed as \xNN, so that no guest can forge a line. Thread-safe.
 */
enum sf_log_level { SF_LOG_ERROR, SF_LOG_WARNING, SF_LOG_INFO, SF_LOG_DEBUG };

void sf_log_set_level(enum sf_log_level level); /* SF_LOG_INFO until set */
bool sf_log_parse_level(const char *name, enum sf_log_level *ret);
void sf_log(enum sf_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define sf_error_log(...) sf_log(SF_LOG_ERROR, __VA_ARGS__)
#define sf_warning(...)   sf_log(SF_LOG_WARNING, __VA_ARGS__)
#define sf_info(...)      sf_log(SF_LOG_INFO, __VA_ARGS__)
#define sf_debug(...)     sf_log(SF_LOG_DEBUG, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
