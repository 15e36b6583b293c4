#include "probe.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "qemu/document.h"
#include "qemu/qmp.h"

#define PROBE_TIMEOUT_MS  10000
#define KERNEL_TIMEOUT_MS 4000 /* it takes a tenth of that, where KVM works */
#define LOOK_MS           10

/* One answer for each program and user, for the life of the process. */
struct known {
    struct known *next;
    struct run_user user;
    struct probe probe;
};

static pthread_mutex_t known_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct known *all_known;

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* A directory for the socket and the log, gone again at the end. */
struct place {
    char path[64];
    int fd;
};

static bool place_make(struct place *p, struct sf_error **err)
{
    const char *tmp = access("/run", W_OK) == 0 ? "/run" : "/tmp";

    snprintf(p->path, sizeof(p->path), "%s/sandferry-probe-XXXXXX", tmp);
    p->fd = -1;
    if (mkdtemp(p->path) != NULL)
        p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return p->fd >= 0 ||
           sf_fail(err, SF_UNAVAILABLE, "no directory for a probe of QEMU in '%s'", tmp);
}

static void place_done(struct place *p)
{
    if (p->fd < 0)
        return;
    unlinkat(p->fd, "qmp", 0);
    unlinkat(p->fd, "qemu.log", 0);
    close(p->fd);
    rmdir(p->path);
}

/* ---- asking ---- */

static char **names_of(json_t *list, const char *second_key)
{
    size_t n = json_array_size(list), at = 0;
    char **names = calloc(2 * n + 1, sizeof(*names));

    for (size_t i = 0; names != NULL && i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        const char *second = json_string_value(json_object_get(one, second_key));
        if (name != NULL && (names[at] = strdup(name)) != NULL)
            at++;
        if (second != NULL && (names[at] = strdup(second)) != NULL)
            at++;
    }
    return names;
}

static bool ask_version(struct qmp *q, struct probe *ret, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *answer = NULL;
    int major = 0, minor = 0, micro = 0;

    if (!qmp_execute(q, "query-version", NULL, &answer, err))
        return false;
    json_unpack(answer, "{s:{s:i, s:i, s:i}}", "qemu", "major", &major, "minor", &minor, "micro",
                &micro);
    snprintf(ret->version, sizeof(ret->version), "%d.%d.%d", major, minor, micro);
    return true;
}

