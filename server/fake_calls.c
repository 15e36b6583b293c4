#include "fake_calls.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/text.h"
#include "operations.h"
#include "sandbox.h"

struct daemon daemon_;
struct sf_error *err;
Sandferry__V1__SandboxSnapshot *saved;

static void setup(void)
{
    err = NULL;
    saved = NULL;
    fake_daemon_open(&daemon_);
}

static void teardown(void)
{
    sf_fault_arm(NULL);
    sf_error_free(err);
    if (saved != NULL)
        sandferry__v1__sandbox_snapshot__free_unpacked(saved, NULL);
    fake_daemon_close(&daemon_);
}

void forgive(void)
{
    sf_error_free(err);
    err = NULL;
}

void refused(enum sf_code code, const char *text)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code, "%s: %s", sf_code_name(sf_error_code(err)),
                  sf_error_message(err));
    ck_assert_msg(strstr(sf_error_message(err), text) != NULL, "'%s' lacks '%s'",
                  sf_error_message(err), text);
    forgive();
}

/* ---- the operations, with the fewest words ---- */

char *id(const char *text)
{
    return (char *)(uintptr_t)text;
}

bool create(const char *name)
{
    Sandferry__V1__CreateSandboxRequest request = SANDFERRY__V1__CREATE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__CreateSandboxResponse reply = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__Label label = SANDFERRY__V1__LABEL__INIT, *labels[] = {&label};
    label.key = id("team");
    label.value = id("harbour");
    request.sandbox_id = id(name);
    request.labels = labels;
    request.n_labels = 1;
    bool ok = create_sandbox(&daemon_, NULL, &request, &reply, &err);
    if (ok)
        sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
    return ok;
}

bool save_by(struct rpc_call *call, const char *name, Sandferry__V1__AfterSave after)
{
    Sandferry__V1__SaveSandboxRequest request = SANDFERRY__V1__SAVE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__SaveSandboxResponse *reply = calloc(1, sizeof(*reply));
    sandferry__v1__save_sandbox_response__init(reply);
    request.sandbox_id = id(name);
    request.after = after;
    bool ok = save_sandbox(&daemon_, call, &request, reply, &err);
    if (ok) {
        if (saved != NULL)
            sandferry__v1__sandbox_snapshot__free_unpacked(saved, NULL);
        saved = SF_STEAL(reply->snapshot);
        ck_assert_uint_gt(reply->n_steps, 5);
        ck_assert_ptr_nonnull(reply->stopped_at);
    }
    sandferry__v1__save_sandbox_response__free_unpacked(reply, NULL);
    return ok;
}

bool save(const char *name, Sandferry__V1__AfterSave after)
{
    return save_by(NULL, name, after);
}

bool restore_with(const char *name, bool hold, Sandferry__V1__Patch *patch)
{
    Sandferry__V1__RestoreSandboxRequest request = SANDFERRY__V1__RESTORE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__RestoreSandboxResponse *reply = calloc(1, sizeof(*reply));
    sandferry__v1__restore_sandbox_response__init(reply);
    request.snapshot = saved;
    request.sandbox_id = id(name);
    request.hold = hold;
    request.patches = &patch;
    request.n_patches = patch == NULL ? 0 : 1;
    bool ok = restore_sandbox(&daemon_, NULL, &request, reply, &err);
    if (ok) {
        ck_assert_int_eq(reply->sandbox->state, hold ? STATE(LOADED) : STATE(RUNNING));
        ck_assert((reply->resumed_at == NULL) == hold);
    }
    sandferry__v1__restore_sandbox_response__free_unpacked(reply, NULL);
    return ok;
}

bool restore(void)
{
    return restore_with("", false, NULL);
}

bool resume(const char *name)
{
    Sandferry__V1__ResumeSandboxRequest request = SANDFERRY__V1__RESUME_SANDBOX_REQUEST__INIT;
    Sandferry__V1__ResumeSandboxResponse reply = SANDFERRY__V1__RESUME_SANDBOX_RESPONSE__INIT;
    request.sandbox_id = id(name);
    bool ok = resume_sandbox(&daemon_, NULL, &request, &reply, &err);
    if (ok)
        sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
    return ok;
}

bool stop(const char *name)
{
    Sandferry__V1__StopSandboxRequest request = SANDFERRY__V1__STOP_SANDBOX_REQUEST__INIT;
    Sandferry__V1__StopSandboxResponse reply = SANDFERRY__V1__STOP_SANDBOX_RESPONSE__INIT;
    request.sandbox_id = id(name);
    bool ok = stop_sandbox(&daemon_, NULL, &request, &reply, &err);
    if (ok)
        sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
    return ok;
}

bool delete (const char *name, bool force)
{
    Sandferry__V1__DeleteSandboxRequest request = SANDFERRY__V1__DELETE_SANDBOX_REQUEST__INIT;
    request.sandbox_id = id(name);
    request.force = force;
    return delete_sandbox(&daemon_, NULL, &request, &err);
}

/* ---- looking ---- */

int state_of(const char *name)
{
    struct sf_error *absent = NULL;
    struct sf_sandbox *s = registry_find(&daemon_.registry, name, &absent);
    int state = s == NULL ? -1 : (int)sandbox_state(s);
    sandbox_unref(s);
    sf_error_free(absent);
    return state;
}

const char *text_of(const char *name, size_t i)
{
    static char text[64];
    struct sf_sandbox *s = registry_find(&daemon_.registry, name, &err);
    ck_assert_ptr_nonnull(s);
    strcpy(text, ((struct fake *)s->instances[i].controller)->text);
    sandbox_unref(s);
    return text;
}

static bool count_record(void *context, const char *name, enum journal_word word,
                         const struct sf_bytes *face, struct sf_error **unused)
{
    (void)name;
    (void)word;
    (void)face;
    (void)unused;
    ++*(unsigned *)context;
    return true;
}

void nothing_is_left(const char *name)
{
    unsigned records = 0;
    SF_CLEANUP(sf_freep) char *directory = operation_directory(&daemon_, name);
    ck_assert_int_eq(state_of(name), -1);
    ck_assert_int_ne(access(directory, F_OK), 0);
    ck_assert(journal_walk(&daemon_.journal, count_record, &records, &err));
    ck_assert_uint_eq(records, 0);
}

void make_saved(void)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(STOP)));
    fake_trace_clear();
}

TCase *fake_case(Suite *suite, const char *name)
{
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, setup, teardown);
    suite_add_tcase(suite, cases);
    return cases;
}
