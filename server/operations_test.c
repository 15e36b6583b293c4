#include "operations.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "fakes.h"
#include "message.h"
#include "sandbox.h"
#include "snapshot/digest.h"

#define AFTER(what) SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_##what
#define STATE(what) SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_##what

typedef Sandferry__V1__SandboxSnapshot snapshot;

static struct daemon daemon_;
static struct sf_error *err;
static snapshot *saved;

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

static void forgive(void)
{
    sf_error_free(err);
    err = NULL;
}

static void refused(enum sf_code code, const char *text)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code, "%s: %s", sf_code_name(sf_error_code(err)),
                  sf_error_message(err));
    ck_assert_msg(strstr(sf_error_message(err), text) != NULL, "'%s' lacks '%s'",
                  sf_error_message(err), text);
    forgive();
}

/* ---- the operations, with the fewest words ---- */

static char *id(const char *text)
{
    return (char *)(uintptr_t)text;
}

static bool create(const char *name)
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

static bool save_by(struct rpc_call *call, const char *name, Sandferry__V1__AfterSave after)
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

static bool save(const char *name, Sandferry__V1__AfterSave after)
{
    return save_by(NULL, name, after);
}

static bool restore_with(const char *name, bool hold, Sandferry__V1__Patch *patch)
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

static bool restore(void)
{
    return restore_with("", false, NULL);
}

static bool resume(const char *name)
{
    Sandferry__V1__ResumeSandboxRequest request = SANDFERRY__V1__RESUME_SANDBOX_REQUEST__INIT;
    Sandferry__V1__ResumeSandboxResponse reply = SANDFERRY__V1__RESUME_SANDBOX_RESPONSE__INIT;
    request.sandbox_id = id(name);
    bool ok = resume_sandbox(&daemon_, NULL, &request, &reply, &err);
    if (ok)
        sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
    return ok;
}

static bool stop(const char *name)
{
    Sandferry__V1__StopSandboxRequest request = SANDFERRY__V1__STOP_SANDBOX_REQUEST__INIT;
    Sandferry__V1__StopSandboxResponse reply = SANDFERRY__V1__STOP_SANDBOX_RESPONSE__INIT;
    request.sandbox_id = id(name);
    bool ok = stop_sandbox(&daemon_, NULL, &request, &reply, &err);
    if (ok)
        sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
    return ok;
}

static bool delete (const char *name, bool force)
{
    Sandferry__V1__DeleteSandboxRequest request = SANDFERRY__V1__DELETE_SANDBOX_REQUEST__INIT;
    request.sandbox_id = id(name);
    request.force = force;
    return delete_sandbox(&daemon_, NULL, &request, &err);
}

/* ---- looking ---- */

static int state_of(const char *name)
{
    struct sf_error *absent = NULL;
    struct sf_sandbox *s = registry_find(&daemon_.registry, name, &absent);
    int state = s == NULL ? -1 : (int)sandbox_state(s);
    sandbox_unref(s);
    sf_error_free(absent);
    return state;
}

static const char *text_of(const char *name, size_t i)
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

static void nothing_is_left(const char *name)
{
    unsigned records = 0;
    SF_CLEANUP(sf_freep) char *directory = operation_directory(&daemon_, name);
    ck_assert_int_eq(state_of(name), -1);
    ck_assert_int_ne(access(directory, F_OK), 0);
    ck_assert(journal_walk(&daemon_.journal, count_record, &records, &err));
    ck_assert_uint_eq(records, 0);
}

static unsigned count(const struct step *steps)
{
    unsigned n = 0;
    while (steps[n].name != NULL)
        n++;
    return n;
}

static const char *const classes[] = {"top", "middle", "leaf"};
static const Sandferry__V1__AfterSave afters[] = {AFTER(STOP), AFTER(HOLD), AFTER(RESUME)};

/* ---- create ---- */

