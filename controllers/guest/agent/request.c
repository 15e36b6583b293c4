#include "guest/agent/request.h"

#include <stdbool.h>
#include <sys/utsname.h>

#include "guest/agent/container.h"
#include "guest/agent/device.h"
#include "guest/agent/disk.h"
#include "guest/agent/exec.h"
#include "guest/agent/freeze.h"
#include "guest/agent/identity.h"
#include "guest/agent/job.h"
#include "guest/agent/network.h"
#include "guest/agent/process.h"
#include "guest/agent/reply.h"
#include "guest/agent/share.h"
#include "guest/agent/shutdown.h"

typedef Sandferry__V1__AgentRequest Request;
typedef Sandferry__V1__AgentReply Reply;

static void hello(const Request *r)
{
    Reply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentHelloReply body = SANDFERRY__V1__AGENT_HELLO_REPLY__INIT;
    struct utsname system = {0};

    uname(&system);
    body.protocol_version = AGENT_PROTOCOL_VERSION;
    body.version = (char *)SANDFERRY_VERSION;
    body.kernel = system.release;
    reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_HELLO;
    reply.hello = &body;
    reply_send_now(r->id, &(struct outcome){0}, &reply);
}

static void mounted(uint64_t id, void *context, const struct outcome *o)
{
    Reply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentMountDiskReply body = SANDFERRY__V1__AGENT_MOUNT_DISK_REPLY__INIT;
    (void)context;

    body.guest_path = (char *)o->text;
    if (o->code == SF_OK) {
        reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_MOUNT_DISK;
        reply.mount_disk = &body;
    }
    reply_send(id, o, &reply);
}

static void mount_disk(const Request *r)
{
    job_start(r->id, disk_mount, r->mount_disk, mounted, NULL);
}

static void unmount_disk(const Request *r)
{
    job_start(r->id, disk_unmount, r->unmount_disk, NULL, NULL);
}

static void eject_disk(const Request *r)
{
    job_start(r->id, disk_eject, r->eject_disk, NULL, NULL);
}

static void add_device(const Request *r)
{
    device_add(r->id, r->add_device);
}

static void remove_device(const Request *r)
{
    device_remove(r->id, r->remove_device);
}

static void mount_share(const Request *r)
{
    share_mount(r->id, r->mount_share);
}

static void unmount_share(const Request *r)
{
    share_unmount(r->id, r->unmount_share);
}

static void create_container(const Request *r)
{
    container_create(r->id, r->create_container);
}

static void start_container(const Request *r)
{
    container_start(r->id, r->start_container);
}

static void delete_container(const Request *r)
{
    container_delete(r->id, r->delete_container);
}

static void send_signal(const Request *r)
{
    struct outcome o = {0};

    process_signal(r->signal, &o);
    reply_outcome(r->id, &o);
}

static void input(const Request *r)
{
    struct process *p = process_find(r->input->container_id, r->input->exec_id);
    struct outcome o = {0};

    if (p != NULL && p->pid > 0) {
        input_take(p, r->id, r->input);
        return;
    }
    process_missing(r->input->container_id, r->input->exec_id, &o);
    reply_outcome(r->id, &o);
}

/* Told, not asked: there is no answer. The host says it for every output, from where it must not
 * wait. */
static void output_taken(const Request *r)
{
    const Sandferry__V1__AgentOutputTaken *taken = r->output_taken;
    struct process *p = process_find(taken->container_id, taken->exec_id);

    if (p != NULL && taken->stream >= 1 && taken->stream <= 2)
        window_taken(&p->out[taken->stream - 1].window, taken->offset);
}

static void exec(const Request *r)
{
    exec_start(r->id, r->exec);
}

static void delete_process(const Request *r)
{
    exec_delete(r->id, r->delete_process);
}

static void resize(const Request *r)
{
    const struct process *p = process_find(r->resize->container_id, r->resize->exec_id);
    struct outcome o = {0};

    if (p != NULL && p->pid > 0)
        console_resize(p, r->resize->columns, r->resize->rows, &o);
    else
        process_missing(r->resize->container_id, r->resize->exec_id, &o);
    reply_outcome(r->id, &o);
}

