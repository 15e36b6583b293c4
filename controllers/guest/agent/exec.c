#include "guest/agent/exec.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/container.h"
#include "guest/agent/crun.h"
#include "guest/agent/job.h"
#include "guest/agent/process.h"
#include "guest/agent/reply.h"

typedef Sandferry__V1__AgentExec Exec;

/* What the child works with, and the agent when it has ended. */
struct start {
    const Exec *request;     /* only until job_start() returns */
    struct process *process; /* borrowed from the table */
    uint32_t columns, rows;
};

static bool run_crun(const struct start *s, const char *directory, struct outcome *o)
{
    const Exec *r = s->request;
    char process[PATH_MAX + 32], pid[PATH_MAX + 32], console[PATH_MAX + 32], log[PATH_MAX + 8];
    const char *arguments[] = {"--detach", process, pid, r->terminal ? console : NULL, NULL};

    snprintf(process, sizeof(process), "--process=%s/process.json", directory);
    snprintf(pid, sizeof(pid), "--pid-file=%s/pid", directory);
    snprintf(console, sizeof(console), "--console-socket=%s/console", directory);
    snprintf(log, sizeof(log), "%s/log", directory);
    return crun_exec(r->container_id, log, arguments, s->process->child_fds, o);
}

static bool start_in_child(const void *request, struct outcome *o)
{
    const struct start *s = request;
    const Exec *r = s->request;
    char directory[PATH_MAX], file[PATH_MAX + 16];

    process_directory(s->process, directory, sizeof(directory));
    snprintf(file, sizeof(file), "%s/process.json", directory);
    if (!make_directories(directory) || !write_file(file, r->spec, strlen(r->spec)))
        return outcome_fail(o, SF_RESOURCE_EXHAUSTED, "process '%s' of container '%s': '%s': %s",
                            r->exec_id, r->container_id, file, strerror(errno));
    bool ok = run_crun(s, directory, o);
    snprintf(file, sizeof(file), "%s/pid", directory);
    if (ok && (read_file(file, o->text, 32) <= 0 || atoi(o->text) <= 0))
        ok = outcome_fail(o, SF_INTERNAL, "process '%s' of container '%s': crun has left no pid",
                          r->exec_id, r->container_id);
    remove_tree(directory);
    return ok;
}

static void started(uint64_t id, void *context, const struct outcome *o)
{
    struct start *s = context;
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentExecReply body = SANDFERRY__V1__AGENT_EXEC_REPLY__INIT;
    struct outcome ignored = {0};
    pid_t pid = o->code == SF_OK ? (pid_t)atoi(o->text) : 0;

    process_made(s->process, pid);
    if (pid > 0) {
        if (s->columns > 0 && s->rows > 0)
            console_resize(s->process, s->columns, s->rows, &ignored);
        body.pid = pid;
        reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_EXEC;
        reply.exec = &body;
    }
    free(s);
    reply_send(id, o, &reply);
}

static bool check(const Exec *r, struct outcome *o)
{
    const struct process *init = process_find(r->container_id, "");

    if (!name_valid(r->exec_id))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.200s' is no exec id", r->exec_id);
    if (init == NULL || init->pid == 0)
        return process_missing(r->container_id, "", o);
    if (init->ended || init->deleting)
        return outcome_fail(o, SF_FAILED_PRECONDITION, "container '%s' does not run",
                            r->container_id);
    if (process_find(r->container_id, r->exec_id) != NULL)
        return outcome_fail(o, SF_ALREADY_EXISTS,
                            "container '%s' has a process '%s' in the guest already",
                            r->container_id, r->exec_id);
    return true;
}

static struct start *prepare(const Exec *r, struct outcome *o)
{
    if (!check(r, o))
        return NULL;
    struct start *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        outcome_fail(o, SF_RESOURCE_EXHAUSTED, "the agent has no memory");
        return NULL;
    }
    *s = (struct start){.request = r, .columns = r->columns, .rows = r->rows};
    s->process = process_new(&(struct process_wish){.container_id = r->container_id,
                                                    .exec_id = r->exec_id,
                                                    .terminal = r->terminal,
                                                    .no_input = r->no_input,
                                                    .window = r->window},
                             o);
    if (s->process != NULL)
        return s;
    free(s);
    return NULL;
}

void exec_start(uint64_t id, const Exec *r)
{
    struct outcome o = {0};
    struct start *s = prepare(r, &o);

    if (s == NULL)
        reply_outcome(id, &o);
    else
        job_start(id, start_in_child, s, started, s);
}

void exec_delete(uint64_t id, const Sandferry__V1__AgentDeleteProcess *r)
{
    struct process *p = process_find(r->container_id, r->exec_id);
    struct outcome o = {0};

    if (r->exec_id[0] == '\0')
        outcome_fail(&o, SF_INVALID_ARGUMENT, "an init process goes with its container");
    else if (p != NULL && p->pid == 0)
        outcome_fail(&o, SF_FAILED_PRECONDITION, "process '%s' of container '%s' is being made",
                     r->exec_id, r->container_id);
    else if (p != NULL && !p->ended && !r->force)
        outcome_fail(&o, SF_FAILED_PRECONDITION, "process '%s' of container '%s' runs", r->exec_id,
                     r->container_id);
    else if (p != NULL) {
        if (!p->ended)
            kill(p->pid, SIGKILL);
        process_forget(p);
    }
    reply_outcome(id, &o); /* one that is not there is what was wanted */
}
