/* The example controller, built from an installed prefix, in this daemon. */

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "method_call.h"
#include "fakes.h"
#include "lifecycle.h"
#include "operations.h"
#include "sandbox.h"

static char prefix[64];
static struct daemon daemon_;
static struct sf_error *err;

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
}

/* The headers are installed; the library is the build's own. */
static void build_and_load(void)
{
    strcpy(prefix, "/tmp/sandferry-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(prefix));
    run("cmake --install " BUILD_DIR " --prefix %s --component controller-headers > %s/log", prefix,
        prefix);
    run("cd %s && mkdir out && unset MAKEFLAGS && make -s -f " EXAMPLE_DIR "/Makefile O=out "
        "PKG_CONFIG_PATH=$(dirname $(find $PWD -name '*.pc')) LDFLAGS=-L" BUILD_DIR
        "/lib > log 2>&1"
        " || { cat log; false; }",
        prefix);

    char directory[96];
    snprintf(directory, sizeof(directory), "%s/out", prefix);
    err = NULL;
    fake_daemon_open(&daemon_);
    modules_done(&daemon_.modules);
    ck_assert_msg(modules_load(&daemon_.modules, directory, &err), "%s",
                  err ? sf_error_message(err) : "");
}

static void setup(void)
{
    build_and_load();
}

static void teardown(void)
{
    fake_daemon_close(&daemon_);
    operation_remove_directory(prefix);
    sf_error_free(err);
}

/* Calls a method as service.c does, with a request made of two texts. */
static bool call(const char *id, const char *method, const char *text, char ret[64])
{
    const struct sf_service *service = daemon_.modules.all[0].cls.services;
    const struct sf_method *m = service->methods;
    while (strcmp(m->name, method) != 0)
        m++;
    const ProtobufCMethodDescriptor *d = &service->descriptor->methods[m - service->methods];

    uint8_t packed[2048];
    size_t n = 0;
    const char *fields[] = {id, text};
    for (size_t i = 0; i < (text == NULL ? 1 : 2); i++) {
        size_t size = strlen(fields[i]);
        packed[n++] = (uint8_t)((i + 1) << 3 | 2);
        packed[n++] = (uint8_t)((size & 127) | (size > 127 ? 128 : 0));
        if (size > 127)
            packed[n++] = (uint8_t)(size >> 7);
        memcpy(packed + n, fields[i], size);
        n += size;
    }
    ProtobufCMessage *request = protobuf_c_message_unpack(d->input, NULL, n, packed);
    ProtobufCMessage *reply = calloc(1, d->output->sizeof_message);
    protobuf_c_message_init(d->output, reply);

    struct sf_sandbox *s = operation_enter(&daemon_, NULL, id, &err);
    ck_assert_ptr_nonnull(s);
    struct sf_call under_way = {.sandbox = s};
    bool ok = lifecycle_call(s, 0, m, &under_way, request, reply, &err);
    operation_leave(s);
    if (ok && ret != NULL)
        snprintf(ret, 64, "%s", *(char **)(void *)((char *)reply + d->output->fields[0].offset));
    protobuf_c_message_free_unpacked(request, NULL);
    protobuf_c_message_free_unpacked(reply, NULL);
    return ok;
}

static void create(const char *id)
{
    Sandferry__V1__CreateSandboxRequest request = SANDFERRY__V1__CREATE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__CreateSandboxResponse reply = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
    request.sandbox_id = (char *)(uintptr_t)id;
    ck_assert(create_sandbox(&daemon_, NULL, &request, &reply, &err));
    sandferry__v1__sandbox__free_unpacked(reply.sandbox, NULL);
}

START_TEST(the_note_moves_with_its_sandbox)
{
    Sandferry__V1__SaveSandboxRequest save = SANDFERRY__V1__SAVE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__SaveSandboxResponse *saved = calloc(1, sizeof(*saved));
    Sandferry__V1__RestoreSandboxRequest restore = SANDFERRY__V1__RESTORE_SANDBOX_REQUEST__INIT;
    Sandferry__V1__RestoreSandboxResponse *restored = calloc(1, sizeof(*restored));
    char text[64];
    sandferry__v1__save_sandbox_response__init(saved);
    sandferry__v1__restore_sandbox_response__init(restored);

    ck_assert_str_eq(daemon_.modules.all[0].cls.name, "note");
    create("s1");
    ck_assert(call("s1", "SetNote", "fragile", NULL));
    save.sandbox_id = (char *)(uintptr_t) "s1";
    ck_assert(save_sandbox(&daemon_, NULL, &save, saved, &err));
    ck_assert_uint_eq(saved->snapshot->n_extensions, 1);
    ck_assert_str_eq(saved->snapshot->extensions[0]->controller, "note");

    restore.snapshot = saved->snapshot;
    restore.sandbox_id = (char *)(uintptr_t) "s2";
    ck_assert(restore_sandbox(&daemon_, NULL, &restore, restored, &err));
    ck_assert(call("s2", "GetNote", NULL, text));
    ck_assert_str_eq(text, "fragile");
    sandferry__v1__save_sandbox_response__free_unpacked(saved, NULL);
    sandferry__v1__restore_sandbox_response__free_unpacked(restored, NULL);
}
END_TEST

START_TEST(what_is_wrong_is_refused_by_field)
{
    char text[1002];
    memset(text, 'x', sizeof(text));
    text[1001] = '\0';
    create("s1");
    ck_assert(!call("s1", "SetNote", text, NULL));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_str_eq(sf_error_detail(err, 0)->subject, "text");
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "note: "));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plugin");
    TCase *cases = tcase_create("plugin");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, the_note_moves_with_its_sandbox);
    tcase_add_test(cases, what_is_wrong_is_refused_by_field);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
