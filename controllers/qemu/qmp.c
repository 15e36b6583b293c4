#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

struct qmp {
    int fd;
    int end; /* eventfd: the thread is to end */
    struct qmp_ops ops;
    pthread_t thread;
    bool running;

    /* Of the thread. */
    char *line;
    size_t size, room;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t cond;
    bool greeted, ending;
    char *lost;       /* owned; why nothing goes any more */
    uint64_t last_id; /* of the last command */
    json_t *answer;   /* owned; to the last command */
    char expect_event[64], expect_key[64], expect_value[128];
    bool expected_came;
};

/* ---- what QEMU says ---- */

static void lose(struct qmp *q, const char *why)
{
    pthread_mutex_lock(&q->mutex);
    bool first = q->lost == NULL;
    if (first)
        q->lost = strdup(why);
    bool tell = first && q->greeted && !q->ending;
    pthread_cond_broadcast(&q->cond);
    pthread_mutex_unlock(&q->mutex);
    if (tell && q->ops.lost != NULL)
        q->ops.lost(q->ops.context, why);
}

static bool is_expected(const struct qmp *q, const char *name, const json_t *data)
{
    const char *value = json_string_value(json_object_get(data, q->expect_key));

    return strcmp(q->expect_event, name) == 0 && value != NULL &&
           strcmp(q->expect_value, value) == 0;
}

static void take_event(struct qmp *q, const char *name, const json_t *data)
{
    pthread_mutex_lock(&q->mutex);
    if (is_expected(q, name, data)) {
        q->expected_came = true;
        pthread_cond_broadcast(&q->cond);
    }
    pthread_mutex_unlock(&q->mutex);
    if (q->ops.event != NULL)
        q->ops.event(q->ops.context, name, data);
}

/* Gives it to the one who waits for it, whole: two threads may not count the references of one
 * object. An answer that nobody waits for (its caller gave up) is dropped. */
static void take_answer(struct qmp *q, json_t *object)
{
    json_t *id = json_object_get(object, "id");

    pthread_mutex_lock(&q->mutex);
    if (json_is_integer(id) && (uint64_t)json_integer_value(id) == q->last_id &&
        q->answer == NULL) {
        q->answer = SF_STEAL(object);
        pthread_cond_broadcast(&q->cond);
    }
    pthread_mutex_unlock(&q->mutex);
    json_decref(object);
}

static void take_greeting(struct qmp *q)
{
    pthread_mutex_lock(&q->mutex);
    q->greeted = true;
    pthread_cond_broadcast(&q->cond);
    pthread_mutex_unlock(&q->mutex);
}

static void take_line(struct qmp *q, const char *line, size_t size)
{
    SF_CLEANUP(json_decrefp) json_t *object = json_loadb(line, size, 0, NULL);

    if (!json_is_object(object)) {
        lose(q, "QEMU's control socket says what is not QMP");
        return;
    }
    const char *event = json_string_value(json_object_get(object, "event"));
    if (event != NULL)
        take_event(q, event, json_object_get(object, "data"));
    else if (json_object_get(object, "QMP") != NULL)
        take_greeting(q);
    else
        take_answer(q, SF_STEAL(object));
}

static void take_lines(struct qmp *q)
{
    char *begin = q->line, *end;

    while ((end = memchr(begin, '\n', (size_t)(q->line + q->size - begin))) != NULL) {
        if (end > begin && !(end == begin + 1 && *begin == '\r'))
            take_line(q, begin, (size_t)(end - begin));
        begin = end + 1;
    }
    q->size -= (size_t)(begin - q->line);
    memmove(q->line, begin, q->size);
}

/* ---- the thread ---- */

static bool make_room(struct qmp *q)
{
    if (q->room - q->size >= 4096)
        return true;
    if (q->room >= QMP_LINE_MAX) {
        lose(q, "QEMU's control socket sends a line without end");
        return false;
    }
    size_t room = q->room == 0 ? 16384 : q->room * 2;
    char *grown = realloc(q->line, room);
    if (grown == NULL) {
        lose(q, "no memory for what QEMU says");
        return false;
    }
    q->line = grown;
    q->room = room;
    return true;
}

