#include "requests.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "wait.h"

#define DIGEST_SIZE 32

struct request {
    struct request *next;
    char id[REQUESTS_ID_SIZE];
    uint8_t content[DIGEST_SIZE]; /* of method and request */
    bool done;                    /* with an answer */
    struct sf_bytes answer;
};

void requests_init(struct requests *r)
{
    *r = (struct requests){0};
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->cond, NULL);
}

static void drop(struct requests *r, struct request **place)
{
    struct request *q = *place;
    *place = q->next;
    r->n--;
    r->bytes -= q->answer.size;
    sf_bytes_done(&q->answer);
    free(q);
}

void requests_done(struct requests *r)
{
    while (r->oldest != NULL)
        drop(r, &r->oldest);
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->mutex);
}

/* ---- content ---- */

static bool pack(const ProtobufCMessage *message, struct sf_bytes *ret)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    ret->data = malloc(size + 1);
    ret->size = ret->data == NULL ? 0 : protobuf_c_message_pack(message, ret->data);
    return ret->data != NULL;
}

static bool digest(const char *method, const ProtobufCMessage *request, uint8_t ret[DIGEST_SIZE],
                   struct sf_error **err)
{
    struct sf_bytes packed = {0};
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    bool ok = context != NULL && pack(request, &packed) &&
              EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(context, method, strlen(method) + 1) == 1 &&
              EVP_DigestUpdate(context, packed.data, packed.size) == 1 &&
              EVP_DigestFinal_ex(context, ret, NULL) == 1;
    EVP_MD_CTX_free(context);
    sf_bytes_done(&packed);
    return ok || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

/* ---- the list ---- */

static struct request *find(struct requests *r, const char *id)
{
    struct request *q = r->oldest;
    while (q != NULL && strcmp(q->id, id) != 0)
        q = q->next;
    return q;
}

/* Those under way stay: somebody waits for them. */
static bool make_room(struct requests *r, size_t n, size_t bytes)
{
    struct request **place = &r->oldest;
    while (*place != NULL && (r->n + n > REQUESTS_KEPT || r->bytes + bytes > REQUESTS_KEPT_BYTES)) {
        if ((*place)->done)
            drop(r, place);
        else
            place = &(*place)->next;
    }
    return r->n + n <= REQUESTS_KEPT && r->bytes + bytes <= REQUESTS_KEPT_BYTES;
}

static struct request *append(struct requests *r, const char *id, const uint8_t *content,
                              struct sf_error **err)
{
    struct request *q = make_room(r, 1, 0) ? calloc(1, sizeof(*q)) : NULL;
    if (q == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "too many requests are under way: try again");
        return NULL;
    }
    strcpy(q->id, id);
    memcpy(q->content, content, DIGEST_SIZE);
    struct request **end = &r->oldest;
    while (*end != NULL)
        end = &(*end)->next;
    *end = q;
    r->n++;
    return q;
}

/* False with *@ret_gave_up and no error yet: the call has ended. */
static bool take_turn(struct requests *r, const char *id, const uint8_t *content,
                      const struct wait *wait, enum requests_turn *ret_turn,
                      struct request **ret_ticket, struct sf_bytes *ret_answer, bool *ret_gave_up,
                      struct sf_error **err)
{
    struct request *q;
    while ((q = find(r, id)) != NULL) {
        if (memcmp(q->content, content, DIGEST_SIZE) != 0)
            return sf_fail(err, SF_ALREADY_EXISTS,
                           "request id '%s' was used for another request: take a new one", id);
        if (q->done) {
            *ret_turn = REQUESTS_REPEAT;
            return sf_bytes_copy(ret_answer, q->answer.data, q->answer.size) ||
                   sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
        }
        if (!wait_goes_on(wait)) {
            *ret_gave_up = true;
            return false;
        }
        pthread_cond_wait(&r->cond, &r->mutex);
    }
    *ret_turn = REQUESTS_RUN;
    *ret_ticket = append(r, id, content, err);
    return *ret_ticket != NULL;
}

bool requests_begin(struct requests *r, const char *id, const char *method,
                    const ProtobufCMessage *request, struct rpc_call *call,
                    enum requests_turn *ret_turn, struct request **ret_ticket,
                    struct sf_bytes *ret_answer, struct sf_error **err)
{
    uint8_t content[DIGEST_SIZE];

    *ret_turn = REQUESTS_RUN;
    *ret_ticket = NULL;
    if (id == NULL || id[0] == '\0')
        return true;
    if (strlen(id) >= REQUESTS_ID_SIZE) {
        sf_fail(err, SF_INVALID_ARGUMENT, "request_id has %zu bytes; at most %d", strlen(id),
                REQUESTS_ID_SIZE - 1);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "request_id", "too long");
    }
    if (!digest(method, request, content, err))
        return false;

    struct wait wait;
    bool gave_up = false;
    wait_begin(&wait, call, &r->mutex, &r->cond);
    pthread_mutex_lock(&r->mutex);
    bool ok = take_turn(r, id, content, &wait, ret_turn, ret_ticket, ret_answer, &gave_up, err);
    pthread_mutex_unlock(&r->mutex);
    wait_end(&wait);
    return gave_up ? wait_fail(&wait, err) : ok;
}

static void remove_ticket(struct requests *r, struct request *ticket)
{
    struct request **place = &r->oldest;
    while (*place != ticket)
        place = &(*place)->next;
    drop(r, place);
}

void requests_end(struct requests *r, struct request *ticket, const ProtobufCMessage *answer)
{
    struct sf_bytes packed = {0};
    if (ticket == NULL)
        return;

    bool keep = answer != NULL && pack(answer, &packed);
    pthread_mutex_lock(&r->mutex);
    if (keep && make_room(r, 0, packed.size)) {
        ticket->answer = packed;
        ticket->done = true;
        r->bytes += packed.size;
    } else {
        remove_ticket(r, ticket);
        sf_bytes_done(&packed);
    }
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->mutex);
}
