#include "qemu/qmp.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/suite.h"
#include "base/text.h"
#include "qemu/migrate.h"

/*
 * A QEMU that is a script: it greets, and for each command says what the test has laid out for it,
 * $ID being the command's id. "!" hangs up. A command that the script does not expect hangs up too.
 */
#define GREETING "{\"QMP\": {\"version\": {}}}\r\n"
#define OK       "{\"return\": {}, \"id\": $ID}\r\n"

struct line {
    const char *command, *answer;
};

static const struct line *script;
static int peer;   /* QEMU's end */
static int got_fd; /* the last descriptor that came along; -1: none */
static const char *greeting;
static pthread_t thread;
static struct sf_error *err;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    char events[256], lost[256];
} heard = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, "", ""};

static void say(const char *text)
{
    ssize_t n = send(peer, text, strlen(text), MSG_NOSIGNAL);
    (void)n;
}

/* With the id in place of $ID. */
static void say_answer(const char *answer, const char *id)
{
    const char *at = strstr(answer, "$ID");
    SF_CLEANUP(sf_freep)
    char *text =
        at == NULL ? strdup(answer) : sf_format("%.*s%s%s", (int)(at - answer), answer, id, at + 3);
    /* In two parts, as a socket may give them. */
    size_t half = strlen(text) / 2;
    ssize_t n = send(peer, text, half, MSG_NOSIGNAL);
    (void)n;
    say(text + half);
}

/* One line of text; a descriptor that comes along is kept. False: hung up. */
static bool hear(char *line, size_t room)
{
    char control[CMSG_SPACE(sizeof(int))];

    for (size_t n = 0; n + 1 < room; n++) {
        struct iovec part = {line + n, 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC) != 1)
            return false;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        if (c != NULL && c->cmsg_type == SCM_RIGHTS)
            memcpy(&got_fd, CMSG_DATA(c), sizeof(int));
        line[n + 1] = '\0';
        if (line[n] == '\n')
            return true;
    }
    return false;
}

static bool act(const struct line *row, const char *line)
{
    SF_CLEANUP(json_decrefp) json_t *object = json_loads(line, 0, NULL);
    const char *command = json_string_value(json_object_get(object, "execute"));
    char id[32];

    if (command == NULL || row->command == NULL || strcmp(command, row->command) != 0)
        return false;
    snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(object, "id")));
    if (row->answer[0] == '!')
        return false;
    say_answer(row->answer, id);
    return true;
}

static void *run_peer(void *arg)
{
    char line[4096];

    (void)arg;
    say(greeting);
    if (hear(line, sizeof(line)))
        act(&(struct line){"qmp_capabilities", OK}, line);
    for (const struct line *row = script; hear(line, sizeof(line)); row++)
        if (!act(row, line))
            break;
    shutdown(peer, SHUT_RDWR);
    return NULL;
}

/* ---- what the client hears ---- */

static void on_event(void *context, const char *name, const json_t *data)
{
    (void)context;
    (void)data;
    pthread_mutex_lock(&heard.mutex);
    size_t n = strlen(heard.events);
    snprintf(heard.events + n, sizeof(heard.events) - n, "%s ", name);
    pthread_mutex_unlock(&heard.mutex);
}

static void on_lost(void *context, const char *why)
{
    (void)context;
    pthread_mutex_lock(&heard.mutex);
    snprintf(heard.lost, sizeof(heard.lost), "%s", why);
    pthread_cond_broadcast(&heard.cond);
    pthread_mutex_unlock(&heard.mutex);
}

static void await_lost(const char *words)
{
    pthread_mutex_lock(&heard.mutex);
    while (heard.lost[0] == '\0') /* the test case's own timeout ends it */
        pthread_cond_wait(&heard.cond, &heard.mutex);
    ck_assert_msg(strstr(heard.lost, words) != NULL, "%s", heard.lost);
    pthread_mutex_unlock(&heard.mutex);
}

static struct qmp *start(const struct line *rows)
{
    struct qmp_ops ops = {.event = on_event, .lost = on_lost};
    int pair[2];

    script = rows;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    peer = pair[1];
    ck_assert_int_eq(pthread_create(&thread, NULL, run_peer, NULL), 0);
    return qmp_new(pair[0], &ops, 2000, &err);
}

static void finish(struct qmp *q)
{
    qmp_free(q);
    pthread_join(thread, NULL);
    close(peer);
}

static void set_up(void)
{
    err = NULL;
    got_fd = -1;
    greeting = GREETING;
    heard.events[0] = heard.lost[0] = '\0';
}

static void tear_down(void)
{
    sf_error_free(err);
    if (got_fd >= 0)
        close(got_fd);
}

static void expect_error(enum sf_code code, const char *words)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code && strstr(sf_error_message(err), words) != NULL,
                  "%s: %s", sf_code_name(sf_error_code(err)), sf_error_message(err));
    sf_error_free(SF_STEAL(err));
}

