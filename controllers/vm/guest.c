/* What we say to the agent in the guest. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "vm.h"
#include "sandferry/v1/agent.pb-c.h"

#define SHUTDOWN_TIMEOUT_MS 10000
#define THAW_TIMEOUT_MS     30000
#define ENTROPY_BYTES       64
#define HOSTNAME_ROOM       65
#define CLOCK_SLACK_NS      (INT64_C(1000) * SF_NS_PER_MS) /* beside the time of the answer */

typedef Sandferry__V1__AgentRequest Request;
typedef Sandferry__V1__AgentReply Reply;

static bool take_hello(struct vm *vm, const Reply *reply, struct sf_error **err)
{
    if (reply->body_case != SANDFERRY__V1__AGENT_REPLY__BODY_HELLO)
        return sf_fail(err, SF_UNAVAILABLE,
                       "the agent of sandbox '%s' answers a hello with something else", vm_id(vm));
    if (reply->hello->protocol_version != VM_AGENT_PROTOCOL)
        return sf_fail(err, SF_UNIMPLEMENTED,
                       "the agent of sandbox '%s' speaks protocol %u, this daemon speaks %d: use "
                       "a daemon or a guest image of the other's release",
                       vm_id(vm), reply->hello->protocol_version, VM_AGENT_PROTOCOL);
    vm->agent_protocol = reply->hello->protocol_version;
    sf_info("sandbox '%s': agent answers version='%.40s' kernel='%.80s'", vm_id(vm),
            reply->hello->version, reply->hello->kernel);
    return true;
}

bool vm_guest_hello(struct vm *vm, uint32_t timeout_ms, struct sf_error **err)
{
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentHello hello = SANDFERRY__V1__AGENT_HELLO__INIT;
    void *reply = NULL;

    hello.protocol_version = VM_AGENT_PROTOCOL;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_HELLO;
    request.hello = &hello;
    if (!guest_host_call(vm->agent.host, &request, timeout_ms, &reply, err))
        return false;
    bool ok = take_hello(vm, reply, err);
    sandferry__v1__agent_reply__free_unpacked(reply, NULL);
    return ok;
}

bool vm_guest_freeze(struct vm *vm, uint32_t timeout_ms, struct sf_error **err)
{
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentFreeze freeze = SANDFERRY__V1__AGENT_FREEZE__INIT;

    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_FREEZE;
    request.freeze = &freeze;
    vm->guest_frozen = true; /* it may be, even if no answer comes */
    if (!guest_host_call(vm->agent.host, &request, timeout_ms, NULL, err))
        return false;
    guest_host_set_quiet(vm->agent.host, true);
    return true;
}

/* ---- who it is, and what time ---- */

/* Asks, and takes the answer; the caller's; NULL. */
static Reply *ask_identity(struct vm *vm, Request *request, struct sf_error **err)
{
    void *answer = NULL;

    if (!guest_host_call(vm->agent.host, request, THAW_TIMEOUT_MS, &answer, err))
        return NULL;
    Reply *reply = answer;
    if (reply->body_case == SANDFERRY__V1__AGENT_REPLY__BODY_IDENTITY)
        return reply;
    sandferry__v1__agent_reply__free_unpacked(reply, NULL);
    sf_fail(err, SF_UNAVAILABLE, "the agent of sandbox '%s' does not say who it is now", vm_id(vm));
    return NULL;
}

static bool check_reseeded(struct vm *vm, const Reply *reply, struct sf_error **err)
{
    return reply->identity->reseeded ||
           sf_fail(err, SF_UNAVAILABLE,
                   "the guest of sandbox '%s' has not reseeded its random numbers", vm_id(vm));
}

/* It was set to @set_ns at some moment until now. */
static bool check_clock(struct vm *vm, const Reply *reply, int64_t set_ns, struct sf_error **err)
{
    int64_t is_ns = reply->identity->realtime_ns, now_ns = sf_clock_realtime_ns();

    if (is_ns >= set_ns - CLOCK_SLACK_NS && is_ns <= now_ns + CLOCK_SLACK_NS)
        return true;
    return sf_fail(err, SF_UNAVAILABLE,
                   "the clock of the guest of sandbox '%s' says %lld ns, though it was set to %lld "
                   "ns, and is %lld ns here",
                   vm_id(vm), (long long)is_ns, (long long)set_ns, (long long)now_ns);
}