START_TEST(create_goes_down)
{
    ck_assert(create("s1"));
    ck_assert_str_eq(fake_trace, "top.init middle.init leaf.init "
                                 "top.create middle.create leaf.create ");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert(!create("s1"));
    refused(SF_ALREADY_EXISTS, "'s1'");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

START_TEST(create_that_fails_leaves_nothing)
{
    char point[64];
    snprintf(point, sizeof(point), "create: %s", create_steps[_i].name);
    sf_fault_arm(point);
    ck_assert(!create("s1"));
    refused(SF_UNAVAILABLE, create_steps[_i].name);
    nothing_is_left("s1");
    ck_assert(create("s1"));
}
END_TEST

START_TEST(create_that_a_controller_refuses_destroys_the_others)
{
    fake_refuse = "leaf.create";
    ck_assert(!create("s1"));
    refused(SF_UNAVAILABLE, "sandbox 's1': create: leaf: ");
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.create middle.destroy top.destroy leaf.fini "));
    nothing_is_left("s1");
    fake_refuse = NULL;
    ck_assert(create("s1"));
}
END_TEST

START_TEST(create_asks_for_an_id_and_labels)
{
    ck_assert(!create("no/id"));
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "sandbox_id");
    refused(SF_INVALID_ARGUMENT, "sandbox_id");

    Sandferry__V1__CreateSandboxRequest request = SANDFERRY__V1__CREATE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__CreateSandboxResponse reply = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__Label label = SANDFERRY__V1__LABEL__INIT, *labels[] = {&label, &label};
    request.sandbox_id = id("s1");
    request.labels = labels;
    request.n_labels = 2;
    ck_assert(!create_sandbox(&daemon_, NULL, &request, &reply, &err));
    ck_assert_uint_eq(sf_error_n_details(err), 2); /* every wrong one */
    ck_assert_str_eq(sf_error_detail(err, 1)->subject, "labels[1]");
    refused(SF_INVALID_ARGUMENT, "labels[0]");
    nothing_is_left("s1");
}
END_TEST

/* ---- save ---- */

START_TEST(save_goes_up_and_writes_down)
{
    static const char *const ends[] = {
        "leaf.discard middle.discard top.discard leaf.destroy middle.destroy top.destroy "
        "leaf.fini middle.fini top.fini ",
        "",
        "top.thaw middle.thaw leaf.thaw ",
    };
    char want[1024];
    snprintf(want, sizeof(want),
             "leaf.check middle.check top.check leaf.freeze middle.freeze top.freeze "
             "leaf.quiesce middle.quiesce top.quiesce leaf.stop middle.stop top.stop "
             "%stop.save middle.save leaf.save %s",
             afters[_i] == AFTER(RESUME) ? "top.keep middle.keep leaf.keep " : "", ends[_i]);
    ck_assert(create("s1"));
    fake_trace_clear();
    ck_assert_msg(save("s1", afters[_i]), "%s", err ? sf_error_message(err) : "");
    ck_assert_str_eq(fake_trace, want);
    ck_assert_int_eq(state_of("s1"), _i == 0 ? -1 : _i == 1 ? SANDBOX_FROZEN : SANDBOX_RUNNING);
    if (_i == 0)
        nothing_is_left("s1");
    ck_assert_uint_eq(saved->n_extensions, 3);
    ck_assert_str_eq(saved->labels[0]->value, "harbour");
}
END_TEST

static void runs_on_then_saves(Sandferry__V1__AfterSave after, const char *point)
{
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert_msg(save("s1", after), "after '%s': %s", point, err ? sf_error_message(err) : "");
}

START_TEST(save_that_fails_at_a_step_runs_on)
{
    unsigned n = count(save_steps);
    unsigned step = (unsigned)_i % n;
    char point[64];
    snprintf(point, sizeof(point), "save: %s", save_steps[step].name);
    ck_assert(create("s1"));
    fake_trace_clear();
    sf_fault_arm(point);
    ck_assert(!save("s1", afters[(unsigned)_i / n]));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), save_steps[step].name));
    refused(SF_UNAVAILABLE, "sandbox 's1': ");
    bool froze = strstr(fake_trace, "freeze") != NULL;
    ck_assert((strstr(fake_trace, "top.thaw middle.thaw leaf.thaw ") != NULL) == froze);
    ck_assert_ptr_null(strstr(fake_trace, "discard"));
    runs_on_then_saves(afters[(unsigned)_i / n], point);
}
END_TEST

