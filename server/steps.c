#include "steps.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"

static bool run_step(const char *operation, const struct step *step, void *job,
                     struct sf_error **err)
{
    char point[80];
    snprintf(point, sizeof(point), "%s: %s", operation, step->name);
    return sf_fault(point, err) && step->run(job, err);
}

bool steps_run(const char *operation, const struct step *steps, void *job, struct step_times *times,
               struct sf_error **err)
{
    times->n = 0;
    for (size_t i = 0; steps[i].name != NULL; i++) {
        assert(i < STEPS_MAX);
        int64_t begin = sf_clock_monotonic_ns();
        bool ok = run_step(operation, &steps[i], job, err);
        int64_t ns = sf_clock_monotonic_ns() - begin;
        sf_debug("%s: %s: %s us=%lld", operation, steps[i].name, ok ? "done" : "failed",
                 (long long)ns / 1000);
        if (ok) {
            times->at[times->n].name = steps[i].name;
            times->at[times->n++].ns = ns;
            continue;
        }

        sf_fail_in(err, "%s", steps[i].name);
        while (i-- > 0)
            if (steps[i].undo != NULL)
                steps[i].undo(job);
        return false;
    }
    return true;
}
