#include "config.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    TEXT, /* the last one counts */
    LIST, /* each one counts */
    FLAG, /* there or not */
    ONCE, /* like TEXT, but only on the command line: not a setting */
};

struct option {
    const char *name;
    enum kind kind;
    const char *value; /* its name in the help */
    const char *preset;
    const char *help;
};

/* clang-format off */
static const struct option options[] = {
    { "listen",         LIST, "ADDRESS", "unix:/run/sandferry/sandferryd.sock",
      "where to listen: unix:/PATH, or HOST:PORT with TLS; repeatable" },
    { "state-dir",      TEXT, "DIR",     "/var/lib/sandferry",
      "the journal: what must outlive the daemon" },
    { "run-dir",        TEXT, "DIR",     "/run/sandferry",
      "sockets and other short-lived files; keep the path short" },
    { "memory-dir",     TEXT, "DIR",     "/dev/shm/sandferry",
      "guest memory; daemons that share it can hand sandboxes over" },
    { "image-dir",      TEXT, "DIR",     "/usr/share/sandferry/image",
      "the guest's kernel and initrd" },
    { "controller-dir", TEXT, "DIR",     SANDFERRY_CONTROLLER_DIR,
      "the controllers; every .so in it is loaded" },
    { "allow",          LIST, "DIR",     NULL,
      "host paths in requests and snapshots must lie beneath one of these; repeatable" },
    { "qemu",           TEXT, "PATH",    "qemu-system-x86_64",
      "the QEMU to run" },
    { "qemu-user",      TEXT, "NAME",    "nobody",
      "whom QEMU runs as, if the daemon is root" },
    { "tls-cert",       TEXT, "FILE",    NULL,
      "the daemon's certificate (PEM), for TCP" },
    { "tls-key",        TEXT, "FILE",    NULL,
      "its key (PEM)" },
    { "tls-client-ca",  TEXT, "FILE",    NULL,
      "who signs the certificates of clients (PEM)" },
    { "insecure-tcp",   FLAG, NULL,      NULL,
      "listen on TCP without TLS: whoever can connect rules this host" },
    { "log-level",      TEXT, "LEVEL",   "info",
      "error, warning, info or debug" },
    { "fault-file",     TEXT, "FILE",    NULL,
      "for tests: a file that names the next point to fail at" },
    { "config",         ONCE, "FILE",    NULL,
      "read settings from this JSON file; flags win over it" },
    { "print-config",   ONCE, NULL,      NULL,
      "print the settings as such a file, and exit" },
    { "version",        ONCE, NULL,      NULL,
      "print the version, and exit" },
    { "help",           ONCE, NULL,      NULL,
      "print this, and exit" },
};
/* clang-format on */

#define N_OPTIONS (sizeof(options) / sizeof(*options))
static_assert(N_OPTIONS <= CONFIG_OPTIONS_MAX, "make room for every option");

static const struct option *find_option(const char *name, size_t size)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0)
            return &options[i];
    return NULL;
}

static void empty(struct config_values *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->all[i]);
    free(v->all);
    *v = (struct config_values){0};
}

static bool add(struct config_values *v, const char *text, struct sf_error **err)
{
    char **all = realloc(v->all, (v->n + 1) * sizeof(*all));
    if (all != NULL) {
        v->all = all;
        all[v->n] = strdup(text);
        if (all[v->n] != NULL) {
            v->n++;
            return true;
        }
    }
    return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static bool set(struct config *c, const struct option *o, const char *text, struct sf_error **err)
{
    struct config_values *v = &c->values[o - options];
    if (o->kind != LIST)
        empty(v);
    return add(v, text, err);
}

/* ---- the command line ---- */

static bool parse_flags(struct config *c, int argc, char *const *argv, struct sf_error **err)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strncmp(word, "--", 2) != 0)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "'%s' is not a flag; 'sandferryd --help' lists them", word);
        size_t size = strcspn(word + 2, "=");
        const struct option *o = find_option(word + 2, size);
        if (o == NULL)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "there is no flag '%s'; 'sandferryd --help' lists them", word);

        const char *value = word[2 + size] == '=' ? word + 2 + size + 1 : NULL;
        if (o->value == NULL && value != NULL)
            return sf_fail(err, SF_INVALID_ARGUMENT, "--%s takes no value", o->name);
        if (o->value != NULL && value == NULL && (value = argv[i + 1]) != NULL)
            i++;
        if (o->value != NULL && (value == NULL || *value == '\0'))
            return sf_fail(err, SF_INVALID_ARGUMENT, "--%s needs %s", o->name, o->value);
        if (!set(c, o, o->value == NULL ? "true" : value, err))
            return false;
    }
    return true;
}

/* ---- the file ---- */

static bool set_from_json(struct config *c, const struct option *o, const json_t *value,
                          struct sf_error **err)
{
    if (o->kind == FLAG && json_is_boolean(value))
        return json_is_true(value) ? set(c, o, "true", err) : true;
    if (o->kind != FLAG && json_is_string(value) && json_string_length(value) > 0)
        return set(c, o, json_string_value(value), err);
    if (o->kind != LIST || !json_is_array(value))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s' must be %s", o->name,
                       o->kind == FLAG   ? "true or false"
                       : o->kind == LIST ? "a text or a list of texts"
                                         : "a text");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        if (!json_is_string(one) || json_string_length(one) == 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "'%s'[%zu] must be a text", o->name, i);
        if (!set(c, o, json_string_value(one), err))
            return false;
    }
    return true;
}

