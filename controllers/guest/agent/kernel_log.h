#ifndef AGENT_KERNEL_LOG_H
#define AGENT_KERNEL_LOG_H

#include <stddef.h>

/* What the kernel says about a thing that it refuses: open before, read after. -1: cannot be. */
int kernel_log_open(void);
/* The texts since then, with "; " between them; "" if there are none. Closes. */
void kernel_log_read(int fd, char *ret, size_t room);

#endif
