/* Real daemons with the example controller, over gRPC. */

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/call.h"
#include "note.pb-c.h"
#include "sandferry/v1/sandbox.pb-c.h"

#define SANDBOXES "/sandferry.v1.SandboxService/"
#define NOTES     "/sandferry.example.v1.NoteService/"
#define DEADLINE  (20 * SF_NS_PER_S)

#define STATE(what) SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_##what
#define AFTER(what) SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_##what

struct sandferryd {
    char name;
    pid_t pid;
    struct call_channel *channel;
};

static char top[64];
static struct sandferryd a, b;
static struct sf_error *err;

/* ---- daemons ---- */

static pid_t spawn(char name)
{
    SF_CLEANUP(sf_freep) char *listen = sf_format("--listen=unix:%s/%c.sock", top, name);
    SF_CLEANUP(sf_freep) char *state = sf_format("--state-dir=%s/%c", top, name);
    SF_CLEANUP(sf_freep) char *run = sf_format("--run-dir=%s/%c.run", top, name);
    SF_CLEANUP(sf_freep) char *fault = sf_format("--fault-file=%s/%c.fault", top, name);
    SF_CLEANUP(sf_freep) char *log = sf_format("%s/%c.log", top, name);

    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    if (freopen(log, "a", stderr) == NULL)
        _exit(126);
    execl(SANDFERRYD, "sandferryd", listen, state, run, fault, "--controller-dir=" CONTROLLERS,
          "--log-level=debug", (char *)NULL);
    _exit(127);
}

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
}

static bool call(struct sandferryd *d, const char *method, const void *request,
                 const ProtobufCMessageDescriptor *type, void *ret)
{
    ProtobufCMessage *reply = NULL;
    sf_error_free(err);
    err = NULL;
    bool ok = call_unary(d->channel, method, request, type, 10000, &reply, &err);
    if (ok && ret != NULL)
        memcpy(ret, &reply, sizeof(reply));
    else if (ok)
        protobuf_c_message_free_unpacked(reply, NULL);
    return ok;
}

static size_t list(struct sandferryd *d)
{
    Sandferry__V1__ListSandboxesRequest request = SANDFERRY__V1__LIST_SANDBOXES_REQUEST__INIT;
    Sandferry__V1__ListSandboxesResponse *reply;
    if (!call(d, SANDBOXES "ListSandboxes", &request,
              &sandferry__v1__list_sandboxes_response__descriptor, &reply))
        return SIZE_MAX;
    size_t n = reply->n_sandboxes;
    sandferry__v1__list_sandboxes_response__free_unpacked(reply, NULL);
    return n;
}

static void wait_for(struct sandferryd *d, bool (*ready)(struct sandferryd *d))
{
    int64_t give_up = sf_clock_monotonic_ns() + DEADLINE;
    while (!ready(d)) {
        ck_assert_msg(sf_clock_monotonic_ns() < give_up, "daemon %c does not answer", d->name);
        ck_assert_msg(waitpid(d->pid, NULL, WNOHANG) == 0, "daemon %c has ended", d->name);
        pause_shortly();
    }
}

static bool has_socket(struct sandferryd *d)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/%c.sock", top, d->name);
    return access(path, F_OK) == 0;
}

static bool answers(struct sandferryd *d)
{
    return list(d) != SIZE_MAX;
}

/* A channel that has found nobody waits long before it looks again: make it when there is one. */
static void start(struct sandferryd *d, char name)
{
    SF_CLEANUP(sf_freep) char *address = sf_format("unix:%s/%c.sock", top, name);
    SF_CLEANUP(sf_freep) char *left_over = sf_format("%s/%c.sock", top, name);
    unlink(left_over);
    *d = (struct sandferryd){.name = name, .pid = spawn(name)};
    wait_for(d, has_socket);
    ck_assert(call_channel_new(address, NULL, &d->channel, &err));
    wait_for(d, answers);
}

