#include "snapshot/show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "snapshot/limits.h"

typedef Sandferry__V1__SandboxSnapshot snapshot;

#define DEPTHS 4

/* A sound snapshot has no more. One that names things twice could draw them in every pairing. */
#define NODES_MAX SF_SNAPSHOT_ELEMENTS_MAX

/* One line of the tree. */
struct node {
    unsigned depth;    /* below DEPTHS */
    bool more[DEPTHS]; /* another line follows at that depth */
    char *text;
    char *name; /* what a link may lead to; NULL: nothing does */
    char *link; /* the name of the node that this one holds; NULL: none */
};

struct nodes {
    struct node *list;
    size_t n;
    bool broken; /* no memory */
};

static void nodes_done(struct nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++) {
        free(nodes->list[i].text);
        free(nodes->list[i].name);
        free(nodes->list[i].link);
    }
    free(nodes->list);
}

static bool full(const struct nodes *nodes)
{
    return nodes->broken || nodes->n > NODES_MAX;
}

/* Takes @text over. */
static void append(struct nodes *nodes, unsigned depth, char *text)
{
    bool grows = (nodes->n & (nodes->n - 1)) == 0; /* at 0, 1, 2, 4, ... */
    size_t room = nodes->n > 0 ? nodes->n * 2 : 1;
    struct node *list = grows ? realloc(nodes->list, room * sizeof(*list)) : nodes->list;

    if (list != NULL)
        nodes->list = list;
    nodes->broken = list == NULL || text == NULL;
    if (nodes->broken)
        free(text);
    else
        list[nodes->n++] = (struct node){.depth = depth, .text = text};
}

static void add(struct nodes *nodes, unsigned depth, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct nodes *nodes, unsigned depth, const char *fmt, ...)
{
    struct sf_text text = {0};
    va_list args;

    if (full(nodes))
        return;
    if (nodes->n == NODES_MAX) {
        append(nodes, 1, strdup("and more"));
        return;
    }
    va_start(args, fmt);
    sf_text_addv(&text, fmt, args);
    va_end(args);
    append(nodes, depth, sf_text_take(&text));
}

/* Of the line that was added last; @name and @link are taken over. */
static void set_name(struct nodes *nodes, char *name)
{
    nodes->broken |= name == NULL;
    if (full(nodes))
        free(name);
    else
        nodes->list[nodes->n - 1].name = name;
}

static void set_link(struct nodes *nodes, char *link)
{
    nodes->broken |= link == NULL;
    if (full(nodes))
        free(link);
    else
        nodes->list[nodes->n - 1].link = link;
}