static bool is_lost(struct qmp *q)
{
    pthread_mutex_lock(&q->mutex);
    bool lost = q->lost != NULL;
    pthread_mutex_unlock(&q->mutex);
    return lost;
}

static bool read_more(struct qmp *q)
{
    if (!make_room(q))
        return false;
    ssize_t n = recv(q->fd, q->line + q->size, q->room - q->size, 0);
    if (n <= 0) {
        if (n < 0 && errno == EINTR)
            return true;
        lose(q, "QEMU has ended");
        return false;
    }
    q->size += (size_t)n;
    take_lines(q);
    return !is_lost(q);
}

static void *run_thread(void *arg)
{
    struct qmp *q = arg;
    bool go_on = true;

    while (go_on) {
        struct pollfd fds[2] = {{.fd = q->fd, .events = POLLIN}, {.fd = q->end, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        go_on = fds[1].revents == 0 && (fds[0].revents == 0 || read_more(q));
    }
    return NULL;
}

/* ---- making and ending ---- */

static struct timespec deadline_in(uint32_t timeout_ms)
{
    int64_t at = sf_clock_monotonic_ns() + timeout_ms * SF_NS_PER_MS;

    return (struct timespec){.tv_sec = at / SF_NS_PER_S, .tv_nsec = at % SF_NS_PER_S};
}

static void cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static bool await_greeting(struct qmp *q, uint32_t timeout_ms, struct sf_error **err)
{
    struct timespec deadline = deadline_in(timeout_ms);
    int timed_out = 0;

    pthread_mutex_lock(&q->mutex);
    while (!q->greeted && q->lost == NULL && !timed_out)
        timed_out = pthread_cond_timedwait(&q->cond, &q->mutex, &deadline) == ETIMEDOUT;
    bool ok = q->greeted;
    const char *lost = q->lost;
    pthread_mutex_unlock(&q->mutex);
    if (ok)
        return true;
    if (lost != NULL)
        return sf_fail(err, SF_UNAVAILABLE, "%s", lost);
    return sf_fail(err, SF_UNAVAILABLE, "QEMU has not greeted within %u ms", timeout_ms);
}

struct qmp *qmp_new(int fd, const struct qmp_ops *ops, uint32_t timeout_ms, struct sf_error **err)
{
    SF_CLEANUP(qmp_freep) struct qmp *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        close(fd);
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }
    q->fd = fd;
    q->ops = *ops;
    pthread_mutex_init(&q->mutex, NULL);
    cond_init_monotonic(&q->cond);
    q->end = eventfd(0, EFD_CLOEXEC);
    if (q->end < 0 || pthread_create(&q->thread, NULL, run_thread, q) != 0) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no descriptor or thread for QEMU's control socket");
        return NULL;
    }
    q->running = true;
    if (!await_greeting(q, timeout_ms, err) ||
        !qmp_execute_fd(q, "qmp_capabilities", NULL, -1, timeout_ms, NULL, err))
        return NULL;
    return SF_STEAL(q);
}

void qmp_free(struct qmp *q)
{
    uint64_t one = 1;

    if (q == NULL)
        return;
    pthread_mutex_lock(&q->mutex);
    q->ending = true;
    pthread_mutex_unlock(&q->mutex);
    if (q->running && write(q->end, &one, sizeof(one)) == (ssize_t)sizeof(one))
        pthread_join(q->thread, NULL);
    close(q->fd);
    if (q->end >= 0)
        close(q->end);
    json_decref(q->answer);
    pthread_mutex_destroy(&q->mutex);
    pthread_cond_destroy(&q->cond);
    free(q->lost);
    free(q->line);
    free(q);
}

/* ---- commands ---- */

