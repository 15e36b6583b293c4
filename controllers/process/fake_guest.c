#include "process/fake_guest.h"

#include "base/suite.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/agent.pb-c.h"

extern const struct sf_controller_class *sf_controller_class_v1(void);

struct processes processes;
struct sf_error *err;
void (*fake_on_send)(void);

static struct sf_text asked, sent;
static enum sf_code refusal;
static const char *refusal_words;
static uint64_t input_at;
static bool (*wait_for)(void);
static sf_guest_event_fn listener;

struct sf_call {
    int unused;
};

/* ---- the agent ---- */

static void note(const char *what, const char *container_id, const char *exec_id)
{
    ck_assert_str_eq(container_id, "guest-c");
    sf_text_add(&asked, "%s c/%s ", what, exec_id);
}

static void note_input(const Sandferry__V1__AgentInput *i)
{
    note("input", i->container_id, i->exec_id);
    if (i->at_offset)
        sf_text_add(&asked, "@%llu", (unsigned long long)i->offset);
    sf_text_add(&asked, "+%zu%s ", i->data.len, i->close ? "." : "");
}

static void note_request(const Sandferry__V1__AgentRequest *r)
{
    switch (r->body_case) {
    case SANDFERRY__V1__AGENT_REQUEST__BODY_EXEC:
        note(r->exec->window > 0 ? "exec-waits" : "exec", r->exec->container_id, r->exec->exec_id);
        break;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_DELETE_PROCESS:
        note(r->delete_process->force ? "kill" : "delete", r->delete_process->container_id,
             r->delete_process->exec_id);
        break;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_SIGNAL:
        note("signal", r->signal->container_id, r->signal->exec_id);
        break;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_RESIZE:
        note("resize", r->resize->container_id, r->resize->exec_id);
        break;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_INPUT:
        note_input(r->input);
        break;
    case SANDFERRY__V1__AGENT_REQUEST__BODY_OUTPUT_TAKEN:
        note("taken", r->output_taken->container_id, r->output_taken->exec_id);
        sf_text_add(&asked, "%u %llu ", r->output_taken->stream,
                    (unsigned long long)r->output_taken->offset);
        break;
    default:
        ck_abort_msg("the agent is asked %d", (int)r->body_case);
    }
}

static void *answer(const Sandferry__V1__AgentRequest *r)
{
    Sandferry__V1__AgentReply *reply = calloc(1, sizeof(*reply));

    sandferry__v1__agent_reply__init(reply);
    if (r->body_case == SANDFERRY__V1__AGENT_REQUEST__BODY_EXEC) {
        reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_EXEC;
        reply->exec = calloc(1, sizeof(*reply->exec));
        sandferry__v1__agent_exec_reply__init(reply->exec);
        reply->exec->pid = 77;
    } else if (r->body_case == SANDFERRY__V1__AGENT_REQUEST__BODY_INPUT) {
        reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_INPUT;
        reply->input = calloc(1, sizeof(*reply->input));
        sandferry__v1__agent_input_reply__init(reply->input);
        reply->input->offset = input_at;
        input_at = 0;
    }
    return reply;
}

static bool call(struct sf_controller *owner, void *request, uint32_t timeout_ms, void **ret,
                 struct sf_error **error)
{
    (void)owner;
    (void)timeout_ms;
    note_request(request);
    if (refusal != SF_OK) {
        enum sf_code code = refusal;
        refusal = SF_OK;
        return sf_fail(error, code, "%s", refusal_words);
    }
    if (ret != NULL)
        *ret = answer(request);
    return true;
}

static bool listen_to(struct sf_controller *owner, struct sf_controller *who, sf_guest_event_fn fn,
                      struct sf_error **error)
{
    (void)owner;
    (void)who;
    (void)error;
    listener = fn;
    return true;
}

static void unlisten(struct sf_controller *owner, struct sf_controller *who)
{
    (void)owner;
    (void)who;
    listener = NULL;
}

static const struct sf_guest_offer guest = {
    .size = sizeof(guest), .call = call, .listen = listen_to, .unlisten = unlisten};

const char *fake_asked(void)
{
    static char seen[8192];

    snprintf(seen, sizeof(seen), "%s", asked.data != NULL ? asked.data : "");
    sf_text_done(&asked);
    asked = (struct sf_text){0};
    return seen;
}

void fake_refuse(enum sf_code code, const char *message)
{
    refusal = code;
    refusal_words = message;
}

void fake_input_at(uint64_t offset)
{
    input_at = offset;
}

/* ---- the container controller ---- */

static const char *spec_of(struct sf_controller *owner, const char *container_id)
{
    (void)owner;
    return strcmp(container_id, "c") != 0
               ? NULL
               : "{\"process\":{\"args\":[\"/bin/init\"],\"cwd\":\"/srv\",\"terminal\":true,"
                 "\"env\":[\"PATH=/bin\",\"A=1\"],\"user\":{\"uid\":3,\"gid\":4},"
                 "\"noNewPrivileges\":true}}";
}

static const struct sf_containers_offer containers = {.size = sizeof(containers), .spec = spec_of};

/* ---- the daemon ---- */

const void *sf_sandbox_offer(struct sf_sandbox *s, const char *name, struct sf_controller **owner)
{
    (void)s;
    *owner = NULL;
    if (strcmp(name, SF_GUEST_OFFER) == 0)
        return &guest;
    return strcmp(name, SF_CONTAINERS_OFFER) == 0 ? &containers : NULL;
}

const char *sf_sandbox_id(const struct sf_sandbox *s)
{
    (void)s;
    return "s";
}