/* "SCSI_DISK_STAGE_ATTACHED" -> "attached". */
static const char *stage(const ProtobufCEnumDescriptor *type, int number, char ret[32])
{
    static const char mark[] = "_STAGE_";
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
    const char *name = value != NULL ? strstr(value->name, mark) : NULL;
    if (name == NULL) {
        snprintf(ret, 32, "stage %d", number);
        return ret;
    }

    snprintf(ret, 32, "%s", name + sizeof(mark) - 1);
    for (char *c = ret; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    return ret;
}

#define STAGE(type, number)                                                                        \
    stage(&sandferry__v1__##type##_stage__descriptor, (int)(number), (char[32]){0})

static char *mount_name(uint32_t slot, uint64_t partition)
{
    return sf_format("mount %u %llu", slot, (unsigned long long)partition);
}

/* ---- what is in the VM ---- */

static void add_disks(struct nodes *nodes, const Sandferry__V1__ScsiSection *scsi)
{
    for (size_t i = 0; scsi != NULL && i < scsi->n_disks; i++) {
        const Sandferry__V1__ScsiDisk *d = scsi->disks[i];
        add(nodes, 2, "disk %u:%u: %s, %s%s, %s", d->slot / SF_SCSI_LUNS, d->slot % SF_SCSI_LUNS,
            STAGE(scsi_disk, d->stage), d->read_only ? "read-only" : "writable",
            d->boot ? ", boot" : "", d->host_path);
        for (size_t k = 0; k < d->n_mounts; k++) {
            const Sandferry__V1__ScsiMount *m = d->mounts[k];
            add(nodes, 3, "partition %llu: %s, %s, %u held, %s", (unsigned long long)m->partition,
                STAGE(scsi_mount, m->stage), m->read_only ? "read-only" : "writable", m->refs,
                m->guest_path[0] != '\0' ? m->guest_path : "no path");
            set_name(nodes, mount_name(d->slot, m->partition));
        }
    }
}

static void add_shares(struct nodes *nodes, const Sandferry__V1__Plan9Section *plan9)
{
    for (size_t i = 0; plan9 != NULL && i < plan9->n_shares; i++) {
        const Sandferry__V1__Plan9Share *share = plan9->shares[i];
        add(nodes, 2, "share '%s': %s, %s, %s", share->name, STAGE(plan9_share, share->stage),
            share->read_only ? "read-only" : "writable", share->host_path);
        set_name(nodes, sf_format("share %s", share->name));
        if (share->mount != NULL)
            add(nodes, 3, "mount: %s, %u held, %s", STAGE(plan9_mount, share->mount->stage),
                share->mount->refs, share->mount->guest_path);
    }
}

static void add_devices(struct nodes *nodes, const Sandferry__V1__VpciSection *vpci)
{
    for (size_t i = 0; vpci != NULL && i < vpci->n_devices; i++) {
        const Sandferry__V1__VpciDevice *d = vpci->devices[i];
        struct sf_text what = {0};
        sf_text_add(&what, "%s", d->model[0] != '\0' ? d->model : d->host_address);
        if (d->virtual_function > 0)
            sf_text_add(&what, " function %u", d->virtual_function);
        for (size_t k = 0; k < d->n_properties; k++)
            sf_text_add(&what, ",%s", d->properties[k]);
        if (d->guest_address[0] != '\0')
            sf_text_add(&what, " in %s", d->guest_address);
        add(nodes, 2, "device '%s': %s, %s%s, %u held", d->id, STAGE(vpci_device, d->stage),
            what.data != NULL ? what.data : "", d->travels ? ", travels" : "", d->refs);
        sf_text_done(&what);
        set_name(nodes, sf_format("device %s", d->id));
    }
}

static void add_vm(struct nodes *nodes, const snapshot *s)
{
    const Sandferry__V1__VmSection *vm = s->vm;
    struct sf_text text = {0};

    if (vm != NULL) {
        sf_text_add(&text, ": %s", STAGE(vm, vm->stage));
        if (vm->options != NULL && vm->options->processors > 0)
            sf_text_add(&text, ", %u processors", vm->options->processors);
        if (vm->memory != NULL)
            sf_text_add(&text, ", %llu MiB",
                        (unsigned long long)vm->memory->size_bytes / (1024 * 1024));
        if (vm->compatibility != NULL)
            sf_text_add(&text, ", %s, cpu %s, %s", vm->compatibility->machine_type,
                        vm->compatibility->cpu_model, vm->compatibility->accelerator);
    }
    add(nodes, 1, "vm%s", text.data != NULL ? text.data : "");
    sf_text_done(&text);
    if (vm != NULL && vm->memory != NULL)
        add(nodes, 2, "memory '%s': family '%s', generation %llu", vm->memory->memory_id,
            vm->memory->family_id, (unsigned long long)vm->memory->generation);
    add_disks(nodes, s->scsi);
    add_shares(nodes, s->plan9);
    add_devices(nodes, s->vpci);
}

/* ---- what is in a pod ---- */

static void add_disk_link(struct nodes *nodes, const snapshot *s, const char *what,
                          const char *reservation)
{
    const Sandferry__V1__ScsiReservation *held = NULL;

    for (size_t i = 0; s->scsi != NULL && i < s->scsi->n_reservations && held == NULL; i++)
        if (strcmp(s->scsi->reservations[i]->id, reservation) == 0)
            held = s->scsi->reservations[i];
    if (held == NULL) {
        add(nodes, 3, "%s: reservation '%s', which is not there", what, reservation);
        return;
    }
    add(nodes, 3, "%s: disk %u:%u, partition %llu", what, held->slot / SF_SCSI_LUNS,
        held->slot % SF_SCSI_LUNS, (unsigned long long)held->partition);
    set_link(nodes, mount_name(held->slot, held->partition));
}

static void add_share_link(struct nodes *nodes, const snapshot *s, const char *reservation)
{
    const Sandferry__V1__Plan9Section *plan9 = s->plan9;

    for (size_t i = 0; plan9 != NULL && i < plan9->n_reservations; i++) {
        if (strcmp(plan9->reservations[i]->id, reservation) != 0)
            continue;
        add(nodes, 3, "holds: share '%s'", plan9->reservations[i]->share);
        set_link(nodes, sf_format("share %s", plan9->reservations[i]->share));
        return;
    }
    add(nodes, 3, "holds: reservation '%s', which is not there", reservation);
}

static void add_device_link(struct nodes *nodes, const snapshot *s, const char *reservation)
{
    const Sandferry__V1__VpciSection *vpci = s->vpci;

    for (size_t i = 0; vpci != NULL && i < vpci->n_reservations; i++) {
        if (strcmp(vpci->reservations[i]->id, reservation) != 0)
            continue;
        add(nodes, 3, "holds: device '%s'", vpci->reservations[i]->device);
        set_link(nodes, sf_format("device %s", vpci->reservations[i]->device));
        return;
    }
    add(nodes, 3, "holds: reservation '%s', which is not there", reservation);
}

static void add_process(struct nodes *nodes, const Sandferry__V1__Process *p)
{
    char exit_code[32] = "";

    if (p->stage == SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED)
        snprintf(exit_code, sizeof(exit_code), ", exit code %u", p->exit_code);
    if (p->exec_id[0] == '\0')
        add(nodes, 3, "init: %s, pid %d%s", STAGE(process, p->stage), p->pid, exit_code);
    else
        add(nodes, 3, "process '%s': %s, pid %d%s", p->exec_id, STAGE(process, p->stage), p->pid,
            exit_code);
}

static void add_container(struct nodes *nodes, const snapshot *s, const Sandferry__V1__Container *c)
{
    if (full(nodes))
        return;
    add(nodes, 2, "container '%s': %s", c->container_id, STAGE(container, c->stage));
    for (size_t i = 0; c->layers != NULL && i < c->layers->n_read_only; i++)
        add_disk_link(nodes, s, "layer", c->layers->read_only[i]->reservation_id);
    if (c->layers != NULL && c->layers->scratch != NULL)
        add_disk_link(nodes, s, "scratch", c->layers->scratch->reservation_id);
    for (size_t i = 0; i < c->n_scsi_reservation_ids; i++)
        add_disk_link(nodes, s, "holds", c->scsi_reservation_ids[i]);
    for (size_t i = 0; i < c->n_plan9_reservation_ids; i++)
        add_share_link(nodes, s, c->plan9_reservation_ids[i]);
    for (size_t i = 0; i < c->n_vpci_reservation_ids; i++)
        add_device_link(nodes, s, c->vpci_reservation_ids[i]);
    for (size_t i = 0; s->process != NULL && i < s->process->n_processes && !full(nodes); i++)
        if (strcmp(s->process->processes[i]->container_id, c->container_id) == 0)
            add_process(nodes, s->process->processes[i]);
}

static void add_network(struct nodes *nodes, const Sandferry__V1__NetworkNamespace *ns)
{
    add(nodes, 2, "network: %s", STAGE(network, ns->stage));
    for (size_t i = 0; i < ns->n_endpoints; i++) {
        const Sandferry__V1__NetworkEndpoint *e = ns->endpoints[i];
        struct sf_text addresses = {0};
        for (size_t k = 0; k < e->n_addresses; k++)
            sf_text_add(&addresses, ", %s", e->addresses[k]);
        add(nodes, 3, "%s: %s%s", e->guest_device, e->mac_address,
            addresses.data != NULL ? addresses.data : "");
        sf_text_done(&addresses);
    }
}

static void add_pod(struct nodes *nodes, const snapshot *s, const char *pod_id)
{
    if (full(nodes))
        return;
    add(nodes, 1, "pod '%s'", pod_id);
    for (size_t i = 0; s->network != NULL && i < s->network->n_namespaces; i++)
        if (strcmp(s->network->namespaces[i]->pod_id, pod_id) == 0)
            add_network(nodes, s->network->namespaces[i]);
    for (size_t i = 0; i < s->container->n_containers && !full(nodes); i++)
        if (strcmp(s->container->containers[i]->pod_id, pod_id) == 0)
            add_container(nodes, s, s->container->containers[i]);
}

static void add_root(struct nodes *nodes, const snapshot *s)
{
    char when[32] = "";
    struct tm tm;
    time_t seconds = s->created_at != NULL ? (time_t)s->created_at->seconds : 0;

    if (s->created_at != NULL && gmtime_r(&seconds, &tm) != NULL)
        strftime(when, sizeof(when), ", saved %Y-%m-%dT%H:%M:%SZ", &tm);
    add(nodes, 0, "sandbox '%s': schema %u%s%s%s", s->sandbox_id, s->schema_version, when,
        s->producer[0] != '\0' ? " by " : "", s->producer);
    for (size_t i = 0; i < s->n_labels; i++)
        add(nodes, 1, "label %s=%s", s->labels[i]->key, s->labels[i]->value);
}

static void collect(struct nodes *nodes, const snapshot *s)
{
    add_root(nodes, s);
    if (s->vm != NULL || s->scsi != NULL || s->vpci != NULL || s->plan9 != NULL)
        add_vm(nodes, s);
    for (size_t i = 0; s->container != NULL && i < s->container->n_pods; i++)
        add_pod(nodes, s, s->container->pods[i]->pod_id);
    for (size_t i = 0; i < s->n_extensions; i++) {
        const Sandferry__V1__Extension *e = s->extensions[i];
        add(nodes, 1, "extension '%s': version %u%s, %zu bytes", e->controller, e->version,
            e->critical ? ", critical" : "", e->payload.len);
    }
}

/* ---- the two drawings ---- */

static void add_printable(struct sf_text *out, const char *text, bool quoted)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            sf_text_add(out, quoted ? "\\\\x%02x" : "\\x%02x", c);
        else if (quoted && (c == '"' || c == '\\'))
            sf_text_add(out, "\\%c", c);
        else
            sf_text_add_bytes(out, text, 1);
    }
}

