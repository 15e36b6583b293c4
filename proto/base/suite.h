#ifndef SF_SUITE_H
#define SF_SUITE_H

/* What every unit test's main() does, so that each test file ends in its list of cases. */

#include <check.h>
#include <stdlib.h>

#include "base/error.h"

/* For ck_assert_msg: what went wrong, or "?". */
#define SF_WHY(err) ((err) != NULL ? sf_error_message(err) : "?")

static inline int sf_suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int run = srunner_ntests_run(runner);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return run > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* no case is no success */
}

#endif
