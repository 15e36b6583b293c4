/* Reservations, maps and releases, and every step of them made to fail. */
#include <stdio.h>
#include <string.h>

#include "sandferry/v1/agent.pb-c.h"
#include "vpci/fake_vm.h"

static bool config_of(const struct sf_device_request *q)
{
    struct device_config config;

    return vpci_config(q, &config, &err);
}

/* ---- Reserve ---- */

START_TEST(a_reservation_touches_nothing)
{
    const char *id = reserve_model("nvme");

    ck_assert(sf_guid_valid(id));
    ck_assert_uint_eq(device_of(id)->state, DEVICE_RESERVED);
    ck_assert_uint_eq(device_of(id)->refs, 1);
    ck_assert_uint_eq(fake_steps(), 0);
    books_are_right();
}
END_TEST

START_TEST(a_function_of_the_host_is_shared_and_counted)
{
    const char *one = reserve_host(HOST_PLAIN, 0), *two = reserve_host(HOST_PLAIN, 0);

    ck_assert_str_ne(one, two);
    ck_assert_ptr_eq(device_of(one), device_of(two));
    ck_assert_uint_eq(device_of(one)->refs, 2);
    ck_assert_uint_eq(v->n_devices, 1);
    books_are_right();
}
END_TEST

START_TEST(a_model_is_another_device_each_time)
{
    const char *one = add_model("edu"), *two = add_model("edu");

    ck_assert_ptr_ne(device_of(one), device_of(two));
    ck_assert_int_eq(device_of(one)->port, 0);
    ck_assert_int_eq(device_of(two)->port, 1);
    books_are_right();
}
END_TEST

START_TEST(virtual_functions_are_devices_of_their_own)
{
    const char *pf = reserve_host(HOST_SRIOV, 0);
    const char *one = reserve_host(HOST_SRIOV, 1), *two = reserve_host(HOST_SRIOV, 2);

    ck_assert_uint_eq(v->n_devices, 3);
    map(one);
    map(two);
    ck_assert_str_eq(vm_ports[0].host, HOST_VF_1);
    ck_assert_str_eq(vm_ports[1].host, HOST_VF_2);
    ck_assert_str_eq(vm_ports[0].driver, "vfio-pci");
    release(pf);
    books_are_right();
}
END_TEST

START_TEST(one_function_under_two_names_is_refused)
{
    struct device_config config;
    char id[SF_GUID_SIZE];

    reserve_host(HOST_SRIOV, 1);
    ck_assert(vpci_config(&(struct sf_device_request){.host_address = HOST_VF_1}, &config, &err));
    ck_assert(!vpci_reserve(v, &config, id, &err));
    ck_assert(failed_with(SF_ALREADY_EXISTS, HOST_SRIOV "/1"));
    ck_assert_uint_eq(v->n_devices, 1);
    books_are_right();
}
END_TEST

START_TEST(functions_that_no_vm_can_have_are_refused_with_words)
{
    static const struct {
        const char *address;
        unsigned function;
        enum sf_code code;
        const char *words;
    } rows[] = {
        {"0000:99:00.0", 0, SF_NOT_FOUND, "0000:99:00.0"},
        {HOST_SRIOV, 3, SF_NOT_FOUND, "no virtual function 3"},
        {HOST_PLAIN, 1, SF_NOT_FOUND, "no virtual function 1"},
        {HOST_UNBOUND, 0, SF_FAILED_PRECONDITION, "'e1000e', not to vfio-pci"},
    };
    char id[SF_GUID_SIZE];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sf_device_request q = {.host_address = rows[i].address,
                                            .virtual_function = rows[i].function};
        struct device_config config;
        ck_assert(vpci_config(&q, &config, &err));
        ck_assert(!vpci_reserve(v, &config, id, &err));
        ck_assert(failed_with(rows[i].code, rows[i].words));
    }
    ck_assert_uint_eq(v->n_devices, 0);
}
END_TEST

