#include "guest/agent/freeze.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/identity.h"
#include "guest/agent/job.h"
#include "guest/agent/reply.h"
#include "guest/agent/share.h"

#define NS_PER_S INT64_C(1000000000)

static bool frozen;
static struct timespec frozen_at; /* by CLOCK_MONOTONIC */
static uint64_t freezing;         /* the request that waits for the sync; 0: none, or taken back */

bool freeze_is_on(void)
{
    return frozen;
}

/* In a child: it takes as long as the disks take. */
static bool write_back(const void *request, struct outcome *o)
{
    (void)request;
    (void)o;
    sync();
    return true;
}

/* Everything that was said before goes out before this answer, and nothing after it. */
static void written_back(uint64_t id, void *context, const struct outcome *o)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    struct outcome gone = {0};
    (void)context;

    if (freezing != id) {
        outcome_fail(&gone, SF_CANCELLED, "the freeze was taken back");
        reply_outcome(id, &gone);
        return;
    }
    freezing = 0;
    if (o->code == SF_OK) {
        frozen = true;
        clock_gettime(CLOCK_MONOTONIC, &frozen_at);
    }
    reply_hold(frozen);
    reply_send_now(id, o, &reply);
}

void freeze_begin(uint64_t id)
{
    freezing = id;
    job_start(id, write_back, NULL, written_back, NULL);
}

static bool set_clock(int64_t realtime_ns, struct outcome *o)
{
    struct timespec now = {.tv_sec = (time_t)(realtime_ns / NS_PER_S),
                           .tv_nsec = (long)(realtime_ns % NS_PER_S)};

    if (realtime_ns <= 0 || clock_settime(CLOCK_REALTIME, &now) == 0)
        return true;
    return outcome_fail(o, SF_INVALID_ARGUMENT, "the guest's clock could not be set to %lld ns: %s",
                        (long long)realtime_ns, strerror(errno));
}

/* A save and a restore may take any time, and the guest has not seen it: but never backwards. */
static bool check_monotonic(struct outcome *o)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > frozen_at.tv_sec ||
        (now.tv_sec == frozen_at.tv_sec && now.tv_nsec >= frozen_at.tv_nsec))
        return true;
    return outcome_fail(
        o, SF_INTERNAL,
        "the guest's monotonic clock has gone back from %lld.%09ld s to %lld.%09ld s",
        (long long)frozen_at.tv_sec, frozen_at.tv_nsec, (long long)now.tv_sec, now.tv_nsec);
}

/* Thaws even if the rest cannot be done: a guest that stays frozen is of no use to anybody. The
 * random numbers are new before the clock tells those who wait for it that time has passed. */
void freeze_end(uint64_t id, const Sandferry__V1__AgentThaw *r)
{
    struct outcome o = {0};

    frozen = false;
    freezing = 0;
    share_hush();
    bool reseeded = identity_reseed(&r->entropy, &o);
    if (reseeded && check_monotonic(&o))
        set_clock(r->realtime_ns, &o);
    reply_hold(false);
    identity_tell(id, &o, reseeded && r->entropy.len > 0);
    reply_flush();
}
