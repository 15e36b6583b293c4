/* Requests of the host: taken apart, handed on, answered. */
#include "guest/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static bool frozen;

bool agent_frozen(void)
{
    return frozen;
}

void request_answer(uint64_t id, const struct outcome *o, Sandferry__V1__AgentReply *reply)
{
    Sandferry__V1__AgentMessage message = SANDFERRY__V1__AGENT_MESSAGE__INIT;

    reply->id = id;
    reply->code = o->code;
    reply->message = o->code != AGENT_OK ? (char *)o->message : (char *)"";
    message.body_case = SANDFERRY__V1__AGENT_MESSAGE__BODY_REPLY;
    message.reply = reply;
    if (!port_send(&message))
        agent_log("no memory for the answer to call %llu, continuing", (unsigned long long)id);
}

static void answer(uint64_t id, const struct outcome *o)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;

    request_answer(id, o, &reply);
}

static void hello(uint64_t id)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentHelloReply body = SANDFERRY__V1__AGENT_HELLO_REPLY__INIT;
    struct outcome o = {0};
    struct utsname system;

    uname(&system);
    body.protocol_version = AGENT_PROTOCOL_VERSION;
    body.version = (char *)SANDFERRY_VERSION;
    body.kernel = system.release;
    reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_HELLO;
    reply.hello = &body;
    request_answer(id, &o, &reply);
}

static void mount_done(void *context, struct outcome *o, Sandferry__V1__AgentReply *reply)
{
    static Sandferry__V1__AgentMountDiskReply body;
    static char path[sizeof(o->message)];
    (void)context;

    if (o->code != AGENT_OK)
        return;
    sandferry__v1__agent_mount_disk_reply__init(&body);
    snprintf(path, sizeof(path), "%s", o->message);
    body.guest_path = path;
    reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_MOUNT_DISK;
    reply->mount_disk = &body;
}

static void freeze(uint64_t id)
{
    struct outcome o = {0};

    sync();
    frozen = true; /* only now: what came before the answer may be sent before it */
    answer(id, &o);
}

/* Mixes in what the host gave, and makes the kernel use it at once. */
static bool reseed(const ProtobufCBinaryData *entropy, struct outcome *o)
{
    struct {
        struct rand_pool_info info;
        uint8_t bytes[256];
    } pool;
    size_t size = entropy->len < sizeof(pool.bytes) ? entropy->len : sizeof(pool.bytes);

    if (size == 0)
        return true;
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    pool.info.entropy_count = (int)size * 8;
    pool.info.buf_size = (int)size;
    memcpy(pool.info.buf, entropy->data, size);
    bool ok = fd >= 0 && ioctl(fd, RNDADDENTROPY, &pool.info) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    return ok ? true : fail(o, AGENT_INTERNAL, "the guest's random numbers could not be reseeded: %s",
                            strerror(saved));
}

static void thaw(uint64_t id, const Sandferry__V1__AgentThaw *r)
{
    struct outcome o = {0};
    struct timespec now = {.tv_sec = (time_t)(r->realtime_ns / 1000000000),
                           .tv_nsec = (long)(r->realtime_ns % 1000000000)};

    frozen = false;
    if (r->realtime_ns > 0 && clock_settime(CLOCK_REALTIME, &now) < 0)
        fail(&o, AGENT_INTERNAL, "the guest's clock could not be set: %s", strerror(errno));
    else
        reseed(&r->entropy, &o);
    answer(id, &o);
}

static void take_request(const Sandferry__V1__AgentRequest *r)
{
    struct outcome o = {0};

    switch (r->body_case) {
    case SANDFERRY__V1__AGENT_REQUEST__BODY_HELLO:
        hello(r->id);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_MOUNT_DISK:
        job_start(r->id, disk_mount, r->mount_disk, mount_done, NULL);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_UNMOUNT_DISK:
        job_start(r->id, disk_unmount, r->unmount_disk, NULL, NULL);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_EJECT_DISK:
        job_start(r->id, disk_eject, r->eject_disk, NULL, NULL);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_CREATE_CONTAINER:
        container_create(r->id, r->create_container);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_START_CONTAINER:
        container_start(r->id, r->start_container);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_DELETE_CONTAINER:
        container_delete(r->id, r->delete_container);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_SIGNAL:
        process_signal(r->signal, &o);
        break;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_INPUT:
        process_input(r->id, r->input);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN:
        process_output_taken(r->output_taken);
        return; /* told, not asked: no answer */
    case SANDFERRY__V1__AGENT_REQUEST__BODY_FREEZE:
        freeze(r->id);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_THAW:
        thaw(r->id, r->thaw);
        return;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_SHUTDOWN:
        sync();
        break;
    default:
        fail(&o, AGENT_UNIMPLEMENTED, "this agent (protocol %d) does not know request %d",
             AGENT_PROTOCOL_VERSION, (int)r->body_case);
    }
    answer(r->id, &o);
}

void request_take(const uint8_t *data, size_t size)
{
    Sandferry__V1__AgentMessage *message = sandferry__v1__agent_message__unpack(NULL, size, data);

    if (message != NULL && message->body_case == SANDFERRY__V1__AGENT_MESSAGE__BODY_REQUEST)
        take_request(message->request);
    else
        agent_log("a message of %zu bytes that is no request, continuing", size);
    if (message != NULL)
        sandferry__v1__agent_message__free_unpacked(message, NULL);
}
