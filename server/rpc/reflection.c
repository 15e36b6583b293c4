/*
 * grpc.reflection.v1 and v1alpha, which are the same on the wire: what services there are, and the
 * files that describe them, byte for byte as protoc gave them.
 */
#include "rpc/engine.h"

#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"

extern const uint8_t reflection_files[];
extern const size_t reflection_files_size;

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_t;
#define ASKED(name)    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWERED(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

#define FILES_MAX 128

/* Files by name, their bytes borrowed from the sets that the services came with. */
struct file {
    const uint8_t *data;
    size_t size;
    Google__Protobuf__FileDescriptorProto *parsed;
};

struct files {
    struct file list[FILES_MAX];
    size_t n;
};

static size_t get_varint(const uint8_t *data, size_t size, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < size && i < 10; i++) {
        *ret |= (uint64_t)(data[i] & 0x7f) << (7 * i);
        if ((data[i] & 0x80) == 0)
            return i + 1;
    }
    return 0;
}

static const struct file *by_name(const struct files *files, const char *name)
{
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->list[i].parsed->name, name) == 0)
            return &files->list[i];
    return NULL;
}

static void add_file(struct files *files, const uint8_t *data, size_t size)
{
    Google__Protobuf__FileDescriptorProto *parsed =
        google__protobuf__file_descriptor_proto__unpack(NULL, size, data);

    if (parsed == NULL)
        return;
    if (files->n == FILES_MAX || by_name(files, parsed->name) != NULL)
        google__protobuf__file_descriptor_proto__free_unpacked(parsed, NULL);
    else
        files->list[files->n++] = (struct file){.data = data, .size = size, .parsed = parsed};
}

/* A FileDescriptorSet is `repeated FileDescriptorProto file = 1` and nothing else. */
static void add_set(struct files *files, const uint8_t *data, size_t size)
{
    while (size > 1 && data[0] == 0x0a) {
        uint64_t length;
        size_t n = get_varint(data + 1, size - 1, &length);
        if (n == 0 || length > size - 1 - n)
            return;
        add_file(files, data + 1 + n, (size_t)length);
        data += 1 + n + length;
        size -= 1 + n + (size_t)length;
    }
}

static void files_done(struct files *files)
{
    for (size_t i = 0; i < files->n; i++)
        google__protobuf__file_descriptor_proto__free_unpacked(files->list[i].parsed, NULL);
}

/* ---- Symbols ---- */

/* Whether @symbol is @scope.@name or something in it; *@ret_rest is what follows, or "". */
static bool in_scope(const char *symbol, const char *name, const char **ret_rest)
{
    size_t n = strlen(name);

    if (strncmp(symbol, name, n) != 0 || (symbol[n] != '\0' && symbol[n] != '.'))
        return false;
    *ret_rest = symbol[n] == '.' ? symbol + n + 1 : symbol + n;
    return true;
}

/* A value's name stands beside its enum, not in it. */
static bool enum_has(const Google__Protobuf__EnumDescriptorProto *e, const char *symbol)
{
    for (size_t i = 0; i < e->n_value; i++)
        if (strcmp(e->value[i]->name, symbol) == 0)
            return true;
    return strcmp(e->name, symbol) == 0;
}

static bool message_has(const Google__Protobuf__DescriptorProto *m, const char *symbol)
{
    const char *rest;

    if (!in_scope(symbol, m->name, &rest))
        return false;
    if (rest[0] == '\0')
        return true;
    for (size_t i = 0; i < m->n_field; i++)
        if (strcmp(m->field[i]->name, rest) == 0)
            return true;
    for (size_t i = 0; i < m->n_oneof_decl; i++)
        if (strcmp(m->oneof_decl[i]->name, rest) == 0)
            return true;
    for (size_t i = 0; i < m->n_enum_type; i++)
        if (enum_has(m->enum_type[i], rest))
            return true;
    for (size_t i = 0; i < m->n_nested_type; i++)
        if (message_has(m->nested_type[i], rest))
            return true;
    return false;
}

static bool service_has(const Google__Protobuf__ServiceDescriptorProto *s, const char *symbol)
{
    const char *rest;

    if (!in_scope(symbol, s->name, &rest))
        return false;
    for (size_t i = 0; i < s->n_method; i++)
        if (strcmp(s->method[i]->name, rest) == 0)
            return true;
    return rest[0] == '\0';
}

static bool file_has(const Google__Protobuf__FileDescriptorProto *f, const char *symbol)
{
    const char *rest = symbol;

    if (f->package != NULL && f->package[0] != '\0' && !in_scope(symbol, f->package, &rest))
        return false;
    for (size_t i = 0; i < f->n_service; i++)
        if (service_has(f->service[i], rest))
            return true;
    for (size_t i = 0; i < f->n_message_type; i++)
        if (message_has(f->message_type[i], rest))
            return true;
    for (size_t i = 0; i < f->n_enum_type; i++)
        if (enum_has(f->enum_type[i], rest))
            return true;
    return false;
}

static const struct file *by_symbol(const struct files *files, const char *symbol)
{
    for (size_t i = 0; i < files->n; i++)
        if (file_has(files->list[i].parsed, symbol))
            return &files->list[i];
    return NULL;
}

/* ---- Answers ---- */

