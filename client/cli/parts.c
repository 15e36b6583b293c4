#include "parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "values.h"

static bool no_memory(struct sf_error **err)
{
    return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; texts != NULL && i < n; i++)
        free(texts[i]);
    free(texts);
}

/* ---- labels ---- */

bool labels_parse(struct labels *ret, const struct words *words, struct sf_error **err)
{
    ret->all = calloc(words->n + 1, sizeof(*ret->all));
    ret->texts = calloc(words->n + 1, sizeof(*ret->texts));
    if (ret->all == NULL || ret->texts == NULL)
        return no_memory(err);
    ret->n = words->n;
    for (size_t i = 0; i < words->n; i++) {
        char *text = ret->texts[i] = strdup(words->all[i]);
        if (text == NULL)
            return no_memory(err);
        char *equals = strchr(text, '=');
        if (equals == NULL || equals == text)
            return sf_fail(err, SF_INVALID_ARGUMENT, "--label '%s' is not KEY=VALUE", text);
        *equals = '\0';
        ret->all[i] = (struct sandferry_label){text, equals + 1};
    }
    return true;
}

void labels_done(struct labels *l)
{
    free_texts(l->texts, l->n);
    free(l->all);
}

/* ---- patches ---- */

static bool patch_parse(struct sandferry_patch *ret, char *text, struct sf_error **err)
{
    char *colon = strchr(text, ':');
    char *equals = colon != NULL ? strchr(colon, '=') : NULL;
    if (colon == NULL || colon == text || equals == NULL || equals == colon + 1 ||
        equals[1] == '\0')
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "--patch '%s' is not CONTROLLER:OBJECT=VALUE, as in "
                       "scsi:/old/disks/=/new/disks/",
                       text);
    *colon = *equals = '\0';
    *ret = (struct sandferry_patch){text, colon + 1, equals + 1};
    return true;
}

bool patches_parse(struct patches *ret, const struct words *words, struct sf_error **err)
{
    ret->all = calloc(words->n + 1, sizeof(*ret->all));
    ret->texts = calloc(words->n + 1, sizeof(*ret->texts));
    if (ret->all == NULL || ret->texts == NULL)
        return no_memory(err);
    ret->n = words->n;
    for (size_t i = 0; i < words->n; i++) {
        ret->texts[i] = strdup(words->all[i]);
        if (ret->texts[i] == NULL)
            return no_memory(err);
        if (!patch_parse(&ret->all[i], ret->texts[i], err))
            return false;
    }
    return true;
}

void patches_done(struct patches *p)
{
    free_texts(p->texts, p->n);
    free(p->all);
}

/* ---- words with keys: "NAME[,key=value..][,key..]" ---- */

struct word_key {
    const char *key; /* NULL ends the table */
    bool has_value;
    bool (*set)(void *word, const char *value, struct sf_error **err);
};

static bool unknown_key(const char *part, const struct word_key *keys, struct sf_error **err)
{
    SF_CLEANUP(sf_text_done) struct sf_text list = {0};
    for (size_t i = 0; keys[i].key != NULL; i++)
        sf_text_add(&list, "%s%s%s", i > 0 ? ", " : "", keys[i].key, keys[i].has_value ? "=" : "");
    return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' after the first comma is none of %s", part,
                   list.data != NULL ? list.data : "?");
}

static bool set_key(void *word, char *part, const struct word_key *keys, struct sf_error **err)
{
    char *value = strchr(part, '=');
    if (value != NULL)
        *value++ = '\0';
    for (size_t i = 0; keys[i].key != NULL; i++)
        if (strcmp(keys[i].key, part) == 0 && keys[i].has_value == (value != NULL))
            return keys[i].set(word, value, err) || sf_fail_in(err, "'%s'", part);
    return unknown_key(part, keys, err);
}

/* @text is cut into pieces; *ret_path is the first. */
static bool word_parse(void *word, char *text, const struct word_key *keys, const char **ret_path,
                       struct sf_error **err)
{
    char *rest = text;
    *ret_path = strsep(&rest, ",");
    if (**ret_path == '\0')
        return sf_fail(err, SF_INVALID_ARGUMENT, "it has no path");
    while (rest != NULL)
        if (!set_key(word, strsep(&rest, ","), keys, err))
            return false;
    return true;
}

/* ---- disks ---- */

static bool set_format(void *word, const char *value, struct sf_error **err)
{
    struct disk_word *d = word;
    unsigned choice;
    if (!parse_choice(value, DISK_FORMATS, &choice, err))
        return false;
    d->spec.format = (enum sandferry_disk_format)(choice + SANDFERRY_FORMAT_RAW);
    return true;
}