/* Return: its exit status, or minus the signal. */
static int end(struct sandferryd *d, int signal)
{
    int status = 0;
    call_channel_free(d->channel);
    d->channel = NULL;
    kill(d->pid, signal);
    ck_assert_int_eq(waitpid(d->pid, &status, 0), d->pid);
    d->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void show_log(char name)
{
    SF_CLEANUP(sf_freep) char *command = sf_format("tail -n 40 %s/%c.log >&2", top, name);
    if (system(command) != 0)
        fputs("there is no log\n", stderr);
}

static void setup(void)
{
    err = NULL;
    strcpy(top, "/tmp/sandferry-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    start(&a, 'a');
    start(&b, 'b');
}

static void teardown(void)
{
    struct sandferryd *both[] = {&a, &b};
    int statuses = 0;
    for (int i = 0; i < 2; i++) {
        int status = both[i]->pid > 0 ? end(both[i], SIGTERM) : 0;
        if (status != 0) /* a leak, or a sanitizer's finding */
            show_log(both[i]->name);
        statuses |= status;
    }
    sf_error_free(err);
    SF_CLEANUP(sf_freep) char *command = sf_format("rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(statuses, 0); /* last: nothing is to be left running */
}

/* ---- calls, with the fewest words ---- */

static char *text(const char *t)
{
    return (char *)(uintptr_t)t;
}

static void refused(enum sf_code code, const char *part)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code, "%s: %s", sf_code_name(sf_error_code(err)),
                  sf_error_message(err));
    ck_assert_msg(strstr(sf_error_message(err), part) != NULL, "'%s' lacks '%s'",
                  sf_error_message(err), part);
}

static bool create(struct sandferryd *d, const char *id, const char *request_id)
{
    Sandferry__V1__CreateSandboxRequest request = SANDFERRY__V1__CREATE_SANDBOX_REQUEST__INIT;
    request.sandbox_id = text(id);
    request.request_id = text(request_id);
    return call(d, SANDBOXES "CreateSandbox", &request,
                &sandferry__v1__create_sandbox_response__descriptor, NULL);
}

static Sandferry__V1__SaveSandboxResponse *
save(struct sandferryd *d, const char *id, Sandferry__V1__AfterSave after, const char *request_id)
{
    Sandferry__V1__SaveSandboxRequest request = SANDFERRY__V1__SAVE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__SaveSandboxResponse *reply = NULL;
    request.sandbox_id = text(id);
    request.after = after;
    request.request_id = text(request_id);
    call(d, SANDBOXES "SaveSandbox", &request, &sandferry__v1__save_sandbox_response__descriptor,
         &reply);
    return reply;
}

static bool restore(struct sandferryd *d, Sandferry__V1__SandboxSnapshot *snapshot, const char *id)
{
    Sandferry__V1__RestoreSandboxRequest request = SANDFERRY__V1__RESTORE_SANDBOX_REQUEST__INIT;
    request.snapshot = snapshot;
    request.sandbox_id = text(id);
    return call(d, SANDBOXES "RestoreSandbox", &request,
                &sandferry__v1__restore_sandbox_response__descriptor, NULL);
}

static int state_of(struct sandferryd *d, const char *id)
{
    Sandferry__V1__GetSandboxRequest request = SANDFERRY__V1__GET_SANDBOX_REQUEST__INIT;
    Sandferry__V1__GetSandboxResponse *reply;
    request.sandbox_id = text(id);
    if (!call(d, SANDBOXES "GetSandbox", &request, &sandferry__v1__get_sandbox_response__descriptor,
              &reply))
        return -1;
    int state = (int)reply->sandbox->state;
    sandferry__v1__get_sandbox_response__free_unpacked(reply, NULL);
    return state;
}

static bool delete (struct sandferryd *d, const char *id)
{
    Sandferry__V1__DeleteSandboxRequest request = SANDFERRY__V1__DELETE_SANDBOX_REQUEST__INIT;
    request.sandbox_id = text(id);
    request.force = true;
    return call(d, SANDBOXES "DeleteSandbox", &request,
                &sandferry__v1__delete_sandbox_response__descriptor, NULL);
}

static bool set_note(struct sandferryd *d, const char *id, const char *note)
{
    Sandferry__Example__V1__SetNoteRequest request = SANDFERRY__EXAMPLE__V1__SET_NOTE_REQUEST__INIT;
    request.sandbox_id = text(id);
    request.text = text(note);
    return call(d, NOTES "SetNote", &request,
                &sandferry__example__v1__set_note_response__descriptor, NULL);
}

static void has_note(struct sandferryd *d, const char *id, const char *note)
{
    Sandferry__Example__V1__GetNoteRequest request = SANDFERRY__EXAMPLE__V1__GET_NOTE_REQUEST__INIT;
    Sandferry__Example__V1__GetNoteResponse *reply;
    request.sandbox_id = text(id);
    ck_assert_msg(call(d, NOTES "GetNote", &request,
                       &sandferry__example__v1__get_note_response__descriptor, &reply),
                  "%s", err ? sf_error_message(err) : "");
    ck_assert_str_eq(reply->text, note);
    sandferry__example__v1__get_note_response__free_unpacked(reply, NULL);
}

static void free_saved(Sandferry__V1__SaveSandboxResponse *saved)
{
    sandferry__v1__save_sandbox_response__free_unpacked(saved, NULL);
}

/* ---- tests ---- */

START_TEST(from_one_daemon_to_the_other_and_back)
{
    struct sandferryd *from = &a, *to = &b;
    ck_assert_msg(create(&a, "s1", ""), "%s", err ? sf_error_message(err) : "");
    ck_assert(set_note(&a, "s1", "fragile"));
    for (int i = 0; i < 6; i++) {
        Sandferry__V1__SaveSandboxResponse *saved = save(from, "s1", AFTER(STOP), "");
        ck_assert_msg(saved != NULL, "%s", err ? sf_error_message(err) : "");
        ck_assert_uint_gt(saved->n_steps, 5);
        ck_assert_int_eq(state_of(from, "s1"), -1);
        ck_assert_msg(restore(to, saved->snapshot, ""), "%s", err ? sf_error_message(err) : "");
        free_saved(saved);
        has_note(to, "s1", "fragile");
        struct sandferryd *other = from;
        from = to;
        to = other;
    }
    ck_assert_int_eq(state_of(from, "s1"), STATE(RUNNING));
    ck_assert_uint_eq(list(from), 1);
    ck_assert_uint_eq(list(to), 0);
}
END_TEST

START_TEST(a_request_id_is_answered_once)
{
    ck_assert(create(&a, "s1", "c1"));
    ck_assert(create(&a, "s1", "c1"));
    ck_assert(!create(&a, "s2", "c1"));
    refused(SF_ALREADY_EXISTS, "'c1'");
    ck_assert(!create(&a, "s1", ""));
    refused(SF_ALREADY_EXISTS, "'s1'");

    Sandferry__V1__SaveSandboxResponse *first = save(&a, "s1", AFTER(STOP), "r1");
    Sandferry__V1__SaveSandboxResponse *again = save(&a, "s1", AFTER(STOP), "r1");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(again); /* though the sandbox has left */
    ck_assert_mem_eq(first->snapshot->digest.data, again->snapshot->digest.data, 32);
    free_saved(first);
    free_saved(again);
    ck_assert_ptr_null(save(&a, "s1", AFTER(STOP), "r2"));
    refused(SF_NOT_FOUND, "'s1'");
}
END_TEST

START_TEST(errors_name_the_field)
{
    ck_assert(!create(&a, "no/id", ""));
    refused(SF_INVALID_ARGUMENT, "sandbox_id");
    ck_assert_int_eq(sf_error_detail(err, 0)->kind, SF_DETAIL_FIELD);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "sandbox_id");

    ck_assert(create(&a, "s1", ""));
    Sandferry__V1__SaveSandboxResponse *saved = save(&a, "s1", AFTER(HOLD), "");
    ck_assert_ptr_nonnull(saved);
    ck_assert(!set_note(&a, "s1", "x"));
    refused(SF_FAILED_PRECONDITION, "'s1' is saved and held");
    has_note(&a, "s1", ""); /* looking is allowed */
    ck_assert_ptr_null(save(&a, "s1", AFTER(STOP), ""));
    refused(SF_FAILED_PRECONDITION, "'s1' is saved and held");
    ck_assert(!restore(&a, saved->snapshot, ""));
    refused(SF_ALREADY_EXISTS, "'s1'");
    saved->snapshot->digest.data[0] ^= 1;
    ck_assert(!restore(&b, saved->snapshot, ""));
    refused(SF_DATA_LOSS, "digest");
    saved->snapshot->schema_version = 7;
    ck_assert(!restore(&b, saved->snapshot, ""));
    refused(SF_UNIMPLEMENTED, "7");
    free_saved(saved);
    ck_assert_uint_eq(list(&b), 0);
}
END_TEST

