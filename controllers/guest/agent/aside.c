#include "guest/agent/aside.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest/agent/outcome.h"
#include "guest/agent/port.h"
#include "guest/agent/share.h"

#define FDS_MAX       4096
#define LOOK_EVERY_MS 20 /* for a host that is away; SIGIO tells earlier */

enum { WAKE, LINE, RELAYS };

static pthread_mutex_t lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static int wake = -1;

void step_aside(void)
{
    pthread_mutex_unlock(&lock);
}

void step_back(void)
{
    pthread_mutex_lock(&lock);
}

void aside_wake(void)
{
    const uint64_t one = 1;

    if (wake >= 0 && write(wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
        agent_log("the shares' line cannot be woken: %s", strerror(errno));
}

static void drain_wake(void)
{
    uint64_t count;

    while (read(wake, &count, sizeof(count)) == (ssize_t)sizeof(count))
        continue;
}

static void serve_once(struct pollfd *fds, int n)
{
    drain_wake();
    port_look();
    if (fds[LINE].revents != 0 && fds[LINE].fd == port_fd(PORT_SHARES))
        port_ready(PORT_SHARES, fds[LINE].revents);
    share_ready(fds + RELAYS, n - RELAYS);
}

static void *serve(void *context)
{
    static struct pollfd fds[FDS_MAX];

    (void)context;
    setpriority(PRIO_PROCESS, 0, -20); /* as the agent's, which a thread does not inherit */
    step_back();
    for (;;) {
        fds[WAKE] = (struct pollfd){.fd = wake, .events = POLLIN};
        fds[LINE] = (struct pollfd){.fd = port_fd(PORT_SHARES), .events = port_wants(PORT_SHARES)};
        int n = RELAYS + share_poll(fds + RELAYS, FDS_MAX - RELAYS);
        bool again = share_waits() || (port_is_open(PORT_SHARES) && port_fd(PORT_SHARES) < 0);
        step_aside();
        int found = poll(fds, (nfds_t)n, again ? LOOK_EVERY_MS : -1);
        step_back();
        if (found >= 0)
            serve_once(fds, n);
    }
    return NULL;
}

void aside_start(void)
{
    pthread_t thread;

    step_back();
    wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake < 0 || pthread_create(&thread, NULL, serve, NULL) != 0)
        agent_log("no room for the shares' line: there will be no shares");
    else
        pthread_detach(thread);
}
