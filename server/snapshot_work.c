#include "snapshot_work.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "message.h"
#include "modules.h"
#include "sandbox.h"
#include "daemon.h"
#include "snapshot/snapshot.h"

#define PRODUCER "sandferryd " SANDFERRY_VERSION

/* NULL at the end. */
static void names_of(const struct modules *modules, const char *ret[MODULES_MAX + 1])
{
    for (size_t i = 0; i < modules->n; i++)
        ret[i] = modules->all[i].cls.name;
    ret[modules->n] = NULL;
}

static Sandferry__V1__SandboxSnapshot *new_snapshot(struct sf_error **err)
{
    Sandferry__V1__SandboxSnapshot *snapshot = malloc(sizeof(*snapshot));
    if (snapshot == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    else
        sandferry__v1__sandbox_snapshot__init(snapshot);
    return snapshot;
}

/* ---- save ---- */

Sandferry__V1__SandboxSnapshot *snapshot_work_new(struct sf_sandbox *s, struct sf_error **err)
{
    SF_CLEANUP(sf_snapshot_freep) Sandferry__V1__SandboxSnapshot *snapshot = new_snapshot(err);
    if (snapshot == NULL)
        return NULL;
    Sandferry__V1__Sandbox *face = sandferry__v1__sandbox__unpack(NULL, s->face.size, s->face.data);
    if (face == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        return NULL;
    }

    snapshot->schema_version = SF_SNAPSHOT_SCHEMA;
    snapshot->sandbox_id = strdup(s->id);
    snapshot->producer = strdup(PRODUCER);
    snapshot->created_at = message_time(s->stopped_ns);
    bool ok = message_copy_labels(face->labels, face->n_labels, "labels", &snapshot->labels,
                                  &snapshot->n_labels, err);
    sandferry__v1__sandbox__free_unpacked(face, NULL);
    if (ok && (snapshot->sandbox_id == NULL || snapshot->producer == NULL ||
               snapshot->created_at == NULL))
        ok = sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return ok ? SF_STEAL(snapshot) : NULL;
}

bool snapshot_work_put(Sandferry__V1__SandboxSnapshot *snapshot,
                       const struct sf_controller_class *cls, const struct sf_bytes *section,
                       struct sf_error **err)
{
    return sf_section_set(snapshot, cls->name, cls->section_version, cls->critical, section, err);
}

bool snapshot_work_add_kept(Sandferry__V1__SandboxSnapshot *snapshot, struct sf_sandbox *s,
                            struct sf_error **err)
{
    const char *names[MODULES_MAX + 1];
    names_of(&s->daemon->modules, names);
    return s->kept == NULL || sf_sections_keep_unknown(snapshot, s->kept, names, err);
}

bool snapshot_work_validate(const Sandferry__V1__SandboxSnapshot *snapshot, struct sf_error **err)
{
    return sf_snapshot_check_valid(snapshot, err);
}

bool snapshot_work_seal(Sandferry__V1__SandboxSnapshot *snapshot, struct sf_error **err)
{
    return sf_snapshot_digest_set(snapshot, err);
}

bool snapshot_work_encode(const Sandferry__V1__SandboxSnapshot *snapshot, struct sf_bytes *ret,
                          struct sf_error **err)
{
    return sf_snapshot_encode(snapshot, ret, err);
}

/* ---- restore ---- */

Sandferry__V1__SandboxSnapshot *snapshot_work_decode(const struct sf_bytes *packed,
                                                     struct sf_error **err)
{
    return sf_snapshot_decode(packed->data, packed->size, err);
}

bool snapshot_work_check(const Sandferry__V1__SandboxSnapshot *snapshot,
                         const struct modules *modules, struct sf_error **err)
{
    const char *names[MODULES_MAX + 1];
    names_of(modules, names);
    return sf_snapshot_check(snapshot, names, err);
}

bool snapshot_work_keep_unknown(struct sf_sandbox *s,
                                const Sandferry__V1__SandboxSnapshot *snapshot,
                                const struct modules *modules, struct sf_error **err)
{
    const char *names[MODULES_MAX + 1];
    names_of(modules, names);
    if (s->kept == NULL)
        s->kept = new_snapshot(err);
    return s->kept != NULL && sf_sections_keep_unknown(s->kept, snapshot, names, err);
}

bool snapshot_work_set_face(struct sf_sandbox *s, const Sandferry__V1__SandboxSnapshot *snapshot,
                            struct sf_error **err)
{
    Sandferry__V1__Sandbox face = SANDFERRY__V1__SANDBOX__INIT;

    face.sandbox_id = s->id;
    face.labels = snapshot->labels;
    face.n_labels = snapshot->n_labels;
    face.vm = snapshot->vm == NULL ? NULL : snapshot->vm->options;
    face.created_at = message_time(sf_clock_realtime_ns());
    bool ok = sandbox_set_face(s, &face, err);
    free(face.created_at);
    return ok;
}

static bool has_section(const Sandferry__V1__SandboxSnapshot *snapshot, const char *name)
{
    const char *one;
    for (size_t i = 0; (one = sf_section_name(snapshot, i)) != NULL; i++)
        if (strcmp(one, name) == 0)
            return true;
    return false;
}

bool snapshot_work_get(const Sandferry__V1__SandboxSnapshot *snapshot,
                       const struct sf_controller_class *cls, struct sf_bytes *ret,
                       uint32_t *ret_version, bool *ret_there, struct sf_error **err)
{
    *ret_there = has_section(snapshot, cls->name);
    return !*ret_there || sf_section_get(snapshot, cls->name, ret, ret_version, err);
}
