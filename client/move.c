/* Save, restore, and the question whether a restore would work. */

#include <stdlib.h>

#include "result.h"
#include "snapshot_object.h"

#define METHOD(name) "/sandferry.v1.SandboxService/" name

/* ---- save ---- */

static void free_snapshot(void *snapshot)
{
    sandferry_snapshot_free(snapshot);
}

static bool give_saved(ProtobufCMessage *reply, struct sandferry_saved **ret, struct sf_error **err)
{
    Sandferry__V1__SaveSandboxResponse *wire = (Sandferry__V1__SaveSandboxResponse *)reply;
    if (wire->snapshot == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no snapshot in it");
    }
    Sandferry__V1__SandboxSnapshot *inner = SF_STEAL(wire->snapshot);
    struct sandferry_saved *saved = result_new(sizeof(*saved), reply, reply, err);
    if (saved == NULL) {
        protobuf_c_message_free_unpacked(&inner->base, NULL);
        return false;
    }
    struct sandferry_snapshot *snapshot;
    if (!snapshot_new(inner, &snapshot, err)) {
        result_free(saved);
        return false;
    }
    result_on_free(saved, free_snapshot, snapshot);
    saved->snapshot = snapshot;
    saved->n_steps = wire->n_steps;
    saved->steps = steps_from(saved, wire->n_steps, wire->steps);
    saved->stopped_at_ns = time_ns(wire->stopped_at);
    return RESULT_GIVE(saved, ret, err);
}

PUBLIC bool sandferry_save(struct sandferry *client, const char *id,
                           const struct sandferry_save_options *options,
                           struct sandferry_saved **ret, struct sf_error **err)
{
    struct sandferry_save_options o;
    Sandferry__V1__SaveSandboxRequest request = SANDFERRY__V1__SAVE_SANDBOX_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(id);
    request.after = (Sandferry__V1__AfterSave)o.after;
    request.request_id = wire_text(o.request_id);
    return invoke(client, METHOD("SaveSandbox"), &request.base,
                  &sandferry__v1__save_sandbox_response__descriptor, o.timeout_ms, &reply, err) &&
           give_saved(reply, ret, err);
}

/* ---- restore ---- */

struct patches {
    Sandferry__V1__Patch *patches;
    Sandferry__V1__Patch **all;
};

static void patches_done(struct patches *p)
{
    free(p->patches);
    free(p->all);
}

static bool patches_make(struct patches *ret, size_t n, const struct sandferry_patch *patches,
                         struct sf_error **err)
{
    ret->patches = calloc(n + 1, sizeof(*ret->patches));
    ret->all = calloc(n + 1, sizeof(*ret->all));
    if (ret->patches == NULL || ret->all == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < n; i++) {
        sandferry__v1__patch__init(&ret->patches[i]);
        ret->patches[i].controller = wire_text(patches[i].controller);
        ret->patches[i].object = wire_text(patches[i].object);
        ret->patches[i].value = wire_text(patches[i].value);
        ret->all[i] = &ret->patches[i];
    }
    return true;
}

static bool give_restored(ProtobufCMessage *reply, struct sandferry_restored **ret,
                          struct sf_error **err)
{
    const Sandferry__V1__RestoreSandboxResponse *wire =
        (const Sandferry__V1__RestoreSandboxResponse *)reply;
    if (wire->sandbox == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no sandbox in it");
    }
    struct sandferry_restored *restored = result_new(sizeof(*restored), reply, reply, err);
    if (restored == NULL)
        return false;
    struct sandferry_sandbox *s = result_within(restored, sizeof(*s), &wire->sandbox->base);
    if (s != NULL)
        sandbox_from(restored, s, wire->sandbox);
    restored->sandbox = s;
    restored->n_steps = wire->n_steps;
    restored->steps = steps_from(restored, wire->n_steps, wire->steps);
    restored->resumed_at_ns = time_ns(wire->resumed_at);
    restored->blackout_ns = duration_ns(wire->blackout);
    return RESULT_GIVE(restored, ret, err);
}

PUBLIC bool sandferry_restore(struct sandferry *client, const struct sandferry_snapshot *snapshot,
                              const struct sandferry_restore_options *options,
                              struct sandferry_restored **ret, struct sf_error **err)
{
    struct sandferry_restore_options o;
    SF_CLEANUP(patches_done) struct patches patches = {0};
    Sandferry__V1__RestoreSandboxRequest request = SANDFERRY__V1__RESTORE_SANDBOX_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err) || !patches_make(&patches, o.n_patches, o.patches, err))
        return false;
    request.snapshot = snapshot->wire;
    request.sandbox_id = wire_text(o.id);
    request.n_patches = o.n_patches;
    request.patches = patches.all;
    request.hold = o.hold;
    request.clone = o.clone;
    request.request_id = wire_text(o.request_id);
    return invoke(client, METHOD("RestoreSandbox"), &request.base,
                  &sandferry__v1__restore_sandbox_response__descriptor, o.timeout_ms, &reply,
                  err) &&
           give_restored(reply, ret, err);
}

/* ---- check ---- */

static bool give_obstacles(ProtobufCMessage *reply, struct sandferry_obstacles **ret,
                           struct sf_error **err)
{
    const Sandferry__V1__CheckRestoreResponse *wire =
        (const Sandferry__V1__CheckRestoreResponse *)reply;
    struct sandferry_obstacles *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_obstacle **all = result_array(list, wire->n_obstacles, sizeof(*all));
    for (size_t i = 0; all != NULL && i < wire->n_obstacles; i++) {
        const Sandferry__V1__Obstacle *from = wire->obstacles[i];
        struct sandferry_obstacle *obstacle = result_within(list, sizeof(*obstacle), &from->base);
        if (obstacle == NULL)
            break;
        *obstacle = (struct sandferry_obstacle){from->source, from->field, from->reason};
        all[i] = obstacle;
    }
    list->n = wire->n_obstacles;
    list->all = all;
    return RESULT_GIVE(list, ret, err);
}

PUBLIC bool sandferry_check_restore(struct sandferry *client,
                                    const struct sandferry_snapshot *snapshot,
                                    const struct sandferry_restore_options *options,
                                    struct sandferry_obstacles **ret, struct sf_error **err)
{
    struct sandferry_restore_options o;
    SF_CLEANUP(patches_done) struct patches patches = {0};
    Sandferry__V1__CheckRestoreRequest request = SANDFERRY__V1__CHECK_RESTORE_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err) || !patches_make(&patches, o.n_patches, o.patches, err))
        return false;
    request.snapshot = snapshot->wire;
    request.sandbox_id = wire_text(o.id);
    request.n_patches = o.n_patches;
    request.patches = patches.all;
    request.clone = o.clone;
    return invoke(client, METHOD("CheckRestore"), &request.base,
                  &sandferry__v1__check_restore_response__descriptor, o.timeout_ms, &reply, err) &&
           give_obstacles(reply, ret, err);
}

/* ---- results ---- */

PUBLIC void sandferry_saved_free(struct sandferry_saved *result)
{
    result_free(result);
}

PUBLIC void sandferry_restored_free(struct sandferry_restored *result)
{
    result_free(result);
}

PUBLIC void sandferry_obstacles_free(struct sandferry_obstacles *result)
{
    result_free(result);
}

PUBLIC char *sandferry_restored_json(const struct sandferry_restored *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_obstacles_json(const struct sandferry_obstacles *result)
{
    return result_json(result, JSON_INDENT(2));
}
