/* A service's table against its descriptor, and addresses; before anything is started. */
#include "base/suite.h"

#include <string.h>

#include "rpc/rpc.h"
#include "sandferry/v1/disk.pb-c.h"

#define SERVICE (&sandferry__v1__disk_service__descriptor)

static bool nothing(void *context, struct rpc_call *call, const ProtobufCMessage *request,
                    ProtobufCMessage *reply, struct sf_error **err)
{
    (void)context;
    (void)call;
    (void)request;
    (void)reply;
    (void)err;
    return true;
}

/* clang-format off */
#define ROW(name) { name, nothing, NULL, RPC_READER, 0 }
static const struct rpc_method right[] = { ROW("ListDisks"), ROW("AddDisk"), ROW("RemoveDisk"), { 0 } };
static const struct rpc_method none[] = { { 0 } };
static const struct rpc_method missing[] = { ROW("AddDisk"), ROW("RemoveDisk"), { 0 } };
static const struct rpc_method twice[] = { ROW("AddDisk"), ROW("AddDisk"), ROW("RemoveDisk"), { 0 } };
static const struct rpc_method extra[] = {
    ROW("AddDisk"), ROW("RemoveDisk"), ROW("ListDisks"), ROW("EatDisk"), { 0 },
};
/* clang-format on */

static const struct {
    const struct rpc_method *rows;
    const char *says;
} wrong[] = {
    {none, "'AddDisk'"},
    {missing, "'ListDisks'"},
    {twice, "'ListDisks'"},
    {extra, "has 3 methods, its table 4 rows"},
};

static struct rpc_server *server;

static void setup(void)
{
    struct sf_error *err = NULL;

    rpc_init();
    server = rpc_server_new(NULL, &err);
    ck_assert_msg(server != NULL, "%s", SF_WHY(err));
}

static void teardown(void)
{
    rpc_server_free(server);
    rpc_shutdown();
}

START_TEST(a_table_that_does_not_fit_is_refused)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert(!rpc_server_add_service(server, SERVICE, wrong[_i].rows, NULL, 0, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INTERNAL);
    ck_assert_msg(strstr(sf_error_message(err), wrong[_i].says) != NULL, "%s",
                  sf_error_message(err));
}
END_TEST

START_TEST(a_service_is_there_once)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ck_assert_msg(rpc_server_add_service(server, SERVICE, right, NULL, 0, &err), "%s", SF_WHY(err));
    ck_assert(!rpc_server_add_service(server, SERVICE, right, NULL, 0, &err));
    ck_assert_int_eq(sf_error_code(err), SF_ALREADY_EXISTS);
}
END_TEST

START_TEST(tcp_is_not_open_to_all_unless_asked)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct rpc_tls garbage = {"no", "such", "files"};
    int port = 0;

    ck_assert(!rpc_server_listen(server, "127.0.0.1:0", NULL, false, &port, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(SF_STEAL(err));
    ck_assert(!rpc_server_listen(server, "127.0.0.1:0", &garbage, false, &port, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    sf_error_free(SF_STEAL(err));
    ck_assert_msg(rpc_server_listen(server, "127.0.0.1:0", NULL, true, &port, &err), "%s",
                  SF_WHY(err));
    ck_assert_int_gt(port, 0);
    ck_assert(!rpc_server_listen(server, "nowhere", NULL, true, &port, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rpc_server");
    TCase *tcase = tcase_create("before_start");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_table_that_does_not_fit_is_refused, 0,
                        sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(tcase, a_service_is_there_once);
    tcase_add_test(tcase, tcp_is_not_open_to_all_unless_asked);
    suite_add_tcase(suite, tcase);
    return sf_suite_run(suite);
}