/* clang-format off */
static const struct {
    const char *host, *model, *property, *words;
    unsigned function;
} wrong[] = {
    { "",             "",               NULL,              "either a model or",    0     },
    { HOST_PLAIN,     "edu",            NULL,              "either a model or",    0     },
    { "3b:00.0",      "",               NULL,              "0000:3b:00.0",         0     },
    { "0000:3B:00.0", "",               NULL,              "0000:3b:00.0",         0     },
    { "0000:3b:00.8", "",               NULL,              "0000:3b:00.0",         0     },
    { "0000:3b:00.0/..", "",            NULL,              "0000:3b:00.0",         0     },
    { HOST_PLAIN,     "",               NULL,              "no virtual function",  65536 },
    { HOST_PLAIN,     "",               "x=1",             "only a model",         0     },
    { "",             "ivshmem-plain",  NULL,              "'nvme'",               0     },
    { "",             "edu",            NULL,              "no virtual functions", 1     },
    { "",             "nvme",           "drive=disk-0",    "no property",          0     },
    { "",             "nvme",           "pmrdev=m",        "no property",          0     },
    { "",             "nvme",           "romfile=/etc/passwd", "no property",      0     },
    { "",             "edu",            "romfile=x",       "no property",          0     },
    { "",             "virtio-rng-pci", "rng=r",           "no property",          0     },
    { "",             "nvme",           "serial",          "no property",          0     },
    { "",             "nvme",           "serial=",         "1 to 20",              0     },
    { "",             "nvme",           "serial=/etc/x",   "1 to 20",              0     },
    { "",             "nvme",           "serial=a,b",      "1 to 20",              0     },
    { "",             "nvme",           "serial=123456789012345678901", "1 to 20", 0     },
    { "",             "nvme",           "mdts=-1",         "a number from",        0     },
    { "",             "nvme",           "mdts=99999999999999999999", "a number from", 0  },
    { "",             "nvme",           "max_ioqpairs=0",  "a number from",        0     },
    { "",             "nvme",           "mdts=1e2",        "a number from",        0     },
    { "",             "nvme",           "id=vpci-1",       "no property",          0     },
    { "",             "nvme",           "bus=port7",       "no property",          0     },
};
/* clang-format on */

START_TEST(what_is_asked_for_is_checked)
{
    const struct sf_device_request q = {
        .host_address = wrong[_i].host,
        .virtual_function = wrong[_i].function,
        .model = wrong[_i].model,
        .properties = &wrong[_i].property,
        .n_properties = wrong[_i].property != NULL,
    };

    ck_assert(!config_of(&q));
    ck_assert(failed_with(SF_INVALID_ARGUMENT, wrong[_i].words));
}
END_TEST

START_TEST(properties_are_sorted_and_come_once)
{
    const char *const good[] = {"serial=b-1", "mdts=3", "max_ioqpairs=7"};
    const char *const twice[] = {"mdts=3", "mdts=4"};
    struct sf_device_request q = {.model = "nvme", .properties = good, .n_properties = 3};
    struct device_config config;

    ck_assert(vpci_config(&q, &config, &err));
    ck_assert_str_eq(config.properties[0], "max_ioqpairs=7");
    ck_assert_str_eq(config.properties[2], "serial=b-1");
    q.properties = twice;
    q.n_properties = 2;
    ck_assert(!config_of(&q));
    ck_assert(failed_with(SF_INVALID_ARGUMENT, "'mdts' comes twice"));
}
END_TEST

START_TEST(qemu_gets_numbers_as_numbers_and_a_serial)
{
    static const char *const properties[] = {"mdts=3"};
    const struct sf_device_request q = {
        .model = "nvme", .properties = properties, .n_properties = 1};
    struct device_config config;
    char id[SF_GUID_SIZE], serial[48];

    ck_assert(vpci_config(&q, &config, &err));
    ck_assert(vpci_reserve(v, &config, id, &err));
    map(id);
    ck_assert_uint_eq(fake_trace_count("\"mdts\":3"), 1);
    const char *d = device_of(id)->id;
    snprintf(serial, sizeof(serial), "\"serial\":\"%.8s%.4s%.4s%.4s\"", d, d + 9, d + 14, d + 19);
    ck_assert_msg(fake_trace_count(serial) == 1, "%s", fake_trace());
}
END_TEST

/* ---- Map ---- */

