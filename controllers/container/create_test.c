/* Creating and deleting, against keepers of disks, shares and devices that count what is held, and
 * that can be made to fail at any step. */
#include "base/suite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container/container.h"
#include "sandferry/v1/agent.pb-c.h"

#define RESERVATIONS_MAX 16

/* ---- what is asked, and what fails ---- */

static unsigned steps, fail_at, fail_also; /* counted from 1; 0: none */
static struct sf_text trace;

static bool step(const char *what, const char *about, struct sf_error **err)
{
    steps++;
    sf_text_add(&trace, "%s %s\n", what, about);
    if (steps == fail_at || (fail_also != 0 && steps >= fail_also))
        return sf_fail(err, SF_UNAVAILABLE, "%s '%s' is made to fail", what, about);
    return true;
}

static void fail_step(unsigned nth)
{
    steps = fail_also = 0;
    fail_at = nth;
}

/* ---- keepers: one table of reservations for all three ---- */

static struct {
    char id[SF_GUID_SIZE], holder[96];
    const char *what; /* NULL: free */
} held[RESERVATIONS_MAX];
static unsigned last_id;

static size_t n_held(void)
{
    size_t n = 0;
    for (size_t i = 0; i < RESERVATIONS_MAX; i++)
        n += held[i].what != NULL;
    return n;
}

static size_t find(const char *id)
{
    for (size_t i = 0; i < RESERVATIONS_MAX; i++)
        if (held[i].what != NULL && strcmp(held[i].id, id) == 0)
            return i;
    ck_abort_msg("nobody has reserved '%s'", id);
    return 0;
}

static bool reserve(const char *what, char ret_id[37], struct sf_error **err)
{
    size_t i = 0;

    if (!step("reserve", what, err))
        return false;
    while (held[i].what != NULL)
        i++;
    held[i].what = what;
    held[i].holder[0] = '\0';
    snprintf(held[i].id, SF_GUID_SIZE, "%08u-2222-3333-4444-555555555555", ++last_id);
    memcpy(ret_id, held[i].id, SF_GUID_SIZE);
    return true;
}

static bool hold(struct sf_controller *owner, const char *id, const char *holder,
                 struct sf_error **err)
{
    size_t i = find(id);
    (void)owner;
    if (!step("hold", held[i].what, err))
        return false;
    snprintf(held[i].holder, sizeof(held[i].holder), "%s", holder);
    return true;
}

static bool release(struct sf_controller *owner, const char *id, struct sf_error **err)
{
    size_t i = find(id);
    (void)owner;
    if (!step("release", held[i].what, err))
        return false;
    held[i].what = NULL;
    return true;
}

static bool reserve_disk(struct sf_controller *owner, const struct sf_disk_request *q,
                         char ret_id[37], struct sf_error **err)
{
    (void)owner;
    if (q->encrypted)
        sf_text_add(&trace, "encrypted: ");
    return reserve(q->host_path, ret_id, err);
}

static bool map_path(struct sf_controller *owner, const char *id, const char **ret,
                     struct sf_error **err)
{
    size_t i = find(id);
    (void)owner;
    *ret = held[i].what; /* in the guest it is where it is on the host */
    return step("map", held[i].what, err);
}

static bool reserve_share(struct sf_controller *owner, const struct sf_share_request *q,
                          char ret_id[37], struct sf_error **err)
{
    (void)owner;
    return reserve(q->host_path, ret_id, err);
}

static bool reserve_device(struct sf_controller *owner, const struct sf_device_request *q,
                           char ret_id[37], struct sf_error **err)
{
    (void)owner;
    return reserve(q->model, ret_id, err);
}

static const char *nvme_nodes[] = {"/dev/nvme0", "/dev/nvme0n1"};
static const struct sf_device_number nvme_numbers[] = {{false, 245, 0}, {true, 259, 1}};

static bool map_device(struct sf_controller *owner, const char *id, struct sf_device_found *ret,
                       struct sf_error **err)
{
    size_t i = find(id);
    (void)owner;
    *ret = (struct sf_device_found){.pci_address = "0000:05:00.0", .driver = ""};
    if (strcmp(held[i].what, "nvme") == 0) {
        ret->nodes = nvme_nodes;
        ret->numbers = nvme_numbers;
        ret->n_nodes = 2;
    }
    return step("map", held[i].what, err);
}

