#ifndef SF_SHOW_H
#define SF_SHOW_H

#include "sandferry/v1/snapshot.pb-c.h"
#include "snapshot/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A snapshot for people. Any snapshot that was decoded can be shown, sound or not: what leads
 * nowhere is shown where it is. Control characters in texts are printed as \xNN. The caller's, to
 * be freed with free(); NULL: no memory.
 */

/* The VM with its disks, shares and devices, then pods, containers, layers and processes. */
char *sf_snapshot_to_tree(const Sandferry__V1__SandboxSnapshot *s);

/* Graphviz: the same tree, and a dashed edge from each holder to what it holds. */
char *sf_snapshot_to_dot(const Sandferry__V1__SandboxSnapshot *s);

/* The JSON mapping, indented, a newline at the end; see json.h. */
char *sf_snapshot_to_json_text(const Sandferry__V1__SandboxSnapshot *s);

#ifdef __cplusplus
}
#endif

#endif
