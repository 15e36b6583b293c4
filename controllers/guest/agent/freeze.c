#include "guest/agent/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/job.h"
#include "guest/agent/reply.h"
#include "guest/agent/share.h"

#define NS_PER_S    INT64_C(1000000000)
#define ENTROPY_MAX ((size_t)512)

static bool frozen;
static uint64_t freezing; /* the request that waits for the sync; 0: none, or taken back */

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
    if (o->code == SF_OK)
        frozen = true;
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

/* Credited, and used at once: clones of one guest must not draw the same numbers. */
static bool reseed(const ProtobufCBinaryData *entropy, struct outcome *o)
{
    struct {
        int entropy_count, size; /* as struct rand_pool_info */
        uint8_t bytes[ENTROPY_MAX];
    } pool = {0};
    size_t size = entropy->len < sizeof(pool.bytes) ? entropy->len : sizeof(pool.bytes);

    if (size == 0)
        return true;
    pool.entropy_count = (int)size * 8;
    pool.size = (int)size;
    memcpy(pool.bytes, entropy->data, size);
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    bool ok = fd >= 0 && ioctl(fd, RNDADDENTROPY, &pool) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0;
    if (!ok)
        outcome_fail(o, SF_INTERNAL, "the guest's random numbers could not be reseeded: %s",
                     strerror(errno));
    if (fd >= 0)
        close(fd);
    explicit_bzero(&pool, sizeof(pool));
    return ok;
}

/* Thaws even if the rest cannot be done: a guest that stays frozen is of no use to anybody. */
void freeze_end(uint64_t id, const Sandferry__V1__AgentThaw *r)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    struct outcome o = {0};

    frozen = false;
    freezing = 0;
    share_hush();
    if (set_clock(r->realtime_ns, &o))
        reseed(&r->entropy, &o);
    reply_hold(false);
    reply_send_now(id, &o, &reply);
    reply_flush();
}
