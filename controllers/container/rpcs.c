/* ContainerService: requests to moves. */
#include "container/container.h"

#include <stdlib.h>
#include <string.h>

#include "sandferry/v1/container.pb-c.h"

extern const uint8_t container_files[];
extern const size_t container_files_size;

#define SIGNAL_KILL 9

typedef Sandferry__V1__ContainerSection section_t;
typedef Sandferry__V1__Container container_t;

static struct containers *containers_of(struct sf_controller *c)
{
    return (struct containers *)c; /* base is the first member */
}

/* The books as messages: what the section says, without a snapshot around it. */
static section_t *books(const struct containers *c, struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    if (!containers_to_section(c, &section, err))
        return NULL;

    section_t *wire = sandferry__v1__container_section__unpack(NULL, section.size, section.data);
    if (wire == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return wire;
}

static container_t *message(const struct containers *c, const struct container *container,
                            struct sf_error **err)
{
    section_t *wire = books(c, err);
    container_t *found = NULL;

    for (size_t i = 0; wire != NULL && i < wire->n_containers; i++) {
        if (strcmp(wire->containers[i]->container_id, container->container_id) != 0)
            continue;
        found = wire->containers[i];
        wire->containers[i] = wire->containers[--wire->n_containers];
        break;
    }
    if (wire != NULL)
        sandferry__v1__container_section__free_unpacked(wire, NULL);
    return found;
}

static struct container *find(struct sf_controller *c, const char *container_id,
                              struct sf_error **err)
{
    struct container *container = container_find(containers_of(c), container_id);

    if (container == NULL)
        sf_fail(err, SF_NOT_FOUND, "sandbox '%s' has no container '%s'", sf_sandbox_id(c->sandbox),
                container_id);
    return container;
}

/* ---- Create ---- */

static struct wanted_disk want_disk(const Sandferry__V1__AddDiskRequest *q, bool layer)
{
    return (struct wanted_disk){.request = {
                                    .host_path = q->host_path,
                                    .read_only = layer || q->read_only,
                                    .type = (unsigned)q->type,
                                    .format = (unsigned)q->format,
                                    .partition = q->partition,
                                    .encrypted = q->encrypted,
                                    .options = (const char *const *)q->options,
                                    .n_options = q->n_options,
                                    .ensure_filesystem = q->ensure_filesystem && !layer,
                                    .filesystem = q->filesystem,
                                    .block_device = false,
                                }};
}

static struct wanted_share want_share(const Sandferry__V1__ShareMount *q)
{
    return (struct wanted_share){
        .request =
            {
                .host_path = q->share->host_path,
                .read_only = q->share->read_only,
                .restricted = q->share->restricted,
                .allowed_names = (const char *const *)q->share->allowed_names,
                .n_allowed_names = q->share->n_allowed_names,
            },
        .destination = q->destination,
    };
}

static struct sf_device_request want_device(const Sandferry__V1__AddDeviceRequest *q)
{
    return (struct sf_device_request){
        .host_address = q->host_address,
        .virtual_function = q->virtual_function,
        .model = q->model,
        .properties = (const char *const *)q->properties,
        .n_properties = q->n_properties,
    };
}

/* The wishes of a request; what they point to is the request's. */
struct wishes {
    struct wanted_disk scratch, *disks; /* the layers before the others */
    struct wanted_share *shares;
    struct sf_device_request *devices;
    struct label *labels;
};

static void wishes_done(struct wishes *w)
{
    free(w->disks);
    free(w->shares);
    free(w->devices);
    free(w->labels);
}

static bool wishes_room(struct wishes *w, const Sandferry__V1__CreateContainerRequest *q,
                        struct sf_error **err)
{
    w->disks = calloc(q->n_layers + q->n_disks + 1, sizeof(*w->disks));
    w->shares = calloc(q->n_shares + 1, sizeof(*w->shares));
    w->devices = calloc(q->n_devices + 1, sizeof(*w->devices));
    w->labels = calloc(q->n_labels + 1, sizeof(*w->labels));
    return (w->disks != NULL && w->shares != NULL && w->devices != NULL && w->labels != NULL) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static bool want_all(struct wishes *w, const Sandferry__V1__CreateContainerRequest *q,
                     struct sf_error **err)
{
    struct wanted_disk *others = w->disks + q->n_layers;

    for (size_t i = 0; i < q->n_layers; i++)
        w->disks[i] = want_disk(q->layers[i], true);
    for (size_t i = 0; i < q->n_disks; i++) {
        if (q->disks[i]->disk == NULL)
            return sf_fail(err, SF_INVALID_ARGUMENT, "disks[%zu].disk is absent", i);
        if (q->disks[i]->disk->block_device)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "disks[%zu].disk.block_device: a container's disks are mounted; add a "
                           "block device with AddDisk",
                           i);
        others[i] = want_disk(q->disks[i]->disk, false);
        others[i].destination = q->disks[i]->destination;
    }
    for (size_t i = 0; i < q->n_shares; i++) {
        if (q->shares[i]->share == NULL)
            return sf_fail(err, SF_INVALID_ARGUMENT, "shares[%zu].share is absent", i);
        w->shares[i] = want_share(q->shares[i]);
    }
    for (size_t i = 0; i < q->n_devices; i++)
        w->devices[i] = want_device(q->devices[i]);
    for (size_t i = 0; i < q->n_labels; i++)
        w->labels[i] = (struct label){.key = q->labels[i]->key, .value = q->labels[i]->value};
    if (q->scratch == NULL)
        return true;
    w->scratch = want_disk(q->scratch, false);
    w->scratch.request.ensure_filesystem = true;
    return !w->scratch.request.read_only ||
           sf_fail(err, SF_INVALID_ARGUMENT, "scratch: the container must be able to write to it");
}

static bool create(struct containers *c, const Sandferry__V1__CreateContainerRequest *q,
                   const struct wishes *w, struct container **ret, struct sf_error **err)
{
    const struct wanted_container wanted = {
        .container_id = q->container_id,
        .pod_id = q->pod_id,
        .layers = w->disks,
        .n_layers = q->n_layers,
        .scratch = q->scratch != NULL ? &w->scratch : NULL,
        .disks = w->disks + q->n_layers,
        .n_disks = q->n_disks,
        .shares = w->shares,
        .n_shares = q->n_shares,
        .devices = w->devices,
        .n_devices = q->n_devices,
        .spec = q->spec,
        .args = q->args,
        .n_args = q->n_args,
        .env = q->env,
        .n_env = q->n_env,
        .working_directory = q->working_directory,
        .labels = w->labels,
        .n_labels = q->n_labels,
    };
    return container_create(c, &wanted, ret, err);
}

static bool create_container(struct sf_controller *c, struct sf_call *call, const void *request,
                             void *reply, struct sf_error **err)
{
    const Sandferry__V1__CreateContainerRequest *q = request;
    Sandferry__V1__CreateContainerResponse *out = reply;
    SF_CLEANUP(wishes_done) struct wishes w = {0};
    struct container *new;

    (void)call;
    return wishes_room(&w, q, err) && want_all(&w, q, err) &&
           create(containers_of(c), q, &w, &new, err) &&
           (out->container = message(containers_of(c), new, err)) != NULL;
}

/* ---- The others ---- */

static bool start_container(struct sf_controller *c, struct sf_call *call, const void *request,
                            void *reply, struct sf_error **err)
{
    const Sandferry__V1__StartContainerRequest *q = request;
    Sandferry__V1__StartContainerResponse *out = reply;
    struct container *container = find(c, q->container_id, err);

    (void)call;
    return container != NULL && container_start(containers_of(c), container, err) &&
           (out->container = message(containers_of(c), container, err)) != NULL;
}

static bool kill_it(struct sf_controller *c, const char *container_id, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_processes_offer *processes =
        sf_sandbox_offer(c->sandbox, SF_PROCESSES_OFFER, &owner);

    if (processes == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_PROCESSES_OFFER);
    return processes->signal_init(owner, container_id, SIGNAL_KILL, err);
}

static bool alive(const struct container *container)
{
    return container->state == CONTAINER_RUNNING || container->state == CONTAINER_CREATED;
}

/* After a wait: the same one, not another that was made under its id. NULL: it is gone. */
static struct container *find_again(struct sf_controller *c, const char *container_id,
                                    uint64_t serial)
{
    struct container *container = container_find(containers_of(c), container_id);

    return container != NULL && container->serial == serial ? container : NULL;
}

/* Until it is gone; by us or by somebody else. */
static bool end_container(struct sf_controller *c, struct sf_call *call,
                          struct container *container, bool force, struct sf_error **err)
{
    uint64_t serial = container->serial;
    char id[SF_ID_SIZE];

    memcpy(id, container->container_id, sizeof(id));
    if (container->state == CONTAINER_RUNNING && !force)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "container '%s' runs; kill it first, or delete it with force", id);
    if (!pod_lets_go(containers_of(c), container, err))
        return false;
    if (alive(container) && !kill_it(c, id, err))
        return false;
    while ((container = find_again(c, id, serial)) != NULL && alive(container))
        if (!sf_call_wait(call, err))
            return false;
    return container == NULL || container_delete(containers_of(c), container, err);
}