/* From the last line up: which lines have another of their depth, or of one above, below them. */
static void find_more(struct nodes *nodes)
{
    bool open[DEPTHS] = {false};

    for (size_t i = nodes->n; i-- > 0;) {
        struct node *node = &nodes->list[i];
        memcpy(node->more, open, sizeof(open));
        open[node->depth] = true;
        for (unsigned d = node->depth + 1; d < DEPTHS; d++)
            open[d] = false;
    }
}

char *sf_snapshot_to_tree(const snapshot *s)
{
    SF_CLEANUP(nodes_done) struct nodes nodes = {0};
    SF_CLEANUP(sf_text_done) struct sf_text out = {0};

    collect(&nodes, s);
    find_more(&nodes);
    for (size_t i = 0; i < nodes.n; i++) {
        const struct node *node = &nodes.list[i];
        for (unsigned d = 1; d < node->depth; d++)
            sf_text_add(&out, "%s", node->more[d] ? "│   " : "    ");
        if (node->depth > 0)
            sf_text_add(&out, "%s", node->more[node->depth] ? "├── " : "└── ");
        add_printable(&out, node->text, false);
        sf_text_add(&out, "\n");
    }
    return nodes.broken ? NULL : sf_text_take(&out);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct node *const *)a)->name, (*(struct node *const *)b)->name);
}

