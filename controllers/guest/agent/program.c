#include "guest/agent/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void become(char *const argv[], const int *fds, int said)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int own[3] = {nothing, said, said};

    for (int i = 0; i < 3; i++)
        if (dup2(fds != NULL ? fds[i] : own[i], i) < 0)
            _exit(126);
    execv(argv[0], argv);
    dprintf(STDERR_FILENO, "'%s': %s", argv[0], strerror(errno));
    _exit(127);
}

/* Until the program and all that it leaves behind have closed it, or enough has been said. */
static void read_words(int fd, char *ret, size_t room)
{
    size_t size = 0;
    ssize_t n;

    while (size < room - 1 && (n = read(fd, ret + size, room - 1 - size)) != 0) {
        if (n < 0 && errno != EINTR)
            break;
        size += n > 0 ? (size_t)n : 0;
    }
    ret[size] = '\0';
}

bool program_run(char *const argv[], const int *fds, char *ret_words, size_t room)
{
    int ends[2], status = -1;

    ret_words[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) < 0) {
        snprintf(ret_words, room, "%s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(argv, fds, ends[1]);
    close(ends[1]);
    if (pid > 0 && fds == NULL)
        read_words(ends[0], ret_words, room);
    close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (ret_words[0] == '\0' && pid > 0 && WIFSIGNALED(status))
        snprintf(ret_words, room, "ended by signal %d", WTERMSIG(status));
    else if (ret_words[0] == '\0')
        snprintf(ret_words, room, "ended with status %d", pid > 0 ? WEXITSTATUS(status) : -1);
    return false;
}