START_TEST(save_that_a_controller_refuses_runs_on)
{
    static const char *const functions[] = {"check", "freeze", "quiesce", "stop", "keep", "save"};
    char point[64];
    snprintf(point, sizeof(point), "%s: %s", classes[_i % 3], functions[_i / 3]);
    ck_assert(create("s1"));
    sf_fault_arm(point);
    ck_assert(!save("s1", AFTER(RESUME)));
    snprintf(point, sizeof(point), "%s: %s: ", _i / 3 == 5 ? "sections" : functions[_i / 3],
             classes[_i % 3]);
    refused(SF_UNAVAILABLE, point);
    runs_on_then_saves(AFTER(STOP), point);
}
END_TEST

START_TEST(freeze_that_fails_thaws_what_froze)
{
    ck_assert(create("s1"));
    fake_trace_clear();
    fake_refuse = "middle.freeze";
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_UNAVAILABLE, "sandbox 's1': freeze: middle: ");
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.freeze middle.freeze middle.thaw leaf.thaw "));
    ck_assert_ptr_null(strstr(fake_trace, "top.thaw"));
}
END_TEST

START_TEST(a_reason_refuses_the_save)
{
    ck_assert(create("s1"));
    fake_reason = "middle.check";
    fake_trace_clear();
    ck_assert(!save("s1", AFTER(STOP)));
    ck_assert_int_eq(sf_error_detail(err, 0)->kind, SF_DETAIL_REASON);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "middle");
    refused(SF_FAILED_PRECONDITION, "'middle.check' speaks against it");
    ck_assert_str_eq(fake_trace, "leaf.check middle.check top.check "); /* all are asked */
}
END_TEST

START_TEST(saved_twice)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "'s1' is saved and held");
    ck_assert(resume("s1"));
    ck_assert(resume("s1")); /* a repeat does nothing */
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert(save("s1", AFTER(STOP)));
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_NOT_FOUND, "'s1'");
    ck_assert(!save("s1", (Sandferry__V1__AfterSave)9));
    refused(SF_INVALID_ARGUMENT, "after");
}
END_TEST

START_TEST(save_whose_caller_has_gone_runs_on)
{
    struct rpc_call call = FAKE_CALL_INIT;
    ck_assert(create("s1"));
    sandbox_lock(daemon_.registry.all[0]);
    sandbox_unlock(daemon_.registry.all[0]);
    call.cancelled = true;
    ck_assert(!save_by(&call, "s1", AFTER(STOP)));
    refused(SF_CANCELLED, "gone");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

/* ---- restore ---- */

static void make_saved(void)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(STOP)));
    fake_trace_clear();
}

