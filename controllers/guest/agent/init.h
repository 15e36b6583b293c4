#ifndef AGENT_INIT_H
#define AGENT_INIT_H

/* What the first process of a system does first: a root that pivot_root can leave, and the kernel's
 * file systems. Goes on if something cannot be had; says so on the console. */
void init_guest(void);

#endif
