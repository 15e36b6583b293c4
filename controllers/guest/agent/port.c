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

#include "guest/agent/aside.h"
#include "guest/agent/files.h"
#include "guest/agent/outcome.h"
#include "guest/agent/request.h"
#include "guest/agent/share.h"
#include "guest/channel.h"

struct line {
    const char *name;
    void (*take)(const uint8_t *message, size_t size); /* what the host says */
    size_t output_max; /* bytes that output may take of the channel's window */
    int fd;
    bool host_away, broken, paused;
    struct channel *channel;
};

/* The rest of the agent's window is left for answers. What waits on the shares' line when the VM is
 * saved may end up in the snapshot: it must fit there. */
static struct line lines[PORT_N] = {
    [PORT_AGENT] = {.name = "sandferry.agent",
                    .take = request_take,
                    .output_max = CHANNEL_WINDOW - (size_t)1024 * 1024,
                    .fd = -1,
                    .host_away = true},
    [PORT_SHARES] = {.name = "sandferry.shares",
                     .take = share_take,
                     .output_max = (size_t)512 * 1024,
                     .fd = -1,
                     .host_away = true},
};

static bool is_called(const char *name, const char *wanted)
{
    char path[300], text[64];

    snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", name);
    if (read_file(path, text, sizeof(text)) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, wanted) == 0;
}

static int find_port(const char *wanted)
{
    DIR *ports = opendir("/sys/class/virtio-ports");
    int found = -1;

    if (ports == NULL)
        return -1;
    for (struct dirent *entry; found < 0 && (entry = readdir(ports)) != NULL;) {
        char path[300];
        if (entry->d_name[0] == '.' || !is_called(entry->d_name, wanted))
            continue;
        snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        found = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    closedir(ports);
    return found;
}

/* SIGIO tells of a host that comes; one that is there needs none. */
static void ask_for_signals(const struct line *l, bool ask)
{
    fcntl(l->fd, F_SETOWN, getpid());
    fcntl(l->fd, F_SETFL, O_NONBLOCK | (ask ? O_ASYNC : 0));
}

static void write_out(struct line *l)
{
    const void *data;
    size_t size;

    while (!l->host_away && (data = channel_output(l->channel, &size)) != NULL) {
        ssize_t n = write(l->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* full, or the host is going away: poll() tells */
        channel_wrote(l->channel, (size_t)n);
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

static void lose_host(struct line *l)
{
    l->host_away = true;
    channel_disconnect(l->channel);
    ask_for_signals(l, true);
}

static void look(struct line *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN | POLLOUT};

    if (l->fd < 0 || !l->host_away || poll(&p, 1, 0) != 1 || (p.revents & POLLHUP) != 0)
        return;
    l->host_away = false;
    ask_for_signals(l, false);
    channel_connect(l->channel, new_nonce());
    write_out(l);
    aside_wake(); /* it may be the shares' line that is there */
}

void port_look(void)
{
    for (int i = 0; i < PORT_N; i++)
        look(&lines[i]);
}

bool port_open(enum port port)
{
    struct line *l = &lines[port];

    if (l->fd >= 0)
        return true;
    if (l->channel == NULL)
        l->channel = channel_new();
    if (l->channel == NULL || (l->fd = find_port(l->name)) < 0)
        return false;
    ask_for_signals(l, true);
    look(l);
    return true;
}

bool port_is_open(enum port port)
{
    return lines[port].fd >= 0;
}

int port_fd(enum port port)
{
    return lines[port].host_away ? -1 : lines[port].fd;
}

bool port_host_away(void)
{
    for (int i = 0; i < PORT_N; i++)
        if (lines[i].fd >= 0 && lines[i].host_away)
            return true;
    return false;
}

short port_wants(enum port port)
{
    const struct line *l = &lines[port];
    size_t size;

    if (l->fd < 0)
        return 0;
    return (short)((l->paused ? 0 : POLLIN) |
                   (channel_output(l->channel, &size) != NULL ? POLLOUT : 0));
}

void port_pause(enum port port, bool pause)
{
    lines[port].paused = pause;
}

/* A message is unpacked, which copies it, before anything is sent. */
static void take_in(struct line *l, const uint8_t *data, size_t size)
{
    struct channel_message message;
    enum channel_result result;

    if (!channel_input(l->channel, data, size)) {
        agent_log("no memory for what the host says, continuing");
        return;
    }
    while ((result = channel_receive(l->channel, &message)) == CHANNEL_MESSAGE)
        l->take(message.data, message.size);
    if (result == CHANNEL_BROKEN && !l->broken)
        agent_log("the host is not the one that this guest knows: %s; it gets no answer",
                  channel_problem(l->channel));
    l->broken = result == CHANNEL_BROKEN;
}

static void read_in(struct line *l)
{
    static uint8_t buffer[64 * 1024];
    ssize_t n = read(l->fd, buffer, sizeof(buffer));

    if (n > 0)
        take_in(l, buffer, (size_t)n);
    else if (n == 0)
        lose_host(l);
}

void port_ready(enum port port, short revents)
{
    struct line *l = &lines[port];

    if ((revents & POLLIN) != 0)
        read_in(l);
    else if ((revents & POLLHUP) != 0)
        lose_host(l);
    write_out(l);
}

bool port_has_room(enum port port)
{
    return channel_waiting(lines[port].channel) < lines[port].output_max;
}

bool port_send(enum port port, const uint8_t *message, size_t size)
{
    bool ok = channel_send(lines[port].channel, message, size);

    if (ok)
        write_out(&lines[port]);
    return ok;
}