static bool set_partition(void *word, const char *value, struct sf_error **err)
{
    return parse_number(value, UINT64_MAX, &((struct disk_word *)word)->spec.partition, err);
}

static bool set_filesystem(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    ((struct disk_word *)word)->spec.filesystem = value;
    return true;
}

static bool set_option(void *word, const char *value, struct sf_error **err)
{
    return words_add(&((struct disk_word *)word)->options, value, err);
}

static bool set_destination(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    ((struct disk_word *)word)->destination = value;
    return true;
}

static bool set_encrypted(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    (void)value;
    ((struct disk_word *)word)->spec.encrypted = true;
    return true;
}

static bool set_read_only(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    (void)value;
    ((struct disk_word *)word)->spec.read_only = true;
    return true;
}

/* clang-format off */
static const struct word_key disk_keys[] = {
    { "format",    true,  set_format      },
    { "partition", true,  set_partition   },
    { "fs",        true,  set_filesystem  },
    { "option",    true,  set_option      },
    { "dest",      true,  set_destination },
    { "encrypted", false, set_encrypted   },
    { "ro",        false, set_read_only   },
    { 0 },
};
/* clang-format on */

bool disk_word_parse(struct disk_word *ret, const char *word, struct sf_error **err)
{
    ret->spec = (struct sandferry_disk_spec)SANDFERRY_DISK_SPEC_INIT;
    ret->text = strdup(word);
    if (ret->text == NULL)
        return no_memory(err);
    if (!word_parse(ret, ret->text, disk_keys, &ret->spec.host_path, err))
        return sf_fail_in(err, "disk '%s'", word);
    ret->spec.n_mount_options = ret->options.n;
    ret->spec.mount_options = ret->options.all;
    return true;
}

void disk_word_done(struct disk_word *d)
{
    words_done(&d->options);
    free(d->text);
    d->text = NULL;
}

/* ---- shares ---- */

static bool set_share_destination(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    ((struct share_word *)word)->destination = value;
    return true;
}

static bool set_share_name(void *word, const char *value, struct sf_error **err)
{
    struct share_word *s = word;
    s->spec.restricted = true;
    return words_add(&s->names, value, err);
}

static bool set_share_read_only(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    (void)value;
    ((struct share_word *)word)->spec.read_only = true;
    return true;
}

/* clang-format off */
static const struct word_key share_keys[] = {
    { "dest", true,  set_share_destination },
    { "only", true,  set_share_name        },
    { "ro",   false, set_share_read_only   },
    { 0 },
};
/* clang-format on */

bool share_word_parse(struct share_word *ret, const char *word, struct sf_error **err)
{
    ret->spec = (struct sandferry_share_spec)SANDFERRY_SHARE_SPEC_INIT;
    ret->text = strdup(word);
    if (ret->text == NULL)
        return no_memory(err);
    if (!word_parse(ret, ret->text, share_keys, &ret->spec.host_path, err))
        return sf_fail_in(err, "share '%s'", word);
    ret->spec.n_allowed_names = ret->names.n;
    ret->spec.allowed_names = ret->names.all;
    return true;
}

void share_word_done(struct share_word *s)
{
    words_done(&s->names);
    free(s->text);
    s->text = NULL;
}

/* ---- devices ---- */

/* An address has a colon in it, and may have the number of a virtual function behind it. */
static bool set_device(struct sandferry_device_spec *spec, char *name, struct sf_error **err)
{
    char *slash = strchr(name, '/');
    uint64_t number = 0;

    if (*name == '\0')
        return sf_fail(err, SF_INVALID_ARGUMENT, "it has no address or model");
    if (strchr(name, ':') == NULL) {
        spec->model = name;
        return true;
    }
    spec->host_address = name;
    if (slash == NULL)
        return true;
    *slash = '\0';
    if (!parse_number(slash + 1, UINT16_MAX, &number, err))
        return sf_fail_in(err, "virtual function");
    spec->virtual_function = (uint32_t)number;
    return true;
}

