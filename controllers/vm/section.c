/* The vm section: with guest.c the only files in this folder that know protobuf. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "vm.h"
#include "sandferry/v1/snapshot.pb-c.h"

typedef Sandferry__V1__VmSection Section;
typedef Sandferry__V1__VmOptions Options;

/* A stage on the wire is a state in memory, number for number. */
static_assert((int)VM_NOT_CREATED == (int)SANDFERRY__V1__VM_STAGE__VM_STAGE_NOT_CREATED, "first");
static_assert((int)VM_RUNNING == (int)SANDFERRY__V1__VM_STAGE__VM_STAGE_RUNNING, "middle");
static_assert((int)VM_INVALID == (int)SANDFERRY__V1__VM_STAGE__VM_STAGE_INVALID, "last");

static inline void section_free(Section *s)
{
    if (s != NULL)
        sandferry__v1__vm_section__free_unpacked(s, NULL);
}
SF_DEFINE_CLEANUP(Section, section_free)

static inline void options_free(Options *o)
{
    if (o != NULL)
        sandferry__v1__vm_options__free_unpacked(o, NULL);
}
SF_DEFINE_CLEANUP(Options, options_free)

#define NO_FLOORS ((Sandferry__V1__AgentFloors)SANDFERRY__V1__AGENT_FLOORS__INIT)

/* ---- options ---- */

void vm_options_done(struct vm_options *o)
{
    free(o->image);
    free(o->cpu_model);
    free(o->kernel_arguments);
    *o = (struct vm_options){0};
}

static bool options_from_wire(struct vm_options *ret, const Options *wire, struct sf_error **err)
{
    struct vm_options o = {
        .memory_bytes = wire->memory_bytes,
        .processors = wire->processors,
        .image = strdup(wire->image),
        .cpu_model = strdup(wire->cpu_model),
        .kernel_arguments = strdup(wire->kernel_arguments),
        .no_writable_file_shares = wire->no_writable_file_shares,
        .enable_scratch_encryption = wire->enable_scratch_encryption,
        .policy_based_routing = wire->policy_based_routing,
    };

    if (o.image == NULL || o.cpu_model == NULL || o.kernel_arguments == NULL) {
        vm_options_done(&o);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }
    vm_options_done(ret);
    *ret = o;
    return true;
}

static Options options_to_wire(const struct vm_options *o)
{
    Options wire = SANDFERRY__V1__VM_OPTIONS__INIT;

    wire.memory_bytes = o->memory_bytes;
    wire.processors = o->processors;
    wire.image = o->image;
    wire.cpu_model = o->cpu_model;
    wire.kernel_arguments = o->kernel_arguments;
    wire.no_writable_file_shares = o->no_writable_file_shares;
    wire.enable_scratch_encryption = o->enable_scratch_encryption;
    wire.policy_based_routing = o->policy_based_routing;
    return wire;
}

bool vm_options_unpack(struct vm_options *ret, const struct sf_bytes *packed, struct sf_error **err)
{
    static const Options none = SANDFERRY__V1__VM_OPTIONS__INIT;
    if (packed->size == 0)
        return options_from_wire(ret, &none, err);

    SF_CLEANUP(options_freep)
    Options *wire = sandferry__v1__vm_options__unpack(NULL, packed->size, packed->data);
    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a VmOptions");
    return options_from_wire(ret, wire, err);
}

/* ---- out ---- */

static Sandferry__V1__VmCompatibility compatibility_to_wire(const struct vm *vm)
{
    Sandferry__V1__VmCompatibility wire = SANDFERRY__V1__VM_COMPATIBILITY__INIT;

    wire.machine_type = (char *)vm->document.machine_type;
    wire.cpu_model = (char *)vm->document.cpu_model;
    wire.accelerator = (char *)vm->document.accelerator;
    wire.architecture = (char *)"x86_64";
    wire.qemu_version = (char *)vm->qemu_version;
    return wire;
}

static Sandferry__V1__MemoryReference memory_to_wire(const struct memory *m)
{
    const struct memory_reference *r = memory_reference(m);
    Sandferry__V1__MemoryReference wire = SANDFERRY__V1__MEMORY_REFERENCE__INIT;

    wire.memory_id = (char *)r->memory_id;
    wire.family_id = (char *)r->family_id;
    wire.size_bytes = r->size_bytes;
    wire.generation = r->generation;
    return wire;
}