static bool send_all(struct qmp *q, const char *text, int fd, struct sf_error **err)
{
    size_t size = strlen(text);
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (char *)text, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    while (part.iov_len > 0) {
        ssize_t n = sendmsg(q->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sf_fail(err, SF_UNAVAILABLE, "QEMU has ended");
        part.iov_base = (char *)part.iov_base + n;
        part.iov_len -= (size_t)n;
        message.msg_control = NULL;
        message.msg_controllen = 0;
    }
    return true;
}

static char *command_text(const char *command, json_t *arguments, uint64_t id)
{
    SF_CLEANUP(json_decrefp)
    json_t *object = json_pack("{s:s, s:o*, s:I}", "execute", command, "arguments", arguments, "id",
                               (json_int_t)id);
    SF_CLEANUP(sf_freep) char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    return text == NULL ? NULL : sf_format("%s\n", text);
}

static uint64_t begin_command(struct qmp *q)
{
    pthread_mutex_lock(&q->mutex);
    uint64_t id = ++q->last_id;
    json_decref(q->answer);
    q->answer = NULL;
    pthread_mutex_unlock(&q->mutex);
    return id;
}

/* The answer, the caller's; NULL with the error set. */
static json_t *await_answer(struct qmp *q, const char *command, uint32_t timeout_ms,
                            struct sf_error **err)
{
    struct timespec deadline = deadline_in(timeout_ms);
    int timed_out = 0;

    pthread_mutex_lock(&q->mutex);
    while (q->answer == NULL && q->lost == NULL && !timed_out)
        timed_out = pthread_cond_timedwait(&q->cond, &q->mutex, &deadline) == ETIMEDOUT;
    json_t *answer = SF_STEAL(q->answer);
    const char *lost = q->lost;
    pthread_mutex_unlock(&q->mutex);
    if (answer == NULL && lost != NULL)
        sf_fail(err, SF_UNAVAILABLE, "%s: %s", command, lost);
    else if (answer == NULL)
        sf_fail(err, SF_UNAVAILABLE, "%s: QEMU has not answered for %u ms", command, timeout_ms);
    return answer;
}

bool qmp_execute_fd(struct qmp *q, const char *command, json_t *arguments, int fd,
                    uint32_t timeout_ms, json_t **ret, struct sf_error **err)
{
    uint64_t id = begin_command(q);
    SF_CLEANUP(sf_freep) char *text = command_text(command, arguments, id);
    if (text == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for '%s'", command);
    if (!send_all(q, text, fd, err))
        return false;

    SF_CLEANUP(json_decrefp) json_t *answer = await_answer(q, command, timeout_ms, err);
    if (answer == NULL)
        return false;
    const json_t *refusal = json_object_get(answer, "error");
    if (refusal != NULL) {
        const char *words = json_string_value(json_object_get(refusal, "desc"));
        return sf_fail(err, SF_FAILED_PRECONDITION, "%s: QEMU refuses: %.2000s", command,
                       words == NULL ? "it does not say why" : words);
    }
    if (ret != NULL)
        *ret = json_incref(json_object_get(answer, "return"));
    return true;
}

bool qmp_execute(struct qmp *q, const char *command, json_t *arguments, json_t **ret,
                 struct sf_error **err)
{
    return qmp_execute_fd(q, command, arguments, -1, QMP_TIMEOUT_MS, ret, err);
}

/* ---- events that somebody waits for ---- */

void qmp_expect(struct qmp *q, const char *event, const char *key, const char *value)
{
    pthread_mutex_lock(&q->mutex);
    snprintf(q->expect_event, sizeof(q->expect_event), "%s", event);
    snprintf(q->expect_key, sizeof(q->expect_key), "%s", key);
    snprintf(q->expect_value, sizeof(q->expect_value), "%s", value);
    q->expected_came = false;
    pthread_mutex_unlock(&q->mutex);
}

bool qmp_await(struct qmp *q, uint32_t timeout_ms, struct sf_error **err)
{
    struct timespec deadline = deadline_in(timeout_ms);
    int timed_out = 0;

    pthread_mutex_lock(&q->mutex);
    while (!q->expected_came && q->lost == NULL && !timed_out)
        timed_out = pthread_cond_timedwait(&q->cond, &q->mutex, &deadline) == ETIMEDOUT;
    bool came = q->expected_came;
    const char *lost = q->lost;
    pthread_mutex_unlock(&q->mutex);
    if (came)
        return true;
    if (lost != NULL)
        return sf_fail(err, SF_UNAVAILABLE, "%s", lost);
    return sf_fail(err, SF_UNAVAILABLE, "QEMU has not said '%s' of '%s' within %u ms",
                   q->expect_event, q->expect_value, timeout_ms);
}
