#include "travel.h"

#include <poll.h>

#include "output.h"

#define AGAIN_MS 200

static bool left(const struct travel *t, enum sf_code code)
{
    return code == SF_UNAVAILABLE ||
           (t->away && (code == SF_NOT_FOUND || code == SF_FAILED_PRECONDITION));
}

static void tell(const struct travel *t, const struct sf_error *why, const char *host)
{
    fputs("sandferry: ", t->cli->err);
    print_safe(t->cli->err, sf_error_message(why));
    fputs("; going on at '", t->cli->err);
    print_safe(t->cli->err, host);
    fputs("'\n", t->cli->err);
}

bool travel_on(struct travel *t, struct sf_error **err)
{
    if (t->hosts->n == 0 || !left(t, sf_error_code(*err)))
        return false;
    const char *host = t->hosts->all[t->next++ % t->hosts->n];
    if (t->away)
        poll(NULL, 0, AGAIN_MS);
    else
        tell(t, *err, host);
    t->away = true;
    sf_error_free(*err);
    *err = NULL;
    sandferry_close(t->cli->client);
    t->cli->client = NULL;
    t->cli->global.host = host;
    return true;
}
