#ifndef QEMU_RUN_H
#define QEMU_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

/* One QEMU process, known by its pidfd, so that no other process is ever taken for it. */
struct run;

/* Who QEMU runs as. */
#define RUN_GROUPS_MAX 32
struct run_user {
    bool drop; /* false: as we are */
    uid_t uid;
    gid_t gid;
    gid_t groups[RUN_GROUPS_MAX]; /* what else it is in: "kvm", where it may use /dev/kvm */
    int n_groups;
};

struct run_options {
    const char *const *arguments; /* the first is the program, a path; NULL at the end */
    const int *fds;               /* which it inherits, by the same numbers */
    size_t n_fds;
    struct run_user user;
    int directory_fd; /* where its log is kept: "qemu.log" */
};

/* What the log may grow to before it starts anew. */
#define RUN_LOG_MAX ((off_t)1024 * 1024)

/**
 * run_start() - start QEMU
 * In its own session, with nothing of ours but @fds, no new privileges, and what it says on
 * standard output and error in the log.
 *
 * Return: NULL with NOT_FOUND if there is no such program, else what is wrong and what to do.
 */
struct run *run_start(const struct run_options *options, struct sf_error **err);

/* Ends the process, if it has not ended, and waits for it. NULL is fine. */
void run_free(struct run *r);
SF_DEFINE_CLEANUP(struct run, run_free)

pid_t run_pid(const struct run *r);
bool run_has_ended(const struct run *r);

/* The last thing that it said, one line; "" if it said nothing. The caller's; NULL: no memory.
 * Keeps the log within its bound, too. */
char *run_last_words(struct run *r);

/* The user by name. Only root can drop: for others the answer is "as we are". NOT_FOUND. */
bool run_user_find(const char *name, struct run_user *ret, struct sf_error **err);

/* A program by name or path, as --qemu names it: the path, the caller's. NULL with
 * FAILED_PRECONDITION that says where it was looked for and what to install. */
char *run_find_program(const char *name, struct sf_error **err);

/* A socket in a directory that listens; close-on-exec; -1 with the error. */
int run_listen(int directory_fd, const char *name, struct sf_error **err);
/* A connection to it; -1. */
int run_connect(int directory_fd, const char *name, struct sf_error **err);

#endif
