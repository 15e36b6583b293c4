#include "base/clock.h"

#include <time.h>

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now); /* cannot fail for these two clocks */
    return (int64_t)now.tv_sec * SF_NS_PER_S + now.tv_nsec;
}

int64_t sf_clock_monotonic_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

int64_t sf_clock_realtime_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}
