#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <pthread.h>

#include "cli.h"

/*
 * A line on standard error about what takes longer than a second: on a terminal, rewritten in place
 * every second and wiped at the end; elsewhere only with --progress, and then a line of its own at
 * 1, 2, 4, 8, ... seconds.
 */
struct progress {
    FILE *out; /* NULL: nothing is told */
    bool terminal;
    char *what; /* owned */
    int64_t began_ns;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool ended;
    pthread_t thread;
};

/* @fmt: what is being done: "saving 'web'". */
void progress_begin(struct progress *p, struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void progress_end(struct progress *p); /* SF_CLEANUP(progress_end); a repeat does nothing */

#endif