static bool check_identity(struct vm *vm, const Reply *reply,
                           const Sandferry__V1__AgentSetIdentity *asked, struct sf_error **err)
{
    if (strcmp(reply->identity->machine_id, asked->machine_id) == 0 &&
        strcmp(reply->identity->hostname, asked->hostname) == 0)
        return true;
    return sf_fail(err, SF_UNAVAILABLE,
                   "the guest of sandbox '%s' is '%.64s' ('%.40s') still: it was asked to be '%s'",
                   vm_id(vm), reply->identity->hostname, reply->identity->machine_id,
                   asked->hostname);
}

static bool draw(struct vm *vm, void *ret, size_t size, struct sf_error **err)
{
    return getrandom(ret, size, 0) == (ssize_t)size ||
           sf_fail(err, SF_UNAVAILABLE, "there is no entropy for sandbox '%s'", vm_id(vm));
}

bool vm_guest_set_identity(struct vm *vm, struct sf_error **err)
{
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentSetIdentity identity = SANDFERRY__V1__AGENT_SET_IDENTITY__INIT;
    uint8_t entropy[ENTROPY_BYTES], id[16];
    char machine_id[2 * sizeof(id) + 1], hostname[HOSTNAME_ROOM];

    if (!draw(vm, entropy, sizeof(entropy), err) || !draw(vm, id, sizeof(id), err))
        return false;
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); /* a version 4 UUID, as machine-id(5) wants it */
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(id); i++)
        snprintf(machine_id + 2 * i, 3, "%02x", id[i]);
    snprintf(hostname, sizeof(hostname), "sandferry-%.12s", machine_id);
    identity.machine_id = machine_id;
    identity.hostname = hostname;
    identity.entropy = (ProtobufCBinaryData){.data = entropy, .len = sizeof(entropy)};
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_SET_IDENTITY;
    request.set_identity = &identity;

    Reply *reply = ask_identity(vm, &request, err);
    if (reply == NULL)
        return false;
    bool ok = check_reseeded(vm, reply, err) && check_identity(vm, reply, &identity, err);
    sandferry__v1__agent_reply__free_unpacked(reply, NULL);
    return ok;
}

bool vm_guest_thaw(struct vm *vm, struct sf_error **err)
{
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentThaw thaw = SANDFERRY__V1__AGENT_THAW__INIT;
    uint8_t entropy[ENTROPY_BYTES];

    if (!draw(vm, entropy, sizeof(entropy), err))
        return false;
    thaw.entropy = (ProtobufCBinaryData){.data = entropy, .len = sizeof(entropy)};
    thaw.realtime_ns = sf_clock_realtime_ns();
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_THAW;
    request.thaw = &thaw;
    guest_host_set_quiet(vm->agent.host, false);
    Reply *reply = ask_identity(vm, &request, err);
    if (reply == NULL)
        return false;
    vm->guest_frozen = false;
    bool ok = check_reseeded(vm, reply, err) && check_clock(vm, reply, thaw.realtime_ns, err);
    sandferry__v1__agent_reply__free_unpacked(reply, NULL);
    return ok;
}

void vm_guest_shutdown(struct vm *vm)
{
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentShutdown shutdown = SANDFERRY__V1__AGENT_SHUTDOWN__INIT;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_SHUTDOWN;
    request.shutdown = &shutdown;
    if (!guest_host_call(vm->agent.host, &request, SHUTDOWN_TIMEOUT_MS, NULL, &err))
        sf_warning("sandbox '%s': %s, ending its VM all the same", vm_id(vm),
                   sf_error_message(err));
}

void vm_guest_event(void *context, const void *event)
{
    struct vm *vm = context;

    if (event == NULL) {
        vm_lose(vm, "its agent cannot be understood any more");
        return;
    }
    for (size_t i = 0; i < vm->n_listeners; i++)
        vm->listeners[i].fn(vm->listeners[i].controller, event);
}
