#ifndef SF_FAULT_H
#define SF_FAULT_H

#include <stdbool.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Failing on purpose, by name: "save: freeze", "scsi: import". A point fails once, with
 * UNAVAILABLE "fault asked for by a test", and is then disarmed.
 */

/* False, with an error, if a test asked for a failure at this point. True in a daemon. */
bool sf_fault(const char *point, struct sf_error **err);

/* For tests in one process: the next call for POINT fails; NULL takes that back. Copied. */
void sf_fault_arm(const char *point);

/*
 * For tests of a daemon (sandferryd --fault-file): each sf_fault() looks whether the file's first
 * line is its point; if so it removes the file and fails. NULL: no file.
 */
void sf_fault_file(const char *path);

#ifdef __cplusplus
}
#endif

#endif