static bool parse_object(struct config *c, json_t *root, struct sf_error **err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(root))
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a JSON object");
    json_object_foreach(root, key, value)
    {
        const struct option *o = find_option(key, strlen(key));
        if (o == NULL || o->kind == ONCE)
            return sf_fail(err, SF_INVALID_ARGUMENT,
                           "there is no setting '%s'; 'sandferryd --print-config' shows all", key);
        if (!set_from_json(c, o, value, err))
            return false;
    }
    return true;
}

static bool parse_file(struct config *c, const char *path, struct sf_error **err)
{
    json_error_t why;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%s': line %d: %s", path, why.line, why.text);

    bool ok = parse_object(c, root, err);
    json_decref(root);
    return ok || sf_fail_in(err, "'%s'", path);
}

/* What the flags left open is taken from the file. */
static bool merge_file(struct config *c, const char *path, struct sf_error **err)
{
    struct config file = {0};
    bool ok = parse_file(&file, path, err);

    for (size_t i = 0; ok && i < N_OPTIONS; i++)
        if (c->values[i].n == 0) {
            c->values[i] = file.values[i];
            file.values[i] = (struct config_values){0};
        }
    config_done(&file);
    return ok;
}

static bool fill_presets(struct config *c, struct sf_error **err)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (c->values[i].n == 0 && options[i].preset != NULL &&
            !set(c, &options[i], options[i].preset, err))
            return false;
    return true;
}

bool config_parse(struct config *ret, int argc, char *const *argv, enum config_action *ret_action,
                  struct sf_error **err)
{
    *ret = (struct config){0};
    if (!parse_flags(ret, argc, argv, err))
        return false;
    *ret_action = config_flag(ret, "help")           ? CONFIG_HELP
                  : config_flag(ret, "version")      ? CONFIG_VERSION
                  : config_flag(ret, "print-config") ? CONFIG_PRINT
                                                     : CONFIG_RUN;
    if (*ret_action == CONFIG_HELP || *ret_action == CONFIG_VERSION)
        return true;

    const char *file = config_get(ret, "config");
    return (file == NULL || merge_file(ret, file, err)) && fill_presets(ret, err);
}

void config_done(struct config *c)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        empty(&c->values[i]);
}

/* ---- looking ---- */

const char *const *config_list(const struct config *c, const char *name, size_t *ret_n)
{
    const struct option *o = find_option(name, strlen(name));
    if (o == NULL) {
        *ret_n = 0;
        return NULL;
    }
    const struct config_values *v = &c->values[o - options];
    *ret_n = v->n;
    return (const char *const *)v->all;
}

const char *config_get(const struct config *c, const char *name)
{
    size_t n;
    const char *const *all = config_list(c, name, &n);
    return n > 0 ? all[0] : NULL;
}

bool config_flag(const struct config *c, const char *name)
{
    return config_get(c, name) != NULL;
}

/* ---- printing ---- */

void config_print_help(FILE *out)
{
    fputs("Usage: sandferryd [FLAG...]\n\n"
          "Runs sandboxes, saves them and restores them, as asked over gRPC. Ends on SIGTERM or\n"
          "SIGINT: running sandboxes are saved first, and run on when it is started again.\n\n"
          "Flags:\n",
          out);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];
        fprintf(out, "  --%s%s%s\n        %s\n", o->name, o->value == NULL ? "" : " ",
                o->value == NULL ? "" : o->value, o->help);
        if (o->preset != NULL)
            fprintf(out, "        default: %s\n", o->preset);
    }
    fputs("\nExamples:\n"
          "  sandferryd --allow /srv/disks\n"
          "        a daemon on the default socket, for disks in /srv/disks\n"
          "  sandferryd --listen unix:/tmp/b.sock --state-dir /tmp/b --run-dir /tmp/b/run \\\n"
          "             --allow /srv/disks\n"
          "        a second one beside it; a sandbox can be handed over between the two\n"
          "  sandferryd --listen 0.0.0.0:7443 --tls-cert host.pem --tls-key host.key \\\n"
          "             --tls-client-ca clients.pem --allow /srv/disks\n"
          "        one that other hosts can reach; clients need a certificate\n"
          "  sandferryd --print-config --allow /srv/disks > sandferryd.json\n"
          "        the settings as a file for --config\n",
          out);
}

static json_t *value_to_json(const struct option *o, const struct config_values *v)
{
    if (o->kind == FLAG)
        return json_boolean(v->n > 0);
    if (o->kind == TEXT)
        return v->n > 0 ? json_string(v->all[0]) : NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < v->n; i++)
        json_array_append_new(list, json_string(v->all[i]));
    return list;
}

bool config_print(const struct config *c, FILE *out)
{
    json_t *root = json_object();
    for (size_t i = 0; i < N_OPTIONS; i++) {
        json_t *value = options[i].kind == ONCE ? NULL : value_to_json(&options[i], &c->values[i]);
        if (value != NULL)
            json_object_set_new(root, options[i].name, value);
    }
    bool ok = root != NULL && json_dumpf(root, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    return ok;
}
