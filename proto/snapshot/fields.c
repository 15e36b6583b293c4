#include "snapshot/validate.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "snapshot/limits.h"
#include "snapshot/path.h"

/* What a text must be; NULL: it is. */
typedef const char *text_test(const char *text);

/* What a field may hold: a text of that length that passes the test, bytes of that length, or a
 * number between the two bounds. */
struct rule {
    const char *path;
    uint64_t least, most;
    text_test *test;
};

static const char *id(const char *text)
{
    return sf_id_valid(text) ? NULL
                             : "is no id: 1 to 64 letters, digits, '-', '_' and '.', the first a "
                               "letter or digit";
}

static const char *guid(const char *text)
{
    return sf_guid_valid(text) ? NULL : "is no GUID in lower case";
}

static bool leads_up(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2)
        if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
            return true;
    return false;
}

static const char *path(const char *text)
{
    if (text[0] != '/')
        return "is no absolute path";
    return leads_up(text) ? "has '..' in it" : NULL;
}

static const char *beneath(const char *text)
{
    return leads_up(text) ? "has '..' in it" : NULL;
}

static const char *file_name(const char *text)
{
    bool good = strchr(text, '/') == NULL && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;

    return good ? NULL : "is no file name";
}

static const char *property(const char *text)
{
    const char *equals = strchr(text, '=');

    return equals != NULL && equals != text ? NULL : "is no property: name=value";
}

static const char *decimal(const char *text)
{
    size_t size = strlen(text);

    if (strspn(text, "0123456789") != size || size > 18 || (text[0] == '0' && size > 1))
        return "is no number in decimal";
    return NULL;
}

static const char *json(const char *text)
{
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(value);

    json_decref(value);
    return good ? NULL : "is no JSON object";
}

