/*
 * The shares' line with a real VM: the guest's kernel, our 9P server, and a process that makes and
 * removes directories as fast as it goes. The server stays what it is while the VM is saved and
 * restored: so a piece that is lost, said twice or out of order ends the process with an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/suite.h"
#include "lib/fake_host.h"
#include "plan9/9p/server.h"
#include "sandferry/v1/agent.pb-c.h"
#include "vm/vm.h"

#define IMAGE_MISSING 77 /* ctest: skipped */
#define WAIT_S        60
#define MOUNTS        "/run/sandferry/mounts/plan9/"
#define ROOTFS        "/run/sandferry/pods/p/c/rootfs"

static const struct sf_bytes no_options;
static struct sf_error *err;

#define DO(call) ck_assert_msg((call), "%s", SF_WHY(err))

/* What the guest has said on either line; the listeners write it. */
static struct sf_sandbox *now; /* the sandbox that the server answers to */
static struct ninep *servers[2];
static uint64_t pieces, last_number;
static bool broken, exited, closed[2];

/* ---- the host's side of the line ---- */

static bool answer(void *context, const void *data, size_t size)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *why = NULL;
    uint64_t share = (uint64_t)((struct ninep **)context - servers);

    return vm_share_line_offer.send(now->controller, share, data, size, false, &why);
}

static void on_piece(struct sf_controller *listener, uint64_t share, const void *data, size_t size,
                     bool end)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *why = NULL;

    (void)listener;
    __atomic_add_fetch(&pieces, 1, __ATOMIC_RELAXED);
    if (share >= 2 || (size > 0 && !ninep_input(servers[share], data, size, &why)))
        broken = true;
    else if (end)
        closed[share] = true;
}

static uint64_t pieces_now(void)
{
    return __atomic_load_n(&pieces, __ATOMIC_RELAXED);
}

/* Each number that it writes is one more than the one before. */
static void on_event(struct sf_controller *listener, const void *data)
{
    static char text[64];
    static size_t n;
    const Sandferry__V1__AgentEvent *event = data;

    (void)listener;
    if (event->body_case == SANDFERRY__V1__AGENT_EVENT__BODY_EXITED)
        exited = true;
    if (event->body_case != SANDFERRY__V1__AGENT_EVENT__BODY_OUTPUT)
        return;
    for (size_t i = 0; i < event->output->data.len; i++) {
        char c = (char)event->output->data.data[i];
        if (c != '\n' && n + 1 < sizeof(text)) {
            text[n++] = c;
            continue;
        }
        text[n] = '\0';
        n = 0;
        ck_assert_msg(strtoull(text, NULL, 10) == last_number + 1, "after %llu it says '%s'",
                      (unsigned long long)last_number, text);
        last_number++;
    }
}

static void serve(int which, const char *folder)
{
    struct ninep_options options = {0};
    int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

    ck_assert_int_ge(root, 0);
    servers[which] = ninep_new(root, &options, answer, &servers[which], &err);
    ck_assert_msg(servers[which] != NULL, "%s", SF_WHY(err));
    close(root);
}

static void listen_to(struct sf_sandbox *s)
{
    now = s;
    DO(vm_share_line_offer.listen(s->controller, s->controller, on_piece, &err));
    DO(vm_guest_offer.listen(s->controller, s->controller, on_event, &err));
}

/* ---- the guest ---- */

static bool ask(struct sf_sandbox *s, Sandferry__V1__AgentRequest *request)
{
    return vm_guest_offer.call(s->controller, request, 20000, NULL, &err);
}

static bool mount_share(struct sf_sandbox *s, uint64_t share, const char *path)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentMountShare body = SANDFERRY__V1__AGENT_MOUNT_SHARE__INIT;

    body.share = share;
    body.guest_path = (char *)path;
    body.msize = NINEP_MSIZE_DEFAULT;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_MOUNT_SHARE;
    request.mount_share = &body;
    return ask(s, &request);
}

static bool unmount_share(struct sf_sandbox *s, uint64_t share, const char *path)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentUnmountShare body = SANDFERRY__V1__AGENT_UNMOUNT_SHARE__INIT;

    body.share = share;
    body.guest_path = (char *)path;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_UNMOUNT_SHARE;
    request.unmount_share = &body;
    return ask(s, &request);
}

static const char spec[] =
    "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"" ROOTFS "\"},\"process\":{"
    "\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"env\":[\"PATH=/bin\"],"
    "\"args\":[\"/bin/busybox\",\"sh\",\"-c\",\"exec 2>&1; i=0; while true; do i=$((i + 1)); "
    "busybox mkdir /in/$i && busybox rmdir /in/$i && echo $i || exit 1; done\"]},"
    "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
    "{\"destination\":\"/in\",\"type\":\"bind\",\"source\":\"" MOUNTS "1\","
    "\"options\":[\"bind\"]}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}]}}";

