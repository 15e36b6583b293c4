/*
 * counter [INTERVAL_MS [COUNT]]: prints 1, 2, 3, ... one line each, one every INTERVAL_MS (5) by a
 * timer, COUNT of them (0: for ever). SIGTERM ends it with 0. Whoever reads it can tell whether a
 * line was lost or came twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void end(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static void print(uint64_t number)
{
    char line[32];
    size_t size = (size_t)snprintf(line, sizeof(line), "%" PRIu64 "\n", number);

    for (size_t done = 0; done < size;) {
        ssize_t n = write(STDOUT_FILENO, line + done, size - done);
        if (n < 0 && errno != EINTR)
            _exit(1); /* nobody reads */
        done += n > 0 ? (size_t)n : 0;
    }
}

int main(int argc, char *argv[])
{
    long interval_ms = argc > 1 ? atol(argv[1]) : 5;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    if (interval_ms < 1 || interval_ms > 60000) {
        fprintf(stderr, "counter: '%s' is no interval: 1 to 60000 ms\n", argv[1]);
        return 2;
    }

    /* As the first process of a container it gets only signals that it has a handler for. */
    signal(SIGTERM, end);
    signal(SIGINT, end);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct timespec interval = {.tv_sec = interval_ms / 1000,
                                .tv_nsec = interval_ms % 1000 * 1000000};
    struct itimerspec when = {.it_value = interval, .it_interval = interval};
    if (timer < 0 || timerfd_settime(timer, 0, &when, NULL) < 0) {
        perror("counter: timer");
        return 1;
    }

    for (uint64_t number = 1; count == 0 || number <= count; number++) {
        uint64_t expired;
        while (read(timer, &expired, sizeof(expired)) < 0)
            if (errno != EINTR)
                return 1;
        print(number);
    }
    return 0;
}