START_TEST(restore_goes_down)
{
    make_saved();
    ck_assert_msg(restore_with("", _i == 1, NULL), "%s", err ? sf_error_message(err) : "");
    char want[1024];
    snprintf(want, sizeof(want),
             "top.init middle.init leaf.init top.import middle.import leaf.import "
             "top.admit middle.admit leaf.admit top.prepare middle.prepare leaf.prepare "
             "top.load middle.load leaf.load %s",
             _i == 1 ? "" : "top.resume middle.resume leaf.resume ");
    ck_assert_str_eq(fake_trace, want);
    ck_assert_str_eq(text_of("s1", 2), "leaf of s1");
    fake_trace_clear();
    if (_i == 1)
        ck_assert(resume("s1"));
    ck_assert_str_eq(fake_trace, _i == 1 ? "top.resume middle.resume leaf.resume " : "");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

START_TEST(restore_that_fails_at_a_step_leaves_nothing)
{
    char point[64];
    make_saved();
    snprintf(point, sizeof(point), "restore: %s", restore_steps[_i].name);
    sf_fault_arm(point);
    ck_assert(!restore());
    refused(SF_UNAVAILABLE, restore_steps[_i].name);
    nothing_is_left("s1");
    bool imported = strstr(fake_trace, "import") != NULL;
    ck_assert((strstr(fake_trace, "leaf.abandon middle.abandon top.abandon ") != NULL) == imported);
    ck_assert_msg(restore(), "after '%s': %s", point, err ? sf_error_message(err) : "");
    ck_assert_str_eq(text_of("s1", 0), "top of s1");
}
END_TEST

START_TEST(restore_that_a_controller_refuses_leaves_nothing)
{
    static const char *const functions[] = {"init", "import", "admit", "prepare", "load", "resume"};
    char point[64];
    make_saved();
    snprintf(point, sizeof(point), "%s: %s", classes[_i % 3], functions[_i / 3]);
    sf_fault_arm(point);
    ck_assert(!restore());
    snprintf(point, sizeof(point), ": %s: ", classes[_i % 3]);
    refused(SF_UNAVAILABLE, point);
    nothing_is_left("s1");
    ck_assert(restore());
}
END_TEST

START_TEST(every_reason_against_a_restore)
{
    make_saved();
    fake_reason = "leaf.admit";
    ck_assert(!restore());
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "leaf");
    refused(SF_FAILED_PRECONDITION, "'leaf.admit' speaks against it");
    nothing_is_left("s1");
}
END_TEST

START_TEST(restore_under_another_id_and_with_a_patch)
{
    Sandferry__V1__Patch patch = SANDFERRY__V1__PATCH__INIT;
    patch.controller = id("middle");
    patch.object = id("text");
    patch.value = id("replaced");
    make_saved();
    ck_assert(restore_with("s2", false, &patch));
    ck_assert_str_eq(text_of("s2", 1), "replaced");
    ck_assert_int_eq(state_of("s1"), -1);

    patch.object = id("colour");
    ck_assert(!restore_with("s3", false, &patch));
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "patches[0]");
    refused(SF_NOT_FOUND, "patches[0]: middle: there is no 'colour'");
    patch.controller = id("cellar");
    ck_assert(!restore_with("s3", false, &patch));
    refused(SF_INVALID_ARGUMENT, "no controller 'cellar'");
    ck_assert_int_eq(state_of("s3"), -1);
}
END_TEST

START_TEST(restore_under_an_id_that_exists)
{
    make_saved();
    ck_assert(create("s1"));
    ck_assert(!restore());
    refused(SF_ALREADY_EXISTS, "'s1'");
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert(restore_with("s2", false, NULL));
}
END_TEST

START_TEST(what_cannot_be_believed_is_refused)
{
    make_saved();
    saved->digest.data[7] ^= 1;
    ck_assert(!restore());
    refused(SF_DATA_LOSS, "digest");
    saved->digest.data[7] ^= 1;
    saved->schema_version = 99;
    ck_assert(!restore());
    refused(SF_UNIMPLEMENTED, "99");
    saved->schema_version = 1;
    saved->extensions[0]->version = 3; /* leaf: takes 1 to 2 */
    ck_assert(sf_snapshot_digest_set(saved, &err));
    ck_assert(!restore());
    refused(SF_UNIMPLEMENTED, "leaf: its section has version 3, this build takes 1 to 2");
    nothing_is_left("s1");

    snapshot *all = SF_STEAL(saved);
    ck_assert(!restore());
    refused(SF_INVALID_ARGUMENT, "snapshot");
    saved = all;
}
END_TEST

/* A daemon without the last controller. */
static void lose_a_controller(const char *name)
{
    struct modules *m = &daemon_.modules;
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->all[i].cls.name, name) == 0) {
            free(m->all[i].file);
            memmove(&m->all[i], &m->all[i + 1], (m->n - i - 1) * sizeof(m->all[0]));
            m->n--;
            return;
        }
}

