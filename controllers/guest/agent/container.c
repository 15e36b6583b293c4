#include "guest/agent/container.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/crun.h"
#include "guest/agent/job.h"
#include "guest/agent/overlay.h"
#include "guest/agent/process.h"
#include "guest/agent/reply.h"

typedef Sandferry__V1__AgentCreateContainer CreateContainer;

/* What the child of a create works with, and the agent when it has ended. */
struct creation {
    const CreateContainer *request; /* only until job_start() returns */
    struct process *process;        /* borrowed from the table */
};

static void file_of(char ret[PATH_MAX], const char *container_id, const char *file)
{
    snprintf(ret, PATH_MAX, CONTAINERS_DIR "/%s/%s", container_id, file);
}

static bool check_request(const CreateContainer *r, struct outcome *o)
{
    if (!name_valid(r->container_id))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.200s' is no container id", r->container_id);
    if (r->n_layers == 0 || r->n_layers > OVERLAY_LAYERS_MAX)
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "container '%s' has %zu layers: 1 to %d are allowed", r->container_id,
                            r->n_layers, OVERLAY_LAYERS_MAX);
    for (size_t i = 0; i < r->n_layers; i++)
        if (!path_beneath(r->layers[i], RUN_DIR))
            return outcome_fail(o, SF_INVALID_ARGUMENT,
                                "container '%s': layer '%s' is not beneath " RUN_DIR,
                                r->container_id, r->layers[i]);
    if (r->scratch[0] != '\0' && !path_beneath(r->scratch, RUN_DIR))
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "container '%s': scratch '%s' is not beneath " RUN_DIR, r->container_id,
                            r->scratch);
    if (!path_beneath(r->rootfs_path, PODS_DIR) ||
        strcmp(strrchr(r->rootfs_path, '/'), "/rootfs") != 0)
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "container '%s': '%s' is not .../rootfs beneath " PODS_DIR,
                            r->container_id, r->rootfs_path);
    return true;
}

/* Notes for the delete, which is told nothing but the id. */
static bool note(const char *container_id, const char *what, const char *path, struct outcome *o)
{
    char link[PATH_MAX];

    file_of(link, container_id, what);
    unlink(link);
    if (symlink(path, link) == 0)
        return true;
    return outcome_fail(o, SF_RESOURCE_EXHAUSTED, "container '%s': '%s': %s", container_id, link,
                        strerror(errno));
}

static bool read_note(const char *container_id, const char *what, char ret[PATH_MAX])
{
    char link[PATH_MAX];

    file_of(link, container_id, what);
    ssize_t n = readlink(link, ret, PATH_MAX - 1);
    ret[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The bundle is the root file system's parent. */
static bool write_bundle(const CreateContainer *r, char bundle[PATH_MAX], struct outcome *o)
{
    char file[PATH_MAX + 16];

    snprintf(bundle, PATH_MAX, "%s", r->rootfs_path);
    *strrchr(bundle, '/') = '\0';
    snprintf(file, sizeof(file), "%s/config.json", bundle);
    if (write_file(file, r->spec, strlen(r->spec)))
        return true;
    return outcome_fail(o, SF_RESOURCE_EXHAUSTED, "container '%s': '%s': %s", r->container_id, file,
                        strerror(errno));
}

/* What still uses the mount is on its way out: it gets a moment, then the mount goes anyway. */
static void unmount_rootfs(const char *rootfs)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    for (int i = 0; i < 100 && umount2(rootfs, UMOUNT_NOFOLLOW) < 0 && errno == EBUSY; i++)
        nanosleep(&pause, NULL);
    umount2(rootfs, UMOUNT_NOFOLLOW | MNT_DETACH);
}

/* The last container of a pod takes the pod's directory with it. */
static void remove_with_pod(char *path)
{
    remove_tree(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

/* Ends what there is of a container but what the agent keeps of it. Repeatable. */
static bool remove_container(const char *container_id, struct outcome *o)
{
    const char *force[] = {"--force", NULL};
    char path[PATH_MAX];

    if (crun_knows(container_id) && !crun_run(container_id, "delete", force, NULL, o))
        return false;
    if (read_note(container_id, "rootfs", path)) {
        unmount_rootfs(path);
        *strrchr(path, '/') = '\0';
        remove_with_pod(path);
    }
    if (read_note(container_id, "scratch", path))
        remove_with_pod(path);
    return true;
}

static void remove_notes(const char *container_id)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), CONTAINERS_DIR "/%s", container_id);
    remove_tree(path);
}

static bool mount_rootfs(const CreateContainer *r, struct outcome *o)
{
    char memory[PATH_MAX];
    struct overlay overlay = {.container_id = r->container_id,
                              .layers = r->layers,
                              .n_layers = r->n_layers,
                              .base = MOUNTS_DIR "/scsi",
                              .scratch = r->scratch,
                              .rootfs = r->rootfs_path};

    if (is_mount_point(r->rootfs_path)) /* before it is noted as this container's */
        return outcome_fail(o, SF_ALREADY_EXISTS, "container '%s': '%s' is another's already",
                            r->container_id, r->rootfs_path);
    file_of(memory, r->container_id, "memory");
    if (r->scratch[0] == '\0')
        overlay.scratch = memory;
    else if (!note(r->container_id, "scratch", r->scratch, o))
        return false;
    for (size_t i = 0; i < r->n_layers; i++)
        if (!path_beneath(r->layers[i], overlay.base))
            overlay.base = RUN_DIR;
    return note(r->container_id, "rootfs", r->rootfs_path, o) && overlay_mount(&overlay, o);
}

