/* The gRPC engine: what it promises. What would hurt it: traps_test.c; TLS: tls_test.c. */
#include "rpc/echo_client.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <grpc/grpc.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

static struct peer peer;

static void setup(void)
{
    peer_start(&peer, 0);
}

static void teardown(void)
{
    ck_assert_int_eq(peer_stop(&peer), 0);
}

/* ---- What it promises ---- */

START_TEST(a_call_is_answered)
{
    answers(peer.address);
}
END_TEST

START_TEST(an_error_comes_with_its_details)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert(!say(channel, "fail", 10000, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_str_eq(sf_error_message(err), "it cannot be: \xc3\xa4");
    ck_assert_uint_eq(sf_error_n_details(err), 3);
    int fields = 0, reasons = 0;
    for (size_t i = 0; i < 3; i++) {
        const struct sf_detail *detail = sf_error_detail(err, i);
        fields += detail->kind == SF_DETAIL_FIELD && strcmp(detail->subject, "a.b[3]") == 0;
        reasons += detail->kind == SF_DETAIL_REASON && strcmp(detail->subject, "scsi") == 0 &&
                   strcmp(detail->text, "disk '0:1' is attaching") == 0;
    }
    ck_assert_int_eq(fields, 1);
    ck_assert_int_eq(reasons, 1);
}
END_TEST

/* 900 of them. Ours takes as much metadata as it said; what is left out is counted. */
START_TEST(more_details_than_metadata_holds_are_counted)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    unsigned left_out = 0;

    ck_assert(!say(channel, "fail much", 10000, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_str_eq(sf_error_message(err), "much is wrong");
    size_t n = sf_error_n_details(err);
    ck_assert_uint_ge(n, 500);
    const struct sf_detail *last = sf_error_detail(err, n - 1);
    ck_assert_int_eq(last->kind, SF_DETAIL_REASON);
    ck_assert_msg(sscanf(last->text, "%u more are left out", &left_out) == 1, "%s", last->text);
    ck_assert_uint_eq(n - 1 + left_out, 900);
}
END_TEST

/* A client that says nothing of what it takes has the usual 8 KiB, and its core means it. */
START_TEST(an_error_reaches_clients_that_take_little_metadata)
{
    char words[4096];

    ck_assert_int_eq(raw_call(peer.address, ECHO,
                              "\x0a\x09"
                              "fail much",
                              11, false, words, sizeof(words)),
                     SF_INVALID_ARGUMENT);
    ck_assert_str_eq(words, "much is wrong");
    ck_assert_int_eq(raw_call(peer.address, ECHO,
                              "\x0a\x09"
                              "fail long",
                              11, false, words, sizeof(words)),
                     SF_NOT_FOUND);
    ck_assert_msg(strncmp(words, "no '?\xc3\xa4", 7) == 0, "%s", words);
    ck_assert_str_eq(words + strlen(words) - 3, "...");
}
END_TEST

START_TEST(a_stream_gives_all_and_then_its_error)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    unsigned got = 100; /* beyond 77: nothing ends it early */

    ck_assert_msg(repeat(channel, "x", 500, &got, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(got, 600);
    ck_assert(!repeat(channel, "fail", 3, &got, &err));
    ck_assert_uint_eq(got, 603);
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
}
END_TEST

START_TEST(a_stream_can_be_left)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    unsigned got = 0;

    ck_assert_msg(repeat(channel, "x", 1000000, &got, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(got, 77);
    answers(peer.address);
}
END_TEST

START_TEST(a_deadline_reaches_the_handler)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    char line[64];

    ck_assert(!hang(channel, 300, &err));
    ck_assert_int_eq(sf_error_code(err), SF_DEADLINE_EXCEEDED);
    peer_line(&peer, line, sizeof(line));
    ck_assert_str_eq(line, "hanging 1");
    peer_line(&peer, line, sizeof(line));
    ck_assert_str_eq(line, "ended DEADLINE_EXCEEDED");
}
END_TEST

static void *cancel_when_it_hangs(void *context)
{
    char line[64];

    peer_line(&peer, line, sizeof(line));
    call_channel_cancel(context);
    return NULL;
}

START_TEST(a_cancellation_reaches_the_handler)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    pthread_t thread;
    char line[64];

    pthread_create(&thread, NULL, cancel_when_it_hangs, channel);
    ck_assert(!hang(channel, 0, &err));
    pthread_join(thread, NULL);
    ck_assert_int_eq(sf_error_code(err), SF_CANCELLED);
    peer_line(&peer, line, sizeof(line));
    ck_assert_str_eq(line, "ended CANCELLED");
}
END_TEST

/* ---- Cancel and drain ---- */

START_TEST(a_cancellation_ends_all_calls_of_a_channel)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    struct caller callers[3];
    char line[64];

    for (int i = 0; i < 3; i++)
        caller_start_on(&callers[i], channel, HANG);
    for (int i = 0; i < 3; i++)
        peer_line(&peer, line, sizeof(line));
    call_channel_cancel(channel);
    for (int i = 0; i < 3; i++) {
        caller_end(&callers[i]);
        ck_assert(!callers[i].ok);
        ck_assert_int_eq(sf_error_code(callers[i].err), SF_CANCELLED);
        sf_error_free(callers[i].err);
    }
    answers(peer.address);
}
END_TEST

START_TEST(a_cancellation_that_comes_first_ends_the_next_call)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    call_channel_cancel(channel);
    ck_assert(!hang(channel, 10000, &err));
    ck_assert_int_eq(sf_error_code(err), SF_CANCELLED);
    sf_error_free(SF_STEAL(err));
    ck_assert_msg(say(channel, "and no other", 10000, &err), "%s", SF_WHY(err));
}
END_TEST

