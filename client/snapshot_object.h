#ifndef CLIENT_SNAPSHOT_OBJECT_H
#define CLIENT_SNAPSHOT_OBJECT_H

#include "internal.h"
#include "sandferry/v1/snapshot.pb-c.h"

struct sandferry_snapshot {
    Sandferry__V1__SandboxSnapshot *wire; /* owned */
};

/* Takes @wire, even if there is no memory. */
bool snapshot_new(Sandferry__V1__SandboxSnapshot *wire, struct sandferry_snapshot **ret,
                  struct sf_error **err);

#endif
