#include "rpc/echo_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"

void channel_free(struct call_channel **channel)
{
    call_channel_free(*channel);
}

struct call_channel *connect_to(const char *address)
{
    struct call_channel *channel = NULL;
    struct sf_error *err = NULL;

    ck_assert_msg(call_channel_new(address, NULL, &channel, &err), "%s", SF_WHY(err));
    return channel;
}

bool say(struct call_channel *channel, const char *text, uint32_t timeout_ms, struct sf_error **err)
{
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    request.text = (char *)(uintptr_t)text;
    if (!call_unary(channel, ECHO, &request.base, RESPONSE_TYPE, timeout_ms, &reply, err))
        return false;
    ck_assert_str_eq(((Sandferry__Test__V1__EchoResponse *)(void *)reply)->text, text);
    protobuf_c_message_free_unpacked(reply, NULL);
    return true;
}

void answers(const char *address)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert_msg(say(channel, "hello", 10000, &err), "%s", SF_WHY(err));
}

static bool count(void *context, const ProtobufCMessage *message)
{
    (void)message;
    return ++*(unsigned *)context != 77;
}

bool repeat(struct call_channel *channel, const char *text, unsigned n, unsigned *ret_got,
            struct sf_error **err)
{
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;

    request.text = (char *)(uintptr_t)text;
    request.count = n;
    return call_stream(channel, REPEAT, &request.base, RESPONSE_TYPE, 20000, count, ret_got, err);
}

bool hang(struct call_channel *channel, uint32_t timeout_ms, struct sf_error **err)
{
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    return call_unary(channel, HANG, &request.base, RESPONSE_TYPE, timeout_ms, &reply, err);
}

static void *call_method(void *context)
{
    struct caller *c = context;
    Sandferry__Test__V1__EchoRequest request = SANDFERRY__TEST__V1__ECHO_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    request.text = (char *)(uintptr_t) "held";
    c->ok = call_unary(c->channel, c->method, &request.base, RESPONSE_TYPE, 20000, &reply, &c->err);
    if (c->ok)
        protobuf_c_message_free_unpacked(reply, NULL);
    return NULL;
}

void caller_start_on(struct caller *c, struct call_channel *channel, const char *method)
{
    *c = (struct caller){.channel = channel, .method = method};
    ck_assert_int_eq(pthread_create(&c->thread, NULL, call_method, c), 0);
}

void caller_start(struct caller *c, const char *address, const char *method)
{
    caller_start_on(c, connect_to(address), method);
    c->own_channel = true;
}

void caller_end(struct caller *c)
{
    pthread_join(c->thread, NULL);
    if (c->own_channel)
        call_channel_free(c->channel);
}

int connect_unix(const char *address)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    size_t size = strlen(address + 5);
    ck_assert_uint_lt(size, sizeof(to.sun_path));
    memcpy(to.sun_path, address + 5, size);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

int connect_tcp(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

bool is_ended(int fd, int timeout_ms)
{
    int64_t until_ns = sf_clock_monotonic_ns() + timeout_ms * SF_NS_PER_MS;
    char bytes[512];

    for (;;) {
        int64_t left_ms = (until_ns - sf_clock_monotonic_ns()) / SF_NS_PER_MS;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) != 1)
            return false;
        if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
            return true;
    }
}