START_TEST(a_drain_ends_waits_and_lets_others_finish)
{
    struct caller hanging, holding;
    SF_CLEANUP(channel_free) struct call_channel *third = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    char line[64];

    ck_assert(say(third, "connect", 10000, &err));
    caller_start(&hanging, peer.address, HANG);
    peer_line(&peer, line, sizeof(line));
    caller_start(&holding, peer.address, HOLD);
    peer_line(&peer, line, sizeof(line));
    kill(peer.pid, SIGTERM);
    caller_end(&hanging);
    ck_assert(!hanging.ok);
    ck_assert_int_eq(sf_error_code(hanging.err), SF_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(sf_error_message(hanging.err), "stopping"));
    sf_error_free(hanging.err);
    caller_end(&holding); /* nobody releases it: it is ended when its grace is over */
    ck_assert(!holding.ok);
    ck_assert_int_eq(sf_error_code(holding.err), SF_UNAVAILABLE);
    sf_error_free(holding.err);
}
END_TEST

/* It may take long, and works: that it is of the kind that may wait does not matter. */
START_TEST(a_drain_lets_work_finish)
{
    struct caller working, hanging;
    char line[64];

    caller_start(&working, peer.address, WORK);
    peer_line(&peer, line, sizeof(line));
    caller_start(&hanging, peer.address, HANG);
    peer_line(&peer, line, sizeof(line));
    kill(peer.pid, SIGTERM);
    caller_end(&hanging); /* the drain has begun */
    ck_assert(!hanging.ok);
    sf_error_free(hanging.err);
    peer_release(&peer);
    caller_end(&working);
    ck_assert_msg(working.ok, "%s", SF_WHY(working.err));
}
END_TEST

/* ---- Health and reflection ---- */

START_TEST(health_knows_each_service)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    request.service = (char *)(uintptr_t) "sandferry.test.v1.EchoService";
    ck_assert(call_unary(channel, "/grpc.health.v1.Health/Check", &request.base,
                         &grpc__health__v1__health_check_response__descriptor, 10000, &reply,
                         &err));
    ck_assert_int_eq(((Grpc__Health__V1__HealthCheckResponse *)(void *)reply)->status,
                     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    protobuf_c_message_free_unpacked(reply, NULL);
    request.service = (char *)(uintptr_t) "no.Such";
    ck_assert(!call_unary(channel, "/grpc.health.v1.Health/Check", &request.base,
                          &grpc__health__v1__health_check_response__descriptor, 10000, &reply,
                          &err));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
}
END_TEST

struct watched {
    int states[4];
    unsigned n;
};

static bool note_state(void *context, const ProtobufCMessage *message)
{
    const Grpc__Health__V1__HealthCheckResponse *r = (const void *)message;
    struct watched *seen = context;

    if (seen->n == 0)
        kill(peer.pid, SIGTERM);
    if (seen->n < 4)
        seen->states[seen->n++] = (int)r->status;
    return true;
}

