#include "guest/agent/crun.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/container.h"
#include "guest/agent/program.h"

#define STATE_DIR RUN_DIR "/crun"

bool crun_knows(const char *container_id)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), STATE_DIR "/%s", container_id);
    return access(path, F_OK) == 0;
}

/* The last line that it logged; lines begin with a time. */
static void last_words(const char *log, char *ret, size_t room)
{
    char text[2048];

    if (read_file(log, text, sizeof(text)) <= 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    const char *words = strstr(text, "Z: ");
    snprintf(ret, room, "%s", words != NULL ? words + 3 : text);
}

static bool run(const char *container_id, const char *log, const char *const *words, const int *fds,
                struct outcome *o)
{
    char log_argument[PATH_MAX + 8], said[600];
    const char *argv[20] = {"/usr/bin/crun", "--root=" STATE_DIR, "--cgroup-manager=cgroupfs",
                            log_argument, "--log-format=text"};
    size_t n = 5;

    for (size_t i = 0; words[i] != NULL; i++)
        argv[n++] = words[i];
    argv[n] = container_id;
    snprintf(log_argument, sizeof(log_argument), "--log=%s", log);
    unlink(log);
    if (program_run((char *const *)argv, fds, said, sizeof(said)))
        return true;
    last_words(log, said, sizeof(said));
    return outcome_fail(o, SF_FAILED_PRECONDITION, "container '%s': crun %s: %s", container_id,
                        words[0], said);
}

static void words_of(const char *command, const char *const *arguments, const char *ret[10])
{
    size_t n = 0;

    ret[n++] = command;
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL && i < 8; i++)
        ret[n++] = arguments[i];
    ret[n] = NULL;
}

bool crun_run(const char *container_id, const char *command, const char *const *arguments,
              const int *fds, struct outcome *o)
{
    const char *words[10];
    char log[PATH_MAX];

    words_of(command, arguments, words);
    snprintf(log, sizeof(log), CONTAINERS_DIR "/%s/log", container_id);
    return run(container_id, log, words, fds, o);
}

bool crun_exec(const char *container_id, const char *log, const char *const *arguments,
               const int *fds, struct outcome *o)
{
    const char *words[10];

    words_of("exec", arguments, words);
    return run(container_id, log, words, fds, o);
}
