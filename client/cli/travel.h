#ifndef CLI_TRAVEL_H
#define CLI_TRAVEL_H

#include "cli.h"

/* A process that is followed wherever its sandbox goes: --then ADDRESS, for what goes on reading.
 */
struct travel {
    struct cli *cli;
    const struct words
        *hosts; /* in the order in which it comes to them; then from the first again */
    size_t next;
    bool away; /* it has left, and was not found yet */
};

#define TRAVEL_HELP "when the sandbox leaves, go on at that daemon; repeatable"

/**
 * travel_on() - after a call has failed
 *
 * Return: true: the connection is to another daemon now, and the error is gone: try again. False:
 * it is no matter of travelling, or nobody has said where to.
 */
bool travel_on(struct travel *t, struct sf_error **err);

#endif
