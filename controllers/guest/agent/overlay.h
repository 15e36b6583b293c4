#ifndef AGENT_OVERLAY_H
#define AGENT_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "guest/agent/outcome.h"

#define OVERLAY_LAYERS_MAX  256
#define OVERLAY_OPTIONS_MAX 4095 /* what mount(2) takes: a page, with the NUL */

struct overlay {
    const char *container_id; /* for messages */
    char *const *layers;      /* lowest first; all beneath base */
    size_t n_layers;
    const char *base;    /* a directory: the layers are named from there, to keep the text short */
    const char *scratch; /* a directory; gets upper/ and work/, and loses those that are there */
    const char *rootfs;  /* where it is mounted; made if it is not there */
};

/* The mount options, layers topmost first. False: they do not fit. Pure. */
bool overlay_options(const struct overlay *v, char *ret, size_t room);

/* Mounts it. Only in a job's child, whose working directory it changes. */
bool overlay_mount(const struct overlay *v, struct outcome *o);

#endif
