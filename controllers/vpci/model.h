#ifndef VPCI_MODEL_H
#define VPCI_MODEL_H

/* QEMU's own functions that a sandbox may have, and what may be said of them. */

#include "vpci/device.h"

struct model_property;

struct model {
    const char *name;
    bool travels; /* QEMU moves its state with the VM; README.md says how that was found out */
    const struct model_property *properties; /* ends with one without a name */
};

const struct model *model_find(const char *name); /* NULL: there is none */
void model_names(struct sf_text *out);            /* "'nvme', 'edu'": for messages */

/* "name=value", one that the model has, with a value that it takes. */
bool model_check_property(const struct model *m, const char *property, struct sf_error **err);

/* Of a property that was checked: the size of its name, and whether its value is a number. */
size_t model_property_name(const char *property);
bool model_property_is_number(const struct model *m, const char *property);

#endif
