/* Real taps, in a namespace of the test's own: needs root. */
#include "base/suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "lib/fake_host.h"
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

static int listener, sent;

static void *serve(void *unused)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (char[]){0}, .iov_len = 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    int peer = accept(listener, NULL, NULL);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &sent, sizeof(int));
    sendmsg(peer, &m, MSG_NOSIGNAL);
    close(peer);
    return unused;
}

static int ask(int fd)
{
    pthread_t thread;

    sent = fd;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    int got = tap_open(&n, e, &err);
    pthread_join(thread, NULL);
    return got;
}

START_TEST(a_socket_sends_a_tap)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    ck_assert(fake_host_make());
    fake_host_allow(fake_host_root());
    snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/tap.sock", fake_host_root());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    name(ENDPOINT_SOCKET, a.sun_path);
    ck_assert_msg(tap_check(&n, e, &err), "%s", sf_error_message(err));
    int fd = ask(own);
    ck_assert_msg(fd >= 0, "%s", sf_error_message(err));
    close(fd);
    ck_assert_int_eq(ask(listener), -1);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "no tap"));
    close(listener);
    fake_host_remove();
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
    tcase_add_test(tc, a_socket_sends_a_tap);
    suite_add_tcase(suite, tc);
    return sf_suite_run(suite);
}