static bool set_property(struct device_word *d, const char *part, struct sf_error **err)
{
    const char *equals = strchr(part, '=');
    if (d->spec.host_address != NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s': only models have properties", part);
    if (equals == NULL || equals == part)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is not PROPERTY=VALUE", part);
    return words_add(&d->properties, part, err);
}

bool device_word_parse(struct device_word *ret, const char *word, struct sf_error **err)
{
    ret->spec = (struct sandferry_device_spec)SANDFERRY_DEVICE_SPEC_INIT;
    char *rest = ret->text = strdup(word);
    if (ret->text == NULL)
        return no_memory(err);

    if (!set_device(&ret->spec, strsep(&rest, ","), err))
        return sf_fail_in(err, "device '%s'", word);
    while (rest != NULL)
        if (!set_property(ret, strsep(&rest, ","), err))
            return sf_fail_in(err, "device '%s'", word);
    ret->spec.n_properties = ret->properties.n;
    ret->spec.properties = ret->properties.all;
    return true;
}

void device_word_done(struct device_word *d)
{
    words_done(&d->properties);
    free(d->text);
    d->text = NULL;
}

/* ---- NICs ---- */

static bool add_address(void *word, const char *value, struct sf_error **err)
{
    return words_add(&((struct nic_word *)word)->addresses, value, err);
}

static bool add_route(struct nic_word *n, const char *destination, const char *gateway,
                      struct sf_error **err)
{
    struct sandferry_route *more = realloc(n->routes, (n->n_routes + 1) * sizeof(*more));
    if (more == NULL)
        return no_memory(err);
    n->routes = more;
    n->routes[n->n_routes++] = (struct sandferry_route){destination, gateway, 0};
    return true;
}

static bool set_gateway(void *word, const char *value, struct sf_error **err)
{
    return add_route(word, strchr(value, ':') != NULL ? "::/0" : "0.0.0.0/0", value, err);
}

/* The word is a copy of ours: the piece may be cut. */
static bool set_route(void *word, const char *value, struct sf_error **err)
{
    char *at = strchr(value, '@');
    if (at != NULL)
        *at++ = '\0';
    return add_route(word, value, at, err);
}

static bool set_mac(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    ((struct nic_word *)word)->spec.mac_address = value;
    return true;
}

static bool set_mtu(void *word, const char *value, struct sf_error **err)
{
    uint64_t mtu;
    if (!parse_number(value, UINT16_MAX, &mtu, err))
        return false;
    ((struct nic_word *)word)->spec.mtu = (uint32_t)mtu;
    return true;
}

static bool set_name(void *word, const char *value, struct sf_error **err)
{
    (void)err;
    ((struct nic_word *)word)->spec.guest_device = value;
    return true;
}

/* clang-format off */
static const struct word_key nic_keys[] = {
    { "address", true, add_address },
    { "gateway", true, set_gateway },
    { "route",   true, set_route   },
    { "mac",     true, set_mac     },
    { "mtu",     true, set_mtu     },
    { "name",    true, set_name    },
    { 0 },
};
/* clang-format on */

static bool set_kind(struct sandferry_nic_spec *spec, const char *first, struct sf_error **err)
{
    const char *colon = strchr(first, ':');
    size_t size = colon != NULL ? (size_t)(colon - first) : strlen(first);

    for (unsigned kind = SANDFERRY_NIC_TAP; kind <= SANDFERRY_NIC_USER; kind++) {
        const char *name = sandferry_nic_kind_name((enum sandferry_nic_kind)kind);
        bool has_device = kind != SANDFERRY_NIC_USER;
        if (strlen(name) != size || memcmp(name, first, size) != 0 ||
            has_device != (colon != NULL && colon[1] != '\0'))
            continue;
        spec->kind = (enum sandferry_nic_kind)kind;
        spec->host_device = has_device ? colon + 1 : NULL;
        return true;
    }
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "'%s' is none of tap:NAME, bridge:NAME, fd:SOCKET, user", first);
}

bool nic_word_parse(struct nic_word *ret, const char *word, struct sf_error **err)
{
    const char *first;

    ret->spec = (struct sandferry_nic_spec)SANDFERRY_NIC_SPEC_INIT;
    ret->text = strdup(word);
    if (ret->text == NULL)
        return no_memory(err);
    if (!word_parse(ret, ret->text, nic_keys, &first, err) || !set_kind(&ret->spec, first, err))
        return sf_fail_in(err, "NIC '%s'", word);
    ret->spec.n_addresses = ret->addresses.n;
    ret->spec.addresses = ret->addresses.all;
    ret->spec.n_routes = ret->n_routes;
    ret->spec.routes = ret->routes;
    return true;
}

void nic_word_done(struct nic_word *n)
{
    words_done(&n->addresses);
    free(n->routes);
    free(n->text);
    n->routes = NULL;
    n->text = NULL;
}