static const struct sf_disks_offer disks = {.size = sizeof(disks),
                                            .reserve = reserve_disk,
                                            .map = map_path,
                                            .release = release,
                                            .hold = hold};
static const struct sf_shares_offer shares = {.size = sizeof(shares),
                                              .reserve = reserve_share,
                                              .map = map_path,
                                              .release = release,
                                              .hold = hold};
static const struct sf_devices_offer devices = {.size = sizeof(devices),
                                                .reserve = reserve_device,
                                                .map = map_device,
                                                .release = release,
                                                .hold = hold};

/* ---- the guest, and the process controller ---- */

static bool in_guest; /* it has the container */
static char *guest_spec;

static bool call_guest(struct sf_controller *owner, void *request, uint32_t timeout_ms, void **ret,
                       struct sf_error **err)
{
    const Sandferry__V1__AgentRequest *q = request;
    bool creates = q->body_case == SANDFERRY__V1__AGENT_REQUEST__BODY_CREATE_CONTAINER;
    Sandferry__V1__AgentReply *reply = calloc(1, sizeof(*reply));

    (void)owner;
    (void)timeout_ms;
    in_guest = creates; /* even if the answer is lost */
    sandferry__v1__agent_reply__init(reply);
    if (creates) {
        free(guest_spec);
        guest_spec = strdup(q->create_container->spec);
        reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_CREATE_CONTAINER;
        reply->create_container = calloc(1, sizeof(*reply->create_container));
        sandferry__v1__agent_create_container_reply__init(reply->create_container);
        reply->create_container->pid = 7;
    }
    if (step("guest", creates ? "create" : "delete", err)) {
        *ret = reply;
        return true;
    }
    sandferry__v1__agent_reply__free_unpacked(reply, NULL);
    return false;
}

static bool add_init(struct sf_controller *owner, const char *container_id, const char *guest_id,
                     int32_t pid, bool terminal, struct sf_error **err)
{
    (void)owner;
    (void)guest_id;
    (void)pid;
    (void)terminal;
    return step("init", container_id, err);
}

static void forget(struct sf_controller *owner, const char *container_id)
{
    (void)owner;
    (void)container_id;
}

static const struct sf_guest_offer guest = {.size = sizeof(guest), .call = call_guest};
static const struct sf_processes_offer processes = {
    .size = sizeof(processes), .add_init = add_init, .forget = forget};

static bool encrypts; /* the sandbox's policy */

static bool encryption(struct sf_controller *owner)
{
    (void)owner;
    return encrypts;
}

static const struct sf_machine_offer machine = {.size = sizeof(machine),
                                                .enable_scratch_encryption = encryption};

/* ---- the daemon ---- */

static const char *absent; /* an offer that nobody makes */

