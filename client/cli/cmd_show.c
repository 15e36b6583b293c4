#include <string.h>

#include "commands.h"
#include "output.h"

struct flags {
    unsigned output;
};
enum { TABLE, JSON, TREE };

/* clang-format off */
static const struct option options[] = {
    { "output", 'o', OPTION_CHOICE(struct flags, output), "table|json|tree",
      "how to print it (default: table); tree adds disks, shares, devices, containers and processes" },
    { 0 },
};
/* clang-format on */

static void print_labels(FILE *out, size_t n, const struct sandferry_label *labels)
{
    for (size_t i = 0; i < n; i++)
        print_field(out, i == 0 ? "labels" : "", "%s=%s", labels[i].key, labels[i].value);
}

static void print_fields(struct cli *cli, const struct sandferry_sandbox *s)
{
    char memory[SIZE_TEXT_SIZE], cpus[SIZE_TEXT_SIZE], created[TIME_TEXT_SIZE];

    print_field(cli->out, "sandbox", "%s", s->id);
    print_field(cli->out, "state", "%s", sandferry_state_name(s->state));
    if (*s->problem != '\0')
        print_field(cli->out, "problem", "%s", s->problem);
    print_field(cli->out, "created", "%s", time_text(s->created_at_ns, created));
    print_field(cli->out, "memory", "%s", memory_text(s->memory_bytes, memory));
    print_field(cli->out, "cpus", "%s", cpus_text(s->processors, cpus));
    print_field(cli->out, "cpu model", "%s", *s->cpu_model != '\0' ? s->cpu_model : "default");
    if (*s->image != '\0')
        print_field(cli->out, "image", "%s", s->image);
    if (*s->kernel_arguments != '\0')
        print_field(cli->out, "kernel args", "%s", s->kernel_arguments);
    print_labels(cli->out, s->n_labels, s->labels);

    SF_CLEANUP(sf_text_done) struct sf_text names = {0};
    for (size_t i = 0; i < s->n_controllers; i++)
        sf_text_add(&names, "%s%s", i > 0 ? " " : "", s->controllers[i]);
    print_field(cli->out, "controllers", "%s", names.data != NULL ? names.data : "");
}

/* ---- the tree ---- */

static bool has_controller(const struct sandferry_sandbox *s, const char *name)
{
    for (size_t i = 0; i < s->n_controllers; i++)
        if (strcmp(s->controllers[i], name) == 0)
            return true;
    return false;
}

