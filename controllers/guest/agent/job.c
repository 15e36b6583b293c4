#include "guest/agent/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/reply.h"

#define JOBS_MAX 64
#define LIMIT_S  300 /* longer than any host waits; then it is stuck, and its place is needed */

struct job {
    bool used, ended;
    bool late; /* ended by its time limit */
    uint64_t id;
    pid_t pid;
    int fd; /* the read end of the pipe that the outcome comes through */
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

static void answer(uint64_t id, void *context, const struct outcome *o)
{
    (void)context;
    reply_outcome(id, o);
}

static void answer_nobody(uint64_t id, void *context, const struct outcome *o)
{
    (void)id;
    (void)context;
    if (o->code != SF_OK)
        agent_log("%s, continuing", o->text);
}

static _Noreturn void run_child(job_run run, const void *request, int fd)
{
    struct outcome outcome = {0};
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    alarm(LIMIT_S);
    if (!run(request, &outcome) && outcome.code == SF_OK)
        outcome_fail(&outcome, SF_INTERNAL, "the agent gave no reason: report this");
    ssize_t n = write(fd, &outcome, sizeof(outcome)); /* less than PIPE_BUF: whole or not at all */
    _exit(n == (ssize_t)sizeof(outcome) ? 0 : 1);
}

static bool start(struct job *job, job_run run, const void *request, struct outcome *o)
{
    int ends[2];

    if (job == NULL)
        return outcome_fail(o, SF_RESOURCE_EXHAUSTED,
                            "%d operations are under way in the guest; try again", JOBS_MAX);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return outcome_fail(o, SF_RESOURCE_EXHAUSTED, "the guest has no pipe left: %s",
                            strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        run_child(run, request, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return outcome_fail(o, SF_RESOURCE_EXHAUSTED, "the guest has no room for a process: %s",
                            strerror(errno));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *job = (struct job){.used = true, .pid = pid, .fd = ends[0]};
    return true;
}

static void start_for(uint64_t id, job_run run, const void *request, job_done done, void *context)
{
    struct job *job = free_job();
    struct outcome o = {0};

    if (!start(job, run, request, &o)) {
        done(id, context, &o);
        return;
    }
    job->id = id;
    job->done = done;
    job->context = context;
}

void job_start(uint64_t id, job_run run, const void *request, job_done done, void *context)
{
    start_for(id, run, request, done != NULL ? done : answer, context);
}

void job_start_unasked(job_run run)
{
    start_for(0, run, NULL, answer_nobody, NULL);
}

bool job_child_ended(pid_t pid, int status)
{
    for (int i = 0; i < JOBS_MAX; i++) {
        if (jobs[i].used && jobs[i].pid == pid) {
            jobs[i].ended = true;
            jobs[i].late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
            return true;
        }
    }
    return false;
}

static void finish(struct job *job)
{
    struct job it = *job;
    struct outcome o = {0};

    if (it.late)
        outcome_fail(&o, SF_DEADLINE_EXCEEDED, "it was not done in the guest within %d s", LIMIT_S);
    else if (read(it.fd, &o, sizeof(o)) != (ssize_t)sizeof(o))
        outcome_fail(&o, SF_INTERNAL, "the agent's child ended without an answer: report this");
    close(it.fd);
    *job = (struct job){0}; /* done may start another */
    o.text[sizeof(o.text) - 1] = '\0';
    it.done(it.id, it.context, &o);
}

void job_finish(void)
{
    for (int i = 0; i < JOBS_MAX; i++)
        if (jobs[i].used && jobs[i].ended)
            finish(&jobs[i]);
}