static void run_container(struct sf_sandbox *s)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentCreateContainer make = SANDFERRY__V1__AGENT_CREATE_CONTAINER__INIT;
    Sandferry__V1__AgentStartContainer start = SANDFERRY__V1__AGENT_START_CONTAINER__INIT;
    char *layers[] = {(char *)MOUNTS "0"};

    make.container_id = (char *)"c";
    make.layers = layers;
    make.n_layers = 1;
    make.rootfs_path = (char *)ROOTFS;
    make.spec = (char *)spec;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_CREATE_CONTAINER;
    request.create_container = &make;
    DO(ask(s, &request));
    request = (Sandferry__V1__AgentRequest)SANDFERRY__V1__AGENT_REQUEST__INIT;
    start.container_id = (char *)"c";
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_START_CONTAINER;
    request.start_container = &start;
    DO(ask(s, &request));
}

static void end_container(struct sf_sandbox *s)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentDeleteContainer body = SANDFERRY__V1__AGENT_DELETE_CONTAINER__INIT;

    body.container_id = (char *)"c";
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_DELETE_CONTAINER;
    request.delete_container = &body;
    DO(ask(s, &request));
}

/* ---- a host ---- */

static void make_layer(void)
{
    char command[1024];

    snprintf(command, sizeof(command),
             "cd '%s' && unsquashfs -quiet -no-progress -dest layer '%s/disks/demo.squashfs' "
             "bin/busybox && mkdir -p layer/in layer/dev layer/proc data",
             fake_host_root(), getenv("SANDFERRY_IMAGE"));
    ck_assert_int_eq(system(command), 0);
}

static struct sf_sandbox *begin(void)
{
    struct sf_sandbox *s = fake_sandbox_new("s1");
    char path[512];

    DO(s->controller->cls->create(s->controller, &no_options, &err));
    listen_to(s);
    snprintf(path, sizeof(path), "%s/layer", fake_host_root());
    serve(0, path);
    snprintf(path, sizeof(path), "%s/data", fake_host_root());
    serve(1, path);
    DO(mount_share(s, 0, MOUNTS "0"));
    DO(mount_share(s, 1, MOUNTS "1"));
    return s;
}

static void set_up(void)
{
    err = NULL;
    pieces = last_number = 0;
    broken = exited = closed[0] = closed[1] = false;
    ck_assert(fake_host_make());
    fake_host_set("image-dir", getenv("SANDFERRY_IMAGE"));
    fake_host_set("qemu-user", getenv("SANDFERRY_QEMU_USER"));
    make_layer();
}

static void tear_down(void)
{
    for (int i = 0; i < 2; i++)
        ninep_free(SF_STEAL(servers[i]));
    sf_error_free(err);
    fake_host_remove();
}

/* Lets everybody work for a moment. */
static void let_go(struct sf_sandbox *s)
{
    pthread_mutex_unlock(&s->lock);
    poll(NULL, 0, 1);
    pthread_mutex_lock(&s->lock);
}

static void await_numbers(struct sf_sandbox *s, uint64_t more)
{
    int64_t end = sf_clock_monotonic_ns() + WAIT_S * SF_NS_PER_S;

    for (uint64_t first = last_number; last_number < first + more; let_go(s)) {
        ck_assert_msg(!broken && !exited && s->invalid == NULL, "%s after %llu",
                      broken ? "the 9P stream broke" : "it ended", (unsigned long long)last_number);
        ck_assert_msg(sf_clock_monotonic_ns() < end, "no number after %llu",
                      (unsigned long long)last_number);
    }
}

static void save_one(struct sf_sandbox *s, struct sf_bytes *ret)
{
    sf_bytes_done(ret);
    DO(s->controller->cls->quiesce(s->controller, &err));
    DO(s->controller->cls->stop(s->controller, &err));
    uint64_t before = pieces_now();
    DO(s->controller->cls->save(s->controller, ret, &err));
    for (int i = 0; i < 50; i++)
        let_go(s);
    ck_assert_uint_eq(pieces_now(), before); /* it was silent when the section was written */
}

static void leave(struct sf_sandbox *s)
{
    s->controller->cls->discard(s->controller);
    fake_sandbox_free(s);
}