START_TEST(what_nobody_here_knows_is_kept)
{
    make_saved();
    lose_a_controller("leaf"); /* not critical */
    ck_assert(restore());
    ck_assert(save("s1", AFTER(STOP)));
    ck_assert_uint_eq(saved->n_extensions, 3);
    ck_assert_str_eq(saved->extensions[0]->controller, "leaf");
    ck_assert_uint_eq(saved->extensions[0]->version, 2);
    ck_assert_mem_eq(saved->extensions[0]->payload.data, "leaf of s1", 10);
}
END_TEST

START_TEST(what_nobody_here_knows_but_must_is_refused)
{
    make_saved();
    lose_a_controller("leaf");
    lose_a_controller("middle");
    ck_assert(!restore());
    refused(SF_UNIMPLEMENTED, "middle");
    nothing_is_left("s1");
}
END_TEST

START_TEST(a_controller_without_a_section_begins_empty)
{
    lose_a_controller("leaf");
    make_saved();
    ck_assert(modules_adopt(&daemon_.modules, &fake_leaf, "leaf.so", NULL, &err));
    ck_assert(restore());
    ck_assert_ptr_null(strstr(fake_trace, "leaf.import"));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.resume"));
    ck_assert_str_eq(text_of("s1", 2), "");
}
END_TEST

/* ---- check ---- */

static Sandferry__V1__CheckRestoreResponse *check_it(Sandferry__V1__Patch *patch)
{
    Sandferry__V1__CheckRestoreRequest request = SANDFERRY__V1__CHECK_RESTORE_REQUEST__INIT;
    Sandferry__V1__CheckRestoreResponse *reply = calloc(1, sizeof(*reply));
    sandferry__v1__check_restore_response__init(reply);
    request.snapshot = saved;
    request.patches = &patch;
    request.n_patches = patch == NULL ? 0 : 1;
    ck_assert(check_restore(&daemon_, &request, reply, &err));
    return reply;
}

START_TEST(check_finds_nothing)
{
    make_saved();
    Sandferry__V1__CheckRestoreResponse *reply = check_it(NULL);
    ck_assert_uint_eq(reply->n_obstacles, 0);
    ck_assert_ptr_null(strstr(fake_trace, "prepare"));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.abandon middle.abandon top.abandon "));
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);
    nothing_is_left("s1");
    ck_assert(restore());
}
END_TEST

START_TEST(check_finds_everything)
{
    make_saved();
    ck_assert(create("s1"));
    fake_reason = "leaf.admit";
    Sandferry__V1__CheckRestoreResponse *reply = check_it(NULL);
    ck_assert_uint_eq(reply->n_obstacles, 2);
    ck_assert_str_eq(reply->obstacles[0]->source, "daemon");
    ck_assert_str_eq(reply->obstacles[0]->field, "sandbox_id");
    ck_assert_str_eq(reply->obstacles[1]->source, "leaf");
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);

    fake_refuse = "top.import";
    reply = check_it(NULL);
    ck_assert_uint_eq(reply->n_obstacles, 2);
    ck_assert_str_eq(reply->obstacles[1]->source, "top");
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);

    Sandferry__V1__Patch patch = SANDFERRY__V1__PATCH__INIT;
    patch.controller = id("middle");
    patch.object = id("colour");
    reply = check_it(&patch);
    ck_assert_uint_eq(reply->n_obstacles, 3);
    ck_assert_str_eq(reply->obstacles[2]->field, "patches[0]");
    sandferry__v1__check_restore_response__free_unpacked(reply, NULL);
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

/* ---- stop, delete ---- */

START_TEST(stop_and_delete)
{
    ck_assert(create("s1"));
    ck_assert(!delete ("s1", false));
    refused(SF_FAILED_PRECONDITION, "sandbox 's1' is running: stop it first");
    fake_trace_clear();
    ck_assert(stop("s1"));
    ck_assert_str_eq(fake_trace, "leaf.destroy middle.destroy top.destroy ");
    ck_assert(stop("s1"));
    ck_assert_int_eq(state_of("s1"), SANDBOX_STOPPED);
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "stopped");
    ck_assert(delete ("s1", false));
    nothing_is_left("s1");
    ck_assert(!delete ("s1", false));
    refused(SF_NOT_FOUND, "'s1'");
    ck_assert(create("s1"));
    ck_assert(delete ("s1", true));
    nothing_is_left("s1");
}
END_TEST