/* On the heap; its bytes are the floors'. NULL: no memory. */
static ProtobufCBinaryData *list_to_wire(const struct sf_bytes *list, size_t n)
{
    ProtobufCBinaryData *wire = calloc(n + 1, sizeof(*wire));

    for (size_t i = 0; wire != NULL && i < n; i++)
        wire[i] = (ProtobufCBinaryData){.data = list[i].data, .len = list[i].size};
    return wire;
}

/* *ret: initialised; for wire_floors_done(), also on failure. */
static bool floors_to_wire(Sandferry__V1__AgentFloors *ret, const struct vm *vm,
                           const struct guest_floors *f, struct sf_error **err)
{
    ret->protocol_version = vm->agent_protocol;
    ret->next_call_id = f->next_call_id;
    ret->last_sent = f->last_sent;
    ret->last_received = f->last_received;
    ret->n_unacknowledged = f->n_unacknowledged;
    ret->unacknowledged = list_to_wire(f->unacknowledged, f->n_unacknowledged);
    ret->n_undelivered = f->n_undelivered;
    ret->undelivered = list_to_wire(f->undelivered, f->n_undelivered);
    return (ret->unacknowledged != NULL && ret->undelivered != NULL) ||
           sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static void wire_floors_done(Sandferry__V1__AgentFloors *f)
{
    free(f->unacknowledged);
    free(f->undelivered);
}

static bool pack(const Section *wire, struct sf_bytes *ret, struct sf_error **err)
{
    size_t size = sandferry__v1__vm_section__get_packed_size(wire);
    uint8_t *data = malloc(size);

    if (data == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a section of %zu bytes", size);
    sandferry__v1__vm_section__pack(wire, data);
    *ret = (struct sf_bytes){.data = data, .size = size};
    return true;
}

static bool pack_all(struct vm *vm, const struct vm_floors *f, struct sf_bytes *ret,
                     struct sf_error **err)
{
    Section wire = SANDFERRY__V1__VM_SECTION__INIT;
    Options options = options_to_wire(&vm->options);
    Sandferry__V1__VmCompatibility compatibility = compatibility_to_wire(vm);
    Sandferry__V1__MemoryReference memory =
        memory_to_wire(vm->kept != NULL ? vm->kept : vm->memory);
    Sandferry__V1__AgentFloors agent SF_CLEANUP(wire_floors_done) = NO_FLOORS;
    Sandferry__V1__AgentFloors shares SF_CLEANUP(wire_floors_done) = NO_FLOORS;
    SF_CLEANUP(sf_freep) char *document = document_to_json(&vm->document);

    if (document == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    if (!floors_to_wire(&agent, vm, &f->agent, err) ||
        !floors_to_wire(&shares, vm, &f->shares, err))
        return false;
    wire.schema_version = VM_SECTION_VERSION;
    wire.stage = (Sandferry__V1__VmStage)vm->state;
    wire.options = &options;
    wire.machine_document = document;
    wire.compatibility = &compatibility;
    wire.memory = &memory;
    wire.agent = &agent;
    wire.shares = f->shares.next_call_id != 0 ? &shares : NULL;
    return pack(&wire, ret, err);
}

bool vm_to_section(struct vm *vm, struct sf_bytes *ret, struct sf_error **err)
{
    struct vm_floors floors SF_CLEANUP(vm_floors_done) = {0};

    return vm_lines_export(vm, &floors, err) && pack_all(vm, &floors, ret, err);
}

/* ---- in ---- */

static bool memory_from_wire(struct memory_reference *ret,
                             const Sandferry__V1__MemoryReference *wire, struct sf_error **err)
{
    if (wire == NULL || !sf_guid_valid(wire->memory_id) || !sf_guid_valid(wire->family_id))
        return sf_fail(err, SF_INVALID_ARGUMENT, "memory: its ids are no GUIDs");
    if (wire->generation == 0 || wire->generation > INT64_MAX || wire->size_bytes > INT64_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "memory: its numbers cannot be");
    *ret =
        (struct memory_reference){.size_bytes = wire->size_bytes, .generation = wire->generation};
    memcpy(ret->memory_id, wire->memory_id, sizeof(ret->memory_id));
    memcpy(ret->family_id, wire->family_id, sizeof(ret->family_id));
    return true;
}

/* Also on failure *ret has *ret_n elements to free. */
static bool list_from_wire(struct sf_bytes **ret, size_t *ret_n, const ProtobufCBinaryData *wire,
                           size_t n)
{
    *ret = calloc(n + 1, sizeof(**ret));
    for (*ret_n = 0; *ret != NULL && *ret_n < n; ++*ret_n)
        if (!sf_bytes_copy(&(*ret)[*ret_n], wire[*ret_n].data, wire[*ret_n].len))
            return false;
    return *ret != NULL;
}

static bool floors_from_wire(struct guest_floors *ret, const char *name,
                             const Sandferry__V1__AgentFloors *wire, struct sf_error **err)
{
    if (wire == NULL || wire->next_call_id == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT, "%s: its numbers are missing", name);
    struct guest_floors f = {.next_call_id = wire->next_call_id,
                             .last_sent = wire->last_sent,
                             .last_received = wire->last_received};
    bool ok =
        list_from_wire(&f.unacknowledged, &f.n_unacknowledged, wire->unacknowledged,
                       wire->n_unacknowledged) &&
        list_from_wire(&f.undelivered, &f.n_undelivered, wire->undelivered, wire->n_undelivered);
    guest_floors_done(ret);
    *ret = f;
    return ok || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

/* What stands twice must say the same. */
static bool compatibility_from_wire(struct vm *vm, const Sandferry__V1__VmCompatibility *wire,
                                    struct sf_error **err)
{
    const struct document *d = &vm->document;

    if (wire == NULL || strcmp(wire->machine_type, d->machine_type) != 0 ||
        strcmp(wire->cpu_model, d->cpu_model) != 0 ||
        strcmp(wire->accelerator, d->accelerator) != 0)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "compatibility is not what the machine document says");
    if (strcmp(wire->architecture, "x86_64") != 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "the VM needs a host of architecture '%.20s', this one is x86_64",
                       wire->architecture);
    snprintf(vm->qemu_version, sizeof(vm->qemu_version), "%s", wire->qemu_version);
    return true;
}

/* A line that the machine has, and no other, has numbers. */
static bool lines_from_wire(struct vm *vm, const Section *wire, struct sf_error **err)
{
    if (!floors_from_wire(&vm->imported_floors.agent, "agent", wire->agent, err))
        return false;
    if (document_has_shares_line(&vm->document))
        return floors_from_wire(&vm->imported_floors.shares, "shares", wire->shares, err);
    return wire->shares == NULL ||
           sf_fail(err, SF_INVALID_ARGUMENT, "shares: the machine document has no line for them");
}

static bool take_section(struct vm *vm, const Section *wire, struct sf_error **err)
{
    if (wire->stage != SANDFERRY__V1__VM_STAGE__VM_STAGE_RUNNING)
        return sf_fail(err, SF_INVALID_ARGUMENT, "stage is %d: only a VM that ran can be restored",
                       (int)wire->stage);
    if (wire->options == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "options are missing");
    if (!options_from_wire(&vm->options, wire->options, err) ||
        !document_from_json(&vm->document, wire->machine_document, err) ||
        !compatibility_from_wire(vm, wire->compatibility, err) ||
        !memory_from_wire(&vm->imported_memory, wire->memory, err) ||
        !lines_from_wire(vm, wire, err))
        return false;
    if (vm->imported_memory.size_bytes != vm->document.memory_bytes)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "memory.size_bytes is not what the machine document says");
    vm->agent_protocol = wire->agent->protocol_version;
    vm->state = (unsigned)wire->stage;
    return true;
}

bool vm_from_section(struct vm *vm, const struct sf_bytes *section, struct sf_error **err)
{
    SF_CLEANUP(section_freep)
    Section *wire = sandferry__v1__vm_section__unpack(NULL, section->size, section->data);

    if (wire == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a VmSection");
    return take_section(vm, wire, err);
}
