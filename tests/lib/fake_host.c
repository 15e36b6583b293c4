#include "lib/fake_host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "sandferry/v1/agent.pb-c.h"

extern const struct sf_controller_class *sf_controller_class_v1(void);

typedef Sandferry__V1__AgentRequest request_t;
typedef Sandferry__V1__AgentReply reply_t;

static char root[64], memory_directory[96];
static const char *allowed;
static struct {
    const char *name, *value;
} settings[8];

/* ---- steps ---- */

static pthread_mutex_t steps_lock = PTHREAD_MUTEX_INITIALIZER; /* of the trace, and the pieces */
static struct {
    unsigned done, fail_at;
    enum fake_failure how;
    bool failed;
    struct sf_text trace;
} steps;

void fake_fail(unsigned nth, enum fake_failure how)
{
    steps.done = 0;
    steps.fail_at = nth;
    steps.how = how;
    steps.failed = false;
}

unsigned fake_steps(void)
{
    return steps.done;
}

bool fake_failed(void)
{
    return steps.failed;
}

const char *fake_trace(void)
{
    return steps.trace.data != NULL ? steps.trace.data : "";
}

void fake_trace_clear(void)
{
    pthread_mutex_lock(&steps_lock);
    sf_text_done(&steps.trace);
    pthread_mutex_unlock(&steps_lock);
}

unsigned fake_trace_count(const char *text)
{
    unsigned n = 0;

    for (const char *at = fake_trace(); (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* One more step. True: this is the one that fails. */
static bool step_fails(const char *fmt, ...)
{
    va_list args;

    pthread_mutex_lock(&steps_lock);
    va_start(args, fmt);
    sf_text_addv(&steps.trace, fmt, args);
    va_end(args);
    bool fails = ++steps.done == steps.fail_at;
    steps.failed = steps.failed || fails;
    sf_text_add(&steps.trace, "%s\n", fails ? " (fails)" : "");
    pthread_mutex_unlock(&steps_lock);
    return fails;
}

static bool refused(struct sf_error **err)
{
    return sf_fail(err, steps.how == FAKE_SILENT ? SF_UNAVAILABLE : SF_FAILED_PRECONDITION,
                   "a failure that a test asked for");
}

/* ---- the host ---- */

bool fake_host_make(void)
{
    snprintf(root, sizeof(root), "/dev/shm/sandferry-test-XXXXXX");
    memset(settings, 0, sizeof(settings));
    if (mkdtemp(root) == NULL)
        return false;
    snprintf(memory_directory, sizeof(memory_directory), "%s/memory", root);
    fake_host_set("memory-dir", memory_directory);
    fake_host_allow(NULL);
    fake_fail(0, FAKE_REFUSED);
    fake_trace_clear();
    fake_machine_answers(NULL);
    fake_machine_forbids_writable_shares(false);
    fake_guest_answers(NULL);
    return true;
}

static void forget_conversations(void);

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fake_host_remove(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    fake_trace_clear();
    forget_conversations();
}

const char *fake_host_root(void)
{
    return root;
}

void fake_host_allow(const char *beneath)
{
    allowed = beneath;
}

void fake_host_set(const char *setting, const char *value)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (settings[i].name == NULL || strcmp(settings[i].name, setting) == 0) {
            settings[i].name = setting;
            settings[i].value = value;
            return;
        }
}

const char *fake_host_memory_directory(void)
{
    return memory_directory;
}

/* ---- a sandbox ---- */

struct sf_sandbox *fake_sandbox_new(const char *id)
{
    struct sf_sandbox *s = calloc(1, sizeof(*s));
    const struct sf_controller_class *cls = sf_controller_class_v1();
    struct sf_error *err = NULL;

    snprintf(s->id, sizeof(s->id), "%s", id);
    snprintf(s->directory, sizeof(s->directory), "%s/%s", root, id);
    mkdir(s->directory, 0700);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->line, NULL);
    pthread_mutex_lock(&s->lock);
    s->vm.sandbox = s;
    s->controller = calloc(1, cls->instance_size);
    *s->controller = (struct sf_controller){.cls = cls, .sandbox = s};
    if (cls->init != NULL && !cls->init(s->controller, &err))
        abort();
    return s;
}

void fake_sandbox_free(struct sf_sandbox *s)
{
    const struct sf_controller_class *cls = s->controller->cls;

    if (cls->destroy != NULL)
        cls->destroy(s->controller);
    if (cls->fini != NULL)
        cls->fini(s->controller);
    free(s->controller);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->line);
    free(s->invalid);
    free(s);
}

