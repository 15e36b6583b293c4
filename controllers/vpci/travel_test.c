/* Saves and restores of a VM with devices, and every step of them made to fail. */
#include <stdio.h>
#include <string.h>

#include "vpci/fake_vm.h"
#include "vpci/host.h"

/* One that travels, two that do not, one that is reserved only. */
static const char *rng, *nvme, *host, *reserved;

static void add_all(void)
{
    rng = add_model("virtio-rng-pci");
    nvme = add_model("nvme");
    host = reserve_host(HOST_PLAIN, 0);
    map(host);
    reserved = reserve_model("edu");
}

static void all_are_back(void)
{
    static const char *const drivers[] = {"virtio-rng-pci", "nvme", "vfio-pci"};

    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(vm_ports[i].driver, drivers[i]);
        ck_assert(vm_ports[i].bound);
    }
    ck_assert_uint_eq(vm_plugged(), 3);
    ck_assert_str_eq(map(nvme)->node_list[0], "/dev/nvme0");
    ck_assert_str_eq(map(rng)->pci_address, "0000:01:00.0");
    ck_assert_uint_eq(device_of(reserved)->state, DEVICE_RESERVED);
    books_are_right();
}

static struct sf_reasons *check(void)
{
    struct sf_reasons *why = sf_reasons_new();

    ck_assert(v->base.cls->check(&v->base, why, &err));
    return why;
}

/* ---- Source ---- */

