#ifndef QEMU_DOCUMENT_H
#define QEMU_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The machine document: what a VM was built of, with the id, bus and address of every device. It
 * travels in the snapshot as JSON, and both sides make QEMU's command line from it, so that they
 * agree to the slot. It has no path and no descriptor of a host: those come with the launch.
 *
 * A document comes from outside: only drivers and properties that this file knows are taken, and no
 * value has a character that QEMU's option parser would see something in.
 */
#define DOCUMENT_VERSION        1
#define DOCUMENT_DEVICES_MAX    64
#define DOCUMENT_PROPERTIES_MAX 8

#define DOCUMENT_MACHINE_TYPE "pc-q35-7.2"
/* Every x86-64 host and QEMU's own emulation has it, so it can move; Debian's programs run on it.
 */
#define DOCUMENT_CPU_MODEL    "qemu64"
#define DOCUMENT_MEMORY_BYTES (UINT64_C(512) << 20)
#define DOCUMENT_MEMORY_STEP  (UINT64_C(2) << 20)
#define DOCUMENT_AGENT_PORT   "sandferry.agent"
#define DOCUMENT_SHARES_PORT  "sandferry.shares"

struct document_property {
    char key[16], value[64];
};

/* The first property is the driver. */
struct document_device {
    struct document_property properties[DOCUMENT_PROPERTIES_MAX];
    size_t n;
};

struct document {
    char machine_type[64], cpu_model[128];
    char accelerator[8]; /* "kvm", "tcg" */
    uint64_t memory_bytes;
    uint32_t processors;
    char kernel_arguments[1025]; /* the caller's, without ours */
    struct document_device devices[DOCUMENT_DEVICES_MAX];
    size_t n_devices;
};

/* What a machine is to be like; 0 and NULL or "" mean the default. */
struct document_options {
    uint64_t memory_bytes;
    uint32_t processors;
    const char *cpu_model, *kernel_arguments, *accelerator;
};

/* A new machine. INVALID_ARGUMENT names the option. */
bool document_make(struct document *ret, const struct document_options *options,
                   struct sf_error **err);

/* The same document always gives the same text. The caller's; NULL: no memory. */
char *document_to_json(const struct document *d);
/* INVALID_ARGUMENT names the place. */
bool document_from_json(struct document *ret, const char *text, struct sf_error **err);

/* Whether the machine has a port for the shares' line; those of older daemons have none. */
bool document_has_shares_line(const struct document *d);

/* What of a command line is this host's and this run's. Descriptors are those that QEMU inherits;
 * all is borrowed. */
struct document_launch {
    const char *program, *name;
    int ram_fd, qmp_fd, agent_fd; /* guest RAM; two listening sockets */
    int shares_fd;                /* another; for a document that has the shares' line */
    int kernel_fd, initrd_fd;     /* -1 for an incoming machine: it needs none */
    const char *generation_guid;  /* what the guest sees change when it is not who it was */
    bool incoming;                /* waits for its state */
    bool private_ram;             /* what is written to guest RAM is not written to the file */
    bool filter;                  /* QEMU's own system call filter */
};

/* The command line: a NULL-terminated list; free with document_arguments_free(). NULL: no memory.
 */
char **document_arguments(const struct document *d, const struct document_launch *launch);
void document_arguments_free(char **arguments);

#endif
