#include "guest/agent/kernel_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int kernel_log_open(void)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0)
        lseek(fd, 0, SEEK_END);
    return fd;
}

void kernel_log_read(int fd, char *ret, size_t room)
{
    char record[1024];
    size_t used = 0;
    ssize_t n;

    ret[0] = '\0';
    if (fd < 0)
        return;
    while (used < room && (n = read(fd, record, sizeof(record) - 1)) > 0) {
        record[n] = '\0';
        record[strcspn(record, "\n")] = '\0'; /* properties follow */
        const char *text = strchr(record, ';');
        if (text != NULL)
            used +=
                (size_t)snprintf(ret + used, room - used, "%s%s", used > 0 ? "; " : "", text + 1);
    }
    close(fd);
}
