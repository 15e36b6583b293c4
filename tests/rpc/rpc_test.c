/* The gRPC engine: what it promises, and every known way to hurt a server on the C core. */
#include "base/suite.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <grpc/grpc.h>

#include "call.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "rpc/echo_peer.h"

#include "echo.pb-c.h"

#define ECHO   "/sandferry.test.v1.EchoService/Echo"
#define REPEAT "/sandferry.test.v1.EchoService/Repeat"
#define HANG   "/sandferry.test.v1.EchoService/Hang"
#define HOLD   "/sandferry.test.v1.EchoService/Hold"

static const ProtobufCMessageDescriptor *const response_type =
    &sandferry__test__v1__echo_response__descriptor;

static struct peer peer;

static void setup(void)
{
    peer_start(&peer, 0);
}

static void teardown(void)
{
    ck_assert_int_eq(peer_stop(&peer), 0);
}

static void channel_free(struct call_channel **channel)
{
    call_channel_free(*channel);
}

static struct call_channel *connect_to(const char *address)
{
    struct call_channel *channel = NULL;
    struct sf_error *err = NULL;

    ck_assert_msg(call_channel_new(address, NULL, &channel, &err), "%s", SF_WHY(err));
    return channel;
}

/* Says @text and gets it back. False: *@err says why not. */
static bool say(struct call_channel *channel, const char *text, uint32_t timeout_ms,
                struct sf_error **err)
{
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    request.text = (char *)(uintptr_t)text;
    if (!call_unary(channel, ECHO, &request.base, response_type, timeout_ms, &reply, err))
        return false;
    ck_assert_str_eq(((Sandferry__Test__V1__EchoResponse *)(void *)reply)->text, text);
    protobuf_c_message_free_unpacked(reply, NULL);
    return true;
}

static void answers(const char *address)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert_msg(say(channel, "hello", 10000, &err), "%s", SF_WHY(err));
}

/* ---- What it promises ---- */

START_TEST(a_call_is_answered)
{
    answers(peer.address);
}
END_TEST

