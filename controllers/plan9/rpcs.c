/* ShareService: requests to moves. */
#include <stdlib.h>
#include <string.h>

#include "plan9/plan9.h"

#include "sandferry/v1/share.pb-c.h"

extern const uint8_t share_files[];
extern const size_t share_files_size;

typedef Sandferry__V1__Plan9Section section_t;
typedef Sandferry__V1__Plan9Share share_t;

static void section_free(section_t *section)
{
    if (section != NULL)
        sandferry__v1__plan9_section__free_unpacked(section, NULL);
}
SF_DEFINE_CLEANUP(section_t, section_free)

/* The books as messages: what the section says, without a snapshot around it. */
static section_t *books(struct plan9 *p, enum open_files open, struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
    if (!plan9_to_section(p, open, &section, err))
        return NULL;

    section_t *wire = sandferry__v1__plan9_section__unpack(NULL, section.size, section.data);
    if (wire == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return wire;
}

/* Takes a share out of the books. */
static share_t *take_share(section_t *wire, const char *name)
{
    for (size_t i = 0; i < wire->n_shares; i++) {
        if (strcmp(wire->shares[i]->name, name) != 0)
            continue;
        share_t *share = wire->shares[i];
        wire->shares[i] = wire->shares[--wire->n_shares];
        return share;
    }
    return NULL;
}

static bool fill_reply(struct plan9 *p, const char *id, const char *guest_path,
                       Sandferry__V1__AddShareResponse *reply, struct sf_error **err)
{
    SF_CLEANUP(section_freep) section_t *wire = books(p, OPEN_LEFT_OUT, err);
    if (wire == NULL)
        return false;

    reply->share = take_share(wire, plan9_find(p, id)->share->name);
    char *reservation = strdup(id), *path = strdup(guest_path);
    if (reservation != NULL)
        reply->reservation_id = reservation;
    if (path != NULL)
        reply->guest_path = path;
    return reservation != NULL && path != NULL
               ? true
               : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
}

static bool add_share(struct sf_controller *c, struct sf_call *call, const void *request,
                      void *reply, struct sf_error **err)
{
    const Sandferry__V1__AddShareRequest *q = request;
    struct plan9 *p = plan9_of(c);
    char id[SF_GUID_SIZE];
    const char *guest_path;
    const struct sf_share_request wanted = {
        .host_path = q->host_path,
        .read_only = q->read_only,
        .restricted = q->restricted,
        .allowed_names = (const char *const *)q->allowed_names,
        .n_allowed_names = q->n_allowed_names,
    };

    (void)call;
    if (!plan9_reserve(p, &wanted, id, err))
        return false;
    if (plan9_map(p, id, &guest_path, err) && fill_reply(p, id, guest_path, reply, err)) {
        sf_sandbox_event(c->sandbox, "share.added", "share of '%s' is at '%s'", q->host_path,
                         guest_path);
        return true;
    }
    SF_CLEANUP(sf_error_freep) struct sf_error *left = NULL;
    if (!plan9_release(p, id, &left))
        sf_fail_in(err, "reservation '%s' is left over (%s); remove it with RemoveShare", id,
                   sf_error_message(left));
    return false;
}

static bool remove_share(struct sf_controller *c, struct sf_call *call, const void *request,
                         void *reply, struct sf_error **err)
{
    const Sandferry__V1__RemoveShareRequest *q = request;
    struct plan9 *p = plan9_of(c);
    const struct reservation *r = plan9_find(p, q->reservation_id);

    (void)call;
    (void)reply;
    if (r != NULL && r->holder[0] != '\0')
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "share reservation '%s' belongs to %s; delete that first", q->reservation_id,
                       r->holder);
    if (!plan9_release(p, q->reservation_id, err))
        return false;
    sf_sandbox_event(c->sandbox, "share.removed", "share reservation '%s' is released",
                     q->reservation_id);
    return true;
}

static bool list_holders(const struct plan9 *p, Sandferry__V1__ListSharesResponse *out,
                         struct sf_error **err)
{
    out->holders = calloc(p->n_reservations + 1, sizeof(char *));
    if (out->holders == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
    for (size_t i = 0; i < p->n_reservations; i++) {
        char *holder = strdup(p->reservations[i]->holder);
        if (holder == NULL)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the reply");
        out->holders[out->n_holders++] = holder;
    }
    return true;
}

static bool list_shares(struct sf_controller *c, struct sf_call *call, const void *request,
                        void *reply, struct sf_error **err)
{
    Sandferry__V1__ListSharesResponse *out = reply;
    struct plan9 *p = plan9_of(c);
    SF_CLEANUP(sf_error_freep) struct sf_error *too_much = NULL;

    (void)call;
    (void)request;
    plan9_settle(p);
    SF_CLEANUP(section_freep) section_t *wire = books(p, OPEN_AS_FAR_AS, &too_much);
    if (wire == NULL && (wire = books(p, OPEN_LEFT_OUT, err)) == NULL)
        return false;
    out->shares = wire->shares;
    out->n_shares = wire->n_shares;
    out->reservations = wire->reservations;
    out->n_reservations = wire->n_reservations;
    wire->shares = NULL;
    wire->reservations = NULL;
    wire->n_shares = wire->n_reservations = 0;
    return list_holders(p, out, err);
}

/* clang-format off */
static const struct sf_method methods[] = {
    /* method         does it        who may       how             */
    { "AddShare",     add_share,     SF_OPERATOR,  0               },
    { "RemoveShare",  remove_share,  SF_OPERATOR,  0               },
    { "ListShares",   list_shares,   SF_READER,    SF_METHOD_READS },
    { 0 },
};
/* clang-format on */

struct sf_service plan9_services[] = {
    {.descriptor = &sandferry__v1__share_service__descriptor,
     .methods = methods,
     .files = share_files},
    {0},
};

/* The linker knows the size of the files, the compiler does not. Runs when the object is opened. */
__attribute__((constructor)) static void set_files_size(void)
{
    plan9_services[0].files_size = share_files_size;
}