static bool delete_container(struct sf_controller *c, struct sf_call *call, const void *request,
                             void *reply, struct sf_error **err)
{
    const Sandferry__V1__DeleteContainerRequest *q = request;
    struct container *container = find(c, q->container_id, err);

    (void)reply;
    return container != NULL && end_container(c, call, container, q->force, err);
}

static bool list_containers(struct sf_controller *c, struct sf_call *call, const void *request,
                            void *reply, struct sf_error **err)
{
    Sandferry__V1__ListContainersResponse *out = reply;
    section_t *wire = books(containers_of(c), err);

    (void)call;
    (void)request;
    if (wire == NULL)
        return false;
    out->pods = wire->pods;
    out->n_pods = wire->n_pods;
    out->containers = wire->containers;
    out->n_containers = wire->n_containers;
    wire->pods = NULL;
    wire->containers = NULL;
    wire->n_pods = wire->n_containers = 0;
    sandferry__v1__container_section__free_unpacked(wire, NULL);
    return true;
}

/* clang-format off */
static const struct sf_method methods[] = {
    /* method             does it            who may       how             */
    { "CreateContainer",  create_container,  SF_OPERATOR,  0               },
    { "StartContainer",   start_container,   SF_OPERATOR,  0               },
    { "DeleteContainer",  delete_container,  SF_OPERATOR,  SF_METHOD_WAITS },
    { "ListContainers",   list_containers,   SF_READER,    SF_METHOD_READS },
    { 0 },
};
/* clang-format on */

