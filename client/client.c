#include "internal.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "snapshot/file.h"

#define PEM_SIZE_MAX (1u << 20)

PUBLIC const char *sandferry_version(void)
{
    return SANDFERRY_VERSION;
}

/* ---- options ---- */

bool options_take(void *ret, size_t known, const void *given, struct sf_error **err)
{
    size_t size = 0;

    memset(ret, 0, known);
    if (given != NULL) {
        memcpy(&size, given, sizeof(size));
        if (size < sizeof(size))
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "a struct of options has no size: begin with its _INIT macro");
        for (size_t i = known; i < size; i++)
            if (((const unsigned char *)given)[i] != 0)
                return sf_fail(err, SF_UNIMPLEMENTED,
                               "the options say something that this libsandferry (%s) does not "
                               "know; install the one that the program was built with",
                               SANDFERRY_VERSION);
        memcpy(ret, given, size < known ? size : known);
    }
    memcpy(ret, &known, sizeof(known));
    return true;
}

/* ---- connection ---- */

static bool read_pem(const char *path, struct sf_bytes *ret, struct sf_error **err)
{
    return sf_file_read(path, PEM_SIZE_MAX, ret, err) &&
           (sf_bytes_append(ret, "", 1) || sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory"));
}

static bool open_channel(struct sandferry *client, const struct sandferry_connect_options *o,
                         struct sf_error **err)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes certificate = {0};
    SF_CLEANUP(sf_bytes_done) struct sf_bytes key = {0};
    SF_CLEANUP(sf_bytes_done) struct sf_bytes ca = {0};
    int files =
        (o->tls_certificate_file != NULL) + (o->tls_key_file != NULL) + (o->tls_ca_file != NULL);

    if (files == 0)
        return call_channel_new(client->address, NULL, &client->channel, err);
    if (files != 3)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "TLS needs three files: our certificate, its key, and the CA of the daemon");
    if (strncmp(client->address, "unix:", 5) == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "TLS is for TCP: '%s' is a unix socket; leave the certificates out",
                       client->address);
    if (!read_pem(o->tls_certificate_file, &certificate, err) ||
        !read_pem(o->tls_key_file, &key, err) || !read_pem(o->tls_ca_file, &ca, err))
        return false;

    struct call_tls tls = {
        .certificate_pem = (const char *)certificate.data,
        .key_pem = (const char *)key.data,
        .server_ca_pem = (const char *)ca.data,
        .server_name = o->tls_server_name,
    };
    return call_channel_new(client->address, &tls, &client->channel, err);
}

static const char *choose_address(const struct sandferry_connect_options *o)
{
    if (o->address != NULL)
        return o->address;
    const char *host = getenv("SANDFERRY_HOST");
    return host != NULL && *host != '\0' ? host : SANDFERRY_DEFAULT_ADDRESS;
}

PUBLIC bool sandferry_connect(const struct sandferry_connect_options *options,
                              struct sandferry **ret, struct sf_error **err)
{
    struct sandferry_connect_options o;
    if (!OPTIONS_TAKE(&o, options, err))
        return false;

    struct sandferry *client = calloc(1, sizeof(*client));
    if (client == NULL || (client->address = strdup(choose_address(&o))) == NULL) {
        sandferry_close(client);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    }
    client->timeout_ms = o.timeout_ms;
    if (!open_channel(client, &o, err)) {
        sandferry_close(client);
        return false;
    }
    *ret = client;
    return true;
}

PUBLIC void sandferry_close(struct sandferry *client)
{
    if (client == NULL)
        return;
    call_channel_free(client->channel);
    free(client->address);
    free(client);
}

PUBLIC const char *sandferry_address(const struct sandferry *client)
{
    return client->address;
}

PUBLIC void sandferry_cancel(struct sandferry *client)
{
    call_channel_cancel(client->channel);
}

/* ---- calls ---- */

static uint32_t choose_timeout(const struct sandferry *client, uint32_t timeout_ms)
{
    return timeout_ms != 0 ? timeout_ms : client->timeout_ms;
}

bool invoke(struct sandferry *client, const char *method, const ProtobufCMessage *request,
            const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms,
            ProtobufCMessage **ret, struct sf_error **err)
{
    ProtobufCMessage *reply = NULL;
    if (!call_unary(client->channel, method, request, reply_type,
                    choose_timeout(client, timeout_ms), &reply, err))
        return false;
    if (ret != NULL)
        *ret = reply;
    else
        protobuf_c_message_free_unpacked(reply, NULL);
    return true;
}

bool invoke_stream(struct sandferry *client, const char *method, const ProtobufCMessage *request,
                   const ProtobufCMessageDescriptor *reply_type, uint32_t timeout_ms,
                   call_each each, void *context, struct sf_error **err)
{
    return call_stream(client->channel, method, request, reply_type,
                       choose_timeout(client, timeout_ms), each, context, err);
}
