/* TCP with mutual TLS. */
#include "rpc/echo_client.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <grpc/grpc.h>

#include "base/clock.h"

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
    kill(p->pid, SIGTERM);
    int status = peer_reap(p);
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

START_TEST(a_tcp_listener_survives_running_out_of_descriptors)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct peer p;
    int fds[90];

    tls_start(&p, 56);
    ck_assert_msg(say_over_tls(p.address, "client.crt", "client.key", &err), "%s", SF_WHY(err));
    for (int i = 0; i < 90; i++)
        fds[i] = connect_tcp(p.address);
    ck_assert(is_ended(fds[89], 5000));
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

/* Much in one direction: the relay's buffer is full again and again, and it must not wait then. */
START_TEST(large_requests_go_through_tls_without_a_pause)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct call_tls tls = {tls_text("client.crt"), tls_text("client.key"), tls_text("ca.crt"),
                                 "localhost"};
    SF_CLEANUP(channel_free) struct call_channel *channel = NULL;
    static char text[900001];
    struct peer p;

    memset(text, 'x', sizeof(text) - 1);
    tls_start(&p, 0);
    ck_assert(call_channel_new(p.address, &tls, &channel, &err));
    int64_t begin_ns = sf_clock_monotonic_ns();
    for (int i = 0; i < 10; i++)
        ck_assert_msg(say(channel, text, 20000, &err), "%s", SF_WHY(err));
    ck_assert_int_lt(sf_clock_monotonic_ns() - begin_ns, 5 * SF_NS_PER_S);
    tls_stop(&p);
}
END_TEST

START_TEST(who_does_not_shake_hands_is_sent_away)
{
    struct peer p;

    tls_start(&p, 0);
    int fd = connect_tcp(p.address);
    ck_assert(is_ended(fd, 20000));
    close(fd);
    tls_stop(&p);
}
END_TEST

/* Begins a handshake, and resets the connection in the middle. */
static void knock(const char *address, const char *bytes, size_t size)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = connect_tcp(address);

    if (size > 0)
        ck_assert_int_eq(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

struct knocker {
    const char *address;
    atomic_bool enough;
};

static void *knock_on(void *context)
{
    static const char *const words[] = {"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02",
                                        "\x17\x03\x03\x40\x00 no such thing"};
    struct knocker *k = context;

    for (unsigned i = 0; !atomic_load(&k->enough); i++)
        knock(k->address, words[i % 4], strlen(words[i % 4]));
    return NULL;
}

START_TEST(what_one_says_does_not_harm_another)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct call_tls tls = {tls_text("client.crt"), tls_text("client.key"), tls_text("ca.crt"),
                                 "localhost"};
    SF_CLEANUP(channel_free) struct call_channel *channel = NULL;
    struct peer p;
    pthread_t thread;

    tls_start(&p, 0);
    struct knocker knocker = {.address = p.address};
    ck_assert(call_channel_new(p.address, &tls, &channel, &err));
    ck_assert_msg(say(channel, "first", 10000, &err), "%s", SF_WHY(err));
    pthread_create(&thread, NULL, knock_on, &knocker);
    for (int i = 0; i < 300; i++)
        ck_assert_msg(say(channel, "undisturbed", 10000, &err), "%d: %s", i, SF_WHY(err));
    atomic_store(&knocker.enough, true);
    pthread_join(thread, NULL);
    tls_stop(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rpc_tls");
    TCase *tls = tcase_create("tls");
    tcase_set_timeout(tls, 60);
    tcase_add_unchecked_fixture(tls, make_certificates, remove_certificates);
    tcase_add_test(tls, only_certificates_of_our_ca_get_in);
    tcase_add_test(tls, a_tcp_listener_survives_running_out_of_descriptors);
    tcase_add_test(tls, a_large_stream_goes_through_tls);
    tcase_add_test(tls, large_requests_go_through_tls_without_a_pause);
    tcase_add_test(tls, who_does_not_shake_hands_is_sent_away);
    tcase_add_test(tls, what_one_says_does_not_harm_another);
    suite_add_tcase(suite, tls);

    grpc_init();
    int status = sf_suite_run(suite);
    grpc_shutdown();
    return status;
}
