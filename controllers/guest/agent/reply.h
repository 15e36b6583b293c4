#ifndef AGENT_REPLY_H
#define AGENT_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/outcome.h"
#include "sandferry/v1/agent.pb-c.h"

/*
 * Answers to the host. While the guest is frozen they wait for the thaw, and so they do while the
 * port has no room; none is lost.
 */
void reply_send(uint64_t id, const struct outcome *o, Sandferry__V1__AgentReply *reply);
void reply_outcome(uint64_t id, const struct outcome *o); /* one without a content */

/* While held, answers wait. What is answered before this is called goes out before. */
void reply_hold(bool hold);
/* Past the hold: for what keeps the conversation itself going. */
void reply_send_now(uint64_t id, const struct outcome *o, Sandferry__V1__AgentReply *reply);

void reply_flush(void); /* sends what waited and now can go */

#endif
