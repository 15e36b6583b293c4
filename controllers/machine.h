#ifndef SF_MACHINE_H
#define SF_MACHINE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One allowed move. What no step allows is forbidden. */
struct sf_step {
    unsigned from, on, to;
};

/* A state machine as a table. */
struct sf_machine {
    const char *noun;          /* "scsi disk", for messages */
    const char *const *states; /* names, by state */
    unsigned n_states;
    const char *const *events; /* names, by event */
    unsigned n_events;
    const struct sf_step *steps;
    unsigned n_steps;
};

/* Find the state that ON leads to from FROM. False if it is forbidden. */
bool sf_machine_next(const struct sf_machine *m, unsigned from, unsigned on, unsigned *ret_to);

/**
 * sf_machine_move() - move one object
 * @state: the object's state; changed on success only
 * @id:    the object's id, for the message
 *
 * Return: false with SF_FAILED_PRECONDITION if the table does not allow it.
 */
bool sf_machine_move(const struct sf_machine *m, unsigned *state, unsigned on, const char *id,
                     struct sf_error **err);

/* Write the whole grid, forbidden cells included, as the READMEs show it. */
void sf_machine_print(const struct sf_machine *m, FILE *out);

#ifdef __cplusplus
}
#endif

#endif
