/* The share service. */

#include "result.h"
#include "wire_specs.h"

#define METHOD(name) "/sandferry.v1.ShareService/" name

bool wire_share_make(Sandferry__V1__AddShareRequest *ret, const char *sandbox,
                     const struct sandferry_share_spec *spec, struct sf_error **err)
{
    struct sandferry_share_spec s;
    if (!OPTIONS_TAKE(&s, spec, err))
        return sf_fail_in(err, "share");

    sandferry__v1__add_share_request__init(ret);
    ret->sandbox_id = wire_text(sandbox);
    ret->host_path = wire_text(s.host_path);
    ret->read_only = s.read_only;
    ret->restricted = s.restricted;
    ret->n_allowed_names = s.n_allowed_names;
    ret->allowed_names = wire_texts(s.allowed_names);
    return true;
}

/* ---- answers ---- */

/* The paths of the files that are open. */
static const char *const *open_from(void *outermost, const Sandferry__V1__Plan9Share *wire,
                                    size_t *ret_n)
{
    const char **paths = result_array(outermost, wire->n_fids, sizeof(*paths));
    *ret_n = 0;
    for (size_t i = 0; paths != NULL && i < wire->n_fids; i++)
        if (wire->fids[i]->open)
            paths[(*ret_n)++] = wire->fids[i]->path;
    return paths;
}

static const struct sandferry_share *share_from(void *outermost,
                                                const Sandferry__V1__Plan9Share *wire)
{
    static const Sandferry__V1__Plan9Mount no_mount = SANDFERRY__V1__PLAN9_MOUNT__INIT;
    const Sandferry__V1__Plan9Mount *mount = wire->mount != NULL ? wire->mount : &no_mount;
    struct sandferry_share *s = result_within(outermost, sizeof(*s), &wire->base);
    if (s == NULL)
        return NULL;
    *s = (struct sandferry_share){
        .name = wire->name,
        .host_path = wire->host_path,
        .guest_path = mount->guest_path,
        .read_only = wire->read_only,
        .restricted = wire->restricted,
        .n_allowed_names = wire->n_allowed_names,
        .allowed_names = (const char *const *)wire->allowed_names,
        .stage = (enum sandferry_share_stage)wire->stage,
        .mount_stage = (enum sandferry_share_mount_stage)mount->stage,
        .refs = mount->refs,
    };
    s->open = open_from(outermost, wire, &s->n_open);
    return s;
}

static const struct sandferry_hold *
hold_from(void *outermost, const Sandferry__V1__Plan9Reservation *wire, const char *holder)
{
    struct sandferry_hold *h = result_within(outermost, sizeof(*h), &wire->base);
    if (h != NULL)
        *h = (struct sandferry_hold){wire->id, wire->share, holder};
    return h;
}

static bool give_added(ProtobufCMessage *reply, struct sandferry_share_added **ret,
                       struct sf_error **err)
{
    const Sandferry__V1__AddShareResponse *wire = (const Sandferry__V1__AddShareResponse *)reply;
    if (wire->share == NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
        return sf_fail(err, SF_INTERNAL, "the daemon's answer has no share in it");
    }
    struct sandferry_share_added *added = result_new(sizeof(*added), reply, reply, err);
    if (added == NULL)
        return false;
    added->reservation_id = wire->reservation_id;
    added->guest_path = wire->guest_path;
    added->share = share_from(added, wire->share);
    return RESULT_GIVE(added, ret, err);
}

static bool give_shares(ProtobufCMessage *reply, struct sandferry_shares **ret,
                        struct sf_error **err)
{
    const Sandferry__V1__ListSharesResponse *wire =
        (const Sandferry__V1__ListSharesResponse *)reply;
    struct sandferry_shares *list = result_new(sizeof(*list), reply, reply, err);
    if (list == NULL)
        return false;

    const struct sandferry_share **all = result_array(list, wire->n_shares, sizeof(*all));
    const struct sandferry_hold **holds = result_array(list, wire->n_reservations, sizeof(*holds));
    for (size_t i = 0; all != NULL && i < wire->n_shares; i++)
        all[i] = share_from(list, wire->shares[i]);
    for (size_t i = 0; holds != NULL && i < wire->n_reservations; i++)
        holds[i] =
            hold_from(list, wire->reservations[i], holder_at(wire->n_holders, wire->holders, i));
    *list = (struct sandferry_shares){wire->n_shares, all, wire->n_reservations, holds};
    return RESULT_GIVE(list, ret, err);
}

/* ---- calls ---- */

PUBLIC bool sandferry_share_add(struct sandferry *client, const char *sandbox,
                                const struct sandferry_share_spec *share,
                                const struct sandferry_call_options *options,
                                struct sandferry_share_added **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__AddShareRequest request;
    ProtobufCMessage *reply;

    return OPTIONS_TAKE(&o, options, err) && wire_share_make(&request, sandbox, share, err) &&
           invoke(client, METHOD("AddShare"), &request.base,
                  &sandferry__v1__add_share_response__descriptor, o.timeout_ms, &reply, err) &&
           give_added(reply, ret, err);
}

PUBLIC bool sandferry_share_remove(struct sandferry *client, const char *sandbox,
                                   const char *reservation_id,
                                   const struct sandferry_call_options *options,
                                   struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__RemoveShareRequest request = SANDFERRY__V1__REMOVE_SHARE_REQUEST__INIT;

    request.sandbox_id = wire_text(sandbox);
    request.reservation_id = wire_text(reservation_id);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("RemoveShare"), &request.base,
                  &sandferry__v1__remove_share_response__descriptor, o.timeout_ms, NULL, err);
}

PUBLIC bool sandferry_share_list(struct sandferry *client, const char *sandbox,
                                 const struct sandferry_call_options *options,
                                 struct sandferry_shares **ret, struct sf_error **err)
{
    struct sandferry_call_options o;
    Sandferry__V1__ListSharesRequest request = SANDFERRY__V1__LIST_SHARES_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.sandbox_id = wire_text(sandbox);
    return OPTIONS_TAKE(&o, options, err) &&
           invoke(client, METHOD("ListShares"), &request.base,
                  &sandferry__v1__list_shares_response__descriptor, o.timeout_ms, &reply, err) &&
           give_shares(reply, ret, err);
}

/* ---- results ---- */

PUBLIC void sandferry_share_added_free(struct sandferry_share_added *result)
{
    result_free(result);
}

PUBLIC void sandferry_shares_free(struct sandferry_shares *result)
{
    result_free(result);
}

PUBLIC char *sandferry_share_added_json(const struct sandferry_share_added *result)
{
    return result_json(result, JSON_INDENT(2));
}

PUBLIC char *sandferry_shares_json(const struct sandferry_shares *result)
{
    return result_json(result, JSON_INDENT(2));
}
