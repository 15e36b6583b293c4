#ifndef SERVER_OPERATIONS_H
#define SERVER_OPERATIONS_H

/*
 * What the sandbox service does, one function for each method that changes something. Each is one
 * table of named steps (create.c, save.c, restore.c), or short (end.c); restart.c is what happens
 * to all of them when the daemon ends and starts.
 *
 * @call may be NULL: nobody can end the operation. Replies are filled on success only.
 */

#include <stdbool.h>

#include "base/error.h"
#include "journal.h"
#include "sandferry/v1/sandbox.pb-c.h"
#include "steps.h"

struct daemon;
struct rpc_call;
struct sf_sandbox;

extern const struct step create_steps[], save_steps[], restore_steps[];

bool create_sandbox(struct daemon *d, struct rpc_call *call,
                    const Sandferry__V1__CreateSandboxRequest *request,
                    Sandferry__V1__CreateSandboxResponse *reply, struct sf_error **err);

/* The registry's reference stays with a sandbox that is held or runs on. */
bool save_sandbox(struct daemon *d, struct rpc_call *call,
                  const Sandferry__V1__SaveSandboxRequest *request,
                  Sandferry__V1__SaveSandboxResponse *reply, struct sf_error **err);
/* The same steps, for the journal: the sandbox goes, its record says how to bring it back. With its
 * lock held. */
bool save_to_journal(struct daemon *d, struct sf_sandbox *s, struct sf_error **err);
/* The daemon ends: saves what runs into the journal, lets go of what is held. False: something has
 * to be left running, or as it is; a warning has said why. */
bool save_all_to_journal(struct daemon *d);

bool restore_sandbox(struct daemon *d, struct rpc_call *call,
                     const Sandferry__V1__RestoreSandboxRequest *request,
                     Sandferry__V1__RestoreSandboxResponse *reply, struct sf_error **err);
/* The same steps, of what the journal has. @s: new, with its lock held. */
bool restore_from_journal(struct daemon *d, struct sf_sandbox *s,
                          const Sandferry__V1__SandboxSnapshot *snapshot, enum journal_word word,
                          struct sf_error **err);
bool check_restore(struct daemon *d, const Sandferry__V1__CheckRestoreRequest *request,
                   Sandferry__V1__CheckRestoreResponse *reply, struct sf_error **err);
/* The daemon starts: brings back what the journal has. One that cannot be brought back is shown as
 * INVALID, with the reason. False: the journal itself cannot be read. */
bool restore_all_from_journal(struct daemon *d, struct sf_error **err);

bool resume_sandbox(struct daemon *d, struct rpc_call *call,
                    const Sandferry__V1__ResumeSandboxRequest *request,
                    Sandferry__V1__ResumeSandboxResponse *reply, struct sf_error **err);
bool stop_sandbox(struct daemon *d, struct rpc_call *call,
                  const Sandferry__V1__StopSandboxRequest *request,
                  Sandferry__V1__StopSandboxResponse *reply, struct sf_error **err);
bool delete_sandbox(struct daemon *d, struct rpc_call *call,
                    const Sandferry__V1__DeleteSandboxRequest *request, struct sf_error **err);

/* ---- Shared by them. ---- */

/* A sandbox of this daemon that nobody else sees yet, with its lock held. @directory: NULL: as
 * operation_directory() says. INVALID_ARGUMENT if the id cannot be one. */
struct sf_sandbox *operation_new_sandbox(struct daemon *d, const char *id, const char *directory,
                                         struct sf_error **err);
/* Gives back lock and reference; NULL is fine. */
void operation_leave(struct sf_sandbox *s);
SF_DEFINE_CLEANUP(struct sf_sandbox, operation_leave)
/* Finds it and takes its lock. */
struct sf_sandbox *operation_enter(struct daemon *d, struct rpc_call *call, const char *id,
                                   struct sf_error **err);

char *operation_directory(const struct daemon *d, const char *id); /* NULL: no memory */
bool operation_make_directory(const char *path, struct sf_error **err);
void operation_remove_directory(const char *path); /* with what is in it */

#endif
