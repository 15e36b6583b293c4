/* OCI runtime specs: the caller's, or one that suits most programs. */
#include "container/container.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "snapshot/limits.h"

#define SPEC_MAX        (256 * 1024)                         /* bytes */
#define MACHINE_ID_PATH "/run/sandferry/identity/machine-id" /* in the guest */

static void json_free(json_t **json)
{
    json_decref(*json);
}

static json_t *strings(const char *const *list, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; array != NULL && i < n; i++)
        if (json_array_append_new(array, json_string(list[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* clang-format off */
static const struct {
    const char *destination, *type, *source, *options[8];
} default_mounts[] = {
    { "/proc",          "proc",   "proc",   { NULL } },
    { "/dev",           "tmpfs",  "tmpfs",  { "nosuid", "strictatime", "mode=755", "size=65536k" } },
    { "/dev/pts",       "devpts", "devpts", { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620" } },
    { "/dev/shm",       "tmpfs",  "shm",    { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
    { "/dev/mqueue",    "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
    { "/sys",           "sysfs",  "sysfs",  { "nosuid", "noexec", "nodev", "ro" } },
    { "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" } },
    { "/tmp",           "tmpfs",  "tmpfs",  { "nosuid", "nodev", "mode=1777" } },
    { "/run",           "tmpfs",  "tmpfs",  { "nosuid", "nodev", "mode=755" } },
};
/* clang-format on */

static const char *const capabilities[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",    "CAP_AUDIT_WRITE",
};
static const char *const namespaces[] = {"pid", "network", "ipc", "uts", "mount", "cgroup"};
static const char *const masked[] = {
    "/proc/acpi",       "/proc/kcore",       "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
};
static const char *const read_only[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};
static const char *const default_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static json_t *mounts(void)
{
    json_t *array = json_array();

    for (size_t i = 0; i < COUNT(default_mounts); i++) {
        size_t n = 0;
        while (n < COUNT(default_mounts[i].options) && default_mounts[i].options[n] != NULL)
            n++;
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:s, s:o}", "destination", default_mounts[i].destination,
                             "type", default_mounts[i].type, "source", default_mounts[i].source,
                             "options", strings(default_mounts[i].options, n)));
    }
    return array;
}

static json_t *namespace_list(void)
{
    json_t *array = json_array();

    for (size_t i = 0; i < COUNT(namespaces); i++)
        json_array_append_new(array, json_pack("{s:s}", "type", namespaces[i]));
    return array;
}

static json_t *process(const struct wanted_container *wanted)
{
    json_t *caps = strings(capabilities, COUNT(capabilities));
    json_t *env = wanted->n_env > 0 ? strings((const char *const *)wanted->env, wanted->n_env)
                                    : strings(default_env, COUNT(default_env));
    json_t *json =
        json_pack("{s:b, s:{s:i, s:i}, s:o, s:o, s:s, s:{s:O, s:O, s:O}, s:[{s:s, s:i, s:i}], s:b}",
                  "terminal", 0, "user", "uid", 0, "gid", 0, "args",
                  strings((const char *const *)wanted->args, wanted->n_args), "env", env, "cwd",
                  wanted->working_directory[0] != '\0' ? wanted->working_directory : "/",
                  "capabilities", "bounding", caps, "effective", caps, "permitted", caps, "rlimits",
                  "type", "RLIMIT_NOFILE", "hard", 1024, "soft", 1024, "noNewPrivileges", 1);

    json_decref(caps);
    return json;
}

static json_t *default_spec(const struct wanted_container *wanted)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:{s:o, s:o, s:o, s:{s:[{s:b, s:s}]}}}", "ociVersion",
                     "1.0.2", "process", process(wanted), "hostname", wanted->container_id,
                     "mounts", mounts(), "linux", "namespaces", namespace_list(), "maskedPaths",
                     strings(masked, COUNT(masked)), "readonlyPaths",
                     strings(read_only, COUNT(read_only)), "resources", "devices", "allow", 0,
                     "access", "rwm"); /* but for the few that every container has */
}

static json_t *given_spec(const struct wanted_container *wanted, struct sf_error **err)
{
    json_error_t where;
    json_t *json = json_loads(wanted->spec, JSON_REJECT_DUPLICATES, &where);

    if (json == NULL)
        sf_fail(err, SF_INVALID_ARGUMENT, "the spec is not JSON: line %d: %s", where.line,
                where.text);
    else if (json_is_object(json) && json_is_object(json_object_get(json, "process")))
        return json;
    else
        sf_fail(err, SF_INVALID_ARGUMENT, "the spec has no 'process'; give an OCI runtime spec");
    sf_fail_detail(err, SF_DETAIL_FIELD, "spec", "must be an OCI runtime spec as JSON");
    json_decref(json);
    return NULL;
}

/* What a container has besides its root is bind-mounted from where the guest has it. */
static bool add_mounts(json_t *spec, const struct spec_mounts *mounts, struct sf_error **err)
{
    json_t *list = json_object_get(spec, "mounts");

    if (mounts->n > 0 && !json_is_array(list)) {
        list = json_array();
        json_object_set_new(spec, "mounts", list);
    }
    for (size_t i = 0; i < mounts->n; i++) {
        const struct spec_mount *m = &mounts->list[i];
        if (json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:[s, s]}", "destination",
                                            m->destination, "type", "bind", "source", m->source,
                                            "options", "rbind", m->read_only ? "ro" : "rw")) < 0)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the spec");
    }
    return true;
}