static bool ask(struct qmp *q, struct probe *ret, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *machines = NULL;
    SF_CLEANUP(json_decrefp) json_t *cpus = NULL;

    if (!ask_version(q, ret, err) || !qmp_execute(q, "query-machines", NULL, &machines, err) ||
        !qmp_execute(q, "query-cpu-definitions", NULL, &cpus, err))
        return false;
    ret->machines = names_of(machines, "alias");
    ret->cpus = names_of(cpus, "-");
    if (ret->machines == NULL || ret->cpus == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return true;
}

/* ---- running ---- */

/* What to start, and what to ask it. */
struct attempt {
    const char *program, *accelerator;
    struct run_user user;
    int kernel;        /* -1: a machine without anything */
    struct probe *ret; /* NULL: whether it starts is all */
};

/* Until the kernel has written to its console. */
static bool await_console(struct qmp *q, struct sf_error **err)
{
    for (int waited = 0; waited < KERNEL_TIMEOUT_MS; waited += LOOK_MS) {
        SF_CLEANUP(json_decrefp) json_t *answer = NULL;
        json_t *arguments = json_pack("{s:s, s:i}", "device", "console", "size", 4096);
        if (!qmp_execute(q, "ringbuf-read", arguments, &answer, err))
            return false;
        if (json_string_length(answer) > 0)
            return true;
        poll(NULL, 0, LOOK_MS);
    }
    return sf_fail(err, SF_UNAVAILABLE, "a kernel says nothing within %d ms", KERNEL_TIMEOUT_MS);
}

static bool talk(struct place *place, const struct attempt *a, struct sf_error **err)
{
    int fd = run_connect(place->fd, "qmp", err);
    if (fd < 0)
        return false;
    SF_CLEANUP(qmp_freep)
    struct qmp *q = qmp_new(fd, &(struct qmp_ops){0}, PROBE_TIMEOUT_MS, err);
    return q != NULL && (a->ret == NULL || ask(q, a->ret, err)) &&
           (a->kernel < 0 || await_console(q, err));
}

static struct run *start(const struct place *place, const struct attempt *a, int listener,
                         struct sf_error **err)
{
    char chardev[64], kernel[64];
    snprintf(chardev, sizeof(chardev), "socket,id=qmp,fd=%d,server=on,wait=off", listener);
    snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", a->kernel);
    const char *bare[] = {a->program,
                          "-machine",
                          "none",
                          "-accel",
                          a->accelerator,
                          "-display",
                          "none",
                          "-nodefaults",
                          "-no-user-config",
                          "-chardev",
                          chardev,
                          "-mon",
                          "chardev=qmp,mode=control",
                          "-S",
                          NULL};
    const char *booting[] = {a->program,
                             "-machine",
                             DOCUMENT_MACHINE_TYPE,
                             "-accel",
                             a->accelerator,
                             "-display",
                             "none",
                             "-nodefaults",
                             "-no-user-config",
                             "-chardev",
                             chardev,
                             "-mon",
                             "chardev=qmp,mode=control",
                             "-cpu",
                             DOCUMENT_CPU_MODEL,
                             "-m",
                             "256M",
                             "-no-reboot",
                             "-chardev",
                             "ringbuf,id=console,size=65536",
                             "-serial",
                             "chardev:console",
                             "-kernel",
                             kernel,
                             "-append",
                             "console=ttyS0 earlyprintk=ttyS0 panic=-1",
                             NULL};
    int fds[] = {listener, a->kernel};
    struct run_options o = {.arguments = a->kernel < 0 ? bare : booting,
                            .fds = fds,
                            .n_fds = a->kernel < 0 ? 1 : 2,
                            .user = a->user,
                            .directory_fd = place->fd};
    return run_start(&o, err);
}

static bool attempt(const struct attempt *a, struct sf_error **err)
{
    struct place place SF_CLEANUP(place_done) = {.fd = -1};
    if (!place_make(&place, err))
        return false;
    int listener = run_listen(place.fd, "qmp", err);
    if (listener < 0)
        return false;
    SF_CLEANUP(run_freep) struct run *r = start(&place, a, listener, err);
    close(listener); /* only QEMU listens now, so that its end shows */
    if (r == NULL)
        return false;
    if (talk(&place, a, err))
        return true;
    SF_CLEANUP(sf_freep) char *words = run_last_words(r);
    return sf_fail_in(err, "'%s' with %s (its last words: '%s')", a->program, a->accelerator,
                      words == NULL ? "" : words);
}

static bool probe_kvm(const char *program, const struct run_user *user, const char *kernel)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct attempt a = {.program = program, .accelerator = "kvm", .user = *user, .kernel = -1};

    if (access("/dev/kvm", F_OK) != 0)
        return false;
    bool works = attempt(&a, &err); /* the quick answer, where it is no */
    SF_CLEANUP(closep) int fd = works ? open(kernel, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        a.kernel = fd;
        works = attempt(&a, &err);
    }
    if (!works)
        sf_info("qemu: KVM does not work here, machines are emulated: %s", sf_error_message(err));
    return works;
}

static bool same_user(const struct run_user *a, const struct run_user *b)
{
    return a->drop == b->drop && a->uid == b->uid;
}

/* With the mutex held. */
static const struct probe *find_known(const char *program, const struct run_user *user)
{
    for (const struct known *k = all_known; k != NULL; k = k->next)
        if (strcmp(k->probe.program, program) == 0 && same_user(&k->user, user))
            return &k->probe;
    return NULL;
}

static const struct probe *make_known(const char *program, const struct run_user *user,
                                      const char *kernel, struct sf_error **err)
{
    struct known *k = calloc(1, sizeof(*k));
    char *copy = strdup(program);

    if (k == NULL || copy == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    } else if (attempt(&(struct attempt){program, "tcg", *user, -1, &k->probe}, err)) {
        k->user = *user;
        k->probe.program = copy;
        k->probe.kvm = probe_kvm(program, user, kernel);
        k->next = all_known;
        all_known = k;
        sf_info("qemu '%s': found version=%s accelerator=%s", program, k->probe.version,
                k->probe.kvm ? "kvm" : "tcg");
        return &k->probe;
    }
    free(copy);
    free(k);
    return NULL;
}

const struct probe *probe_qemu(const char *name, const struct run_user *user, const char *kernel,
                               struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *program = run_find_program(name, err);
    if (program == NULL)
        return NULL;
    pthread_mutex_lock(&known_mutex);
    const struct probe *found = find_known(program, user);
    if (found == NULL)
        found = make_known(program, user, kernel, err);
    pthread_mutex_unlock(&known_mutex);
    return found;
}

static bool has(char *const *list, const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

bool probe_has_machine(const struct probe *p, const char *name)
{
    return has(p->machines, name);
}

bool probe_has_cpu(const struct probe *p, const char *name)
{
    return has(p->cpus, name);
}
