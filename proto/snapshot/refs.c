#include "snapshot/refs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "snapshot/path.h"

// clang-format off
const struct sf_ref sf_refs[] = {
    { "scsi.reservations[].slot",                                 "scsi.disks[].slot",
      SF_REF_NAMES,
      { "scsi.reservations[].slot",                               { "scsi.reservations[].slot" } },
      { "scsi.disks[].slot",                                      { "scsi.disks[].slot" } } },

    { "scsi.reservations[].(slot, partition)",                    "scsi.disks[].mounts[].partition",
      SF_REF_NAMES,
      { "scsi.reservations[].partition",                          { "scsi.reservations[].slot",
                                                                    "scsi.reservations[].partition" } },
      { "scsi.disks[].mounts[].partition",                        { "scsi.disks[].slot",
                                                                    "scsi.disks[].mounts[].partition" } } },

    { "scsi.disks[].mounts[].refs",                               "count of scsi.reservations[]",
      SF_REF_COUNTS,
      { "scsi.disks[].mounts[].refs",                             { "scsi.disks[].slot",
                                                                    "scsi.disks[].mounts[].partition" } },
      { "scsi.reservations[]",                                    { "scsi.reservations[].slot",
                                                                    "scsi.reservations[].partition" } } },

    { "plan9.reservations[].share",                               "plan9.shares[].name",
      SF_REF_NAMES,
      { "plan9.reservations[].share",                             { "plan9.reservations[].share" } },
      { "plan9.shares[].name",                                    { "plan9.shares[].name" } } },

    { "plan9.shares[].mount.refs",                                "count of plan9.reservations[]",
      SF_REF_COUNTS,
      { "plan9.shares[].mount.refs",                              { "plan9.shares[].name" } },
      { "plan9.reservations[]",                                   { "plan9.reservations[].share" } } },

    { "vpci.reservations[].device",                               "vpci.devices[].id",
      SF_REF_NAMES,
      { "vpci.reservations[].device",                             { "vpci.reservations[].device" } },
      { "vpci.devices[].id",                                      { "vpci.devices[].id" } } },

    { "vpci.devices[].refs",                                      "count of vpci.reservations[]",
      SF_REF_COUNTS,
      { "vpci.devices[].refs",                                    { "vpci.devices[].id" } },
      { "vpci.reservations[]",                                    { "vpci.reservations[].device" } } },

    { "network.namespaces[].pod_id",                              "container.pods[].pod_id",
      SF_REF_NAMES,
      { "network.namespaces[].pod_id",                            { "network.namespaces[].pod_id" } },
      { "container.pods[].pod_id",                                { "container.pods[].pod_id" } } },

    { "container.containers[].pod_id",                            "container.pods[].pod_id",
      SF_REF_NAMES,
      { "container.containers[].pod_id",                          { "container.containers[].pod_id" } },
      { "container.pods[].pod_id",                                { "container.pods[].pod_id" } } },

    { "container.containers[].layers.read_only[].reservation_id", "scsi.reservations[].id",
      SF_REF_OWNS,
      { "container.containers[].layers.read_only[].reservation_id",
        { "container.containers[].layers.read_only[].reservation_id" } },
      { "scsi.reservations[].id",                                 { "scsi.reservations[].id" } } },

    { "container.containers[].layers.scratch.reservation_id",     "scsi.reservations[].id",
      SF_REF_OWNS,
      { "container.containers[].layers.scratch.reservation_id",
        { "container.containers[].layers.scratch.reservation_id" } },
      { "scsi.reservations[].id",                                 { "scsi.reservations[].id" } } },

    { "container.containers[].scsi_reservation_ids[]",            "scsi.reservations[].id",
      SF_REF_OWNS,
      { "container.containers[].scsi_reservation_ids[]",
        { "container.containers[].scsi_reservation_ids[]" } },
      { "scsi.reservations[].id",                                 { "scsi.reservations[].id" } } },

    { "container.containers[].plan9_reservation_ids[]",           "plan9.reservations[].id",
      SF_REF_OWNS,
      { "container.containers[].plan9_reservation_ids[]",
        { "container.containers[].plan9_reservation_ids[]" } },
      { "plan9.reservations[].id",                                { "plan9.reservations[].id" } } },

    { "container.containers[].vpci_reservation_ids[]",            "vpci.reservations[].id",
      SF_REF_OWNS,
      { "container.containers[].vpci_reservation_ids[]",
        { "container.containers[].vpci_reservation_ids[]" } },
      { "vpci.reservations[].id",                                 { "vpci.reservations[].id" } } },

    { "process.processes[].container_id",                         "container.containers[].container_id",
      SF_REF_NAMES,
      { "process.processes[].container_id",                       { "process.processes[].container_id" } },
      { "container.containers[].container_id",                    { "container.containers[].container_id" } } },
};

