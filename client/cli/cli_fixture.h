#ifndef CLI_CLI_FIXTURE_H
#define CLI_CLI_FIXTURE_H

/* What the tests of whole command lines share: a fake daemon, and what was asked and printed. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/suite.h"
#include "base/text.h"
#include "cli.h"
#include "fake_daemon.h"

static struct fake *fake;
static char *out, *told; /* standard output and error of the last run */

static inline void setup(void)
{
    fake = fake_start();
    setenv("SANDFERRY_HOST", fake_address(fake), 1);
}

static inline void forget(void)
{
    free(out);
    free(told);
    out = told = NULL;
}

static inline void teardown(void)
{
    forget();
    fake_stop(fake);
}

static inline int run(const char *const *words)
{
    char *args[48] = {(char *)"sandferry"};
    size_t n_out, n_told;
    int n = 1;
    for (; words[n - 1] != NULL; n++)
        args[n] = (char *)words[n - 1];
    forget();
    FILE *to_out = open_memstream(&out, &n_out), *to_told = open_memstream(&told, &n_told);
    int status = cli_main(n, args, to_out, to_told);
    fclose(to_out);
    fclose(to_told);
    return status;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
#define OK(...)                                                                                    \
    do {                                                                                           \
        int status_ = RUN(__VA_ARGS__);                                                            \
        ck_assert_msg(status_ == EXIT_OK, "%d: %s", status_, told);                                \
    } while (0)

static inline void asked(const char *method, const char *request)
{
    ck_assert_str_eq(fake_method(fake), method);
    ck_assert_str_eq(fake_request(fake), request);
}

static inline void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in\n%s", part, text);
}

#endif
