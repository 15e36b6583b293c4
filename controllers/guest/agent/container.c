/* Containers: a root file system from layers, and crun. The work is done in a job's child. */
#include "guest/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATE_DIR  RUN_DIR "/containers" /* a directory each: bundle link, pid, log */
#define LAYERS_MAX 64

/* What the child of a create needs; what the agent needs when it has ended. */
struct creation {
    const Sandferry__V1__AgentCreateContainer *request; /* only until job_start() returns */
    struct process *process;
    char container_id[65];
};

static void state_path(char *ret, size_t room, const char *container_id, const char *file)
{
    snprintf(ret, room, STATE_DIR "/%s%s%s", container_id, file[0] != '\0' ? "/" : "", file);
}

/* Runs crun; its words, if it refuses, are in @o. @fds: its stdin, stdout, stderr, or NULL. */
static bool run_crun(const char *container_id, char *const argv[], const int *fds,
                     struct outcome *o)
{
    char log[PATH_MAX], words[512];
    int status = -1;

    state_path(log, sizeof(log), container_id, "log");
    unlink(log);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; fds != NULL && i < 3; i++)
            if (dup2(fds[i], i) < 0)
                _exit(126);
        execv("/usr/bin/crun", argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (read_file(log, words, sizeof(words)) <= 0)
        snprintf(words, sizeof(words), "crun ended with status %d",
                 WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    words[strcspn(words, "\n")] = '\0';
    return fail(o, AGENT_FAILED_PRECONDITION, "container '%s': crun %s: %s", container_id, argv[5],
                words);
}

static void fill_argv(char **argv, char *log, size_t room, const char *container_id,
                      const char *command)
{
    snprintf(log, room, "--log=" STATE_DIR "/%s/log", container_id);
    argv[0] = (char *)"crun";
    argv[1] = (char *)"--root=" RUN_DIR "/crun";
    argv[2] = (char *)"--cgroup-manager=cgroupfs";
    argv[3] = log;
    argv[4] = (char *)"--log-format=text";
    argv[5] = (char *)command;
}

static bool check_request(const Sandferry__V1__AgentCreateContainer *r, struct outcome *o)
{
    if (!name_valid(r->container_id))
        return fail(o, AGENT_INVALID_ARGUMENT, "'%s' is no container id", r->container_id);
    if (r->terminal)
        return fail(o, AGENT_UNIMPLEMENTED, "container '%s': this agent gives init processes pipes, "
                    "not a terminal; set process.terminal to false", r->container_id);
    if (r->n_layers == 0 || r->n_layers > LAYERS_MAX)
        return fail(o, AGENT_INVALID_ARGUMENT, "container '%s' has %zu layers; 1 to %d are allowed",
                    r->container_id, r->n_layers, LAYERS_MAX);
    for (size_t i = 0; i < r->n_layers; i++)
        if (!path_beneath(r->layers[i], MOUNTS_DIR))
            return fail(o, AGENT_INVALID_ARGUMENT, "layer '%s' is not beneath " MOUNTS_DIR,
                        r->layers[i]);
    if (!path_beneath(r->rootfs_path, RUN_DIR "/pods") ||
        (r->scratch[0] != '\0' && !path_beneath(r->scratch, MOUNTS_DIR)))
        return fail(o, AGENT_INVALID_ARGUMENT, "container '%s': paths must be beneath " RUN_DIR,
                    r->container_id);
    return true;
}

/* The overlay: read-only layers, topmost first, under what the container writes. */
static bool mount_rootfs(const Sandferry__V1__AgentCreateContainer *r, struct outcome *o)
{
    char options[16 * 1024], upper[PATH_MAX], work[PATH_MAX], scratch[PATH_MAX];
    size_t used = (size_t)snprintf(options, sizeof(options), "lowerdir=");

    if (r->scratch[0] != '\0')
        snprintf(scratch, sizeof(scratch), "%s", r->scratch);
    else
        state_path(scratch, sizeof(scratch), r->container_id, "scratch");
    for (size_t i = r->n_layers; i-- > 0 && used < sizeof(options);)
        used += (size_t)snprintf(options + used, sizeof(options) - used, "%s%s", r->layers[i],
                                 i > 0 ? ":" : "");
    snprintf(upper, sizeof(upper), "%.4000s/upper", scratch);
    snprintf(work, sizeof(work), "%.4000s/work", scratch);
    if (used < sizeof(options))
        used += (size_t)snprintf(options + used, sizeof(options) - used, ",upperdir=%s,workdir=%s",
                                 upper, work);
    if (used >= sizeof(options))
        return fail(o, AGENT_INVALID_ARGUMENT, "container '%s' has too many layers",
                    r->container_id);
    if (!make_directories(upper) || !make_directories(work) || !make_directories(r->rootfs_path))
        return fail(o, AGENT_UNAVAILABLE, "container '%s': its directories: %s", r->container_id,
                    strerror(errno));
    if (mount("overlay", r->rootfs_path, "overlay", 0, options) < 0)
        return fail(o, AGENT_FAILED_PRECONDITION, "container '%s': overlay on '%s': %s",
                    r->container_id, r->rootfs_path, strerror(errno));
    return true;
}

static bool write_bundle(const Sandferry__V1__AgentCreateContainer *r, char *bundle, size_t room,
                         struct outcome *o)
{
    char file[PATH_MAX + 16], link[PATH_MAX];

    snprintf(bundle, room, "%s", r->rootfs_path);
    *strrchr(bundle, '/') = '\0'; /* path_beneath() has seen to it that there is one */
    snprintf(file, sizeof(file), "%s/config.json", bundle);
    if (!write_file(file, r->spec, strlen(r->spec)))
        return fail(o, AGENT_UNAVAILABLE, "container '%s': '%s': %s", r->container_id, file,
                    strerror(errno));
    state_path(link, sizeof(link), r->container_id, "rootfs");
    unlink(link);
    if (symlink(r->rootfs_path, link) < 0)
        return fail(o, AGENT_UNAVAILABLE, "container '%s': %s", r->container_id, strerror(errno));
    return true;
}

static bool remove_tree(const char *path)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        execl("/bin/busybox", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* What a container has in the guest besides crun's own state. */
static void remove_rootfs(const char *container_id)
{
    char link[PATH_MAX], rootfs[PATH_MAX], dir[PATH_MAX];

    state_path(link, sizeof(link), container_id, "rootfs");
    ssize_t n = readlink(link, rootfs, sizeof(rootfs) - 1);
    if (n > 0) {
        rootfs[n] = '\0';
        umount2(rootfs, UMOUNT_NOFOLLOW | MNT_DETACH);
        *strrchr(rootfs, '/') = '\0';
        remove_tree(rootfs);
    }
    state_path(dir, sizeof(dir), container_id, "");
    remove_tree(dir);
}

static bool create_in_child(const void *request, struct outcome *o)
{
    const struct creation *c = request;
    const Sandferry__V1__AgentCreateContainer *r = c->request;
    char dir[PATH_MAX], bundle[PATH_MAX], log[PATH_MAX], pid_file[PATH_MAX + 16], text[32];
    char bundle_arg[PATH_MAX + 16];
    char *argv[12];

    modules_load("overlay");
    state_path(dir, sizeof(dir), r->container_id, "");
    if (!make_directories(dir))
        return fail(o, AGENT_UNAVAILABLE, "'%s': %s", dir, strerror(errno));
    fill_argv(argv, log, sizeof(log), r->container_id, "create");
    bool ok = mount_rootfs(r, o) && write_bundle(r, bundle, sizeof(bundle), o);
    if (ok) {
        snprintf(bundle_arg, sizeof(bundle_arg), "--bundle=%s", bundle);
        snprintf(pid_file, sizeof(pid_file), "--pid-file=%s/pid", dir);
        argv[6] = bundle_arg;
        argv[7] = pid_file;
        argv[8] = r->container_id;
        argv[9] = NULL;
        ok = run_crun(r->container_id, argv, process_child_fds(c->process), o);
    }
    state_path(dir, sizeof(dir), r->container_id, "pid");
    if (ok && read_file(dir, text, sizeof(text)) <= 0)
        ok = fail(o, AGENT_INTERNAL, "container '%s': crun left no pid", r->container_id);
    if (!ok) {
        remove_rootfs(r->container_id);
        return false;
    }
    snprintf(o->message, sizeof(o->message), "%s", text); /* for created() */
    return true;
}

static void created(void *context, struct outcome *o, Sandferry__V1__AgentReply *reply)
{
    struct creation *c = context;
    static Sandferry__V1__AgentCreateContainerReply body;
    pid_t pid = o->code == AGENT_OK ? (pid_t)atoi(o->message) : 0;

    process_created(c->process, pid);
    if (pid > 0) {
        sandferry__v1__agent_create_container_reply__init(&body);
        body.pid = pid;
        reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_CREATE_CONTAINER;
        reply->create_container = &body;
        o->message[0] = '\0';
    }
    free(c);
}

void container_create(uint64_t id, const Sandferry__V1__AgentCreateContainer *r)
{
    struct outcome o = {0};
    struct creation *c = NULL;

    if (check_request(r, &o)) {
        if (process_find(r->container_id, "") != NULL)
            fail(&o, AGENT_ALREADY_EXISTS, "the guest has a container '%s' already",
                 r->container_id);
        else if ((c = calloc(1, sizeof(*c))) == NULL)
            fail(&o, AGENT_RESOURCE_EXHAUSTED, "no memory");
        else
            c->process = process_new(r->container_id, "", &o);
    }
    if (o.code != AGENT_OK) {
        Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
        free(c);
        request_answer(id, &o, &reply);
        return;
    }
    c->request = r;
    snprintf(c->container_id, sizeof(c->container_id), "%s", r->container_id);
    job_start(id, create_in_child, c, created, c);
}

static bool start_in_child(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentStartContainer *r = request;
    char log[PATH_MAX];
    char *argv[12];

    fill_argv(argv, log, sizeof(log), r->container_id, "start");
    argv[6] = r->container_id;
    argv[7] = NULL;
    return run_crun(r->container_id, argv, NULL, o);
}

static void answer_now(uint64_t id, const struct outcome *o)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;

    request_answer(id, o, &reply);
}

void container_start(uint64_t id, const Sandferry__V1__AgentStartContainer *r)
{
    struct outcome o = {0};

    if (process_find(r->container_id, "") == NULL) {
        fail(&o, AGENT_NOT_FOUND, "the guest has no container '%s'", r->container_id);
        answer_now(id, &o);
        return;
    }
    job_start(id, start_in_child, r, NULL, NULL);
}

static bool delete_in_child(const void *request, struct outcome *o)
{
    const char *container_id = request;
    char log[PATH_MAX];
    char *argv[12];

    fill_argv(argv, log, sizeof(log), container_id, "delete");
    argv[6] = (char *)"--force";
    argv[7] = (char *)container_id;
    argv[8] = NULL;
    if (!run_crun(container_id, argv, NULL, o))
        return false;
    remove_rootfs(container_id);
    return true;
}

static void deleted(void *context, struct outcome *o, Sandferry__V1__AgentReply *reply)
{
    (void)reply;
    if (o->code == AGENT_OK)
        process_forget(context);
    free(context);
}

void container_delete(uint64_t id, const Sandferry__V1__AgentDeleteContainer *r)
{
    struct outcome o = {0};
    char *name = NULL;

    if (!name_valid(r->container_id) || process_find(r->container_id, "") == NULL) {
        answer_now(id, &o); /* it is not there: that is what was wanted */
        return;
    }
    if (process_any_alive(r->container_id))
        fail(&o, AGENT_FAILED_PRECONDITION, "container '%s' runs; kill it first", r->container_id);
    else if ((name = strdup(r->container_id)) == NULL)
        fail(&o, AGENT_RESOURCE_EXHAUSTED, "no memory");
    if (o.code != AGENT_OK) {
        answer_now(id, &o);
        return;
    }
    job_start(id, delete_in_child, name, deleted, name);
}
