/*
 * torture DIRECTORY: what programs do with files, as much and as mixed as can be, in a directory of
 * a file system that is under test; on any good one it says "good" for each line. One argument more
 * names a single case. Each case works in a directory of its own, and cleans up.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *what = "?";

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("bad  %s: line %d: %s: %s\n", what, __LINE__, #condition, strerror(errno));     \
            fflush(stdout);                                                                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static uint64_t state = 88172645463325252u;

static unsigned draw(unsigned below)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (unsigned)((state >> 33) % below);
}

static void fill(uint8_t *data, size_t size, unsigned seed)
{
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24);
    }
}

static void write_file(const char *name, const void *data, size_t size)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    MUST(fd >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const uint8_t *)data + done, size - done);
        MUST(n > 0);
        done += (size_t)n;
    }
    MUST(close(fd) == 0);
}

static size_t read_file(const char *name, void *data, size_t room)
{
    int fd = open(name, O_RDONLY);
    size_t done = 0;
    ssize_t n;

    MUST(fd >= 0);
    while ((n = read(fd, (uint8_t *)data + done, room - done)) > 0)
        done += (size_t)n;
    MUST(n == 0 && close(fd) == 0);
    return done;
}

/* Runs @run in @n processes; all must end well. */
static void in_processes(unsigned n, void (*run)(unsigned i))
{
    for (unsigned i = 0; i < n; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            state += i * 7919u;
            run(i);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        int status;
        MUST(wait(&status) > 0);
        MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static unsigned count_names(const char *path)
{
    DIR *directory = opendir(path);
    unsigned n = 0;

    MUST(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    MUST(closedir(directory) == 0);
    return n;
}

/* ---- Cases ---- */

static uint8_t data[3 << 20], found[3 << 20];

static void contents(void)
{
    static const size_t sizes[] = {0,      1,      4095,   4096,   4097,    130000,
                                   131048, 131072, 131073, 262145, 1000000, 2500000};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(data, sizes[i], i);
        write_file("f", data, sizes[i]);
        MUST(read_file("f", found, sizeof(found)) == sizes[i]);
        MUST(memcmp(data, found, sizes[i]) == 0);
        MUST(unlink("f") == 0);
    }
}

/* Reads, writes and cuts at random, against memory. */
static void random_file(const char *name, unsigned steps)
{
    static uint8_t model[300000], buffer[70000];
    size_t size = 0;
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

    memset(model, 0, sizeof(model));
    MUST(fd >= 0);
    for (unsigned i = 0; i < steps; i++) {
        size_t offset = draw(220000), length = 1 + draw(draw(2) ? 300 : 69000);
        unsigned kind = draw(10);
        if (kind < 5) {
            fill(buffer, length, i);
            MUST(pwrite(fd, buffer, length, (off_t)offset) == (ssize_t)length);
            memcpy(model + offset, buffer, length);
            size = offset + length > size ? offset + length : size;
        } else if (kind < 9) {
            size_t want = offset >= size ? 0 : offset + length > size ? size - offset : length;
            MUST(pread(fd, buffer, length, (off_t)offset) == (ssize_t)want);
            MUST(memcmp(buffer, model + offset, want) == 0);
        } else {
            MUST(ftruncate(fd, (off_t)offset) == 0);
            if (offset < size)
                memset(model + offset, 0, size - offset);
            size = offset;
        }
        if (i % 50 == 0) {
            struct stat st;
            MUST(fstat(fd, &st) == 0 && (size_t)st.st_size == size);
            MUST(draw(4) != 0 || fsync(fd) == 0);
        }
    }
    MUST(close(fd) == 0);
    MUST(read_file(name, found, sizeof(found)) == size && memcmp(found, model, size) == 0);
    MUST(unlink(name) == 0);
}

static void one_random_file(unsigned i)
{
    char name[16];

    snprintf(name, sizeof(name), "f%u", i);
    random_file(name, 400);
}

static void random_files(void)
{
    in_processes(4, one_random_file);
}

enum { APPENDERS = 4, RECORDS = 250 };

static void append(unsigned i)
{
    char record[64];
    int fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);

    MUST(fd >= 0);
    for (unsigned k = 0; k < RECORDS; k++) {
        int size = snprintf(record, sizeof(record), "<%u:%u:%.*s>\n", i, k, (int)draw(20),
                            "abcdefghijklmnopqrstuvwxyz");
        MUST(write(fd, record, (size_t)size) == size);
        if (k % 50 == 0)
            MUST(fsync(fd) == 0);
    }
    MUST(close(fd) == 0);
}

static void appending(void)
{
    unsigned next[APPENDERS] = {0}, i, k, total = 0;
    char line[64];

    in_processes(APPENDERS, append);
    FILE *file = fopen("log", "r");
    MUST(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        MUST(sscanf(line, "<%u:%u:", &i, &k) == 2 && i < APPENDERS);
        MUST(strlen(line) >= 2 && strcmp(line + strlen(line) - 2, ">\n") == 0);
        MUST(next[i]++ == k);
        total++;
    }
    MUST(fclose(file) == 0 && total == APPENDERS * RECORDS);
    MUST(unlink("log") == 0);
}

static void one_mover(unsigned i)
{
    char from[32], to[32], text[16];

    snprintf(from, sizeof(from), "a/%u-0", i);
    write_file(from, &i, sizeof(i));
    int fd = open(from, O_RDWR);
    MUST(fd >= 0);
    for (unsigned k = 1; k < 150; k++) {
        snprintf(to, sizeof(to), "%s/%u-%u", draw(2) ? "a" : "b", i, k);
        MUST(rename(from, to) == 0);
        MUST(access(from, F_OK) != 0 && errno == ENOENT);
        strcpy(from, to);
        if (k % 10 == 0) { /* the open one is followed */
            int size = snprintf(text, sizeof(text), "%u", k);
            MUST(pwrite(fd, text, (size_t)size, 0) == size);
            MUST(read_file(from, found, sizeof(found)) >= (size_t)size);
            MUST(memcmp(found, text, (size_t)size) == 0);
        }
    }
    MUST(close(fd) == 0 && unlink(from) == 0);
}

static void moving(void)
{
    MUST(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
    in_processes(4, one_mover);
    MUST(rmdir("a") == 0 && rmdir("b") == 0);
    /* A directory moves with what is open beneath it. */
    MUST(mkdir("a", 0755) == 0 && mkdir("a/x", 0755) == 0);
    write_file("a/x/f", "12345", 5);
    int fd = open("a/x/f", O_RDWR), directory = open("a/x", O_RDONLY | O_DIRECTORY);
    MUST(fd >= 0 && directory >= 0);
    MUST(rename("a", "b") == 0);
    MUST(pwrite(fd, "9", 1, 0) == 1);
    int again = openat(directory, "f", O_RDONLY);
    MUST(again >= 0 && read(again, found, 9) == 5 && found[0] == '9');
    close(again), close(fd), close(directory);
    MUST(unlink("b/x/f") == 0 && rmdir("b/x") == 0 && rmdir("b") == 0);
}

static void listing(void)
{
    enum { N = 3000 };
    char name[64];
    long places[16];
    char at[16][64];

    MUST(mkdir("d", 0755) == 0);
    for (unsigned i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "d/a-file-with-a-number-%u", i);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        MUST(fd >= 0 && close(fd) == 0);
    }
    MUST(count_names("d") == N);
    DIR *directory = opendir("d");
    struct dirent *entry;
    MUST(directory != NULL);
    for (unsigned i = 0; i < 1600; i++) {
        if (i % 100 == 50)
            places[i / 100] = telldir(directory);
        MUST((entry = readdir(directory)) != NULL);
        if (i % 100 == 50)
            strcpy(at[i / 100], entry->d_name);
    }
    for (unsigned i = 16; i-- > 0;) {
        seekdir(directory, places[i]);
        MUST((entry = readdir(directory)) != NULL && strcmp(entry->d_name, at[i]) == 0);
    }
    MUST(closedir(directory) == 0);

    /* Removed while it is read. */
    directory = opendir("d");
    MUST(directory != NULL);
    unsigned removed = 0;
    while ((entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.') {
            MUST(unlinkat(dirfd(directory), entry->d_name, 0) == 0);
            removed++;
        }
    MUST(closedir(directory) == 0 && removed == N && rmdir("d") == 0);
}

static void unlinked(void)
{
    struct stat st;
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0644);

    MUST(fd >= 0 && write(fd, "hello", 5) == 5);
    MUST(unlink("f") == 0);
    MUST(access("f", F_OK) != 0 && errno == ENOENT);
    MUST(pwrite(fd, "more", 4, 5) == 4 && pread(fd, found, 20, 0) == 9);
    MUST(memcmp(found, "hellomore", 9) == 0);
    MUST(fstat(fd, &st) == 0 && st.st_size == 9);
    MUST(ftruncate(fd, 3) == 0 && fstat(fd, &st) == 0 && st.st_size == 3);
    MUST(fchmod(fd, 0600) == 0);
    write_file("f", "another", 7);
    MUST(pread(fd, found, 20, 0) == 3 && memcmp(found, "hel", 3) == 0);
    MUST(close(fd) == 0 && unlink("f") == 0);
    /* One takes the place of one that is open. */
    write_file("old", "old", 3), write_file("new", "new", 3);
    fd = open("old", O_RDONLY);
    MUST(fd >= 0 && rename("new", "old") == 0);
    MUST(read(fd, found, 9) == 3 && memcmp(found, "old", 3) == 0);
    MUST(close(fd) == 0 && read_file("old", found, 9) == 3 && memcmp(found, "new", 3) == 0);
    MUST(unlink("old") == 0);
}

static void deep(void)
{
    char name[200];
    int up[40];

    memset(name, 'n', 190);
    name[190] = '\0';
    up[0] = open(".", O_RDONLY | O_DIRECTORY);
    for (unsigned i = 0; i < 35; i++) { /* longer than any path may be */
        MUST(mkdirat(up[i], name, 0755) == 0);
        up[i + 1] = openat(up[i], name, O_RDONLY | O_DIRECTORY);
        MUST(up[i + 1] >= 0);
    }
    int fd = openat(up[35], "f", O_RDWR | O_CREAT | O_EXCL, 0644);
    MUST(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
    MUST(unlinkat(up[35], "f", 0) == 0);
    for (unsigned i = 35; i-- > 0;) {
        close(up[i + 1]);
        MUST(unlinkat(up[i], name, AT_REMOVEDIR) == 0);
    }
    close(up[0]);
    char longest[300];
    memset(longest, 'm', 256);
    longest[256] = '\0';
    MUST(mkdir(longest, 0755) != 0 && errno == ENAMETOOLONG);
    longest[255] = '\0';
    MUST(mkdir(longest, 0755) == 0 && rmdir(longest) == 0);
    write_file("\xff\xfe", "bytes", 5);
    MUST(count_names(".") == 1 && unlink("\xff\xfe") == 0);
}

static void attributes(void)
{
    struct stat st;
    struct statfs fs;
    char text[64];
    const struct timespec times[2] = {{1000, 5}, {2000, 7}};

    umask(027);
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0666);
    MUST(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
    MUST(st.st_uid == getuid() && st.st_nlink == 1 && S_ISREG(st.st_mode));
    umask(022);
    MUST(chmod("f", 04755) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 04755);
    MUST(chown("f", 12, 34) == 0 && stat("f", &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
    MUST(utimensat(AT_FDCWD, "f", times, 0) == 0 && stat("f", &st) == 0);
    MUST(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec == 2000);
    MUST(st.st_mtim.tv_nsec == 7 || st.st_mtim.tv_nsec == 0); /* Linux's client has seconds */
    MUST(write(fd, "x", 1) == 1 && fsync(fd) == 0 && stat("f", &st) == 0 && st.st_size == 1);
    MUST(st.st_mtim.tv_sec != 2000);
    MUST(truncate("f", 5000) == 0 && fstat(fd, &st) == 0 && st.st_size == 5000);
    MUST(close(fd) == 0);
    MUST(symlink("../../some where/else", "s") == 0);
    MUST(readlink("s", text, sizeof(text)) == 21 && lstat("s", &st) == 0 && S_ISLNK(st.st_mode));
    MUST(lchown("s", 3, 4) == 0 && lstat("s", &st) == 0 && st.st_uid == 3);
    MUST(link("f", "h") == 0 && stat("f", &st) == 0 && st.st_nlink == 2);
    MUST(unlink("h") == 0 && stat("f", &st) == 0 && st.st_nlink == 1);
    MUST(mkdir("d", 02775) == 0 && chown("d", 0, 77) == 0 && chmod("d", 02775) == 0);
    write_file("d/f", "", 0);
    MUST(stat("d/f", &st) == 0 && st.st_gid == 77);
    MUST(mkdir("d/e", 0755) == 0 && stat("d/e", &st) == 0 && st.st_gid == 77);
    MUST((st.st_mode & S_ISGID) != 0);
    MUST(rmdir("d") != 0 && errno == ENOTEMPTY);
    MUST(rmdir("d/e") == 0 && unlink("d/f") == 0 && rmdir("d") == 0);
    MUST(statfs(".", &fs) == 0 && fs.f_bsize > 0 && fs.f_namelen == 255);
    MUST(unlink("f") == 0 && unlink("s") == 0);
}

static void nodes(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct stat st;

    MUST(bind(listener, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(listener, 1) == 0);
    MUST(connect(client, (struct sockaddr *)&name, sizeof(name)) == 0);
    MUST(stat("socket", &st) == 0 && S_ISSOCK(st.st_mode));
    close(listener), close(client);
    MUST(mkfifo("fifo", 0600) == 0);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK), writer = open("fifo", O_WRONLY);
    MUST(reader >= 0 && writer >= 0 && write(writer, "x", 1) == 1 && read(reader, found, 1) == 1);
    close(reader), close(writer);
    MUST(unlink("socket") == 0 && unlink("fifo") == 0);
}

static void one_locker(unsigned i)
{
    int fd = open("counter", O_RDWR);
    char text[16];

    MUST(fd >= 0);
    for (unsigned k = 0; k < 25; k++) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        MUST(i % 2 ? flock(fd, LOCK_EX) == 0 : fcntl(fd, F_SETLKW, &l) == 0);
        if (i % 2 == 0) { /* the two kinds know nothing of each other */
            ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
            MUST(n > 0);
            text[n] = '\0';
            int size = snprintf(text, sizeof(text), "%08ld", strtol(text, NULL, 10) + 1);
            MUST(pwrite(fd, text, (size_t)size, 0) == size);
        }
        l.l_type = F_UNLCK;
        MUST(i % 2 ? flock(fd, LOCK_UN) == 0 : fcntl(fd, F_SETLK, &l) == 0);
    }
    MUST(close(fd) == 0);
}

static void test_lock_from_child(unsigned i)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
    int fd = open("counter", O_RDWR);

    (void)i;
    MUST(fd >= 0 && fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_RDLCK && l.l_pid == getppid());
    l.l_type = F_WRLCK;
    MUST(fcntl(fd, F_SETLK, &l) != 0 && (errno == EAGAIN || errno == EACCES));
    l.l_type = F_RDLCK;
    MUST(fcntl(fd, F_SETLK, &l) == 0);
}

static void locking(void)
{
    write_file("counter", "00000000", 8);
    in_processes(6, one_locker);
    MUST(read_file("counter", found, 100) == 8);
    found[8] = '\0';
    MUST(strtol((const char *)found, NULL, 10) == 3 * 25);
    int fd = open("counter", O_RDWR);
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    MUST(fd >= 0 && fcntl(fd, F_SETLK, &l) == 0);
    in_processes(1, test_lock_from_child);
    MUST(close(fd) == 0 && unlink("counter") == 0);
}

static void one_creator(unsigned i)
{
    (void)i;
    for (unsigned k = 0; k < 50; k++) {
        char name[16];
        snprintf(name, sizeof(name), "x%u", k);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        MUST(fd >= 0 || errno == EEXIST);
        if (fd < 0)
            continue;
        fd = openat(AT_FDCWD, "winners", O_WRONLY | O_CREAT | O_APPEND, 0644);
        MUST(fd >= 0 && write(fd, name, strlen(name)) > 0 && write(fd, "\n", 1) == 1);
        close(fd);
    }
}

static void exclusive(void)
{
    struct stat st;

    in_processes(6, one_creator);
    MUST(count_names(".") == 51);
    MUST(stat("winners", &st) == 0 && st.st_size == 10 * 3 + 40 * 4);
    for (unsigned k = 0; k < 50; k++) {
        char name[16];
        snprintf(name, sizeof(name), "x%u", k);
        MUST(unlink(name) == 0);
    }
    MUST(unlink("winners") == 0);
}

static void mapping(void)
{
    fill(data, 500000, 3);
    write_file("m", data, 500000);
    int fd = open("m", O_RDONLY);
    const uint8_t *map = mmap(NULL, 500000, PROT_READ, MAP_PRIVATE, fd, 0);
    MUST(fd >= 0 && map != MAP_FAILED && memcmp(map, data, 500000) == 0);
    munmap((void *)(uintptr_t)map, 500000);
    close(fd);
    MUST(unlink("m") == 0);
    /* A program is run from there. */
    size_t size = read_file("/proc/self/exe", data, sizeof(data));
    write_file("program", data, size);
    MUST(chmod("program", 0755) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        execl("./program", "program", "--nothing", (char *)NULL);
        _exit(1);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    MUST(unlink("program") == 0);
}

static void one_of_everything(unsigned i)
{
    char name[16];

    snprintf(name, sizeof(name), "w%u", i);
    MUST(mkdir(name, 0755) == 0 && chdir(name) == 0);
    for (unsigned k = 0; k < 2; k++) {
        unlinked();
        attributes();
        random_file("r", 60);
        moving();
    }
    MUST(chdir("..") == 0 && rmdir(name) == 0);
}

static void everything_at_once(void)
{
    in_processes(5, one_of_everything);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"contents", contents},
    {"random files", random_files},
    {"appending", appending},
    {"moving", moving},
    {"listing", listing},
    {"unlinked", unlinked},
    {"deep", deep},
    {"attributes", attributes},
    {"nodes", nodes},
    {"locking", locking},
    {"exclusive", exclusive},
    {"mapping", mapping},
    {"everything at once", everything_at_once},
};

int main(int argc, char **argv)
{
    int bad = 0;

    if (argc > 1 && strcmp(argv[1], "--nothing") == 0)
        return 0;
    if (argc < 2 || chdir(argv[1]) != 0) {
        fprintf(stderr, "torture DIRECTORY [CASE]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = 0;
        what = cases[i].name;
        if (argc > 2 && strcmp(argv[2], what) != 0)
            continue;
        pid_t child = fork();
        if (child == 0) {
            char own[] = "case-XXXXXX";
            MUST(mkdtemp(own) != NULL && chdir(own) == 0);
            cases[i].run();
            MUST(chdir("..") == 0 && rmdir(own) == 0);
            exit(0);
        }
        bool good =
            waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        printf("%s %s\n", good ? "good" : "BAD ", what);
        bad += !good;
    }
    return bad;
}
