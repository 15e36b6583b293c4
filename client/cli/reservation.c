#include "reservation.h"

#include <string.h>

#include "output.h"
#include "progress.h"

int reservation_rm(struct cli *cli, const struct words *operands, reservation_remove remove)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};

    progress_begin(&progress, cli, "letting go of '%s'", operands->all[1]);
    bool ok = cli_connect(cli, &err) &&
              remove(cli->client, operands->all[0], operands->all[1], NULL, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "reservation '%s' is let go of\n", operands->all[1]);
    return EXIT_OK;
}

void reservation_each(size_t n_holds, const struct sandferry_hold *const *holds, const char *object,
                      void (*each)(void *context, const struct sandferry_hold *hold), void *context)
{
    bool held = false;
    for (size_t i = 0; i < n_holds; i++)
        if (strcmp(holds[i]->object, object) == 0) {
            each(context, holds[i]);
            held = true;
        }
    if (!held)
        each(context, NULL);
}
