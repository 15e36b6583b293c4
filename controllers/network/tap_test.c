/* Real taps, in a namespace of the test's own: needs root. */
#include "base/suite.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "network/network.h"

static struct network n;
static struct endpoint *e = &n.endpoints[0];
static struct sf_error *err;
static int own = -1; /* a tap "tap0" that stays */

static int new_tap(const char *name)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ioctl(fd, TUNSETIFF, &r), 0);
    return fd;
}

static void make(void)
{
    ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
    n = (struct network){.n_endpoints = 1};
    own = new_tap("tap0");
    ck_assert_int_eq(ioctl(own, TUNSETPERSIST, 1), 0);
}

static void end(void)
{
    sf_error_free(SF_STEAL(err));
    close(own);
}

static void name(unsigned kind, const char *device)
{
    e->kind = kind;
    snprintf(e->host_device, sizeof(e->host_device), "%s", device);
}

START_TEST(a_tap_is_opened_by_its_name)
{
    name(ENDPOINT_TAP, "tap0");
    ck_assert_int_eq(tap_open(&n, e, &err), -1);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "in use"));
    sf_error_free(SF_STEAL(err));
    close(own);
    own = -1;
    ck_assert_msg(tap_check(&n, e, &err), "%s", sf_error_message(err));
    int fd = tap_open(&n, e, &err);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(what_is_no_tap_is_refused)
{
    name(ENDPOINT_TAP, "tap7");
    ck_assert(!tap_check(&n, e, &err));
    ck_assert_int_eq(sf_error_code(err), SF_NOT_FOUND);
    sf_error_free(SF_STEAL(err));
    name(ENDPOINT_TAP, "lo");
    ck_assert(!tap_check(&n, e, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "no tap"));
    sf_error_free(SF_STEAL(err));
    name(ENDPOINT_BRIDGE, "tap0");
    ck_assert(!tap_check(&n, e, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "no bridge"));
    sf_error_free(SF_STEAL(err));
    snprintf(n.host_namespace, sizeof(n.host_namespace), "/proc/self/ns/mnt");
    ck_assert(!tap_check(&n, e, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "no network namespace"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network_tap");
    TCase *tc = tcase_create("tap");

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) {
        printf("skipped: needs root and /dev/net/tun\n");
        return 77;
    }
    tcase_add_checked_fixture(tc, make, end);
    tcase_add_test(tc, a_tap_is_opened_by_its_name);
    tcase_add_test(tc, what_is_no_tap_is_refused);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