START_TEST(who_watches_the_health_sees_the_drain)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct watched seen = {.n = 0};

    ck_assert(!call_stream(channel, "/grpc.health.v1.Health/Watch", &request.base,
                           &grpc__health__v1__health_check_response__descriptor, 10000, note_state,
                           &seen, &err));
    ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
    ck_assert_uint_eq(seen.n, 2);
    ck_assert_int_eq(seen.states[0],
                     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    ck_assert_int_eq(seen.states[1],
                     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
}
END_TEST

#define ASKED(name)    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWERED(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

struct reflected {
    size_t services, files;
    bool has_echo, not_found, no_extensions;
};

static bool look(void *context, const ProtobufCMessage *message)
{
    const Grpc__Reflection__V1__ServerReflectionResponse *r = (const void *)message;
    struct reflected *seen = context;

    if (r->message_response_case ==
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE) {
        seen->services = r->list_services_response->n_service;
        for (size_t i = 0; i < seen->services; i++)
            seen->has_echo |= strcmp(r->list_services_response->service[i]->name,
                                     "sandferry.test.v1.EchoService") == 0;
    } else if (r->message_response_case ==
               GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE) {
        seen->not_found = r->error_response->error_code == SF_NOT_FOUND;
    } else if (r->message_response_case == ANSWERED(ALL_EXTENSION_NUMBERS_RESPONSE)) {
        seen->no_extensions = r->all_extension_numbers_response->n_extension_number == 0;
    } else {
        const ProtobufCBinaryData *file = r->file_descriptor_response->file_descriptor_proto;
        Google__Protobuf__FileDescriptorProto *parsed =
            google__protobuf__file_descriptor_proto__unpack(NULL, file->len, file->data);
        ck_assert_ptr_nonnull(parsed);
        seen->files = r->file_descriptor_response->n_file_descriptor_proto;
        seen->has_echo = strcmp(parsed->name, "echo.proto") == 0;
        google__protobuf__file_descriptor_proto__free_unpacked(parsed, NULL);
    }
    return true;
}

static struct reflected reflect(Grpc__Reflection__V1__ServerReflectionRequest *request,
                                const char *version)
{
    SF_CLEANUP(channel_free) struct call_channel *channel = connect_to(peer.address);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct reflected seen = {0};
    char method[100];

    snprintf(method, sizeof(method), "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo",
             version);
    ck_assert_msg(call_stream(channel, method, &request->base,
                              &grpc__reflection__v1__server_reflection_response__descriptor, 10000,
                              look, &seen, &err),
                  "%s", SF_WHY(err));
    return seen;
}

START_TEST(reflection_shows_all_that_is_there)
{
    static const char *const versions[] = {"v1", "v1alpha"};
    Grpc__Reflection__V1__ServerReflectionRequest request =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;

    request.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES;
    request.list_services = (char *)(uintptr_t) "";
    struct reflected seen = reflect(&request, versions[_i]);
    ck_assert_uint_eq(seen.services, 4); /* health, two of reflection, ours */
    ck_assert(seen.has_echo);

    request.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
    request.file_containing_symbol = (char *)(uintptr_t) "sandferry.test.v1.EchoService.Echo";
    seen = reflect(&request, versions[_i]);
    ck_assert(seen.has_echo);
    ck_assert_uint_eq(seen.files, 1);
    request.file_containing_symbol = (char *)(uintptr_t) "sandferry.test.v1.NoSuch";
    ck_assert(reflect(&request, versions[_i]).not_found);
    request.message_request_case = ASKED(FILE_BY_FILENAME);
    request.file_by_filename = (char *)(uintptr_t) "grpc/health/v1/health.proto";
    ck_assert_uint_eq(reflect(&request, versions[_i]).files, 1);
    request.message_request_case = ASKED(ALL_EXTENSION_NUMBERS_OF_TYPE);
    request.all_extension_numbers_of_type = (char *)(uintptr_t) "sandferry.test.v1.EchoRequest";
    ck_assert(reflect(&request, versions[_i]).no_extensions);
}
END_TEST

/* By the names of all kinds of things. */
START_TEST(reflection_finds_symbols)
{
    static const char *const symbols[] = {
        "sandferry.test.v1.EchoService",
        "sandferry.test.v1.EchoRequest",
        "sandferry.test.v1.EchoRequest.text",
        "sandferry.test.v1.EchoRequest.how",
        "sandferry.test.v1.Tone",
        "sandferry.test.v1.TONE_LOUD",
    };
    Grpc__Reflection__V1__ServerReflectionRequest request =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;

    request.message_request_case = ASKED(FILE_CONTAINING_SYMBOL);
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        request.file_containing_symbol = (char *)(uintptr_t)symbols[i];
        ck_assert_msg(reflect(&request, "v1").has_echo, "%s", symbols[i]);
    }
}
END_TEST

/* ---- */

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("rpc");
    TCase *calls = add_case(suite, "calls");
    tcase_add_test(calls, a_call_is_answered);
    tcase_add_test(calls, an_error_comes_with_its_details);
    tcase_add_test(calls, more_details_than_metadata_holds_are_counted);
    tcase_add_test(calls, an_error_reaches_clients_that_take_little_metadata);
    tcase_add_test(calls, a_stream_gives_all_and_then_its_error);
    tcase_add_test(calls, a_stream_can_be_left);
    tcase_add_test(calls, a_deadline_reaches_the_handler);
    tcase_add_test(calls, a_cancellation_reaches_the_handler);
    tcase_add_test(calls, a_cancellation_ends_all_calls_of_a_channel);
    tcase_add_test(calls, a_cancellation_that_comes_first_ends_the_next_call);

    TCase *drain = add_case(suite, "drain");
    tcase_add_test(drain, a_drain_ends_waits_and_lets_others_finish);
    tcase_add_test(drain, a_drain_lets_work_finish);
    tcase_add_test(drain, who_watches_the_health_sees_the_drain);

    TCase *standard = add_case(suite, "standard");
    tcase_add_test(standard, health_knows_each_service);
    tcase_add_loop_test(standard, reflection_shows_all_that_is_there, 0, 2);
    tcase_add_test(standard, reflection_finds_symbols);

    grpc_init();
    int status = sf_suite_run(suite);
    grpc_shutdown();
    return status;
}
