/*
 * TLS between the network and the core. The core can do it too, but only on connections that it
 * has accepted itself (see accept.c). So OpenSSL does the handshake here, and the core gets one end
 * of a socket pair that carries the plain bytes. One thread pumps all connections.
 */
#include "rpc/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/log.h"

#define BUFFER_SIZE (32 * 1024)
#define TICK_MS     1000
#define FLUSH_MS    1000 /* for what the core has said last, to who reads */

/* Bytes on their way in one direction. */
struct pipe {
    uint8_t data[BUFFER_SIZE];
    size_t begin, end;
    bool ended; /* no more come in */
};

struct link {
    int net, inner; /* inner -1: the handshake is not through yet */
    SSL *ssl;
    struct pipe in, out; /* from the network; to the network */
    short net_wants;     /* what TLS waits for on the network */
    bool ready;          /* there is something to do */
    bool gone;           /* the peer is */
    int64_t deadline_ns; /* of the handshake; INT64_MAX: it is through */
};

struct rpc_relay {
    SSL_CTX *context;
    struct link **links;
    unsigned n_links, max_links;
    int64_t handshake_ns;
    rpc_take take;
    void *take_context;
    pthread_mutex_t lock;
    int *arrived; /* added, and not yet taken by the thread */
    unsigned n_arrived;
    int wake;
    bool started, ending;
    pthread_t thread;
};

/* ---- Certificates ---- */

static bool fail_tls(struct sf_error **err, const char *what)
{
    char words[256];

    ERR_error_string_n(ERR_get_error(), words, sizeof(words));
    ERR_clear_error();
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "%s cannot be used: %s; give PEM files that fit "
                   "together",
                   what, words);
}

