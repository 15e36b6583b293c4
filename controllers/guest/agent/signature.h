#ifndef AGENT_SIGNATURE_H
#define AGENT_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_HEAD                                                                             \
    ((size_t)128 * 1024) /* bytes from the start of a device that are looked at */

enum signature_kind {
    SIGNATURE_NONE,       /* all zeros: nobody's */
    SIGNATURE_FILESYSTEM, /* one that the guest can mount; its name is what mount(2) wants */
    SIGNATURE_OTHER,      /* something that is known, and no file system for the guest */
    SIGNATURE_UNKNOWN,    /* somebody's data */
};

struct signature {
    enum signature_kind kind;
    const char *name; /* static: "ext4", "a partition table", ... */
};

/* What the first bytes of a device say. @size may be less than SIGNATURE_HEAD for a small one. */
struct signature signature_of(const uint8_t *head, size_t size);

#endif