static void print_line(struct cli *cli, unsigned depth, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void print_line(struct cli *cli, unsigned depth, const char *fmt, ...)
{
    SF_CLEANUP(sf_text_done) struct sf_text t = {0};
    va_list args;
    va_start(args, fmt);
    sf_text_addv(&t, fmt, args);
    va_end(args);
    fprintf(cli->out, "%*s", (int)depth * 4, "");
    print_safe(cli->out, t.data != NULL ? t.data : "?");
    fputc('\n', cli->out);
}

static bool print_disks(struct cli *cli, const char *id, struct sf_error **err)
{
    struct sandferry_disks *disks;
    if (!sandferry_disk_list(cli->client, id, NULL, &disks, err))
        return false;
    for (size_t i = 0; i < disks->n; i++) {
        const struct sandferry_disk *d = disks->all[i];
        print_line(cli, 1, "disk %u:%u %s (%s, %s)", d->slot / 64, d->slot % 64, d->host_path,
                   d->read_only ? "read-only" : "writable", sandferry_disk_stage_name(d->stage));
        for (size_t m = 0; m < d->n_mounts; m++)
            print_line(cli, 2, "partition %llu %s (%s%s, held %u times)",
                       (unsigned long long)d->mounts[m]->partition, d->mounts[m]->guest_path,
                       sandferry_mount_stage_name(d->mounts[m]->stage),
                       d->mounts[m]->encrypted ? ", encrypted" : "", d->mounts[m]->refs);
    }
    sandferry_disks_free(disks);
    return true;
}

static bool print_shares(struct cli *cli, const char *id, struct sf_error **err)
{
    struct sandferry_shares *shares;
    if (!sandferry_share_list(cli->client, id, NULL, &shares, err))
        return false;
    for (size_t i = 0; i < shares->n; i++) {
        const struct sandferry_share *s = shares->all[i];
        print_line(cli, 1, "share %s %s (%s%s, %s)", s->name, s->host_path,
                   s->read_only ? "read-only" : "writable", s->restricted ? ", restricted" : "",
                   sandferry_share_stage_name(s->stage));
        if (*s->guest_path != '\0')
            print_line(cli, 2, "mount %s (%s, held %u times, %zu files open)", s->guest_path,
                       sandferry_share_mount_stage_name(s->mount_stage), s->refs, s->n_open);
    }
    sandferry_shares_free(shares);
    return true;
}

static bool print_devices(struct cli *cli, const char *id, struct sf_error **err)
{
    struct sandferry_devices *devices;
    if (!sandferry_device_list(cli->client, id, NULL, &devices, err))
        return false;
    for (size_t i = 0; i < devices->n; i++) {
        const struct sandferry_device *d = devices->all[i];
        print_line(cli, 1, "device %s (%s, %s, held %u times)",
                   *d->model != '\0' ? d->model : d->host_address,
                   sandferry_device_stage_name(d->stage),
                   d->travels ? "travels" : "is unplugged for a save", d->refs);
        if (*d->pci_address != '\0')
            print_line(cli, 2, "function %s (%s, driver %s)", d->pci_address, d->port,
                       *d->driver != '\0' ? d->driver : "none");
        for (size_t n = 0; n < d->n_nodes; n++)
            print_line(cli, 2, "node %s", d->nodes[n]);
    }
    sandferry_devices_free(devices);
    return true;
}

static void print_processes_of(struct cli *cli, const char *container,
                               const struct sandferry_processes *processes)
{
    for (size_t i = 0; processes != NULL && i < processes->n; i++) {
        const struct sandferry_process *p = processes->all[i];
        if (strcmp(p->container_id, container) != 0)
            continue;
        const char *name = *p->exec_id != '\0' ? p->exec_id : "init";
        if (p->stage == SANDFERRY_PROCESS_TERMINATED)
            print_line(cli, 3, "process %s (ended with %u)", name, p->exit_code);
        else
            print_line(cli, 3, "process %s (%s, pid %d)", name,
                       sandferry_process_stage_name(p->stage), p->pid);
    }
}

static void print_pods(struct cli *cli, const struct sandferry_containers *containers,
                       const struct sandferry_processes *processes)
{
    for (size_t p = 0; p < containers->n_pods; p++) {
        print_line(cli, 1, "pod %s", containers->pods[p]);
        for (size_t i = 0; i < containers->n; i++) {
            const struct sandferry_container *c = containers->all[i];
            if (strcmp(c->pod_id, containers->pods[p]) != 0)
                continue;
            print_line(cli, 2, "container %s (%s)", c->id,
                       sandferry_container_stage_name(c->stage));
            print_processes_of(cli, c->id, processes);
        }
    }
}

static bool print_tree(struct cli *cli, const struct sandferry_sandbox *s, struct sf_error **err)
{
    struct sandferry_containers *containers = NULL;
    struct sandferry_processes *processes = NULL;
    char memory[SIZE_TEXT_SIZE], cpus[SIZE_TEXT_SIZE];

    print_line(cli, 0, "sandbox %s (%s, memory %s, cpus %s)", s->id, sandferry_state_name(s->state),
               memory_text(s->memory_bytes, memory), cpus_text(s->processors, cpus));
    bool ok = (!has_controller(s, "scsi") || print_disks(cli, s->id, err)) &&
              (!has_controller(s, "plan9") || print_shares(cli, s->id, err)) &&
              (!has_controller(s, "vpci") || print_devices(cli, s->id, err)) &&
              (!has_controller(s, "container") ||
               sandferry_container_list(cli->client, s->id, NULL, &containers, err)) &&
              (!has_controller(s, "process") ||
               sandferry_process_list(cli->client, s->id, NULL, NULL, &processes, err));
    if (ok && containers != NULL)
        print_pods(cli, containers, processes);
    sandferry_containers_free(containers);
    sandferry_processes_free(processes);
    return ok;
}

static int run(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    const struct flags *f = flags;
    struct sandferry_sandbox *s;
    bool ok = true;

    if (!cli_connect(cli, &err) || !sandferry_get(cli->client, operands->all[0], NULL, &s, &err))
        return cli_fail(cli, err);
    if (f->output == JSON)
        ok = print_json(cli->out, sandferry_sandbox_json(s), &err);
    else if (f->output == TREE)
        ok = print_tree(cli, s, &err);
    else
        print_fields(cli, s);
    sandferry_sandbox_free(s);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_show = {
    .name = "show",
    .operands = "SANDBOX",
    .summary = "Tell about one sandbox",
    .examples = "  sandferry show web\n"
                "  sandferry show web -o tree\n",
    .options = options,
    .flags_size = sizeof(struct flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
