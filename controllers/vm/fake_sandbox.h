#ifndef VM_FAKE_SANDBOX_H
#define VM_FAKE_SANDBOX_H

/* A sandbox with one controller, for tests: what the daemon does for the vm controller, and no
 * more. */

#include <pthread.h>
#include <stdbool.h>

#include "base/text.h"
#include "vm/vm.h"

struct sf_sandbox {
    char id[SF_ID_SIZE];
    char directory[256];
    pthread_mutex_t lock;
    char *invalid; /* owned; why it is */
    struct vm *vm; /* owned */
};

/* Where all sandboxes of a test are; made anew, with a memory directory. */
bool fake_host_make(void);
void fake_host_remove(void);
void fake_host_set(const char *setting, const char *value); /* NULL: not set */
const char *fake_host_memory_directory(void);

/* Its controller is initialised, and its lock is held: the test is the lifecycle. */
struct sf_sandbox *fake_sandbox_new(const char *id);
void fake_sandbox_free(struct sf_sandbox *s); /* destroy, fini */

/* Let go of the lock until the sandbox is invalid. False: it is not, after so long. */
bool fake_sandbox_await_invalid(struct sf_sandbox *s, unsigned timeout_ms);

#endif
