/* The virtio-serial port: bytes between the port and the channel. */
#include "guest/agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "guest/channel.h"

#define PORT_NAME "sandferry.agent"

static int fd = -1;
static bool host_away = true;
static struct channel *channel;

static bool is_our_port(const char *name)
{
    char path[300], text[64];

    snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", name);
    if (read_file(path, text, sizeof(text)) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, PORT_NAME) == 0;
}

bool port_open(void)
{
    DIR *ports = opendir("/sys/class/virtio-ports");
    if (ports == NULL)
        return false;

    for (struct dirent *entry; fd < 0 && (entry = readdir(ports)) != NULL;) {
        char path[300];
        if (entry->d_name[0] == '.' || !is_our_port(entry->d_name))
            continue;
        snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    closedir(ports);
    if (fd >= 0 && channel == NULL)
        channel = channel_new();
    return fd >= 0 && channel != NULL;
}

int port_fd(void)
{
    /* While the host is away poll() would return at once, with POLLHUP, for ever. */
    return host_away ? -1 : fd;
}

short port_wants(void)
{
    size_t size;

    return (short)(POLLIN | (channel_output(channel, &size) != NULL ? POLLOUT : 0));
}

static void write_out(void)
{
    const void *data;
    size_t size;

    while ((data = channel_output(channel, &size)) != NULL) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* full, or the host is away: poll() tells */
        channel_wrote(channel, (size_t)n);
    }
}

static void find_host(void)
{
    uint64_t nonce = 0;

    if (getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK) != (ssize_t)sizeof(nonce))
        nonce = (uint64_t)getpid() ^ (uint64_t)time(NULL) << 20; /* early in the boot */
    host_away = false;
    channel_connect(channel, nonce);
    write_out();
}

static void lose_host(void)
{
    host_away = true;
    channel_disconnect(channel);
}

static void take_in(const uint8_t *data, size_t size)
{
    struct channel_message message;
    enum channel_result result;

    if (!channel_input(channel, data, size)) {
        agent_log("no memory for what the host says, continuing");
        return;
    }
    while ((result = channel_receive(channel, &message)) == CHANNEL_MESSAGE)
        request_take(message.data, message.size);
    if (result == CHANNEL_BROKEN)
        agent_log("the host is not the one that this guest knows: %s, continuing",
                  channel_problem(channel));
}

static void read_in(void)
{
    static uint8_t buffer[64 * 1024];

    for (;;) {
        ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        if (n == 0) {
            lose_host();
            return;
        }
        take_in(buffer, (size_t)n);
    }
}

void port_ready(short revents)
{
    if ((revents & POLLHUP) != 0 && (revents & POLLIN) == 0) {
        lose_host();
        return;
    }
    if ((revents & POLLIN) != 0)
        read_in();
    if (!host_away)
        write_out();
}

void port_tick(void)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

    if (host_away && poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) == 0)
        find_host();
}

bool port_host_away(void)
{
    return host_away;
}

bool port_has_room(size_t size)
{
    return channel_has_room(channel, size + 4096);
}

bool port_send(const Sandferry__V1__AgentMessage *message)
{
    size_t size = sandferry__v1__agent_message__get_packed_size(message);
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL)
        return false;

    sandferry__v1__agent_message__pack(message, data);
    bool ok = channel_send(channel, data, size);
    free(data);
    if (ok && !host_away)
        write_out();
    return ok;
}