/* What @parent has under @key; @other, which is given away, if that is nothing of its type. */
static json_t *part_of(json_t *parent, const char *key, json_t *other)
{
    const json_t *there = json_object_get(parent, key);

    if (there != NULL && other != NULL && json_typeof(there) == json_typeof(other))
        json_decref(other);
    else
        json_object_set_new(parent, key, other);
    return json_object_get(parent, key);
}

/* The guest's, which is another's in a clone. Who mounts something there has said what it is to be.
 */
static bool add_machine_id(json_t *spec, struct sf_error **err)
{
    json_t *list = part_of(spec, "mounts", json_array());
    size_t i;
    json_t *mount;

    json_array_foreach(list, i, mount)
    {
        const char *at = json_string_value(json_object_get(mount, "destination"));
        if (at != NULL && (strcmp(at, "/etc") == 0 || strcmp(at, "/etc/machine-id") == 0))
            return true;
    }
    return json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:[s, s, s, s, s]}",
                                                 "destination", "/etc/machine-id", "type", "bind",
                                                 "source", MACHINE_ID_PATH, "options", "bind", "ro",
                                                 "nosuid", "nodev", "noexec")) == 0 ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the spec");
}

/* The rules of a spec come in order: these are after those that forbid. */
static bool allow_nodes(json_t *spec, const struct spec_mounts *mounts, struct sf_error **err)
{
    for (size_t i = 0; i < mounts->n; i++) {
        const struct spec_mount *m = &mounts->list[i];
        if (!m->node)
            continue;
        json_t *resources =
            part_of(part_of(spec, "linux", json_object()), "resources", json_object());
        json_t *list = part_of(resources, "devices", json_array());
        json_t *rule = json_pack("{s:b, s:s, s:I, s:I, s:s}", "allow", 1, "type",
                                 m->number.block ? "b" : "c", "major", (json_int_t)m->number.major,
                                 "minor", (json_int_t)m->number.minor, "access", "rwm");
        if (json_array_append_new(list, rule) < 0)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the spec");
    }
    return true;
}

#define NETWORKS "/run/sandferry/network"

