#include "document.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define MEMORY_MIN     (UINT64_C(64) << 20)
#define MEMORY_MAX     (UINT64_C(1) << 40)
#define PROCESSORS_MAX 64
#define N_ROOT_PORTS   8 /* of each kind, in a multifunction slot: 0x10.0 to 0x10.7 */
#define N_SCSI         4
#define SHARES_CHARDEV "shares"

/* Ours; the caller's come after and win. */
#define KERNEL_ARGUMENTS "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on"

static const char *const drivers[] = {
    "pcie-root-port", "virtio-scsi-pci", "virtio-serial-pci",
    "virtserialport", "virtio-rng-pci",  "vmgenid",
};
static const char *const keys[] = {
    "driver", "id", "bus", "addr", "multifunction", "chassis", "slot", "nr", "name", "chardev",
};

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

/* Nothing in it means anything to QEMU's option parser: no comma, no equals sign, no blank. */
static bool is_plain_word(const char *word, size_t max)
{
    size_t size = strlen(word);

    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)word[i]) && strchr("-_.:", word[i]) == NULL)
            return false;
    return size > 0 && size <= max && word[0] != '-';
}

static bool is_kernel_arguments(const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    return strlen(text) < sizeof(((struct document *)NULL)->kernel_arguments);
}

/* ---- making ---- */

static void add_property(struct document_device *device, const char *key, const char *value)
{
    struct document_property *p = &device->properties[device->n++];

    snprintf(p->key, sizeof(p->key), "%s", key);
    snprintf(p->value, sizeof(p->value), "%s", value);
}

static struct document_device *add_device(struct document *d, const char *driver, const char *id,
                                          const char *bus, const char *addr)
{
    struct document_device *device = &d->devices[d->n_devices++];

    add_property(device, "driver", driver);
    add_property(device, "id", id);
    if (bus != NULL)
        add_property(device, "bus", bus);
    if (addr != NULL)
        add_property(device, "addr", addr);
    return device;
}

/* @prefix: of their ids, which the guest's agent knows by @slot, too. @first: the number that no
 * other port has. */
static void add_root_ports(struct document *d, const char *prefix, unsigned slot, int first)
{
    for (int i = 0; i < N_ROOT_PORTS; i++) {
        char id[16], addr[16], number[16];
        snprintf(id, sizeof(id), "%s%d", prefix, i);
        snprintf(addr, sizeof(addr), "0x%x.%d", slot, i);
        snprintf(number, sizeof(number), "%d", first + i);
        struct document_device *port = add_device(d, "pcie-root-port", id, "pcie.0", addr);
        if (i == 0)
            add_property(port, "multifunction", "on");
        add_property(port, "chassis", number);
        add_property(port, "slot", number);
    }
}

/* Of the virtio-serial device: a line to the agent. */
static void add_port(struct document *d, const char *id, const char *nr, const char *name,
                     const char *chardev)
{
    struct document_device *port = add_device(d, "virtserialport", id, "serial0.0", NULL);

    add_property(port, "nr", nr);
    add_property(port, "name", name);
    add_property(port, "chardev", chardev);
}

static void add_base_devices(struct document *d)
{
    add_device(d, "virtio-rng-pci", "rng0", "pcie.0", "0x2");
    add_device(d, "virtio-serial-pci", "serial0", "pcie.0", "0x3");
    add_port(d, "agent0", "1", DOCUMENT_AGENT_PORT, "agent");
    add_port(d, "shares0", "2", DOCUMENT_SHARES_PORT, SHARES_CHARDEV);
    for (int i = 0; i < N_SCSI; i++) {
        char id[16], addr[16];
        snprintf(id, sizeof(id), "scsi%d", i);
        snprintf(addr, sizeof(addr), "0x%d", 4 + i);
        add_device(d, "virtio-scsi-pci", id, "pcie.0", addr);
    }
    add_root_ports(d, "port", 0x10, 1);
    add_root_ports(d, "nic", 0x11, 1 + N_ROOT_PORTS);
    add_device(d, "vmgenid", "generation0", NULL, NULL);
}