START_TEST(an_error_comes_with_its_details)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert(!say(channel, "fail", 10000, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_str_eq(sf_error_message(err), "it cannot be: \xc3\xa4");
    ck_assert_uint_eq(sf_error_n_details(err), 3);
    int fields = 0, reasons = 0;
    for (size_t i = 0; i < 3; i++) {
        const struct sf_detail *detail = sf_error_detail(err, i);
        fields += detail->kind == SF_DETAIL_FIELD && strcmp(detail->subject, "a.b[3]") == 0;
        reasons += detail->kind == SF_DETAIL_REASON && strcmp(detail->subject, "scsi") == 0 &&
                   strcmp(detail->text, "disk '0:1' is attaching") == 0;
    }
    ck_assert_int_eq(fields, 1);
    ck_assert_int_eq(reasons, 1);
}
END_TEST

START_TEST(more_details_than_metadata_holds_still_give_an_error)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert(!say(channel, "fail much", 10000, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_str_eq(sf_error_message(err), "much is wrong");
    ck_assert_uint_ge(sf_error_n_details(err), 30);
}
END_TEST

static bool count(void *context, const ProtobufCMessage *message)
{
    (void)message;
    return ++*(unsigned *)context != 77;
}

static bool repeat(struct call_channel *channel, const char *text, unsigned n, unsigned *ret_got,
                   struct sf_error **err)
{
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;

    request.text = (char *)(uintptr_t)text;
    request.count = n;
    return call_stream(channel, REPEAT, &request.base, response_type, 20000, count, ret_got, err);
}

START_TEST(a_stream_gives_all_and_then_its_error)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    unsigned got = 100; /* beyond 77: nothing ends it early */

    ck_assert_msg(repeat(channel, "x", 500, &got, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(got, 600);
    ck_assert(!repeat(channel, "fail", 3, &got, &err));
    ck_assert_uint_eq(got, 603);
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
}
END_TEST

START_TEST(a_stream_can_be_left)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    unsigned got = 0;

    ck_assert_msg(repeat(channel, "x", 1000000, &got, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(got, 77);
    answers(peer.address);
}
END_TEST

static bool hang(struct call_channel *channel, uint32_t timeout_ms, struct sf_error **err)
{
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    return call_unary(channel, HANG, &request.base, response_type, timeout_ms, &reply, err);
}

START_TEST(a_deadline_reaches_the_handler)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    char line[64];

    ck_assert(!hang(channel, 300, &err));
    ck_assert_int_eq(sf_error_code(err), SF_DEADLINE_EXCEEDED);
    peer_line(&peer, line, sizeof(line));
    ck_assert_str_eq(line, "hanging 1");
    peer_line(&peer, line, sizeof(line));
    ck_assert_str_eq(line, "ended DEADLINE_EXCEEDED");
}
END_TEST

static void *cancel_when_it_hangs(void *context)
{
    char line[64];

    peer_line(&peer, line, sizeof(line));
    call_channel_cancel(context);
    return NULL;
}

START_TEST(a_cancellation_reaches_the_handler)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    pthread_t thread;
    char line[64];

    pthread_create(&thread, NULL, cancel_when_it_hangs, channel);
    ck_assert(!hang(channel, 0, &err));
    pthread_join(thread, NULL);
    ck_assert_int_eq(sf_error_code(err), SF_CANCELLED);
    peer_line(&peer, line, sizeof(line));
    ck_assert_str_eq(line, "ended CANCELLED");
}
END_TEST

/* ---- Drain ---- */

struct caller {
    pthread_t thread;
    struct call_channel *channel;
    const char *method;
    bool ok;
    struct sf_error *err;
};

static void *call_method(void *context)
{
    struct caller *c = context;
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    request.text = (char *)(uintptr_t) "held";
    c->ok = call_unary(c->channel, c->method, &request.base, response_type, 20000, &reply, &c->err);
    if (c->ok)
        protobuf_c_message_free_unpacked(reply, NULL);
    return NULL;
}

static void caller_start(struct caller *c, const char *method)
{
    *c = (struct caller){.channel = connect_to(peer.address), .method = method};
    pthread_create(&c->thread, NULL, call_method, c);
}

static void caller_end(struct caller *c)
{
    pthread_join(c->thread, NULL);
    call_channel_free(c->channel);
}

START_TEST(a_drain_ends_waits_and_lets_others_finish)
{
    struct caller hanging, holding;
    SF_CLEANUP(channel_free) struct call_channel *third = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    char line[64];

    ck_assert(say(third, "connect", 10000, &err));
    caller_start(&hanging, HANG);
    peer_line(&peer, line, sizeof(line));
    caller_start(&holding, HOLD);
    peer_line(&peer, line, sizeof(line));
    kill(peer.pid, SIGTERM);
    caller_end(&hanging);
    ck_assert(!hanging.ok);
    ck_assert_int_eq(sf_error_code(hanging.err), SF_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(sf_error_message(hanging.err), "stopping"));
    sf_error_free(hanging.err);
    caller_end(&holding); /* nobody releases it: it is ended when its grace is over */
    ck_assert(!holding.ok);
    ck_assert_int_eq(sf_error_code(holding.err), SF_UNAVAILABLE);
    sf_error_free(holding.err);
}
END_TEST

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

START_TEST(a_full_queue_refuses_at_once)
{
    struct caller callers[6];
    unsigned refused = 0;
    char line[64];

    /* Two workers, and one place to wait. */
    for (int i = 0; i < 6; i++)
        caller_start(&callers[i], HOLD);
    peer_line(&peer, line, sizeof(line));
    peer_line(&peer, line, sizeof(line));
    /* Three are refused; the queue holds the "release" then, or one of them until it was. */
    for (int i = 0; i < 200 && refused < 3; i++) {
        SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        ck_assert(!say(channel, "in", 10000, &err));
        ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
        refused++;
    }
    kill(peer.pid, SIGTERM); /* what is held is ended by the drain */
    refused = 0;
    for (int i = 0; i < 6; i++) {
        caller_end(&callers[i]);
        ck_assert(!callers[i].ok);
        refused += sf_error_code(callers[i].err) == SF_RESOURCE_EXHAUSTED;
        sf_error_free(callers[i].err);
    }
    ck_assert_uint_eq(refused, 3);
}
END_TEST

/* ---- Descriptors ---- */

static int connect_unix(const char *address)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    size_t size = strlen(address + 5);
    ck_assert_uint_lt(size, sizeof(to.sun_path));
    memcpy(to.sun_path, address + 5, size);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

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
    for (int i = 89; i >= 0 && ended == 0; i--) {
        char byte;
        ended += recv(fds[i], &byte, 1, 0) == 0;
    }
    ck_assert_uint_eq(ended, 1);
    for (int i = 0; i < 90; i++)
        close(fds[i]);
    answers(poor.address);
    ck_assert_int_eq(peer_stop(&poor), 0);
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
    waitpid(peer.pid, NULL, 0);
    close(peer.out);
    close(peer.err);
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
    unlink(path);
}
END_TEST

START_TEST(a_socket_is_for_its_owner_only)
{
    struct stat at;

    ck_assert_int_eq(stat(peer.address + 5, &at), 0);
    ck_assert_uint_eq(at.st_mode & 0777, 0600);
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
    waitpid(first.pid, NULL, 0);
    close(first.out);
    close(first.err);
}
END_TEST

/* ---- TLS ---- */

#define TLS_FILES 9
static char tls_directory[64], tls_paths[TLS_FILES][128];
static char tls_texts[TLS_FILES][8192];
static const char *const tls_names[TLS_FILES] = {"ca.crt",       "ca.key",     "ca2.crt",
                                                 "stranger.key", "server.crt", "server.key",
                                                 "client.crt",   "client.key", "stranger.crt"};

/* Certificates by openssl(1), for a day: a CA, a server and a client of it; and a stranger's. */
static void make_certificates(void)
{
    char command[4096];

    snprintf(tls_directory, sizeof(tls_directory), "/tmp/sandferry-tls-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tls_directory));
    snprintf(command, sizeof(command),
             "cd %s && exec 2>/dev/null && "
             "for c in ca ca2; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
             "-nodes -subj /CN=$c -days 1 -keyout $c.key -out $c.crt || exit 1; done; "
             "for n in server:ca client:ca stranger:ca2; do ca=${n#*:}; n=${n%%:*}; "
             "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$n "
             "-addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout $n.key -out $n.csr && "
             "openssl x509 -req -in $n.csr -CA $ca.crt -CAkey $ca.key -CAcreateserial -days 1 "
             "-copy_extensions copyall -out $n.crt || exit 1; done",
             tls_directory);
    ck_assert_int_eq(system(command), 0);
    for (int i = 0; i < TLS_FILES; i++) {
        snprintf(tls_paths[i], sizeof(tls_paths[i]), "%s/%s", tls_directory, tls_names[i]);
        FILE *in = fopen(tls_paths[i], "re");
        ck_assert_ptr_nonnull(in);
        tls_texts[i][fread(tls_texts[i], 1, sizeof(tls_texts[i]) - 1, in)] = '\0';
        fclose(in);
    }
}

static void remove_certificates(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", tls_directory);
    ck_assert_int_eq(system(command), 0);
}

static char *tls_text(const char *name)
{
    for (int i = 0; i < TLS_FILES; i++)
        if (strcmp(tls_names[i], name) == 0)
            return tls_texts[i];
    return NULL;
}

static bool say_over_tls(const char *address, const char *certificate, const char *key,
                         struct sf_error **err)
{
    const struct call_tls tls = {.certificate_pem =
                                     certificate != NULL ? tls_text(certificate) : NULL,
                                 .key_pem = key != NULL ? tls_text(key) : NULL,
                                 .server_ca_pem = tls_text("ca.crt"),
                                 .server_name = "localhost"};
    struct call_channel *channel = NULL;

    ck_assert(call_channel_new(address, &tls, &channel, err));
    bool ok = say(channel, "secret", 10000, err);
    call_channel_free(channel);
    return ok;
}

static void tls_start(struct peer *p, unsigned files)
{
    char *const tls[3] = {tls_paths[4], tls_paths[5], tls_paths[0]};
    char words[512];

    ck_assert_msg(peer_start_at(p, "127.0.0.1:0", tls, files, words, sizeof(words)), "%s", words);
}

static void tls_stop(struct peer *p)
{
    int status;

    kill(p->pid, SIGTERM);
    waitpid(p->pid, &status, 0);
    close(p->out);
    close(p->err);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

START_TEST(only_certificates_of_our_ca_get_in)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_error_freep) struct sf_error *none = NULL;
    SF_CLEANUP(sf_error_freep) struct sf_error *strange = NULL;
    struct peer p;

    tls_start(&p, 0);
    ck_assert_msg(say_over_tls(p.address, "client.crt", "client.key", &err), "%s", SF_WHY(err));
    ck_assert(!say_over_tls(p.address, NULL, NULL, &none));
    ck_assert_int_eq(sf_error_code(none), SF_UNAVAILABLE);
    ck_assert(!say_over_tls(p.address, "stranger.crt", "stranger.key", &strange));
    ck_assert_int_eq(sf_error_code(strange), SF_UNAVAILABLE);
    ck_assert_msg(say_over_tls(p.address, "client.crt", "client.key", &err), "%s", SF_WHY(err));
    tls_stop(&p);
}
END_TEST

static int connect_tcp(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

START_TEST(a_tcp_listener_survives_running_out_of_descriptors)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct peer p;
    int fds[90];

    tls_start(&p, 56);
    ck_assert_msg(say_over_tls(p.address, "client.crt", "client.key", &err), "%s", SF_WHY(err));
    for (int i = 0; i < 90; i++)
        fds[i] = connect_tcp(p.address);
    char byte;
    ck_assert_int_le(recv(fds[89], &byte, 1, 0), 0);
    for (int i = 0; i < 90; i++)
        close(fds[i]);
    ck_assert_msg(say_over_tls(p.address, "client.crt", "client.key", &err), "%s", SF_WHY(err));
    tls_stop(&p);
}
END_TEST

START_TEST(a_large_stream_goes_through_tls)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct call_tls tls = {tls_text("client.crt"), tls_text("client.key"), tls_text("ca.crt"),
                                 "localhost"};
    SF_CLEANUP(channel_free) struct call_channel *channel = NULL;
    static char text[200001];
    struct peer p;
    unsigned got = 100;

    memset(text, 'x', sizeof(text) - 1);
    tls_start(&p, 0);
    ck_assert(call_channel_new(p.address, &tls, &channel, &err));
    ck_assert_msg(repeat(channel, text, 50, &got, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(got, 150);
    tls_stop(&p);
}
END_TEST

/* ---- Health and reflection ---- */

START_TEST(health_knows_each_service)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    request.service = (char *)(uintptr_t) "sandferry.test.v1.EchoService";
    ck_assert(call_unary(channel, "/grpc.health.v1.Health/Check", &request.base,
                         &grpc__health__v1__health_check_response__descriptor, 10000, &reply,
                         &err));
    ck_assert_int_eq(((Grpc__Health__V1__HealthCheckResponse *)(void *)reply)->status,
                     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    protobuf_c_message_free_unpacked(reply, NULL);
    request.service = (char *)(uintptr_t) "no.Such";
    ck_assert(!call_unary(channel, "/grpc.health.v1.Health/Check", &request.base,
                          &grpc__health__v1__health_check_response__descriptor, 10000, &reply,
                          &err));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
}
END_TEST

struct reflected {
    size_t services, files;
    bool has_echo, not_found;
};

static bool look(void *context, const ProtobufCMessage *message)
{
    const Grpc__Reflection__V1__ServerReflectionResponse *r = (const void *)message;
    struct reflected *seen = context;

    if (r->message_response_case ==
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE) {
        seen->services = r->list_services_response->n_service;
        for (size_t i = 0; i < seen->services; i++)
            seen->has_echo |= strcmp(r->list_services_response->service[i]->name,
                                     "sandferry.test.v1.EchoService") == 0;
    } else if (r->message_response_case ==
               GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE) {
        seen->not_found = r->error_response->error_code == SF_NOT_FOUND;
    } else {
        const ProtobufCBinaryData *file = r->file_descriptor_response->file_descriptor_proto;
        Google__Protobuf__FileDescriptorProto *parsed =
            google__protobuf__file_descriptor_proto__unpack(NULL, file->len, file->data);
        ck_assert_ptr_nonnull(parsed);
        seen->files = r->file_descriptor_response->n_file_descriptor_proto;
        seen->has_echo = strcmp(parsed->name, "echo.proto") == 0;
        google__protobuf__file_descriptor_proto__free_unpacked(parsed, NULL);
    }
    return true;
}

static struct reflected reflect(Grpc__Reflection__V1__ServerReflectionRequest *request,
                                const char *version)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct reflected seen = {0};
    char method[100];

    snprintf(method, sizeof(method), "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo",
             version);
    ck_assert_msg(call_stream(channel, method, &request->base,
                              &grpc__reflection__v1__server_reflection_response__descriptor, 10000,
                              look, &seen, &err),
                  "%s", SF_WHY(err));
    return seen;
}

START_TEST(reflection_shows_all_that_is_there)
{
    static const char *const versions[] = {"v1", "v1alpha"};
    Grpc__Reflection__V1__ServerReflectionRequest request =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;

    request.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES;
    request.list_services = (char *)(uintptr_t) "";
    struct reflected seen = reflect(&request, versions[_i]);
    ck_assert_uint_eq(seen.services, 4); /* health, two of reflection, ours */
    ck_assert(seen.has_echo);

    request.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
    request.file_containing_symbol = (char *)(uintptr_t) "sandferry.test.v1.EchoService.Echo";
    seen = reflect(&request, versions[_i]);
    ck_assert(seen.has_echo);
    ck_assert_uint_eq(seen.files, 1);
    request.file_containing_symbol = (char *)(uintptr_t) "sandferry.test.v1.NoSuch";
    ck_assert(reflect(&request, versions[_i]).not_found);
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
    Suite *suite = suite_create("rpc");
    TCase *calls = add_case(suite, "calls");
    tcase_add_test(calls, a_call_is_answered);
    tcase_add_test(calls, an_error_comes_with_its_details);
    tcase_add_test(calls, more_details_than_metadata_holds_still_give_an_error);
    tcase_add_test(calls, a_stream_gives_all_and_then_its_error);
    tcase_add_test(calls, a_stream_can_be_left);
    tcase_add_test(calls, a_deadline_reaches_the_handler);
    tcase_add_test(calls, a_cancellation_reaches_the_handler);
    tcase_add_test(calls, a_drain_ends_waits_and_lets_others_finish);

    TCase *traps = add_case(suite, "traps");
    tcase_add_test(traps, an_unknown_method_is_unimplemented);
    tcase_add_test(traps, a_compressed_bomb_is_refused_unopened);
    tcase_add_test(traps, an_oversize_message_is_not_kept_whole);
    tcase_add_test(traps, deep_nesting_is_refused);
    tcase_add_loop_test(traps, bytes_that_are_no_message_are_refused, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(traps, a_full_queue_refuses_at_once);
    tcase_add_test(traps, a_listener_survives_running_out_of_descriptors);
    tcase_add_test(traps, a_live_socket_cannot_be_stolen);
    tcase_add_test(traps, a_dead_servers_socket_is_taken);
    tcase_add_test(traps, a_file_that_is_no_socket_is_left_alone);
    tcase_add_test(traps, a_socket_is_for_its_owner_only);
    tcase_add_test(traps, a_port_in_use_cannot_be_shared);

    TCase *tls = tcase_create("tls");
    tcase_set_timeout(tls, 60);
    tcase_add_unchecked_fixture(tls, make_certificates, remove_certificates);
    tcase_add_test(tls, only_certificates_of_our_ca_get_in);
    tcase_add_test(tls, a_tcp_listener_survives_running_out_of_descriptors);
    tcase_add_test(tls, a_large_stream_goes_through_tls);
    suite_add_tcase(suite, tls);

    TCase *standard = add_case(suite, "standard");
    tcase_add_test(standard, health_knows_each_service);
    tcase_add_loop_test(standard, reflection_shows_all_that_is_there, 0, 2);

    grpc_init();
    int status = sf_suite_run(suite);
    grpc_shutdown();
    return status;
}
