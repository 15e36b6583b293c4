/* Input, signals and sizes, on their way to the process. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "session.h"

#define AT_ONCE  ((size_t)32 * 1024)
#define AGAIN_MS 20  /* until the process may have read something */
#define THERE_MS 200 /* until the sandbox may be somewhere else */
#define CALL_MS  60000

enum { GO = 'g', END = 'e' };

/* True: go on; takes signals meanwhile. */
static bool rest(struct session *s, int ms);

/* The connection to where the process is now. NULL: there is none. */
static struct sandferry *connection(struct session *s)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry *client = NULL;

    pthread_mutex_lock(&s->mutex);
    const char *host = s->host;
    bool there = s->client != NULL;
    pthread_mutex_unlock(&s->mutex);
    if (there)
        return s->client;
    if (!cli_connect_to(s->cli, host, &client, &err))
        return NULL;
    pthread_mutex_lock(&s->mutex);
    s->client = client;
    pthread_mutex_unlock(&s->mutex);
    return client;
}

static void disconnect(struct session *s)
{
    pthread_mutex_lock(&s->mutex);
    struct sandferry *client = s->client;
    s->client = NULL;
    pthread_mutex_unlock(&s->mutex);
    sandferry_close(client);
}

/* ---- Input ---- */

enum given { GIVEN, LATER, NEVER };

/* Whether a process that does not take input now will ever: a sandbox may be held by a save. */
static bool is_closed(struct session *s, struct sandferry *client)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_processes *list;
    bool closed = false;

    if (!sandferry_process_list(client, s->sandbox, s->container, NULL, &list, &err))
        return false;
    for (size_t i = 0; i < list->n; i++) {
        const struct sandferry_process *p = list->all[i];
        if (strcmp(p->exec_id, s->exec_id != NULL ? s->exec_id : "") == 0)
            closed = p->stdin_closed || p->stage == SANDFERRY_PROCESS_TERMINATED;
    }
    sandferry_processes_free(list);
    return closed;
}

static enum given give_once(struct session *s, const uint8_t *data, size_t size, bool close)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_write_options o = SANDFERRY_WRITE_OPTIONS_INIT;
    struct sandferry *client = connection(s);

    if (client == NULL)
        return LATER;
    o.timeout_ms = CALL_MS;
    o.exec_id = s->exec_id;
    o.close = close;
    o.at_offset = size > 0;
    o.offset = s->stdin_offset;
    if (sandferry_process_write(client, s->sandbox, s->container, data, size, &o, NULL, &err)) {
        s->stdin_offset += size;
        return GIVEN;
    }
    switch (sf_error_code(err)) {
    case SF_RESOURCE_EXHAUSTED:
        return LATER;
    case SF_FAILED_PRECONDITION:
        return is_closed(s, client) ? NEVER : LATER;
    case SF_UNAVAILABLE:
    case SF_NOT_FOUND:
    case SF_DEADLINE_EXCEEDED:
        disconnect(s); /* it may have gone elsewhere; the reader finds out */
        return rest(s, THERE_MS) ? LATER : NEVER;
    default:
        return NEVER;
    }
}

/* False: no more is wanted. */
static bool give(struct session *s, const uint8_t *data, size_t size, bool close)
{
    enum given given;

    while ((given = give_once(s, data, size, close)) == LATER)
        if (!rest(s, AGAIN_MS))
            return false;
    return given == GIVEN;
}

static void detach(struct session *s)
{
    atomic_store(&s->detached, true);
    pthread_mutex_lock(&s->mutex);
    if (s->cli->client != NULL)
        sandferry_cancel(s->cli->client);
    pthread_mutex_unlock(&s->mutex);
}

/* False: no more comes. */
static bool take_input(struct session *s)
{
    static uint8_t typed[AT_ONCE], kept[AT_ONCE + 1];
    ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));
    const uint8_t *data = typed;
    size_t size = n > 0 ? (size_t)n : 0;
    bool leaves = false;

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    if (n == 0) {
        give(s, NULL, 0, true);
        return false;
    }
    if (s->ours.raw) {
        leaves = detach_keys_take(&s->keys, typed, size, kept, &size);
        data = kept;
    }
    bool more = size == 0 || give(s, data, size, false);
    if (leaves)
        detach(s);
    return more && !leaves;
}