static void arm(struct sandferryd *d, const char *operation, const char *step)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/%c.fault", top, d->name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "%s: %s\n", operation, step);
    fclose(file);
}

START_TEST(every_step_fails_once_over_the_wire)
{
    ck_assert(create(&a, "s1", ""));
    ck_assert(set_note(&a, "s1", "fragile"));
    Sandferry__V1__SaveSandboxResponse *saved = save(&a, "s1", AFTER(RESUME), "");
    ck_assert_ptr_nonnull(saved);
    for (size_t i = 0; i < saved->n_steps; i++) {
        arm(&a, "save", saved->steps[i]->step);
        ck_assert_ptr_null(save(&a, "s1", AFTER(RESUME), ""));
        refused(SF_UNAVAILABLE, saved->steps[i]->step);
        ck_assert_int_eq(state_of(&a, "s1"), STATE(RUNNING));
    }

    Sandferry__V1__RestoreSandboxRequest request = SANDFERRY__V1__RESTORE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__RestoreSandboxResponse *restored;
    request.snapshot = saved->snapshot;
    ck_assert(call(&b, SANDBOXES "RestoreSandbox", &request,
                   &sandferry__v1__restore_sandbox_response__descriptor, &restored));
    ck_assert_ptr_nonnull(restored->blackout);
    ck_assert(delete (&b, "s1"));
    for (size_t i = 0; i < restored->n_steps; i++) {
        arm(&b, "restore", restored->steps[i]->step);
        ck_assert(!restore(&b, saved->snapshot, ""));
        refused(SF_UNAVAILABLE, restored->steps[i]->step);
        ck_assert_uint_eq(list(&b), 0);
    }
    ck_assert(restore(&b, saved->snapshot, ""));
    has_note(&b, "s1", "fragile");
    sandferry__v1__restore_sandbox_response__free_unpacked(restored, NULL);
    free_saved(saved);
}
END_TEST

