#include "guest/agent/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/process.h"
#include "guest/agent/reply.h"

#define NS_PER_S    INT64_C(1000000000)
#define ENTROPY_MAX ((size_t)512)

bool identity_reseed(const ProtobufCBinaryData *entropy, struct outcome *o)
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

/* ---- hostnames ---- */

static void read_hostname(char ret[HOSTNAME_SIZE])
{
    if (gethostname(ret, HOSTNAME_SIZE) < 0)
        ret[0] = '\0';
    ret[HOSTNAME_SIZE - 1] = '\0';
}

struct renaming {
    const char *from, *to;
};

/* A container that was given a name of its own keeps it. */
static void rename_here(const struct renaming *r)
{
    char now[HOSTNAME_SIZE];

    read_hostname(now);
    if (strcmp(now, r->from) == 0)
        (void)!sethostname(r->to, strlen(r->to));
}

static void rename_container(const struct process *p, void *context)
{
    char path[64];

    if (p->exec_id[0] != '\0' || p->pid == 0 || p->ended)
        return;
    snprintf(path, sizeof(path), "/proc/%d/ns/uts", (int)p->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && setns(fd, CLONE_NEWUTS) == 0)
        rename_here(context);
    if (fd >= 0)
        close(fd);
}

static bool rename_all(const char *hostname, struct outcome *o)
{
    char before[HOSTNAME_SIZE];
    struct renaming renaming = {.from = before, .to = hostname};
    int ours = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

    read_hostname(before);
    if (ours >= 0 && before[0] != '\0')
        process_each(rename_container, &renaming);
    bool ok =
        ours >= 0 && setns(ours, CLONE_NEWUTS) == 0 && sethostname(hostname, strlen(hostname)) == 0;
    if (!ok)
        outcome_fail(o, SF_INTERNAL, "the guest cannot be called '%s': %s", hostname,
                     strerror(errno));
    if (ours >= 0)
        close(ours);
    return ok;
}

/* ---- requests ---- */

static bool check_request(const Sandferry__V1__AgentSetIdentity *r, struct outcome *o)
{
    if (!machine_id_valid(r->machine_id))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' is no machine-id", r->machine_id);
    if (!hostname_valid(r->hostname))
        return outcome_fail(o, SF_INVALID_ARGUMENT, "'%.80s' is no hostname", r->hostname);
    return true;
}

static bool become(const Sandferry__V1__AgentSetIdentity *r, struct outcome *o)
{
    if (!make_directories(IDENTITY_DIR) || !machine_id_write(IDENTITY_FILE, r->machine_id))
        return outcome_fail(o, SF_INTERNAL, "'" IDENTITY_FILE "' cannot be written: %s",
                            strerror(errno));
    if (symlink(IDENTITY_FILE, "/etc/machine-id") < 0 && errno != EEXIST)
        return outcome_fail(o, SF_INTERNAL, "'/etc/machine-id' cannot be made: %s",
                            strerror(errno));
    return rename_all(r->hostname, o);
}

/* The random numbers first: whoever draws now is somebody else already. */
void identity_set(uint64_t id, const Sandferry__V1__AgentSetIdentity *r)
{
    struct outcome o = {0};
    bool reseeded = identity_reseed(&r->entropy, &o);

    if (reseeded && check_request(r, &o))
        become(r, &o);
    identity_tell(id, &o, reseeded && r->entropy.len > 0);
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void identity_tell(uint64_t id, const struct outcome *o, bool reseeded)
{
    Sandferry__V1__AgentReply reply = SANDFERRY__V1__AGENT_REPLY__INIT;
    Sandferry__V1__AgentIdentityReply body = SANDFERRY__V1__AGENT_IDENTITY_REPLY__INIT;
    char machine_id[MACHINE_ID_SIZE + 1], hostname[HOSTNAME_SIZE];

    machine_id_read(IDENTITY_FILE, machine_id);
    read_hostname(hostname);
    body.realtime_ns = now_ns(CLOCK_REALTIME);
    body.monotonic_ns = now_ns(CLOCK_MONOTONIC);
    body.reseeded = reseeded;
    body.machine_id = machine_id;
    body.hostname = hostname;
    if (o->code == SF_OK) {
        reply.body_case = SANDFERRY__V1__AGENT_REPLY__BODY_IDENTITY;
        reply.identity = &body;
    }
    reply_send_now(id, o, &reply);
}
