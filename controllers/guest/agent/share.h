#ifndef AGENT_SHARE_H
#define AGENT_SHARE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandferry/v1/agent.pb-c.h"

/*
 * Shares: 9P file systems whose server is the host, over the shares' line. The relays go on while
 * the guest is frozen. Nothing in the agent itself may touch a file of a share: it would wait for
 * an answer that only it can bring.
 */

void share_mount(uint64_t id, const Sandferry__V1__AgentMountShare *r);
void share_unmount(uint64_t id, const Sandferry__V1__AgentUnmountShare *r);

/* From the shares' line: a packed AgentMessage. */
void share_take(const uint8_t *data, size_t size);

int share_poll(struct pollfd *fds, int room);
void share_ready(const struct pollfd *fds, int n);

/* The guest runs again after a save: a process that waits for the host's answer may hold a pipe,
 * and the answer comes when the host has done all it wants to ask this guest. Until then, or for
 * some seconds, pipes are left alone. */
void share_hush(void);
bool share_is_hushed(void);

/* After so long whoever still waits for the host gets an error: the guest is to end. */
void share_end_within(unsigned ms);
bool share_waits(void); /* share_ready() is to be called from time to time */

#endif