/* ---- Pods ---- */

static struct pod *find_pod(struct sf_controller *c, const char *pod_id, struct sf_error **err)
{
    struct pod *pod = pod_find(containers_of(c), pod_id);

    if (pod == NULL)
        sf_fail(err, SF_NOT_FOUND, "sandbox '%s' has no pod '%s'", sf_sandbox_id(c->sandbox),
                pod_id);
    return pod;
}

/* Takes the pod of that id out of the books' message. */
static Sandferry__V1__Pod *take_pod(section_t *wire, const char *pod_id)
{
    for (size_t i = 0; i < wire->n_pods; i++) {
        Sandferry__V1__Pod *pod = wire->pods[i];
        if (pod == NULL || strcmp(pod->pod_id, pod_id) != 0)
            continue;
        wire->pods[i] = NULL;
        return pod;
    }
    return NULL;
}

static bool create_pod(struct sf_controller *c, struct sf_call *call, const void *request,
                       void *reply, struct sf_error **err)
{
    const Sandferry__V1__CreatePodRequest *q = request;
    Sandferry__V1__CreatePodResponse *out = reply;
    SF_CLEANUP(sf_freep) struct label *labels = calloc(q->n_labels + 1, sizeof(*labels));
    struct pod *pod;

    (void)call;
    if (labels == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (size_t i = 0; i < q->n_labels; i++)
        labels[i] = (struct label){.key = q->labels[i]->key, .value = q->labels[i]->value};
    if (!pod_create(containers_of(c), q->pod_id, labels, q->n_labels, &pod, err))
        return false;
    section_t *wire = books(containers_of(c), err);
    if (wire == NULL)
        return false;
    out->pod = take_pod(wire, q->pod_id);
    sandferry__v1__container_section__free_unpacked(wire, NULL);
    return true;
}

/* The next to go: its sandbox container last. NULL: none is left. */
static struct container *next_of_pod(const struct containers *c, const char *pod_id)
{
    struct container *last = NULL;

    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i]->pod_id, pod_id) == 0) {
            if (strcmp(c->list[i]->container_id, pod_id) != 0)
                return c->list[i];
            last = c->list[i];
        }
    return last;
}

