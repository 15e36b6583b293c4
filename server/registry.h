#ifndef SERVER_REGISTRY_H
#define SERVER_REGISTRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct sf_sandbox;

#define REGISTRY_SANDBOXES_MAX 4096

/* All sandboxes of this host, sorted by id. Any thread. */
struct registry {
    pthread_mutex_t mutex;
    struct sf_sandbox **all; /* a reference each */
    size_t n;
};

void registry_init(struct registry *r);
void registry_done(struct registry *r); /* gives the references back */

/* INVALID_ARGUMENT, of the field sandbox_id, if it cannot be an id. */
bool registry_check_id(const char *id, struct sf_error **err);

/* Takes a reference of its own. ALREADY_EXISTS if there is one of that id. */
bool registry_add(struct registry *r, struct sf_sandbox *s, struct sf_error **err);
/* One that is not there is no error. */
void registry_remove(struct registry *r, struct sf_sandbox *s);
/* The caller's reference. NULL with NOT_FOUND; with INVALID_ARGUMENT if it cannot be an id. */
struct sf_sandbox *registry_find(struct registry *r, const char *id, struct sf_error **err);
bool registry_has(struct registry *r, const char *id);

/* A reference to each, in an array that ends with NULL; the caller's. NULL: no memory. */
struct sf_sandbox **registry_list(struct registry *r);
void registry_list_free(struct sf_sandbox **list);
SF_DEFINE_CLEANUP(struct sf_sandbox *, registry_list_free)

#endif
