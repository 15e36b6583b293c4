#ifndef AGENT_NETNS_H
#define AGENT_NETNS_H

#include <stdbool.h>

#include "guest/agent/outcome.h"

/*
 * Network namespaces by name: one that is made is held by a mount at ROOT/NAME/netns.
 * @root: NETWORK_DIR, or a test's. What is said to enter a namespace is of the calling thread.
 */

/* 1 to 64 letters, digits, '-', '_', '.'; the first a letter or digit. */
bool netns_name_valid(const char *name);

/* Makes it, if it is not there, enters it and brings its lo up. */
bool netns_make(const char *root, const char *name, struct outcome *o);
/* To close(). -1: there is none. */
int netns_open(const char *root, const char *name);
/* NOT_FOUND: there is none. */
bool netns_enter(const char *root, const char *name, struct outcome *o);
/* Not there is no error. Processes that are in it keep it. */
bool netns_remove(const char *root, const char *name, struct outcome *o);

/* Calls @each for each that is there; it may enter it. */
typedef void (*netns_each_fn)(void *context, const char *name);
void netns_each(const char *root, netns_each_fn each, void *context);

#endif
