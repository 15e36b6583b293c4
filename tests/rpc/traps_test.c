/* Every known way to hurt a server on the gRPC C core; and that it does not hurt this one. */
#include "rpc/echo_client.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <grpc/grpc.h>

#include "base/clock.h"

static struct peer peer;

static void setup(void)
{
    peer_start(&peer, 0);
}

static void teardown(void)
{
    ck_assert_int_eq(peer_stop(&peer), 0);
}

/* ---- What would hurt ---- */

START_TEST(an_unknown_method_is_unimplemented)
{
    char words[256];

    ck_assert_int_eq(raw_call(peer.address, "/no.Such/Method", "", 0, false, words, sizeof(words)),
                     SF_UNIMPLEMENTED);
    ck_assert_ptr_nonnull(strstr(words, "no such method"));
}
END_TEST

START_TEST(a_compressed_bomb_is_refused_unopened)
{
    size_t size = 200 * 1024 * 1024;
    uint8_t *zeros = calloc(1, size);
    char words[256];
    long before = peer_peak_kib(&peer);

    ck_assert_ptr_nonnull(zeros);
    ck_assert_int_eq(raw_call(peer.address, ECHO, zeros, size, true, words, sizeof(words)),
                     SF_UNIMPLEMENTED);
    free(zeros);
    ck_assert_int_lt(peer_peak_kib(&peer) - before, 32 * 1024);
    answers(peer.address);
}
END_TEST

START_TEST(an_oversize_message_is_not_kept_whole)
{
    size_t size = 200 * 1024 * 1024;
    uint8_t *data = malloc(size);
    char words[256];
    long before = peer_peak_kib(&peer);

    ck_assert_ptr_nonnull(data);
    memset(data, 'x', size);
    int status = raw_call(peer.address, ECHO, data, size, false, words, sizeof(words));
    free(data);
    ck_assert_msg(status == SF_RESOURCE_EXHAUSTED, "%d: %s", status, words);
    ck_assert_int_lt(peer_peak_kib(&peer) - before, 64 * 1024);
    answers(peer.address);
}
END_TEST

/* Messages within messages: field 3, each one longer than what it holds. */
static size_t nest(uint8_t *end, unsigned depth)
{
    size_t size = 0;

    for (unsigned i = 0; i < depth; i++) {
        uint8_t length[5];
        size_t n = 0, left = size;
        do {
            length[n++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
            left >>= 7;
        } while (left > 0);
        memcpy(end - size - n, length, n);
        size += n + 1;
        end[-(ptrdiff_t)size] = 0x1a;
    }
    return size;
}

START_TEST(deep_nesting_is_refused)
{
    static uint8_t data[200000];
    char words[256];
    size_t size = nest(data + sizeof(data), 20000);

    int status =
        raw_call(peer.address, ECHO, data + sizeof(data) - size, size, false, words, sizeof(words));
    ck_assert_msg(status == SF_RESOURCE_EXHAUSTED || status == SF_INVALID_ARGUMENT, "%d: %s",
                  status, words);
    answers(peer.address);
}
END_TEST

static const struct {
    const char *what, *data;
    size_t size;
} bad[] = {
    {"a NUL in a string",
     "\x0a\x03"
     "a\0b",
     5},
    {"a string that is not UTF-8", "\x0a\x02\xff\xfe", 4},
    {"a cut",
     "\x0a\x05"
     "ab",
     4},
    {"tag 0", "\x00\x00", 2},
    {"a group", "\x0b\x0c", 2},
};

START_TEST(bytes_that_are_no_message_are_refused)
{
    char words[256];
    int status =
        raw_call(peer.address, ECHO, bad[_i].data, bad[_i].size, false, words, sizeof(words));

    ck_assert_msg(status == SF_INVALID_ARGUMENT, "%s: %d: %s", bad[_i].what, status, words);
}
END_TEST

/* Two workers, and one place to wait. */
START_TEST(a_full_queue_refuses_at_once)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    struct caller callers[2];
    char line[64];
    unsigned refused = 0;

    for (int i = 0; i < 2; i++) {
        caller_start(&callers[i], peer.address, HOLD);
        peer_line(&peer, line, sizeof(line));
    }
    /* The first takes the place, and waits there for nothing. */
    for (int i = 0; i < 4; i++) {
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        int64_t begin_ns = sf_clock_monotonic_ns();
        ck_assert(!say(channel, "in", i == 0 ? 300 : 10000, &err));
        refused += sf_error_code(err) == SF_RESOURCE_EXHAUSTED &&
                   sf_clock_monotonic_ns() - begin_ns < 5 * SF_NS_PER_S;
    }
    ck_assert_uint_eq(refused, 3);
    kill(peer.pid, SIGTERM); /* what is held is ended by the drain */
    for (int i = 0; i < 2; i++) {
        caller_end(&callers[i]);
        ck_assert(!callers[i].ok);
        sf_error_free(callers[i].err);
    }
}
END_TEST

