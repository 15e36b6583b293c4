#include "guest/agent/pci.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/agent/files.h"

#define PORTS     8 /* of each kind */
#define DEPTH_MAX 6

/* "0000:05:00.0" */
static bool is_address(const char *name)
{
    static const char form[] = "xxxx:xx:xx.x";

    if (strlen(name) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        if (form[i] == 'x' ? strchr("0123456789abcdef", name[i]) == NULL : name[i] != form[i])
            return false;
    return true;
}

bool pci_port_of(const char *name, char ret[PCI_ADDRESS_ROOM])
{
    static const struct {
        const char *prefix, *slot;
    } ports[] = {{"port", "10"}, {"nic", "11"}};

    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        size_t size = strlen(ports[i].prefix);
        if (strlen(name) != size + 1 || strncmp(name, ports[i].prefix, size) != 0 ||
            name[size] < '0' || name[size] >= '0' + PORTS)
            continue;
        snprintf(ret, PCI_ADDRESS_ROOM, "0000:00:%s.%c", ports[i].slot, name[size]);
        return true;
    }
    return false;
}

bool pci_device_at(const char *sys, const char *port, char ret[PCI_ADDRESS_ROOM])
{
    char path[PATH_MAX];
    bool found = false;

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sys, port);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!is_address(entry->d_name) || (found && strcmp(entry->d_name, ret) > 0))
            continue; /* of several functions, the first */
        snprintf(ret, PCI_ADDRESS_ROOM, "%.12s", entry->d_name);
        found = true;
    }
    closedir(dir);
    return found;
}

/* The last part of where a link leads. */
static bool link_name(const char *path, char ret[PCI_NAME_ROOM])
{
    char target[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    if (size < 0)
        return false;

    target[size] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(ret, PCI_NAME_ROOM, "%.63s", slash != NULL ? slash + 1 : target);
    return ret[0] != '\0';
}

bool pci_driver_of(const char *sys, const char *device, char ret[PCI_NAME_ROOM])
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", sys, device);
    return link_name(path, ret);
}

/* ---- kinds ---- */

static unsigned long read_number(const char *sys, const char *device, const char *file)
{
    char path[PATH_MAX], text[32] = "";

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", sys, device, file);
    return read_file(path, text, sizeof(text)) > 0 ? strtoul(text, NULL, 16) : 0;
}

/* clang-format off */
static const struct {
    unsigned long class_code, vendor, device; /* 0: any */
    struct pci_kind kind;
} kinds[] = {
    /* class     vendor  device    modules    directory  prefix    file      word   */
    { 0x010802,  0,      0,      { "nvme",    "nvme",    "nvme",   "state",  "live" } },
    { 0,         0x1af4, 0x1044, { "rng",     "",        "virtio", "driver", NULL   } },
    { 0,         0x1af4, 0x1041, { "network", "",        "virtio", "driver", NULL   } },
};
/* clang-format on */

const struct pci_kind *pci_kind_of(const char *sys, const char *device)
{
    unsigned long class_code = read_number(sys, device, "class");
    unsigned long vendor = read_number(sys, device, "vendor");
    unsigned long number = read_number(sys, device, "device");

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((kinds[i].class_code == 0 || kinds[i].class_code == class_code) &&
            (kinds[i].vendor == 0 || kinds[i].vendor == vendor) &&
            (kinds[i].device == 0 || kinds[i].device == number))
            return &kinds[i].kind;
    return NULL;
}

static bool has_word(const char *path, const char *word)
{
    char text[64] = "";

    if (word == NULL)
        return access(path, F_OK) == 0;
    return read_file(path, text, sizeof(text)) > 0 && strncmp(text, word, strlen(word)) == 0;
}

bool pci_is_ready(const char *sys, const char *device, const struct pci_kind *kind)
{
    char path[PATH_MAX];
    bool ready = false;

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", sys, device, kind->directory);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (struct dirent *entry; !ready && (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, kind->prefix, strlen(kind->prefix)) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s/%s/%s", sys, device, kind->directory,
                 entry->d_name, kind->file);
        ready = has_word(path, kind->word);
    }
    closedir(dir);
    return ready;
}

/* ---- what can be held of it ---- */

/* "DEVNAME=nvme0" of a uevent file. */
static bool node_name(const char *path, char ret[PCI_NAME_ROOM])
{
    char text[2048];
    if (read_file(path, text, sizeof(text)) <= 0)
        return false;

    const char *at = strncmp(text, "DEVNAME=", 8) == 0 ? text : strstr(text, "\nDEVNAME=");
    if (at == NULL)
        return false;
    at = strchr(at, '=') + 1;
    size_t size = strcspn(at, "\n");
    if (size == 0 || size >= PCI_NAME_ROOM)
        return false;
    snprintf(ret, PCI_NAME_ROOM, "%.*s", (int)size, at);
    return true;
}

/* A directory that has a node has "dev" (MAJOR:MINOR), "uevent" and "subsystem". */
static bool add_node(const char *directory, struct pci_handles *ret)
{
    char path[PATH_MAX], text[32] = "", subsystem[PCI_NAME_ROOM] = "";
    struct pci_node node = {0};
    unsigned major, minor;

    snprintf(path, sizeof(path), "%s/dev", directory);
    if (read_file(path, text, sizeof(text)) <= 0 || sscanf(text, "%u:%u", &major, &minor) != 2)
        return true;
    snprintf(path, sizeof(path), "%s/uevent", directory);
    if (!node_name(path, node.name))
        return true;
    if (ret->n_nodes == PCI_NODES_MAX)
        return false;
    snprintf(path, sizeof(path), "%s/subsystem", directory);
    node.block = link_name(path, subsystem) && strcmp(subsystem, "block") == 0;
    node.number = makedev(major, minor);

    size_t at = ret->n_nodes++;
    for (; at > 0 && strcmp(ret->nodes[at - 1].name, node.name) > 0; at--)
        ret->nodes[at] = ret->nodes[at - 1];
    ret->nodes[at] = node;
    return true;
}

static void add_file(const char *directory, const char *name, struct pci_handles *ret)
{
    char path[PATH_MAX];
    struct stat at;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (strncmp(name, "resource", 8) == 0 && name[8] >= '0' && name[8] <= '9' &&
        ret->n_files < PCI_FILES_MAX && stat(path, &at) == 0)
        ret->files[ret->n_files++] = at.st_ino;
}

/* Not through links, and not into other PCI devices: that would be another device's. */
static bool walk(const char *directory, unsigned depth, struct pci_handles *ret)
{
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return true; /* it goes while we look */

    bool ok = add_node(directory, ret);
    for (struct dirent *entry; ok && (entry = readdir(dir)) != NULL;) {
        char path[PATH_MAX];
        if (entry->d_type == DT_REG && depth == 0)
            add_file(directory, entry->d_name, ret);
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || is_address(entry->d_name) ||
            depth == DEPTH_MAX)
            continue;
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        ok = walk(path, depth + 1, ret);
    }
    closedir(dir);
    return ok;
}

bool pci_handles_of(const char *sys, const char *device, struct pci_handles *ret)
{
    char path[PATH_MAX];

    *ret = (struct pci_handles){0};
    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sys, device);
    return walk(path, 0, ret);
}
