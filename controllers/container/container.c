#include "container/container.h"

#include <stdio.h>

#include "base/log.h"

static struct containers *containers_of(struct sf_controller *c)
{
    return (struct containers *)c; /* base is the first member */
}

/* The process controller says that an init process has ended. */
static void init_exited(struct sf_controller *c, const char *container_id, uint32_t exit_code)
{
    struct container *container = container_find(containers_of(c), container_id);
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (container == NULL)
        return; /* of a container that is being taken back */
    if (!sf_machine_move(&container_machine, &container->state, CONTAINER_EXITED, container_id,
                         &err)) {
        sf_warning("%s, continuing", sf_error_message(err));
        return;
    }
    sf_sandbox_event(c->sandbox, "container.stopped", "container '%s' has stopped with code %u",
                     container_id, exit_code);
}

static bool listen_to_exits(struct sf_controller *c, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_processes_offer *processes =
        sf_sandbox_offer(c->sandbox, SF_PROCESSES_OFFER, &owner);

    if (processes == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_PROCESSES_OFFER);
    processes->on_init_exit(owner, c, init_exited);
    return true;
}

static void container_fini(struct sf_controller *c)
{
    containers_empty(containers_of(c));
}

static bool do_create(struct sf_controller *c, const struct sf_bytes *options,
                      struct sf_error **err)
{
    (void)options;
    return listen_to_exits(c, err);
}

/* With its VM a container stops. */
static void do_destroy(struct sf_controller *c)
{
    struct containers *all = containers_of(c);

    for (size_t i = 0; i < all->n; i++)
        sf_machine_next(&container_machine, all->list[i]->state, CONTAINER_EXITED,
                        &all->list[i]->state);
    sf_sandbox_changed(c->sandbox);
}

/* What could not be taken back is half there: it has to be deleted on this host. */
static bool do_check(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    const struct containers *all = containers_of(c);

    (void)err;
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i]->state == CONTAINER_INVALID)
            sf_reasons_add(why, "container '%s' is invalid; delete it", all->list[i]->container_id);
    return true;
}

static bool do_save(struct sf_controller *c, struct sf_bytes *ret_section, struct sf_error **err)
{
    return containers_to_section(containers_of(c), ret_section, err);
}

static bool do_import(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                      struct sf_error **err)
{
    (void)version; /* there is one */
    return containers_from_section(containers_of(c), section, err);
}

static bool do_patch(struct sf_controller *c, const char *object, const char *value,
                     struct sf_error **err)
{
    return containers_patch(containers_of(c), object, value, err);
}

static bool do_prepare(struct sf_controller *c, struct sf_error **err)
{
    struct containers *all = containers_of(c);
    bool ok = listen_to_exits(c, err);

    for (size_t i = 0; ok && i < all->n; i++)
        if (!hold_again(all, all->list[i], err))
            return sf_fail_in(err, "container '%s'", all->list[i]->container_id);
    return ok;
}

static void do_abandon(struct sf_controller *c)
{
    containers_empty(containers_of(c));
}

static const char *spec_of(struct sf_controller *owner, const char *container_id)
{
    const struct container *container = container_find(containers_of(owner), container_id);

    return container != NULL ? container->spec : NULL;
}

static const char *guest_pod_of(struct sf_controller *owner, const char *pod_id, size_t *ret_n)
{
    const struct pod *pod = pod_find(containers_of(owner), pod_id);

    *ret_n = pod_size(containers_of(owner), pod_id);
    return pod != NULL ? pod->guest_pod_id : NULL;
}

static const struct sf_containers_offer containers_offer = {
    .size = sizeof(containers_offer),
    .spec = spec_of,
    .guest_pod = guest_pod_of,
};

static const struct sf_offer offers[] = {{SF_CONTAINERS_OFFER, &containers_offer}, {0}};

static const char *const depends[] = {"vm", "scsi", "plan9", "vpci", "network", "process", NULL};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "container",
    .instance_size   = sizeof(struct containers),
    .section_version = CONTAINER_SECTION_VERSION,
    .section_oldest  = CONTAINER_SECTION_VERSION,
    .critical        = true,
    .depends         = depends,
    .services        = container_services,
    .offers          = offers,

    .fini    = container_fini,
    .create  = do_create,
    .destroy = do_destroy,
    .check   = do_check,
    .save    = do_save,
    .import  = do_import,
    .patch   = do_patch,
    .prepare = do_prepare,
    .abandon = do_abandon)
/* clang-format on */