/* 400 times half a megabyte, to a caller that does not read on. */
static bool watch_memory(void *context, const ProtobufCMessage *message)
{
    long before = *(long *)context;
    int64_t until_ns = sf_clock_monotonic_ns() + SF_NS_PER_S;

    (void)message;
    while (sf_clock_monotonic_ns() < until_ns)
        ck_assert_int_lt(peer_peak_kib(&peer) - before, 32 * 1024);
    return false;
}

START_TEST(a_stream_waits_for_who_reads_it)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;
    static char text[500001];

    memset(text, 'x', sizeof(text) - 1);
    request.text = text;
    request.count = 400;
    ck_assert_msg(say(channel, "warm", 10000, &err), "%s", SF_WHY(err));
    long before = peer_peak_kib(&peer);
    ck_assert_msg(call_stream(channel, REPEAT, &request.base, RESPONSE_TYPE, 20000, watch_memory,
                              &before, &err),
                  "%s", SF_WHY(err));
}
END_TEST

/* ---- Descriptors ---- */

START_TEST(a_listener_survives_running_out_of_descriptors)
{
    struct peer poor;
    int fds[90];

    peer_start(&poor, 48);
    answers(poor.address);
    for (int i = 0; i < 90; i++)
        fds[i] = connect_unix(poor.address);
    /* It has had no descriptor for most of them: they are sent away, not left waiting. */
    unsigned ended = 0;
    for (int i = 89; i >= 0 && ended == 0; i--)
        ended += is_ended(fds[i], 1000);
    ck_assert_uint_eq(ended, 1);
    for (int i = 0; i < 90; i++)
        close(fds[i]);
    answers(poor.address);
    ck_assert_int_eq(peer_stop(&poor), 0);
}
END_TEST

#define CONNECTIONS_MAX 100 /* in echo_server.c */

START_TEST(there_is_an_end_to_connections)
{
    enum { N = CONNECTIONS_MAX + 20 };
    int fds[N];
    unsigned ended = 0;

    for (int i = 0; i < N; i++)
        fds[i] = connect_unix(peer.address);
    for (int i = CONNECTIONS_MAX; i < N; i++)
        ended += is_ended(fds[i], 2000);
    ck_assert_uint_eq(ended, N - CONNECTIONS_MAX);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    answers(peer.address);
}
END_TEST

START_TEST(who_connects_and_says_nothing_is_sent_away)
{
    int fd = connect_unix(peer.address);

    ck_assert(is_ended(fd, 20000));
    close(fd);
}
END_TEST

/* ---- Sockets ---- */

START_TEST(a_live_socket_cannot_be_stolen)
{
    struct peer thief;
    char words[512];

    ck_assert(!peer_start_at(&thief, peer.address, NULL, 0, words, sizeof(words)));
    ck_assert_msg(strstr(words, "FAILED_PRECONDITION") != NULL &&
                      strstr(words, peer.address + 5) != NULL,
                  "%s", words);
    answers(peer.address);
}
END_TEST