#define DO(call) ck_assert_msg((call), "%s", SF_WHY(err))

/* ---- the tests ---- */

START_TEST(a_command_gets_what_it_asked_for)
{
    static const struct line rows[] = {
        {"query-status", "{\"return\": {\"status\": \"running\"}, \"id\": $ID}\r\n"},
        {"stop", "{\"event\": \"STOP\", \"data\": {}}\r\n{\"return\": {}, \"id\": 4711}\r\n" OK},
        {NULL, NULL}};
    struct qmp *q = start(rows);
    ck_assert_msg(q != NULL, "%s", SF_WHY(err));

    json_t *ret = NULL;
    DO(qmp_execute(q, "query-status", NULL, &ret, &err));
    ck_assert_str_eq(json_string_value(json_object_get(ret, "status")), "running");
    json_decref(ret);
    DO(qmp_execute(q, "stop", NULL, NULL, &err)); /* the stale answer before it is not taken */
    ck_assert_str_eq(heard.events, "STOP ");
    finish(q);
    ck_assert_str_eq(heard.lost, ""); /* we hung up */
}
END_TEST

START_TEST(a_refusal_has_qemus_words)
{
    static const struct line rows[] = {
        {"cont",
         "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not so\"}, \"id\": $ID}\r\n"},
        {"cont", "{\"error\": {}, \"id\": $ID}\r\n"},
        {NULL, NULL}};
    struct qmp *q = start(rows);

    ck_assert(!qmp_execute(q, "cont", NULL, NULL, &err));
    expect_error(SF_FAILED_PRECONDITION, "not so");
    ck_assert(!qmp_execute(q, "cont", NULL, NULL, &err));
    expect_error(SF_FAILED_PRECONDITION, "does not say why");
    finish(q);
}
END_TEST

START_TEST(a_descriptor_goes_along)
{
    static const struct line rows[] = {{"getfd", OK}, {NULL, NULL}};
    struct qmp *q = start(rows);
    struct stat given, got;
    FILE *file = tmpfile();

    DO(qmp_execute_fd(q, "getfd", json_pack("{s:s}", "fdname", "x"), fileno(file), 2000, NULL,
                      &err));
    finish(q);
    ck_assert_int_eq(fstat(fileno(file), &given), 0);
    ck_assert_int_eq(fstat(got_fd, &got), 0);
    ck_assert_uint_eq(given.st_ino, got.st_ino);
    fclose(file);
}
END_TEST

START_TEST(a_qemu_that_ends_is_told_once)
{
    static const struct line rows[] = {{"stop", "!"}, {NULL, NULL}};
    struct qmp *q = start(rows);

    ck_assert(!qmp_execute(q, "stop", NULL, NULL, &err));
    expect_error(SF_UNAVAILABLE, "QEMU has ended");
    await_lost("QEMU has ended");
    ck_assert(!qmp_execute(q, "cont", NULL, NULL, &err)); /* nothing goes any more */
    expect_error(SF_UNAVAILABLE, "QEMU has ended");
    finish(q);
}
END_TEST

START_TEST(a_silent_qemu_is_not_waited_for)
{
    static const struct line rows[] = {{"stop", " "}, {"cont", OK}, {NULL, NULL}};
    struct qmp *q = start(rows);

    ck_assert(!qmp_execute_fd(q, "stop", NULL, -1, 30, NULL, &err));
    expect_error(SF_UNAVAILABLE, "has not answered for 30 ms");
    DO(qmp_execute(q, "cont", NULL, NULL, &err));
    finish(q);
}
END_TEST

/* clang-format off */
static const struct {
    const char *greeting, *words;
} bad_greetings[] = {
    { "",                              "has not greeted"   },
    { "hello\n",                       "what is not QMP"   },
    { "[1]\n",                         "what is not QMP"   },
    { "{\"QMP\": \n",                  "what is not QMP"   },
    { "\n\r\n{\"return\": 1}\n{}\n",   "has not greeted"   },
};
/* clang-format on */

START_TEST(who_does_not_greet_is_no_qemu)
{
    static const struct line rows[] = {{NULL, NULL}};
    greeting = bad_greetings[_i].greeting;
    struct qmp *q = start(rows);

    ck_assert_ptr_null(q);
    expect_error(SF_UNAVAILABLE, bad_greetings[_i].words);
    ck_assert_str_eq(heard.lost, ""); /* who never was there is not lost */
    finish(NULL);
}
END_TEST

START_TEST(a_line_without_end_is_not_kept)
{
    static const struct line rows[] = {{"stop", " "}, {NULL, NULL}};
    struct qmp *q = start(rows);
    static char blanks[65536];

    memset(blanks, ' ', sizeof(blanks));
    ck_assert(!qmp_execute_fd(q, "stop", NULL, -1, 10, NULL, &err));
    sf_error_free(SF_STEAL(err));
    for (bool lost = false; !lost;) { /* it reads on until it has had enough */
        ssize_t n = send(peer, blanks, sizeof(blanks), MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)n;
        pthread_mutex_lock(&heard.mutex);
        lost = heard.lost[0] != '\0';
        pthread_mutex_unlock(&heard.mutex);
    }
    await_lost("a line without end");
    shutdown(peer, SHUT_RDWR);
    finish(q);
}
END_TEST

