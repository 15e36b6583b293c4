#ifndef SF_CLOCK_H
#define SF_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The only file that asks the system for the time. */
int64_t sf_clock_monotonic_ns(void);
int64_t sf_clock_realtime_ns(void); /* since 1970 */

#define SF_NS_PER_MS INT64_C(1000000)
#define SF_NS_PER_S  INT64_C(1000000000)

#ifdef __cplusplus
}
#endif

#endif