bool fake_sandbox_await_invalid(struct sf_sandbox *s, unsigned timeout_ms)
{
    int64_t deadline = sf_clock_monotonic_ns() + timeout_ms * SF_NS_PER_MS;

    while (s->invalid == NULL && sf_clock_monotonic_ns() < deadline) {
        pthread_mutex_unlock(&s->lock);
        poll(NULL, 0, 5);
        pthread_mutex_lock(&s->lock);
    }
    return s->invalid != NULL;
}

/* ---- the machine ---- */

static fake_machine_fn machine_fn;
static uint32_t next_set;
static bool forbids_writable_shares;

void fake_machine_answers(fake_machine_fn fn)
{
    machine_fn = fn;
}

void fake_machine_forbids_writable_shares(bool forbids)
{
    forbids_writable_shares = forbids;
}

static bool do_command(const char *command, const char *arguments, char **ret_json,
                       struct sf_error **err)
{
    if (machine_fn != NULL)
        return machine_fn(command, arguments, ret_json, err);
    *ret_json = strdup("{}");
    return true;
}

static bool machine_execute(struct sf_controller *owner, const char *command, const char *arguments,
                            char **ret_json, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *answer = NULL;
    bool fails = step_fails("qmp %s %s", command, arguments != NULL ? arguments : "");

    (void)owner;
    if (fails && steps.how == FAKE_REFUSED)
        return refused(err);
    if (!do_command(command, arguments, &answer, err))
        return false;
    if (fails)
        return refused(err);
    if (ret_json != NULL)
        *ret_json = SF_STEAL(answer);
    return true;
}

static bool machine_add_fd(struct sf_controller *owner, int fd, uint32_t *ret_set,
                           struct sf_error **err)
{
    (void)owner;
    (void)fd;
    if (step_fails("qmp add-fd"))
        return refused(err);
    *ret_set = next_set++;
    return true;
}

static bool machine_remove_fd(struct sf_controller *owner, uint32_t set, struct sf_error **err)
{
    (void)owner;
    return step_fails("qmp remove-fd %u", set) ? refused(err) : true;
}

static bool machine_get_fd(struct sf_controller *owner, const char *name, int fd,
                           struct sf_error **err)
{
    (void)owner;
    (void)fd;
    return step_fails("qmp getfd %s", name) ? refused(err) : true;
}

static bool machine_remove_device(struct sf_controller *owner, const char *id, uint32_t timeout_ms,
                                  struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *answer = NULL;
    SF_CLEANUP(sf_freep) char *arguments = sf_format("{\"id\":\"%s\"}", id);
    bool fails = step_fails("qmp device_del %s", arguments);

    (void)owner;
    (void)timeout_ms;
    if (fails && steps.how == FAKE_REFUSED)
        return refused(err);
    return do_command("device_del", arguments, &answer, err) && (fails ? refused(err) : true);
}

static bool machine_no_writable_file_shares(struct sf_controller *owner)
{
    (void)owner;
    return forbids_writable_shares;
}

static bool machine_file_saved(struct sf_controller *owner, uint64_t device, uint64_t inode,
                               int64_t *ret_modified_ns)
{
    (void)owner;
    (void)device;
    (void)inode;
    (void)ret_modified_ns;
    return false;
}

static const struct sf_machine_offer machine_offer = {
    .size = sizeof(machine_offer),
    .execute = machine_execute,
    .add_fd = machine_add_fd,
    .remove_fd = machine_remove_fd,
    .remove_device = machine_remove_device,
    .get_fd = machine_get_fd,
    .file_saved = machine_file_saved,
    .no_writable_file_shares = machine_no_writable_file_shares,
};

/* ---- the guest ---- */

static fake_guest_fn guest_fn;
static request_t *guest_last; /* owned */

