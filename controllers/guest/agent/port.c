#include "guest/agent/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/outcome.h"
#include "guest/agent/request.h"
#include "guest/channel.h"

#define PORT_NAME "sandferry.agent"
#define RESERVE   ((size_t)1024 * 1024) /* bytes of the channel's window that output leaves free */

static int fd = -1;
static bool host_away = true, broken;
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

static int find_port(void)
{
    DIR *ports = opendir("/sys/class/virtio-ports");
    int found = -1;

    if (ports == NULL)
        return -1;
    for (struct dirent *entry; found < 0 && (entry = readdir(ports)) != NULL;) {
        char path[300];
        if (entry->d_name[0] == '.' || !is_our_port(entry->d_name))
            continue;
        snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        found = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    closedir(ports);
    return found;
}

/* SIGIO tells of a host that comes; one that is there needs none. */
static void ask_for_signals(bool ask)
{
    fcntl(fd, F_SETOWN, getpid());
    fcntl(fd, F_SETFL, O_NONBLOCK | (ask ? O_ASYNC : 0));
}

bool port_open(void)
{
    if (channel == NULL)
        channel = channel_new();
    if (fd < 0)
        fd = find_port();
    if (fd < 0 || channel == NULL)
        return false;
    ask_for_signals(true);
    port_look();
    return true;
}

int port_fd(void)
{
    return host_away ? -1 : fd;
}

bool port_host_away(void)
{
    return host_away;
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

    while (!host_away && (data = channel_output(channel, &size)) != NULL) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* full, or the host is going away: poll() tells */
        channel_wrote(channel, (size_t)n);
    }
}

/* Early in the boot there may be no random numbers yet; nobody is there to guess them either. */
static uint64_t new_nonce(void)
{
    uint64_t nonce = 0;
    struct timespec now;

    if (getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK) == (ssize_t)sizeof(nonce))
        return nonce;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_nsec * UINT64_C(0x9E3779B97F4A7C15)) ^ (uint64_t)now.tv_sec;
}

static void lose_host(void)
{
    host_away = true;
    channel_disconnect(channel);
    ask_for_signals(true);
}

void port_look(void)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

    if (!host_away || poll(&p, 1, 0) != 1 || (p.revents & POLLHUP) != 0)
        return;
    host_away = false;
    ask_for_signals(false);
    channel_connect(channel, new_nonce());
    write_out();
}

/* The request is unpacked, which copies it, before anything is sent. */
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
    if (result == CHANNEL_BROKEN && !broken)
        agent_log("the host is not the one that this guest knows: %s; it gets no answer",
                  channel_problem(channel));
    broken = result == CHANNEL_BROKEN;
}

static void read_in(void)
{
    static uint8_t buffer[64 * 1024];
    ssize_t n = read(fd, buffer, sizeof(buffer));

    if (n > 0)
        take_in(buffer, (size_t)n);
    else if (n == 0)
        lose_host();
}

void port_ready(short revents)
{
    if ((revents & POLLIN) != 0)
        read_in();
    else if ((revents & POLLHUP) != 0)
        lose_host();
    write_out();
}

bool port_has_room(void)
{
    return channel_has_room(channel, RESERVE);
}

bool port_send(const uint8_t *message, size_t size)
{
    bool ok = channel_send(channel, message, size);

    if (ok)
        write_out();
    return ok;
}
