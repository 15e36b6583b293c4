/* A real VM: QEMU, the guest image, the agent. What a sandbox's life does to it, in one process. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/suite.h"
#include "lib/fake_host.h"
#include "sandferry/v1/agent.pb-c.h"
#include "sandferry/v1/snapshot.pb-c.h"
#include "vm/vm.h"

#define IMAGE_MISSING 77 /* ctest: skipped */

static const struct sf_bytes no_options;
static struct sf_error *err;

#define DO(call) ck_assert_msg((call), "%s", SF_WHY(err))

static struct sf_controller *controller(struct sf_sandbox *s)
{
    return s->controller;
}

static const struct sf_controller_class *cls(struct sf_sandbox *s)
{
    return s->controller->cls;
}

static void set_up(void)
{
    err = NULL;
    ck_assert(fake_host_make());
    fake_host_set("image-dir", getenv("SANDFERRY_IMAGE"));
    fake_host_set("qemu-user", getenv("SANDFERRY_QEMU_USER"));
}

static void tear_down(void)
{
    sf_error_free(err);
    fake_host_remove();
}

/* The agent refuses to look for a disk that is not there; that is an answer. */
static void ask_agent(struct sf_sandbox *s)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentHello hello = SANDFERRY__V1__AGENT_HELLO__INIT;
    void *reply = NULL;

    hello.protocol_version = VM_AGENT_PROTOCOL;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_HELLO;
    request.hello = &hello;
    DO(vm_guest_offer.call(controller(s), &request, 20000, &reply, &err));
    sandferry__v1__agent_reply__free_unpacked(reply, NULL);
}

static struct sf_sandbox *make_one(const char *id)
{
    struct sf_sandbox *s = fake_sandbox_new(id);

    DO(cls(s)->create(controller(s), &no_options, &err));
    ask_agent(s);
    return s;
}

static void save_one(struct sf_sandbox *s, struct sf_bytes *ret)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    DO(cls(s)->check(controller(s), why, &err));
    ck_assert_uint_eq(sf_reasons_count(why), 0);
    DO(cls(s)->quiesce(controller(s), &err));
    DO(cls(s)->stop(controller(s), &err));
    DO(cls(s)->save(controller(s), ret, &err));
}

/* Everything up to resume; false with *err. */
static bool load_one(struct sf_sandbox *s, const struct sf_bytes *section)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    return cls(s)->import(controller(s), section, 1, &err) &&
           cls(s)->admit(controller(s), why, &err) &&
           sf_reasons_fail(why, SF_FAILED_PRECONDITION, "restore", &err) &&
           cls(s)->prepare(controller(s), &err) && cls(s)->load(controller(s), &err);
}

static struct sf_sandbox *restore_one(const char *id, const struct sf_bytes *section)
{
    struct sf_sandbox *s = fake_sandbox_new(id);

    DO(load_one(s, section));
    DO(cls(s)->resume(controller(s), &err));
    ask_agent(s);
    return s;
}

static void expect_refused(const char *id, const struct sf_bytes *section, const char *words)
{
    struct sf_sandbox *s = fake_sandbox_new(id);

    ck_assert(!load_one(s, section));
    ck_assert_msg(strstr(sf_error_message(err), words) != NULL, "%s", sf_error_message(err));
    cls(s)->abandon(controller(s));
    sf_error_free(SF_STEAL(err));
    fake_sandbox_free(s);
}

static unsigned entries(const char *directory)
{
    unsigned n = 0;
    DIR *dir = opendir(directory);

    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    if (dir != NULL)
        closedir(dir);
    return n;
}