static bool make(const struct creation *c, char ret_pid[32], struct outcome *o)
{
    const CreateContainer *r = c->request;
    char bundle[PATH_MAX], bundle_argument[PATH_MAX + 16], pid_file[PATH_MAX];
    char pid_argument[PATH_MAX + 16], console[PATH_MAX], console_argument[PATH_MAX + 24];
    const char *arguments[] = {bundle_argument, pid_argument, r->terminal ? console_argument : NULL,
                               NULL};

    if (!mount_rootfs(r, o) || !write_bundle(r, bundle, o))
        return false;
    file_of(pid_file, r->container_id, "pid");
    console_path(c->process, console, sizeof(console));
    snprintf(bundle_argument, sizeof(bundle_argument), "--bundle=%s", bundle);
    snprintf(pid_argument, sizeof(pid_argument), "--pid-file=%s", pid_file);
    snprintf(console_argument, sizeof(console_argument), "--console-socket=%s", console);
    if (!crun_run(r->container_id, "create", arguments, c->process->child_fds, o))
        return false;
    if (read_file(pid_file, ret_pid, 32) <= 0 || atoi(ret_pid) <= 0)
        return outcome_fail(o, SF_INTERNAL, "container '%s': crun has left no pid",
                            r->container_id);
    return true;
}

static bool create_in_child(const void *request, struct outcome *o)
{
    const struct creation *c = request;
    const char *container_id = c->request->container_id;
    struct outcome ignored = {0};
    char dir[PATH_MAX], pid[32];

    snprintf(dir, sizeof(dir), CONTAINERS_DIR "/%s", container_id);
    if (!make_directories(dir))
        return outcome_fail(o, SF_RESOURCE_EXHAUSTED, "container '%s': '%s': %s", container_id, dir,
                            strerror(errno));
    /* The agent knows none of this name: what is there was left by a create that was cut short. */
    if (!remove_container(container_id, o))
        return false;
    if (!make(c, pid, o)) {
        remove_container(container_id, &ignored);
        remove_notes(container_id);
        return false;
    }
    snprintf(o->text, sizeof(o->text), "%s", pid);
    return true;
}

static void created(uint64_t id, void *context, const struct outcome *o)
{
    struct creation *c = context;
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentCreateContainerReply body =
        SANDFERRY__V1__AGENT_CREATE_CONTAINER_REPLY__INIT;
    pid_t pid = o->code == SF_OK ? (pid_t)atoi(o->text) : 0;

    process_made(c->process, pid);
    free(c);
    if (pid > 0) {
        body.pid = pid;
        reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_CREATE_CONTAINER;
        reply.create_container = &body;
    }
    reply_send(id, o, &reply);
}

static struct creation *prepare(const CreateContainer *r, struct outcome *o)
{
    if (!check_request(r, o))
        return NULL;
    if (process_find(r->container_id, "") != NULL) {
        outcome_fail(o, SF_ALREADY_EXISTS,
                     "the guest has a container '%s' already: delete it first", r->container_id);
        return NULL;
    }
    struct creation *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        outcome_fail(o, SF_RESOURCE_EXHAUSTED, "the agent has no memory");
        return NULL;
    }
    c->request = r;
    c->process = process_new(&(struct process_wish){.container_id = r->container_id,
                                                    .exec_id = "",
                                                    .terminal = r->terminal},
                             o);
    if (c->process != NULL)
        return c;
    free(c);
    return NULL;
}

void container_create(uint64_t id, const CreateContainer *r)
{
    struct outcome o = {0};
    struct creation *c = prepare(r, &o);

    if (c == NULL)
        reply_outcome(id, &o);
    else
        job_start(id, create_in_child, c, created, c);
}

static bool start_in_child(const void *request, struct outcome *o)
{
    const Sandferry__V1__AgentStartContainer *r = request;

    return crun_run(r->container_id, "start", NULL, NULL, o);
}

void container_start(uint64_t id, const Sandferry__V1__AgentStartContainer *r)
{
    struct outcome o = {0};
    const struct process *p = process_find(r->container_id, "");

    if (p != NULL && p->pid > 0) {
        job_start(id, start_in_child, r, NULL, NULL);
        return;
    }
    process_missing(r->container_id, "", &o);
    reply_outcome(id, &o);
}

static bool delete_in_child(const void *request, struct outcome *o)
{
    const char *container_id = request;

    if (!remove_container(container_id, o))
        return false;
    remove_notes(container_id);
    return true;
}

static void deleted(uint64_t id, void *context, const struct outcome *o)
{
    struct process *init = process_find(context, "");

    if (o->code == SF_OK)
        process_forget_all(context);
    else if (init != NULL)
        init->deleting = false;
    free(context);
    reply_outcome(id, o);
}

void container_delete(uint64_t id, const Sandferry__V1__AgentDeleteContainer *r)
{
    struct outcome o = {0};
    struct process *p = process_find(r->container_id, "");
    char *name = p != NULL && p->pid > 0 ? strdup(r->container_id) : NULL;

    if (name != NULL) {
        p->deleting = true;
        job_start(id, delete_in_child, name, deleted, name);
        return;
    }
    if (p != NULL && p->pid == 0)
        outcome_fail(&o, SF_FAILED_PRECONDITION, "container '%s' is being made", r->container_id);
    else if (p != NULL)
        outcome_fail(&o, SF_RESOURCE_EXHAUSTED, "the agent has no memory");
    reply_outcome(id, &o); /* one that is not there is what was wanted */
}
