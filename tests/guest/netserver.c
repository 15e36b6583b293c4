/*
 * netserver ECHO_PORT STREAM_PORT: a server that shows what a network loses. Says "ready" once it
 * can be reached, over IPv4 and IPv6. SIGTERM ends it with 0.
 *
 * On ECHO_PORT everything comes back as it came. On STREAM_PORT blocks come for as long as the
 * client sends nothing: 8 bytes that are the block's number, from 0 on; BLOCK - 12 bytes that are
 * random, but the same each time; and 4 bytes that are the CRC-32 of all the connection's bytes
 * before them. Numbers are little-endian.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK 4096

static void end(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static void echo(int fd)
{
    uint8_t data[65536];
    ssize_t n;

    while ((n = read(fd, data, sizeof(data))) > 0)
        if (!write_all(fd, data, (size_t)n))
            return;
}

/* ---- the stream ---- */

static uint32_t crc_table[256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        crc_table[i] = crc;
    }
}

static uint32_t crc_add(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++)
        crc = crc_table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

static void put(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void fill(uint64_t number, uint8_t block[BLOCK], uint32_t *crc)
{
    uint64_t state = number * 0x9e3779b97f4a7c15 + 1;

    put(block, number, 8);
    for (size_t i = 8; i < BLOCK - 4; i += 4) {
        state = state * 6364136223846793005 + 1442695040888963407;
        put(block + i, state >> 32, 4);
    }
    *crc = crc_add(*crc, block, BLOCK - 4);
    put(block + BLOCK - 4, *crc, 4);
    *crc = crc_add(*crc, block + BLOCK - 4, 4);
}

static bool has_word(int fd)
{
    struct pollfd it = {.fd = fd, .events = POLLIN};

    return poll(&it, 1, 0) != 0;
}

static void stream(int fd)
{
    uint8_t block[BLOCK];
    uint32_t crc = 0;

    make_crc_table();
    for (uint64_t number = 0; !has_word(fd); number++) {
        fill(number, block, &crc);
        if (!write_all(fd, block, sizeof(block)))
            return;
    }
}

/* ---- connections ---- */

static int listen_at(const char *port)
{
    const int on = 1, off = 0;
    struct sockaddr_in6 at = {.sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)strtoul(port, NULL, 10))};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0) {
        fprintf(stderr, "netserver: port %s: %s\n", port, strerror(errno));
        exit(1);
    }
    return fd;
}

/* Each connection has a process of its own; nobody waits for its end. */
static void take(int listener, void (*serve)(int fd))
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;

    if (fork() == 0) {
        close(listener);
        serve(fd);
        shutdown(fd, SHUT_WR);
        _exit(0);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: netserver ECHO_PORT STREAM_PORT\n");
        return 2;
    }
    signal(SIGTERM, end);
    signal(SIGCHLD, SIG_IGN);
    struct pollfd fds[] = {{.fd = listen_at(argv[1]), .events = POLLIN},
                           {.fd = listen_at(argv[2]), .events = POLLIN}};
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if ((fds[0].revents & POLLIN) != 0)
            take(fds[0].fd, echo);
        if ((fds[1].revents & POLLIN) != 0)
            take(fds[1].fd, stream);
    }
}
