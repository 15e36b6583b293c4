#ifndef QEMU_QMP_H
#define QEMU_QMP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"

/*
 * QEMU's control socket: one JSON object a line. A thread reads; a command waits for the line that
 * has its id. One caller at a time; the callbacks come on the thread.
 */
struct qmp;

struct qmp_ops {
    /* An event. @data: borrowed, may be NULL. May not call qmp_execute(). */
    void (*event)(void *context, const char *name, const json_t *data);
    /* QEMU has hung up, or talks nonsense: no command goes any more. Once, on the thread; not if
     * qmp_free() came first. */
    void (*lost)(void *context, const char *why);
    void *context;
};

#define QMP_LINE_MAX ((size_t)8 * 1024 * 1024)

/**
 * qmp_new() - greet QEMU
 * @fd:  a connected stream socket; given away, also on failure
 * @ops: copied; either function may be NULL
 *
 * Return: NULL with UNAVAILABLE if QEMU does not answer within @timeout_ms.
 */
struct qmp *qmp_new(int fd, const struct qmp_ops *ops, uint32_t timeout_ms, struct sf_error **err);
void qmp_free(struct qmp *q); /* hangs up; NULL is fine */
SF_DEFINE_CLEANUP(struct qmp, qmp_free)

/**
 * qmp_execute() - one command
 * @arguments:  given away; NULL: none
 * @fd:         goes along with it (getfd, add-fd); -1: none. Stays the caller's
 * @ret:        what it returned, the caller's; may be NULL
 *
 * Return: false with FAILED_PRECONDITION and QEMU's words if it refused, UNAVAILABLE if it is gone
 * or silent for @timeout_ms.
 */
bool qmp_execute_fd(struct qmp *q, const char *command, json_t *arguments, int fd,
                    uint32_t timeout_ms, json_t **ret, struct sf_error **err);
bool qmp_execute(struct qmp *q, const char *command, json_t *arguments, json_t **ret,
                 struct sf_error **err);

/* What most commands get. */
#define QMP_TIMEOUT_MS 30000

/* Watch for an event from now on, whose data has @value at @key: before the command that causes it.
 * One at a time. All strings are copied. */
void qmp_expect(struct qmp *q, const char *event, const char *key, const char *value);
/* Wait until it has come. False with UNAVAILABLE: it has not, within @timeout_ms. */
bool qmp_await(struct qmp *q, uint32_t timeout_ms, struct sf_error **err);

#endif