void fake_guest_answers(fake_guest_fn fn)
{
    guest_fn = fn;
}

const void *fake_guest_last(void)
{
    return guest_last;
}

static void forget_request(void)
{
    if (guest_last != NULL)
        sandferry__v1__agent_request__free_unpacked(guest_last, NULL);
    guest_last = NULL;
}

static void keep_request(const request_t *request)
{
    size_t size = sandferry__v1__agent_request__get_packed_size(request);
    uint8_t *data = malloc(size + 1);

    forget_request();
    sandferry__v1__agent_request__pack(request, data);
    guest_last = sandferry__v1__agent_request__unpack(NULL, size, data);
    free(data);
}

static const char *name_of(const request_t *request)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
        &sandferry__v1__agent_request__descriptor, (unsigned)request->body_case);

    return field != NULL ? field->name : "nothing";
}

/* Where it was wanted, there it is. */
static void say_where(const request_t *request, reply_t *reply)
{
    if (request->body_case != SANDFERRY__V1__AGENT_REQUEST__BODY_MOUNT_DISK)
        return;
    reply->body_case = SANDFERRY__V1__AGENT_REPLY__BODY_MOUNT_DISK;
    reply->mount_disk = calloc(1, sizeof(*reply->mount_disk));
    sandferry__v1__agent_mount_disk_reply__init(reply->mount_disk);
    reply->mount_disk->guest_path = request->mount_disk->block_device
                                        ? strdup("/dev/sda")
                                        : strdup(request->mount_disk->guest_path);
}

static bool guest_call(struct sf_controller *owner, void *request, uint32_t timeout_ms, void **ret,
                       struct sf_error **err)
{
    reply_t *reply = calloc(1, sizeof(*reply));
    bool fails = step_fails("guest %s", name_of(request)), ok = true;

    (void)owner;
    (void)timeout_ms;
    keep_request(request);
    sandferry__v1__agent_reply__init(reply);
    if (fails && steps.how == FAKE_REFUSED)
        ok = refused(err);
    else if (guest_fn != NULL)
        ok = guest_fn(request, reply, err);
    else
        say_where(request, reply);
    if (ok && fails)
        ok = refused(err);
    if (ok && ret != NULL)
        *ret = SF_STEAL(reply);
    if (reply != NULL)
        sandferry__v1__agent_reply__free_unpacked(reply, NULL);
    return ok;
}

static bool guest_listen(struct sf_controller *owner, struct sf_controller *listener,
                         sf_guest_event_fn fn, struct sf_error **err)
{
    (void)owner;
    (void)listener;
    (void)fn;
    return step_fails("guest listen") ? refused(err) : true;
}

static void guest_unlisten(struct sf_controller *owner, struct sf_controller *listener)
{
    (void)owner;
    (void)listener;
}

static const struct sf_guest_offer guest_offer = {
    .size = sizeof(guest_offer),
    .call = guest_call,
    .listen = guest_listen,
    .unlisten = guest_unlisten,
};

/* ---- the shares' line ---- */

#define PIECES_MAX 64

static struct {
    uint64_t share;
    char *data; /* owned */
    size_t size;
} pieces[PIECES_MAX];
static size_t n_pieces;

static void forget_conversations(void)
{
    forget_request();
    while (n_pieces > 0)
        free(pieces[--n_pieces].data);
}

static bool line_listen(struct sf_controller *owner, struct sf_controller *listener,
                        sf_share_line_fn fn, struct sf_error **err)
{
    struct sf_sandbox *s = owner->sandbox;

    if (fn != NULL && step_fails("line listen"))
        return refused(err);
    pthread_mutex_lock(&s->line);
    s->listener = fn != NULL ? listener : NULL;
    s->listener_fn = fn;
    pthread_mutex_unlock(&s->line);
    return true;
}

static bool line_send(struct sf_controller *owner, uint64_t share, const void *data, size_t size,
                      bool closed, struct sf_error **err)
{
    (void)owner;
    pthread_mutex_lock(&steps_lock);
    sf_text_add(&steps.trace, "line send %llu%s\n", (unsigned long long)share,
                closed ? " closed" : "");
    bool room = n_pieces < PIECES_MAX;
    if (room) {
        pieces[n_pieces].share = share;
        pieces[n_pieces].data = malloc(size + 1);
        memcpy(pieces[n_pieces].data, size > 0 ? data : "", size);
        pieces[n_pieces++].size = size;
    }
    pthread_mutex_unlock(&steps_lock);
    return room ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "the guest has not taken what was sent before");
}

