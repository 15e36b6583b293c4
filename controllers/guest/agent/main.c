/*
 * sandferry-agent: process 1 of the guest. One loop; what may take long runs in a child (job.h),
 * and the shares' line has a thread (aside.h). It never ends: the kernel panics if it does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/aside.h"
#include "guest/agent/init.h"
#include "guest/agent/job.h"
#include "guest/agent/modules.h"
#include "guest/agent/outcome.h"
#include "guest/agent/port.h"
#include "guest/agent/process.h"
#include "guest/agent/reply.h"
#include "guest/agent/share.h"

#define PROCESS_FDS_MAX 1024
#define LOOK_EVERY_MS   20 /* for a host that is away; SIGIO tells earlier */
#define PORT_EVERY_MS   1
#define PORT_SAY_MS     10000

/* Where what is in the list for poll(). */
enum { AGENT, SIGNALS, PROCESSES };

/* Ends of children, and a host that has come. */
static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void drain_signals(int signals)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        continue;
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!job_child_ended(pid, status))
            process_child_ended(pid, status);
}

/* What no guest needs for its first answer, but most need soon. */
static bool load_more(const void *request, struct outcome *o)
{
    (void)request;
    (void)o;
    modules_load("disk");
    modules_load("rng");
    return true;
}

static void wait_for_port(void)
{
    const struct timespec pause = {.tv_nsec = PORT_EVERY_MS * 1000000L};

    for (unsigned tries = 1; !port_open(PORT_AGENT); tries++) {
        if (tries == PORT_SAY_MS / PORT_EVERY_MS)
            agent_log("there is no port to the host yet, still looking");
        nanosleep(&pause, NULL);
    }
}

static int timeout_ms(bool more)
{
    if (more)
        return 0;
    return port_host_away() || share_is_hushed() ? LOOK_EVERY_MS : -1;
}

static _Noreturn void serve(int signals)
{
    static struct pollfd fds[PROCESSES + PROCESS_FDS_MAX];
    bool more = false;

    for (;;) {
        fds[AGENT] = (struct pollfd){.fd = port_fd(PORT_AGENT), .events = port_wants(PORT_AGENT)};
        fds[SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
        int n = PROCESSES + process_poll(fds + PROCESSES, PROCESS_FDS_MAX);
        int wait_ms = timeout_ms(more);
        step_aside();
        int found = poll(fds, (nfds_t)n, wait_ms);
        step_back();
        if (found < 0)
            n = 0; /* interrupted */

        if (n > 0 && fds[SIGNALS].revents != 0)
            drain_signals(signals);
        port_look();
        if (n > 0 && fds[AGENT].revents != 0 && fds[AGENT].fd == port_fd(PORT_AGENT))
            port_ready(PORT_AGENT, fds[AGENT].revents);
        for (int i = PROCESSES; i < n; i++)
            if (fds[i].revents != 0)
                process_ready(&fds[i]);
        reap();
        more = process_pump();
        job_finish(); /* after the pump: a process's end is told before the delete is answered */
        reply_flush();
    }
}

int main(void)
{
    init_guest();
    int signals = open_signals();
    modules_load("boot");
    wait_for_port();
    aside_start();
    job_start_unasked(load_more);
    serve(signals);
}