static const char *address(const char *text)
{
    unsigned char raw[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1
               ? NULL
               : "is no IP address";
}

static const char *network(const char *text)
{
    static const char *const wrong = "is no IP address with a prefix length";
    const char *slash = strchr(text, '/');
    char host[INET6_ADDRSTRLEN];
    if (slash == NULL || (size_t)(slash - text) >= sizeof(host) || decimal(slash + 1) != NULL)
        return wrong;

    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    long most = strchr(host, ':') != NULL ? 128 : 32;
    bool good = address(host) == NULL && slash[1] != '\0' && strtol(slash + 1, NULL, 10) <= most;
    return good ? NULL : wrong;
}

static const char *mac(const char *text)
{
    bool good = strlen(text) == 17;

    for (int i = 0; good && i < 17; i++)
        good = i % 3 == 2 ? text[i] == ':' : strchr("0123456789abcdef", text[i]) != NULL;
    return good ? NULL : "is no MAC address in lower case";
}

// clang-format off
#define MUST(most) 1, most
#define MAY(most)  0, most

static const struct rule rules[] = {
    /* field                                                length or value               is         */
    { "sandbox_id",                                         MUST(SF_ID_MAX),              id         },
    { "producer",                                           MAY(SF_PRODUCER_MAX),         NULL       },
    { "labels[].key",                                       MUST(SF_LABEL_KEY_MAX),       NULL       },
    { "labels[].value",                                     MAY(SF_LABEL_VALUE_MAX),      NULL       },
    { "extensions[].controller",                            MUST(SF_ID_MAX),              id         },

    { "vm.options.image",                                   MAY(SF_PATH_MAX),             beneath    },
    { "vm.options.cpu_model",                               MAY(SF_WORD_MAX),             NULL       },
    { "vm.options.kernel_arguments",                        MAY(SF_KERNEL_ARGUMENTS_MAX), NULL       },
    { "vm.machine_document",                                MAY(SF_SNAPSHOT_STRING_MAX),  json       },
    { "vm.compatibility.machine_type",                      MAY(SF_WORD_MAX),             NULL       },
    { "vm.compatibility.cpu_model",                         MAY(SF_WORD_MAX),             NULL       },
    { "vm.compatibility.accelerator",                       MAY(SF_WORD_MAX),             NULL       },
    { "vm.compatibility.architecture",                      MAY(SF_WORD_MAX),             NULL       },
    { "vm.compatibility.qemu_version",                      MAY(SF_WORD_MAX),             NULL       },
    { "vm.memory.memory_id",                                MUST(SF_ID_MAX),              guid       },
    { "vm.memory.family_id",                                MUST(SF_ID_MAX),              guid       },

    { "scsi.controllers",                                   1, SF_SCSI_CONTROLLERS_MAX,   NULL       },
    { "scsi.disks[].host_path",                             MUST(SF_PATH_MAX),            path       },
    { "scsi.disks[].mounts[].partition",                    MAY(SF_PARTITION_MAX),        NULL       },
    { "scsi.disks[].mounts[].options[]",                    MUST(SF_WORD_MAX),            NULL       },
    { "scsi.disks[].mounts[].filesystem",                   MAY(SF_WORD_MAX),             NULL       },
    { "scsi.disks[].mounts[].guest_path",                   MAY(SF_PATH_MAX),             path       },
    { "scsi.reservations[].id",                             MUST(SF_ID_MAX),              guid       },

    { "vpci.devices[].id",                                  MUST(SF_ID_MAX),              guid       },
    { "vpci.devices[].host_address",                        MAY(SF_WORD_MAX),             NULL       },
    { "vpci.devices[].virtual_function",                    MAY(SF_VIRTUAL_FUNCTION_MAX), NULL       },
    { "vpci.devices[].model",                               MAY(SF_WORD_MAX),             NULL       },
    { "vpci.devices[].guest_address",                       MAY(SF_WORD_MAX),             id         },
    { "vpci.devices[].properties[]",                        MUST(SF_WORD_MAX),            property   },
    { "vpci.devices[].nodes[]",                             MUST(SF_WORD_MAX),            path       },
    { "vpci.reservations[].id",                             MUST(SF_ID_MAX),              guid       },

    { "plan9.shares[].name",                                MUST(SF_WORD_MAX),            decimal    },
    { "plan9.shares[].host_path",                           MUST(SF_PATH_MAX),            path       },
    { "plan9.shares[].allowed_names[]",                     MUST(SF_WORD_MAX),            file_name  },
    { "plan9.shares[].mount.guest_path",                    MAY(SF_PATH_MAX),             path       },
    { "plan9.shares[].fids[].path",                         MAY(SF_PATH_MAX),             beneath    },
    { "plan9.shares[].fids[].qid_type",                     MAY(SF_QID_TYPE_MAX),         NULL       },
    { "plan9.shares[].fids[].locks[].client",               MAY(SF_WORD_MAX),             NULL       },
    { "plan9.shares[].msize",                               MAY(SF_SHARE_MESSAGE_MAX),    NULL       },
    { "plan9.shares[].partial",                             MAY(SF_SHARE_MESSAGE_MAX),    NULL       },
    { "plan9.reservations[].id",                            MUST(SF_ID_MAX),              guid       },

    { "network.namespaces[].pod_id",                        MUST(SF_ID_MAX),              id         },
    { "network.namespaces[].host_namespace",                MAY(SF_PATH_MAX),             NULL       },
    { "network.namespaces[].guest_namespace",               MAY(SF_WORD_MAX),             NULL       },
    { "network.namespaces[].name_servers[]",                MUST(SF_WORD_MAX),            address    },
    { "network.namespaces[].search_domains[]",              MUST(SF_WORD_MAX),            NULL       },
    { "network.namespaces[].endpoints[].nic_id",            MUST(SF_ID_MAX),              guid       },
    { "network.namespaces[].endpoints[].host_device",       MAY(SF_WORD_MAX),             NULL       },
    { "network.namespaces[].endpoints[].mac_address",       MUST(SF_WORD_MAX),            mac        },
    { "network.namespaces[].endpoints[].guest_device",      MAY(SF_WORD_MAX),             NULL       },
    { "network.namespaces[].endpoints[].addresses[]",       MUST(SF_WORD_MAX),            network    },
    { "network.namespaces[].endpoints[].routes[].destination", MUST(SF_WORD_MAX),         network    },
    { "network.namespaces[].endpoints[].routes[].gateway",  MAY(SF_WORD_MAX),             address    },
    { "network.namespaces[].endpoints[].mtu",               MAY(65535),                   NULL       },

    { "container.pods[].pod_id",                            MUST(SF_ID_MAX),              id         },
    { "container.pods[].guest_pod_id",                      MUST(SF_ID_MAX),              id         },
    { "container.containers[].container_id",                MUST(SF_ID_MAX),              id         },
    { "container.containers[].guest_container_id",          MUST(SF_ID_MAX),              id         },
    { "container.containers[].pod_id",                      MUST(SF_ID_MAX),              id         },
    { "container.containers[].spec",                        MAY(SF_SNAPSHOT_STRING_MAX),  json       },
    { "container.pods[].labels[].key",                      MUST(SF_LABEL_KEY_MAX),       NULL       },
    { "container.pods[].labels[].value",                    MAY(SF_LABEL_VALUE_MAX),      NULL       },
    { "container.containers[].labels[].key",                MUST(SF_LABEL_KEY_MAX),       NULL       },
    { "container.containers[].labels[].value",              MAY(SF_LABEL_VALUE_MAX),      NULL       },
    { "container.containers[].layers.rootfs_path",          MAY(SF_PATH_MAX),             path       },
    { "container.containers[].layers.read_only[].guest_path", MAY(SF_PATH_MAX),           path       },
    { "container.containers[].layers.scratch.guest_path",   MAY(SF_PATH_MAX),             path       },

    { "process.processes[].container_id",                   MUST(SF_ID_MAX),              id         },
    { "process.processes[].exec_id",                        MAY(SF_ID_MAX),               id         },
    { "process.processes[].spec",                           MAY(SF_SNAPSHOT_STRING_MAX),  json       },
    { "process.processes[].exit_code",                      MAY(SF_EXIT_CODE_MAX),        NULL       },
    { "process.processes[].guest_container_id",             MUST(SF_ID_MAX),              id         },
    { "process.processes[].stdout.held",                    MAY(SF_OUTPUT_HELD_MAX),      NULL       },
    { "process.processes[].stderr.held",                    MAY(SF_OUTPUT_HELD_MAX),      NULL       },
};
// clang-format on

struct field_check {
    const struct rule *rule;
    struct sf_reasons *why;
};

/* Takes @text over. */
static void add(const struct field_check *c, const struct sf_place *place, char *text)
{
    SF_CLEANUP(sf_text_done) struct sf_text where = {0};

    sf_place_print(place, &where);
    sf_reasons_add_field(c->why, where.data != NULL ? where.data : "", "%s",
                         text != NULL ? text : "is wrong");
    free(text);
}

static void check_size(const struct field_check *c, const struct sf_place *place, size_t size)
{
    if (size < c->rule->least)
        add(c, place, sf_format("is empty"));
    else if (size > c->rule->most)
        add(c, place,
            sf_format("has %zu bytes; at most %llu", size, (unsigned long long)c->rule->most));
}

static void check_text(const struct field_check *c, const struct sf_place *place)
{
    const char *text = place->value;
    size_t size = strlen(text);
    const char *wrong = NULL;

    if (size < c->rule->least || size > c->rule->most)
        check_size(c, place, size);
    else if (size > 0 && c->rule->test != NULL && (wrong = c->rule->test(text)) != NULL)
        add(c, place, sf_format("'%.100s%s' %s", text, size > 100 ? "..." : "", wrong));
}

static void check_number(const struct field_check *c, const struct sf_place *place, uint64_t is)
{
    if (is < c->rule->least || is > c->rule->most)
        add(c, place,
            sf_format("is %llu; must be %llu to %llu", (unsigned long long)is,
                      (unsigned long long)c->rule->least, (unsigned long long)c->rule->most));
}

static void check_field(const struct sf_place *place, void *arg)
{
    const struct field_check *c = arg;

    switch (place->fields[place->n - 1]->type) {
    case PROTOBUF_C_TYPE_STRING:
        check_text(c, place);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        check_size(c, place, ((const ProtobufCBinaryData *)place->value)->len);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        check_number(c, place, *(const uint32_t *)place->value);
        break;
    default:
        assert(place->fields[place->n - 1]->type == PROTOBUF_C_TYPE_UINT64);
        check_number(c, place, *(const uint64_t *)place->value);
    }
}

void sf_fields_check(const Sandferry__V1__SandboxSnapshot *s, struct sf_reasons *why)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct field_check c = {&rules[i], why};
        sf_path_each(&s->base, rules[i].path, check_field, &c);
    }
}

bool sf_fields_has(const char *path_of_field)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(rules[i].path, path_of_field) == 0)
            return true;
    return false;
}
