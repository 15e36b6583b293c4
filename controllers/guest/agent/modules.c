/* Kernel modules, in the order in which the image's build wrote them: /lib/modules/GROUP.list. */
#include "guest/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char loaded[16][32];

static bool mark(const char *group)
{
    for (size_t i = 0; i < sizeof(loaded) / sizeof(loaded[0]); i++) {
        if (strcmp(loaded[i], group) == 0)
            return false;
        if (loaded[i][0] == '\0') {
            snprintf(loaded[i], sizeof(loaded[i]), "%s", group);
            return true;
        }
    }
    return false;
}

static void load(const char *file)
{
    char path[256];
    snprintf(path, sizeof(path), "/lib/modules/%s", file);

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
        agent_log("module '%s': %s, continuing", file, strerror(errno));
    if (fd >= 0)
        close(fd);
}

void modules_load(const char *group)
{
    char path[64], line[128];

    if (!mark(group))
        return;
    snprintf(path, sizeof(path), "/lib/modules/%s.list", group);
    FILE *list = fopen(path, "re");
    if (list == NULL)
        return;
    while (fgets(line, sizeof(line), list) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0')
            load(line);
    }
    fclose(list);
}
