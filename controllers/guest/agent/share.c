#include "guest/agent/share.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/aside.h"
#include "guest/agent/files.h"
#include "guest/agent/job.h"
#include "guest/agent/modules.h"
#include "guest/agent/port.h"
#include "guest/agent/relay.h"
#include "guest/agent/reply.h"
#include "guest/agent/users.h"

#define LINE_MS   1000
#define HUSH_MS   10000
#define PATH_ROOM 512
#define MSIZE_MIN 4096
#define MSIZE_MAX (256 * 1024)
#define HELD_MAX  ((size_t)1024 * 1024) /* that kernels have not taken: more is left on the line */

typedef Sandferry__V1__AgentMountShare MountShare;
typedef Sandferry__V1__AgentUnmountShare UnmountShare;

enum stage { MOUNTING, MOUNTED, UNMOUNTING, UNMOUNTED };

struct share {
    struct share *next;
    enum stage stage;
    struct relay relay;
    char path[PATH_ROOM];
    bool then_unmount; /* as soon as the mount has come to its end, for: */
    uint64_t unmount_id;
};

static struct share *shares;
static int64_t end_at_ms;     /* 0: not to end */
static int64_t hush_until_ms; /* 0: not hushed */

static struct share *find(uint64_t number)
{
    for (struct share *s = shares; s != NULL; s = s->next)
        if (s->relay.share == number)
            return s;
    return NULL;
}

static void forget(struct share *s)
{
    struct share **link = &shares;

    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    relay_hang_up(&s->relay);
    free(s);
}

/* What the host says is for all of them: where one is full, it waits. */
static void look_for_room(void)
{
    size_t held = 0;

    for (const struct share *s = shares; s != NULL; s = s->next)
        held += s->relay.n_held;
    port_pause(PORT_SHARES, held > HELD_MAX);
}

/* ---- mounting ---- */

struct mounting {
    const MountShare *request;
    int kernel_end, agent_end;
};

/* The kernel finds a machine's ports one after the other: this one may come a moment after the one
 * that the host asks on. */
static bool open_line(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int tries = 0; !port_open(PORT_SHARES); tries++) {
        if (tries == LINE_MS)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool check_request(const MountShare *r, struct outcome *o)
{
    if (!path_beneath(r->guest_path, RUN_DIR) || strlen(r->guest_path) >= PATH_ROOM)
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "share %" PRIu64 ": '%.400s' is no mount point beneath " RUN_DIR,
                            r->share, r->guest_path);
    if (r->msize < MSIZE_MIN || r->msize > MSIZE_MAX)
        return outcome_fail(o, SF_INVALID_ARGUMENT,
                            "share %" PRIu64 ": messages of %u bytes: %d to %d are possible",
                            r->share, r->msize, MSIZE_MIN, MSIZE_MAX);
    if (!open_line())
        return outcome_fail(o, SF_FAILED_PRECONDITION,
                            "this machine has no line for shares: create the sandbox anew with a "
                            "daemon that knows them");
    return true;
}

/* In a child: the kernel talks to the host before this returns. */
static bool run_mount(const void *context, struct outcome *o)
{
    const struct mounting *m = context;
    const MountShare *r = m->request;
    char source[32], options[256];

    close(m->agent_end);
    modules_load("plan9");
    if (!make_directories(r->guest_path))
        return outcome_fail(o, SF_UNAVAILABLE, "'%s': %s", r->guest_path, strerror(errno));
    if (is_mount_point(r->guest_path))
        return outcome_fail(o, SF_ALREADY_EXISTS, "share %" PRIu64 ": something is mounted on '%s'",
                            r->share, r->guest_path);
    snprintf(source, sizeof(source), "share-%" PRIu64, r->share);
    /* Each user of the guest attaches for itself, so that files get their owners; the guest's
     * kernel says who may do what. Nothing is kept here that others change on the host. */
    snprintf(options, sizeof(options),
             "trans=fd,rfdno=%d,wfdno=%d,version=9p2000.L,aname=%" PRIu64
             ",access=client,cache=none,msize=%u",
             m->kernel_end, m->kernel_end, r->share, r->msize);
    if (mount(source, r->guest_path, "9p", MS_NODEV | (r->read_only ? MS_RDONLY : 0), options) == 0)
        return true;
    int saved = errno;
    rmdir(r->guest_path);
    return outcome_fail(o, SF_UNAVAILABLE, "share %" PRIu64 " could not be mounted on '%s': %s",
                        r->share, r->guest_path, strerror(saved));
}