START_TEST(map_may_be_repeated)
{
    const char *id = reserve_model("nvme");
    const struct device_found *found = map(id);

    ck_assert_str_eq(found->pci_address, "0000:01:00.0");
    ck_assert_str_eq(found->driver, "nvme");
    ck_assert_uint_eq(found->n_nodes, 1);
    ck_assert_str_eq(found->node_list[0], "/dev/nvme0");
    unsigned steps = fake_steps();
    ck_assert_ptr_eq(map(id), found);
    ck_assert_uint_eq(fake_steps(), steps); /* nobody was asked again */
    books_are_right();
}
END_TEST

START_TEST(a_shared_function_is_plugged_once)
{
    const char *one = reserve_host(HOST_PLAIN, 0), *two = reserve_host(HOST_PLAIN, 0);

    map(one);
    map(two);
    ck_assert_uint_eq(fake_trace_count("device_add"), 1);
    release(one);
    ck_assert_uint_eq(vm_plugged(), 1);
    release(two);
    ck_assert_uint_eq(vm_plugged(), 0);
    ck_assert_uint_eq(v->n_devices, 0);
}
END_TEST

START_TEST(no_reservation_no_device)
{
    static const char id[] = "0c000000-0000-4000-8000-000000000001";
    const struct device_found *found;

    ck_assert(!vpci_map(v, id, &found, &err));
    ck_assert(failed_with(SF_NOT_FOUND, id));
    ck_assert(!vpci_release(v, id, &err));
    ck_assert(failed_with(SF_NOT_FOUND, id));
    ck_assert(!vpci_hold(v, id, "x", &err));
    ck_assert(failed_with(SF_NOT_FOUND, id));
}
END_TEST

START_TEST(ports_are_given_from_the_lowest_and_run_out)
{
    const char *held[VPCI_PORTS];
    const struct device_found *found;

    for (int i = 0; i < VPCI_PORTS; i++) {
        held[i] = add_model("edu");
        ck_assert_int_eq(device_of(held[i])->port, i);
    }
    const char *more = reserve_model("edu");
    ck_assert(!vpci_map(v, more, &found, &err));
    ck_assert(failed_with(SF_RESOURCE_EXHAUSTED, "root ports"));
    ck_assert_uint_eq(device_of(more)->state,
                      DEVICE_RESERVED); /* the same call may succeed later */
    books_are_right();
    release(held[3]);
    map(more);
    ck_assert_int_eq(device_of(more)->port, 3);
    books_are_right();
}
END_TEST

START_TEST(there_are_bounds)
{
    struct device_config config;
    char id[SF_GUID_SIZE];

    for (int i = 0; i < VPCI_DEVICES_MAX; i++) {
        ck_assert(vpci_config(&(struct sf_device_request){.model = "edu"}, &config, &err));
        ck_assert(vpci_reserve(v, &config, id, &err));
    }
    ck_assert(!vpci_reserve(v, &config, id, &err));
    ck_assert(failed_with(SF_RESOURCE_EXHAUSTED, "64 devices"));
    ck_assert(vpci_config(&(struct sf_device_request){.host_address = HOST_PLAIN}, &config, &err));
    books_are_right();
}
END_TEST

/* ---- Release ---- */

START_TEST(released_before_it_was_mapped)
{
    const char *id = reserve_model("nvme");

    release(id);
    ck_assert_uint_eq(v->n_devices, 0);
    ck_assert_uint_eq(fake_steps(), 0); /* neither QEMU nor the guest was asked */
}
END_TEST

START_TEST(a_device_in_use_stays_until_it_is_let_go)
{
    const char *id = add_model("nvme");

    vm_ports[0].used = true;
    ck_assert(!vpci_release(v, id, &err));
    ck_assert(failed_with(SF_FAILED_PRECONDITION, "process 7 ('sh') of container 'c1'"));
    ck_assert_uint_eq(device_of(id)->state, DEVICE_READY);
    books_are_right();
    map(id);
    vm_ports[0].used = false;
    release(id);
    ck_assert_uint_eq(vm_plugged(), 0);
}
END_TEST

