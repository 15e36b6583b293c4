/*
 * selfcheck [ROUNDS]: holds what a process may hold, and checks for ever, ten times a second, that
 * all of it is as it was left. For a guest that is saved and restored under it.
 *
 * Prints "PASS round N" once a second. On SIGTERM, or after ROUNDS rounds: "PASS selfcheck after N
 * rounds", and ends with 0. When something is wrong: "FAIL NAME: what", and ends with 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define ROUND_MS    100
#define PATTERN     8192 /* bytes in each file, pipe and mapping that is checked */
#define TICK_MS     7
#define TICKS_SLACK 3
#define ANSWER_MS   20000 /* a partner that is silent for so long is lost */

static const char *checking = "set-up";
static volatile sig_atomic_t told_to_end, alarms;

static _Noreturn void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void wrong(const char *fmt, ...)
{
    int saved = errno;
    va_list args;

    printf("FAIL %s: ", checking);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf(" (errno: %s)\n", strerror(saved));
    fflush(stdout);
    _exit(1);
}

#define must(condition) ((condition) ? (void)0 : wrong("not so: %s", #condition))

static int64_t monotonic_ms(void)
{
    struct timespec now;

    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint8_t pattern_at(uint64_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + 5);
}

static void write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const uint8_t *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            wrong("write to descriptor %d", fd);
        done += (size_t)n;
    }
}

