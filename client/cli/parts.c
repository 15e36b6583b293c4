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

/* ---- disks ---- */

static bool set_format(struct disk_word *d, const char *value, struct sf_error **err)
{
    unsigned choice;
    if (!parse_choice(value, DISK_FORMATS, &choice, err))
        return false;
    d->spec.format = (enum sandferry_disk_format)(choice + SANDFERRY_FORMAT_RAW);
    return true;
}

static bool set_partition(struct disk_word *d, const char *value, struct sf_error **err)
{
    return parse_number(value, UINT64_MAX, &d->spec.partition, err);
}

static bool set_filesystem(struct disk_word *d, const char *value, struct sf_error **err)
{
    (void)err;
    d->spec.filesystem = value;
    return true;
}

static bool set_option(struct disk_word *d, const char *value, struct sf_error **err)
{
    return words_add(&d->options, value, err);
}

static bool set_destination(struct disk_word *d, const char *value, struct sf_error **err)
{
    (void)err;
    d->destination = value;
    return true;
}

static bool set_read_only(struct disk_word *d, const char *value, struct sf_error **err)
{
    (void)err;
    (void)value;
    d->spec.read_only = true;
    return true;
}

/* clang-format off */
static const struct {
    const char *key;
    bool has_value;
    bool (*set)(struct disk_word *d, const char *value, struct sf_error **err);
} keys[] = {
    { "format",    true,  set_format      },
    { "partition", true,  set_partition   },
    { "fs",        true,  set_filesystem  },
    { "option",    true,  set_option      },
    { "dest",      true,  set_destination },
    { "ro",        false, set_read_only   },
};
/* clang-format on */

static bool set_key(struct disk_word *d, char *part, struct sf_error **err)
{
    char *value = strchr(part, '=');
    if (value != NULL)
        *value++ = '\0';
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (strcmp(keys[i].key, part) == 0 && keys[i].has_value == (value != NULL))
            return keys[i].set(d, value, err) || sf_fail_in(err, "'%s'", part);
    return sf_fail(err, SF_INVALID_ARGUMENT,
                   "'%s' after the path is none of format=, partition=, fs=, option=, dest=, ro",
                   part);
}

bool disk_word_parse(struct disk_word *ret, const char *word, struct sf_error **err)
{
    ret->spec = (struct sandferry_disk_spec)SANDFERRY_DISK_SPEC_INIT;
    ret->text = strdup(word);
    if (ret->text == NULL)
        return no_memory(err);

    char *rest = ret->text;
    ret->spec.host_path = strsep(&rest, ",");
    if (*ret->spec.host_path == '\0')
        return sf_fail(err, SF_INVALID_ARGUMENT, "disk '%s' has no path", word);
    while (rest != NULL)
        if (!set_key(ret, strsep(&rest, ","), err))
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