START_TEST(an_event_is_waited_for)
{
    static const struct line rows[] = {
        {"device_del", "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"other\"}}\n"
                       "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"d1\"}}\n" OK},
        {"device_del", "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"other\"}}\n" OK},
        {NULL, NULL}};
    struct qmp *q = start(rows);

    qmp_expect(q, "DEVICE_DELETED", "device", "d1");
    DO(qmp_execute(q, "device_del", NULL, NULL, &err));
    DO(qmp_await(q, 2000, &err));
    qmp_expect(q, "DEVICE_DELETED", "device", "d1"); /* anew: the one before does not count */
    DO(qmp_execute(q, "device_del", NULL, NULL, &err));
    ck_assert(!qmp_await(q, 30, &err));
    expect_error(SF_UNAVAILABLE, "'DEVICE_DELETED' of 'd1'");
    finish(q);
}
END_TEST

#define STATUS(s) "{\"return\": {\"status\": \"" s "\"}, \"id\": $ID}\r\n"

START_TEST(device_state_goes_out_and_in)
{
    static const struct line out[] = {{"migrate-set-capabilities", OK},
                                      {"getfd", OK},
                                      {"migrate", OK},
                                      {"query-migrate", STATUS("setup")},
                                      {"query-migrate", STATUS("active")},
                                      {"query-migrate", STATUS("completed")},
                                      {NULL, NULL}};
    static const struct line in[] = {{"migrate-set-capabilities", OK},
                                     {"getfd", OK},
                                     {"migrate-incoming", OK},
                                     {"query-migrate", "{\"return\": {}, \"id\": $ID}\r\n"},
                                     {"query-migrate", STATUS("completed")},
                                     {NULL, NULL}};
    FILE *file = tmpfile();
    struct qmp *q = start(_i == 0 ? out : in);

    DO(_i == 0 ? migrate_out(q, fileno(file), false, 2000, &err)
               : migrate_in(q, fileno(file), false, 2000, &err));
    ck_assert_int_ge(got_fd, 0);
    finish(q);
    fclose(file);
}
END_TEST

START_TEST(a_migration_that_fails_says_why)
{
    static const struct line refused[] = {
        {"migrate-set-capabilities", OK},
        {"getfd", OK},
        {"migrate", "{\"error\": {\"desc\": \"a share is mounted\"}, \"id\": $ID}\r\n"},
        {NULL, NULL}};
    static const struct line failed[] = {
        {"migrate-set-capabilities", OK},
        {"getfd", OK},
        {"migrate", OK},
        {"query-migrate",
         "{\"return\": {\"status\": \"failed\", \"error-desc\": \"no room\"}, \"id\": $ID}\r\n"},
        {NULL, NULL}};
    static const struct line ended[] = {{"migrate-set-capabilities", OK},
                                        {"getfd", OK},
                                        {"migrate", OK},
                                        {"query-migrate", "!"},
                                        {NULL, NULL}};
    static const struct {
        const struct line *rows;
        const char *words;
    } all[] = {{refused, "a share is mounted"}, {failed, "no room"}, {ended, "QEMU has ended"}};
    FILE *file = tmpfile();
    struct qmp *q = start(all[_i].rows);

    ck_assert(!migrate_out(q, fileno(file), false, 2000, &err));
    ck_assert_msg(strstr(sf_error_message(err), all[_i].words) != NULL, "%s",
                  sf_error_message(err));
    finish(q);
    fclose(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qemu_qmp");
    TCase *talk = tcase_create("talk");
    tcase_set_timeout(talk, 30);
    tcase_add_checked_fixture(talk, set_up, tear_down);
    tcase_add_test(talk, a_command_gets_what_it_asked_for);
    tcase_add_test(talk, a_refusal_has_qemus_words);
    tcase_add_test(talk, a_descriptor_goes_along);
    tcase_add_test(talk, a_qemu_that_ends_is_told_once);
    tcase_add_test(talk, a_silent_qemu_is_not_waited_for);
    tcase_add_loop_test(talk, who_does_not_greet_is_no_qemu, 0,
                        sizeof(bad_greetings) / sizeof(bad_greetings[0]));
    tcase_add_test(talk, a_line_without_end_is_not_kept);
    tcase_add_test(talk, an_event_is_waited_for);
    tcase_add_loop_test(talk, device_state_goes_out_and_in, 0, 2);
    tcase_add_loop_test(talk, a_migration_that_fails_says_why, 0, 3);
    suite_add_tcase(suite, talk);
    return sf_suite_run(suite);
}