static void read_all(int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int polled = poll(&ready, 1, ANSWER_MS);
        if (polled < 0 && errno == EINTR)
            continue;
        if (polled == 0)
            wrong("nothing to read within %d ms", ANSWER_MS);
        ssize_t n = read(fd, (uint8_t *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            wrong("read from descriptor %d gave %zd", fd, n);
        done += (size_t)n;
    }
}

/* A partner process that ends with this one. Returns true in it. */
static bool become_partner(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    must(pid >= 0);
    if (pid != 0)
        return false;
    signal(SIGTERM, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    return true;
}

/* ---- an open file, and one that has no name any more ---- */

struct held_file {
    int fd;
    uint64_t written; /* bytes; a growing pattern */
};

static struct held_file named, unlinked;
static char file_name[] = "/tmp/selfcheck-XXXXXX";

static void append_pattern(struct held_file *f, size_t size)
{
    uint8_t bytes[PATTERN];

    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_at(f->written + i);
    write_all(f->fd, bytes, size);
    f->written += size;
}

static void check_file(struct held_file *f)
{
    uint8_t bytes[PATTERN];
    uint64_t from = f->written > PATTERN ? f->written - PATTERN : 0;
    struct stat st;

    must(fstat(f->fd, &st) == 0);
    must((uint64_t)st.st_size == f->written);
    must((uint64_t)lseek(f->fd, 0, SEEK_CUR) == f->written);
    must(pread(f->fd, bytes, (size_t)(f->written - from), (off_t)from) ==
         (ssize_t)(f->written - from));
    for (uint64_t i = from; i < f->written; i++)
        must(bytes[i - from] == pattern_at(i));
    append_pattern(f, 100);
}

static void named_setup(void)
{
    named.fd = mkostemp(file_name, O_CLOEXEC);
    must(named.fd >= 0);
    append_pattern(&named, PATTERN);
}

static void named_check(void)
{
    struct stat by_name, by_fd;

    must(stat(file_name, &by_name) == 0 && fstat(named.fd, &by_fd) == 0);
    must(by_name.st_ino == by_fd.st_ino);
    check_file(&named);
}

static void unlinked_setup(void)
{
    char name[] = "/tmp/selfcheck-gone-XXXXXX";

    unlinked.fd = mkostemp(name, O_CLOEXEC);
    must(unlinked.fd >= 0);
    must(unlink(name) == 0);
    append_pattern(&unlinked, PATTERN);
}

static void unlinked_check(void)
{
    struct stat st;

    must(fstat(unlinked.fd, &st) == 0 && st.st_nlink == 0);
    check_file(&unlinked);
}

static void lock_setup(void)
{
    must(flock(named.fd, LOCK_EX | LOCK_NB) == 0);
}

static void lock_check(void)
{
    int other = open(file_name, O_RDONLY | O_CLOEXEC);

    must(other >= 0);
    must(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
    close(other);
}

/* ---- timers ---- */

static int timer;
static int64_t timer_began_ms;
static uint64_t ticks;

static void timerfd_setup(void)
{
    struct timespec interval = {.tv_nsec = TICK_MS * 1000000L};
    struct itimerspec when = {.it_value = interval, .it_interval = interval};

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    must(timer >= 0);
    timer_began_ms = monotonic_ms();
    must(timerfd_settime(timer, 0, &when, NULL) == 0);
}

/* No tick is lost and none is made up: they agree with the clock that they go by. */
static void timerfd_check(void)
{
    uint64_t expired = 0;
    int64_t before = (monotonic_ms() - timer_began_ms) / TICK_MS;

    must(read(timer, &expired, sizeof(expired)) == (ssize_t)sizeof(expired));
    ticks += expired;
    int64_t after = (monotonic_ms() - timer_began_ms) / TICK_MS;
    if ((int64_t)ticks < before - TICKS_SLACK || (int64_t)ticks > after + TICKS_SLACK)
        wrong("%" PRIu64 " ticks; the clock says %" PRId64 " to %" PRId64, ticks, before, after);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    alarms++;
}

static void itimer_setup(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval when = {.it_value.tv_usec = 13000, .it_interval.tv_usec = 13000};

    must(sigaction(SIGALRM, &action, NULL) == 0);
    must(setitimer(ITIMER_REAL, &when, NULL) == 0);
}

static void itimer_check(void)
{
    static sig_atomic_t last;
    struct itimerval now;

    must(getitimer(ITIMER_REAL, &now) == 0);
    must(now.it_interval.tv_sec == 0 && now.it_interval.tv_usec >= 12000 &&
         now.it_interval.tv_usec <= 20000);
    must(alarms != last);
    last = alarms;
}

static void clock_check(void)
{
    static int64_t last;
    int64_t now = monotonic_ms();

    must(now >= last);
    last = now;
}

/* ---- connections ---- */

static int tcp;
static uint64_t tcp_number;

static void loopback_up(void)
{
    struct ifreq lo = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    must(fd >= 0);
    if (ioctl(fd, SIOCGIFFLAGS, &lo) == 0 && (lo.ifr_flags & IFF_UP) == 0) {
        lo.ifr_flags = (short)(lo.ifr_flags | IFF_UP);
        if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
            wrong("the loopback device is down and may not be set up here");
    }
    close(fd);
}

static _Noreturn void echo(int fd)
{
    uint8_t bytes[4096];

    for (;;) {
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0);
        write_all(fd, bytes, (size_t)n);
    }
}

static void tcp_setup(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    loopback_up();
    must(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0);
    must(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    if (become_partner())
        echo(accept(listener, NULL, NULL));
    close(listener);
    tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(tcp >= 0 && connect(tcp, (struct sockaddr *)&at, sizeof(at)) == 0);
}

/* The answers are always 64 numbers behind, so that bytes are under way at any instant. */
static void tcp_check(void)
{
    for (int i = 0; i < 64; i++) {
        write_all(tcp, &tcp_number, sizeof(tcp_number));
        tcp_number++;
        if (tcp_number <= 64)
            continue;
        uint64_t answer;
        read_all(tcp, &answer, sizeof(answer));
        if (answer != tcp_number - 65)
            wrong("%" PRIu64 " came back in place of %" PRIu64, answer, tcp_number - 65);
    }
}

static int pair;

static void socketpair_setup(void)
{
    int ends[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    if (become_partner())
        echo(ends[1]);
    close(ends[1]);
    pair = ends[0];
}

static void socketpair_check(void)
{
    static uint32_t number;
    uint32_t answer;

    number++;
    write_all(pair, &number, sizeof(number));
    read_all(pair, &answer, sizeof(answer));
    must(answer == number);
}

/* A pipe that is never empty. */
static int pipe_ends[2];
static uint64_t pipe_in, pipe_out;

static void pipe_put(size_t size)
{
    uint8_t bytes[PATTERN];

    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_at(pipe_in + i);
    write_all(pipe_ends[1], bytes, size);
    pipe_in += size;
}

static void pipe_setup(void)
{
    must(pipe2(pipe_ends, O_CLOEXEC) == 0);
    pipe_put(PATTERN);
}

static void pipe_check(void)
{
    uint8_t bytes[777];
    int there = 0;

    must(ioctl(pipe_ends[0], FIONREAD, &there) == 0 && there == PATTERN);
    read_all(pipe_ends[0], bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        must(bytes[i] == pattern_at(pipe_out + i));
    pipe_out += sizeof(bytes);
    pipe_put(sizeof(bytes));
}

/* ---- memory ---- */

static uint8_t *private_memory, *file_memory;
static volatile uint64_t *shared_memory;

static void memory_setup(void)
{
    private_memory =
        mmap(NULL, PATTERN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(private_memory != MAP_FAILED);
    for (size_t i = 0; i < PATTERN; i++)
        private_memory[i] = pattern_at(i);
    file_memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, unlinked.fd, 0);
    must(file_memory != MAP_FAILED);
}

static void memory_check(void)
{
    for (size_t i = 0; i < PATTERN; i++)
        must(private_memory[i] == pattern_at(i));
    for (size_t i = 0; i < 4096; i++)
        must(file_memory[i] == pattern_at(i));
}

/* A partner counts in memory that both see. */
static void shared_setup(void)
{
    shared_memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared_memory != MAP_FAILED);
    if (become_partner())
        for (;;) {
            struct timespec pause = {.tv_nsec = 3000000};
            nanosleep(&pause, NULL);
            shared_memory[0]++;
        }
}

static void shared_check(void)
{
    static uint64_t last;
    static int64_t moved_ms;
    uint64_t now = shared_memory[0];

    must(now >= last);
    if (now != last || moved_ms == 0)
        moved_ms = monotonic_ms();
    must(monotonic_ms() - moved_ms < ANSWER_MS);
    last = now;
}

/* ---- descriptors that count and watch ---- */

static int counter, watcher;

static void eventfd_setup(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 4711};

    counter = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
    watcher = epoll_create1(EPOLL_CLOEXEC);
    must(counter >= 0 && watcher >= 0);
    must(epoll_ctl(watcher, EPOLL_CTL_ADD, counter, &event) == 0);
    must(eventfd_write(counter, 3) == 0);
}

static void eventfd_check(void)
{
    struct epoll_event event = {0};
    eventfd_t value;

    must(epoll_wait(watcher, &event, 1, 0) == 1 && event.data.u64 == 4711);
    for (int i = 0; i < 3; i++)
        must(eventfd_read(counter, &value) == 0 && value == 1);
    must(eventfd_read(counter, &value) < 0 && errno == EAGAIN);
    must(epoll_wait(watcher, &event, 1, 0) == 0);
    must(eventfd_write(counter, 3) == 0);
}

static pid_t my_pid;

static void identity_check(void)
{
    if (my_pid == 0)
        my_pid = getpid();
    must(getpid() == my_pid);
}

/* clang-format off */
static const struct {
    const char *name;
    void (*setup)(void);
    void (*check)(void);
} checks[] = {
    { "open file",      named_setup,      named_check      },
    { "unlinked file",  unlinked_setup,   unlinked_check   },
    { "file lock",      lock_setup,       lock_check       },
    { "pipe",           pipe_setup,       pipe_check       },
    { "socket pair",    socketpair_setup, socketpair_check },
    { "TCP connection", tcp_setup,        tcp_check        },
    { "memory",         memory_setup,     memory_check     },
    { "shared memory",  shared_setup,     shared_check     },
    { "eventfd, epoll", eventfd_setup,    eventfd_check    },
    { "timerfd",        timerfd_setup,    timerfd_check    },
    { "interval timer", itimer_setup,     itimer_check     },
    { "clock",          NULL,             clock_check      },
    { "process id",     NULL,             identity_check   },
};
/* clang-format on */

static void on_term(int signal_number)
{
    (void)signal_number;
    told_to_end = 1;
}

/* Sleeps through the alarms; SIGTERM cuts it short. */
static void rest(void)
{
    int64_t until = monotonic_ms() + ROUND_MS;

    while (!told_to_end && monotonic_ms() < until) {
        struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char *argv[])
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t round = 0;

    signal(SIGTERM, on_term);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        checking = checks[i].name;
        if (checks[i].setup != NULL)
            checks[i].setup();
    }
    while (!told_to_end && (rounds == 0 || round < rounds)) {
        rest();
        if (told_to_end)
            break;
        round++;
        for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
            checking = checks[i].name;
            checks[i].check();
        }
        if (round % (1000 / ROUND_MS) == 0) {
            printf("PASS round %" PRIu64 "\n", round);
            fflush(stdout);
        }
    }
    unlink(file_name);
    printf("PASS selfcheck after %" PRIu64 " rounds\n", round);
    return 0;
}