START_TEST(a_holder_is_named)
{
    const char *id = add_model("nvme");

    ck_assert(vpci_hold(v, id, "container 'c9'", &err));
    vm_ports[0].used = true;
    ck_assert(!vpci_release(v, id, &err));
    ck_assert(failed_with(SF_FAILED_PRECONDITION, "nvme in port0, held by container 'c9'"));
    ck_assert(vpci_hold(v, id, NULL, &err));
    ck_assert(!vpci_release(v, id, &err));
    ck_assert(strstr(sf_error_message(err), "held by") == NULL);
    sf_error_free(SF_STEAL(err));
}
END_TEST

START_TEST(a_released_function_can_be_had_again)
{
    for (int i = 0; i < 3; i++) {
        const char *id = reserve_host(HOST_PLAIN, 0);
        map(id);
        ck_assert_int_eq(device_of(id)->port, 0);
        release(id);
    }
    ck_assert_uint_eq(v->n_devices, 0);
}
END_TEST

/* ---- the bugs of others ---- */

/* Theirs: what is reserved is not counted, so one caller's removal takes the device from the other;
 * here each gives up its own, whatever state the device is in. */
START_TEST(bug_14_a_removal_before_the_add_takes_nothing_from_others)
{
    const char *one = reserve_host(HOST_PLAIN, 0), *two = reserve_host(HOST_PLAIN, 0);

    release(one);
    ck_assert_uint_eq(device_of(two)->refs, 1);
    map(two);
    ck_assert_uint_eq(vm_plugged(), 1);
    books_are_right();
}
END_TEST

START_TEST(bug_14_a_removal_of_what_the_guest_refused_takes_nothing_from_others)
{
    const char *one = reserve_host(HOST_PLAIN, 0), *two = reserve_host(HOST_PLAIN, 0);
    const struct device_found *found;

    fake_fail(2, FAKE_REFUSED); /* plugged, but the guest does not take it */
    ck_assert(!vpci_map(v, one, &found, &err));
    ck_assert(failed_with(SF_FAILED_PRECONDITION, "a failure"));
    ck_assert_uint_eq(device_of(one)->state, DEVICE_INVALID);
    release(one);
    ck_assert_uint_eq(device_of(two)->state, DEVICE_INVALID); /* still there, still known */
    ck_assert_uint_eq(vm_plugged(), 1);
    ck_assert(!vpci_map(v, two, &found, &err));
    ck_assert(failed_with(SF_FAILED_PRECONDITION, "release what holds it"));
    release(two);
    ck_assert_uint_eq(vm_plugged(), 0);
    map(reserve_host(HOST_PLAIN, 0));
}
END_TEST

/* Theirs: a device that came with the machine is not in the books, and a save does not see it. Here
 * no root port of the machine's document has a device, and whatever is plugged is in the books:
 * books_are_right() compares the two. */
START_TEST(bug_15_nothing_is_in_the_vm_that_is_not_in_the_books)
{
    const char *ids[VPCI_PORTS];

    for (int i = 0; i < VPCI_PORTS; i++)
        ids[i] = add_model(i % 2 ? "nvme" : "virtio-rng-pci");
    ck_assert_uint_eq(v->n_devices, vm_plugged());
    ck_assert(vpci_leaves(&v->base));
    for (int i = 0; i < VPCI_PORTS; i++) {
        release(ids[i]);
        ck_assert_uint_eq(v->n_devices, vm_plugged());
        books_are_right();
    }
}
END_TEST

/* ---- each step fails once ---- */

/* The call says so; the reservation can be given back, and then nothing is left; a new one works.
 */
static void fail_map(unsigned step, enum fake_failure how, bool host)
{
    const char *id = host ? reserve_host(HOST_PLAIN, 0) : reserve_model("nvme");
    const struct device_found *found;

    fake_fail(step, how);
    bool ok = vpci_map(v, id, &found, &err);
    bool failed = fake_failed();
    fake_fail(0, FAKE_REFUSED);
    ck_assert(ok != failed);
    ck_assert(ok || strstr(sf_error_message(err), device_of(id)->id) != NULL);
    sf_error_free(SF_STEAL(err));
    books_are_right();
    release(id);
    ck_assert_uint_eq(v->n_devices, 0);
    ck_assert_uint_eq(vm_plugged(), 0);
    id = host ? reserve_host(HOST_PLAIN, 0) : reserve_model("nvme");
    map(id);
    ck_assert_int_eq(device_of(id)->port, 0);
    books_are_right();
    release(id);
}