START_TEST(check_tells_and_changes_nothing)
{
    Sandferry__V1__CheckRestoreRequest request = SANDFERRY__V1__CHECK_RESTORE_REQUEST__INIT;
    Sandferry__V1__CheckRestoreResponse *reply;
    ck_assert(create(&a, "s1", ""));
    Sandferry__V1__SaveSandboxResponse *saved = save(&a, "s1", AFTER(RESUME), "");
    ck_assert_ptr_nonnull(saved);
    request.snapshot = saved->snapshot;
    struct sandferryd *both[] = {&a, &b};
    for (size_t i = 0; i < 2; i++) {
        ck_assert(call(both[i], SANDBOXES "CheckRestore", &request,
                       &sandferry__v1__check_restore_response__descriptor, &reply));
        ck_assert_uint_eq(reply->n_obstacles, 1 - i); /* in the first one, it exists */
        sandferry__v1__check_restore_response__free_unpacked(reply, NULL);
    }
    free_saved(saved);
    ck_assert_uint_eq(list(&b), 0);
}
END_TEST

START_TEST(a_daemon_that_is_told_to_end_brings_its_sandboxes_back)
{
    ck_assert(create(&a, "s1", "") && create(&a, "s2", ""));
    ck_assert(set_note(&a, "s1", "fragile"));
    Sandferry__V1__SaveSandboxResponse *saved = save(&a, "s2", AFTER(HOLD), "");
    ck_assert_ptr_nonnull(saved);
    free_saved(saved);
    ck_assert_int_eq(end(&a, SIGTERM), 0);
    start(&a, 'a');
    ck_assert_int_eq(state_of(&a, "s1"), STATE(RUNNING));
    ck_assert_int_eq(state_of(&a, "s2"), STATE(LOADED));
    has_note(&a, "s1", "fragile");
}
END_TEST

