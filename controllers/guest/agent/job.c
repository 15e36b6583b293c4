/* What may take long runs in a child, which writes its outcome to a pipe and ends. */
#include "guest/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MAX 32

struct job {
    bool used, ended;
    uint64_t id;
    pid_t pid;
    int fd; /* the read end; -1 once it is at its end */
    size_t got;
    struct outcome outcome;
    job_done done;
    void *context;
};

static struct job jobs[JOBS_MAX];

static struct job *free_job(void)
{
    for (int i = 0; i < JOBS_MAX; i++)
        if (!jobs[i].used)
            return &jobs[i];
    return NULL;
}

static void finish(struct job *job)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;

    if (job->fd >= 0)
        close(job->fd);
    if (job->got != sizeof(job->outcome))
        fail(&job->outcome, AGENT_INTERNAL, "the agent's child ended without an answer");
    job->outcome.message[sizeof(job->outcome.message) - 1] = '\0';
    uint64_t id = job->id;
    struct outcome outcome = job->outcome;
    job_done done = job->done;
    void *context = job->context;
    job->used = false;
    if (done != NULL)
        done(context, &outcome, &reply);
    request_answer(id, &outcome, &reply);
}

static _Noreturn void run_child(job_run run, const void *request, int fd)
{
    struct outcome outcome = {0};
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (!run(request, &outcome) && outcome.code == AGENT_OK)
        fail(&outcome, AGENT_INTERNAL, "the agent gave no reason");
    ssize_t n = write(fd, &outcome, sizeof(outcome));
    _exit(n == (ssize_t)sizeof(outcome) ? 0 : 1);
}

void job_start(uint64_t id, job_run run, const void *request, job_done done, void *context)
{
    struct job *job = free_job();
    struct outcome outcome = {0};
    int ends[2] = {-1, -1};
    pid_t pid = -1;

    if (job == NULL)
        fail(&outcome, AGENT_RESOURCE_EXHAUSTED, "%d operations are under way; try again", JOBS_MAX);
    else if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 || (pid = fork()) < 0)
        fail(&outcome, AGENT_RESOURCE_EXHAUSTED, "no child: %s", strerror(errno));
    if (outcome.code != AGENT_OK) {
        Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
        if (ends[0] >= 0) {
            close(ends[0]);
            close(ends[1]);
        }
        if (done != NULL)
            done(context, &outcome, &reply);
        request_answer(id, &outcome, &reply);
        return;
    }
    if (pid == 0)
        run_child(run, request, ends[1]);
    close(ends[1]);
    *job = (struct job){
        .used = true, .id = id, .pid = pid, .fd = ends[0], .done = done, .context = context};
}

static void read_outcome(struct job *job)
{
    while (job->fd >= 0) {
        size_t room = sizeof(job->outcome) - job->got;
        uint8_t over;
        ssize_t n = room > 0 ? read(job->fd, (uint8_t *)&job->outcome + job->got, room)
                             : read(job->fd, &over, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        if (n == 0) {
            close(job->fd);
            job->fd = -1;
        } else if (room > 0) {
            job->got += (size_t)n;
        }
    }
}

int job_poll_fds(struct pollfd *fds, int room)
{
    int n = 0;

    for (int i = 0; i < JOBS_MAX && n < room; i++)
        if (jobs[i].used && jobs[i].fd >= 0)
            fds[n++] = (struct pollfd){.fd = jobs[i].fd, .events = POLLIN};
    return n;
}

void job_ready(const struct pollfd *fd)
{
    for (int i = 0; i < JOBS_MAX; i++)
        if (jobs[i].used && jobs[i].fd == fd->fd)
            read_outcome(&jobs[i]);
}

bool job_child_ended(pid_t pid)
{
    for (int i = 0; i < JOBS_MAX; i++) {
        if (!jobs[i].used || jobs[i].pid != pid)
            continue;
        read_outcome(&jobs[i]);
        finish(&jobs[i]);
        return true;
    }
    return false;
}
