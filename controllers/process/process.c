#include "process/process.h"

#include <stdio.h>
#include <string.h>

static struct processes *processes_of(struct sf_controller *c)
{
    return (struct processes *)c; /* base is the first member */
}

/* ---- What it offers ---- */

static struct process *find_init(struct sf_controller *owner, const char *container_id,
                                 struct sf_error **err)
{
    struct process *p = process_find(processes_of(owner), container_id, "");

    if (p == NULL)
        sf_fail(err, SF_NOT_FOUND, "container '%s' has no init process", container_id);
    return p;
}

static bool add_init(struct sf_controller *owner, const char *container_id,
                     const char *guest_container_id, int32_t pid, bool terminal,
                     struct sf_error **err)
{
    struct process *p = process_add(processes_of(owner), container_id, "", err);

    if (p == NULL)
        return false;
    snprintf(p->guest_container_id, sizeof(p->guest_container_id), "%s", guest_container_id);
    p->pid = pid;
    p->terminal = terminal;
    p->out[1].closed = terminal; /* one stream */
    return sf_machine_move(&process_machine, &p->state, PROCESS_MADE, container_id, err);
}

static bool started(struct sf_controller *owner, const char *container_id, struct sf_error **err)
{
    struct process *p = find_init(owner, container_id, err);

    if (p == NULL)
        return false;
    if (p->state == PROCESS_TERMINATED)
        return true; /* it was quick */
    return sf_machine_move(&process_machine, &p->state, PROCESS_STARTED, container_id, err);
}

static void forget(struct sf_controller *owner, const char *container_id)
{
    struct processes *p = processes_of(owner);

    for (size_t i = p->n; i-- > 0;)
        if (strcmp(p->list[i]->container_id, container_id) == 0)
            process_remove(p, p->list[i]);
    sf_sandbox_changed(owner->sandbox);
}

static bool signal_init(struct sf_controller *owner, const char *container_id, uint32_t signal,
                        struct sf_error **err)
{
    struct process *p = find_init(owner, container_id, err);

    if (p == NULL)
        return false;
    if (p->state == PROCESS_TERMINATED || guest_signal(processes_of(owner), p, signal, err))
        return true;
    if (sf_error_code(*err) != SF_NOT_FOUND)
        return false;
    sf_error_free(*err); /* it ended on its own; the news is on its way */
    *err = NULL;
    return true;
}

static void on_init_exit(struct sf_controller *owner, struct sf_controller *container,
                         sf_init_exited_fn fn)
{
    processes_of(owner)->container = container;
    processes_of(owner)->on_exit = fn;
}

static void rename_container(struct sf_controller *owner, const char *container_id,
                             const char *new_id)
{
    process_rename(processes_of(owner), container_id, new_id);
}

static const struct sf_processes_offer processes_offer = {
    .size = sizeof(processes_offer),
    .add_init = add_init,
    .started = started,
    .forget = forget,
    .signal_init = signal_init,
    .on_init_exit = on_init_exit,
    .rename = rename_container,
};

static const struct sf_offer offers[] = {{SF_PROCESSES_OFFER, &processes_offer}, {0}};

/* ---- Its life ---- */

static void process_fini(struct sf_controller *c)
{
    processes_empty(processes_of(c));
}

static bool process_create(struct sf_controller *c, const struct sf_bytes *options,
                           struct sf_error **err)
{
    (void)options;
    return guest_listen(processes_of(c), err);
}

/* With its VM a process ends, and nobody will ever tell how. */
static void end_unknown(struct process *p)
{
    if (!sf_machine_next(&process_machine, p->state, PROCESS_EXITED, &p->state))
        return;
    p->exit_code = EXIT_UNKNOWN;
    p->lost = true;
}

static void process_destroy(struct sf_controller *c)
{
    guest_unlisten(processes_of(c));
    for (size_t i = 0; i < processes_of(c)->n; i++)
        end_unknown(processes_of(c)->list[i]);
    sf_sandbox_changed(c->sandbox);
}

/* From here to the thaw nothing is said to the agent that the section would not know of. */
static bool process_freeze(struct sf_controller *c, struct sf_error **err)
{
    (void)err;
    processes_of(c)->still = true;
    return true;
}

static void process_thaw(struct sf_controller *c)
{
    processes_of(c)->still = false;
    outputs_settle(processes_of(c));
}

static bool process_save(struct sf_controller *c, struct sf_bytes *ret_section,
                         struct sf_error **err)
{
    return processes_to_section(processes_of(c), ret_section, err);
}

static bool process_import(struct sf_controller *c, const struct sf_bytes *section,
                           uint32_t version, struct sf_error **err)
{
    (void)version; /* there is one */
    processes_of(c)->still = true;
    return processes_from_section(processes_of(c), section, err);
}

/* Before the processors run: the first thing that the guest says must find a listener. */
static bool process_prepare(struct sf_controller *c, struct sf_error **err)
{
    return guest_listen(processes_of(c), err);
}

static bool process_resume(struct sf_controller *c, struct sf_error **err)
{
    (void)err;
    process_thaw(c);
    return true;
}

static void process_abandon(struct sf_controller *c)
{
    guest_unlisten(processes_of(c));
    processes_empty(processes_of(c));
    processes_of(c)->still = false;
}

static const char *const depends[] = {"vm", NULL};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "process",
    .instance_size   = sizeof(struct processes),
    .section_version = PROCESS_SECTION_VERSION,
    .section_oldest  = PROCESS_SECTION_VERSION,
    .critical        = true,
    .depends         = depends,
    .services        = process_services,
    .offers          = offers,

    .fini    = process_fini,
    .create  = process_create,
    .destroy = process_destroy,
    .freeze  = process_freeze,
    .save    = process_save,
    .thaw    = process_thaw,
    .import  = process_import,
    .prepare = process_prepare,
    .resume  = process_resume,
    .abandon = process_abandon)
/* clang-format on */