START_TEST(a_vm_comes_and_goes)
{
    struct sf_sandbox *s = make_one("s1");

    ck_assert_uint_eq(entries(fake_host_memory_directory()), 2); /* memory and lock */
    fake_sandbox_free(s);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

START_TEST(a_save_is_taken_back)
{
    struct sf_sandbox *s = make_one("s1");

    for (int i = 0; i < 3; i++) {
        struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
        save_one(s, &section);
        cls(s)->thaw(controller(s));
        ck_assert_msg(s->invalid == NULL, "%s", s->invalid);
        ask_agent(s);
        expect_refused("s2", &section, "s1"); /* it has run since */
    }
    fake_sandbox_free(s);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

START_TEST(a_saved_vm_runs_elsewhere)
{
    struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
    struct sf_sandbox *s = make_one("s1");

    for (int i = 0; i < 3; i++) {
        save_one(s, &section);
        cls(s)->discard(controller(s));
        fake_sandbox_free(s);
        s = restore_one(i % 2 == 0 ? "s2" : "s1", &section);
        sf_bytes_done(&section);
    }
    fake_sandbox_free(s);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

START_TEST(a_held_vm_is_restored_once)
{
    struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
    struct sf_sandbox *s = make_one("s1");

    save_one(s, &section); /* and held */
    struct sf_sandbox *there = restore_one("s2", &section);
    expect_refused("s3", &section, "s2");
    cls(s)->thaw(controller(s)); /* too late */
    ck_assert_ptr_nonnull(s->invalid);
    ck_assert_msg(strstr(s->invalid, "'s2'") != NULL, "%s", s->invalid);
    fake_sandbox_free(s);
    ask_agent(there);
    fake_sandbox_free(there);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

START_TEST(what_is_abandoned_can_be_restored)
{
    struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
    struct sf_sandbox *s = make_one("s1");

    save_one(s, &section);
    cls(s)->discard(controller(s));
    fake_sandbox_free(s);

    struct sf_sandbox *t = fake_sandbox_new("s2");
    DO(load_one(t, &section));
    cls(t)->abandon(controller(t)); /* before it has run */
    DO(load_one(t, &section));
    DO(cls(t)->resume(controller(t), &err));
    ask_agent(t);
    cls(t)->abandon(controller(t)); /* after */
    fake_sandbox_free(t);

    t = restore_one("s3", &section);
    fake_sandbox_free(t);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

START_TEST(a_copy_is_kept_for_a_vm_that_runs_on)
{
    struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
    struct sf_sandbox *s = make_one("s1");

    DO(cls(s)->quiesce(controller(s), &err));
    DO(cls(s)->stop(controller(s), &err));
    DO(cls(s)->keep(controller(s), &err));
    DO(cls(s)->save(controller(s), &section, &err));
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 3);
    cls(s)->unkeep(controller(s)); /* the save fails after all, */
    cls(s)->thaw(controller(s));
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 2);
    sf_bytes_done(&section);

    DO(cls(s)->quiesce(controller(s), &err)); /* and is tried again */
    DO(cls(s)->stop(controller(s), &err));
    DO(cls(s)->keep(controller(s), &err));
    DO(cls(s)->save(controller(s), &section, &err));
    cls(s)->thaw(controller(s));
    ck_assert_msg(s->invalid == NULL, "%s", s->invalid);
    ask_agent(s);
    expect_refused("s2", &section, "in use");
    fake_sandbox_free(s);

    s = restore_one("s2", &section);
    fake_sandbox_free(s);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

START_TEST(a_state_that_was_changed_is_refused)
{
    struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
    struct sf_sandbox *s = make_one("s1");
    char path[512];

    save_one(s, &section);
    snprintf(path, sizeof(path), "%s/%s/state", fake_host_memory_directory(),
             memory_reference(vm_of(s->controller)->memory)->memory_id);
    cls(s)->discard(controller(s));
    fake_sandbox_free(s);

    FILE *file = fopen(path, "r+");
    ck_assert_int_eq(fseek(file, 1000, SEEK_SET), 0);
    int byte = fgetc(file);
    ck_assert_int_eq(fseek(file, 1000, SEEK_SET), 0);
    fputc(byte ^ 1, file);
    fclose(file);
    expect_refused("s2", &section, "SHA-256");

    file = fopen(path, "r+");
    ck_assert_int_eq(fseek(file, 1000, SEEK_SET), 0);
    fputc(byte, file);
    fclose(file);
    s = restore_one("s2", &section);
    fake_sandbox_free(s);
}
END_TEST

START_TEST(a_vm_that_ends_by_itself_is_told)
{
    struct sf_sandbox *s = make_one("s1");

    ck_assert_int_eq(kill(run_pid(vm_of(s->controller)->process), SIGKILL), 0);
    ck_assert(fake_sandbox_await_invalid(s, 10000));
    ck_assert_msg(strstr(s->invalid, "QEMU has ended") != NULL, "%s", s->invalid);
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    DO(cls(s)->check(controller(s), why, &err));
    ck_assert_uint_gt(sf_reasons_count(why), 0);
    fake_sandbox_free(s);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

START_TEST(what_a_killed_daemon_left_is_cleaned_up)
{
    pid_t daemon = fork();

    if (daemon == 0) { /* makes a VM, and is gone without a word */
        struct sf_sandbox *s = fake_sandbox_new("s1");
        _exit(cls(s)->create(controller(s), &no_options, &err) ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(daemon, &status, 0), daemon);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 2);

    struct sf_sandbox *s = fake_sandbox_new("s1"); /* the next daemon knows nothing of it */
    fake_sandbox_free(s);
    ck_assert_uint_eq(entries(fake_host_memory_directory()), 0);
}
END_TEST

int main(void)
{
    const char *image = getenv("SANDFERRY_IMAGE");
    char path[512];

    snprintf(path, sizeof(path), "%s/vmlinux", image == NULL ? "" : image);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "skipped: no guest image at '%s' (SANDFERRY_IMAGE)\n", path);
        return IMAGE_MISSING;
    }
    Suite *suite = suite_create("vm_live");
    TCase *life = tcase_create("life");
    tcase_set_timeout(life, 180);
    tcase_add_checked_fixture(life, set_up, tear_down);
    tcase_add_test(life, a_vm_comes_and_goes);
    tcase_add_test(life, a_save_is_taken_back);
    tcase_add_test(life, a_saved_vm_runs_elsewhere);
    tcase_add_test(life, a_held_vm_is_restored_once);
    tcase_add_test(life, what_is_abandoned_can_be_restored);
    tcase_add_test(life, a_copy_is_kept_for_a_vm_that_runs_on);
    tcase_add_test(life, a_state_that_was_changed_is_refused);
    tcase_add_test(life, a_vm_that_ends_by_itself_is_told);
    tcase_add_test(life, what_a_killed_daemon_left_is_cleaned_up);
    suite_add_tcase(suite, life);
    return sf_suite_run(suite);
}