START_TEST(a_daemon_that_is_killed_shows_what_it_left)
{
    ck_assert(create(&a, "s1", ""));
    ck_assert_int_eq(end(&a, SIGKILL), -SIGKILL);
    start(&a, 'a');
    ck_assert_int_eq(state_of(&a, "s1"), STATE(INVALID));
    ck_assert(!set_note(&a, "s1", "x"));
    refused(SF_FAILED_PRECONDITION, "unattended");
    ck_assert(delete (&a, "s1"));
    ck_assert(create(&a, "s1", ""));
}
END_TEST

START_TEST(a_second_daemon_is_kept_out)
{
    int status;
    pid_t second = spawn('a');
    ck_assert_int_eq(waitpid(second, &status, 0), second);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    ck_assert_uint_eq(list(&a), 0); /* and the first is not disturbed */
}
END_TEST

/* ---- streams ---- */

struct watch {
    char seen[512];
    unsigned n;
    const char *note_at_first; /* after the first message, this is set: the stream must tell */
};

static bool saw_event(void *context, const ProtobufCMessage *message)
{
    struct watch *w = context;
    const Sandferry__V1__Event *event =
        ((const Sandferry__V1__WatchEventsResponse *)message)->event;
    ck_assert_uint_eq(event->number, ++w->n);
    strcat(strcat(w->seen, event->type), " ");
    return strcmp(event->type, "sandbox.deleted") != 0;
}

START_TEST(events_come_in_order)
{
    Sandferry__V1__WatchEventsRequest request = SANDFERRY__V1__WATCH_EVENTS_REQUEST__INIT;
    struct watch w = {0};
    ck_assert(create(&a, "s1", "") && set_note(&a, "s1", "x"));
    free_saved(save(&a, "s1", AFTER(RESUME), ""));
    ck_assert(delete (&a, "s1"));
    request.from_start = true;
    ck_assert_msg(call_stream(a.channel, SANDBOXES "WatchEvents", &request.base,
                              &sandferry__v1__watch_events_response__descriptor, 10000, saw_event,
                              &w, &err),
                  "%s", err ? sf_error_message(err) : "");
    ck_assert_str_eq(w.seen, "sandbox.created note.changed sandbox.saved sandbox.stopped "
                             "sandbox.deleted ");
}
END_TEST

static bool saw_note(void *context, const ProtobufCMessage *message)
{
    struct watch *w = context;
    strcat(strcat(w->seen, ((const Sandferry__Example__V1__WatchNoteResponse *)message)->text),
           " ");
    if (w->n++ == 0)
        ck_assert(set_note(&a, "s1", "two"));
    else
        free_saved(save(&a, "s1", AFTER(STOP), "")); /* ends the stream */
    return true;
}

START_TEST(a_stream_of_a_controller_ends_with_its_sandbox)
{
    Sandferry__Example__V1__WatchNoteRequest request =
        SANDFERRY__EXAMPLE__V1__WATCH_NOTE_REQUEST__INIT;
    struct watch w = {0};
    struct sf_error *ended = NULL;
    ck_assert(create(&a, "s1", "") && set_note(&a, "s1", "one"));
    request.sandbox_id = text("s1");
    ck_assert(!call_stream(a.channel, NOTES "WatchNote", &request.base,
                           &sandferry__example__v1__watch_note_response__descriptor, 10000,
                           saw_note, &w, &ended));
    ck_assert_str_eq(w.seen, "one two ");
    ck_assert_msg(sf_error_code(ended) == SF_UNAVAILABLE, "%s", sf_error_message(ended));
    ck_assert_ptr_nonnull(strstr(sf_error_message(ended), "has left this host"));
    sf_error_free(ended);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("daemon");
    TCase *cases = tcase_create("daemon");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, from_one_daemon_to_the_other_and_back);
    tcase_add_test(cases, a_request_id_is_answered_once);
    tcase_add_test(cases, errors_name_the_field);
    tcase_add_test(cases, every_step_fails_once_over_the_wire);
    tcase_add_test(cases, check_tells_and_changes_nothing);
    tcase_add_test(cases, a_daemon_that_is_told_to_end_brings_its_sandboxes_back);
    tcase_add_test(cases, a_daemon_that_is_killed_shows_what_it_left);
    tcase_add_test(cases, a_second_daemon_is_kept_out);
    tcase_add_test(cases, events_come_in_order);
    tcase_add_test(cases, a_stream_of_a_controller_ends_with_its_sandbox);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