static bool delete_pod(struct sf_controller *c, struct sf_call *call, const void *request,
                       void *reply, struct sf_error **err)
{
    const Sandferry__V1__DeletePodRequest *q = request;
    struct container *container;
    struct pod *pod = find_pod(c, q->pod_id, err);

    (void)reply;
    if (pod == NULL)
        return false;
    while (q->force && (container = next_of_pod(containers_of(c), q->pod_id)) != NULL)
        if (!end_container(c, call, container, true, err))
            return sf_fail_in(err, "pod '%s'", q->pod_id);
    pod = pod_find(containers_of(c), q->pod_id);
    return pod == NULL /* it went with its last container */ ||
           pod_delete(containers_of(c), pod, err);
}

static bool fill_detail(Sandferry__V1__PodDetail *detail, const struct containers *c)
{
    const char *pod_id = detail->pod->pod_id;

    detail->container_ids = calloc(pod_size(c, pod_id) + 1, sizeof(char *));
    for (size_t i = 0; detail->container_ids != NULL && i < c->n; i++) {
        if (strcmp(c->list[i]->pod_id, pod_id) != 0)
            continue;
        char *id = strdup(c->list[i]->container_id);
        if (id == NULL)
            return false;
        detail->container_ids[detail->n_container_ids++] = id;
    }
    return detail->container_ids != NULL;
}

static bool list_pods(struct sf_controller *c, struct sf_call *call, const void *request,
                      void *reply, struct sf_error **err)
{
    Sandferry__V1__ListPodsResponse *out = reply;
    const struct containers *all = containers_of(c);
    section_t *wire = books(all, err);
    bool ok = wire != NULL;

    (void)call;
    (void)request;
    out->pods = calloc(all->n_pods + 1, sizeof(*out->pods));
    for (size_t i = 0; ok && out->pods != NULL && i < all->n_pods; i++) {
        Sandferry__V1__PodDetail *detail = malloc(sizeof(*detail));
        if (detail == NULL) {
            ok = sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
            break;
        }
        sandferry__v1__pod_detail__init(detail);
        out->pods[out->n_pods++] = detail;
        detail->pod = take_pod(wire, all->pods[i]->pod_id);
        ok = fill_detail(detail, all) || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }
    if (wire != NULL)
        sandferry__v1__container_section__free_unpacked(wire, NULL);
    return ok && (out->pods != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory"));
}

static const struct sf_method pod_methods[] = {
    {"CreatePod", create_pod, SF_OPERATOR, 0},
    {"DeletePod", delete_pod, SF_OPERATOR, SF_METHOD_WAITS},
    {"ListPods", list_pods, SF_READER, SF_METHOD_READS},
    {0},
};

struct sf_service container_services[] = {
    {.descriptor = &sandferry__v1__container_service__descriptor,
     .methods = methods,
     .files = container_files},
    {.descriptor = &sandferry__v1__pod_service__descriptor,
     .methods = pod_methods,
     .files = container_files},
    {0},
};

/* The linker knows the size of the files, the compiler does not. Runs when the object is opened. */
__attribute__((constructor)) static void set_files_size(void)
{
    container_services[0].files_size = container_services[1].files_size = container_files_size;
}
