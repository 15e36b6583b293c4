#ifndef SERVER_STEPS_H
#define SERVER_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define STEPS_MAX 20

/* One step of a long operation. A run that fails has already taken back its own part. */
struct step {
    const char *name;
    bool (*run)(void *job, struct sf_error **err);
    void (*undo)(void *job); /* NULL: nothing to take back. Cannot fail. */
};

/* How long each step took, in order. */
struct step_times {
    unsigned n;
    struct {
        const char *name; /* borrowed from the table */
        int64_t ns;
    } at[STEPS_MAX];
};

/**
 * steps_run() - do the steps in order; if one fails, take back those before it, newest first
 * @operation: "save"; the fault point of a step is "save: <step>"
 * @steps:     ends with a step that has no name; at most STEPS_MAX
 * @times:     filled with the steps that were done
 *
 * Return: false with the failing step's error, its name put before the message.
 */
bool steps_run(const char *operation, const struct step *steps, void *job, struct step_times *times,
               struct sf_error **err);

#endif