START_TEST(each_step_of_a_map_fails_once)
{
    unsigned steps;

    add_model("nvme");
    steps = fake_steps();
    fixture_next_sandbox();
    ck_assert_uint_ge(steps, 2);
    for (unsigned step = 1; step <= steps; step++)
        for (int host = 0; host < 2; host++) {
            fail_map(step, FAKE_REFUSED, host);
            fail_map(step, FAKE_SILENT, host);
        }
}
END_TEST

/* The same call succeeds, once or twice later. Meanwhile somebody else who asks for the device is
 * told, or gets one that works. */
static void fail_release(unsigned step, enum fake_failure how, bool other)
{
    const char *id = reserve_host(HOST_PLAIN, 0), *second = NULL;
    struct device_config config;
    const struct device_found *found;
    char more[SF_GUID_SIZE];

    map(id);
    fake_fail(step, how);
    bool ok = vpci_release(v, id, &err);
    ck_assert(fake_failed());
    fake_fail(0, FAKE_REFUSED);
    ck_assert(!ok);
    ck_assert(strstr(sf_error_message(err), id) != NULL);
    sf_error_free(SF_STEAL(err));
    books_are_right();
    ck_assert(vpci_config(&(struct sf_device_request){.host_address = HOST_PLAIN}, &config, &err));
    if (other && vpci_reserve(v, &config, more, &err)) {
        ck_assert_msg(vpci_map(v, more, &found, &err), "%s", SF_WHY(err));
        ck_assert(vm_ports[device_of(more)->port].bound);
        second = more;
    }
    sf_error_free(SF_STEAL(err));
    release(id);
    books_are_right();
    if (second != NULL) {
        ck_assert_uint_eq(vm_plugged(), 1); /* nothing was taken from it */
        release(second);
    }
    ck_assert_uint_eq(v->n_devices, 0);
    ck_assert_uint_eq(vm_plugged(), 0);
}

START_TEST(each_step_of_a_release_fails_once)
{
    const char *id = reserve_host(HOST_PLAIN, 0);

    map(id);
    fake_fail(0, FAKE_REFUSED);
    release(id);
    unsigned steps = fake_steps();
    ck_assert_uint_eq(steps, 2); /* the guest, QEMU */
    for (unsigned step = 1; step <= steps; step++)
        for (int other = 0; other < 2; other++) {
            fail_release(step, FAKE_REFUSED, other);
            fail_release(step, FAKE_SILENT, other);
        }
}
END_TEST

/* What QEMU took, and does not give back: its port is nobody else's until it has. */
START_TEST(a_plug_that_cannot_be_taken_back_keeps_its_port)
{
    const char *id = reserve_model("nvme");
    const struct device_found *found;

    vm_ports[0] = (struct fake_port){.driver = "something"}; /* so device_add is refused, truly */
    fake_fail(2, FAKE_REFUSED);                              /* and so is device_del */
    ck_assert(!vpci_map(v, id, &found, &err));
    ck_assert(failed_with(SF_FAILED_PRECONDITION, "already occupied"));
    ck_assert_uint_eq(device_of(id)->state, DEVICE_REMOVED);
    ck_assert(device_of(id)->leftover);
    const char *next = add_model("edu");
    ck_assert_int_eq(device_of(next)->port, 1);
    release(id);
    ck_assert_str_eq(vm_ports[0].driver, "");
    books_are_right();
}
END_TEST

/* ---- a guest that makes no sense ---- */

static const char *const nonsense[][3] = {
    /* address, driver, node */
    {"", "nvme", "/dev/nvme0"},
    {"01:00.0", "nvme", "/dev/nvme0"},
    {"0000:01:00.0", "nv me", "/dev/nvme0"},
    {"0000:01:00.0", "../nvme", "/dev/nvme0"},
    {"0000:01:00.0", "a/b", "/dev/nvme0"},
    {"0000:01:00.0", "nvme", "/etc/passwd"},
    {"0000:01:00.0", "nvme", "/dev/"},
    {"0000:01:00.0", "nvme", "/dev/../etc/passwd"},
    {"0000:01:00.0", "nvme", "/dev/a\nb"},
    {"0000:01:00.0", "nvme",
     "/dev/1234567890123456789012345678901234567890123456789012345678901234567890"},
};
static size_t which;

