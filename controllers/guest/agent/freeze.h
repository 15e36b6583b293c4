#ifndef AGENT_FREEZE_H
#define AGENT_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

#include "sandferry/v1/agent.pb-c.h"

/*
 * While the guest is frozen for a save, the agent takes no output from the processes (their pipes
 * fill up, and they wait), sends no event, and holds its answers back, until the thaw: at the
 * source if the save is taken back, or in the restored guest. The processes themselves run on.
 */
bool freeze_is_on(void);

void freeze_begin(uint64_t id);
void freeze_end(uint64_t id, const Sandferry__V1__AgentThaw *request);

#endif
