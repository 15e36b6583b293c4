/*
 * The two conversations with the guest. What the agent's line brings is handed on under the
 * sandbox's lock. What the shares' line brings is not: whoever holds that lock may wait for the
 * guest, which waits for an answer on this line. It has a lock of its own, and a gate.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "vm.h"
#include "sandferry/v1/agent.pb-c.h"

/* A snapshot holds what the guest has not taken, and what nobody has been given: it must fit. */
#define ANSWERS_BYTES    ((size_t)512 * 1024)
#define ANSWERS_MESSAGES ((size_t)4096)
#define QUESTIONS_BYTES  ((size_t)512 * 1024)
#define PIECE_MAX        ((size_t)256 * 1024)

typedef Sandferry__V1__AgentEvent Event;
typedef Sandferry__V1__AgentRequest Request;

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* ---- locks ---- */

static void lock_sandbox(void *context)
{
    sf_sandbox_lock(((struct vm *)context)->base.sandbox);
}

static void unlock_sandbox(void *context)
{
    sf_sandbox_unlock(((struct vm *)context)->base.sandbox);
}

static void lock_shares(void *context)
{
    pthread_mutex_lock(&((struct vm *)context)->shares_lock);
}

static void unlock_shares(void *context)
{
    pthread_mutex_unlock(&((struct vm *)context)->shares_lock);
}

/* Before the line's thread takes it for the next piece. */
static void lock_shares_soon(struct vm *vm)
{
    if (vm->shares.dispatch != NULL)
        dispatch_set_stop(vm->shares.dispatch, DISPATCH_YIELD, true);
    lock_shares(vm);
    if (vm->shares.dispatch != NULL)
        dispatch_set_stop(vm->shares.dispatch, DISPATCH_YIELD, false);
}

/* ---- making and ending ---- */

/* Whoever waits in the guest for an answer waits no longer. */
static void hang_up(struct vm *vm, uint64_t share)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *gone = NULL;

    vm_shares_send(&vm->base, share, NULL, 0, true, &gone);
}

/* With the lock of the shares' line. */
static void share_event(void *context, const void *data)
{
    struct vm *vm = context;
    const struct vm_share_listener *to = &vm->share_listener;
    const Event *event = data;

    if (event == NULL) {
        vm_lose_later(vm, "its shares' line cannot be understood any more");
        return;
    }
    if (event->body_case != SANDFERRY__V1__AGENT_EVENT__BODY_SHARE_DATA)
        return;
    const Sandferry__V1__AgentShareData *piece = event->share_data;
    if (to->controller != NULL)
        to->fn(to->controller, piece->share, piece->data.data, piece->data.len, piece->closed);
    else if (!piece->closed)
        hang_up(vm, piece->share);
}

static bool make_line(struct vm *vm, struct vm_line *line, const struct dispatch_ops *ops,
                      guest_event_fn fn, struct sf_error **err)
{
    line->dispatch = dispatch_new(ops, err);
    if (line->dispatch == NULL)
        return false;
    line->host = guest_host_new(vm_id(vm), line->dispatch, fn, vm, err);
    return line->host != NULL;
}

bool vm_lines_make(struct vm *vm, struct sf_error **err)
{
    const struct dispatch_ops main_ops = {lock_sandbox, unlock_sandbox, vm};
    const struct dispatch_ops share_ops = {lock_shares, unlock_shares, vm};

    if (!make_line(vm, &vm->agent, &main_ops, vm_guest_event, err))
        return false;
    if (!document_has_shares_line(&vm->document))
        return true;
    if (!make_line(vm, &vm->shares, &share_ops, share_event, err))
        return false;
    dispatch_set_stop(vm->shares.dispatch, DISPATCH_GATE, true);
    dispatch_set_limit(vm->shares.dispatch, QUESTIONS_BYTES);
    guest_host_limit_answers(vm->shares.host, ANSWERS_BYTES, ANSWERS_MESSAGES);
    return true;
}

static bool connect_line(struct vm_line *line, int directory, const char *name,
                         struct sf_error **err)
{
    int fd = run_connect(directory, name, err);

    return fd >= 0 && guest_host_connect(line->host, fd, err);
}

bool vm_lines_connect(struct vm *vm, struct sf_error **err)
{
    const char *path = sf_sandbox_directory(vm->base.sandbox);
    SF_CLEANUP(closep) int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (directory < 0)
        return sf_fail(err, SF_UNAVAILABLE, "directory '%s' cannot be opened: %s", path,
                       strerror(errno));
    return connect_line(&vm->agent, directory, "agent", err) &&
           (vm->shares.host == NULL || connect_line(&vm->shares, directory, "shares", err));
}

void vm_lines_open(struct vm *vm)
{
    if (vm->shares.dispatch != NULL)
        dispatch_set_stop(vm->shares.dispatch, DISPATCH_GATE, false);
}

/* Under the sandbox's lock. */
static void open_now(void *context, const void *data, size_t size)
{
    (void)data;
    (void)size;
    vm_lines_open(context);
}