const struct sf_list sf_lists[] = {
    /* list                               sorted by */
    { "labels[]",                         { "labels[].key" } },
    { "scsi.disks[]",                     { "scsi.disks[].slot" } },
    { "scsi.disks[].mounts[]",            { "scsi.disks[].mounts[].partition" } },
    { "scsi.reservations[]",              { "scsi.reservations[].id" } },
    { "vpci.devices[]",                   { "vpci.devices[].id" } },
    { "vpci.devices[].properties[]",      { NULL } },
    { "vpci.devices[].nodes[]",           { NULL } },
    { "vpci.reservations[]",              { "vpci.reservations[].id" } },
    { "plan9.shares[]",                   { "plan9.shares[].name" } },
    { "plan9.shares[].allowed_names[]",   { NULL } },
    { "plan9.shares[].fids[]",            { "plan9.shares[].fids[].fid" } },
    { "plan9.shares[].fids[].locks[]",    { "plan9.shares[].fids[].locks[].start",
                                            "plan9.shares[].fids[].locks[].process" } },
    { "plan9.reservations[]",             { "plan9.reservations[].id" } },
    { "network.namespaces[]",             { "network.namespaces[].pod_id" } },
    { "network.namespaces[].endpoints[]", { "network.namespaces[].endpoints[].nic_id" } },
    { "container.pods[]",                 { "container.pods[].pod_id" } },
    { "container.containers[]",           { "container.containers[].container_id" } },
    { "container.pods[].labels[]",        { "container.pods[].labels[].key" } },
    { "container.containers[].labels[]",  { "container.containers[].labels[].key" } },
    { "process.processes[]",              { "process.processes[].container_id",
                                            "process.processes[].exec_id" } },
    { "extensions[]",                     { "extensions[].controller" } },
};
// clang-format on

const size_t sf_n_refs = sizeof(sf_refs) / sizeof(sf_refs[0]);
const size_t sf_n_lists = sizeof(sf_lists) / sizeof(sf_lists[0]);

/* Parts of a key are joined with this: no string that passed the wire check has it. */
#define JOINT '\x01'

struct keys {
    char **list; /* owned, each owned */
    size_t n, room;
    bool broken; /* no memory */
};

static void keys_done(struct keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        free(keys->list[i]);
    free(keys->list);
}

/* The caller's; NULL: no memory, or a part is not there. */
static char *key_of(const struct sf_place *place, const struct sf_ref_key *key)
{
    SF_CLEANUP(sf_text_done) struct sf_text text = {0};

    for (int i = 0; i < 2 && key->parts[i] != NULL; i++) {
        const ProtobufCFieldDescriptor *field;
        const void *value = sf_place_beside(place, key->parts[i], &field);
        if (value == NULL)
            return NULL;
        if (i > 0)
            sf_text_add(&text, "%c", JOINT);
        sf_field_print(field, value, &text);
    }
    return sf_text_take(&text);
}

struct collect {
    const struct sf_ref_key *key;
    struct keys *keys;
};

