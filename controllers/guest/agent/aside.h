#ifndef AGENT_ASIDE_H
#define AGENT_ASIDE_H

/*
 * The thread of the shares' line. The agent is one loop, but for this: a container's process that
 * copies from a share into its pipe (sendfile, splice) holds the pipe's lock while the guest's
 * kernel waits for 9P; whoever reads that pipe waits too, and must not be the one who brings the
 * answer.
 *
 * So the line and the relays are served by a thread. Both threads hold one lock while they do
 * anything; the main one steps aside where it may have to wait for the kernel: in poll(), and in
 * what it does with a process's streams.
 */

void aside_start(void); /* the lock is the caller's from now on */
void aside_wake(void);  /* what the thread is to look at has changed */

/* Around what may wait. Nothing of the shares' may be relied on across it. */
void step_aside(void);
void step_back(void);

#endif
