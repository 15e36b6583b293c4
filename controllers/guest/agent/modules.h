#ifndef AGENT_MODULES_H
#define AGENT_MODULES_H

/* Loads a group of kernel modules in the order of MODULES_DIR/GROUP.list, which the image's build
 * has written; what is loaded already, or has no list, is no error. May take 100 ms and more. */
void modules_load(const char *group);

#define MODULES_DIR "/usr/lib/modules"

/* For modules_load() and its test: what to do with each file of a list. */
typedef void (*modules_each_fn)(void *context, const char *path);
/* Calls @each for every module of the group, in order. */
void modules_each(const char *directory, const char *group, modules_each_fn each, void *context);

#endif
