#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "terminal.h"
#include "travel.h"

/*
 * One process in the foreground: what it writes comes here, what is typed or piped here goes there,
 * and so do signals and the size of the terminal. The caller's thread reads output; a second one,
 * with a connection of its own (feeder.c), does the rest.
 */
struct session {
    struct cli *cli;
    const char *sandbox, *container, *exec_id; /* exec_id NULL: the init process */
    struct travel travel;
    bool terminal; /* the process has one */
    bool input;    /* ours goes to it */
    uint64_t offsets[2], stdin_offset;

    /* The rest is the session's own. */
    int write_error; /* errno */
    struct terminal ours;
    struct detach_keys keys;
    atomic_bool detached;
    sigset_t before; /* the caller's mask, while ours is in its place */
    void (*pipe_before)(int);
    bool masked;
    pthread_t feeder;
    bool fed;                 /* the thread is there */
    int wake[2], signals;     /* -1: none */
    pthread_mutex_t mutex;    /* of what follows, and of which connection the cli has */
    const char *host;         /* where the process is now; NULL: the default */
    struct sandferry *client; /* the feeder's; to be cancelled at the end */
};

/* From here on SIGINT, SIGTERM and SIGHUP are for the process, once there is one, and until then
 * end the command. Before cli_connect(). */
bool session_begin(struct session *s, struct sf_error **err);
void session_end(struct session *s); /* SF_CLEANUP(session_end) */

/**
 * session_run() - until the process has ended, or the user detaches
 * @ret_code: its exit code; 128 + SIGPIPE if nobody reads what this command writes any more
 *
 * Return: false: attaching has failed, or the sandbox has left and nobody has said where to.
 */
bool session_run(struct session *s, int *ret_code, struct sf_error **err);

/* How to attach again, with all that one needs to know. */
void session_tell_how_to_go_on(const struct session *s);

/* ---- feeder.c ---- */
bool feeder_begin(struct session *s, struct sf_error **err);
void feeder_ready(struct session *s); /* there is a process */
void feeder_end(struct session *s);   /* a repeat does nothing */

#endif