START_TEST(stop_of_a_hold_leaves_the_snapshot_usable)
{
    make_saved();
    ck_assert(restore_with("", true, NULL));
    fake_trace_clear();
    ck_assert(stop("s1"));
    ck_assert_str_eq(fake_trace, "leaf.abandon middle.abandon top.abandon "
                                 "leaf.destroy middle.destroy top.destroy ");
    ck_assert(delete ("s1", false));
    ck_assert(restore());
    ck_assert(save("s1", AFTER(HOLD)));
    fake_trace_clear();
    ck_assert(delete ("s1", true));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.discard middle.discard top.discard "));
    nothing_is_left("s1");
}
END_TEST

START_TEST(a_hold_whose_vm_is_lost_leaves_the_snapshot_usable)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    sf_sandbox_invalid(daemon_.registry.all[0], "QEMU has ended");
    ck_assert(!resume("s1"));
    refused(SF_FAILED_PRECONDITION, "QEMU has ended");
    fake_trace_clear();
    ck_assert(delete ("s1", false));
    ck_assert_ptr_nonnull(strstr(fake_trace, "discard"));
    ck_assert(restore());
}
END_TEST

START_TEST(a_thaw_that_cannot_go_on_is_a_refusal)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    fake_lose = "top.thaw";
    ck_assert(!resume("s1"));
    refused(SF_FAILED_PRECONDITION, "taken by another");
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
    fake_trace_clear();
    ck_assert(delete ("s1", false));
    ck_assert_ptr_null(strstr(fake_trace, "discard")); /* it was thawed */
}
END_TEST

START_TEST(a_vm_that_is_lost_during_a_save_fails_it)
{
    ck_assert(create("s1"));
    fake_lose = "top.stop";
    ck_assert(!save("s1", afters[_i]));
    refused(SF_FAILED_PRECONDITION, "taken by another");
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
}
END_TEST

/* ---- a daemon ends, and the next one starts ---- */

static void next_daemon(void)
{
    fake_daemon_reopen(&daemon_);
    ck_assert(restore_all_from_journal(&daemon_, &err));
}

START_TEST(what_runs_is_saved_and_runs_on)
{
    ck_assert(create("s1") && create("s2") && stop("s2"));
    ck_assert(save_all_to_journal(&daemon_));
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    ck_assert_str_eq(text_of("s1", 2), "leaf of s1");
    ck_assert_int_eq(state_of("s2"), SANDBOX_STOPPED);
    ck_assert(delete ("s1", true) && delete ("s2", false));
    nothing_is_left("s1");
}
END_TEST

START_TEST(what_is_held_is_held_again)
{
    ck_assert(create("s1"));
    ck_assert(save("s1", AFTER(HOLD)));
    ck_assert(restore_with("s2", true, NULL));
    ck_assert(save_all_to_journal(&daemon_));
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_LOADED);
    ck_assert_int_eq(state_of("s2"), SANDBOX_LOADED);
    ck_assert(save_all_to_journal(&daemon_)); /* and once more */
    next_daemon();
    ck_assert(resume("s1"));
    ck_assert_str_eq(text_of("s1", 2), "leaf of s1");
}
END_TEST

START_TEST(what_a_killed_daemon_leaves_is_shown)
{
    ck_assert(create("s1"));
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "unattended");
    ck_assert(!restore_with("s1", false, NULL));
    forgive();
    fake_trace_clear();
    ck_assert(delete ("s1", false));
    ck_assert_ptr_nonnull(strstr(fake_trace, "leaf.destroy middle.destroy top.destroy "));
    nothing_is_left("s1");
}
END_TEST