/* ---- Signals ---- */

static void resize(struct session *s)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_process_options o = SANDFERRY_PROCESS_OPTIONS_INIT;
    struct sandferry *client = connection(s);
    uint32_t columns, rows;

    o.timeout_ms = CALL_MS;
    o.exec_id = s->exec_id;
    if (s->terminal && client != NULL && terminal_size(&columns, &rows))
        sandferry_process_resize(client, s->sandbox, s->container, columns, rows, &o, &err);
}

static void pass_on(struct session *s, uint32_t number)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_process_options o = SANDFERRY_PROCESS_OPTIONS_INIT;
    struct sandferry *client = connection(s);

    o.timeout_ms = CALL_MS;
    o.exec_id = s->exec_id;
    if (client != NULL)
        sandferry_process_signal(client, s->sandbox, s->container, number, &o, &err);
}

static void take_signals(struct session *s, bool there_is_one)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGWINCH && there_is_one)
            resize(s);
        else if (info.ssi_signo != SIGWINCH && there_is_one)
            pass_on(s, info.ssi_signo);
        else if (info.ssi_signo != SIGWINCH)
            _exit(128 + (int)info.ssi_signo);
    }
}

/* ---- The thread ---- */

static bool ends(const struct session *s)
{
    char byte = 0;

    return read(s->wake[0], &byte, 1) != 1 || byte == END;
}

static bool rest(struct session *s, int ms)
{
    struct pollfd fds[] = {{.fd = s->wake[0], .events = POLLIN},
                           {.fd = s->signals, .events = POLLIN}};

    poll(fds, 2, ms);
    if (fds[0].revents != 0)
        return !ends(s);
    if (fds[1].revents != 0)
        take_signals(s, true);
    return true;
}

static void *feed(void *arg)
{
    struct session *s = arg;
    bool ready = false, open = false;

    for (;;) {
        struct pollfd fds[] = {{.fd = s->wake[0], .events = POLLIN},
                               {.fd = s->signals, .events = POLLIN},
                               {.fd = open ? STDIN_FILENO : -1, .events = POLLIN}};
        if (poll(fds, 3, -1) < 0)
            continue;
        if (fds[0].revents != 0 && ends(s))
            break;
        if (fds[0].revents != 0) {
            ready = true;
            open = s->input;
        }
        if (fds[1].revents != 0)
            take_signals(s, ready);
        if (open && fds[2].revents != 0)
            open = take_input(s);
    }
    disconnect(s);
    return NULL;
}

bool feeder_begin(struct session *s, struct sf_error **err)
{
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGWINCH);
    s->pipe_before = signal(SIGPIPE, SIG_IGN); /* a write says so, too */
    s->masked = pthread_sigmask(SIG_BLOCK, &ours, &s->before) == 0;
    s->signals = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signals >= 0 && pipe(s->wake) == 0 && pthread_create(&s->feeder, NULL, feed, s) == 0)
        s->fed = true;
    return s->fed ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no room for a thread: %s", strerror(errno));
}

static void say(const struct session *s, char word)
{
    while (write(s->wake[1], &word, 1) < 0 && errno == EINTR)
        continue;
}

void feeder_ready(struct session *s)
{
    say(s, GO);
}

void feeder_end(struct session *s)
{
    if (s->fed) {
        say(s, END);
        pthread_mutex_lock(&s->mutex);
        if (s->client != NULL)
            sandferry_cancel(s->client);
        pthread_mutex_unlock(&s->mutex);
        pthread_join(s->feeder, NULL);
    }
    for (int i = 0; i < 2; i++)
        if (s->wake[i] >= 0)
            close(s->wake[i]);
    if (s->signals >= 0)
        close(s->signals);
    s->wake[0] = s->wake[1] = s->signals = -1;
    if (s->masked) {
        signal(SIGPIPE, s->pipe_before);
        pthread_sigmask(SIG_SETMASK, &s->before, NULL);
    }
    s->fed = s->masked = false;
}
