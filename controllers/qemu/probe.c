#include "probe.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "qemu/qmp.h"

#define PROBE_TIMEOUT_MS 10000

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

static bool talk(struct place *place, struct probe *ret, struct sf_error **err)
{
    int fd = run_connect(place->fd, "qmp", err);
    if (fd < 0)
        return false;
    SF_CLEANUP(qmp_freep)
    struct qmp *q = qmp_new(fd, &(struct qmp_ops){0}, PROBE_TIMEOUT_MS, err);
    return q != NULL && (ret == NULL || ask(q, ret, err));
}

/* Starts a machine without anything. @ret: NULL: only whether it starts. */
static bool run_once(const char *program, const char *accelerator, const struct run_user *user,
                     struct probe *ret, struct sf_error **err)
{
    struct place place SF_CLEANUP(place_done) = {.fd = -1};
    if (!place_make(&place, err))
        return false;
    SF_CLEANUP(closep) int listener = run_listen(place.fd, "qmp", err);
    if (listener < 0)
        return false;

    char chardev[64];
    snprintf(chardev, sizeof(chardev), "socket,id=qmp,fd=%d,server=on,wait=off", listener);
    const char *arguments[] = {program,
                               "-machine",
                               "none",
                               "-accel",
                               accelerator,
                               "-display",
                               "none",
                               "-nodefaults",
                               "-no-user-config",
                               "-S",
                               "-chardev",
                               chardev,
                               "-mon",
                               "chardev=qmp,mode=control",
                               NULL};
    struct run_options o = {.arguments = arguments,
                            .fds = &listener,
                            .n_fds = 1,
                            .user = *user,
                            .directory_fd = place.fd};
    SF_CLEANUP(run_freep) struct run *r = run_start(&o, err);
    if (r == NULL)
        return false;
    close(listener); /* else an end of QEMU would not show */
    listener = -1;
    if (talk(&place, ret, err))
        return true;
    SF_CLEANUP(sf_freep) char *words = run_last_words(r);
    return sf_fail_in(err, "'%s' with %s (its last words: '%s')", program, accelerator,
                      words == NULL ? "" : words);
}

static bool probe_kvm(const char *program, const struct run_user *user)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (access("/dev/kvm", F_OK) != 0)
        return false;
    if (run_once(program, "kvm", user, NULL, &err))
        return true;
    sf_info("qemu: KVM does not work here, machines are emulated: %s", sf_error_message(err));
    return false;
}

static bool same_user(const struct run_user *a, const struct run_user *b)
{
    return a->drop == b->drop && a->uid == b->uid && a->gid == b->gid;
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
                                      struct sf_error **err)
{
    struct known *k = calloc(1, sizeof(*k));
    char *copy = strdup(program);

    if (k == NULL || copy == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    } else if (run_once(program, "tcg", user, &k->probe, err)) {
        k->user = *user;
        k->probe.program = copy;
        k->probe.kvm = probe_kvm(program, user);
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

const struct probe *probe_qemu(const char *name, const struct run_user *user, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *program = run_find_program(name, err);
    if (program == NULL)
        return NULL;
    pthread_mutex_lock(&known_mutex);
    const struct probe *found = find_known(program, user);
    if (found == NULL)
        found = make_known(program, user, err);
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
