#ifndef SERVER_LIFECYCLE_H
#define SERVER_LIFECYCLE_H

/*
 * The only caller of class functions. Each function here walks all controllers of one sandbox, in
 * the order that controller.h promises; around each call it asks the fault point
 * "<controller>: <function>", writes debug lines, takes the time, and puts the controller's name
 * before an error. All of it under the sandbox's lock.
 *
 * After a failure nothing is taken back here, unless said: that is what the steps' undo is for.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/reasons.h"
#include "controller.h"

struct modules;

/* Makes an instance of every class. After a failure there is none. */
bool lifecycle_init(struct sf_sandbox *s, const struct modules *modules, struct sf_error **err);
void lifecycle_fini(struct sf_sandbox *s); /* a repeat does nothing */

/* The packed options of a controller; what it is given it does not keep. */
typedef bool (*lifecycle_options_fn)(void *context, const struct sf_controller_class *cls,
                                     struct sf_bytes *ret, struct sf_error **err);
/* After a failure what was created is destroyed. */
bool lifecycle_create(struct sf_sandbox *s, lifecycle_options_fn options, void *context,
                      struct sf_error **err);
void lifecycle_destroy(struct sf_sandbox *s);

/* ---- source ---- */

/* All reasons of all controllers. False: one could not even look. */
bool lifecycle_check(struct sf_sandbox *s, struct sf_reasons *why, struct sf_error **err);
/* A controller whose freeze was called, with success or without, is what thaw is called for. A
 * freeze that fails has thawed already. */
bool lifecycle_freeze(struct sf_sandbox *s, struct sf_error **err);
bool lifecycle_quiesce(struct sf_sandbox *s, struct sf_error **err);
/* Sets stopped_ns: just before the last controller, the one that all others need, stops. */
bool lifecycle_stop(struct sf_sandbox *s, struct sf_error **err);
bool lifecycle_keep(struct sf_sandbox *s, struct sf_error **err);
void lifecycle_unkeep(struct sf_sandbox *s);
typedef bool (*lifecycle_put_fn)(void *context, const struct sf_controller_class *cls,
                                 const struct sf_bytes *section, struct sf_error **err);
bool lifecycle_save(struct sf_sandbox *s, lifecycle_put_fn put, void *context,
                    struct sf_error **err);
void lifecycle_thaw(struct sf_sandbox *s);
void lifecycle_discard(struct sf_sandbox *s);
/* Whether a sandbox that is held may be thawed; changes nothing. */
bool lifecycle_awaken(struct sf_sandbox *s, struct sf_error **err);
/* Some controller was frozen, and neither thawed nor discarded since. */
bool lifecycle_is_frozen(const struct sf_sandbox *s);

/* ---- destination ---- */

/* The section of a controller. *@ret_there false: the snapshot has none, and import is not called:
 * the books stay as init left them. */
typedef bool (*lifecycle_get_fn)(void *context, const struct sf_controller_class *cls,
                                 struct sf_bytes *ret, uint32_t *ret_version, bool *ret_there,
                                 struct sf_error **err);
/* @why: where the errors go, so that all controllers get their turn; NULL: the first ends it. */
bool lifecycle_import(struct sf_sandbox *s, lifecycle_get_fn get, void *context,
                      struct sf_reasons *why, struct sf_error **err);
/* INVALID_ARGUMENT if there is no such controller, or it knows no patches. */
bool lifecycle_patch(struct sf_sandbox *s, const char *controller, const char *object,
                     const char *value, struct sf_error **err);
bool lifecycle_admit(struct sf_sandbox *s, struct sf_reasons *why, struct sf_error **err);
bool lifecycle_prepare(struct sf_sandbox *s, struct sf_error **err);
bool lifecycle_load(struct sf_sandbox *s, struct sf_error **err);
/* Sets resumed_ns: just after the first controller, the one that all others need, has resumed. */
bool lifecycle_resume(struct sf_sandbox *s, struct sf_error **err);
/* The restore is complete: from now on there is nothing to abandon. */
void lifecycle_settle(struct sf_sandbox *s);
void lifecycle_abandon(struct sf_sandbox *s);
/* Some controller was imported, and neither settled nor abandoned since. */
bool lifecycle_is_imported(const struct sf_sandbox *s);

/* ---- between ---- */

/* One method of a controller; its own fault point is "<controller>: <method>". */
bool lifecycle_call(struct sf_sandbox *s, size_t index, const struct sf_method *method,
                    struct sf_call *call, const void *request, void *reply, struct sf_error **err);

#endif