static bool check_numbers(const struct document *d, struct sf_error **err)
{
    if (d->memory_bytes % DOCUMENT_MEMORY_STEP != 0 || d->memory_bytes < MEMORY_MIN ||
        d->memory_bytes > MEMORY_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "memory_bytes is %llu: a multiple of 2 MiB from 64 MiB to 1 TiB is needed",
                       (unsigned long long)d->memory_bytes);
    if (d->processors == 0 || d->processors > PROCESSORS_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "processors is %u: 1 to %d are possible",
                       d->processors, PROCESSORS_MAX);
    return true;
}

static bool set_word(char *ret, size_t room, const char *what, const char *word,
                     struct sf_error **err)
{
    if (!is_plain_word(word, room - 1))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "%s '%.80s' is no name: letters, digits, '-', '_', '.' and ':' make one",
                       what, word);
    snprintf(ret, room, "%s", word);
    return true;
}

static const char *or_default(const char *text, const char *otherwise)
{
    return text != NULL && text[0] != '\0' ? text : otherwise;
}

static bool set_head(struct document *d, const struct document_options *o, struct sf_error **err)
{
    const char *arguments = or_default(o->kernel_arguments, "");

    if (!set_word(d->machine_type, sizeof(d->machine_type), "machine type", DOCUMENT_MACHINE_TYPE,
                  err) ||
        !set_word(d->cpu_model, sizeof(d->cpu_model), "cpu_model",
                  or_default(o->cpu_model, DOCUMENT_CPU_MODEL), err) ||
        !set_word(d->accelerator, sizeof(d->accelerator), "accelerator",
                  or_default(o->accelerator, "tcg"), err))
        return false;
    d->memory_bytes = o->memory_bytes == 0 ? DOCUMENT_MEMORY_BYTES : o->memory_bytes;
    d->processors = o->processors == 0 ? 1 : o->processors;
    if (!is_kernel_arguments(arguments))
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "kernel_arguments: at most 1,024 bytes without control characters");
    snprintf(d->kernel_arguments, sizeof(d->kernel_arguments), "%s", arguments);
    return check_numbers(d, err);
}

bool document_make(struct document *ret, const struct document_options *options,
                   struct sf_error **err)
{
    *ret = (struct document){0};
    if (!set_head(ret, options, err))
        return false;
    add_base_devices(ret);
    return true;
}

/* ---- JSON ---- */

static json_t *device_to_json(const struct document_device *device)
{
    json_t *object = json_object();

    for (size_t i = 0; i < device->n; i++)
        json_object_set_new(object, device->properties[i].key,
                            json_string(device->properties[i].value));
    return object;
}

char *document_to_json(const struct document *d)
{
    json_t *devices = json_array();

    for (size_t i = 0; i < d->n_devices; i++)
        json_array_append_new(devices, device_to_json(&d->devices[i]));
    SF_CLEANUP(json_decrefp)
    json_t *object =
        json_pack("{s:i, s:s, s:s, s:s, s:I, s:i, s:s, s:o}", "version", DOCUMENT_VERSION,
                  "machine_type", d->machine_type, "cpu_model", d->cpu_model, "accelerator",
                  d->accelerator, "memory_bytes", (json_int_t)d->memory_bytes, "processors",
                  (int)d->processors, "kernel_arguments", d->kernel_arguments, "devices", devices);
    return object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
}

static bool device_from_json(struct document_device *device, json_t *object, struct sf_error **err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object) || json_object_size(object) > DOCUMENT_PROPERTIES_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "an object of at most %d properties is needed",
                       DOCUMENT_PROPERTIES_MAX);
    const char *driver = json_string_value(json_object_get(object, "driver"));
    if (driver == NULL || !is_one_of(driver, drivers, COUNT(drivers)))
        return sf_fail(err, SF_INVALID_ARGUMENT, "driver '%.40s' is none that a machine has",
                       driver == NULL ? "" : driver);
    add_property(device, "driver", driver);
    json_object_foreach(object, key, value)
    {
        const char *word = json_string_value(value);
        if (strcmp(key, "driver") == 0)
            continue;
        if (!is_one_of(key, keys, COUNT(keys)))
            return sf_fail(err, SF_INVALID_ARGUMENT, "property '%.40s' is not known", key);
        if (word == NULL || !is_plain_word(word, sizeof(device->properties[0].value) - 1))
            return sf_fail(err, SF_INVALID_ARGUMENT, "property '%s' has no plain value", key);
        add_property(device, key, word);
    }
    return true;
}