static void collect_one(const struct sf_place *place, void *arg)
{
    struct collect *c = arg;
    struct keys *keys = c->keys;

    if (keys->n == keys->room) {
        size_t room = keys->room > 0 ? keys->room * 2 : 64;
        char **grown = realloc(keys->list, room * sizeof(*grown));
        if (grown == NULL) {
            keys->broken = true;
            return;
        }
        keys->list = grown;
        keys->room = room;
    }
    char *key = key_of(place, c->key);
    if (key == NULL)
        keys->broken = true;
    else
        keys->list[keys->n++] = key;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void collect(const ProtobufCMessage *s, const struct sf_ref_key *key, struct keys *keys)
{
    struct collect c = {key, keys};

    sf_path_each(s, key->visit, collect_one, &c);
}

static void sort_keys(struct keys *keys)
{
    if (keys->n > 0)
        qsort(keys->list, keys->n, sizeof(*keys->list), by_text);
}

/* How many keys are less than @key; with @or_equal, how many are not greater. */
static size_t bound(const struct keys *keys, const char *key, bool or_equal)
{
    size_t low = 0, high = keys->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(keys->list[middle], key);
        if (order < 0 || (or_equal && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Never a walk over equal keys: a snapshot from outside may have as many as it likes. */
static size_t count_equal(const struct keys *keys, const char *key)
{
    return bound(keys, key, true) - bound(keys, key, false);
}

/* Whether there is a key with the same first part: if not, the row for that part alone says so. */
static bool first_part_known(const struct keys *keys, const char *key)
{
    const char *joint = strchr(key, JOINT);
    if (joint == NULL)
        return true;

    SF_CLEANUP(sf_freep) char *first = strndup(key, (size_t)(joint - key) + 1);
    if (first == NULL)
        return true;
    size_t i = bound(keys, first, false);
    return i < keys->n && strncmp(keys->list[i], first, strlen(first)) == 0;
}

struct row_check {
    const struct sf_ref *ref;
    const struct keys *targets;
    struct sf_reasons *why;
};

static void add(struct sf_reasons *why, const struct sf_place *place, const char *text)
{
    SF_CLEANUP(sf_text_done) struct sf_text path = {0};

    sf_place_print(place, &path);
    sf_reasons_add_field(why, path.data != NULL ? path.data : "", "%s", text);
}

static void check_names(const struct sf_place *place, void *arg)
{
    struct row_check *c = arg;
    SF_CLEANUP(sf_freep) char *key = key_of(place, &c->ref->from);

    if (key == NULL || count_equal(c->targets, key) > 0 || !first_part_known(c->targets, key))
        return;
    char *joint = strchr(key, JOINT);
    SF_CLEANUP(sf_freep)
    char *text = sf_format("'%s' is in no %s", joint != NULL ? joint + 1 : key, c->ref->names);
    add(c->why, place, text != NULL ? text : "leads nowhere");
}

static void check_counts(const struct sf_place *place, void *arg)
{
    struct row_check *c = arg;
    SF_CLEANUP(sf_freep) char *key = key_of(place, &c->ref->from);
    if (key == NULL)
        return;

    size_t want = count_equal(c->targets, key);
    uint32_t is = *(const uint32_t *)place->value;
    if (is == want)
        return;
    SF_CLEANUP(sf_freep)
    char *text = sf_format("is %u; the %s is %zu", is, c->ref->names, want);
    add(c->why, place, text != NULL ? text : "is a wrong count");
}

static void check_row(const ProtobufCMessage *s, const struct sf_ref *ref, struct sf_reasons *why)
{
    SF_CLEANUP(keys_done) struct keys targets = {0};
    struct row_check c = {ref, &targets, why};

    collect(s, &ref->to, &targets);
    sort_keys(&targets);
    if (targets.broken)
        sf_reasons_add(why, "out of memory");
    else
        sf_path_each(s, ref->from.visit, ref->kind == SF_REF_COUNTS ? check_counts : check_names,
                     &c);
}

static void check_owned_once(const struct sf_place *place, void *arg)
{
    struct row_check *c = arg;
    SF_CLEANUP(sf_freep) char *key = key_of(place, &c->ref->from);

    if (key == NULL || count_equal(c->targets, key) <= 1)
        return;
    SF_CLEANUP(sf_freep)
    char *text = sf_format("'%s' of %s has more than one owner", key, c->ref->names);
    add(c->why, place, text != NULL ? text : "has more than one owner");
}

/* All rows that own entries of one list are one question. */
static void check_owners(const ProtobufCMessage *s, const char *owned, struct sf_reasons *why)
{
    SF_CLEANUP(keys_done) struct keys owners = {0};

    for (size_t i = 0; i < sf_n_refs; i++)
        if (sf_refs[i].kind == SF_REF_OWNS && strcmp(sf_refs[i].names, owned) == 0)
            collect(s, &sf_refs[i].from, &owners);
    sort_keys(&owners);
    if (owners.broken) {
        sf_reasons_add(why, "out of memory");
        return;
    }
    for (size_t i = 0; i < sf_n_refs; i++) {
        struct row_check c = {&sf_refs[i], &owners, why};
        if (sf_refs[i].kind == SF_REF_OWNS && strcmp(sf_refs[i].names, owned) == 0)
            sf_path_each(s, sf_refs[i].from.visit, check_owned_once, &c);
    }
}

static bool first_that_owns(size_t row)
{
    if (sf_refs[row].kind != SF_REF_OWNS)
        return false;
    for (size_t i = 0; i < row; i++)
        if (sf_refs[i].kind == SF_REF_OWNS && strcmp(sf_refs[i].names, sf_refs[row].names) == 0)
            return false;
    return true;
}

void sf_refs_check(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why)
{
    for (size_t i = 0; i < sf_n_refs; i++) {
        check_row(&s->base, &sf_refs[i], why);
        if (first_that_owns(i))
            check_owners(&s->base, sf_refs[i].names, why);
    }
}

/* Numbers by value, strings by their bytes. */
static int compare(const ProtobufCFieldDescriptor *field, const void *a, const void *b)
{
    uint64_t x, y;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return strcmp(a, b);
    case PROTOBUF_C_TYPE_UINT32:
        x = *(const uint32_t *)a;
        y = *(const uint32_t *)b;
        break;
    default:
        assert(field->type == PROTOBUF_C_TYPE_UINT64);
        x = *(const uint64_t *)a;
        y = *(const uint64_t *)b;
    }
    return (x > y) - (x < y);
}

struct list_check {
    const struct sf_list *list;
    struct sf_reasons *why;
};

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessage *m, const char *path)
{
    const char *dot = strrchr(path, '.');

    return protobuf_c_message_descriptor_get_field_by_name(m->descriptor, dot + 1);
}

static int compare_entries(const struct sf_list *list, const struct sf_place *place,
                           const void *before, const ProtobufCFieldDescriptor **ret_by)
{
    *ret_by = place->fields[place->n - 1];
    if (list->parts[0] == NULL)
        return compare(*ret_by, before, place->value);

    int order = 0;
    for (int i = 0; i < 2 && list->parts[i] != NULL && order == 0; i++) {
        const ProtobufCMessage *a = before, *b = place->value;
        *ret_by = field_named(b, list->parts[i]);
        order = compare(*ret_by, sf_field_value(a, *ret_by, 0), sf_field_value(b, *ret_by, 0));
    }
    return order;
}

static void check_order(const struct sf_place *place, void *arg)
{
    struct list_check *c = arg;
    uint32_t i = place->indexes[place->n - 1];
    const ProtobufCFieldDescriptor *by;
    if (i == 0)
        return;

    const void *before =
        sf_field_value(place->in[place->n - 1], place->fields[place->n - 1], i - 1);
    int order = compare_entries(c->list, place, before, &by);
    if (order < 0)
        return;
    SF_CLEANUP(sf_text_done) struct sf_text path = {0}, text = {0};
    sf_place_print(place, &path);
    if (c->list->parts[0] != NULL)
        sf_text_add(&path, ".%s", by->name);
    sf_text_add(&text, "'");
    sf_field_print(
        by, c->list->parts[0] != NULL ? sf_field_value(place->value, by, 0) : place->value, &text);
    sf_text_add(&text, order == 0 ? "' comes twice" : "' is out of order; sort the list");
    sf_reasons_add_field(c->why, path.data != NULL ? path.data : "", "%s",
                         text.data != NULL ? text.data : "out of order");
}

void sf_lists_check(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why)
{
    for (size_t i = 0; i < sf_n_lists; i++) {
        struct list_check c = {&sf_lists[i], why};
        sf_path_each(&s->base, sf_lists[i].list, check_order, &c);
    }
}