START_TEST(a_dead_servers_socket_is_taken)
{
    struct peer next = peer;
    char words[512];

    kill(peer.pid, SIGKILL);
    peer_reap(&peer);
    ck_assert_msg(peer_start_at(&next, peer.address, NULL, 0, words, sizeof(words)), "%s", words);
    peer = next;
    answers(peer.address);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
    struct peer other;
    char path[200], address[210], words[512];

    snprintf(path, sizeof(path), "%s/file", peer.directory);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    snprintf(address, sizeof(address), "unix:%s", path);
    ck_assert(!peer_start_at(&other, address, NULL, 0, words, sizeof(words)));
    ck_assert_ptr_nonnull(strstr(words, "is no socket"));
    ck_assert_int_eq(unlink(path), 0);
    strcat(path, ".lock");
    ck_assert_int_ne(access(path, F_OK), 0); /* nor is anything left beside it */
}
END_TEST

START_TEST(a_socket_is_for_its_owner_only)
{
    struct stat at;

    ck_assert_int_eq(stat(peer.address + 5, &at), 0);
    ck_assert_uint_eq(at.st_mode & 0777, 0600);
}
END_TEST

/* File modes are the first wall; this is the second. Needs root. */
START_TEST(another_users_process_is_sent_away)
{
    struct peer *p = &peer;
    int status = -1;

    if (geteuid() != 0)
        return;
    ck_assert(chmod(p->directory, 0755) == 0 && chmod(p->address + 5, 0666) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (setresuid(65534, 65534, 65534) != 0)
            _exit(2);
        _exit(is_ended(connect_unix(p->address), 1000) ? 0 : 1);
    }
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    answers(p->address);
}
END_TEST

START_TEST(a_port_in_use_cannot_be_shared)
{
    struct peer first, second;
    char words[512];

    ck_assert(peer_start_at(&first, "127.0.0.1:0", NULL, 0, words, sizeof(words)));
    answers(first.address);
    ck_assert(!peer_start_at(&second, first.address, NULL, 0, words, sizeof(words)));
    ck_assert_ptr_nonnull(strstr(words, "FAILED_PRECONDITION"));
    answers(first.address);
    kill(first.pid, SIGTERM);
    peer_reap(&first);
}
END_TEST

/* ---- */

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("rpc_traps");
    TCase *traps = add_case(suite, "messages");
    tcase_add_test(traps, an_unknown_method_is_unimplemented);
    tcase_add_test(traps, a_compressed_bomb_is_refused_unopened);
    tcase_add_test(traps, an_oversize_message_is_not_kept_whole);
    tcase_add_test(traps, deep_nesting_is_refused);
    tcase_add_loop_test(traps, bytes_that_are_no_message_are_refused, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(traps, a_full_queue_refuses_at_once);
    tcase_add_test(traps, a_stream_waits_for_who_reads_it);

    TCase *connections = add_case(suite, "connections");
    tcase_add_test(connections, a_listener_survives_running_out_of_descriptors);
    tcase_add_test(connections, there_is_an_end_to_connections);
    tcase_add_test(connections, who_connects_and_says_nothing_is_sent_away);
    tcase_add_test(connections, another_users_process_is_sent_away);
    tcase_add_test(connections, a_live_socket_cannot_be_stolen);
    tcase_add_test(connections, a_dead_servers_socket_is_taken);
    tcase_add_test(connections, a_file_that_is_no_socket_is_left_alone);
    tcase_add_test(connections, a_socket_is_for_its_owner_only);
    tcase_add_test(connections, a_port_in_use_cannot_be_shared);

    grpc_init();
    int status = sf_suite_run(suite);
    grpc_shutdown();
    return status;
}