START_TEST(what_cannot_be_brought_back_is_shown_and_tried_again)
{
    ck_assert(create("s1"));
    ck_assert(save_all_to_journal(&daemon_));
    fake_daemon_reopen(&daemon_);
    fake_refuse = "middle.load";
    ck_assert(restore_all_from_journal(&daemon_, &err));
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
    ck_assert(!save("s1", AFTER(STOP)));
    refused(SF_FAILED_PRECONDITION, "could not be restored");
    save_all_to_journal(&daemon_);
    fake_refuse = NULL;
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
}
END_TEST

START_TEST(a_save_that_fails_at_the_end_leaves_it_alone)
{
    ck_assert(create("s1"));
    fake_refuse = "top.quiesce";
    ck_assert(!save_all_to_journal(&daemon_));
    ck_assert_int_eq(state_of("s1"), SANDBOX_RUNNING);
    fake_refuse = NULL;
    next_daemon();
    ck_assert_int_eq(state_of("s1"), SANDBOX_INVALID);
}
END_TEST

/* ---- */

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, setup, teardown);
    suite_add_tcase(suite, cases);
    return cases;
}

int main(void)
{
    Suite *suite = suite_create("operations");
    TCase *t = add_case(suite, "create");
    tcase_add_test(t, create_goes_down);
    tcase_add_loop_test(t, create_that_fails_leaves_nothing, 0, (int)count(create_steps));
    tcase_add_test(t, create_that_a_controller_refuses_destroys_the_others);
    tcase_add_test(t, create_asks_for_an_id_and_labels);

    t = add_case(suite, "save");
    tcase_add_loop_test(t, save_goes_up_and_writes_down, 0, 3);
    tcase_add_loop_test(t, save_that_fails_at_a_step_runs_on, 0, 3 * (int)count(save_steps));
    tcase_add_loop_test(t, save_that_a_controller_refuses_runs_on, 0, 18);
    tcase_add_test(t, freeze_that_fails_thaws_what_froze);
    tcase_add_test(t, a_reason_refuses_the_save);
    tcase_add_test(t, saved_twice);
    tcase_add_test(t, save_whose_caller_has_gone_runs_on);

    t = add_case(suite, "restore");
    tcase_add_loop_test(t, restore_goes_down, 0, 2);
    tcase_add_loop_test(t, restore_that_fails_at_a_step_leaves_nothing, 0,
                        (int)count(restore_steps));
    tcase_add_loop_test(t, restore_that_a_controller_refuses_leaves_nothing, 0, 18);
    tcase_add_test(t, every_reason_against_a_restore);
    tcase_add_test(t, restore_under_another_id_and_with_a_patch);
    tcase_add_test(t, restore_under_an_id_that_exists);
    tcase_add_test(t, what_cannot_be_believed_is_refused);
    tcase_add_test(t, what_nobody_here_knows_is_kept);
    tcase_add_test(t, what_nobody_here_knows_but_must_is_refused);
    tcase_add_test(t, a_controller_without_a_section_begins_empty);
    tcase_add_test(t, check_finds_nothing);
    tcase_add_test(t, check_finds_everything);

    t = add_case(suite, "end");
    tcase_add_test(t, stop_and_delete);
    tcase_add_test(t, stop_of_a_hold_leaves_the_snapshot_usable);
    tcase_add_test(t, a_hold_whose_vm_is_lost_leaves_the_snapshot_usable);
    tcase_add_test(t, a_thaw_that_cannot_go_on_is_a_refusal);
    tcase_add_loop_test(t, a_vm_that_is_lost_during_a_save_fails_it, 0, 3);
    tcase_add_test(t, what_runs_is_saved_and_runs_on);
    tcase_add_test(t, what_is_held_is_held_again);
    tcase_add_test(t, what_a_killed_daemon_leaves_is_shown);
    tcase_add_test(t, what_cannot_be_brought_back_is_shown_and_tried_again);
    tcase_add_test(t, a_save_that_fails_at_the_end_leaves_it_alone);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