static void start_unmount(struct share *s, uint64_t id);

static void mounted(uint64_t id, void *context, const struct outcome *o)
{
    struct share *s = context;
    const struct outcome none = {0};

    reply_outcome(id, o);
    bool unmount = s->then_unmount;
    s->then_unmount = false;
    if (o->code == SF_OK) {
        s->stage = MOUNTED;
        if (unmount)
            start_unmount(s, s->unmount_id);
        return;
    }
    if (unmount)
        reply_outcome(s->unmount_id, &none);
    s->stage = UNMOUNTED; /* goes when the host has been told */
    share_ready(NULL, 0);
    aside_wake();
}

static struct share *new_share(const MountShare *r, int *ret_kernel_end, struct outcome *o)
{
    struct share *s = calloc(1, sizeof(*s));

    if (s == NULL || !relay_open(&s->relay, r->share, ret_kernel_end)) {
        free(s);
        outcome_fail(o, SF_RESOURCE_EXHAUSTED, "the guest has no room for share %" PRIu64,
                     r->share);
        return NULL;
    }
    snprintf(s->path, sizeof(s->path), "%s", r->guest_path);
    s->next = shares;
    shares = s;
    return s;
}

/* One that is there. A repeat is no error. */
static void mount_again(const struct share *s, uint64_t id, const MountShare *r)
{
    struct outcome o = {0};

    if (s->stage != MOUNTED || s->relay.fd < 0)
        outcome_fail(&o, SF_FAILED_PRECONDITION, "share %" PRIu64 " on '%s' is %s", r->share,
                     s->path,
                     s->stage == MOUNTING  ? "being mounted"
                     : s->stage == MOUNTED ? "not served any more: unmount it"
                                           : "being unmounted");
    else if (strcmp(s->path, r->guest_path) != 0)
        outcome_fail(&o, SF_ALREADY_EXISTS, "share %" PRIu64 " is mounted on '%s'", r->share,
                     s->path);
    reply_outcome(id, &o);
}

void share_mount(uint64_t id, const MountShare *r)
{
    struct share *s = find(r->share);
    struct outcome o = {0};
    struct mounting m = {.request = r};

    if (s != NULL) {
        mount_again(s, id, r);
        return;
    }
    if (!check_request(r, &o) || (s = new_share(r, &m.kernel_end, &o)) == NULL) {
        reply_outcome(id, &o);
        return;
    }
    m.agent_end = s->relay.fd;
    job_start(id, run_mount, &m, mounted, s);
    close(m.kernel_end);
    aside_wake();
}

/* ---- unmounting ---- */

static bool in_use(const char *path, const char *users, struct outcome *o)
{
    return outcome_fail(o, SF_FAILED_PRECONDITION,
                        "'%s' is in use in the guest: %s; end that first", path,
                        users[0] != '\0' ? users : "something has it open");
}

/* In a child: the kernel tells the host before this returns. Whoever has it mounted elsewhere would
 * keep it, unseen. */