void sf_sandbox_event(struct sf_sandbox *s, const char *type, const char *fmt, ...)
{
    (void)s;
    (void)type;
    (void)fmt;
}

void sf_sandbox_changed(struct sf_sandbox *s)
{
    (void)s;
}

bool sf_call_wait(struct sf_call *c, struct sf_error **error)
{
    (void)c;
    return (wait_for != NULL && wait_for()) || sf_fail(error, SF_CANCELLED, "the caller is gone");
}

static void note_sent(unsigned stream, uint64_t offset, const ProtobufCBinaryData *data,
                      uint64_t lost)
{
    for (size_t i = 0; i < data->len; i++)
        ck_assert_uint_eq(data->data[i], fake_byte(offset + i));
    sf_text_add(&sent, "%u@%llu+%zu", stream, (unsigned long long)offset, data->len);
    if (lost > 0)
        sf_text_add(&sent, "!%llu", (unsigned long long)lost);
}

bool sf_call_send(struct sf_call *c, const void *message, struct sf_error **error)
{
    const ProtobufCMessage *m = message;

    (void)c;
    (void)error;
    if (m->descriptor == &sandferry__v1__read_output_response__descriptor) {
        const Sandferry__V1__ReadOutputResponse *r = message;
        note_sent(0, r->offset, &r->data, r->lost);
    } else {
        const Sandferry__V1__AttachProcessResponse *r = message;
        if (r->event_case == SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_EXITED)
            sf_text_add(&sent, "exit%u", r->exited->exit_code);
        else
            note_sent(r->output->stream, r->output->offset, &r->output->data, r->output->lost);
        if (r->event_case == SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_OUTPUT &&
            r->output->closed)
            sf_text_add(&sent, ".");
    }
    sf_text_add(&sent, " ");
    if (fake_on_send != NULL)
        fake_on_send();
    return true;
}

const char *fake_sent(void)
{
    static char seen[8192];

    snprintf(seen, sizeof(seen), "%s", sent.data != NULL ? sent.data : "");
    sf_text_done(&sent);
    sent = (struct sf_text){0};
    return seen;
}

/* ---- events ---- */

uint8_t fake_byte(uint64_t offset)
{
    return (uint8_t)(offset * 31 + offset / 251);
}

static void tell(Sandferry__V1__AgentEvent *event)
{
    ck_assert_ptr_nonnull(listener);
    listener(&processes.base, event);
}

static void output(const char *exec_id, unsigned stream, uint64_t offset, size_t size, bool closed)
{
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;
    Sandferry__V1__AgentOutput o = SANDFERRY__V1__AGENT_OUTPUT__INIT;
    uint8_t *data = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        data[i] = fake_byte(offset + i);
    o.container_id = (char *)"guest-c";
    o.exec_id = (char *)(uintptr_t)exec_id;
    o.stream = stream;
    o.offset = offset;
    o.data = (ProtobufCBinaryData){.data = data, .len = size};
    o.closed = closed;
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_OUTPUT;
    event.output = &o;
    tell(&event);
    free(data);
}

void fake_output(const char *exec_id, unsigned stream, uint64_t offset, size_t size)
{
    output(exec_id, stream, offset, size, false);
}

void fake_closed(const char *exec_id, unsigned stream, uint64_t offset)
{
    output(exec_id, stream, offset, 0, true);
}

void fake_exited(const char *exec_id, uint32_t code)
{
    Sandferry__V1__AgentEvent event = SANDFERRY__V1__AGENT_EVENT__INIT;
    Sandferry__V1__AgentExited e = SANDFERRY__V1__AGENT_EXITED__INIT;

    e.container_id = (char *)"guest-c";
    e.exec_id = (char *)(uintptr_t)exec_id;
    e.exit_code = code;
    e.exited_at_ns = 1700000000000000000;
    event.body_case = SANDFERRY__V1__AGENT_EVENT__BODY_EXITED;
    event.exited = &e;
    tell(&event);
}

/* ---- calls ---- */

bool fake_call(const char *method, const void *request, void *reply, bool (*on_wait)(void))
{
    const struct sf_method *m = fake_class()->services[0].methods;
    struct sf_call c = {0};

    while (m->name != NULL && strcmp(m->name, method) != 0)
        m++;
    ck_assert_msg(m->name != NULL, "there is no method %s", method);
    wait_for = on_wait;
    return m->run(&processes.base, &c, request, reply, &err);
}

/* ---- its life ---- */

const struct sf_controller_class *fake_class(void)
{
    return sf_controller_class_v1();
}

void fake_begin(void)
{
    const struct sf_processes_offer *offer = fake_class()->offers[0].ops;

    processes = (struct processes){.base.cls = fake_class()};
    err = NULL;
    refusal = SF_OK;
    input_at = 0;
    fake_on_send = NULL;
    ck_assert(fake_class()->create(&processes.base, NULL, &err));
    ck_assert(offer->add_init(&processes.base, "c", "guest-c", 5, false, &err));
    ck_assert(offer->started(&processes.base, "c", &err));
}

void fake_end(void)
{
    fake_class()->fini(&processes.base);
    fake_asked();
    fake_sent();
    sf_error_free(SF_STEAL(err));
}

void fake_restore(void)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};

    ck_assert(fake_class()->freeze(&processes.base, &err));
    ck_assert(fake_class()->save(&processes.base, &section, &err));
    fake_class()->fini(&processes.base);
    processes = (struct processes){.base.cls = fake_class()};
    ck_assert_msg(fake_class()->import(&processes.base, &section, 1, &err), "%s", SF_WHY(err));
    ck_assert(fake_class()->prepare(&processes.base, &err));
}
