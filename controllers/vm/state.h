#ifndef VM_STATE_H
#define VM_STATE_H

#include "machine.h"

/* Number for number the wire's VmStage. */
enum vm_state {
    VM_NOT_CREATED, /* no process yet */
    VM_CREATED,     /* the process is there; its guest has not answered yet */
    VM_RUNNING,     /* the guest answers */
    VM_TERMINATED,  /* ended, as asked */
    VM_INVALID,     /* ended by itself, or never came up: only an end helps */
    VM_N_STATES
};

enum vm_event {
    VM_STARTED,  /* QEMU runs */
    VM_ANSWERED, /* the agent has said hello */
    VM_LOST,     /* QEMU has ended by itself, or the agent cannot be understood */
    VM_ENDED,    /* we have ended it */
    VM_N_EVENTS
};

extern const struct sf_machine vm_machine;

#endif