bool vm_lines_open_later(struct vm *vm, struct sf_error **err)
{
    return dispatch_post(vm->agent.dispatch, open_now, vm, NULL, 0) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

void vm_lines_fail(struct vm *vm, const char *why)
{
    guest_host_fail(vm->agent.host, why);
    if (vm->shares.host != NULL)
        guest_host_fail(vm->shares.host, why);
}

/* What is queued is the host end's: none of it is run from here on. */
static void end_shares(struct vm *vm)
{
    dispatch_set_stop(vm->shares.dispatch, DISPATCH_HALT, true);
    lock_shares(vm); /* the listener is not under way, and nobody is called any more */
    vm->share_listener = (struct vm_share_listener){0};
    unlock_shares(vm);
    pthread_mutex_lock(&vm->sending);
    struct guest_host *host = SF_STEAL(vm->shares.host);
    pthread_mutex_unlock(&vm->sending);
    guest_host_free(host);
}

void vm_lines_end(struct vm *vm)
{
    if (vm->shares.dispatch != NULL)
        end_shares(vm);
    guest_host_free(SF_STEAL(vm->agent.host));
}

void vm_lines_forget(struct vm *vm)
{
    if (vm->shares.dispatch != NULL) {
        lock_shares(vm);
        dispatch_free(SF_STEAL(vm->shares.dispatch));
        unlock_shares(vm);
    }
    dispatch_free(SF_STEAL(vm->agent.dispatch));
}

/* ---- around a save ---- */

bool vm_lines_drain(struct vm *vm, uint32_t limit_ms, bool *ret_any, struct sf_error **err)
{
    bool shares = false;

    if (!guest_host_drain(vm->agent.host, limit_ms, ret_any, err) ||
        (vm->shares.host != NULL && !guest_host_drain(vm->shares.host, limit_ms, &shares, err)))
        return false;
    *ret_any = *ret_any || shares;
    return true;
}

/* What the listener answers stays in the line: the guest takes it when it runs. */
void vm_lines_rest(struct vm *vm)
{
    if (vm->shares.dispatch == NULL)
        return;
    lock_shares(vm);
    dispatch_run(vm->shares.dispatch);
    dispatch_set_stop(vm->shares.dispatch, DISPATCH_HALT, true);
    unlock_shares(vm);
}

void vm_lines_go_on(struct vm *vm)
{
    guest_host_go_on(vm->agent.host);
    if (vm->shares.host == NULL)
        return;
    guest_host_go_on(vm->shares.host);
    dispatch_set_stop(vm->shares.dispatch, DISPATCH_HALT, false);
}

/* ---- what travels ---- */

void vm_floors_done(struct vm_floors *f)
{
    guest_floors_done(&f->agent);
    guest_floors_done(&f->shares);
}

bool vm_lines_import(struct vm *vm, const struct vm_floors *floors, struct sf_error **err)
{
    return guest_host_import(vm->agent.host, &floors->agent, err) &&
           (vm->shares.host == NULL || guest_host_import(vm->shares.host, &floors->shares, err) ||
            sf_fail_in(err, "the shares' line"));
}

bool vm_lines_export(struct vm *vm, struct vm_floors *ret, struct sf_error **err)
{
    *ret = (struct vm_floors){0};
    if (guest_host_export(vm->agent.host, &ret->agent, err) &&
        (vm->shares.host == NULL || guest_host_export(vm->shares.host, &ret->shares, err)))
        return true;
    vm_floors_done(ret);
    return false;
}

/* ---- what others use of the shares' line ---- */

static bool has_no_line(const struct vm *vm, struct sf_error **err)
{
    if (vm->agent.host == NULL)
        return sf_fail(err, SF_UNAVAILABLE, "sandbox '%s' has no guest that runs", vm_id(vm));
    return sf_fail(err, SF_UNAVAILABLE,
                   "the machine of sandbox '%s' was made by a daemon that knew no shares, and has "
                   "no line for them: create the sandbox anew",
                   vm_id(vm));
}

bool vm_shares_listen(struct sf_controller *owner, struct sf_controller *listener,
                      sf_share_line_fn fn, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);

    if (fn != NULL && vm->shares.host == NULL)
        return has_no_line(vm, err);
    lock_shares_soon(vm);
    if (fn != NULL)
        vm->share_listener = (struct vm_share_listener){.controller = listener, .fn = fn};
    else if (vm->share_listener.controller == listener)
        vm->share_listener = (struct vm_share_listener){0};
    unlock_shares(vm);
    return true;
}

bool vm_shares_send(struct sf_controller *owner, uint64_t share, const void *data, size_t size,
                    bool closed, struct sf_error **err)
{
    struct vm *vm = vm_of(owner);
    Request request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentShareData piece = SANDFERRY__V1__AGENT_SHARE_DATA__INIT;

    if (size > PIECE_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "a piece for share %llu has %zu bytes: at most %zu",
                       (unsigned long long)share, size, PIECE_MAX);
    piece.share = share;
    piece.data = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = size};
    piece.closed = closed;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_SHARE_DATA;
    request.share_data = &piece;
    pthread_mutex_lock(&vm->sending);
    bool ok = vm->shares.host != NULL ? guest_host_tell(vm->shares.host, &request, err)
                                      : has_no_line(vm, err);
    pthread_mutex_unlock(&vm->sending);
    return ok;
}
