#include "vpci/vpci.h"

static struct vpci *vpci_of(struct sf_controller *c)
{
    return (struct vpci *)c; /* base is the first member */
}

/* ---- What it offers ---- */

static bool offer_reserve(struct sf_controller *owner, const struct sf_device_request *request,
                          char ret_id[37], struct sf_error **err)
{
    struct device_config config;

    return vpci_config(request, &config, err) && vpci_reserve(vpci_of(owner), &config, ret_id, err);
}

static bool offer_map(struct sf_controller *owner, const char *id, struct sf_device_found *ret,
                      struct sf_error **err)
{
    const struct device_found *found;

    if (!vpci_map(vpci_of(owner), id, &found, err))
        return false;
    *ret = (struct sf_device_found){
        .pci_address = found->pci_address,
        .driver = found->driver,
        .nodes = found->node_list,
        .n_nodes = found->n_nodes,
        .numbers = found->numbers,
    };
    return true;
}

static bool offer_release(struct sf_controller *owner, const char *id, struct sf_error **err)
{
    return vpci_release(vpci_of(owner), id, err);
}

static bool offer_hold(struct sf_controller *owner, const char *id, const char *holder,
                       struct sf_error **err)
{
    return vpci_hold(vpci_of(owner), id, holder, err);
}

static const struct sf_devices_offer devices_offer = {
    .size = sizeof(devices_offer),
    .reserve = offer_reserve,
    .map = offer_map,
    .release = offer_release,
    .hold = offer_hold,
    .leaves = vpci_leaves,
};

static const struct sf_offer offers[] = {{SF_DEVICES_OFFER, &devices_offer}, {0}};

/* ---- Its life ---- */

/* What the VM has of the host goes back when QEMU ends. */
static void forget(struct sf_controller *c)
{
    vpci_empty(vpci_of(c));
}

static bool do_save(struct sf_controller *c, struct sf_bytes *ret_section, struct sf_error **err)
{
    return vpci_to_section(vpci_of(c), ret_section, err);
}

static bool do_import(struct sf_controller *c, const struct sf_bytes *section, uint32_t version,
                      struct sf_error **err)
{
    (void)version; /* there is one */
    return vpci_from_section(vpci_of(c), section, err);
}

static bool do_patch(struct sf_controller *c, const char *object, const char *value,
                     struct sf_error **err)
{
    return vpci_patch(vpci_of(c), object, value, err);
}

static bool do_admit(struct sf_controller *c, struct sf_reasons *why, struct sf_error **err)
{
    return vpci_admit(vpci_of(c), why, err);
}

static const char *const depends[] = {"vm", NULL};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "vpci",
    .instance_size   = sizeof(struct vpci),
    .section_version = VPCI_SECTION_VERSION,
    .section_oldest  = VPCI_SECTION_VERSION,
    .critical        = true,
    .depends         = depends,
    .services        = vpci_services,
    .offers          = offers,

    .fini    = forget,
    .destroy = forget,
    .check   = vpci_check,
    .quiesce = vpci_quiesce,
    .thaw    = vpci_thaw,
    .save    = do_save,
    .import  = do_import,
    .patch   = do_patch,
    .admit   = do_admit,
    .prepare = vpci_prepare,
    .resume  = vpci_resume,
    .abandon = vpci_abandon)
/* clang-format on */
