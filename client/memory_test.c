/* Each allocation fails once: every function then fails with RESOURCE_EXHAUSTED, leaves its outputs
 * untouched, and leaks nothing (the address sanitizer looks). No gRPC: calls get an answer that was
 * prepared. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"
#include "call.h"
#include "sandferry.h"
#include "sandferry/v1/container.pb-c.h"
#include "sandferry/v1/device.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/process.pb-c.h"
#include "sandferry/v1/sandbox.pb-c.h"
#include "sandferry/v1/network.pb-c.h"
#include "sandferry/v1/share.pb-c.h"

/* ---- allocations that fail ---- */

static unsigned until_failure; /* 0: never */

static bool fails(void)
{
    return until_failure > 0 && --until_failure == 0;
}

void *failing_calloc(size_t n, size_t size);
void *failing_malloc(size_t size);
char *failing_strdup(const char *text);

void *failing_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

void *failing_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

char *failing_strdup(const char *text)
{
    return fails() ? NULL : strdup(text);
}

/* ---- the call layer ---- */

static const ProtobufCMessage *answer; /* what the next call gets */

bool call_channel_new(const char *address, const struct call_tls *tls, struct call_channel **ret,
                      struct sf_error **err)
{
    (void)address;
    (void)tls;
    (void)err;
    *ret = NULL;
    return true;
}

void call_channel_free(struct call_channel *channel)
{
    (void)channel;
}

void call_channel_cancel(struct call_channel *channel)
{
    (void)channel;
}

bool call_unary(struct call_channel *channel, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms,
                ProtobufCMessage **ret, struct sf_error **err)
{
    (void)channel;
    (void)method;
    (void)timeout_ms;
    (void)err;
    uint8_t *bytes = malloc(protobuf_c_message_get_packed_size(request) + 1);
    protobuf_c_message_pack(request, bytes); /* as the real one does: what it borrows is read */
    free(bytes);

    size_t size = protobuf_c_message_get_packed_size(answer);
    bytes = malloc(size + 1);
    protobuf_c_message_pack(answer, bytes);
    *ret = protobuf_c_message_unpack(reply_type, NULL, size, bytes);
    free(bytes);
    return true;
}

bool call_stream(struct call_channel *channel, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms, call_each each,
                 void *context, struct sf_error **err)
{
    ProtobufCMessage *message;
    call_unary(channel, method, request, reply_type, timeout_ms, &message, err);
    each(context, message);
    protobuf_c_message_free_unpacked(message, NULL);
    return true;
}

/* ---- what is tried ---- */

static struct sandferry *client;

static Sandferry__V1__Label label = SANDFERRY__V1__LABEL__INIT, *labels[] = {&label};
static Sandferry__V1__Sandbox sandbox = SANDFERRY__V1__SANDBOX__INIT;
static Sandferry__V1__Sandbox *sandboxes[] = {&sandbox, &sandbox};
static Sandferry__V1__StepTime step = SANDFERRY__V1__STEP_TIME__INIT, *steps[] = {&step};
static Sandferry__V1__SandboxSnapshot snapshot = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;
static const struct sandferry_label our_labels[] = {{"k", "v"}};

static bool try_connect(struct sf_error **err)
{
    struct sandferry *other = NULL;
    bool ok = sandferry_connect(NULL, &other, err);
    ck_assert(ok == (other != NULL));
    sandferry_close(other);
    return ok;
}

static bool try_create(struct sf_error **err)
{
    struct sandferry_create_options o = SANDFERRY_CREATE_OPTIONS_INIT;
    Sandferry__V1__CreateSandboxResponse reply = SANDFERRY__V1__CREATE_SANDBOX_RESPONSE__INIT;
    struct sandferry_sandbox *s = NULL;
    o.n_labels = 1;
    o.labels = our_labels;
    reply.sandbox = &sandbox;
    answer = &reply.base;
    bool ok = sandferry_create(client, "web", &o, &s, err);
    ck_assert(ok == (s != NULL));
    sandferry_sandbox_free(s);
    return ok;
}

