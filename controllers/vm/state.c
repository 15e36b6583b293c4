#include "state.h"

#include <assert.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const states[] = {
    [VM_NOT_CREATED] = "not created", [VM_CREATED] = "created", [VM_RUNNING] = "running",
    [VM_TERMINATED] = "terminated",   [VM_INVALID] = "invalid",
};
static_assert(COUNT(states) == VM_N_STATES, "every state has a name");

static const char *const events[] = {
    [VM_STARTED] = "started",
    [VM_ANSWERED] = "answered",
    [VM_LOST] = "lost",
    [VM_ENDED] = "ended",
};
static_assert(COUNT(events) == VM_N_EVENTS, "every event has a name");

/* clang-format off */
static const struct sf_step steps[] = {
    /* a VM that is      when          becomes        */
    { VM_NOT_CREATED,    VM_STARTED,   VM_CREATED     },
    { VM_NOT_CREATED,    VM_ENDED,     VM_TERMINATED  },

    { VM_CREATED,        VM_ANSWERED,  VM_RUNNING     },
    { VM_CREATED,        VM_LOST,      VM_INVALID     },
    { VM_CREATED,        VM_ENDED,     VM_TERMINATED  },

    { VM_RUNNING,        VM_LOST,      VM_INVALID     },
    { VM_RUNNING,        VM_ENDED,     VM_TERMINATED  },

    { VM_INVALID,        VM_LOST,      VM_INVALID     },
    { VM_INVALID,        VM_ENDED,     VM_TERMINATED  },

    { VM_TERMINATED,     VM_ENDED,     VM_TERMINATED  },
};

const struct sf_machine vm_machine = {
    .noun = "vm",
    .states = states, .n_states = COUNT(states),
    .events = events, .n_events = COUNT(events),
    .steps  = steps,  .n_steps  = COUNT(steps),
};
/* clang-format on */
