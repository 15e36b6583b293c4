/* The pod service. */

#include "result.h"
#include "wire_specs.h"

#define METHOD(name) "/sandferry.v1.PodService/" name

/* ---- answers ---- */

static void pod_from(void *outermost, struct sandferry_pod *p, const Sandferry__V1__Pod *wire,
                     size_t n, char *const *containers)
{
    *p = (struct sandferry_pod){
        .id = wire->pod_id,
        .declared = wire->declared,
        .n_labels = wire->n_labels,
        .labels = labels_from(outermost, wire->n_labels, wire->labels),
        .n_containers = n,
        .containers = (const char *const *)containers,
    };
}

static bool give_pod(ProtobufCMessage *reply, struct sandferry_pod **ret, struct sf_error **err)
{
    const Sandferry__V1__Pod *wire = ((const Sandferry__V1__CreatePodResponse *)reply)->pod;
    if (wire == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no pod in it");
    }
    struct sandferry_pod *p = result_new(sizeof(*p), reply, &wire->base, err);
    if (p == NULL)
        return false;
    pod_from(p, p, wire, 0, NULL);
    return RESULT_GIVE(p, ret, err);
}

static bool give_pods(ProtobufCMessage *reply, struct sandferry_pods **ret, struct sf_error **err)
{
    static const Sandferry__V1__Pod nobody = SANDFERRY__V1__POD__INIT;
    const Sandferry__V1__ListPodsResponse *wire = (const Sandferry__V1__ListPodsResponse *)reply;
    struct sandferry_pods *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_pod **all = result_array(list, wire->n_pods, sizeof(*all));
    for (size_t i = 0; all != NULL && i < wire->n_pods; i++) {
        const Sandferry__V1__PodDetail *detail = wire->pods[i];
        struct sandferry_pod *p = result_within(list, sizeof(*p), &detail->base);
        if (p == NULL)
            break;
        pod_from(list, p, detail->pod != NULL ? detail->pod : &nobody, detail->n_container_ids,
                 detail->container_ids);
        all[i] = p;
    }
    *list = (struct sandferry_pods){wire->n_pods, all};
    return RESULT_GIVE(list, ret, err);
}

/* ---- calls ---- */

PUBLIC bool sandferry_pod_create(struct sandferry *client, const char *sandbox, const char *id,
                                 const struct sandferry_pod_options *options,
                                 struct sandferry_pod **ret, struct sf_error **err)
{
    struct sandferry_pod_options o;
    SF_CLEANUP(wire_labels_done) struct wire_labels labels = {0};
    Sandferry__V1__CreatePodRequest request = SANDFERRY__V1__CREATE_POD_REQUEST__INIT;
    ProtobufCMessage *reply;

    if (!OPTIONS_TAKE(&o, options, err) || !wire_labels_make(&labels, o.n_labels, o.labels, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.pod_id = wire_text(id);
    request.n_labels = o.n_labels;
    request.labels = labels.all;
    return invoke(client, METHOD("CreatePod"), &request.base,
                  &sandferry__v1__create_pod_response__descriptor, o.timeout_ms, &reply, err) &&
           give_pod(reply, ret, err);
}

PUBLIC bool sandferry_pod_delete(struct sandferry *client, const char *sandbox, const char *id,
                                 const struct sandferry_delete_options *options,
                                 struct sf_error **err)
{
    struct sandferry_delete_options o;
    Sandferry__V1__DeletePodRequest request = SANDFERRY__V1__DELETE_POD_REQUEST__INIT;

    if (!OPTIONS_TAKE(&o, options, err))
        return false;
    request.sandbox_id = wire_text(sandbox);
    request.pod_id = wire_text(id);
    request.force = o.force;
    return invoke(client, METHOD("DeletePod"), &request.base,
                  &sandferry__v1__delete_pod_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_pod_list(struct sandferry *client, const char *sandbox,
                               const struct sandferry_call_options *options,
                               struct sandferry_pods **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListPodsRequest request = SANDFERRY__V1__LIST_PODS_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListPods"), &request.base,
                  &sandferry__v1__list_pods_response__descriptor, o.timeout_ms, &reply, err) &&
           give_pods(reply, ret, err);
}

/* ---- results ---- */

PUBLIC void sandferry_pod_free(struct sandferry_pod *result)
{
    result_free(result);
}

PUBLIC void sandferry_pods_free(struct sandferry_pods *result)
{
    result_free(result);
}

PUBLIC char *sandferry_pod_json(const struct sandferry_pod *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_pods_json(const struct sandferry_pods *result)
{
    return result_json(result, JSON_INDENT(2));
}
