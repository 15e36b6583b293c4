/* What we say to the agent in the guest. */
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "vm.h"
#include "sandferry/v1/agent.pb-c.h"

#define SHUTDOWN_TIMEOUT_MS 10000
#define THAW_TIMEOUT_MS     30000

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

bool vm_guest_thaw(struct vm *vm, struct sf_error **err)
{
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentThaw thaw = SANDFERRY__V1__AGENT_THAW__INIT;
    uint8_t entropy[64];

    if (getrandom(entropy, sizeof(entropy), 0) == (ssize_t)sizeof(entropy))
        thaw.entropy = (ProtobufCBinaryData){.data = entropy, .len = sizeof(entropy)};
    thaw.realtime_ns = sf_clock_realtime_ns();
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_THAW;
    request.thaw = &thaw;
    guest_host_set_quiet(vm->agent.host, false);
    if (!guest_host_call(vm->agent.host, &request, THAW_TIMEOUT_MS, NULL, err))
        return false;
    vm->guest_frozen = false;
    return true;
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