/* The pod's namespace takes the place of one of the container's own. */
static bool join_network(json_t *spec, const char *name, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *netns = sf_format(NETWORKS "/%s/netns", name);
    SF_CLEANUP(sf_freep) char *resolv = sf_format(NETWORKS "/%s/resolv.conf", name);
    json_t *spaces = part_of(part_of(spec, "linux", json_object()), "namespaces", json_array());
    json_t *list = part_of(spec, "mounts", json_array());
    bool joined = false, mounted = false;
    size_t i;
    json_t *one;

    json_array_foreach(spaces, i, one)
    {
        const char *type = json_string_value(json_object_get(one, "type"));
        if (type != NULL && strcmp(type, "network") == 0)
            joined = json_object_set_new(one, "path", json_string(netns)) == 0;
    }
    json_array_foreach(list, i, one)
    {
        const char *there = json_string_value(json_object_get(one, "destination"));
        mounted = mounted || (there != NULL && strcmp(there, "/etc/resolv.conf") == 0);
    }
    bool ok = netns != NULL && resolv != NULL &&
              (joined || json_array_append_new(spaces, json_pack("{s:s, s:s}", "type", "network",
                                                                 "path", netns)) == 0) &&
              (mounted ||
               json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:[s,s]}", "destination",
                                                     "/etc/resolv.conf", "type", "bind", "source",
                                                     resolv, "options", "bind", "ro")) == 0);
    return ok || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the spec");
}

static size_t length_of(char *const *list, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += strlen(list[i]) + 1;
    return sum;
}

static bool check_destination(const char *field, size_t i, const char *path, size_t *ret_sum,
                              struct sf_error **err)
{
    *ret_sum += strlen(path);
    if (path[0] == '/')
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT, "%s[%zu].destination: '%.200s' is not an absolute path",
            field, i, path);
    return sf_fail_detail(err, SF_DETAIL_FIELD, field, "destination must be an absolute path");
}

bool spec_check(const struct wanted_container *wanted, struct sf_error **err)
{
    const char *field = wanted->spec[0] != '\0' ? "spec" : "args";
    size_t size = strlen(wanted->spec) + length_of(wanted->args, wanted->n_args) +
                  length_of(wanted->env, wanted->n_env) + strlen(wanted->working_directory);

    for (size_t i = 0; i < wanted->n_disks; i++)
        if (!check_destination("disks", i, wanted->disks[i].destination, &size, err))
            return false;
    for (size_t i = 0; i < wanted->n_shares; i++)
        if (!check_destination("shares", i, wanted->shares[i].destination, &size, err))
            return false;
    if (size <= SPEC_MAX)
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT,
            "spec, args, env, working_directory and destinations have %zu bytes; at most %d", size,
            SPEC_MAX);
    return sf_fail_detail(err, SF_DETAIL_FIELD, field, "too long");
}

/* Escapes may have made it longer than a snapshot may say. */
static char *text_of(const json_t *spec, struct sf_error **err)
{
    char *text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);

    if (text == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the spec");
    } else if (strlen(text) > SF_SNAPSHOT_STRING_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "the spec has %zu bytes once it is complete; at most %d",
                strlen(text), SF_SNAPSHOT_STRING_MAX);
        sf_fail_detail(err, SF_DETAIL_FIELD, "spec", "too long once it is complete");
        free(text);
        text = NULL;
    }
    return text;
}

char *spec_make(const struct wanted_container *wanted, const struct container *container,
                const struct spec_mounts *mounts, bool *ret_terminal, struct sf_error **err)
{
    if (wanted->spec[0] == '\0' && wanted->n_args == 0) {
        sf_fail(err, SF_INVALID_ARGUMENT, "container '%s' has no program to run; give args or spec",
                wanted->container_id);
        sf_fail_detail(err, SF_DETAIL_FIELD, "args", "needed where spec is empty");
        return NULL;
    }
    SF_CLEANUP(json_free)
    json_t *spec = wanted->spec[0] != '\0' ? given_spec(wanted, err) : default_spec(wanted);
    if (spec == NULL) {
        if (*err == NULL)
            sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the spec");
        return NULL;
    }
    if (!add_mounts(spec, mounts, err) || !add_machine_id(spec, err) ||
        !allow_nodes(spec, mounts, err) ||
        (mounts->network[0] != '\0' && !join_network(spec, mounts->network, err)))
        return NULL;
    json_object_set_new(
        spec, "root",
        json_pack("{s:s, s:b}", "path", container->rootfs_path, "readonly",
                  json_is_true(json_object_get(json_object_get(spec, "root"), "readonly"))));
    *ret_terminal = json_is_true(json_object_get(json_object_get(spec, "process"), "terminal"));
    return text_of(spec, err);
}
