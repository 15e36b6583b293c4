#ifndef PROCESS_WIRE_H
#define PROCESS_WIRE_H

#include "process/process.h"
#include "sandferry/v1/process.pb-c.h"

/* Without the bytes that are held, and with the offset of the end of each stream. On the heap.
 * NULL: no memory. */
Sandferry__V1__Process *process_message(const struct process *p, struct sf_error **err);

#endif
