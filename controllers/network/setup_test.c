#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fake_host.h"
#include "network/network.h"

static struct sf_sandbox *sandbox;
static struct networks *all;
static struct sf_error *err;

static void make(void)
{
    ck_assert(fake_host_make());
    sandbox = fake_sandbox_new("s");
    all = (struct networks *)sandbox->controller;
}

static void end(void)
{
    sf_error_free(SF_STEAL(err));
    fake_sandbox_free(sandbox);
    fake_host_remove();
}

/* Two NICs on QEMU's user network. */
static struct network *wanted(const char *pod)
{
    struct network *n = calloc(1, sizeof(*n));

    ck_assert_ptr_nonnull(n);
    snprintf(n->pod_id, sizeof(n->pod_id), "%s", pod);
    snprintf(n->saved_pod_id, sizeof(n->saved_pod_id), "%s", pod);
    snprintf(n->guest_namespace, sizeof(n->guest_namespace), "%s", pod);
    n->n_endpoints = 2;
    for (unsigned i = 0; i < 2; i++) {
        struct endpoint *e = &n->endpoints[i];
        ck_assert(sf_guid_new(e->nic_id) && network_new_mac(e->mac_address));
        e->kind = ENDPOINT_USER;
        snprintf(e->guest_device, sizeof(e->guest_device), "eth%u", i);
    }
    return n;
}

static void setup(const char *pod)
{
    ck_assert_msg(network_setup(all, wanted(pod), &err), "%s", sf_error_message(err));
}

START_TEST(each_nic_has_a_port_of_its_own)
{
    setup("a");
    setup("b");
    ck_assert_uint_eq(networks_ports(all), 0xf);
    ck_assert(network_teardown(all, "a", &err));
    ck_assert_uint_eq(networks_ports(all), 0xc);
    setup("c");
    ck_assert_uint_eq(networks_ports(all), 0xf);
}
END_TEST

START_TEST(a_second_setup_is_refused)
{
    setup("a");
    ck_assert(!network_setup(all, wanted("a"), &err));
    ck_assert_int_eq(sf_error_code(err), SF_ALREADY_EXISTS);
    ck_assert_uint_eq(all->n, 1);
}
END_TEST

START_TEST(a_teardown_may_be_repeated)
{
    setup("a");
    ck_assert(network_teardown(all, "a", &err));
    ck_assert(network_teardown(all, "a", &err));
    ck_assert_uint_eq(all->n, 0);
}
END_TEST

/* Whatever step of a setup fails, and however: nothing is left in the books. */
START_TEST(a_setup_that_fails_leaves_nothing)
{
    for (unsigned nth = 1;; nth++) {
        fake_fail(nth, _i == 0 ? FAKE_REFUSED : FAKE_SILENT);
        bool ok = network_setup(all, wanted("a"), &err);
        if (!fake_failed()) {
            ck_assert(ok);
            ck_assert_uint_gt(nth, 6);
            return;
        }
        ck_assert(!ok);
        ck_assert_uint_eq(all->n, 0);
        sf_error_free(SF_STEAL(err));
    }
}
END_TEST

/* A teardown goes on after a failure, and a repeat ends it. */
START_TEST(a_teardown_goes_on)
{
    for (unsigned nth = 1;; nth++) {
        fake_fail(0, FAKE_REFUSED);
        setup("a");
        fake_trace_clear();
        fake_fail(nth, _i == 0 ? FAKE_REFUSED : FAKE_SILENT);
        bool ok = network_teardown(all, "a", &err);
        if (!fake_failed())
            return;
        ck_assert_uint_eq(fake_trace_count("guest remove_namespace"), 1);
        if (!ok) {
            ck_assert_uint_eq(network_find(all, "a")->state, NETWORK_INVALID);
            sf_error_free(SF_STEAL(err));
            ck_assert_msg(network_teardown(all, "a", &err), "%s", sf_error_message(err));
        }
        ck_assert_uint_eq(all->n, 0);
    }
}
END_TEST

START_TEST(a_section_says_everything)
{
    struct sf_bytes one = {0}, two = {0};
    struct networks other = {.base = all->base};

    setup("b");
    setup("a");
    snprintf(all->list[0]->endpoints[1].addresses[0], NETWORK_ADDRESS_SIZE, "10.0.0.2/24");
    all->list[0]->endpoints[1].n_addresses = 1;
    ck_assert(networks_to_section(all, &one, &err));
    ck_assert_msg(networks_from_section(&other, &one, &err), "%s", sf_error_message(err));
    ck_assert(networks_to_section(&other, &two, &err));
    ck_assert_uint_eq(one.size, two.size);
    ck_assert(memcmp(one.data, two.data, one.size) == 0);
    networks_empty(&other);
    sf_bytes_done(&one);
    sf_bytes_done(&two);
}
END_TEST

START_TEST(patches_say_what_a_nic_is_connected_to)
{
    setup("a");
    struct endpoint *e = &all->list[0]->endpoints[0];
    ck_assert(networks_patch(all, e->nic_id, "bridge:br0", &err));
    ck_assert_uint_eq(e->kind, ENDPOINT_BRIDGE);
    ck_assert_str_eq(e->host_device, "br0");
    ck_assert(networks_patch(all, "pod/a", "/run/netns/x", &err));
    ck_assert_str_eq(all->list[0]->host_namespace, "/run/netns/x");
    ck_assert(!networks_patch(all, "pod/a", "/etc/passwd", &err));
    sf_error_free(SF_STEAL(err));
    ck_assert(!networks_patch(all, e->nic_id, "tap:a/b", &err));
    sf_error_free(SF_STEAL(err));
    ck_assert(!networks_patch(all, "pod/b", "/run/netns/x", &err));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network_setup");
    TCase *tc = tcase_create("setup");

    tcase_add_checked_fixture(tc, make, end);
    tcase_add_test(tc, each_nic_has_a_port_of_its_own);
    tcase_add_test(tc, a_second_setup_is_refused);
    tcase_add_test(tc, a_teardown_may_be_repeated);
    tcase_add_loop_test(tc, a_setup_that_fails_leaves_nothing, 0, 2);
    tcase_add_loop_test(tc, a_teardown_goes_on, 0, 2);
    tcase_add_test(tc, a_section_says_everything);
    tcase_add_test(tc, patches_say_what_a_nic_is_connected_to);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
