/* OCI processes: the caller's own, or the container's with what is wanted otherwise. */
#include "process/process.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define SPEC_MAX (256 * 1024) /* bytes */

static void json_free(json_t **json)
{
    json_decref(*json);
}

static bool wrong(struct sf_error **err, const char *field, const char *what)
{
    sf_fail(err, SF_INVALID_ARGUMENT, "%s: %s", field, what);
    return sf_fail_detail(err, SF_DETAIL_FIELD, field, "%s", what);
}

/* ---- The caller's ---- */

static bool strings_only(const json_t *list)
{
    size_t i;
    const json_t *one;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return false;
    json_array_foreach(list, i, one) if (!json_is_string(one)) return false;
    return true;
}

static json_t *given(const struct wanted_process *wanted, struct sf_error **err)
{
    json_error_t where;
    SF_CLEANUP(json_free)
    json_t *json = json_loads(wanted->spec, JSON_REJECT_DUPLICATES, &where);

    if (json == NULL) {
        sf_fail(err, SF_INVALID_ARGUMENT, "the spec is not JSON: line %d: %s", where.line,
                where.text);
        sf_fail_detail(err, SF_DETAIL_FIELD, "spec", "must be an OCI process as JSON");
        return NULL;
    }
    if (!strings_only(json_object_get(json, "args"))) {
        wrong(err, "spec", "must be an OCI process, with a list of texts 'args'");
        return NULL;
    }
    if (wanted->n_args + wanted->n_env > 0 || wanted->working_directory[0] != '\0' ||
        wanted->user[0] != '\0') {
        wrong(err, "spec", "stands in place of args, env, working_directory and user");
        return NULL;
    }
    return json_incref(json);
}

/* ---- The container's ---- */

static bool set_args(json_t *process, const struct wanted_process *wanted)
{
    json_t *args = json_array();
    bool ok = args != NULL;

    for (size_t i = 0; ok && i < wanted->n_args; i++)
        ok = json_array_append_new(args, json_string(wanted->args[i])) == 0;
    return json_object_set_new(process, "args", args) == 0 && ok;
}

static bool same_key(const char *have, const char *wanted)
{
    size_t size = strcspn(wanted, "=") + 1;

    return strncmp(have, wanted, size) == 0;
}

static bool set_variable(json_t *env, const char *variable)
{
    size_t i;
    const json_t *one;

    json_array_foreach(env, i, one)
    {
        if (json_is_string(one) && same_key(json_string_value(one), variable))
            return json_array_set_new(env, i, json_string(variable)) == 0;
    }
    return json_array_append_new(env, json_string(variable)) == 0;
}

static bool set_env(json_t *process, const struct wanted_process *wanted, struct sf_error **err)
{
    json_t *env = json_object_get(process, "env");

    if (!json_is_array(env)) {
        env = json_array();
        json_object_set_new(process, "env", env);
    }
    for (size_t i = 0; i < wanted->n_env; i++) {
        if (wanted->env[i][0] == '=' || strchr(wanted->env[i], '=') == NULL)
            return wrong(err, "env", "must be KEY=VALUE");
        if (!set_variable(env, wanted->env[i]))
            return wrong(err, "env", "must be UTF-8");
    }
    return true;
}

/* "1000" or "1000:100". */
static bool set_user(json_t *process, const char *text, struct sf_error **err)
{
    static const char digits[] = "0123456789";
    size_t uid = strspn(text, digits);
    size_t gid = text[uid] == ':' ? strspn(text + uid + 1, digits) : 0;
    const char *end = text + uid + (gid > 0 ? gid + 1 : 0);

    if (uid < 1 || uid > 9 || gid > 9 || *end != '\0')
        return wrong(err, "user", "must be UID or UID:GID, in numbers");
    json_int_t number = atoi(text);
    json_object_set_new(process, "user",
                        json_pack("{s:I, s:I}", "uid", number, "gid",
                                  gid > 0 ? (json_int_t)atoi(text + uid + 1) : number));
    return true;
}

static json_t *made(const struct wanted_process *wanted, const char *container_spec,
                    struct sf_error **err)
{
    SF_CLEANUP(json_free) json_t *spec = json_loads(container_spec, 0, NULL);
    json_t *process = json_object_get(spec, "process"); /* borrowed */

    if (!json_is_object(process)) {
        sf_fail(err, SF_INTERNAL, "container '%s' has no process in its spec",
                wanted->container_id);
        return NULL;
    }
    if (wanted->n_args == 0) {
        wrong(err, "args", "needed where spec is empty");
        return NULL;
    }
    if (!set_args(process, wanted)) {
        wrong(err, "args", "must be UTF-8");
        return NULL;
    }
    if (!set_env(process, wanted, err))
        return NULL;
    if (wanted->user[0] != '\0' && !set_user(process, wanted->user, err))
        return NULL;
    if (wanted->working_directory[0] != '\0' && wanted->working_directory[0] != '/') {
        wrong(err, "working_directory", "must be an absolute path");
        return NULL;
    }
    if (wanted->working_directory[0] != '\0')
        json_object_set_new(process, "cwd", json_string(wanted->working_directory));
    json_object_del(process, "terminal");
    json_object_del(process, "consoleSize");
    return json_incref(process);
}

/* ---- Either ---- */

static void set_terminal(json_t *process, const struct wanted_process *wanted)
{
    if (wanted->terminal)
        json_object_set_new(process, "terminal", json_true());
    if (json_is_true(json_object_get(process, "terminal")) && wanted->columns > 0)
        json_object_set_new(
            process, "consoleSize",
            json_pack("{s:i, s:i}", "height", (int)wanted->rows, "width", (int)wanted->columns));
}

static size_t length_of(char *const *list, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += strlen(list[i]) + 1;
    return sum;
}

static bool check(const struct wanted_process *wanted, struct sf_error **err)
{
    if (strlen(wanted->spec) + length_of(wanted->args, wanted->n_args) +
            length_of(wanted->env, wanted->n_env) + strlen(wanted->working_directory) >
        SPEC_MAX)
        return wrong(err, wanted->spec[0] != '\0' ? "spec" : "args", "longer than 256 KiB");
    if (wanted->columns > UINT16_MAX || wanted->rows > UINT16_MAX ||
        (wanted->columns > 0) != (wanted->rows > 0))
        return wrong(err, "columns", "columns and rows must be 1 to 65535, or both 0");
    return true;
}

char *spec_make(const struct wanted_process *wanted, const char *container_spec, bool *ret_terminal,
                struct sf_error **err)
{
    if (!check(wanted, err))
        return NULL;
    SF_CLEANUP(json_free)
    json_t *process =
        wanted->spec[0] != '\0' ? given(wanted, err) : made(wanted, container_spec, err);
    if (process == NULL)
        return NULL;
    set_terminal(process, wanted);
    *ret_terminal = json_is_true(json_object_get(process, "terminal"));
    char *text = json_dumps(process, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL)
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for the spec");
    return text;
}

void spec_console_size(const char *spec, uint32_t *ret_columns, uint32_t *ret_rows)
{
    SF_CLEANUP(json_free) json_t *process = json_loads(spec, 0, NULL);
    const json_t *size = json_object_get(process, "consoleSize");

    *ret_columns = (uint32_t)json_integer_value(json_object_get(size, "width"));
    *ret_rows = (uint32_t)json_integer_value(json_object_get(size, "height"));
    if (*ret_columns > UINT16_MAX || *ret_rows > UINT16_MAX)
        *ret_columns = *ret_rows = 0;
}