static bool try_list(struct sf_error **err)
{
    Sandferry__V1__ListSandboxesResponse reply = SANDFERRY__V1__LIST_SANDBOXES_RESPONSE__INIT;
    struct sandferry_sandboxes *list = NULL;
    reply.n_sandboxes = 2;
    reply.sandboxes = sandboxes;
    answer = &reply.base;
    bool ok = sandferry_list(client, NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_sandboxes_free(list);
    return ok;
}

static bool try_save_and_restore(struct sf_error **err)
{
    const struct sandferry_patch patch = {"scsi", "0:0", "/x"};
    struct sandferry_restore_options o = SANDFERRY_RESTORE_OPTIONS_INIT;
    Sandferry__V1__SaveSandboxResponse saved_reply = SANDFERRY__V1__SAVE_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__RestoreSandboxResponse reply = SANDFERRY__V1__RESTORE_SANDBOX_RESPONSE__INIT;
    struct sandferry_saved *saved;
    struct sandferry_restored *restored = NULL;

    saved_reply.snapshot = &snapshot;
    saved_reply.n_steps = reply.n_steps = 1;
    saved_reply.steps = reply.steps = steps;
    answer = &saved_reply.base;
    if (!sandferry_save(client, "web", NULL, &saved, err))
        return false;
    reply.sandbox = &sandbox;
    answer = &reply.base;
    o.n_patches = 1;
    o.patches = &patch;
    bool ok = sandferry_restore(client, saved->snapshot, &o, &restored, err);
    ck_assert(ok == (restored != NULL));
    sandferry_restored_free(restored);
    sandferry_saved_free(saved);
    return ok;
}

static bool try_check(struct sf_error **err)
{
    Sandferry__V1__SaveSandboxResponse saved_reply = SANDFERRY__V1__SAVE_SANDBOX_RESPONSE__INIT;
    Sandferry__V1__CheckRestoreResponse reply = SANDFERRY__V1__CHECK_RESTORE_RESPONSE__INIT;
    Sandferry__V1__Obstacle one = SANDFERRY__V1__OBSTACLE__INIT, *all[] = {&one};
    struct sandferry_saved *saved;
    struct sandferry_obstacles *list = NULL;

    saved_reply.snapshot = &snapshot;
    answer = &saved_reply.base;
    if (!sandferry_save(client, "web", NULL, &saved, err))
        return false;
    reply.n_obstacles = 1;
    reply.obstacles = all;
    answer = &reply.base;
    bool ok = sandferry_check_restore(client, saved->snapshot, NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_obstacles_free(list);
    sandferry_saved_free(saved);
    return ok;
}

static bool see(void *context, const struct sandferry_event *event)
{
    (void)event;
    *(bool *)context = true;
    return true;
}

static bool try_watch(struct sf_error **err)
{
    Sandferry__V1__WatchEventsResponse reply = SANDFERRY__V1__WATCH_EVENTS_RESPONSE__INIT;
    Sandferry__V1__Event event = SANDFERRY__V1__EVENT__INIT;
    bool seen = false;
    reply.event = &event;
    answer = &reply.base;
    bool ok = sandferry_watch(client, NULL, see, &seen, err);
    ck_assert(ok == seen);
    return ok;
}

static bool try_disks(struct sf_error **err)
{
    Sandferry__V1__ListDisksResponse reply = SANDFERRY__V1__LIST_DISKS_RESPONSE__INIT;
    Sandferry__V1__ScsiMount mount = SANDFERRY__V1__SCSI_MOUNT__INIT, *mounts[] = {&mount};
    Sandferry__V1__ScsiDisk disk = SANDFERRY__V1__SCSI_DISK__INIT, *all[] = {&disk};
    Sandferry__V1__ScsiReservation held = SANDFERRY__V1__SCSI_RESERVATION__INIT, *holds[] = {&held};
    struct sandferry_disks *list = NULL;
    disk.n_mounts = reply.n_disks = reply.n_reservations = 1;
    disk.mounts = mounts;
    reply.disks = all;
    reply.reservations = holds;
    answer = &reply.base;
    bool ok = sandferry_disk_list(client, "web", NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_disks_free(list);
    return ok;
}

static bool try_shares(struct sf_error **err)
{
    Sandferry__V1__ListSharesResponse reply = SANDFERRY__V1__LIST_SHARES_RESPONSE__INIT;
    Sandferry__V1__Plan9Fid fid = SANDFERRY__V1__PLAN9_FID__INIT, *fids[] = {&fid};
    Sandferry__V1__Plan9Share share = SANDFERRY__V1__PLAN9_SHARE__INIT, *all[] = {&share};
    Sandferry__V1__Plan9Reservation held = SANDFERRY__V1__PLAN9_RESERVATION__INIT;
    Sandferry__V1__Plan9Reservation *holds[] = {&held};
    struct sandferry_shares *list = NULL;
    fid.open = true;
    share.n_fids = reply.n_shares = reply.n_reservations = 1;
    share.fids = fids;
    reply.shares = all;
    reply.reservations = holds;
    answer = &reply.base;
    bool ok = sandferry_share_list(client, "web", NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_shares_free(list);
    return ok;
}

static bool try_networks(struct sf_error **err)
{
    Sandferry__V1__SetupNetworkResponse reply = SANDFERRY__V1__SETUP_NETWORK_RESPONSE__INIT;
    Sandferry__V1__NetworkNamespace wire = SANDFERRY__V1__NETWORK_NAMESPACE__INIT;
    Sandferry__V1__NetworkEndpoint end = SANDFERRY__V1__NETWORK_ENDPOINT__INIT, *ends[] = {&end};
    Sandferry__V1__NetworkRoute hop = SANDFERRY__V1__NETWORK_ROUTE__INIT, *hops[] = {&hop};
    struct sandferry_nic_spec spec = SANDFERRY_NIC_SPEC_INIT;
    const struct sandferry_nic_spec *specs[] = {&spec};
    struct sandferry_network_options o = SANDFERRY_NETWORK_OPTIONS_INIT;
    struct sandferry_network *network = NULL;
    wire.n_endpoints = end.n_routes = o.n_nics = 1;
    wire.endpoints = ends;
    end.routes = hops;
    o.nics = specs;
    reply.network = &wire;
    answer = &reply.base;
    bool ok = sandferry_network_setup(client, "web", "shop", &o, &network, err);
    ck_assert(ok == (network != NULL));
    sandferry_network_free(network);
    return ok;
}

static bool try_pods(struct sf_error **err)
{
    Sandferry__V1__ListPodsResponse reply = SANDFERRY__V1__LIST_PODS_RESPONSE__INIT;
    Sandferry__V1__Pod pod = SANDFERRY__V1__POD__INIT;
    Sandferry__V1__PodDetail detail = SANDFERRY__V1__POD_DETAIL__INIT, *all[] = {&detail};
    struct sandferry_pods *list = NULL;
    pod.n_labels = 1;
    pod.labels = labels;
    detail.pod = &pod;
    reply.n_pods = 1;
    reply.pods = all;
    answer = &reply.base;
    bool ok = sandferry_pod_list(client, "web", NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_pods_free(list);
    return ok;
}

static bool try_devices(struct sf_error **err)
{
    Sandferry__V1__ListDevicesResponse reply = SANDFERRY__V1__LIST_DEVICES_RESPONSE__INIT;
    Sandferry__V1__VpciDevice device = SANDFERRY__V1__VPCI_DEVICE__INIT, *all[] = {&device};
    Sandferry__V1__DeviceFound found = SANDFERRY__V1__DEVICE_FOUND__INIT, *finds[] = {&found};
    Sandferry__V1__VpciReservation held = SANDFERRY__V1__VPCI_RESERVATION__INIT, *holds[] = {&held};
    struct sandferry_devices *list = NULL;
    reply.n_devices = reply.n_found = reply.n_reservations = 1;
    reply.devices = all;
    reply.found = finds;
    reply.reservations = holds;
    answer = &reply.base;
    bool ok = sandferry_device_list(client, "web", NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_devices_free(list);
    return ok;
}

static bool try_containers(struct sf_error **err)
{
    struct sandferry_disk_spec layer = SANDFERRY_DISK_SPEC_INIT;
    const struct sandferry_disk_spec *layers[] = {&layer};
    const struct sandferry_disk_mount extra = {&layer, "/x"};
    struct sandferry_share_spec share = SANDFERRY_SHARE_SPEC_INIT;
    const struct sandferry_share_mount shared = {&share, "/y"};
    struct sandferry_device_spec device = SANDFERRY_DEVICE_SPEC_INIT;
    const struct sandferry_device_spec *devices[] = {&device};
    struct sandferry_container_options o = SANDFERRY_CONTAINER_OPTIONS_INIT;
    Sandferry__V1__CreateContainerResponse made = SANDFERRY__V1__CREATE_CONTAINER_RESPONSE__INIT;
    Sandferry__V1__ListContainersResponse reply = SANDFERRY__V1__LIST_CONTAINERS_RESPONSE__INIT;
    Sandferry__V1__Container c = SANDFERRY__V1__CONTAINER__INIT, *all[] = {&c};
    Sandferry__V1__Pod pod = SANDFERRY__V1__POD__INIT, *pods[] = {&pod};
    struct sandferry_containers *list = NULL;

    c.n_labels = o.n_labels = o.n_layers = o.n_disks = o.n_shares = o.n_devices = 1;
    o.shares = &shared;
    o.devices = devices;
    c.labels = labels;
    o.labels = our_labels;
    o.layers = layers;
    o.disks = &extra;
    o.scratch = &layer;
    made.container = &c;
    answer = &made.base;
    if (!sandferry_container_create(client, "web", "app", &o, NULL, err))
        return false;
    reply.n_containers = reply.n_pods = 1;
    reply.containers = all;
    reply.pods = pods;
    answer = &reply.base;
    bool ok = sandferry_container_list(client, "web", NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_containers_free(list);
    return ok;
}

static bool try_processes(struct sf_error **err)
{
    Sandferry__V1__ListProcessesResponse reply = SANDFERRY__V1__LIST_PROCESSES_RESPONSE__INIT;
    Sandferry__V1__Process p = SANDFERRY__V1__PROCESS__INIT, *all[] = {&p};
    struct sandferry_processes *list = NULL;
    reply.n_processes = 1;
    reply.processes = all;
    answer = &reply.base;
    bool ok = sandferry_process_list(client, "web", NULL, NULL, &list, err);
    ck_assert(ok == (list != NULL));
    sandferry_processes_free(list);
    return ok;
}

static bool ignore_output(void *context, enum sandferry_stream stream, uint64_t offset,
                          const void *data, size_t size, uint64_t lost)
{
    (void)context;
    (void)stream;
    (void)offset;
    (void)data;
    (void)size;
    (void)lost;
    return true;
}

static bool try_exec(struct sf_error **err)
{
    Sandferry__V1__ExecProcessResponse made = SANDFERRY__V1__EXEC_PROCESS_RESPONSE__INIT;
    Sandferry__V1__AttachProcessResponse end = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__INIT;
    Sandferry__V1__Process p = SANDFERRY__V1__PROCESS__INIT;
    struct sandferry_process *process = NULL;

    made.process = end.exited = &p;
    end.event_case = SANDFERRY__V1__ATTACH_PROCESS_RESPONSE__EVENT_EXITED;
    answer = &made.base;
    bool ok = sandferry_process_exec(client, "web", "app", NULL, &process, err);
    ck_assert(ok == (process != NULL));
    sandferry_process_free(SF_STEAL(process));
    answer = &end.base;
    ok = ok &&
         sandferry_process_attach(client, "web", "app", NULL, ignore_output, NULL, &process, err);
    ck_assert(ok == (process != NULL));
    sandferry_process_free(process);
    return ok;
}

static const struct {
    bool (*run)(struct sf_error **err);
    unsigned at_least; /* allocations */
} tries[] = {
    {try_connect, 2}, {try_create, 4},   {try_list, 5},        {try_save_and_restore, 8},
    {try_check, 7},   {try_watch, 1},    {try_disks, 6},       {try_shares, 6},
    {try_devices, 5}, {try_pods, 4},     {try_containers, 15}, {try_processes, 3},
    {try_exec, 3},    {try_networks, 8},
};

START_TEST(each_allocation_fails_once)
{
    struct sf_error *err = NULL;
    label.key = (char *)"k";
    sandbox.n_labels = 1;
    sandbox.labels = labels;
    ck_assert(sandferry_connect(NULL, &client, &err));

    unsigned n = 0;
    bool ok = false;
    while (!ok) {
        until_failure = ++n;
        ok = tries[_i].run(&err);
        if (ok)
            break;
        ck_assert_int_eq(sf_error_code(err), SF_RESOURCE_EXHAUSTED);
        sf_error_free(err);
        err = NULL;
    }
    until_failure = 0;
    ck_assert_uint_gt(n, tries[_i].at_least);
    ck_assert(tries[_i].run(&err)); /* and again, without the fault */
    sandferry_close(client);
}
END_TEST

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("client_memory");
    TCase *cases = tcase_create("memory");
    tcase_add_loop_test(cases, each_allocation_fails_once, 0, sizeof(tries) / sizeof(*tries));
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(memory_suite());
}
