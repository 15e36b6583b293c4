#ifndef SERVER_MODULES_H
#define SERVER_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "controller.h"

#define MODULES_MAX 64

/* A controller's shared object. */
struct module {
    struct sf_controller_class cls; /* ours: what an older class lacks is NULL */
    char *file;                     /* for messages */
    void *handle;                   /* of dlopen(3); NULL in tests */
};

/* All controllers, each after those that it depends on ("down"). Read-only once sorted. */
struct modules {
    struct module all[MODULES_MAX];
    size_t n;
};

/**
 * modules_load() - open and adopt every .so of a directory, and sort
 * @ret: zeroed by the caller; modules_done() it, after a failure too
 *
 * Call it before there are threads. Refuses, naming the file: what cannot be opened, what is no
 * controller, another ABI (both numbers are named), a class that contradicts itself, a second one
 * of the same name, dependencies that are missing or go round in a circle.
 */
bool modules_load(struct modules *ret, const char *directory, struct sf_error **err);

/* One class, of any age within the ABI. @handle is given away, after a failure too. */
bool modules_adopt(struct modules *m, const struct sf_controller_class *theirs, const char *file,
                   void *handle, struct sf_error **err);

/* Brings them into the order of `depends`; among equals by name, so that it is always the same. */
bool modules_sort(struct modules *m, struct sf_error **err);

const struct sf_controller_class *modules_find(const struct modules *m, const char *name);

void modules_done(struct modules *m);

#endif