static void add_namespace(const Request *r)
{
    network_add_namespace(r->id, r->add_namespace);
}

static void remove_namespace(const Request *r)
{
    network_remove_namespace(r->id, r->remove_namespace);
}

static void add_interface(const Request *r)
{
    network_add_interface(r->id, r->add_interface);
}

static void remove_interface(const Request *r)
{
    network_remove_interface(r->id, r->remove_interface);
}

static void announce(const Request *r)
{
    network_announce(r->id);
}

static void freeze(const Request *r)
{
    freeze_begin(r->id);
}

static void thaw(const Request *r)
{
    freeze_end(r->id, r->thaw);
}

static void set_identity(const Request *r)
{
    identity_set(r->id, r->set_identity);
}

static void stop(const Request *r)
{
    shutdown_guest(r->id);
}

#define BODY(name) SANDFERRY__V1__AGENT_REQUEST__BODY_##name

/* clang-format off */
static const struct {
    void (*take)(const Request *r);
    bool while_frozen;
} rows[] = {
    /* request                    who takes it      also while frozen */
    [BODY(HELLO)]            = { hello,            true  },
    [BODY(MOUNT_DISK)]       = { mount_disk,       false },
    [BODY(UNMOUNT_DISK)]     = { unmount_disk,     false },
    [BODY(EJECT_DISK)]       = { eject_disk,       false },
    [BODY(ADD_DEVICE)]       = { add_device,       false },
    [BODY(REMOVE_DEVICE)]    = { remove_device,    false },
    [BODY(MOUNT_SHARE)]      = { mount_share,      false },
    [BODY(UNMOUNT_SHARE)]    = { unmount_share,    false },
    [BODY(CREATE_CONTAINER)] = { create_container, false },
    [BODY(START_CONTAINER)]  = { start_container,  false },
    [BODY(DELETE_CONTAINER)] = { delete_container, false },
    [BODY(SIGNAL)]           = { send_signal,      false },
    [BODY(INPUT)]            = { input,            false },
    [BODY(OUTPUT_TAKEN)]     = { output_taken,     true  },
    [BODY(FREEZE)]           = { freeze,           true  },
    [BODY(THAW)]             = { thaw,             true  },
    [BODY(SHUTDOWN)]         = { stop,             false },
    [BODY(EXEC)]             = { exec,             false },
    [BODY(DELETE_PROCESS)]   = { delete_process,   false },
    [BODY(RESIZE)]           = { resize,           false },
    [BODY(ADD_NAMESPACE)]    = { add_namespace,    false },
    [BODY(REMOVE_NAMESPACE)] = { remove_namespace, false },
    [BODY(ADD_INTERFACE)]    = { add_interface,    false },
    [BODY(REMOVE_INTERFACE)] = { remove_interface, false },
    [BODY(ANNOUNCE)]         = { announce,         false },
    [BODY(SET_IDENTITY)]     = { set_identity,     true  },
};
/* clang-format on */

static void take(const Request *r)
{
    Reply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    struct outcome o = {0};
    size_t body = (size_t)r->body_case;

    if (body >= sizeof(rows) / sizeof(rows[0]) || rows[body].take == NULL)
        outcome_fail(&o, SF_UNIMPLEMENTED,
                     "this guest's agent (protocol %d) does not know the request",
                     AGENT_PROTOCOL_VERSION);
    else if (freeze_is_on() && !rows[body].while_frozen)
        outcome_fail(&o, SF_FAILED_PRECONDITION, "the guest is frozen for a save: thaw it first");
    else {
        rows[body].take(r);
        return;
    }
    reply_send_now(r->id, &o, &reply);
}

void request_take(const uint8_t *data, size_t size)
{
    Sandferry__V1__AgentMessage *message = sandferry__v1__agent_message__unpack(NULL, size, data);

    if (message != NULL && message->body_case == SANDFERRY__V1__AGENT_MESSAGE__BODY_REQUEST)
        take(message->request);
    else
        agent_log("a message of %zu bytes is no request, continuing", size);
    sandferry__v1__agent_message__free_unpacked(message, NULL);
}