static bool liar(const void *request, void *reply, struct sf_error **ret)
{
    const Sandferry__V1__AgentRequest *q = request;
    Sandferry__V1__AgentReply *r = reply;

    (void)ret;
    if (q->body_case != SANDFERRY__V1__AGENT_REQUEST__BODY_ADD_DEVICE)
        return true;
    r->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_ADD_DEVICE;
    r->add_device = calloc(1, sizeof(*r->add_device));
    sandferry__v1__agent_add_device_reply__init(r->add_device);
    r->add_device->pci_address = strdup(nonsense[which][0]);
    r->add_device->driver = strdup(nonsense[which][1]);
    r->add_device->nodes = calloc(1, sizeof(char *));
    r->add_device->nodes[0] = strdup(nonsense[which][2]);
    r->add_device->n_nodes = 1;
    r->add_device->numbers = calloc(1, sizeof(r->add_device->numbers[0]));
    r->add_device->numbers[0] = calloc(1, sizeof(*r->add_device->numbers[0]));
    sandferry__v1__agent_device_number__init(r->add_device->numbers[0]);
    r->add_device->n_numbers = 1;
    return true;
}

START_TEST(a_guest_that_lies_is_not_believed)
{
    const char *id = reserve_model("nvme");
    const struct device_found *found;

    which = (size_t)_i;
    fake_guest_answers(liar);
    ck_assert(!vpci_map(v, id, &found, &err));
    ck_assert(failed_with(SF_UNAVAILABLE, "does not say what it has"));
    ck_assert_uint_eq(device_of(id)->state, DEVICE_INVALID);
    release(id);
    ck_assert_uint_eq(vm_plugged(), 0);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    TCase *tc = tcase_create("reserve");

    tcase_add_test(tc, a_reservation_touches_nothing);
    tcase_add_test(tc, a_function_of_the_host_is_shared_and_counted);
    tcase_add_test(tc, a_model_is_another_device_each_time);
    tcase_add_test(tc, virtual_functions_are_devices_of_their_own);
    tcase_add_test(tc, one_function_under_two_names_is_refused);
    tcase_add_test(tc, functions_that_no_vm_can_have_are_refused_with_words);
    tcase_add_loop_test(tc, what_is_asked_for_is_checked, 0, COUNT(wrong));
    tcase_add_test(tc, properties_are_sorted_and_come_once);
    tcase_add_test(tc, qemu_gets_numbers_as_numbers_and_a_serial);
    tcase_add_test(tc, map_may_be_repeated);
    tcase_add_test(tc, a_shared_function_is_plugged_once);
    tcase_add_test(tc, no_reservation_no_device);
    tcase_add_test(tc, ports_are_given_from_the_lowest_and_run_out);
    tcase_add_test(tc, there_are_bounds);
    tcase_add_test(tc, released_before_it_was_mapped);
    tcase_add_test(tc, a_device_in_use_stays_until_it_is_let_go);
    tcase_add_test(tc, a_holder_is_named);
    tcase_add_test(tc, a_released_function_can_be_had_again);
    tcase_add_test(tc, bug_14_a_removal_before_the_add_takes_nothing_from_others);
    tcase_add_test(tc, bug_14_a_removal_of_what_the_guest_refused_takes_nothing_from_others);
    tcase_add_test(tc, bug_15_nothing_is_in_the_vm_that_is_not_in_the_books);
    tcase_add_test(tc, each_step_of_a_map_fails_once);
    tcase_add_test(tc, each_step_of_a_release_fails_once);
    tcase_add_test(tc, a_plug_that_cannot_be_taken_back_keeps_its_port);
    tcase_add_loop_test(tc, a_guest_that_lies_is_not_believed, 0, COUNT(nonsense));
    return fixture_suite("vpci_reserve", tc);
}