/* The file, then what it imports, each once. */
static void collect(const struct files *files, const struct file *file, bool seen[FILES_MAX],
                    ProtobufCBinaryData *list, size_t *n)
{
    size_t at = (size_t)(file - files->list);

    if (seen[at])
        return;
    seen[at] = true;
    list[(*n)++] =
        (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)file->data, .len = file->size};
    for (size_t i = 0; i < file->parsed->n_dependency; i++) {
        const struct file *import = by_name(files, file->parsed->dependency[i]);
        if (import != NULL)
            collect(files, import, seen, list, n);
    }
}

static bool send(struct rpc_call *call, const request_t *request, response_t *response,
                 struct sf_error **err)
{
    response->valid_host = request->host;
    response->original_request = (request_t *)(uintptr_t)request;
    return rpc_call_send(call, &response->base, err);
}

static bool answer_file(struct rpc_call *call, const struct files *files, const request_t *request,
                        const struct file *file, struct sf_error **err)
{
    response_t response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ErrorResponse missing = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    Grpc__Reflection__V1__FileDescriptorResponse found =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    ProtobufCBinaryData list[FILES_MAX];
    bool seen[FILES_MAX] = {false};

    if (file == NULL) {
        missing.error_code = SF_NOT_FOUND;
        missing.error_message = (char *)"this daemon does not know it";
        response.message_response_case = ANSWERED(ERROR_RESPONSE);
        response.error_response = &missing;
    } else {
        found.file_descriptor_proto = list;
        collect(files, file, seen, list, &found.n_file_descriptor_proto);
        response.message_response_case = ANSWERED(FILE_DESCRIPTOR_RESPONSE);
        response.file_descriptor_response = &found;
    }
    return send(call, request, &response, err);
}

static bool answer_services(struct rpc_call *call, struct rpc_server *server,
                            const request_t *request, struct sf_error **err)
{
    size_t n = rpc_server_n_services(server);
    response_t response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ListServiceResponse found =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    Grpc__Reflection__V1__ServiceResponse *services = calloc(n, sizeof(*services));
    Grpc__Reflection__V1__ServiceResponse **list = calloc(n, sizeof(*list));

    if (services == NULL || list == NULL) {
        free(services);
        free(list);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }
    for (size_t i = 0; i < n; i++) {
        grpc__reflection__v1__service_response__init(&services[i]);
        services[i].name = (char *)(uintptr_t)rpc_server_service(server, i)->descriptor->name;
        list[i] = &services[i];
    }
    found.service = list;
    found.n_service = n;
    response.message_response_case = ANSWERED(LIST_SERVICES_RESPONSE);
    response.list_services_response = &found;
    bool ok = send(call, request, &response, err);
    free(services);
    free(list);
    return ok;
}

/* proto3 has no extensions; whether the message is there is all that can be said. */
static bool answer_extensions(struct rpc_call *call, const struct files *files,
                              const request_t *request, struct sf_error **err)
{
    response_t response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ExtensionNumberResponse none =
        GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;

    if (by_symbol(files, request->all_extension_numbers_of_type) == NULL)
        return answer_file(call, files, request, NULL, err);
    none.base_type_name = request->all_extension_numbers_of_type;
    response.message_response_case = ANSWERED(ALL_EXTENSION_NUMBERS_RESPONSE);
    response.all_extension_numbers_response = &none;
    return send(call, request, &response, err);
}

static bool answer(struct rpc_call *call, struct rpc_server *server, const struct files *files,
                   const request_t *request, struct sf_error **err)
{
    switch (request->message_request_case) {
    case ASKED(LIST_SERVICES):
        return answer_services(call, server, request, err);
    case ASKED(FILE_BY_FILENAME):
        return answer_file(call, files, request, by_name(files, request->file_by_filename), err);
    case ASKED(FILE_CONTAINING_SYMBOL):
        return answer_file(call, files, request, by_symbol(files, request->file_containing_symbol),
                           err);
    case ASKED(FILE_CONTAINING_EXTENSION):
        return answer_file(call, files, request, NULL, err);
    case ASKED(ALL_EXTENSION_NUMBERS_OF_TYPE):
        return answer_extensions(call, files, request, err);
    default:
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "the request asks for nothing; set one of "
                       "ServerReflectionRequest.message_request");
    }
}

static bool reflect(void *context, struct rpc_call *call, const ProtobufCMessage *unused,
                    ProtobufCMessage *reply, struct sf_error **err)
{
    struct rpc_server *server = context;
    struct files files = {.n = 0};
    bool ok = true;

    (void)unused;
    (void)reply;
    for (size_t i = 0; i < rpc_server_n_services(server); i++)
        add_set(&files, rpc_server_service(server, i)->files,
                rpc_server_service(server, i)->files_size);
    while (ok) {
        ProtobufCMessage *request = NULL;
        ok = rpc_call_receive(call, &request, err);
        if (request == NULL)
            break;
        /* v1alpha is v1 under another name, field for field. */
        ok = answer(call, server, &files, (const request_t *)(void *)request, err);
        protobuf_c_message_free_unpacked(request, NULL);
    }
    files_done(&files);
    return ok;
}

bool rpc_add_reflection(struct rpc_server *server, struct sf_error **err)
{
    const struct rpc_method methods[] = {
        {"ServerReflectionInfo", reflect, server, RPC_READER, RPC_BIDI},
        {0},
    };

    return rpc_server_add_service(server, &grpc__reflection__v1__server_reflection__descriptor,
                                  methods, reflection_files, reflection_files_size, err) &&
           rpc_server_add_service(server, &grpc__reflection__v1alpha__server_reflection__descriptor,
                                  methods, reflection_files, reflection_files_size, err);
}
