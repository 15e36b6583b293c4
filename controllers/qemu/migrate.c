#include "migrate.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"

#define MIGRATE_LOOK_MS 1

/* QEMU's own limit is for networks. */
#define BANDWIDTH (INT64_C(1) << 40)

/* RAM that others can see stays where it is; what nobody else has goes with the rest. */
static bool set_capabilities(struct qmp *q, bool with_ram, struct sf_error **err)
{
    json_t *arguments = json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability",
                                  "x-ignore-shared", "state", !with_ram);
    return qmp_execute(q, "migrate-set-capabilities", arguments, NULL, err) &&
           (!with_ram ||
            qmp_execute(q, "migrate-set-parameters",
                        json_pack("{s:I}", "max-bandwidth", (json_int_t)BANDWIDTH), NULL, err));
}

static bool give_fd(struct qmp *q, int fd, struct sf_error **err)
{
    return qmp_execute_fd(q, "getfd", json_pack("{s:s}", "fdname", "state"), fd, QMP_TIMEOUT_MS,
                          NULL, err);
}

/* *@ret_over: it has ended, well or not. */
static bool look(struct qmp *q, bool *ret_over, struct sf_error **err)
{
    SF_CLEANUP(json_decrefp) json_t *answer = NULL;
    if (!qmp_execute(q, "query-migrate", NULL, &answer, err))
        return false;

    const char *status = json_string_value(json_object_get(answer, "status"));
    *ret_over = status != NULL && strcmp(status, "completed") == 0;
    if (status == NULL || (strcmp(status, "failed") != 0 && strcmp(status, "cancelled") != 0))
        return true;
    const char *words = json_string_value(json_object_get(answer, "error-desc"));
    return sf_fail(err, SF_UNAVAILABLE, "QEMU could not move its device state: %.1000s",
                   words == NULL ? status : words);
}

static bool wait_until_over(struct qmp *q, uint32_t timeout_ms, struct sf_error **err)
{
    int64_t deadline = sf_clock_monotonic_ns() + timeout_ms * SF_NS_PER_MS;
    bool over = false;

    while (look(q, &over, err)) {
        if (over)
            return true;
        if (sf_clock_monotonic_ns() > deadline)
            return sf_fail(err, SF_UNAVAILABLE, "QEMU has not moved its device state in %u ms",
                           timeout_ms);
        poll(NULL, 0, MIGRATE_LOOK_MS);
    }
    return false;
}

bool migrate_out(struct qmp *q, int fd, bool with_ram, uint32_t timeout_ms, struct sf_error **err)
{
    return set_capabilities(q, with_ram, err) && give_fd(q, fd, err) &&
           qmp_execute(q, "migrate", json_pack("{s:s}", "uri", "fd:state"), NULL, err) &&
           wait_until_over(q, timeout_ms, err);
}

bool migrate_in(struct qmp *q, int fd, bool with_ram, uint32_t timeout_ms, struct sf_error **err)
{
    return set_capabilities(q, with_ram, err) && give_fd(q, fd, err) &&
           qmp_execute(q, "migrate-incoming", json_pack("{s:s}", "uri", "fd:state"), NULL, err) &&
           wait_until_over(q, timeout_ms, err);
}