void fake_line_say(struct sf_sandbox *s, uint64_t share, const void *data, size_t size, bool closed)
{
    pthread_mutex_lock(&s->line);
    if (s->listener_fn != NULL)
        s->listener_fn(s->listener, share, data, size, closed);
    pthread_mutex_unlock(&s->line);
}

size_t fake_line_take(uint64_t share, void *ret, size_t room)
{
    size_t size = 0, kept = 0;

    pthread_mutex_lock(&steps_lock);
    for (size_t i = 0; i < n_pieces; i++) {
        if (pieces[i].share != share || size + pieces[i].size > room) {
            pieces[kept++] = pieces[i];
            continue;
        }
        memcpy((char *)ret + size, pieces[i].data, pieces[i].size);
        size += pieces[i].size;
        free(pieces[i].data);
    }
    n_pieces = kept;
    pthread_mutex_unlock(&steps_lock);
    return size;
}

static const struct sf_share_line_offer line_offer = {
    .size = sizeof(line_offer),
    .listen = line_listen,
    .send = line_send,
};

/* ---- what the daemon exports ---- */

const void *sf_sandbox_offer(struct sf_sandbox *s, const char *name,
                             struct sf_controller **ret_owner)
{
    *ret_owner = &s->vm;
    if (strcmp(name, SF_MACHINE_OFFER) == 0)
        return &machine_offer;
    if (strcmp(name, SF_GUEST_OFFER) == 0)
        return &guest_offer;
    if (strcmp(name, SF_SHARE_LINE_OFFER) == 0)
        return &line_offer;
    return NULL;
}

const char *sf_sandbox_id(const struct sf_sandbox *s)
{
    return s->id;
}

bool sf_sandbox_is_clone(const struct sf_sandbox *s)
{
    return s->clone;
}

const char *sf_sandbox_directory(const struct sf_sandbox *s)
{
    return s->directory;
}

const char *sf_setting(const char *name)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (settings[i].name != NULL && strcmp(settings[i].name, name) == 0)
            return settings[i].value;
    return NULL;
}

int sf_path_open(const char *path, int flags, struct sf_error **err)
{
    size_t n = allowed != NULL ? strlen(allowed) : 0;
    bool fails = step_fails("open %s", path);
    int fd;

    if (fails)
        refused(err);
    else if (n == 0 || strncmp(path, allowed, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        sf_fail(err, SF_PERMISSION_DENIED, "'%s' is beneath no root", path);
    else if ((fd = open(path, flags | O_CLOEXEC)) >= 0)
        return fd;
    else
        sf_fail(err, errno == ENOENT ? SF_NOT_FOUND : SF_FAILED_PRECONDITION, "'%s': %s", path,
                strerror(errno));
    return -1;
}

void sf_sandbox_event(struct sf_sandbox *s, const char *type, const char *fmt, ...)
{
    va_list args;

    (void)s;
    pthread_mutex_lock(&steps_lock);
    sf_text_add(&steps.trace, "event %s: ", type);
    va_start(args, fmt);
    sf_text_addv(&steps.trace, fmt, args);
    va_end(args);
    sf_text_add(&steps.trace, "\n");
    pthread_mutex_unlock(&steps_lock);
}

void sf_sandbox_changed(struct sf_sandbox *s)
{
    (void)s;
}

void sf_sandbox_invalid(struct sf_sandbox *s, const char *fmt, ...)
{
    struct sf_text text = {0};
    va_list args;

    va_start(args, fmt);
    sf_text_addv(&text, fmt, args);
    va_end(args);
    free(s->invalid);
    s->invalid = sf_text_take(&text);
}

void sf_sandbox_lock(struct sf_sandbox *s)
{
    pthread_mutex_lock(&s->lock);
}

void sf_sandbox_unlock(struct sf_sandbox *s)
{
    pthread_mutex_unlock(&s->lock);
}
