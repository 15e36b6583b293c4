/*
 * wakes [TIMER_MS]: waits for the wall clock to be set, which is what a restore does, and draws 1
 * KiB of random bytes before it does anything else. Each time it prints one line:
 *
 *     awake RANDOM MACHINE_ID HOSTNAME MONOTONIC_NS REALTIME_NS
 *
 * TIMER_MS: arms two timers that expire once, by either clock, and says how often they did:
 * "monotonic 1", "realtime 1". SIGTERM ends it with 0.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RANDOM_BYTES 1024

static void end(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* One that never expires in its time, only tells when the clock is set; or after @ms. */
static int arm(clockid_t clock, int64_t ms, int flags)
{
    int64_t at = now_ns(clock) + ms * 1000000;
    struct itimerspec when = {.it_value = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000}};
    int fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME | flags, &when, NULL) < 0) {
        perror("wakes: timer");
        exit(1);
    }
    return fd;
}

static void first_word_of(const char *path, char *ret, size_t room)
{
    FILE *file = fopen(path, "re");

    snprintf(ret, room, "-");
    if (file == NULL)
        return;
    if (fgets(ret, (int)room, file) == NULL)
        snprintf(ret, room, "-");
    ret[strcspn(ret, "\n")] = '\0';
    fclose(file);
}

static void tell(const uint8_t *random)
{
    char machine_id[64], hostname[65] = "-";
    char hex[2 * RANDOM_BYTES + 1];

    for (size_t i = 0; i < RANDOM_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", random[i]);
    first_word_of("/etc/machine-id", machine_id, sizeof(machine_id));
    gethostname(hostname, sizeof(hostname) - 1);
    printf("awake %s %s %s %" PRId64 " %" PRId64 "\n", hex, machine_id, hostname,
           now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_REALTIME));
}

static void look(const char *name, int fd)
{
    uint64_t expired;

    if (read(fd, &expired, sizeof(expired)) == (ssize_t)sizeof(expired))
        printf("%s %" PRIu64 "\n", name, expired);
}

int main(int argc, char *argv[])
{
    static uint8_t random[RANDOM_BYTES];
    long timer_ms = argc > 1 ? atol(argv[1]) : 0;

    signal(SIGTERM, end);
    signal(SIGINT, end);
    setvbuf(stdout, NULL, _IOLBF, 4096);
    struct pollfd fds[] = {
        {.fd = arm(CLOCK_REALTIME, INT64_C(86400000) * 365, TFD_TIMER_CANCEL_ON_SET)},
        {.fd = timer_ms > 0 ? arm(CLOCK_MONOTONIC, timer_ms, 0) : -1},
        {.fd = timer_ms > 0 ? arm(CLOCK_REALTIME, timer_ms, 0) : -1},
    };
    for (int i = 0; i < 3; i++)
        fds[i].events = POLLIN;
    getrandom(random, sizeof(random), 0);
    tell(random);
    for (;;) {
        uint64_t expired;
        if (poll(fds, 3, -1) < 0)
            continue;
        if (fds[0].revents != 0 && read(fds[0].fd, &expired, sizeof(expired)) < 0 &&
            errno == ECANCELED) {
            if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
                return 1;
            tell(random);
        }
        if (fds[1].revents != 0)
            look("monotonic", fds[1].fd);
        if (fds[2].revents != 0)
            look("realtime", fds[2].fd);
    }
}