static bool run_unmount(const void *request, struct outcome *o)
{
    const char *path = ((const struct share *)request)->path;
    char users[500];

    if (mount_users("/proc", path, users, sizeof(users)) > 0)
        return in_use(path, users, o);
    if (umount2(path, UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return errno == EBUSY ? in_use(path, users, o)
                              : outcome_fail(o, SF_UNAVAILABLE, "'%s' cannot be unmounted: %s",
                                             path, strerror(errno));
    rmdir(path);
    return true;
}

static void unmounted(uint64_t id, void *context, const struct outcome *o)
{
    struct share *s = context;

    s->stage = o->code == SF_OK ? UNMOUNTED : MOUNTED;
    share_ready(NULL, 0); /* what the kernel has said last comes before the answer */
    aside_wake();
    reply_outcome(id, o);
}

static void start_unmount(struct share *s, uint64_t id)
{
    s->stage = UNMOUNTING;
    job_start(id, run_unmount, s, unmounted, s);
}

/* A mount that no host answers is waited for by nobody any more. */
static void end_mounting(struct share *s, uint64_t id)
{
    s->then_unmount = true;
    s->unmount_id = id;
    relay_hang_up(&s->relay);
}

void share_unmount(uint64_t id, const UnmountShare *r)
{
    struct share *s = find(r->share);
    struct outcome o = {0};

    if (s != NULL && strcmp(s->path, r->guest_path) != 0)
        outcome_fail(&o, SF_INVALID_ARGUMENT, "share %" PRIu64 " is mounted on '%s', not there",
                     r->share, s->path);
    else if (s != NULL && (s->stage == UNMOUNTING || s->then_unmount))
        outcome_fail(&o, SF_FAILED_PRECONDITION, "share %" PRIu64 " is being unmounted already",
                     r->share);
    else if (s != NULL && s->stage == MOUNTING) {
        end_mounting(s, id);
        return;
    } else if (s != NULL && s->stage == MOUNTED) {
        start_unmount(s, id);
        return;
    }
    reply_outcome(id, &o);
}

/* ---- the relays ---- */

void share_take(const uint8_t *data, size_t size)
{
    Sandferry__V1__AgentMessage *m = sandferry__v1__agent_message__unpack(NULL, size, data);
    bool good = m != NULL && m->body_case == SANDFERRY__V1__AGENT_MESSAGE__BODY_REQUEST &&
                m->request->body_case == SANDFERRY__V1__AGENT_REQUEST__BODY_SHARE_DATA;
    const Sandferry__V1__AgentShareData *piece = good ? m->request->share_data : NULL;
    struct share *s = good ? find(piece->share) : NULL;

    if (!good)
        agent_log("a message of %zu bytes on the shares' line is no piece, continuing", size);
    hush_until_ms = 0;
    if (s != NULL)
        relay_give(&s->relay, piece->data.data, piece->data.len, piece->closed);
    sandferry__v1__agent_message__free_unpacked(m, NULL);
    look_for_room();
}

int share_poll(struct pollfd *fds, int room)
{
    int n = 0;

    for (const struct share *s = shares; s != NULL && n < room; s = s->next) {
        short wants = relay_wants(&s->relay);
        if (wants != 0)
            fds[n++] = (struct pollfd){.fd = s->relay.fd, .events = wants};
    }
    return n;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ready(const struct pollfd *fd)
{
    for (struct share *s = shares; s != NULL; s = s->next)
        if (s->relay.fd == fd->fd) {
            relay_ready(&s->relay, fd->revents);
            return;
        }
}

/* Those that are not mounted go when the kernel has no more to say. */
static void sweep(void)
{
    for (struct share *s = shares, *next; s != NULL; s = next) {
        next = s->next;
        while (s->stage == UNMOUNTED && (relay_wants(&s->relay) & POLLIN) != 0 &&
               relay_read(&s->relay))
            continue;
        if (s->stage == UNMOUNTED && s->relay.fd < 0)
            forget(s);
    }
}

void share_ready(const struct pollfd *fds, int n)
{
    for (int i = 0; i < n; i++)
        if (fds[i].revents != 0)
            ready(&fds[i]);
    sweep();
    for (struct share *s = shares; end_at_ms != 0 && now_ms() >= end_at_ms && s != NULL;
         s = s->next)
        relay_hang_up(&s->relay);
    look_for_room();
}

void share_hush(void)
{
    hush_until_ms = 0;
    for (const struct share *s = shares; s != NULL; s = s->next)
        if (relay_is_asked(&s->relay))
            hush_until_ms = now_ms() + HUSH_MS;
}

bool share_is_hushed(void)
{
    return hush_until_ms != 0 && now_ms() < hush_until_ms;
}

void share_end_within(unsigned ms)
{
    end_at_ms = now_ms() + ms;
    aside_wake();
}

bool share_waits(void)
{
    return end_at_ms != 0;
}
