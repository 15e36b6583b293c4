#ifndef CLI_RESERVATION_H
#define CLI_RESERVATION_H

/* What disks, shares and devices have in common: they are held, and let go of, by reservations. */

#include "cli.h"

/* Each of sandferry_..._remove(). */
typedef bool (*reservation_remove)(struct sandferry *client, const char *sandbox,
                                   const char *reservation_id,
                                   const struct sandferry_call_options *options,
                                   struct sf_error **err);

/* "SANDBOX RESERVATION". */
int reservation_rm(struct cli *cli, const struct words *operands, reservation_remove remove);

/* One call for each holder of @object; one with NULL if there is none. */
void reservation_each(size_t n_holds, const struct sandferry_hold *const *holds, const char *object,
                      void (*each)(void *context, const struct sandferry_hold *hold),
                      void *context);

#endif