START_TEST(what_does_not_travel_is_out_while_the_vm_is_saved)
{
    add_all();
    ck_assert(vpci_leaves(&v->base));
    ck_assert_msg(vpci_quiesce(&v->base, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(vm_plugged(), 1);
    ck_assert_str_eq(vm_ports[0].driver, "virtio-rng-pci");
    books_are_right();
    vpci_thaw(&v->base);
    all_are_back();
}
END_TEST

START_TEST(a_thaw_before_the_quiesce_does_nothing)
{
    add_all();
    unsigned steps = fake_steps();
    vpci_thaw(&v->base);
    ck_assert_uint_eq(fake_steps(), steps);
    all_are_back();
}
END_TEST

START_TEST(nothing_leaves_if_all_travels)
{
    add_model("virtio-rng-pci");
    reserve_model("nvme");
    ck_assert(!vpci_leaves(&v->base));
    unsigned steps = fake_steps();
    ck_assert(vpci_quiesce(&v->base, &err));
    ck_assert_uint_eq(fake_steps(), steps);
}
END_TEST

START_TEST(check_names_whoever_uses_a_device_and_changes_nothing)
{
    add_all();
    ck_assert(vpci_hold(v, nvme, "container 'c9'", &err));
    vm_ports[0].used = vm_ports[1].used = true;
    struct sf_reasons *why = check();
    ck_assert_uint_eq(sf_reasons_count(why), 1); /* one that travels may be used */
    ck_assert_ptr_nonnull(strstr(sf_reasons_get(why, 0)->text, "held by container 'c9'"));
    ck_assert_ptr_nonnull(strstr(sf_reasons_get(why, 0)->text, "process 7 ('sh')"));
    sf_reasons_free(why);
    all_are_back();
    vm_ports[1].used = false;
    why = check();
    ck_assert_uint_eq(sf_reasons_count(why), 0);
    sf_reasons_free(why);
    all_are_back();
}
END_TEST

START_TEST(used_after_the_check_it_is_not_taken_away)
{
    add_all();
    vm_ports[2].used = true;
    ck_assert(!vpci_quiesce(&v->base, &err));
    ck_assert(failed_with(SF_FAILED_PRECONDITION, HOST_PLAIN));
    vpci_thaw(&v->base);
    all_are_back();
}
END_TEST

START_TEST(what_is_half_done_is_not_saved)
{
    const struct device_found *found;
    const char *lost = reserve_model("nvme");

    fake_fail(2, FAKE_REFUSED);
    ck_assert(!vpci_map(v, lost, &found, &err));
    sf_error_free(SF_STEAL(err));
    struct sf_reasons *why = check();
    ck_assert_uint_eq(sf_reasons_count(why), 1);
    ck_assert_ptr_nonnull(strstr(sf_reasons_get(why, 0)->text, "unusable; release"));
    sf_reasons_free(why);
    release(lost);
    why = check();
    ck_assert_uint_eq(sf_reasons_count(why), 0);
    sf_reasons_free(why);
}
END_TEST

static unsigned steps_of_quiesce(void)
{
    add_all();
    fake_fail(0, FAKE_REFUSED);
    ck_assert(vpci_quiesce(&v->base, &err));
    return fake_steps();
}

START_TEST(each_step_of_a_quiesce_fails_once)
{
    unsigned steps = steps_of_quiesce();

    ck_assert_uint_eq(steps, 4); /* the guest and QEMU, of two */
    for (unsigned step = 1; step <= steps; step++)
        for (int how = FAKE_REFUSED; how <= FAKE_SILENT; how++) {
            fixture_next_sandbox();
            add_all();
            fake_fail(step, (enum fake_failure)how);
            ck_assert(!vpci_quiesce(&v->base, &err));
            sf_error_free(SF_STEAL(err));
            fake_fail(0, FAKE_REFUSED);
            vpci_thaw(&v->base);
            all_are_back();
            ck_assert(vpci_quiesce(&v->base, &err)); /* the same again */
            vpci_thaw(&v->base);
            all_are_back();
        }
}
END_TEST

START_TEST(each_step_of_a_thaw_fails_once_and_is_made_up_for)
{
    steps_of_quiesce();
    fake_fail(0, FAKE_REFUSED);
    vpci_thaw(&v->base);
    unsigned steps = fake_steps();

    ck_assert_uint_eq(steps, 4);
    for (unsigned step = 1; step <= steps; step++)
        for (int how = FAKE_REFUSED; how <= FAKE_SILENT; how++) {
            fixture_next_sandbox();
            steps_of_quiesce();
            fake_fail(step, (enum fake_failure)how);
            vpci_thaw(&v->base);
            ck_assert(fake_failed());
            fake_fail(0, FAKE_REFUSED);
            all_are_back();
        }
}
END_TEST

/* Its function is gone from the host, say. */
static bool no_more_devices(const char *command, const char *arguments, char **ret_json,
                            struct sf_error **ret)
{
    (void)arguments;
    *ret_json = strdup("{}");
    return strcmp(command, "device_add") != 0 ||
           sf_fail(ret, SF_FAILED_PRECONDITION, "vfio: no such device");
}

START_TEST(a_device_that_does_not_come_back_is_said_to_be_lost)
{
    steps_of_quiesce();
    fake_machine_answers(no_more_devices);
    vpci_thaw(&v->base);
    ck_assert_uint_eq(fake_trace_count("event device.lost"), 2);
    ck_assert_ptr_null(sandbox->invalid); /* the rest of the sandbox goes on */
    ck_assert_uint_eq(device_of(nvme)->state, DEVICE_REMOVED);
    ck_assert_uint_eq(device_of(rng)->state, DEVICE_READY);
    books_are_right();
    struct sf_reasons *why = check();
    ck_assert_uint_eq(sf_reasons_count(why), 2);
    sf_reasons_free(why);
    release(nvme);
    release(host);
    books_are_right();
}
END_TEST

/* ---- Destination ---- */

/* A section of such a sandbox, and a new one that has imported it; the ids are the same. */
static struct sf_bytes section;

static void move(void)
{
    add_all();
    ck_assert(vpci_quiesce(&v->base, &err));
    section = saved_section();
    import_section(&section);
}

static void move_done(void)
{
    sf_bytes_done(&section);
}

START_TEST(bug_13_devices_and_reservations_do_not_keep_a_sandbox_from_moving)
{
    move();
    ck_assert_uint_eq(v->n_devices, 4);
    ck_assert_uint_eq(v->n_reservations, 4);
    ck_assert_msg(vpci_prepare(&v->base, &err), "%s", SF_WHY(err));
    ck_assert_uint_eq(vm_plugged(), 1); /* whose state is about to be read */
    ck_assert_str_eq(vm_ports[0].driver, "virtio-rng-pci");
    ck_assert_msg(vpci_resume(&v->base, &err), "%s", SF_WHY(err));
    all_are_back();
    ck_assert_int_eq(device_of(add_model("edu"))->port, 3); /* as it would have been there */
    move_done();
}
END_TEST

START_TEST(it_moves_on_as_often_as_one_likes)
{
    move();
    for (int i = 0; i < 3; i++) {
        ck_assert(vpci_prepare(&v->base, &err) && vpci_resume(&v->base, &err));
        all_are_back();
        ck_assert(vpci_quiesce(&v->base, &err));
        struct sf_bytes again = saved_section();
        ck_assert_uint_eq(again.size, section.size);
        ck_assert(memcmp(again.data, section.data, section.size) == 0);
        import_section(&again);
        sf_bytes_done(&again);
    }
    move_done();
}
END_TEST

START_TEST(what_cannot_be_here_is_known_before_the_guest_runs)
{
    move();
    fake_fail(2, FAKE_REFUSED); /* QEMU does not know nvme, say */
    ck_assert(!vpci_prepare(&v->base, &err));
    sf_error_free(SF_STEAL(err));
    fake_fail(0, FAKE_REFUSED);
    import_section(&section);
    host_sys = "/nowhere";
    ck_assert(!vpci_prepare(&v->base, &err));
    ck_assert(failed_with(SF_NOT_FOUND, HOST_PLAIN));
    move_done();
}
END_TEST

/* What a restore plugged after the guest ran must be out again, since its state is written anew. */
START_TEST(each_step_of_a_resume_fails_once_and_is_taken_back)
{
    move();
    ck_assert(vpci_prepare(&v->base, &err));
    fake_fail(0, FAKE_REFUSED);
    ck_assert(vpci_resume(&v->base, &err));
    unsigned steps = fake_steps();

    ck_assert_uint_eq(steps, 5); /* one is asked for only; two are plugged */
    for (unsigned step = 1; step <= steps + 1; step++)
        for (int how = FAKE_REFUSED; how <= FAKE_SILENT; how++) {
            import_section(&section);
            ck_assert(vpci_prepare(&v->base, &err));
            fake_fail(step, (enum fake_failure)how);
            ck_assert(vpci_resume(&v->base, &err) == (step > steps));
            sf_error_free(SF_STEAL(err));
            fake_fail(0, FAKE_REFUSED);
            for (int i = 0; i < VPCI_PORTS; i++)
                vm_ports[i].used = true; /* it has run: whoever uses it gets errors */
            vpci_abandon(&v->base);
            ck_assert_uint_eq(vm_plugged(), 1);
            ck_assert_str_eq(vm_ports[0].driver, "virtio-rng-pci");
            ck_assert_uint_eq(v->n_devices, 0);
            ck_assert(v->base.cls->import(&v->base, &section, 1, &err)); /* the same again */
        }
    move_done();
}
END_TEST

START_TEST(each_step_of_an_abandon_fails_once_and_is_made_up_for)
{
    move();
    for (unsigned step = 1; step <= 4; step++)
        for (int how = FAKE_REFUSED; how <= FAKE_SILENT; how++) {
            import_section(&section);
            ck_assert(vpci_prepare(&v->base, &err) && vpci_resume(&v->base, &err));
            fake_fail(step, (enum fake_failure)how);
            vpci_abandon(&v->base);
            ck_assert(fake_failed());
            fake_fail(0, FAKE_REFUSED);
            ck_assert_uint_eq(v->n_devices, 0);
            ck_assert_uint_eq(vm_plugged(), 1);
        }
    move_done();
}
END_TEST

START_TEST(an_abandon_without_a_vm_asks_nobody)
{
    move();
    fake_fail(0, FAKE_REFUSED);
    vpci_abandon(&v->base); /* of a check, or before prepare */
    vpci_abandon(&v->base);
    ck_assert_uint_eq(fake_steps(), 0);
    ck_assert_uint_eq(v->n_devices, 0);
    move_done();
}
END_TEST

/* ---- names ---- */

static const char *three[3];

/* nvme0 is gone, and nvme2 is in a lower port than nvme1. */
static void make_gap(void)
{
    const char *first = add_model("edu"), *zero = add_model("nvme");

    three[1] = add_model("nvme"); /* port2 */
    release(first);
    three[2] = add_model("nvme"); /* port0 */
    release(zero);
    three[0] = add_model("edu");
}

static void names_are_kept(void)
{
    ck_assert_str_eq(map(three[2])->node_list[0], "/dev/nvme2");
    ck_assert_str_eq(map(three[1])->node_list[0], "/dev/nvme1");
    ck_assert_uint_eq(vm_plugged(), 3); /* nobody stands in any more */
    ck_assert_uint_eq(fake_trace_count("device.renamed"), 0);
    books_are_right();
}

START_TEST(names_are_kept_though_others_are_gone)
{
    make_gap();
    names_are_kept();
    for (int i = 0; i < 2; i++) {
        ck_assert(vpci_quiesce(&v->base, &err));
        vpci_thaw(&v->base);
        names_are_kept();
        ck_assert(vpci_quiesce(&v->base, &err));
        struct sf_bytes gap = saved_section();
        import_section(&gap);
        sf_bytes_done(&gap);
        ck_assert(vpci_prepare(&v->base, &err) && vpci_resume(&v->base, &err));
        names_are_kept();
    }
}
END_TEST

START_TEST(a_name_that_cannot_be_kept_is_told)
{
    make_gap();
    while (vm_plugged() < VPCI_PORTS) /* no port for one that stands in */
        add_model("edu");
    ck_assert(vpci_quiesce(&v->base, &err));
    vpci_thaw(&v->base);
    ck_assert_uint_eq(fake_trace_count("device.renamed"), 2);
    ck_assert_msg(fake_trace_count("is /dev/nvme0 in the guest now, and was /dev/nvme1") == 1, "%s",
                  fake_trace());
    books_are_right();
}
END_TEST

/* Whoever stands in is gone in the end, and the devices are there, if under other names. */
START_TEST(each_step_with_those_that_stand_in_fails_once)
{
    make_gap();
    ck_assert(vpci_quiesce(&v->base, &err));
    fake_fail(0, FAKE_REFUSED);
    vpci_thaw(&v->base);
    unsigned steps = fake_steps();

    ck_assert_uint_eq(steps, 10); /* three are plugged; one more comes and goes */
    for (unsigned step = 1; step <= steps; step++)
        for (int how = FAKE_REFUSED; how <= FAKE_SILENT; how++) {
            fixture_next_sandbox();
            make_gap();
            ck_assert(vpci_quiesce(&v->base, &err));
            fake_fail(step, (enum fake_failure)how);
            vpci_thaw(&v->base);
            ck_assert(fake_failed());
            fake_fail(0, FAKE_REFUSED);
            for (int i = 0; i < 3; i++)
                map(three[i]);
            ck_assert_uint_eq(vm_plugged(), 3);
            books_are_right();
        }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("travel");

    tcase_add_test(tc, what_does_not_travel_is_out_while_the_vm_is_saved);
    tcase_add_test(tc, a_thaw_before_the_quiesce_does_nothing);
    tcase_add_test(tc, nothing_leaves_if_all_travels);
    tcase_add_test(tc, check_names_whoever_uses_a_device_and_changes_nothing);
    tcase_add_test(tc, used_after_the_check_it_is_not_taken_away);
    tcase_add_test(tc, what_is_half_done_is_not_saved);
    tcase_add_test(tc, each_step_of_a_quiesce_fails_once);
    tcase_add_test(tc, each_step_of_a_thaw_fails_once_and_is_made_up_for);
    tcase_add_test(tc, a_device_that_does_not_come_back_is_said_to_be_lost);
    tcase_add_test(tc, bug_13_devices_and_reservations_do_not_keep_a_sandbox_from_moving);
    tcase_add_test(tc, it_moves_on_as_often_as_one_likes);
    tcase_add_test(tc, what_cannot_be_here_is_known_before_the_guest_runs);
    tcase_add_test(tc, each_step_of_a_resume_fails_once_and_is_taken_back);
    tcase_add_test(tc, each_step_of_an_abandon_fails_once_and_is_made_up_for);
    tcase_add_test(tc, an_abandon_without_a_vm_asks_nobody);
    tcase_add_test(tc, names_are_kept_though_others_are_gone);
    tcase_add_test(tc, a_name_that_cannot_be_kept_is_told);
    tcase_add_test(tc, each_step_with_those_that_stand_in_fails_once);
    return fixture_suite("vpci_travel", tc);
}
