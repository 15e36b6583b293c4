#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon.h"
#include "lifecycle.h"
#include "message.h"
#include "operations.h"
#include "sandbox.h"

struct create_job {
    struct daemon *daemon;
    struct rpc_call *call;
    const Sandferry__V1__CreateSandboxRequest *request;
    struct sf_sandbox *sandbox; /* with its lock held */
    struct step_times times;
};

static bool take_request(void *arg, struct sf_error **err)
{
    struct create_job *job = arg;
    Sandferry__V1__Sandbox face = SANDFERRY__V1__SANDBOX__INIT;

    if (!message_copy_labels(job->request->labels, job->request->n_labels, "labels", &face.labels,
                             &face.n_labels, err))
        return false;
    face.sandbox_id = job->request->sandbox_id;
    face.vm = job->request->vm;
    face.created_at = message_time(sf_clock_realtime_ns());
    bool ok = sandbox_set_face(job->sandbox, &face, err);
    for (size_t i = 0; i < face.n_labels; i++)
        sandferry__v1__label__free_unpacked(face.labels[i], NULL);
    free(face.labels);
    free(face.created_at);
    return ok;
}

static bool enlist(void *arg, struct sf_error **err)
{
    struct create_job *job = arg;
    return registry_add(&job->daemon->registry, job->sandbox, err);
}

static void delist(void *arg)
{
    struct create_job *job = arg;
    sandbox_leave(job->sandbox);
    registry_remove(&job->daemon->registry, job->sandbox);
}

static bool make_directory(void *arg, struct sf_error **err)
{
    struct create_job *job = arg;
    return operation_make_directory(job->sandbox->directory, err);
}

static void remove_directory(void *arg)
{
    struct create_job *job = arg;
    operation_remove_directory(job->sandbox->directory);
}

static bool record(void *arg, struct sf_error **err)
{
    struct create_job *job = arg;
    return journal_record(&job->daemon->journal, job->sandbox->id, JOURNAL_RUNNING,
                          &job->sandbox->face, err);
}

static void forget(void *arg)
{
    struct create_job *job = arg;
    journal_forget(&job->daemon->journal, job->sandbox->id);
}

static bool make_controllers(void *arg, struct sf_error **err)
{
    struct create_job *job = arg;
    return lifecycle_init(job->sandbox, &job->daemon->modules, err);
}

/* A field of the request that has a controller's name is what the controller is created with. */
static bool options_of(void *arg, const struct sf_controller_class *cls, struct sf_bytes *ret,
                       struct sf_error **err)
{
    struct create_job *job = arg;
    const ProtobufCMessage *options = message_field(&job->request->base, cls->name);
    return options == NULL || message_pack(options, ret, err);
}

static bool create(void *arg, struct sf_error **err)
{
    struct create_job *job = arg;
    return lifecycle_create(job->sandbox, options_of, job, err);
}

static void destroy(void *arg)
{
    struct create_job *job = arg;
    lifecycle_destroy(job->sandbox);
}

static bool start(void *arg, struct sf_error **err)
{
    struct create_job *job = arg;
    return sandbox_move(job->sandbox, SANDBOX_STARTED, err);
}

/* clang-format off */
const struct step create_steps[] = {
    /* step           do it             take it back     */
    { "request",      take_request,     NULL             },
    { "register",     enlist,           delist           },
    { "directory",    make_directory,   remove_directory },
    { "journal",      record,           forget           },
    { "controllers",  make_controllers, NULL             },
    { "create",       create,           destroy          },
    { "start",        start,            NULL             },
    { 0 },
};
/* clang-format on */

bool create_sandbox(struct daemon *d, struct rpc_call *call,
                    const Sandferry__V1__CreateSandboxRequest *request,
                    Sandferry__V1__CreateSandboxResponse *reply, struct sf_error **err)
{
    const char *id = request->sandbox_id;
    SF_CLEANUP(operation_leavep) struct sf_sandbox *s = operation_new_sandbox(d, id, NULL, err);
    if (s == NULL)
        return false;

    struct create_job job = {.daemon = d, .call = call, .request = request, .sandbox = s};
    if (!steps_run("create", create_steps, &job, &job.times, err))
        return sf_fail_in(err, "sandbox '%s'", id);
    events_add(&d->events, id, "sandbox.created", "sandbox '%s' runs", id);
    reply->sandbox = sandbox_describe(s, err);
    return reply->sandbox != NULL;
}
