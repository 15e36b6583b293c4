#include "progress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "output.h"

static void tell(struct progress *p, int64_t seconds)
{
    fputs(p->terminal ? "\rsandferry: " : "sandferry: ", p->out);
    print_safe(p->out, p->what);
    fprintf(p->out, ": %lld s%s", (long long)seconds, p->terminal ? "\033[K" : "\n");
    fflush(p->out);
}

/* Until that second after the beginning, or the end. */
static bool wait_until(struct progress *p, int64_t seconds)
{
    int64_t ns = p->began_ns + seconds * SF_NS_PER_S;
    struct timespec until = {.tv_sec = ns / SF_NS_PER_S, .tv_nsec = ns % SF_NS_PER_S};
    int status = 0;
    while (!p->ended && status == 0)
        status = pthread_cond_timedwait(&p->cond, &p->mutex, &until);
    return !p->ended;
}

static void *watch(void *context)
{
    struct progress *p = context;
    int64_t seconds = 1;
    bool told = false;

    pthread_mutex_lock(&p->mutex);
    while (wait_until(p, seconds)) {
        tell(p, seconds);
        told = true;
        seconds = p->terminal ? seconds + 1 : seconds * 2;
    }
    if (told && p->terminal) {
        fputs("\r\033[K", p->out);
        fflush(p->out);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

static void start(struct progress *p)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&p->mutex, NULL);
    p->began_ns = sf_clock_monotonic_ns();
    if (pthread_create(&p->thread, NULL, watch, p) != 0)
        p->out = NULL; /* nobody tells; the work goes on */
}

void progress_begin(struct progress *p, struct cli *cli, const char *fmt, ...)
{
    SF_CLEANUP(sf_text_done) struct sf_text what = {0};
    va_list args;
    int fd = fileno(cli->err);

    *p = (struct progress){.terminal = fd >= 0 && isatty(fd) == 1};
    if (!p->terminal && !cli->global.progress)
        return;
    va_start(args, fmt);
    sf_text_addv(&what, fmt, args);
    va_end(args);
    p->what = sf_text_take(&what);
    if (p->what == NULL)
        return;
    p->out = cli->err;
    start(p);
}

void progress_end(struct progress *p)
{
    if (p->out != NULL) {
        pthread_mutex_lock(&p->mutex);
        p->ended = true;
        pthread_cond_broadcast(&p->cond);
        pthread_mutex_unlock(&p->mutex);
        pthread_join(p->thread, NULL);
        pthread_mutex_destroy(&p->mutex);
        pthread_cond_destroy(&p->cond);
    }
    free(p->what);
    *p = (struct progress){0};
}
