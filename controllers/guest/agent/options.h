#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Mount options as mount(2) takes them. */
struct options {
    unsigned long flags;
    char data[1024]; /* what is the file system's own, with commas */
};

/* Takes one option, "noatime" or "data=ordered". False: it is empty, has a comma, or is too long.
 */
bool options_add(struct options *ret, const char *option);

#endif
