#include "vpci/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a property's value may be: a number between the two, or, if most_bytes is set, a word of at
 * most as many letters, digits, '-', '_' and '.'. Nothing here names a file, a back end or another
 * object of QEMU: what a caller says ends in the device. */
struct model_property {
    const char *name;
    uint64_t least, most;
    size_t most_bytes;
};

/* clang-format off */
static const struct model_property rng_properties[] = {
    { "max-bytes", 1, INT64_MAX,  0  },
    { "period",    1, INT32_MAX,  0  },
    { 0 },
};

static const struct model_property nvme_properties[] = {
    { "aer_max_queued", 0, 1024,  0  },
    { "aerl",           0, 15,    0  },
    { "max_ioqpairs",   1, 1024,  0  },
    { "mdts",           0, 15,    0  },
    { "serial",         0, 0,     20 }, /* as long as the NVMe specification has it */
    { "vsl",            0, 15,    0  },
    { 0 },
};

static const struct model_property edu_properties[] = {
    { "dma_mask",       1, INT64_MAX, 0 },
    { 0 },
};

static const struct model models[] = {
    /* name              travels  properties      */
    { "edu",             false,   edu_properties  },
    { "nvme",            false,   nvme_properties },
    { "virtio-rng-pci",  true,    rng_properties  },
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct model *model_find(const char *name)
{
    for (size_t i = 0; i < COUNT(models); i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

void model_names(struct sf_text *out)
{
    for (size_t i = 0; i < COUNT(models); i++)
        sf_text_add(out, "%s'%s'", i > 0 ? ", " : "", models[i].name);
}

size_t model_property_name(const char *property)
{
    return strcspn(property, "=");
}

static const struct model_property *find(const struct model *m, const char *property)
{
    size_t size = model_property_name(property);

    for (const struct model_property *p = m->properties; p->name != NULL; p++)
        if (strlen(p->name) == size && memcmp(p->name, property, size) == 0)
            return p;
    return NULL;
}

bool model_property_is_number(const struct model *m, const char *property)
{
    const struct model_property *p = find(m, property);

    return p != NULL && p->most_bytes == 0;
}

static bool is_word(const char *text, size_t most)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t size = strlen(text);

    return size > 0 && size <= most && strspn(text, good) == size;
}

static bool is_number(const char *text, uint64_t least, uint64_t most)
{
    size_t size = strlen(text);
    if (size == 0 || size > 19 || strspn(text, "0123456789") != size)
        return false;

    errno = 0;
    uint64_t value = strtoull(text, NULL, 10);
    return errno == 0 && value >= least && value <= most;
}

static bool unknown(const struct model *m, const char *property, struct sf_error **err)
{
    SF_CLEANUP(sf_text_done) struct sf_text names = {0};

    for (const struct model_property *p = m->properties; p->name != NULL; p++)
        sf_text_add(&names, "%s%s", p == m->properties ? "" : ", ", p->name);
    sf_fail(err, SF_INVALID_ARGUMENT,
            "'%.100s' is no property of the model '%s' that may be set: name=value, with one of %s",
            property, m->name, names.data != NULL ? names.data : "none");
    return sf_fail_detail(err, SF_DETAIL_FIELD, "properties", "unknown property");
}

bool model_check_property(const struct model *m, const char *property, struct sf_error **err)
{
    const struct model_property *p = find(m, property);
    size_t size = model_property_name(property);
    if (p == NULL || property[size] != '=' || strlen(property) >= VPCI_PROPERTY_SIZE)
        return unknown(m, property, err);

    const char *value = property + size + 1;
    if (p->most_bytes > 0 && !is_word(value, p->most_bytes)) {
        sf_fail(err, SF_INVALID_ARGUMENT,
                "'%.100s': must be 1 to %zu letters, digits, '-', '_' and '.'", property,
                p->most_bytes);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "properties", "not a word");
    }
    if (p->most_bytes == 0 && !is_number(value, p->least, p->most)) {
        sf_fail(err, SF_INVALID_ARGUMENT, "'%.100s': must be a number from %llu to %llu", property,
                (unsigned long long)p->least, (unsigned long long)p->most);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "properties", "out of range");
    }
    return true;
}
