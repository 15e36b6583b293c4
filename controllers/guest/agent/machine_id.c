/* The file that says who the guest is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/identity.h"

bool machine_id_valid(const char *text)
{
    return strlen(text) == MACHINE_ID_SIZE && strspn(text, "0123456789abcdef") == MACHINE_ID_SIZE &&
           strspn(text, "0") != MACHINE_ID_SIZE;
}

bool hostname_valid(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size < HOSTNAME_SIZE && text[0] != '-' && text[0] != '.' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == size;
}

/* In one write, so that nobody reads half of it. */
bool machine_id_write(const char *path, const char *machine_id)
{
    char line[MACHINE_ID_SIZE + 2];
    int n = snprintf(line, sizeof(line), "%s\n", machine_id);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);

    if (fd < 0)
        return false;
    bool ok = pwrite(fd, line, (size_t)n, 0) == n && ftruncate(fd, n) == 0;
    int why = errno;
    close(fd);
    errno = why;
    return ok;
}

void machine_id_read(const char *path, char ret[MACHINE_ID_SIZE + 1])
{
    char line[MACHINE_ID_SIZE + 3];

    ret[0] = '\0';
    if (read_file(path, line, sizeof(line)) < 0)
        return;
    line[strcspn(line, "\n")] = '\0';
    if (machine_id_valid(line))
        memcpy(ret, line, MACHINE_ID_SIZE + 1);
}