static bool use_certificate(SSL_CTX *context, const char *pem, struct sf_error **err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool ok = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;

    X509_free(certificate);
    /* What follows are the certificates between it and a root. */
    while (ok && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        ok = SSL_CTX_add0_chain_cert(context, certificate) == 1;
    BIO_free(bio);
    if (ok)
        ERR_clear_error(); /* that there is no further one */
    return ok ? true : fail_tls(err, "the certificate");
}

static bool use_key(SSL_CTX *context, const char *pem, struct sf_error **err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    bool ok = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 &&
              SSL_CTX_check_private_key(context) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok ? true : fail_tls(err, "the certificate's key");
}

static bool use_client_ca(SSL_CTX *context, const char *pem, struct sf_error **err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    unsigned n = 0;

    while (bio != NULL && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        n += X509_STORE_add_cert(store, certificate) == 1;
        SSL_CTX_add_client_CA(context, certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    if (n == 0)
        return fail_tls(err, "the CA for clients");
    ERR_clear_error();
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

/* gRPC speaks HTTP/2 and nothing else. */
static int choose_h2(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                     const unsigned char *offered, unsigned size, void *context)
{
    static const unsigned char h2[] = {2, 'h', '2'};

    (void)ssl;
    (void)context;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, ret_size, h2, sizeof(h2), offered, size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_up(SSL_CTX *context, const struct rpc_tls *tls, struct sf_error **err)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL);
    return use_certificate(context, tls->certificate_pem, err) &&
           use_key(context, tls->key_pem, err) && use_client_ca(context, tls->client_ca_pem, err);
}

/* ---- One connection ---- */

static void link_free(struct link *l)
{
    SSL_free(l->ssl);
    shutdown(l->net, SHUT_RDWR); /* close() alone would not: the acceptor watches a duplicate */
    close(l->net);
    if (l->inner >= 0)
        close(l->inner);
    free(l);
}

static struct link *link_new(struct rpc_relay *relay, int fd)
{
    struct link *l = calloc(1, sizeof(*l));

    if (l != NULL)
        *l = (struct link){.net = fd,
                           .inner = -1,
                           .ssl = SSL_new(relay->context),
                           .ready = true,
                           .deadline_ns = sf_clock_monotonic_ns() + relay->handshake_ns};
    else
        close(fd);
    if (l != NULL && (l->ssl == NULL || SSL_set_fd(l->ssl, fd) != 1)) {
        link_free(l);
        l = NULL;
    }
    if (l != NULL)
        SSL_set_accept_state(l->ssl);
    return l;
}

/* False: the connection is over. */
static bool waits(struct link *l, int result)
{
    int why = SSL_get_error(l->ssl, result);

    if (why == SSL_ERROR_WANT_READ)
        l->net_wants |= POLLIN;
    else if (why == SSL_ERROR_WANT_WRITE)
        l->net_wants |= POLLOUT;
    else if (why == SSL_ERROR_ZERO_RETURN)
        l->in.ended = true;
    else
        return false;
    return true;
}

static bool shake_hands(struct rpc_relay *relay, struct link *l)
{
    int pair[2];
    int result = SSL_do_handshake(l->ssl);

    if (result != 1) {
        bool more = waits(l, result);
        if (!more)
            sf_warning("rpc: a TLS client was turned away: %s, continuing",
                       SSL_get_verify_result(l->ssl) != X509_V_OK
                           ? X509_verify_cert_error_string(SSL_get_verify_result(l->ssl))
                           : "no handshake");
        ERR_clear_error();
        return more;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return false;
    l->inner = pair[0];
    l->deadline_ns = INT64_MAX;
    relay->take(relay->take_context, pair[1], false);
    return true;
}

static bool read_net(struct link *l)
{
    while (l->in.end < BUFFER_SIZE && !l->in.ended) {
        int n = SSL_read(l->ssl, l->in.data + l->in.end, (int)(BUFFER_SIZE - l->in.end));
        if (n <= 0)
            return waits(l, n);
        l->in.end += (size_t)n;
    }
    return true;
}

static bool write_net(struct link *l)
{
    while (l->out.begin < l->out.end) {
        int n = SSL_write(l->ssl, l->out.data + l->out.begin, (int)(l->out.end - l->out.begin));
        if (n <= 0)
            return waits(l, n);
        l->out.begin += (size_t)n;
    }
    l->out.begin = l->out.end = 0;
    return true;
}

static bool read_inner(struct link *l)
{
    while (l->out.end < BUFFER_SIZE && !l->out.ended) {
        ssize_t n = read(l->inner, l->out.data + l->out.end, BUFFER_SIZE - l->out.end);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        l->out.ended = n == 0;
        l->out.end += (size_t)n;
    }
    return true;
}

static bool write_inner(struct link *l)
{
    while (l->in.begin < l->in.end) {
        ssize_t n = send(l->inner, l->in.data + l->in.begin, l->in.end - l->in.begin, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        l->in.begin += (size_t)n;
    }
    l->in.begin = l->in.end = 0;
    return true;
}

static bool is_empty(const struct pipe *p)
{
    return p->begin == p->end;
}

/* Moves what can be moved. False: the connection is over. */
static bool pump(struct rpc_relay *relay, struct link *l)
{
    ERR_clear_error(); /* SSL_get_error() would take another connection's for this one's */
    l->ready = false;
    l->net_wants = 0;
    if (l->gone || (l->inner < 0 && !shake_hands(relay, l)))
        return false;
    if (l->inner < 0)
        return sf_clock_monotonic_ns() < l->deadline_ns;
    if (!read_net(l))
        return false;
    bool was_full = l->in.end == BUFFER_SIZE;
    if (!write_inner(l) || !read_inner(l) || !write_net(l))
        return false;
    /* There may be more, and it was not TLS that said that there is not: do not wait for it. */
    l->ready = was_full && is_empty(&l->in);
    bool in_over = l->in.ended && is_empty(&l->in), out_over = l->out.ended && is_empty(&l->out);
    return !in_over && !out_over;
}

/* ---- All of them ---- */

static void take_arrived(struct rpc_relay *relay)
{
    pthread_mutex_lock(&relay->lock);
    for (unsigned i = 0; i < relay->n_arrived; i++) {
        struct link *l =
            relay->n_links < relay->max_links ? link_new(relay, relay->arrived[i]) : NULL;
        if (l != NULL)
            relay->links[relay->n_links++] = l;
        else if (relay->n_links == relay->max_links)
            close(relay->arrived[i]);
    }
    relay->n_arrived = 0;
    pthread_mutex_unlock(&relay->lock);
}

static nfds_t fill_fds(const struct rpc_relay *relay, struct pollfd *fds)
{
    nfds_t n = 0;

    fds[n++] = (struct pollfd){.fd = relay->wake, .events = POLLIN};
    for (unsigned i = 0; i < relay->n_links; i++) {
        const struct link *l = relay->links[i];
        short inner =
            (short)((l->out.end < BUFFER_SIZE ? POLLIN : 0) | (is_empty(&l->in) ? 0 : POLLOUT));
        fds[n++] = (struct pollfd){.fd = l->net, .events = l->net_wants};
        fds[n++] = (struct pollfd){.fd = l->inner, .events = inner};
    }
    return n;
}

/* Pumps those with something to do, and those that are late. True: some have more to do. */
static bool pump_all(struct rpc_relay *relay)
{
    int64_t now_ns = sf_clock_monotonic_ns();
    bool more = false;

    for (unsigned i = relay->n_links; i-- > 0;) {
        struct link *l = relay->links[i];
        if ((l->ready || now_ns >= l->deadline_ns) && !pump(relay, l)) {
            relay->links[i] = relay->links[--relay->n_links];
            link_free(l);
        } else {
            more |= l->ready;
        }
    }
    return more;
}

/* What poll() found. A peer that has hung up takes no answer: what it said is not worth more. */
static void note_ready(struct rpc_relay *relay, const struct pollfd *fds)
{
    for (unsigned i = 0; i < relay->n_links; i++) {
        short net = fds[1 + 2 * i].revents, inner = fds[2 + 2 * i].revents;
        relay->links[i]->gone |= (net & (POLLERR | POLLHUP)) != 0;
        relay->links[i]->ready |= net != 0 || inner != 0;
    }
}

/* OpenSSL writes to sockets without MSG_NOSIGNAL. */
static void block_sigpipe(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static bool is_ending(struct rpc_relay *relay)
{
    uint64_t count;

    if (read(relay->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
        return true;
    pthread_mutex_lock(&relay->lock);
    bool ending = relay->ending;
    pthread_mutex_unlock(&relay->lock);
    return ending;
}

/* The core has closed its ends: what it said before that goes out, and with it each connection. */
static void flush_all(struct rpc_relay *relay, struct pollfd *fds)
{
    int64_t until_ns = sf_clock_monotonic_ns() + FLUSH_MS * SF_NS_PER_MS;

    for (unsigned i = 0; i < relay->n_links; i++) {
        relay->links[i]->ready = true;
        relay->links[i]->gone |= relay->links[i]->inner < 0; /* it has not even shaken hands */
    }
    while (sf_clock_monotonic_ns() < until_ns) {
        bool more = pump_all(relay);
        if (relay->n_links == 0)
            break;
        if (poll(fds, fill_fds(relay, fds), more ? 0 : FLUSH_MS / 10) >= 0)
            note_ready(relay, fds);
    }
}

static void *relay_all(void *argument)
{
    struct rpc_relay *relay = argument;
    struct pollfd *fds = calloc(1 + 2 * (size_t)relay->max_links, sizeof(*fds));

    block_sigpipe();
    while (fds != NULL && !is_ending(relay)) {
        take_arrived(relay);
        bool more = pump_all(relay);
        if (poll(fds, fill_fds(relay, fds), more ? 0 : TICK_MS) >= 0)
            note_ready(relay, fds);
        else if (errno != EINTR)
            break;
    }
    if (fds != NULL)
        flush_all(relay, fds);
    free(fds);
    return NULL;
}

struct rpc_relay *rpc_relay_new(const struct rpc_tls *tls, const struct rpc_options *options,
                                rpc_take take, void *context, struct sf_error **err)
{
    struct rpc_relay *relay = calloc(1, sizeof(*relay));
    if (relay == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }
    pthread_mutex_init(&relay->lock, NULL);
    relay->max_links = options->max_connections;
    relay->handshake_ns = options->handshake_ms * SF_NS_PER_MS;
    relay->take = take;
    relay->take_context = context;
    relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    relay->links = calloc(relay->max_links, sizeof(*relay->links));
    relay->arrived = calloc(relay->max_links, sizeof(*relay->arrived));
    relay->context = SSL_CTX_new(TLS_server_method());
    bool ok = relay->wake >= 0 && relay->links != NULL && relay->arrived != NULL &&
              relay->context != NULL;
    if (!ok)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory or descriptor for TLS");
    if (ok && set_up(relay->context, tls, err))
        return relay;
    rpc_relay_free(relay);
    return NULL;
}

bool rpc_relay_start(struct rpc_relay *relay, struct sf_error **err)
{
    relay->started = pthread_create(&relay->thread, NULL, relay_all, relay) == 0;
    return relay->started ? true : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no thread for TLS");
}

static void wake_up(struct rpc_relay *relay)
{
    uint64_t one = 1;

    if (write(relay->wake, &one, sizeof(one)) < 0)
        return; /* it is awake */
}

void rpc_relay_add(struct rpc_relay *relay, int fd)
{
    pthread_mutex_lock(&relay->lock);
    bool room = relay->n_arrived < relay->max_links;
    if (room)
        relay->arrived[relay->n_arrived++] = fd;
    pthread_mutex_unlock(&relay->lock);
    if (room)
        wake_up(relay);
    else
        close(fd);
}

void rpc_relay_free(struct rpc_relay *relay)
{
    if (relay == NULL)
        return;
    pthread_mutex_lock(&relay->lock);
    relay->ending = true;
    pthread_mutex_unlock(&relay->lock);
    wake_up(relay);
    if (relay->started)
        pthread_join(relay->thread, NULL);
    for (unsigned i = 0; i < relay->n_links; i++)
        link_free(relay->links[i]);
    for (unsigned i = 0; i < relay->n_arrived; i++)
        close(relay->arrived[i]);
    SSL_CTX_free(relay->context);
    pthread_mutex_destroy(&relay->lock);
    if (relay->wake >= 0)
        close(relay->wake);
    free(relay->links);
    free(relay->arrived);
    free(relay);
}