static bool devices_from_json(struct document *d, json_t *array, struct sf_error **err)
{
    size_t i;
    json_t *object;

    if (json_array_size(array) > DOCUMENT_DEVICES_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%zu devices; at most %d", json_array_size(array),
                       DOCUMENT_DEVICES_MAX);
    json_array_foreach(array, i, object)
    {
        if (!device_from_json(&d->devices[d->n_devices++], object, err))
            return sf_fail_in(err, "devices[%zu]", i);
    }
    return true;
}

static bool head_from_json(struct document *d, const char *machine_type,
                           const struct document_options *o, struct sf_error **err)
{
    if (!set_head(d, o, err))
        return false;
    if (strncmp(machine_type, "pc-q35-", 7) != 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "machine type '%.40s' is not a version of pc-q35",
                       machine_type);
    if (strcmp(o->accelerator, "kvm") != 0 && strcmp(o->accelerator, "tcg") != 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "accelerator '%.40s' is neither kvm nor tcg",
                       o->accelerator);
    return set_word(d->machine_type, sizeof(d->machine_type), "machine type", machine_type, err);
}

static bool parse(struct document *d, json_t *object, struct sf_error **err)
{
    struct document_options o = {0};
    const char *machine_type;
    int version, processors;
    json_int_t memory;
    json_t *devices;
    json_error_t problem;

    if (json_unpack_ex(object, &problem, JSON_STRICT, "{s:i, s:s, s:s, s:s, s:I, s:i, s:s, s:o}",
                       "version", &version, "machine_type", &machine_type, "cpu_model",
                       &o.cpu_model, "accelerator", &o.accelerator, "memory_bytes", &memory,
                       "processors", &processors, "kernel_arguments", &o.kernel_arguments,
                       "devices", &devices) != 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%.200s", problem.text);
    if (version != DOCUMENT_VERSION)
        return sf_fail(err, SF_UNIMPLEMENTED, "has version %d, this build takes %d", version,
                       DOCUMENT_VERSION);
    if (memory <= 0 || processors <= 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "memory_bytes and processors must be above 0");
    if (!json_is_array(devices))
        return sf_fail(err, SF_INVALID_ARGUMENT, "devices is not a list");
    o.memory_bytes = (uint64_t)memory;
    o.processors = (uint32_t)processors;
    return head_from_json(d, machine_type, &o, err) && devices_from_json(d, devices, err);
}

bool document_from_json(struct document *ret, const char *text, struct sf_error **err)
{
    json_error_t problem;
    SF_CLEANUP(json_decrefp)
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &problem);

    *ret = (struct document){0};
    if (object == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "machine_document: %.200s", problem.text);
    return parse(ret, object, err) || sf_fail_in(err, "machine_document");
}

bool document_has_shares_line(const struct document *d)
{
    for (size_t i = 0; i < d->n_devices; i++)
        for (size_t k = 0; k < d->devices[i].n; k++)
            if (strcmp(d->devices[i].properties[k].key, "chardev") == 0 &&
                strcmp(d->devices[i].properties[k].value, SHARES_CHARDEV) == 0)
                return true;
    return false;
}

/* ---- the command line ---- */

struct arguments {
    char **list;
    size_t n, room;
    bool broken;
};

static void add(struct arguments *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct arguments *a, const char *fmt, ...)
{
    struct sf_text text = {0};
    va_list args;

    va_start(args, fmt);
    sf_text_addv(&text, fmt, args);
    va_end(args);
    if (a->n + 1 >= a->room) {
        size_t room = a->room == 0 ? 64 : a->room * 2;
        char **grown = reallocarray(a->list, room, sizeof(*grown));
        a->broken = a->broken || grown == NULL;
        a->list = grown == NULL ? a->list : grown;
        a->room = grown == NULL ? a->room : room;
    }
    char *word = sf_text_take(&text);
    if (word == NULL || a->broken) {
        a->broken = true;
        free(word);
        return;
    }
    a->list[a->n++] = word;
    a->list[a->n] = NULL;
}