static void load_one(struct sf_sandbox *s, const struct sf_bytes *section)
{
    const struct sf_controller_class *c = s->controller->cls;
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    DO(c->import(s->controller, section, 1, &err));
    DO(c->admit(s->controller, why, &err));
    DO(sf_reasons_fail(why, SF_FAILED_PRECONDITION, "restore", &err));
    DO(c->prepare(s->controller, &err));
    listen_to(s);
    DO(c->load(s->controller, &err));
}

/* The process goes on at once, and asks; nothing of it is heard before the lock is let go. */
static void resume_one(struct sf_sandbox *s)
{
    uint64_t before = pieces_now();

    DO(s->controller->cls->resume(s->controller, &err));
    poll(NULL, 0,
         300); /* long enough for a guest that may speak; one that is slow goes unnoticed */
    ck_assert_uint_eq(pieces_now(), before);
}

START_TEST(every_piece_comes_once_over_saves)
{
    struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
    struct sf_sandbox *s = begin();

    run_container(s);
    for (int i = 0; i < 4; i++) {
        await_numbers(s, 5);
        save_one(s, &section);
        if (i % 2 == 0) {
            s->controller->cls->thaw(s->controller); /* taken back */
        } else {
            leave(s);
            s = fake_sandbox_new(i == 1 ? "s2" : "s1");
            load_one(s, &section);
            resume_one(s);
        }
    }
    await_numbers(s, 5);
    fake_sandbox_free(s);
}
END_TEST

START_TEST(a_restore_that_is_taken_back_has_asked_nothing)
{
    struct sf_bytes section SF_CLEANUP(sf_bytes_done) = {0};
    struct sf_sandbox *s = begin();

    run_container(s);
    await_numbers(s, 5);
    save_one(s, &section);
    leave(s);
    for (int i = 0; i < 3; i++) {
        s = fake_sandbox_new("s2");
        load_one(s, &section);
        uint64_t before = pieces_now();
        if (i > 0)
            resume_one(s);
        s->controller->cls->abandon(s->controller);
        ck_assert_uint_eq(pieces_now(), before);
        fake_sandbox_free(s);
    }
    s = fake_sandbox_new("s3");
    load_one(s, &section);
    resume_one(s);
    await_numbers(s, 5);
    fake_sandbox_free(s);
}
END_TEST

START_TEST(a_share_that_is_used_stays)
{
    struct sf_sandbox *s = begin();

    DO(unmount_share(s, 5, MOUNTS "5"));
    DO(mount_share(s, 1, MOUNTS "1")); /* a repeat */
    ck_assert(!mount_share(s, 1, MOUNTS "2"));
    sf_error_free(SF_STEAL(err));
    run_container(s);
    await_numbers(s, 1);
    ck_assert(!unmount_share(s, 1, MOUNTS "1"));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_msg(strstr(sf_error_message(err), "of container 'c'") != NULL, "%s",
                  sf_error_message(err));
    sf_error_free(SF_STEAL(err));
    await_numbers(s, 1);
    end_container(s);
    for (int i = 1; i >= 0; i--) {
        DO(unmount_share(s, (uint64_t)i, i == 1 ? MOUNTS "1" : MOUNTS "0"));
        for (int64_t end = sf_clock_monotonic_ns() + WAIT_S * SF_NS_PER_S; !closed[i]; let_go(s))
            ck_assert(sf_clock_monotonic_ns() < end);
        ck_assert_uint_eq(ninep_fids(servers[i]), 0);
    }
    fake_sandbox_free(s);
}
END_TEST

START_TEST(a_guest_ends_though_nobody_answers)
{
    struct sf_sandbox *s = begin();

    run_container(s);
    await_numbers(s, 1);
    if (_i == 0) /* the file server is gone */
        DO(vm_share_line_offer.listen(s->controller, s->controller, NULL, &err));
    else /* or says nothing */
        broken = true;
    int64_t begun = sf_clock_monotonic_ns();
    fake_sandbox_free(s);
    ck_assert_int_lt(sf_clock_monotonic_ns() - begun, 9 * SF_NS_PER_S);
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
    Suite *suite = suite_create("shares_live");
    TCase *line = tcase_create("line");
    tcase_set_timeout(line, 180);
    tcase_add_checked_fixture(line, set_up, tear_down);
    tcase_add_test(line, every_piece_comes_once_over_saves);
    tcase_add_test(line, a_restore_that_is_taken_back_has_asked_nothing);
    tcase_add_test(line, a_share_that_is_used_stays);
    tcase_add_loop_test(line, a_guest_ends_though_nobody_answers, 0, 2);
    suite_add_tcase(suite, line);
    return sf_suite_run(suite);
}
