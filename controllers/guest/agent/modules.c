#include "guest/agent/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/agent/files.h"
#include "guest/agent/outcome.h"

void modules_each(const char *directory, const char *group, modules_each_fn each, void *context)
{
    char path[PATH_MAX], line[256];

    snprintf(path, sizeof(path), "%s/%s.list", directory, group);
    FILE *list = fopen(path, "re");
    if (list == NULL)
        return;
    while (fgets(line, sizeof(line), list) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || strchr(line, '/') != NULL)
            continue;
        snprintf(path, sizeof(path), "%s/%s", directory, line);
        each(context, path);
    }
    fclose(list);
}

/* Asked first, since the kernel reads and checks a whole file before it says EEXIST. */
static bool is_live(const char *path)
{
    char state[PATH_MAX], text[16];
    const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
    size_t size = strcspn(file, ".");

    int begin = snprintf(state, sizeof(state), "/sys/module/");
    snprintf(state + begin, sizeof(state) - (size_t)begin, "%.*s/initstate", (int)size, file);
    for (char *c = state + begin; c < state + begin + size; c++)
        if (*c == '-')
            *c = '_';
    return read_file(state, text, sizeof(text)) > 0 && strncmp(text, "live", 4) == 0;
}

static void load(void *context, const char *path)
{
    (void)context;
    if (is_live(path))
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
        agent_log("module '%s': %s, continuing", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

void modules_load(const char *group)
{
    modules_each(MODULES_DIR, group, load, NULL);
}