/* The nodes that have a name, sorted by it. The caller's; NULL: no memory. */
static struct node **sort_names(struct nodes *nodes, size_t *ret_n)
{
    struct node **names = calloc(nodes->n + 1, sizeof(struct node *));
    size_t n = 0;

    for (size_t i = 0; names != NULL && i < nodes->n; i++)
        if (nodes->list[i].name != NULL)
            names[n++] = &nodes->list[i];
    if (n > 0)
        qsort(names, n, sizeof(struct node *), by_name);
    *ret_n = n;
    return names;
}

static void add_link(struct sf_text *out, const struct nodes *nodes, struct node **names, size_t n,
                     size_t from)
{
    const struct node key = {.name = nodes->list[from].link}, *wanted = &key;
    struct node **to = key.name != NULL && n > 0
                           ? bsearch(&wanted, names, n, sizeof(struct node *), by_name)
                           : NULL;

    if (to != NULL)
        sf_text_add(out, "    n%zu -> n%zu [style=dashed, constraint=false];\n", from,
                    (size_t)(*to - nodes->list));
}

char *sf_snapshot_to_dot(const snapshot *s)
{
    SF_CLEANUP(nodes_done) struct nodes nodes = {0};
    SF_CLEANUP(sf_text_done) struct sf_text out = {0};
    size_t n_names, last[DEPTHS] = {0}; /* the latest node of each depth */

    collect(&nodes, s);
    SF_CLEANUP(sf_freep) struct node **names = sort_names(&nodes, &n_names);
    if (names == NULL)
        return NULL;
    sf_text_add(&out, "digraph snapshot {\n    rankdir=LR;\n    node [shape=box];\n");
    for (size_t i = 0; i < nodes.n; i++) {
        const struct node *node = &nodes.list[i];
        sf_text_add(&out, "    n%zu [label=\"", i);
        add_printable(&out, node->text, true);
        sf_text_add(&out, "\"];\n");
        if (node->depth > 0)
            sf_text_add(&out, "    n%zu -> n%zu;\n", last[node->depth - 1], i);
        last[node->depth] = i;
        add_link(&out, &nodes, names, n_names, i);
    }
    sf_text_add(&out, "}\n");
    return nodes.broken ? NULL : sf_text_take(&out);
}

char *sf_snapshot_to_json_text(const snapshot *s)
{
    json_t *json = sf_message_to_json(&s->base);
    if (json == NULL)
        return NULL;

    SF_CLEANUP(sf_freep) char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(json);
    return text != NULL ? sf_format("%s\n", text) : NULL;
}
