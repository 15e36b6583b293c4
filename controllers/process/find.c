/* Processes for calls, and after a wait. */
#include <string.h>

#include "process/process.h"

struct process *process_find_for(struct sf_controller *c, const char *container_id,
                                 const char *exec_id, struct sf_error **err)
{
    struct process *p = process_find((struct processes *)c, container_id, exec_id);

    if (p == NULL)
        sf_fail(err, SF_NOT_FOUND, "sandbox '%s' has no process '%s' in container '%s'",
                sf_sandbox_id(c->sandbox), exec_id, container_id);
    return p;
}

struct process *process_find_again(struct sf_controller *c, const char *container_id,
                                   const char *exec_id, uint64_t serial, struct sf_error **err)
{
    struct process *p = process_find_for(c, container_id, exec_id, err);

    if (p == NULL || p->serial == serial)
        return p;
    sf_fail(err, SF_NOT_FOUND, "the process '%s' of container '%s' is gone; another has its id now",
            exec_id, container_id);
    return NULL;
}

bool process_end_is_known(const struct process *p)
{
    return p->state == PROCESS_TERMINATED && !p->lost;
}

bool process_may_end(const struct processes *all, const struct process *p, struct sf_error **err)
{
    const struct process *init = process_find(all, p->container_id, "");

    if (p->state != PROCESS_NOT_CREATED || init == NULL || init->state != PROCESS_TERMINATED)
        return true;
    return sf_fail(err, SF_FAILED_PRECONDITION,
                   "the process '%s' was never started, and its container '%s' has ended",
                   p->exec_id, p->container_id);
}