const void *sf_sandbox_offer(struct sf_sandbox *s, const char *name, struct sf_controller **owner)
{
    static const struct {
        const char *name;
        const void *offer;
    } offers[] = {
        {SF_DISKS_OFFER, &disks},     {SF_SHARES_OFFER, &shares}, {SF_DEVICES_OFFER, &devices},
        {SF_MACHINE_OFFER, &machine}, {SF_GUEST_OFFER, &guest},   {SF_PROCESSES_OFFER, &processes},
    };
    (void)s;
    *owner = NULL;
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
        if (strcmp(offers[i].name, name) == 0 && (absent == NULL || strcmp(absent, name) != 0))
            return offers[i].offer;
    return NULL;
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

/* ---- a container that has everything ---- */

static const struct wanted_disk layers[] = {{.request = {.host_path = "/l0"}},
                                            {.request = {.host_path = "/l1"}}};
static const struct wanted_disk scratch = {.request = {.host_path = "/scratch"}};
static const struct wanted_disk extra[] = {
    {.request = {.host_path = "/data", .read_only = true}, .destination = "/in/data"}};
static const struct wanted_share wanted_shares[] = {
    {.request = {.host_path = "/log"}, .destination = "/in/log"},
    {.request = {.host_path = "/conf", .read_only = true}, .destination = "/in/conf"}};
static const struct sf_device_request wanted_devices[] = {{.model = "nvme"}, {.model = "edu"}};
static char *const args[] = {(char *)"/bin/true"};
#define N_HELD 8 /* by it */

static struct wanted_container wanted(void)
{
    return (struct wanted_container){
        .container_id = "c",
        .pod_id = "",
        .layers = layers,
        .n_layers = 2,
        .scratch = &scratch,
        .disks = extra,
        .n_disks = 1,
        .shares = wanted_shares,
        .n_shares = 2,
        .devices = wanted_devices,
        .n_devices = 2,
        .spec = "",
        .args = args,
        .n_args = 1,
        .working_directory = "",
    };
}

static struct containers all;
static struct sf_error *err;

static void setup(void)
{
    memset(&all, 0, sizeof(all));
    memset(held, 0, sizeof(held));
    err = NULL;
    absent = NULL;
    in_guest = false;
    fail_step(0);
}

static void teardown(void)
{
    containers_empty(&all);
    sf_text_done(&trace);
    sf_error_free(err);
    free(guest_spec);
    guest_spec = NULL;
}

static struct container *create(void)
{
    const struct wanted_container w = wanted();
    struct container *c;

    ck_assert_msg(container_create(&all, &w, &c, &err), "%s", SF_WHY(err));
    return c;
}

static void nothing_is_left(void)
{
    ck_assert_uint_eq(all.n, 0);
    ck_assert_uint_eq(all.n_pods, 0);
    ck_assert_uint_eq(n_held(), 0);
    ck_assert(!in_guest);
}

static void forget_error(void)
{
    sf_error_free(err);
    err = NULL;
}

START_TEST(everything_is_held_and_let_go_of)
{
    struct container *c = create();

    ck_assert_uint_eq(n_held(), N_HELD);
    for (size_t i = 0; i < RESERVATIONS_MAX; i++)
        if (held[i].what != NULL)
            ck_assert_str_eq(held[i].holder, "container 'c'");
    ck_assert_uint_eq(c->held[HELD_DISKS].n, 1);
    ck_assert_uint_eq(c->held[HELD_SHARES].n, 2);
    ck_assert_uint_eq(c->held[HELD_DEVICES].n, 2);
    sf_text_done(&trace);
    ck_assert(container_delete(&all, c, &err));
    ck_assert_str_eq(trace.data, "guest delete\nrelease /scratch\nrelease /l1\nrelease /l0\n"
                                 "release /data\nrelease /conf\nrelease /log\nrelease edu\n"
                                 "release nvme\n");
    nothing_is_left();
}
END_TEST

START_TEST(the_sandbox_may_want_its_scratch_disks_encrypted)
{
    create();
    ck_assert_ptr_null(strstr(trace.data, "encrypted"));
    teardown();
    setup();
    encrypts = true;
    create();
    encrypts = false;
    ck_assert_ptr_nonnull(strstr(trace.data, "encrypted: reserve /scratch\n"));
    ck_assert_ptr_null(strstr(trace.data, "encrypted: reserve /l0\n"));
}
END_TEST

START_TEST(what_it_holds_is_held_again_after_a_restore)
{
    const struct container *c = create();

    for (size_t i = 0; i < RESERVATIONS_MAX; i++)
        held[i].holder[0] = '\0';
    ck_assert(hold_again(&all, c, &err));
    for (size_t i = 0; i < RESERVATIONS_MAX; i++)
        if (held[i].what != NULL)
            ck_assert_str_eq(held[i].holder, "container 'c'");
    absent = SF_SHARES_OFFER;
    ck_assert(!hold_again(&all, c, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
}
END_TEST

/* Each step of a create fails once: the call says which, nothing is left, and the same call then
 * succeeds. */
START_TEST(each_step_of_create_fails_once)
{
    const struct wanted_container w = wanted();
    struct container *c;

    create();
    unsigned n = steps;
    ck_assert_uint_eq(n, 3 * N_HELD + 2);
    for (unsigned i = 1; i <= n; i++) {
        teardown();
        setup();
        fail_step(i);
        ck_assert(!container_create(&all, &w, &c, &err));
        ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "container 'c'"));
        ck_assert_ptr_nonnull(strstr(sf_error_message(err), "is made to fail"));
        nothing_is_left();
        forget_error();
        create();
        ck_assert_uint_eq(n_held(), N_HELD);
    }
}
END_TEST

/* The way back fails too: what is left can be deleted. */
START_TEST(what_cannot_be_taken_back_is_there_to_be_deleted)
{
    const struct wanted_container w = wanted();
    struct container *c;
    bool left = false;

    create();
    unsigned n = steps;
    for (unsigned i = 1; i <= n; i++) {
        teardown();
        setup();
        fail_also = i;
        ck_assert(!container_create(&all, &w, &c, &err));
        if (all.n > 0) {
            left = true;
            ck_assert_ptr_nonnull(strstr(sf_error_message(err), "is left over"));
            c = container_find(&all, "c");
            ck_assert_uint_eq(c->state, CONTAINER_INVALID);
            forget_error();
            fail_step(0);
            ck_assert_msg(container_delete(&all, c, &err), "%s", SF_WHY(err));
        }
        nothing_is_left();
    }
    ck_assert(left);
}
END_TEST

START_TEST(each_step_of_delete_fails_once)
{
    struct container *c = create();

    fail_step(0);
    ck_assert(container_delete(&all, c, &err));
    unsigned n = steps;
    ck_assert_uint_eq(n, N_HELD + 1);
    for (unsigned i = 1; i <= n; i++) {
        teardown();
        setup();
        c = create();
        fail_step(i);
        ck_assert(!container_delete(&all, c, &err));
        ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
        forget_error();
        ck_assert_uint_eq(n_held(), i == 1 ? N_HELD : N_HELD + 2 - i); /* it goes on from there */
        ck_assert_msg(container_delete(&all, c, &err), "%s", SF_WHY(err));
        nothing_is_left();
    }
}
END_TEST

static const struct {
    const char *offer, *words;
} missing[] = {
    {SF_SHARES_OFFER, "shares[0]: this daemon has no shares: its 'plan9' controller"},
    {SF_DEVICES_OFFER, "devices[0]: this daemon has no devices: its 'vpci' controller"},
};

START_TEST(a_controller_that_is_not_there_is_named)
{
    struct wanted_container w = wanted();
    struct container *c;

    absent = missing[_i].offer;
    ck_assert(!container_create(&all, &w, &c, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_msg(strstr(sf_error_message(err), missing[_i].words) != NULL, "%s", SF_WHY(err));
    nothing_is_left();
    forget_error();
    w.n_shares = w.n_devices = 0; /* whoever wants neither needs none */
    ck_assert_msg(container_create(&all, &w, &c, &err), "%s", SF_WHY(err));
}
END_TEST

START_TEST(a_destination_is_an_absolute_path)
{
    const struct wanted_share relative = {.request = {.host_path = "/log"}, .destination = "log"};
    struct wanted_container w = wanted();
    struct container *c;

    w.shares = &relative;
    w.n_shares = 1;
    ck_assert(!container_create(&all, &w, &c, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "shares[0].destination: 'log'"));
    ck_assert_uint_eq(steps, 0); /* nothing was done */
}
END_TEST

/* ---- the spec ---- */

static void free_json(json_t **json)
{
    json_decref(*json);
}

/* "source destination ro"; and that there is no other for it. */
static void has_mount(const json_t *spec, const char *want)
{
    SF_CLEANUP(sf_text_done) struct sf_text seen = {0};
    size_t i, n = 0;
    const json_t *m;

    json_array_foreach(json_object_get(spec, "mounts"), i, m)
    {
        if (strcmp(json_string_value(json_object_get(m, "type")), "bind") != 0)
            continue;
        SF_CLEANUP(sf_freep)
        char *is = sf_format("%s %s %s", json_string_value(json_object_get(m, "source")),
                             json_string_value(json_object_get(m, "destination")),
                             json_string_value(json_array_get(json_object_get(m, "options"), 1)));
        sf_text_add(&seen, "%s\n", is);
        n += strcmp(is, want) == 0;
    }
    ck_assert_msg(n == 1, "'%s' is %zu times in\n%s", want, n, seen.data);
}

static void has_rules(const json_t *spec, const char *want)
{
    const json_t *resources = json_object_get(json_object_get(spec, "linux"), "resources");
    SF_CLEANUP(sf_freep)
    char *rules = json_dumps(json_object_get(resources, "devices"), JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(rules, want);
}

#define NVME_RULES                                                                                 \
    "{\"access\":\"rwm\",\"allow\":true,\"major\":245,\"minor\":0,\"type\":\"c\"},"                \
    "{\"access\":\"rwm\",\"allow\":true,\"major\":259,\"minor\":1,\"type\":\"b\"}]"

START_TEST(disks_shares_and_devices_are_in_the_spec)
{
    static const char *const mounts[] = {
        "/data /in/data ro",
        "/log /in/log rw",
        "/conf /in/conf ro",
        "/dev/nvme0 /dev/nvme0 rw",
        "/dev/nvme0n1 /dev/nvme0n1 rw",
        "/sys/bus/pci/devices/0000:05:00.0/.. /sys/bus/pci/devices/0000:05:00.0/.. rw",
    };
    create();
    SF_CLEANUP(free_json) json_t *spec = json_loads(guest_spec, 0, NULL);

    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
        has_mount(spec, mounts[i]);
    has_rules(spec, "[{\"access\":\"rwm\",\"allow\":false}," NVME_RULES);
}
END_TEST

static const char *const given[][2] = {
    {"{\"process\":{}}", "[" NVME_RULES},
    {"{\"process\":{},\"linux\":{\"resources\":{\"devices\":[{\"allow\":false}]}}}",
     "[{\"allow\":false}," NVME_RULES},
    {"{\"process\":{},\"mounts\":7,\"linux\":{\"resources\":[]}}", "[" NVME_RULES},
};

START_TEST(a_given_spec_gets_them_too)
{
    struct wanted_container w = wanted();
    struct container *c;

    w.spec = given[_i][0];
    w.n_args = 0;
    ck_assert_msg(container_create(&all, &w, &c, &err), "%s", SF_WHY(err));
    SF_CLEANUP(free_json) json_t *spec = json_loads(guest_spec, 0, NULL);
    has_mount(spec, "/log /in/log rw");
    has_mount(spec, "/dev/nvme0 /dev/nvme0 rw");
    has_rules(spec, given[_i][1]);
}
END_TEST

/* What the guest says ends in the spec. */
START_TEST(a_node_that_is_none_is_refused)
{
    const struct wanted_container w = wanted();
    struct container *c;

    nvme_nodes[1] = "/etc/shadow";
    bool made = container_create(&all, &w, &c, &err);
    nvme_nodes[1] = "/dev/nvme0n1";
    ck_assert(!made);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'/etc/shadow'"));
    nothing_is_left();
}
END_TEST

static Suite *create_suite(void)
{
    Suite *suite = suite_create("container_create");
    TCase *cases = tcase_create("create");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, everything_is_held_and_let_go_of);
    tcase_add_test(cases, the_sandbox_may_want_its_scratch_disks_encrypted);
    tcase_add_test(cases, what_it_holds_is_held_again_after_a_restore);
    tcase_add_test(cases, each_step_of_create_fails_once);
    tcase_add_test(cases, what_cannot_be_taken_back_is_there_to_be_deleted);
    tcase_add_test(cases, each_step_of_delete_fails_once);
    tcase_add_loop_test(cases, a_controller_that_is_not_there_is_named, 0,
                        sizeof(missing) / sizeof(missing[0]));
    tcase_add_test(cases, a_destination_is_an_absolute_path);
    tcase_add_test(cases, disks_shares_and_devices_are_in_the_spec);
    tcase_add_loop_test(cases, a_given_spec_gets_them_too, 0, sizeof(given) / sizeof(given[0]));
    tcase_add_test(cases, a_node_that_is_none_is_refused);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(create_suite());
}