static void add_head(struct arguments *a, const struct document *d, const struct document_launch *l)
{
    unsigned long long memory_mib = d->memory_bytes >> 20;

    add(a, "%s", l->program);
    add(a, "-name");
    add(a, "%s", l->name);
    add(a, "-machine");
    add(a, "%s,memory-backend=ram,usb=off,vmport=off", d->machine_type);
    add(a, "-accel");
    add(a, "%s", strcmp(d->accelerator, "kvm") == 0 ? "kvm" : "tcg,thread=multi");
    add(a, "-cpu");
    add(a, "%s", d->cpu_model);
    add(a, "-smp");
    add(a, "%u", d->processors);
    add(a, "-m");
    add(a, "%lluM", memory_mib);
    add(a, "-object");
    add(a, "memory-backend-file,id=ram,size=%lluM,mem-path=/proc/self/fd/%d,share=%s", memory_mib,
        l->ram_fd, l->private_ram ? "off" : "on");
}

static void add_sockets(struct arguments *a, const struct document *d,
                        const struct document_launch *l)
{
    add(a, "-chardev");
    add(a, "socket,id=qmp,fd=%d,server=on,wait=off", l->qmp_fd);
    add(a, "-mon");
    add(a, "chardev=qmp,mode=control");
    add(a, "-chardev");
    add(a, "socket,id=agent,fd=%d,server=on,wait=off", l->agent_fd);
    if (document_has_shares_line(d)) {
        add(a, "-chardev");
        add(a, "socket,id=" SHARES_CHARDEV ",fd=%d,server=on,wait=off", l->shares_fd);
    }
    add(a, "-chardev"); /* the last of the guest's console, for messages */
    add(a, "ringbuf,id=console,size=65536");
    add(a, "-serial");
    add(a, "chardev:console");
}

static void add_device_argument(struct arguments *a, const struct document_device *device,
                                const struct document_launch *l)
{
    struct sf_text text = {0};

    sf_text_add(&text, "%s", device->properties[0].value);
    for (size_t i = 1; i < device->n; i++)
        sf_text_add(&text, ",%s=%s", device->properties[i].key, device->properties[i].value);
    if (strcmp(device->properties[0].value, "vmgenid") == 0)
        sf_text_add(&text, ",guid=%s", l->generation_guid);
    SF_CLEANUP(sf_freep) char *word = sf_text_take(&text);
    add(a, "-device");
    add(a, "%s", word == NULL ? "" : word);
    a->broken = a->broken || word == NULL;
}

static void add_start(struct arguments *a, const struct document *d,
                      const struct document_launch *l)
{
    if (l->incoming) {
        add(a, "-incoming");
        add(a, "defer");
    }
    if (l->kernel_fd >= 0) {
        add(a, "-kernel");
        add(a, "/proc/self/fd/%d", l->kernel_fd);
        add(a, "-initrd");
        add(a, "/proc/self/fd/%d", l->initrd_fd);
        add(a, "-append");
        add(a, KERNEL_ARGUMENTS "%s%s", d->kernel_arguments[0] != '\0' ? " " : "",
            d->kernel_arguments);
    }
    if (l->filter) {
        add(a, "-sandbox");
        add(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    }
}

char **document_arguments(const struct document *d, const struct document_launch *launch)
{
    static const char *const fixed[] = {"-display",   "none", "-nodefaults", "-no-user-config",
                                        "-no-reboot", "-S",   "-rtc",        "base=utc,clock=host"};
    struct arguments a = {0};

    add_head(&a, d, launch);
    for (size_t i = 0; i < COUNT(fixed); i++)
        add(&a, "%s", fixed[i]);
    add_sockets(&a, d, launch);
    for (size_t i = 0; i < d->n_devices; i++)
        add_device_argument(&a, &d->devices[i], launch);
    add_start(&a, d, launch);
    if (!a.broken)
        return a.list;
    document_arguments_free(a.list);
    return NULL;
}

void document_arguments_free(char **arguments)
{
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++)
        free(arguments[i]);
    free(arguments);
}
