#include "vpci/host.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *host_sys = "/sys", *host_dev = "/dev";

bool host_address_valid(const char *text)
{
    static const char form[] = "xxxx:xx:xx.o";

    if (strlen(text) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        bool good = form[i] == 'x'   ? strchr("0123456789abcdef", text[i]) != NULL
                    : form[i] == 'o' ? text[i] >= '0' && text[i] <= '7'
                                     : text[i] == form[i];
        if (!good)
            return false;
    }
    return true;
}

bool host_address_parse(const char *text, char ret_address[VPCI_ADDRESS_SIZE],
                        unsigned *ret_virtual_function)
{
    size_t size = strcspn(text, "/"), digits = strlen(text + size);
    char address[VPCI_ADDRESS_SIZE];
    unsigned long function = 0;

    if (size != sizeof(address) - 1)
        return false;
    snprintf(address, sizeof(address), "%s", text);
    if (!host_address_valid(address))
        return false;
    if (digits > 0) {
        const char *number = text + size + 1;
        if (digits < 2 || digits > 6 || strspn(number, "0123456789") != digits - 1)
            return false;
        function = strtoul(number, NULL, 10);
    }
    if (function > UINT16_MAX)
        return false;
    memcpy(ret_address, address, sizeof(address));
    *ret_virtual_function = (unsigned)function;
    return true;
}

/* The last part of where a link leads. False: there is no such link. */
static bool link_name(const char *path, char *ret, size_t room)
{
    char target[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    if (size < 0)
        return false;

    target[size] = '\0';
    const char *slash = strrchr(target, '/');
    const char *name = slash != NULL ? slash + 1 : target;
    if (strlen(name) >= room)
        return false;
    snprintf(ret, room, "%s", name);
    return true;
}

static bool find_function(const struct device_config *config, char ret[VPCI_ADDRESS_SIZE],
                          struct sf_error **err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", host_sys, config->host_address);
    if (access(path, F_OK) < 0)
        return sf_fail(err, SF_NOT_FOUND, "this host has no PCI function '%s'; see lspci -D",
                       config->host_address);
    snprintf(ret, VPCI_ADDRESS_SIZE, "%s", config->host_address);
    if (config->virtual_function == 0)
        return true;
    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/virtfn%u", host_sys, config->host_address,
             config->virtual_function - 1); /* the kernel counts them from 0 */
    if (link_name(path, ret, VPCI_ADDRESS_SIZE) && host_address_valid(ret))
        return true;
    return sf_fail(err, SF_NOT_FOUND,
                   "PCI function '%s' of this host has no virtual function %u; raise its "
                   "sriov_numvfs",
                   config->host_address, config->virtual_function);
}

static bool check_group(const char *function, struct sf_error **err)
{
    char path[PATH_MAX], group[16];

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/iommu_group", host_sys, function);
    if (!link_name(path, group, sizeof(group)))
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "PCI function '%s' is in no IOMMU group; turn the IOMMU of this host on",
                       function);
    snprintf(path, sizeof(path), "%s/vfio/vfio", host_dev);
    if (access(path, F_OK) < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "this host has no '%s'; load the module vfio-pci", path);
    snprintf(path, sizeof(path), "%s/vfio/%s", host_dev, group);
    if (access(path, F_OK) < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "PCI function '%s' has no '%s'; bind all of its IOMMU group to vfio-pci",
                       function, path);
    return true;
}

bool host_find(const struct device_config *config, char ret[VPCI_ADDRESS_SIZE],
               struct sf_error **err)
{
    char path[PATH_MAX], driver[VPCI_DRIVER_SIZE] = "";

    if (!find_function(config, ret, err))
        return false;
    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", host_sys, ret);
    if (!link_name(path, driver, sizeof(driver)) || strcmp(driver, "vfio-pci") != 0)
        return sf_fail(err, SF_FAILED_PRECONDITION,
                       "PCI function '%s' is bound to %s%s%s, not to vfio-pci; bind it first "
                       "(driverctl set-override %s vfio-pci)",
                       ret, driver[0] != '\0' ? "'" : "no driver", driver,
                       driver[0] != '\0' ? "'" : "", ret);
    return check_group(ret, err);
}
